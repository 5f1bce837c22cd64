"""Bybit v5 derivatives: REST pages (newest first, inclusive edges), the trade archive, and the allLiquidation stream.

Documentation: github.com/bybit-exchange/docs, docs/v5. A page with a ``retCode`` other than 0 is an error inside HTTP 200.
"""

from collections.abc import Callable, Iterable, Iterator
from functools import partial
from pathlib import Path
from typing import Any, Literal

from dagster_project.fetch import paging
from dagster_project.fetch.archive import download
from dagster_project.fetch.client import Client, Page
from dagster_project.fetch.hosts import Host, Refusal
from dagster_project.fetch.tasks import Piece, Task
from dagster_project.recorder import messages
from dagster_project.sources.batch import Batch, epoch, number
from dagster_project.sources.books import depth_rows
from dagster_project.sources.feed import Ask, Cadence, Contract, Feed, paged, snapshot
from dagster_project.sources.pools import pool_name

NAME = "bybit"
PRODUCTS = ("linear", "inverse")
LICENCE = "Bybit API terms: own use, no redistribution"

_RATE_CODES = {10006, 10018}
_PASSING_CODES = {10000, 10016}


def _refusal(document: Any) -> Refusal | None:  # noqa: ANN401 - any JSON
    code = document.get("retCode") if isinstance(document, dict) else None
    if code == 0:
        return None
    text = f"answered retCode {code}: {document.get('retMsg')}" if isinstance(document, dict) else "answered no object"
    if code in _RATE_CODES:
        return Refusal("rate", text)
    return Refusal("retry" if code in _PASSING_CODES or code is None else "stop", text)


# 600 requests in 5 s an address; half of it leaves room for whatever else asks from here.
REST = Host("bybit", "https://api.bybit.com", ((300, 5.0),), _refusal)
ARCHIVE = Host("bybit_archive", "https://public.bybit.com", ((10, 1.0),))

_INTERVALS = {60: "1", 180: "3", 300: "5", 900: "15", 1800: "30", 3600: "60", 14400: "240", 86400: "D"}
_PERIODS = {300: "5min", 900: "15min", 1800: "30min", 3600: "1h", 14400: "4h", 86400: "1d"}


def _list(page: Page) -> list[Any]:
    rows: list[Any] = page.document["result"]["list"]
    return rows


def _backward(
    path: str, params: dict[str, Any], edges: tuple[str, str], time_of: Callable[[Any], int], start: int, end: int
) -> Callable[[Client], Iterator[Page]]:
    """Pages from new to old; both edges are included, and a start alone is an error for funding."""

    def pages(client: Client) -> Iterator[Page]:
        def ask(first: int, last: int) -> Page:
            return client.get(REST, path, params | {edges[0]: first, edges[1]: last})

        return paging.backward(ask, _list, time_of, start, end)

    return pages


def _cursor(path: str, params: dict[str, Any]) -> Callable[[Client], Iterator[Page]]:
    def pages(client: Client) -> Iterator[Page]:
        return paging.by_cursor(
            lambda cursor: client.get(REST, path, params | {"cursor": cursor}),
            lambda page: page.document["result"].get("nextPageCursor"),
        )

    return pages


def _whole(path: str, params: dict[str, Any]) -> Callable[[Client], Iterator[Page]]:
    return lambda client: paging.whole(partial(client.get, REST, path, params))


def _candles(path: str, reader: str, kind: str, ask: Ask) -> Iterable[Task]:
    for contract in ask.contracts:
        for seconds in ask.intervals:
            start, end = ask.first_bar(seconds), ask.last_bar(seconds)
            params = {
                "category": contract.product,
                "symbol": contract.venue_symbol,
                "interval": _INTERVALS[seconds],
                "limit": 1000,
            }
            yield paged(
                f"{contract.product}-{contract.venue_symbol}-{kind}-{seconds}",
                ask,
                reader,
                _context(contract) | {"interval_seconds": str(seconds), "price_kind": kind},
                _backward(path, params, ("start", "end"), lambda row: int(row[0]), start, end),
            )


def _klines_tasks(ask: Ask) -> Iterable[Task]:
    return _candles("/v5/market/kline", "klines", "last", ask)


def _reference_tasks(ask: Ask) -> Iterable[Task]:
    yield from _candles("/v5/market/mark-price-kline", "reference_klines", "mark", ask)
    yield from _candles("/v5/market/index-price-kline", "reference_klines", "index", ask)


def _premium_tasks(ask: Ask) -> Iterable[Task]:
    linear = Ask(ask.start, ask.end, ask.now, [one for one in ask.contracts if one.product == "linear"], ask.intervals)
    return _candles("/v5/market/premium-index-price-kline", "premium_klines", "premium", linear)


def _funding_tasks(ask: Ask) -> Iterable[Task]:
    for contract in ask.contracts:
        if contract.is_perpetual:
            params = {"category": contract.product, "symbol": contract.venue_symbol, "limit": 200}
            yield paged(
                f"{contract.product}-{contract.venue_symbol}",
                ask,
                "funding",
                _context(contract),
                _backward(
                    "/v5/market/funding/history",
                    params,
                    ("startTime", "endTime"),
                    lambda row: int(row["fundingRateTimestamp"]),
                    ask.start_ms,
                    ask.end_ms,
                ),
            )


def _ranged(path: str, reader: str, period_name: str, limit: int, ask: Ask) -> Iterable[Task]:
    for contract in ask.contracts:
        for seconds in ask.intervals:
            if seconds not in _PERIODS:
                continue
            params = {
                "category": contract.product,
                "symbol": contract.venue_symbol,
                period_name: _PERIODS[seconds],
                "startTime": ask.start_ms,
                "endTime": ask.end_ms,
                "limit": limit,
            }
            yield paged(
                f"{contract.product}-{contract.venue_symbol}-{seconds}",
                ask,
                reader,
                _context(contract) | {"period_seconds": str(seconds)},
                _cursor(path, params),
            )


def _open_interest_tasks(ask: Ask) -> Iterable[Task]:
    return _ranged("/v5/market/open-interest", "open_interest", "intervalTime", 200, ask)


def _ratio_tasks(ask: Ask) -> Iterable[Task]:
    return _ranged("/v5/market/account-ratio", "long_short_ratios", "period", 500, ask)


def _per_product(
    path: str, reader: str, ask: Ask, *, limit: int | None = None, has_cursor: bool = False
) -> Iterable[Task]:
    for product in PRODUCTS:
        params = {"category": product, "limit": limit}
        pages = _cursor(path, params) if has_cursor else _whole(path, params)
        yield snapshot(product, ask, reader, {"product": product}, pages)


def _instruments_tasks(ask: Ask) -> Iterable[Task]:
    return _per_product("/v5/market/instruments-info", "instruments", ask, limit=1000, has_cursor=True)


def _tiers_tasks(ask: Ask) -> Iterable[Task]:
    return _per_product("/v5/market/risk-limit", "leverage_tiers", ask, has_cursor=True)


def _tickers_tasks(ask: Ask) -> Iterable[Task]:
    return _per_product("/v5/market/tickers", "tickers", ask)


def _insurance_tasks(ask: Ask) -> Iterable[Task]:
    yield snapshot("all", ask, "insurance_funds", {"product": "all"}, _whole("/v5/market/insurance", {}))


def _adl_tasks(ask: Ask) -> Iterable[Task]:
    yield snapshot("all", ask, "adl_risk", {"product": "all"}, _whole("/v5/market/adlAlert", {}))


def _depth_tasks(ask: Ask) -> Iterable[Task]:
    for contract in ask.contracts:
        params = {"category": contract.product, "symbol": contract.venue_symbol, "limit": 1000}
        name = f"{contract.product}-{contract.venue_symbol}"
        yield snapshot(name, ask, "depth", _context(contract), _whole("/v5/market/orderbook", params))


def _trade_tasks(ask: Ask) -> Iterable[Task]:
    """The trade archive, one file a contract and day."""
    for contract in ask.contracts:
        for day in ask.days:
            symbol = contract.venue_symbol
            path = f"/trading/{symbol}/{symbol}{day}.csv.gz"

            def pieces(client: Client, scratch: Path, path: str = path) -> Iterator[Piece]:
                yield download(client, ARCHIVE, path, scratch)

            yield Task(
                f"trades-{symbol}-{day}",
                day,
                day,
                "archive_trades",
                _context(contract) | {"interval_seconds": "60"},
                pieces,
            )


def _context(contract: Contract) -> dict[str, str]:
    return {"product": contract.product, "venue_symbol": contract.venue_symbol}


_FROM = "FROM {table} AS r JOIN landed USING (file_number)"


def _read_klines(batch: Batch) -> str:
    table = batch.json("$.result.list", '["VARCHAR"]')
    batch.refuse_mixed_units(table, "item[1]")
    return f"""
        SELECT file_number, record, {epoch("item[1]")} AS open_time, {epoch("item[1]")} AS event_at,
          TRY_CAST(interval_seconds AS BIGINT) AS interval_seconds, price_kind,
          {number("item[2]")} AS open, {number("item[3]")} AS high, {number("item[4]")} AS low, {number("item[5]")} AS close,
          {number("item[6]")} AS volume, {number("item[7]")} AS turnover,
          {_open_bar(epoch("item[1]"))} AS excluded
        {_FROM.format(table=table)}"""


def _open_bar(start: str) -> str:
    """The reason to leave a bar out that had not ended when it was asked for."""
    return f"CASE WHEN {start} + to_seconds(TRY_CAST(interval_seconds AS BIGINT)) > landed.ingested_at THEN 'bar still open' END"


def _read_trades(batch: Batch) -> str:
    """One-minute candles from single trades, whose times are seconds with a fraction.

    Turnover as in the venue's own candles: quote currency, and the base coin of inverse contracts.
    """
    columns = ("timestamp", "symbol", "side", "size", "price", "tick", "id", "gross", "home", "foreign", "rpi")
    table = batch.csv(columns, optional=1)
    batch.refuse_mixed_units(table, "timestamp")
    return f"""
        SELECT file_number, min(record) AS record, bar AS open_time, bar AS event_at, 60 AS interval_seconds,
          arg_min(price, (moment, record)) AS open, max(price) AS high, min(price) AS low,
          arg_max(price, (moment, record)) AS close, sum(size) AS volume, sum(value) AS turnover, count(*) AS trade_count,
          sum(size) FILTER (side = 'Buy') AS taker_buy_volume, sum(value) FILTER (side = 'Buy') AS taker_buy_turnover
        FROM (SELECT file_number, record, side, {epoch("timestamp")} AS moment, date_trunc('minute', {epoch("timestamp")}) AS bar,
            {number("price")} AS price, {number("size")} AS size,
            {number('''CASE product WHEN 'inverse' THEN home ELSE "foreign" END''')} AS value
          {_FROM.format(table=table)})
        GROUP BY file_number, bar"""


def _read_funding(batch: Batch) -> str:
    table = batch.json(
        "$.result.list", '{"symbol": "VARCHAR", "fundingRate": "VARCHAR", "fundingRateTimestamp": "VARCHAR"}'
    )
    at = epoch("item.fundingRateTimestamp")
    return f"""
        SELECT file_number, record, item.symbol AS venue_symbol, {at} AS funding_time, {at} AS event_at,
          {number("item.fundingRate")} AS funding_rate
        {_FROM.format(table=table)}"""


def _read_open_interest(batch: Batch) -> str:
    fields = '{"openInterest": "VARCHAR", "singleOpenInterest": "VARCHAR", "timestamp": "VARCHAR"}'
    table = batch.json("$.result.list", fields)
    at = epoch("item.timestamp")
    return f"""
        SELECT file_number, record, TRY_CAST(period_seconds AS BIGINT) AS period_seconds, {at} AS observed_at, {at} AS event_at,
          {number("item.openInterest")} AS open_interest, {number("item.singleOpenInterest")} AS single_open_interest
        {_FROM.format(table=table)}"""


def _read_ratios(batch: Batch) -> str:
    table = batch.json("$.result.list", '{"buyRatio": "VARCHAR", "sellRatio": "VARCHAR", "timestamp": "VARCHAR"}')
    at = epoch("item.timestamp")
    return f"""
        SELECT file_number, record, 'accounts' AS population, TRY_CAST(period_seconds AS BIGINT) AS period_seconds,
          {at} AS observed_at, {at} AS event_at, {number("item.buyRatio")} AS long_share,
          {number("item.buyRatio")} / nullif({number("item.sellRatio")}, 0) AS long_short_ratio
        {_FROM.format(table=table)}"""


_ASKED = epoch("asked_at_ms")


def _read_instruments(batch: Batch) -> str:
    table = batch.json(
        "$.result.list",
        '{"symbol": "VARCHAR", "contractType": "VARCHAR", "status": "VARCHAR", "baseCoin": "VARCHAR", "quoteCoin": "VARCHAR", '
        '"settleCoin": "VARCHAR", "launchTime": "VARCHAR", "deliveryTime": "VARCHAR", "fundingInterval": "VARCHAR", '
        '"leverageFilter": {"maxLeverage": "VARCHAR"}, "priceFilter": {"tickSize": "VARCHAR"}, '
        '"lotSizeFilter": {"qtyStep": "VARCHAR"}}',
    )
    # Linear quantities are in the base code's units, inverse ones in dollars: a contract is worth one of them.
    return f"""
        SELECT file_number, record, item.symbol AS venue_symbol, {_ASKED} AS event_at, item.baseCoin AS base_code,
          item.quoteCoin AS quote_code, item.settleCoin AS settle_code,
          CASE WHEN starts_with(item.contractType, 'Linear') THEN 'linear'
            WHEN starts_with(item.contractType, 'Inverse') THEN 'inverse' END AS contract_type,
          ends_with(item.contractType, 'Perpetual') AS is_perpetual, 1.0 AS contract_value,
          {number("item.priceFilter.tickSize")} AS tick_size, {number("item.lotSizeFilter.qtyStep")} AS quantity_step,
          {number("item.leverageFilter.maxLeverage")} AS max_leverage,
          nullif(TRY_CAST(item.fundingInterval AS BIGINT), 0) * 60 AS funding_interval_seconds, item.status AS status,
          {epoch("nullif(item.launchTime, '0')")} AS listed_at, {epoch("nullif(item.deliveryTime, '0')")} AS delisted_at
        {_FROM.format(table=table)}"""


def _read_tiers(batch: Batch) -> str:
    table = batch.json(
        "$.result.list",
        '{"id": "VARCHAR", "symbol": "VARCHAR", "riskLimitValue": "VARCHAR", "maintenanceMargin": "VARCHAR", '
        '"initialMargin": "VARCHAR", "maxLeverage": "VARCHAR", "mmDeduction": "VARCHAR"}',
    )
    # Documented in percent, seen as fractions: initial margin x leverage is 100 or 1 and tells. Anything else is no rate.
    initial, leverage = number("item.initialMargin"), number("item.maxLeverage")
    scale = f"CASE WHEN abs({initial} * {leverage} - 100) < 2 THEN 0.01 WHEN abs({initial} * {leverage} - 1) < 0.02 THEN 1.0 END"
    return f"""
        SELECT file_number, record, item.symbol AS venue_symbol, {_ASKED} AS event_at,
          dense_rank() OVER tiers AS tier_number,
          coalesce(max({number("item.riskLimitValue")}) OVER (tiers RANGE BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW
            EXCLUDE GROUP), 0) AS tier_floor,
          {number("item.riskLimitValue")} AS tier_cap, {number("item.maintenanceMargin")} * {scale} AS maintenance_rate,
          {number("item.mmDeduction")} AS maintenance_amount, {initial} * {scale} AS initial_rate, {leverage} AS max_leverage
        {_FROM.format(table=table)}
        WINDOW tiers AS (PARTITION BY product, asked_at_ms, item.symbol ORDER BY {number("item.riskLimitValue")})"""


def _read_tickers(batch: Batch) -> str:
    table = batch.json(
        "$.result.list",
        '{"symbol": "VARCHAR", "lastPrice": "VARCHAR", "markPrice": "VARCHAR", "indexPrice": "VARCHAR", "volume24h": "VARCHAR", '
        '"turnover24h": "VARCHAR", "openInterest": "VARCHAR", "singleOpenInterest": "VARCHAR", "fundingRate": "VARCHAR"}',
    )
    return f"""
        SELECT file_number, record, item.symbol AS venue_symbol, {_ASKED} AS event_at,
          {number("item.lastPrice")} AS last_price, {number("item.markPrice")} AS mark_price,
          {number("item.indexPrice")} AS index_price, {number("item.volume24h")} AS volume,
          {number("item.turnover24h")} AS turnover, {number("item.openInterest")} AS open_interest,
          {number("item.singleOpenInterest")} AS single_open_interest, {number("item.fundingRate")} AS funding_rate
        {_FROM.format(table=table)}"""


def _read_insurance(batch: Batch) -> str:
    table = batch.json(
        "$.result.list", '{"coin": "VARCHAR", "symbols": "VARCHAR", "balance": "VARCHAR", "value": "VARCHAR"}'
    )
    symbols = "string_split(nullif(item.symbols, ''), ',')"
    return f"""
        SELECT file_number, record, item.coin || ':' || {pool_name(symbols, "file_number, item.coin")} AS venue_symbol,
          {_ASKED} AS event_at, item.coin AS asset, {number("item.balance")} AS balance, {number("item.value")} AS balance_usd,
          array_to_string(list_sort({symbols}), ',') AS covered_symbols
        {_FROM.format(table=table)}"""


def _read_adl(batch: Batch) -> str:
    table = batch.json(
        "$.result.list",
        '{"symbol": "VARCHAR", "balance": "VARCHAR", "insurancePnlRatio": "VARCHAR", "pnlRatio": "VARCHAR", '
        '"adlTriggerThreshold": "VARCHAR", "adlStopRatio": "VARCHAR"}',
    )
    return f"""
        SELECT file_number, record, item.symbol AS venue_symbol, {_ASKED} AS event_at, {number("item.balance")} AS pool_balance,
          {number("item.pnlRatio")} AS pnl_ratio, {number("item.insurancePnlRatio")} AS insurance_pnl_ratio,
          {number("item.adlTriggerThreshold")} AS trigger_threshold, {number("item.adlStopRatio")} AS stop_ratio
        {_FROM.format(table=table)}"""


def _read_depth(batch: Batch) -> str:
    table = batch.json_whole()
    sides = " UNION ALL ".join(
        f"""SELECT file_number, record, {epoch("item->>'$.result.ts'")} AS observed_at, product, venue_symbol, '{side}' AS side,
          unnest(from_json(item->'$.result.{key}', '[["VARCHAR"]]')) AS level {_FROM.format(table=table)}"""
        for side, key in (("bid", "b"), ("ask", "a"))
    )
    return depth_rows(
        f"SELECT * EXCLUDE (level), {number('level[1]')} AS price, {number('level[2]')} AS quantity FROM ({sides})"
    )


def _read_stream(batch: Batch) -> str:
    table = batch.parquet({"received_at": "TIMESTAMPTZ", "topic": "VARCHAR", "message": "VARCHAR"})
    return messages.BYBIT.format(relation=table)


def _read_messages(batch: Batch) -> str:
    """Messages as JSON lines, as a recorder of someone else's may keep them."""
    table = batch.json_lines()
    text = "NULL::TIMESTAMPTZ AS received_at, NULL AS topic, item::VARCHAR AS message"
    relation = f"(SELECT file_number, record, {text} FROM {table})"
    return messages.BYBIT.format(relation=relation)


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
        labels={entity: "bybit rest"},
        has_contracts=has_contracts,
    )


FEEDS = (
    _feed("instruments", _read_instruments, _instruments_tasks, "snapshot", Cadence.DAY, has_contracts=False),
    Feed(
        name=NAME,
        entity="klines",
        readers={"klines": _read_klines, "archive_trades": _read_trades},
        origins={"rest": _klines_tasks, "archive": _trade_tasks},
        mode="history",
        cadence=Cadence.DAY,
        licence=LICENCE,
        venue=NAME,
        labels={"klines": "bybit rest", "archive_trades": "bybit archive"},
    ),
    _feed("reference_klines", _read_klines, _reference_tasks, "history", Cadence.DAY),
    _feed("premium_klines", _read_klines, _premium_tasks, "history", Cadence.DAY),
    _feed("funding", _read_funding, _funding_tasks, "history", Cadence.DAY),
    _feed("open_interest", _read_open_interest, _open_interest_tasks, "history", Cadence.DAY),
    _feed("long_short_ratios", _read_ratios, _ratio_tasks, "history", Cadence.DAY),
    _feed("leverage_tiers", _read_tiers, _tiers_tasks, "snapshot", Cadence.DAY, has_contracts=False),
    _feed("tickers", _read_tickers, _tickers_tasks, "snapshot", Cadence.QUARTER_HOUR, has_contracts=False),
    # Isolated pools move by the minute, shared ones once a day.
    _feed("insurance_funds", _read_insurance, _insurance_tasks, "snapshot", Cadence.QUARTER_HOUR, has_contracts=False),
    _feed("adl_risk", _read_adl, _adl_tasks, "snapshot", Cadence.QUARTER_HOUR, has_contracts=False),
    _feed("depth", _read_depth, _depth_tasks, "snapshot", Cadence.QUARTER_HOUR),
    Feed(
        name=NAME,
        entity="liquidations",
        readers={"stream_parquet": _read_stream, "messages": _read_messages},
        origins={},
        mode="history",
        cadence=Cadence.DAY,
        licence=LICENCE,
        venue=NAME,
        labels={"stream_parquet": "bybit stream", "messages": "bybit stream"},
    ),
)
