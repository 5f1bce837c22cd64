"""OKX's feeds."""

from collections.abc import Callable, Iterable
from datetime import timedelta
from typing import Literal

from dagster_project.fetch.tasks import Task
from dagster_project.sources.batch import Batch
from dagster_project.sources.feed import Ask, Cadence, Feed
from dagster_project.sources.okx import api, files, readers, tasks

_STATISTICS_REACH = timedelta(hours=tasks.STATISTICS_ROWS)
"""Of hourly periods, which are asked for unless others are named."""

_STATISTICS_CAUTION = "The venue keeps 1440 periods: 60 days of hours, 5 days of five minutes."


def _feed(  # noqa: PLR0913 - what a feed is
    entity: str,
    reader: Callable[[Batch], str],
    asked: Callable[[Ask], Iterable[Task]],
    mode: Literal["history", "snapshot"],
    cadence: Cadence,
    *,
    reach: timedelta | None = None,
    bars: int | None = None,
    has_contracts: bool = True,
    caution: str = "",
) -> Feed:
    """A feed that REST alone serves."""
    return Feed(
        name=api.NAME,
        entity=entity,
        readers={entity: reader},
        origins={"rest": asked},
        mode=mode,
        cadence=cadence,
        licence=api.LICENCE,
        venue=api.NAME,
        labels={entity: "okx rest"},
        reach=reach,
        bars=bars,
        has_contracts=has_contracts,
        caution=caution,
    )


FEEDS = (
    _feed("instruments", readers.instruments, tasks.instruments, "snapshot", Cadence.DAY, has_contracts=False),
    Feed(
        name=api.NAME,
        entity="klines",
        readers={"klines": readers.klines, "archive_candles": readers.archive_candles},
        origins={"rest": tasks.klines, "archive": files.candles},
        mode="history",
        cadence=Cadence.DAY,
        licence=api.LICENCE,
        venue=api.NAME,
        labels={"klines": "okx rest", "archive_candles": "okx archive"},
        shares=("klines",),
        caution="Origin archive: one-minute bars of swaps, published after two days; files are cut at 16:00 UTC.",
    ),
    _feed("reference_klines", readers.reference_klines, tasks.reference_klines, "history", Cadence.DAY),
    Feed(
        name=api.NAME,
        entity="funding",
        readers={"funding": readers.funding, "archive_funding": readers.archive_funding},
        origins={"rest": tasks.funding, "archive": files.funding},
        mode="history",
        cadence=Cadence.DAY,
        licence=api.LICENCE,
        venue=api.NAME,
        labels={"funding": "okx rest", "archive_funding": "okx archive"},
        reach=timedelta(days=90),
        reaches={"archive": None},
        shares=("funding",),
        caution="REST reaches back three months; origin archive has all swaps from 2022-01-17 on, published after two days.",
    ),
    Feed(
        name=api.NAME,
        entity="open_interest",
        readers={"open_interest": readers.open_interest, "open_interest_now": readers.open_interest_now},
        origins={"rest": tasks.open_interest, "snapshot": tasks.open_interest_now},
        mode="history",
        cadence=Cadence.DAY,
        licence=api.LICENCE,
        venue=api.NAME,
        labels={"open_interest": "okx rest", "open_interest_now": "okx rest"},
        reach=_STATISTICS_REACH,
        bars=tasks.STATISTICS_ROWS,
        snapshot_origins=frozenset({"snapshot"}),
        caution=_STATISTICS_CAUTION,
    ),
    _feed(
        "long_short_ratios",
        readers.long_short_ratios,
        tasks.long_short_ratios,
        "history",
        Cadence.DAY,
        reach=_STATISTICS_REACH,
        bars=tasks.STATISTICS_ROWS,
        caution=_STATISTICS_CAUTION,
    ),
    _feed(
        "leverage_tiers", readers.leverage_tiers, tasks.leverage_tiers, "snapshot", Cadence.DAY, caution="Cross margin."
    ),
    _feed("tickers", readers.tickers, tasks.tickers, "snapshot", Cadence.QUARTER_HOUR, has_contracts=False),
    _feed(
        "insurance_funds",
        readers.insurance_funds,
        tasks.insurance_funds,
        "history",
        Cadence.DAY,
        caution="One snapshot a day at about 08:00 UTC since 2026-06-09; how far back they are kept is not documented.",
    ),
    _feed("depth", readers.depth, tasks.depth, "snapshot", Cadence.QUARTER_HOUR),
    Feed(
        name=api.NAME,
        entity="liquidations",
        readers={
            "liquidations": readers.liquidations,
            "stream_parquet": readers.stream_parquet,
            "messages": readers.message_lines,
        },
        origins={"rest": tasks.liquidations},
        mode="snapshot",
        cadence=Cadence.HOUR,
        licence=api.LICENCE,
        venue=api.NAME,
        labels={"liquidations": "okx rest", "stream_parquet": "okx stream", "messages": "okx stream"},
        reach=tasks.LIQUIDATIONS_BACK,
        completeness="polled_window",
        caution=(
            "The endpoint has not been documented since April 2023, lags by more than an hour and reaches back 14 to 22 hours; "
            "of each contract it has at most one liquidation a second, as the stream does."
        ),
    ),
)
