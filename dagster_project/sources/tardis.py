"""Tardis.dev data sets: what exchanges' streams said, recorded since 2019, a file a contract and day.

Documentation: docs.tardis.dev/downloadable-csv-files. Times are microseconds in UTC; the first line has the names. The first day
of each month is free, the others need a key. ``side`` of a liquidation is that of the order on every exchange (``buy``: a short
was liquidated), also where the exchange writes the position's: tardis-node src/mappers/bybit.ts turns it around.
"""

import logging
import os
from collections.abc import Callable, Iterable, Iterator
from datetime import date
from pathlib import Path

from dagster_project.fetch.archive import download
from dagster_project.fetch.client import Client
from dagster_project.fetch.hosts import Host
from dagster_project.fetch.s3 import link_or_copy
from dagster_project.fetch.secrets import header_secret
from dagster_project.fetch.tasks import Piece, Task
from dagster_project.sources import pairs
from dagster_project.sources.batch import Batch, epoch, number
from dagster_project.sources.feed import Ask, Cadence, Feed

NAME = "tardis"
KEY_VARIABLE = "DELEVER_TARDIS_KEY"
HOST = Host("tardis", "https://datasets.tardis.dev", ((10, 1.0),))

EXCHANGES: dict[str, tuple[str, Callable[[str, str], list[str]]]] = {
    "binance-futures": ("binance", pairs.linear),
    "binance-delivery": ("binance", pairs.inverse),
    "bybit": ("bybit", lambda venue, base: pairs.linear(venue, base) + pairs.inverse(venue, base)),
    "okex-swap": ("okx", lambda venue, base: pairs.linear(venue, base) + pairs.inverse(venue, base)),
    "bitget-futures": ("bitget", pairs.linear),
    "hyperliquid": ("hyperliquid", pairs.linear),
}
"""Tardis's exchanges: the venue, and its names of an asset's perpetuals."""

_LOG = logging.getLogger(__name__)


def _tasks(kind: str) -> Callable[[Ask], Iterable[Task]]:
    def tasks(ask: Ask) -> Iterable[Task]:
        days = [day for day in ask.days if day.day == 1 or os.environ.get(KEY_VARIABLE)]
        if len(days) < len(ask.days):
            _LOG.warning(
                "tardis %s: %d of %d days are left out: all but the first of a month need a key in %s.",
                kind,
                len(ask.days) - len(days),
                len(ask.days),
                KEY_VARIABLE,
            )
        for exchange, (venue, names) in EXCHANGES.items():
            for base in ask.bases:
                for symbol in names(venue, base):
                    for day in days:
                        task = _task(ask, kind, exchange, symbol, day)
                        if task.name not in ask.landed:
                            yield task

    return tasks


def _task(ask: Ask, kind: str, exchange: str, symbol: str, day: date) -> Task:
    name = f"{kind}-{exchange}-{symbol}-{day}"
    at_hand = ask.at_hand.get(name)
    # Names are in capitals there.
    path = f"/v1/{exchange}/{kind}/{day:%Y/%m/%d}/{symbol.upper()}.csv.gz"

    def pieces(client: Client, scratch: Path) -> Iterator[Piece]:
        file = f"{name}.csv.gz"
        if at_hand is not None and at_hand.file is not None:
            yield Piece(file, at_hand.origin, file=link_or_copy(at_hand.file, scratch, file))
        else:
            secret = header_secret("Authorization", KEY_VARIABLE, prefix="Bearer ")
            yield download(client, HOST, path, scratch, secret=secret, name=file)

    context = {"product": exchange.replace("-", "_"), "venue": EXCHANGES[exchange][0], "venue_symbol": symbol}
    return Task(name, day, day, f"archive_{kind}", context, pieces)


LIQUIDATIONS = ("exchange", "symbol", "timestamp", "local_timestamp", "id", "side", "price", "amount")
TICKERS = (
    "exchange",
    "symbol",
    "timestamp",
    "local_timestamp",
    "funding_timestamp",
    "funding_rate",
    "predicted_funding_rate",
    "open_interest",
    "last_price",
    "index_price",
    "mark_price",
)


_SYMBOL = """CASE WHEN replace(r.exchange, '-', '_') = landed.product AND upper(r.symbol) = upper(landed.venue_symbol)
    THEN landed.venue_symbol END"""
"""SQL of the contract as its exchange writes it, which the files do in capitals; null for a row of another than was asked for."""


def _read_liquidations(batch: Batch) -> str:
    table = batch.csv(LIQUIDATIONS, is_named=True)
    batch.refuse_mixed_units(table, '"timestamp"')
    at = epoch('r."timestamp"')
    return f"""
        SELECT file_number, record, {_SYMBOL} AS venue_symbol, {at} AS event_at, {at} AS event_time, r.side,
          {number("r.amount")} AS quantity, {number("r.price")} AS price, nullif(r.id, '') AS event_key
        FROM {table} AS r JOIN landed USING (file_number)"""


def _minutes(batch: Batch, columns: str, excluded: str = "NULL") -> str:
    """The last row of each minute and contract; a stream of tickers says the same many times a second."""
    table = batch.csv(TICKERS, is_named=True)
    batch.refuse_mixed_units(table, '"timestamp"')
    at = epoch('"timestamp"')
    return f"""
        WITH stamped AS (SELECT *, {at} AS moment FROM {table}),
        ranked AS (SELECT *, moment IS NOT NULL AND row_number() OVER minutes > 1 AS is_earlier FROM stamped
          WINDOW minutes AS (PARTITION BY file_number, exchange, symbol, date_trunc('minute', moment)
            ORDER BY moment DESC, record DESC))
        SELECT file_number, record, {_SYMBOL} AS venue_symbol, r.moment AS event_at, {columns},
          CASE WHEN is_earlier THEN 'not the last of its minute' ELSE {excluded} END AS excluded
        FROM ranked AS r JOIN landed USING (file_number)"""


def _read_open_interest(batch: Batch) -> str:
    """Open interest as the exchange's stream had it, in the exchange's unit."""
    columns = f"r.moment AS observed_at, 0 AS period_seconds, {number('r.open_interest')} AS open_interest"
    return _minutes(batch, columns, "CASE WHEN coalesce(r.open_interest, '') = '' THEN 'no open interest yet' END")


def _read_tickers(batch: Batch) -> str:
    """Prices and rates as the exchange's stream had them."""
    return _minutes(
        batch,
        f"""{number("r.last_price")} AS last_price, {number("r.mark_price")} AS mark_price,
          {number("r.index_price")} AS index_price, {number("r.open_interest")} AS open_interest,
          {number("r.funding_rate")} AS funding_rate""",
    )


def _feed(
    entity: str,
    kind: str,
    reader: Callable[[Batch], str],
    completeness: str,
    caution: str,
    shares: tuple[str, ...],
) -> Feed:
    return Feed(
        name=NAME,
        entity=entity,
        readers={f"archive_{kind}": reader},
        origins={"archive": _tasks(kind)},
        mode="history",
        cadence=Cadence.DAY,
        licence="Tardis.dev terms: first days of months free, others by subscription, no redistribution",
        venue=None,
        labels={f"archive_{kind}": "tardis archive"},
        completeness=completeness,
        has_contracts=False,
        caution=f"{caution} The first day of each month is free; for the others set {KEY_VARIABLE}.",
        schedule_needs=(KEY_VARIABLE,),
        shares=shares,
    )


_TICKER = (
    "Values are in the exchange's own units (sidedness, contracts); raw keeps the last of each minute. "
    "Funding rates in it are the running estimates, so no settlements are made of them."
)

FEEDS = (
    _feed(
        "liquidations",
        "liquidations",
        _read_liquidations,
        "sampled",
        "What the exchanges' streams told, which several of them throttle: lower bounds.",
        ("liquidations",),
    ),
    _feed(
        "open_interest",
        "derivative_ticker",
        _read_open_interest,
        "complete",
        _TICKER,
        ("open_interest", "tickers"),
    ),
    _feed("tickers", "derivative_ticker", _read_tickers, "complete", _TICKER, ("open_interest", "tickers")),
)
