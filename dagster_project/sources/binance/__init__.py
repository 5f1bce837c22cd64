"""Binance USD-M (``um``) and COIN-M (``cm``) futures: the archive, REST, and the forceOrder stream.

Documentation: developers.binance.com (derivatives), github.com/binance/binance-public-data.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from typing import Literal

from dagster_project.fetch.tasks import Task
from dagster_project.sources.binance import archive, read, rest
from dagster_project.sources.binance.hosts import KEY, NAME, SECRET
from dagster_project.sources.dataset import Reader
from dagster_project.sources.feed import Ask, Cadence, Feed

LICENCE = "Binance terms of use: own use, no redistribution"

Tasks = Callable[[Ask], Iterable[Task]]

_LABELS = {"archive": "binance archive", "stream": "binance stream", "messages": "binance stream"}


def _feed(
    entity: str,
    readers: Mapping[str, Reader],
    origins: Mapping[str, Tasks],
    mode: Literal["history", "snapshot"] = "history",
    cadence: Cadence = Cadence.DAY,
) -> Feed:
    return Feed(
        name=NAME,
        entity=entity,
        readers=readers,
        origins=origins,
        mode=mode,
        cadence=cadence,
        licence=LICENCE,
        venue=NAME,
        labels={reader: _LABELS.get(reader.split("_")[0], "binance rest") for reader in readers},
        has_contracts=mode == "history",
    )


def _bars(entity: str, from_archive: Tasks, from_rest: Tasks) -> Feed:
    return _feed(
        entity,
        {entity: read.klines, "archive_klines": read.archive_klines},
        {"archive": from_archive, "rest": from_rest},
    )


def _since_a_month(feed: Feed) -> Feed:
    """A feed whose REST forgets what its archive keeps."""
    return replace(
        feed,
        reaches={"rest": rest.DATA_REACH},
        caution="REST answers for 30 days alone. USD-M files up to 2026-06-24 are labelled by the end of the five minutes, later "
        "ones and COIN-M by their start (binance-public-data issue 491).",
    )


FEEDS = (
    _feed("instruments", {"instruments": read.instruments}, {"rest": rest.instruments}, "snapshot"),
    _bars("klines", archive.klines, rest.klines),
    _bars("reference_klines", archive.reference_klines, rest.reference_klines),
    _bars("premium_klines", archive.premium_klines, rest.premium_klines),
    replace(
        _feed(
            "funding",
            {"funding": read.funding, "archive_funding": read.archive_funding},
            {"rest": rest.funding, "archive": archive.funding},
        ),
        caution="REST first: it has yesterday's rates, the mark price and the kind of rate. The archive comes by the month after "
        "it ends; it has the interval instead, and does not tell special rates (since 2026-07-28) from regular ones.",
    ),
    _since_a_month(
        _feed(
            "open_interest",
            {"open_interest": read.open_interest, "archive_metrics": read.archive_open_interest},
            {"archive": archive.metrics, "rest": rest.open_interest},
        )
    ),
    _since_a_month(
        _feed(
            "long_short_ratios",
            {"long_short_ratios": read.ratios, "archive_metrics": read.archive_ratios},
            {"archive": archive.metrics, "rest": rest.ratios},
        )
    ),
    replace(
        _feed(
            "depth",
            {"depth": read.depth, "archive_book_depth": read.archive_book_depth},
            {"archive": archive.book_depth, "rest": rest.depth},
        ),
        snapshot_origins=frozenset({"rest"}),
        caution="The archive has depth by band about every 30 seconds; REST has the book of this moment, of which 1000 levels a "
        "side may end before the narrowest band does (is_floor). What the notional of a COIN-M band counts is not documented.",
    ),
    replace(
        _feed(
            "liquidations",
            {
                "stream_parquet": read.stream,
                "messages": read.messages,
                "archive_liquidations": read.archive_liquidations,
            },
            {"archive": archive.liquidations},
        ),
        completeness="sampled",
        until=archive.LIQUIDATIONS[1],
        caution="The archive has COIN-M from 2023-06-25 to 2024-10-14 alone; the rest is heard by the recorder or not at all. At "
        "most one order a contract and second is published: a lower bound.",
    ),
    _feed(
        "insurance_funds",
        {"insurance_funds": read.insurance_funds},
        {"rest": rest.insurance_funds},
        "snapshot",
        Cadence.HOUR,
    ),
    # Renewed every 30 minutes.
    _feed("adl_risk", {"adl_risk": read.adl_risk}, {"rest": rest.adl_risk}, "snapshot", Cadence.QUARTER_HOUR),
    replace(
        _feed("leverage_tiers", {"leverage_tiers": read.leverage_tiers}, {"rest": rest.leverage_tiers}, "snapshot"),
        needs=(KEY, SECRET),
        caution="Signed: a key that may read is enough. Brackets are those of the key's owner, whose own may be adjusted.",
    ),
    _feed("tickers", {"tickers": read.tickers}, {"rest": rest.tickers}, "snapshot", Cadence.QUARTER_HOUR),
)
