"""How venues name their perpetuals, for feeds of others that are asked by these names.

The contracts of a venue's own feeds are read from its instruments; an aggregator may be all that somebody fetches.
"""

import csv
from functools import cache

from dagster_project.lib.home import PROJECT_ROOT

LINEAR = {
    "binance": "{code}USDT",
    "bybit": "{code}USDT",
    "okx": "{code}-USDT-SWAP",
    "bitget": "{code}USDT",
    "hyperliquid": "{code}",
}
INVERSE = {"binance": "{code}USD_PERP", "bybit": "{code}USD", "okx": "{code}-USD-SWAP"}


def linear(venue: str, base: str) -> list[str]:
    """Names that the linear perpetual of a base asset may have on a venue; whether there is one, the asked must say."""
    return [LINEAR[venue].format(code=code) for code in codes(venue, base)]


def inverse(venue: str, base: str) -> list[str]:
    """As ``linear``, for perpetuals settled in the coin."""
    return [INVERSE[venue].format(code=code) for code in codes(venue, base)] if venue in INVERSE else []


def codes(venue: str, base: str) -> list[str]:
    """Codes under which a venue lists an asset: 1000PEPE, or the asset's own name where the list of codes has none."""
    return _listed().get((venue, base)) or [base]


@cache
def _listed() -> dict[tuple[str, str], list[str]]:
    with (PROJECT_ROOT / "dbt" / "seeds" / "asset_codes.csv").open(newline="") as stream:
        found: dict[tuple[str, str], list[str]] = {}
        for row in csv.DictReader(stream):
            found.setdefault((row["venue"], row["base_asset"]), []).append(row["asset_code"])
        return found
