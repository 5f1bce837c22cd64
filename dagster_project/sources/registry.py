"""Every feed there is. A venue is added by its module's name here, its rows in the seeds, and the units of its fields."""

from dagster_project.sources import binance, bitget, bybit, coinalyze, coinglass, defillama, hyperliquid, okx, tardis
from dagster_project.sources.feed import Feed

MODULES = (binance, bybit, okx, bitget, hyperliquid, coinglass, coinalyze, defillama, tardis)

FEEDS: dict[tuple[str, str], Feed] = {(feed.name, feed.entity): feed for module in MODULES for feed in module.FEEDS}
"""By connector and entity."""

NAMES = tuple(dict.fromkeys(feed.name for feed in FEEDS.values()))
"""Connectors."""
