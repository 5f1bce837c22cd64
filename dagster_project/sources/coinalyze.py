"""Coinalyze API v1: open interest, liquidation sums and funding of the contracts of many exchanges, with a free key.

Documentation: api.coinalyze.net/v1/doc. A contract is the name on its exchange with the exchange's letter behind a dot
(``BTCUSDT_PERP.A``); ``future-markets`` lists them with their assets, so they have instruments of their own here. Times are
seconds, bars carry the time at which they open, and of each the opening value is taken: it is true at that time and does not
change. Each contract of a request counts against 40 a minute. Below a day, only the newest 1,500 to 2,000 bars are kept.
"""

import hashlib
from collections.abc import Callable, Iterable, Iterator
from typing import Any, Literal

from dagster_project.fetch import paging
from dagster_project.fetch.client import Client, Page
from dagster_project.fetch.hosts import Host
from dagster_project.fetch.secrets import header_secret
from dagster_project.fetch.tasks import Task
from dagster_project.lib.duck import literal
from dagster_project.sources.batch import Batch, Refused, epoch, number
from dagster_project.sources.feed import Ask, Cadence, Contract, Feed, paged, snapshot

NAME = "coinalyze"
PRODUCT = "aggregate"
KEY_VARIABLE = "DELEVER_COINALYZE_KEY"
LICENCE = "Coinalyze API terms: free key, attribution to coinalyze.net"

HOST = Host("coinalyze", "https://api.coinalyze.net", ((36, 60.0),))

VENUES = {
    "A": "binance",
    "6": "bybit",
    "3": "okx",
    "H": "hyperliquid",
    "0": "bitmex",
    "2": "deribit",
    "4": "htx",
    "8": "dydx",
    "F": "bitfinex",
    "K": "kraken",
    "Y": "gate",
}
"""Letters of ``/v1/exchanges`` for venues that are known here; contracts of other letters are left out."""

INTERVALS = {
    60: "1min",
    300: "5min",
    900: "15min",
    1800: "30min",
    3600: "1hour",
    7200: "2hour",
    14400: "4hour",
    21600: "6hour",
    43200: "12hour",
    86400: "daily",
}
MOST_SYMBOLS = 20
FUNDING_SECONDS = 14400
SETTLED_EVERY = 28800


def _secret_get(client: Client, path: str, params: dict[str, Any], weight: int) -> Page:
    return client.get(HOST, path, params, weight=weight, secret=header_secret("api_key", KEY_VARIABLE))


def _instruments_tasks(ask: Ask) -> Iterable[Task]:
    def pages(client: Client) -> Iterator[Page]:
        return paging.whole(lambda: _secret_get(client, "/v1/future-markets", {}, 1))

    yield snapshot("all", ask, "instruments", {"product": PRODUCT}, pages)


def _history_tasks(path: str, reader: str, ask: Ask, intervals: Iterable[int], **more: str) -> Iterator[Task]:
    contracts = [contract for contract in ask.contracts if contract.is_perpetual]
    groups = [contracts[first : first + MOST_SYMBOLS] for first in range(0, len(contracts), MOST_SYMBOLS)]
    for seconds in intervals:
        if seconds not in INTERVALS:
            continue
        for group in groups:
            # Named by what is in it: another universe has other groups, and a task is asked once.
            name = f"{_named(group)}-{seconds}"
            context: dict[str, str | int] = {"product": PRODUCT, "period_seconds": seconds}
            yield paged(name, ask, reader, context, _pages(path, group, ask, seconds, more))


def _named(group: list[Contract]) -> str:
    symbols = ",".join(contract.venue_symbol for contract in group)
    return f"{group[0].venue_symbol}-{len(group)}-{hashlib.sha256(symbols.encode()).hexdigest()[:12]}"


def _pages(
    path: str, group: list[Contract], ask: Ask, seconds: int, more: dict[str, str]
) -> Callable[[Client], Iterator[Page]]:
    params = {
        "symbols": ",".join(contract.venue_symbol for contract in group),
        "interval": INTERVALS[seconds],
        "from": ask.first_bar(seconds) // 1000,
        "to": ask.end_ms // 1000,
        **more,
    }

    def pages(client: Client) -> Iterator[Page]:
        # One answer is all there is: fewer bars are kept than an answer may have.
        return paging.whole(lambda: _secret_get(client, path, params, len(group)))

    return pages


def _open_interest_tasks(ask: Ask) -> Iterable[Task]:
    path = "/v1/open-interest-history"
    return _history_tasks(path, "open_interest", ask, ask.intervals, convert_to_usd="true")


def _liquidation_tasks(ask: Ask) -> Iterable[Task]:
    path = "/v1/liquidation-history"
    return _history_tasks(path, "liquidation_sums", ask, ask.intervals, convert_to_usd="true")


def _funding_tasks(ask: Ask) -> Iterable[Task]:
    return _history_tasks("/v1/funding-rate-history", "funding", ask, (FUNDING_SECONDS,))


def venue_of(letter: str) -> str:
    """SQL of the venue that an exchange's letter means; null where none is known here."""
    return (
        f"CASE {letter} {' '.join(f'WHEN {literal(key)} THEN {literal(venue)}' for key, venue in VENUES.items())} END"
    )


_FROM = "FROM {table} AS r JOIN landed USING (file_number)"


def _read_instruments(batch: Batch) -> str:
    """Contracts; amounts are asked for in USD, so what one is worth is of no use and counts as one."""
    table = batch.json(
        "$",
        '{"symbol": "VARCHAR", "exchange": "VARCHAR", "base_asset": "VARCHAR", "quote_asset": "VARCHAR", '
        '"is_perpetual": "VARCHAR", "margined": "VARCHAR", "expire_at": "VARCHAR"}',
    )
    return f"""
        SELECT file_number, record, {venue_of("item.exchange")} AS venue, item.symbol AS venue_symbol,
          {epoch("asked_at_ms")} AS event_at, item.base_asset AS base_code, item.quote_asset AS quote_code,
          CASE item.margined WHEN 'STABLE' THEN 'linear' WHEN 'COIN' THEN 'inverse' END AS contract_type,
          TRY_CAST(item.is_perpetual AS BOOLEAN) AS is_perpetual, 1.0 AS contract_value,
          {epoch("nullif(item.expire_at, '0')")} AS delisted_at,
          CASE WHEN item.exchange IS NOT NULL AND {venue_of("item.exchange")} IS NULL THEN 'exchange not followed'
            WHEN NOT TRY_CAST(item.is_perpetual AS BOOLEAN) THEN 'dated future' END AS excluded
        {_FROM.format(table=table)}"""


def _bars(batch: Batch, fields: str) -> str:
    """Bars of all contracts, each with the contract's name."""
    answers = batch.json("$", '{"symbol": "VARCHAR", "history": ["JSON"]}')
    for number_, record in batch.connection.execute(
        f"SELECT file_number, record FROM {answers} WHERE item.symbol IS NULL OR item.history IS NULL ORDER BY 1, 2"
    ).fetchall():
        batch.refused.append(Refused(number_, record, "no contract with its history", None))
    return batch.derive(
        f"SELECT file_number, symbol, from_json(entry, '{fields}') AS bar FROM ("
        f"SELECT file_number, item.symbol AS symbol, unnest(item.history) AS entry FROM {answers})"
    )


def _select(table: str, columns: str) -> str:
    return f"""
        SELECT file_number, record, {venue_of("split_part(r.symbol, '.', -1)")} AS venue, r.symbol AS venue_symbol,
          {epoch("bar.t")} AS event_at, TRY_CAST(period_seconds AS BIGINT) AS period_seconds, {columns}
        {_FROM.format(table=table)}"""


def _read_open_interest(batch: Batch) -> str:
    table = _bars(batch, '{"t": "VARCHAR", "o": "VARCHAR"}')
    return _select(table, f"{epoch('bar.t')} AS observed_at, {number('bar.o')} AS open_interest")


def _read_liquidation_sums(batch: Batch) -> str:
    table = _bars(batch, '{"t": "VARCHAR", "l": "VARCHAR", "s": "VARCHAR"}')
    length = "to_seconds(TRY_CAST(period_seconds AS BIGINT))"
    still_open = f"CASE WHEN {epoch('bar.t')} + {length} > landed.ingested_at THEN 'period still open' END AS excluded"
    return " UNION ALL ".join(
        _select(
            table,
            f"{epoch('bar.t')} AS period_start, '{side}' AS liquidated_side, {number(f'bar.{field}')} AS amount, {still_open}",
        )
        for side, field in (("long", "l"), ("short", "s"))
    )


def _read_funding(batch: Batch) -> str:
    """Rates in force, in per cent there and as fractions in raw; of bars of four hours those at times of settlement."""
    table = _bars(batch, '{"t": "VARCHAR", "o": "VARCHAR"}')
    between = f"CASE WHEN TRY_CAST(bar.t AS BIGINT) % {SETTLED_EVERY} <> 0 THEN 'between settlements' END AS excluded"
    return _select(table, f"{epoch('bar.t')} AS funding_time, {number('bar.o')} / 100 AS funding_rate, {between}")


_REACH = (
    f"Below a day the newest 1,500 to 2,000 bars are kept. Each contract counts against 40 a minute. Exchanges: "
    f"{', '.join(VENUES.values())}."
)


def _feed(
    entity: str,
    reader: Callable[[Batch], str],
    tasks: Callable[[Ask], Iterable[Task]],
    mode: Literal["history", "snapshot"] = "history",
    *,
    completeness: str = "complete",
    caution: str = "",
) -> Feed:
    return Feed(
        name=NAME,
        entity=entity,
        readers={entity: reader},
        origins={"rest": tasks},
        mode=mode,
        cadence=Cadence.DAY,
        licence=LICENCE,
        venue=None,
        labels={entity: "coinalyze rest"},
        completeness=completeness,
        needs=(KEY_VARIABLE,),
        has_contracts=mode == "history",
        caution=f"{caution} {_REACH}".strip(),
    )


FEEDS = (
    _feed("instruments", _read_instruments, _instruments_tasks, "snapshot"),
    _feed("open_interest", _read_open_interest, _open_interest_tasks, caution="USD as Coinalyze converts it."),
    _feed(
        "liquidation_sums",
        _read_liquidation_sums,
        _liquidation_tasks,
        completeness="sampled",
        caution="Sums of what the exchanges' streams tell, which several of them throttle: lower bounds. USD as Coinalyze "
        "converts it.",
    ),
    _feed(
        "funding",
        _read_funding,
        _funding_tasks,
        caution="The rate in force at 00:00, 08:00 and 16:00 UTC (opening values of candles), not the settlements themselves: of "
        "contracts that settle more often, rates in between are missing. Prefer the venues' own feeds.",
    ),
)
