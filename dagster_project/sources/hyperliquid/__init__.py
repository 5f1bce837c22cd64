"""Hyperliquid: REST for the present, candles and funding; paid archives for what REST does not tell."""

from collections.abc import Callable, Iterable
from datetime import timedelta
from typing import Literal

from dagster_project.fetch.tasks import Task
from dagster_project.sources.batch import Batch
from dagster_project.sources.feed import Ask, Cadence, Feed
from dagster_project.sources.hyperliquid import archive, rest

NAME = "hyperliquid"
LICENCE = "Hyperliquid: public on-chain data; no terms of redistribution are stated"
KEYS = ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY")
PAID = (
    f"Read from requester-pays buckets: AWS bills your account. Nothing is downloaded before {archive.CAP_VARIABLE} (USD a run, "
    "0 by default) allows the cost, which is shown first. The venue updates them about once a month and data may be missing."
)


def _feed(
    entity: str,
    reader: Callable[[Batch], str],
    tasks: Callable[[Ask], Iterable[Task]],
    mode: Literal["history", "snapshot"],
    cadence: Cadence,
    *,
    has_contracts: bool = True,
) -> Feed:
    """A feed that REST alone serves, in the venue's whole depth of time."""
    return Feed(
        name=NAME,
        entity=entity,
        readers={entity: reader},
        origins={"rest": tasks},
        mode=mode,
        cadence=cadence,
        licence=LICENCE,
        venue=NAME,
        labels={entity: "hyperliquid rest"},
        has_contracts=has_contracts,
    )


def _fills(entity: str, reader: Callable[[Batch], str], what: str) -> Feed:
    """A feed read out of all fills, which are bought once for both."""
    return Feed(
        name=NAME,
        entity=entity,
        readers={"archive_node_fills": reader},
        origins={"archive": archive.fills_tasks(what)},
        mode="history",
        cadence=Cadence.DAY,
        licence=LICENCE,
        venue=NAME,
        labels={"archive_node_fills": "hyperliquid archive"},
        needs=KEYS,
        schedule_needs=(archive.CAP_VARIABLE,),
        has_contracts=False,
        caution=PAID,
        shares=("liquidations", "adl_fills"),
    )


FEEDS = (
    _feed("instruments", rest.read_instruments, rest.instruments_tasks, "snapshot", Cadence.DAY, has_contracts=False),
    Feed(
        name=NAME,
        entity="klines",
        readers={"klines": rest.read_klines},
        origins={"rest": rest.klines_tasks},
        mode="history",
        cadence=Cadence.DAY,
        licence=LICENCE,
        venue=NAME,
        labels={"klines": "hyperliquid rest"},
        reach=timedelta(hours=rest.KEPT_CANDLES),
        bars=rest.KEPT_CANDLES,
        caution=f"The venue answers for the newest {rest.KEPT_CANDLES} bars of each length: minutes reach back 3 days.",
    ),
    _feed("funding", rest.read_funding, rest.funding_tasks, "history", Cadence.DAY),
    Feed(
        name=NAME,
        entity="open_interest",
        readers={"open_interest": rest.read_open_interest, "archive_asset_ctxs": archive.read_open_interest},
        origins={"rest": rest.open_interest_tasks, "archive": archive.contexts_tasks},
        mode="snapshot",
        history_origins=frozenset({"archive"}),
        cadence=Cadence.QUARTER_HOUR,
        licence=LICENCE,
        venue=NAME,
        labels={"open_interest": "hyperliquid rest", "archive_asset_ctxs": "hyperliquid archive"},
        has_contracts=False,
        caution=f"The origin archive holds every minute since 2023-05-20. {PAID}",
        shares=("open_interest",),
    ),
    _feed("tickers", rest.read_tickers, rest.tickers_tasks, "snapshot", Cadence.QUARTER_HOUR, has_contracts=False),
    _feed("leverage_tiers", rest.read_tiers, rest.tiers_tasks, "snapshot", Cadence.DAY, has_contracts=False),
    _feed("depth", rest.read_depth, rest.depth_tasks, "snapshot", Cadence.QUARTER_HOUR),
    _fills("liquidations", archive.read_liquidations, "liquidations"),
    _fills("adl_fills", archive.read_adl_fills, "auto-deleveraging"),
)
