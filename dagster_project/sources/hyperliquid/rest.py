"""Hyperliquid's ``POST /info``: questions and answers. Documentation: hyperliquid.gitbook.io/hyperliquid-docs, info endpoint.

The venue's own exchange has the product ``perp``; exchanges that others run on it (HIP-3, listed by ``perpDexs``) have
``perp_<name>``, and their contracts are written ``<name>:<coin>``. Prices are in USD, sizes in the coin.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from datetime import timedelta
from functools import partial
from typing import Any

from dagster_project.fetch import paging
from dagster_project.fetch.client import Client, Page
from dagster_project.fetch.hosts import Host
from dagster_project.fetch.tasks import Task
from dagster_project.lib.errors import DataError
from dagster_project.sources.batch import Batch, epoch, number
from dagster_project.sources.books import depth_rows
from dagster_project.sources.feed import Ask, Contract, paged, snapshot

# 1,200 weight a minute an address; three quarters of it leave room for whatever else asks from here.
HOST = Host("hyperliquid", "https://api.hyperliquid.xyz", ((900, 60.0),))

CALL_WEIGHT, BOOK_WEIGHT = 20, 2
FUNDINGS_PER_WEIGHT, CANDLES_PER_WEIGHT = 20, 60
PAGE_FUNDINGS = 500
KEPT_CANDLES = 5000
"""The venue answers for the newest so many bars of each length."""

INTERVALS = {
    60: "1m",
    180: "3m",
    300: "5m",
    900: "15m",
    1800: "30m",
    3600: "1h",
    7200: "2h",
    14400: "4h",
    28800: "8h",
    43200: "12h",
    86400: "1d",
}

Pages = Callable[[Client], Iterator[Page]]


def _ask(client: Client, kind: str, weight: int = CALL_WEIGHT, **more: Any) -> Page:  # noqa: ANN401 - JSON
    return client.post(HOST, "/info", {"type": kind, **more}, weight=weight)


def _rows(page: Page) -> list[Any]:
    if not isinstance(page.document, list):
        raise DataError(f"{page.url}: {type(page.document).__name__} where a list is documented.")
    return page.document


def _name(page: Page, entry: Any) -> str:  # noqa: ANN401 - JSON
    if not isinstance(entry, dict) or not isinstance(entry.get("name"), str):
        raise DataError(f"{page.url}: an exchange without a name.")
    return str(entry["name"])


def _context(contract: Contract) -> dict[str, str | int]:
    return {"product": contract.product, "venue_symbol": contract.venue_symbol}


def _of_every_exchange(kind: str) -> Pages:
    """One answer an exchange: the venue's own, which has no name, and those that ``perpDexs`` lists behind a null."""

    def pages(client: Client) -> Iterator[Page]:
        yield from paging.whole(lambda: _ask(client, kind))
        (listed,) = paging.whole(lambda: _ask(client, "perpDexs"))
        for entry in _rows(listed):
            if entry is not None:
                yield from paging.whole(partial(_ask, client, kind, dex=_name(listed, entry)))

    return pages


def instruments_tasks(ask: Ask) -> Iterable[Task]:
    """Terms of all contracts."""
    yield snapshot("all", ask, "instruments", {}, _of_every_exchange("meta"))


def tiers_tasks(ask: Ask) -> Iterable[Task]:
    """Margin tables of all contracts."""
    yield snapshot("all", ask, "leverage_tiers", {}, _of_every_exchange("meta"))


def tickers_tasks(ask: Ask) -> Iterable[Task]:
    """What is true of all contracts now."""
    yield snapshot("all", ask, "tickers", {}, _of_every_exchange("metaAndAssetCtxs"))


def open_interest_tasks(ask: Ask) -> Iterable[Task]:
    """Open interest of all contracts now; the venue keeps no history of it."""
    yield snapshot("all", ask, "open_interest", {}, _of_every_exchange("metaAndAssetCtxs"))


def klines_tasks(ask: Ask) -> Iterable[Task]:
    """Candles, as far back as each length reaches."""
    for contract in ask.contracts:
        for seconds in ask.intervals:
            if seconds in INTERVALS:
                yield from _candles(ask, contract, seconds)


def _candles(ask: Ask, contract: Contract, seconds: int) -> Iterable[Task]:
    reached = (ask.now - timedelta(seconds=KEPT_CANDLES * seconds)).date()
    if reached > ask.end:
        return
    asked = replace(ask, start=max(ask.start, reached))
    start, end = asked.first_bar(seconds), asked.last_bar(seconds)

    def pages(client: Client) -> Iterator[Page]:
        def ask_from(first: int, last: int) -> Page:
            bars = min((last - first) // (seconds * 1000) + 1, KEPT_CANDLES)
            wanted = {
                "coin": contract.venue_symbol,
                "interval": INTERVALS[seconds],
                "startTime": first,
                "endTime": last,
            }
            return _ask(client, "candleSnapshot", CALL_WEIGHT + -(-bars // CANDLES_PER_WEIGHT), req=wanted)

        return paging.forward(ask_from, _rows, lambda row: int(row["t"]), start, end)

    context = _context(contract) | {"interval_seconds": seconds, "price_kind": "last"}
    yield paged(f"{contract.product}-{contract.venue_symbol}-{seconds}", asked, "klines", context, pages)


def funding_tasks(ask: Ask) -> Iterable[Task]:
    """Settled rates, in the venue's whole depth of time."""
    for contract in ask.contracts:

        def pages(client: Client, coin: str = contract.venue_symbol) -> Iterator[Page]:
            def ask_from(first: int, last: int) -> Page:
                hours = min((last - first) // 3_600_000 + 1, PAGE_FUNDINGS)
                weight = CALL_WEIGHT + -(-hours // FUNDINGS_PER_WEIGHT)
                return _ask(client, "fundingHistory", weight, coin=coin, startTime=first, endTime=last)

            return paging.forward(ask_from, _rows, lambda row: int(row["time"]), ask.start_ms, ask.end_ms)

        yield paged(f"{contract.product}-{contract.venue_symbol}", ask, "funding", _context(contract), pages)


def depth_tasks(ask: Ask) -> Iterable[Task]:
    """Order books of 20 levels a side."""
    for contract in ask.contracts:

        def pages(client: Client, coin: str = contract.venue_symbol) -> Iterator[Page]:
            return paging.whole(lambda: _ask(client, "l2Book", BOOK_WEIGHT, coin=coin))

        yield snapshot(f"{contract.product}-{contract.venue_symbol}", ask, "depth", _context(contract), pages)


_FROM = "FROM {table} AS r JOIN landed USING (file_number)"
_ASKED = epoch("asked_at_ms")
_GONE = "CASE WHEN coalesce(TRY_CAST(contract.isDelisted AS BOOLEAN), false) THEN 'delisted' END"


def product_of(coin: str) -> str:
    """SQL of the product that a coin belongs to, whose name is part of its own."""
    return f"CASE WHEN contains({coin}, ':') THEN 'perp_' || lower(split_part({coin}, ':', 1)) ELSE 'perp' END"


def base_of(coin: str) -> str:
    """SQL of the coin without the name of its exchange."""
    return f"split_part({coin}, ':', CASE WHEN contains({coin}, ':') THEN 2 ELSE 1 END)"


def read_instruments(batch: Batch) -> str:
    """Contracts, all linear and perpetual: sizes are coins, so that a contract is worth one. Funding is hourly."""
    table = batch.json(
        "$.universe",
        '{"name": "VARCHAR", "szDecimals": "VARCHAR", "maxLeverage": "VARCHAR", "isDelisted": "VARCHAR"}',
    )
    # The venue's own contracts are settled in USDC; what the others hold as collateral is a number without a name.
    return f"""
        SELECT file_number, record, {product_of("item.name")} AS product, item.name AS venue_symbol, {_ASKED} AS event_at,
          {base_of("item.name")} AS base_code, 'USD' AS quote_code,
          CASE WHEN NOT contains(item.name, ':') THEN 'USDC' END AS settle_code, 'linear' AS contract_type,
          true AS is_perpetual, 1.0 AS contract_value, pow(10, -TRY_CAST(item.szDecimals AS INTEGER)) AS quantity_step,
          {number("item.maxLeverage")} AS max_leverage, 3600 AS funding_interval_seconds,
          CASE WHEN coalesce(TRY_CAST(item.isDelisted AS BOOLEAN), false) THEN 'delisted' ELSE 'trading' END AS status
        {_FROM.format(table=table)}"""


def read_tiers(batch: Batch) -> str:
    """Tiers of each contract's margin table, by a lower bound of position value in USD.

    The maintenance rate is the venue's rule: half of the initial rate at the tier's most leverage. The amount that makes the
    margin continuous is not part of the answer and stays open. A table that is not listed has one tier with the leverage of
    the contract (the venue's numbers below 50 mean such tables).
    """
    whole = batch.json_whole()
    contract = '[{"name": "VARCHAR", "maxLeverage": "VARCHAR", "marginTableId": "VARCHAR", "isDelisted": "VARCHAR"}]'
    tiers = '[{"lowerBound": "VARCHAR", "maxLeverage": "VARCHAR"}]'
    table = batch.derive(f"""
        WITH contracts AS (
          SELECT file_number, unnest(from_json(item->'$.universe', '{contract}')) AS contract FROM {whole}),
        entries AS (SELECT file_number, unnest(from_json(item->'$.marginTables', '["JSON"]')) AS entry FROM {whole}),
        margins AS (
          SELECT file_number, entry->>0 AS id, unnest(from_json(entry->1->'marginTiers', '{tiers}')) AS tier FROM entries)
        SELECT contracts.file_number, contract,
          coalesce(tier, {{'lowerBound': '0', 'maxLeverage': contract.maxLeverage}}) AS tier
        FROM contracts LEFT JOIN margins
          ON margins.file_number = contracts.file_number AND margins.id = contract.marginTableId
        ORDER BY contracts.file_number, contract.name, TRY_CAST(tier.lowerBound AS DOUBLE)""")
    floor, leverage = number("tier.lowerBound"), number("tier.maxLeverage")
    return f"""
        SELECT file_number, record, {product_of("contract.name")} AS product, contract.name AS venue_symbol,
          {_ASKED} AS event_at, row_number() OVER tiers AS tier_number, {floor} AS tier_floor,
          lead({floor}) OVER tiers AS tier_cap, 0.5 / nullif({leverage}, 0) AS maintenance_rate,
          1 / nullif({leverage}, 0) AS initial_rate, {leverage} AS max_leverage, {_GONE} AS excluded
        {_FROM.format(table=table)}
        WINDOW tiers AS (PARTITION BY file_number, contract.name ORDER BY {floor})"""


def _contexts(batch: Batch) -> str:
    """Contracts with what is true of them: two lists of one order."""
    whole = batch.json_whole()
    contract = '[{"name": "VARCHAR", "isDelisted": "VARCHAR"}]'
    fields = (
        '[{"openInterest": "VARCHAR", "markPx": "VARCHAR", "oraclePx": "VARCHAR", "dayNtlVlm": "VARCHAR", '
        '"dayBaseVlm": "VARCHAR", "funding": "VARCHAR"}]'
    )
    # The object has the contracts and the list what is true of them, whichever comes first.
    first = "coalesce(json_type(item, '$[0]'), '') = 'OBJECT'"
    contracts = f"from_json(CASE WHEN {first} THEN item->'$[0].universe' ELSE item->'$[1].universe' END, '{contract}')"
    contexts = f"from_json(CASE WHEN {first} THEN item->'$[1]' ELSE item->'$[0]' END, '{fields}')"
    # Lists of different lengths, or none: which value is whose cannot be known.
    uneven = batch.connection.execute(
        f"SELECT file_number, coalesce(len({contracts}), 0), coalesce(len({contexts}), 0) FROM {whole} "
        f"WHERE NOT coalesce(len({contracts}) = len({contexts}), false)"
    ).fetchall()
    for number_, names, values in uneven:
        batch.refuse_file(number_, f"{names} contracts and {values} contexts")
    return batch.derive(
        f"SELECT file_number, unnest({contracts}) AS contract, unnest({contexts}) AS context FROM {whole} "
        f"WHERE len({contracts}) = len({contexts})"
    )


def read_tickers(batch: Batch) -> str:
    """The rolling day; the index is the oracle's price. The venue tells no last price here."""
    table = _contexts(batch)
    return f"""
        SELECT file_number, record, {product_of("contract.name")} AS product, contract.name AS venue_symbol,
          {_ASKED} AS event_at, {number("context.markPx")} AS mark_price, {number("context.oraclePx")} AS index_price,
          {number("context.dayBaseVlm")} AS volume, {number("context.dayNtlVlm")} AS turnover,
          {number("context.openInterest")} AS open_interest, {number("context.funding")} AS funding_rate, {_GONE} AS excluded
        {_FROM.format(table=table)}"""


def read_open_interest(batch: Batch) -> str:
    """Open interest at the moment of asking."""
    table = _contexts(batch)
    return f"""
        SELECT file_number, record, {product_of("contract.name")} AS product, contract.name AS venue_symbol,
          {_ASKED} AS event_at, {_ASKED} AS observed_at, 0 AS period_seconds,
          {number("context.openInterest")} AS open_interest, {_GONE} AS excluded
        {_FROM.format(table=table)}"""


def read_klines(batch: Batch) -> str:
    """Candles; the volume is in coins."""
    table = batch.json(
        "$",
        '{"t": "VARCHAR", "o": "VARCHAR", "h": "VARCHAR", "l": "VARCHAR", "c": "VARCHAR", "v": "VARCHAR", "n": "VARCHAR"}',
    )
    batch.refuse_mixed_units(table, "item.t")
    start = epoch("item.t")
    length = "to_seconds(TRY_CAST(interval_seconds AS BIGINT))"
    return f"""
        SELECT file_number, record, {start} AS open_time, {start} AS event_at,
          TRY_CAST(interval_seconds AS BIGINT) AS interval_seconds, {number("item.o")} AS open, {number("item.h")} AS high,
          {number("item.l")} AS low, {number("item.c")} AS close, {number("item.v")} AS volume,
          TRY_CAST(item.n AS BIGINT) AS trade_count,
          CASE WHEN {start} + {length} > landed.ingested_at THEN 'bar still open' END AS excluded
        {_FROM.format(table=table)}"""


def read_funding(batch: Batch) -> str:
    """Rates per hour."""
    table = batch.json("$", '{"coin": "VARCHAR", "fundingRate": "VARCHAR", "time": "VARCHAR"}')
    at = epoch("item.time")
    return f"""
        SELECT file_number, record, item.coin AS venue_symbol, {at} AS funding_time, {at} AS event_at,
          {number("item.fundingRate")} AS funding_rate
        {_FROM.format(table=table)}"""


def read_depth(batch: Batch) -> str:
    """Books; an exchange without one for a coin answers null or two empty sides."""
    table = batch.json_whole()
    sides = " UNION ALL ".join(
        f"""SELECT file_number, record, {epoch("item->>'$.time'")} AS observed_at, product, venue_symbol, '{side}' AS side,
          unnest(from_json(item->'$.levels[{index}]', '[{{"px": "VARCHAR", "sz": "VARCHAR"}}]')) AS level
          {_FROM.format(table=table)}"""
        for index, side in enumerate(("bid", "ask"))
    )
    return depth_rows(
        f"SELECT * EXCLUDE (level), {number('level.px')} AS price, {number('level.sz')} AS quantity FROM ({sides})",
        f"""SELECT file_number, record, {epoch("item->>'$.time'")} AS observed_at, product, venue_symbol
        {_FROM.format(table=table)}
        WHERE json_type(item) <> 'NULL' AND coalesce((item->'$.levels')::VARCHAR, '') <> '[[],[]]'""",
    )
