"""Bitget futures: v2 mix market pages, and v3 liquidations (last three days, delayed) and risk reserves.

Documentation: bitget.com/api-doc. Sizes count the base coin in all three products. An answer with a ``code`` other than 00000
is an error, mostly with HTTP 400. Bars are asked by ``endTime`` alone: both edges together may span 90 days only.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from typing import Any, Literal

from dagster_project.fetch import paging
from dagster_project.fetch.client import Client, Page
from dagster_project.fetch.hosts import Host, Refusal
from dagster_project.fetch.tasks import Task
from dagster_project.lib.errors import DataError, UsageError
from dagster_project.sources.batch import Batch, epoch, number
from dagster_project.sources.books import depth_rows
from dagster_project.sources.feed import Ask, Cadence, Contract, Feed, paged, snapshot
from dagster_project.sources.pools import pool_name

NAME = "bitget"
PRODUCTS = {"usdt_futures": "USDT-FUTURES", "coin_futures": "COIN-FUTURES", "usdc_futures": "USDC-FUTURES"}
"""Our names of Bitget's product types."""
LICENCE = "Bitget API terms: own use, no redistribution"

_RATE_CODES = {"429", "30007"}
_PASSING_CODES = {"40010", "40015", "40725", "45001"}
"""Timed out, system error, service error, unknown error."""
_ABSENT_CODES = {"40034", "40309"}
"""No such contract, or one that has been removed."""


def _refusal(document: Any) -> Refusal | None:  # noqa: ANN401 - any JSON
    if not isinstance(document, dict):
        return Refusal("retry", "answered no object")
    code = str(document.get("code"))
    if code == "00000":
        return None
    text = f"answered code {code}: {document.get('msg')}"
    if code in _RATE_CODES:
        return Refusal("rate", text)
    if code in _ABSENT_CODES:
        return Refusal("absent", text)
    return Refusal("retry" if code in _PASSING_CODES or code == "None" else "stop", text)


def _host(name: str, seconds: float) -> Host:
    return Host(name, "https://api.bitget.com", ((1, seconds),), _refusal, shared=NAME)


# Each endpoint has a limit of its own; these take four fifths of it, evenly, since bursts run together on their way.
REST = _host("bitget", 0.0625)
"""Documented 20 requests a second: all of v2 mix market but position tiers."""
TIERS = _host("bitget_tiers", 0.125)
"""Documented 10 requests a second."""
LIQUIDATIONS = _host("bitget_liquidations", 0.25)
"""Documented 5 requests a second."""
SLOW = _host("bitget_slow", 1.25)
"""Documented one request a second for account ratios, three for risk reserves."""

LIQUIDATIONS_BACK = timedelta(days=3)
RATIOS_BACK = timedelta(days=2)
"""Bitget does not say how many periods one answer has; what is older was in an earlier one."""

_MIX = "/api/v2/mix/market"
# Without "utc", bars from six hours on begin by the clock of Hong Kong.
_BARS = {
    60: "1m", 180: "3m", 300: "5m", 900: "15m", 1800: "30m", 3600: "1H", 14400: "4H", 21600: "6Hutc", 43200: "12Hutc",
    86400: "1Dutc",
}  # fmt: skip
_PERIODS = {
    300: "5m", 900: "15m", 1800: "30m", 3600: "1h", 7200: "2h", 14400: "4h", 21600: "6h", 43200: "12h", 86400: "1d",
}  # fmt: skip
_BARS_A_PAGE = 200
_LIQUIDATIONS_A_PAGE = 100


def _data(page: Page) -> list[Any]:
    rows: list[Any] = page.document["data"]
    return rows


def _whole(host: Host, path: str, params: dict[str, Any]) -> Callable[[Client], Iterator[Page]]:
    return lambda client: paging.whole(partial(client.get, host, path, params))


def _named(contract: Contract) -> dict[str, str | int]:
    return {"product": contract.product, "venue_symbol": contract.venue_symbol}


def _params(contract: Contract) -> dict[str, Any]:
    return {"productType": PRODUCTS[contract.product], "symbol": contract.venue_symbol}


def _name(contract: Contract) -> str:
    return f"{contract.product}-{contract.venue_symbol}"


# --- what to ask ---


def _candles(path: str, reader: str, kind: str, ask: Ask) -> Iterable[Task]:
    for contract in ask.contracts:
        for seconds in ask.intervals:
            if seconds not in _BARS:
                raise UsageError(f"Bitget has no bars of {seconds} s; it has {', '.join(str(one) for one in _BARS)}.")
            start, end, step = ask.first_bar(seconds), ask.last_bar(seconds), seconds * 1000
            limit = max(1, min(_BARS_A_PAGE, (end - start) // step + 1))
            yield paged(
                f"{_name(contract)}-{kind}-{seconds}",
                ask,
                reader,
                _named(contract) | {"interval_seconds": seconds, "price_kind": kind},
                _bars(
                    f"{_MIX}/{path}",
                    _params(contract) | {"granularity": _BARS[seconds], "limit": limit},
                    (start, end, step),
                ),
            )


def _bars(path: str, params: dict[str, Any], span: tuple[int, int, int]) -> Callable[[Client], Iterator[Page]]:
    """Pages of bars from new to old; ``endTime`` is rounded down to a bar's start and excludes that bar."""
    start, end, step = span

    def pages(client: Client) -> Iterator[Page]:
        def ask(_: int, last: int) -> Page:
            return client.get(REST, path, params | {"endTime": last + step})

        return paging.backward(ask, _data, lambda row: int(row[0]), start, end)

    return pages


def _klines_tasks(ask: Ask) -> Iterable[Task]:
    return _candles("history-candles", "klines", "last", ask)


def _reference_tasks(ask: Ask) -> Iterable[Task]:
    yield from _candles("history-mark-candles", "reference_klines", "mark", ask)
    yield from _candles("history-index-candles", "reference_klines", "index", ask)


def _funding_tasks(ask: Ask) -> Iterable[Task]:
    """Numbered pages, newest first: a rate that is added meanwhile moves rows to later pages, so none is missed."""
    for contract in ask.contracts:
        if not contract.is_perpetual:
            continue
        params = _params(contract) | {"pageSize": 100}

        def pages(client: Client, params: dict[str, Any] = params) -> Iterator[Page]:
            return paging.by_number(
                lambda page: client.get(REST, f"{_MIX}/history-fund-rate", params | {"pageNo": page}),
                _data,
                lambda rows: min(int(row["fundingTime"]) for row in rows) <= ask.start_ms,
            )

        yield paged(_name(contract), ask, "funding", _named(contract), pages)


def _per_contract(host: Host, path: str, reader: str, ask: Ask, **more: str) -> Iterable[Task]:
    for contract in ask.contracts:
        yield snapshot(
            _name(contract), ask, reader, _named(contract), _whole(host, f"{_MIX}/{path}", _params(contract) | more)
        )


def _open_interest_tasks(ask: Ask) -> Iterable[Task]:
    return _per_contract(REST, "open-interest", "open_interest", ask)


def _tiers_tasks(ask: Ask) -> Iterable[Task]:
    return _per_contract(TIERS, "query-position-lever", "leverage_tiers", ask)


def _depth_tasks(ask: Ask) -> Iterable[Task]:
    return _per_contract(REST, "merge-depth", "depth", ask, precision="scale0", limit="max")


def _per_product(host: Host, path: str, reader: str, key: str, ask: Ask) -> Iterable[Task]:
    for product, name in PRODUCTS.items():
        yield snapshot(product, ask, reader, {"product": product}, _whole(host, path, {key: name}))


def _instruments_tasks(ask: Ask) -> Iterable[Task]:
    return _per_product(REST, f"{_MIX}/contracts", "instruments", "productType", ask)


def _tickers_tasks(ask: Ask) -> Iterable[Task]:
    return _per_product(REST, f"{_MIX}/tickers", "tickers", "productType", ask)


def _insurance_tasks(ask: Ask) -> Iterable[Task]:
    return _per_product(SLOW, "/api/v3/market/risk-reserve-all", "insurance_funds", "category", ask)


def _ratio_tasks(ask: Ask) -> Iterable[Task]:
    """Ratios of USDT futures; the endpoint takes a symbol without a product, so the others cannot be told apart."""
    for contract in ask.contracts:
        for seconds in ask.intervals:
            if contract.product == "usdt_futures" and contract.is_perpetual and seconds in _PERIODS:
                params = {"symbol": contract.venue_symbol, "period": _PERIODS[seconds]}

                def pages(client: Client, params: dict[str, Any] = params) -> Iterator[Page]:
                    # One page, whose rows have times; without any, nothing would say which day it is about.
                    return paging.by_number(
                        lambda _: client.get(SLOW, f"{_MIX}/account-long-short", params),
                        _data,
                        lambda rows: min(int(row["ts"]) for row in rows) > 0,
                    )

                yield snapshot(
                    f"{_name(contract)}-{seconds}",
                    ask,
                    "long_short_ratios",
                    _named(contract) | {"period_seconds": seconds, "population": "accounts"},
                    pages,
                    RATIOS_BACK,
                )


@dataclass
class _Liquidations:
    """Pages of a contract's liquidations, newest first, until they are older than the venue promises to keep."""

    params: dict[str, Any]
    oldest_ms: int
    asked: str | None = None

    def __call__(self, client: Client) -> Iterator[Page]:
        def ask(cursor: str | None) -> Page:
            self.asked = cursor
            return client.get(LIQUIDATIONS, "/api/v3/market/liquidations", self.params | {"cursor": cursor})

        return paging.by_cursor(ask, self.following)

    def following(self, page: Page) -> str | None:
        """Cursor of the next page; None at the end.

        Raises:
            DataError: The answer has another shape than documented.
        """
        try:
            rows, cursor = page.document["data"]["list"], page.document["data"].get("cursor")
            oldest = min((int(row["ts"]) for row in rows), default=0)
        except (KeyError, TypeError, ValueError) as error:
            raise DataError(f"{page.url}: the answer has another shape than documented ({error!r}).") from error
        # The last page may name itself.
        ends = len(rows) < _LIQUIDATIONS_A_PAGE and cursor == self.asked
        return None if ends or oldest < self.oldest_ms else cursor


def _liquidation_tasks(ask: Ask) -> Iterable[Task]:
    oldest = ask.now_ms - int(LIQUIDATIONS_BACK.total_seconds()) * 1000
    for contract in ask.contracts:
        params = {
            "category": PRODUCTS[contract.product],
            "symbol": contract.venue_symbol,
            "limit": _LIQUIDATIONS_A_PAGE,
        }
        pages = _Liquidations(params, oldest)
        yield snapshot(_name(contract), ask, "liquidations", _named(contract), pages, LIQUIDATIONS_BACK)


# --- what the answers say ---

_ASKED = epoch("asked_at_ms")


def _from(table: str) -> str:
    return f"FROM {table} AS r JOIN landed USING (file_number)"


def _price(text: str) -> str:
    """SQL of a price; 0 is what Bitget writes where there has been none."""
    return f"nullif({number(text)}, 0)"


def _read_klines(batch: Batch) -> str:
    table = batch.json("$.data", '["VARCHAR"]')
    batch.refuse_mixed_units(table, "item[1]")
    start = epoch("item[1]")
    return f"""
        SELECT file_number, record, {start} AS open_time, {start} AS event_at, price_kind,
          TRY_CAST(interval_seconds AS BIGINT) AS interval_seconds,
          {number("item[2]")} AS open, {number("item[3]")} AS high, {number("item[4]")} AS low, {number("item[5]")} AS close,
          {number("item[6]")} AS volume, {number("item[7]")} AS turnover,
          CASE WHEN {start} + to_seconds(TRY_CAST(interval_seconds AS BIGINT)) > landed.ingested_at THEN 'bar still open' END
            AS excluded
        {_from(table)}"""


def _read_funding(batch: Batch) -> str:
    table = batch.json("$.data", '{"symbol": "VARCHAR", "fundingRate": "VARCHAR", "fundingTime": "VARCHAR"}')
    at = epoch("item.fundingTime")
    return f"""
        SELECT file_number, record, item.symbol AS venue_symbol, {at} AS funding_time, {at} AS event_at,
          {number("item.fundingRate")} AS funding_rate
        {_from(table)}"""


def _read_open_interest(batch: Batch) -> str:
    # The time stands beside the list, once for all.
    table = batch.json_whole()
    rows = """from_json(item->'$.data.openInterestList', '[{"symbol": "VARCHAR", "size": "VARCHAR"}]')"""
    at = epoch("asked")
    return f"""
        SELECT file_number, record, entry.symbol AS venue_symbol, 0 AS period_seconds, {at} AS observed_at, {at} AS event_at,
          {number("entry.size")} AS open_interest
        FROM (SELECT file_number, record, item->>'$.data.ts' AS asked, unnest(coalesce({rows}, [NULL])) AS entry FROM {table})"""


def _read_tiers(batch: Batch) -> str:
    table = batch.json(
        "$.data",
        '{"symbol": "VARCHAR", "level": "VARCHAR", "startUnit": "VARCHAR", "endUnit": "VARCHAR", "leverage": "VARCHAR", '
        '"keepMarginRate": "VARCHAR"}',
    )
    return f"""
        SELECT file_number, record, item.symbol AS venue_symbol, {_ASKED} AS event_at,
          TRY_CAST(item.level AS BIGINT) AS tier_number, {number("item.startUnit")} AS tier_floor,
          {number("item.endUnit")} AS tier_cap, {number("item.keepMarginRate")} AS maintenance_rate,
          {number("item.leverage")} AS max_leverage
        {_from(table)}"""


def _read_tickers(batch: Batch) -> str:
    table = batch.json(
        "$.data",
        '{"symbol": "VARCHAR", "lastPr": "VARCHAR", "markPrice": "VARCHAR", "indexPrice": "VARCHAR", "baseVolume": "VARCHAR", '
        '"quoteVolume": "VARCHAR", "holdingAmount": "VARCHAR", "fundingRate": "VARCHAR"}',
    )
    return f"""
        SELECT file_number, record, item.symbol AS venue_symbol, {_ASKED} AS event_at, {_price("item.lastPr")} AS last_price,
          {_price("item.markPrice")} AS mark_price, {_price("item.indexPrice")} AS index_price,
          {number("item.baseVolume")} AS volume, {number("item.quoteVolume")} AS turnover,
          {number("item.holdingAmount")} AS open_interest, {number("item.fundingRate")} AS funding_rate
        {_from(table)}"""


def _read_instruments(batch: Batch) -> str:
    table = batch.json(
        "$.data",
        '{"symbol": "VARCHAR", "baseCoin": "VARCHAR", "quoteCoin": "VARCHAR", "priceEndStep": "VARCHAR", '
        '"pricePlace": "VARCHAR", "sizeMultiplier": "VARCHAR", "symbolType": "VARCHAR", "symbolStatus": "VARCHAR", '
        '"offTime": "VARCHAR", "deliveryTime": "VARCHAR", "launchTime": "VARCHAR", "fundInterval": "VARCHAR", '
        '"maxLever": "VARCHAR"}',
    )
    # All sizes count the base coin, so one "contract" is one of it; COIN-M, too, has no contracts of a fixed worth in dollars.
    off = "coalesce(nullif(nullif(item.deliveryTime, ''), '0'), nullif(nullif(item.offTime, ''), '-1'))"
    return f"""
        SELECT file_number, record, item.symbol AS venue_symbol, {_ASKED} AS event_at, item.baseCoin AS base_code,
          item.quoteCoin AS quote_code,
          CASE product WHEN 'coin_futures' THEN item.baseCoin WHEN 'usdt_futures' THEN 'USDT' WHEN 'usdc_futures' THEN 'USDC' END
            AS settle_code,
          CASE product WHEN 'coin_futures' THEN 'inverse' ELSE 'linear' END AS contract_type,
          CASE item.symbolType WHEN 'perpetual' THEN true WHEN 'delivery' THEN false END AS is_perpetual, 1.0 AS contract_value,
          {number("item.priceEndStep")} / pow(10, {number("item.pricePlace")}) AS tick_size,
          {number("item.sizeMultiplier")} AS quantity_step, {number("item.maxLever")} AS max_leverage,
          nullif(TRY_CAST(item.fundInterval AS BIGINT), 0) * 3600 AS funding_interval_seconds, item.symbolStatus AS status,
          {epoch("item.launchTime")} AS listed_at, {epoch(off)} AS delisted_at
        {_from(table)}"""


def _read_ratios(batch: Batch) -> str:
    table = batch.json("$.data", '{"longAccountRatio": "VARCHAR", "longShortAccountRatio": "VARCHAR", "ts": "VARCHAR"}')
    at = epoch("item.ts")
    return f"""
        SELECT file_number, record, population, TRY_CAST(period_seconds AS BIGINT) AS period_seconds, {at} AS observed_at,
          {at} AS event_at, {number("item.longAccountRatio")} AS long_share,
          {number("item.longShortAccountRatio")} AS long_short_ratio
        {_from(table)}"""


def _read_insurance(batch: Batch) -> str:
    # Documented as data.list; a list in data itself is read as well.
    table = batch.json_whole()
    pools = "CASE json_type(item, '$.data') WHEN 'ARRAY' THEN item->'$.data' ELSE item->'$.data.list' END"
    rows = f"""from_json({pools}, '[{{"symbols": ["VARCHAR"], "coin": "VARCHAR", "balance": "VARCHAR"}}]')"""
    pool = pool_name("entry.symbols", "file_number, entry.coin")
    return f"""
        SELECT file_number, record, entry.coin || ':' || {pool} AS venue_symbol, {_ASKED} AS event_at, entry.coin AS asset,
          {number("entry.balance")} AS balance, array_to_string(list_sort(entry.symbols), ',') AS covered_symbols
        FROM (SELECT file_number, record, asked_at_ms, unnest(coalesce({rows}, [NULL])) AS entry {_from(table)})"""


def _read_depth(batch: Batch) -> str:
    table = batch.json_whole()
    at = epoch("item->>'$.data.ts'")
    books = f"SELECT file_number, record, {at} AS observed_at, product, venue_symbol"
    sides = " UNION ALL ".join(
        f"""{books}, '{side}' AS side, unnest(from_json(item->'$.data.{side}s', '[["VARCHAR"]]')) AS level {_from(table)}"""
        for side in ("bid", "ask")
    )
    levels = f"SELECT * EXCLUDE (level), {number('level[1]')} AS price, {number('level[2]')} AS quantity FROM ({sides})"
    return depth_rows(levels, f"{books} {_from(table)}")


def _read_liquidations(batch: Batch) -> str:
    """Events have no identity of their own, so staging tells equal ones of one page apart by their order."""
    table = batch.json(
        "$.data.list",
        '{"symbol": "VARCHAR", "side": "VARCHAR", "price": "VARCHAR", "amount": "VARCHAR", "ts": "VARCHAR"}',
    )
    at = epoch("item.ts")
    return f"""
        SELECT file_number, record, item.symbol AS venue_symbol, {at} AS event_time, {at} AS event_at,
          lower(item.side) AS side, {number("item.amount")} AS quantity, {number("item.price")} AS price
        {_from(table)}"""


def _feed(  # noqa: PLR0913 - what a feed is
    entity: str,
    reader: Callable[[Batch], str],
    tasks: Callable[[Ask], Iterable[Task]],
    mode: Literal["history", "snapshot"],
    cadence: Cadence,
    *,
    reach: timedelta | None = None,
    completeness: str = "complete",
    has_contracts: bool = True,
    caution: str = "",
) -> Feed:
    return Feed(
        name=NAME,
        entity=entity,
        readers={entity: reader},
        origins={"rest": tasks},
        mode=mode,
        cadence=cadence,
        licence=LICENCE,
        venue=NAME,
        labels={entity: "bitget rest"},
        reach=reach,
        completeness=completeness,
        has_contracts=has_contracts,
        caution=caution,
    )


FEEDS = (
    _feed("instruments", _read_instruments, _instruments_tasks, "snapshot", Cadence.DAY, has_contracts=False),
    _feed("klines", _read_klines, _klines_tasks, "history", Cadence.DAY),
    _feed("reference_klines", _read_klines, _reference_tasks, "history", Cadence.DAY),
    _feed("funding", _read_funding, _funding_tasks, "history", Cadence.DAY),
    _feed(
        "open_interest",
        _read_open_interest,
        _open_interest_tasks,
        "snapshot",
        Cadence.QUARTER_HOUR,
        caution="The venue tells the present alone: what is not asked for is lost.",
    ),
    _feed("leverage_tiers", _read_tiers, _tiers_tasks, "snapshot", Cadence.DAY),
    _feed("tickers", _read_tickers, _tickers_tasks, "snapshot", Cadence.QUARTER_HOUR, has_contracts=False),
    # Isolated pools move by the minute, shared ones by the hour.
    _feed("insurance_funds", _read_insurance, _insurance_tasks, "snapshot", Cadence.HOUR, has_contracts=False),
    _feed("depth", _read_depth, _depth_tasks, "snapshot", Cadence.QUARTER_HOUR),
    _feed(
        "long_short_ratios",
        _read_ratios,
        _ratio_tasks,
        "snapshot",
        Cadence.SIX_HOURS,
        reach=RATIOS_BACK,
        caution="USDT futures alone; one request a second. How many periods an answer has is not documented.",
    ),
    _feed(
        "liquidations",
        _read_liquidations,
        _liquidation_tasks,
        "snapshot",
        Cadence.SIX_HOURS,
        reach=LIQUIDATIONS_BACK,
        completeness="polled_window",
        caution="The last three days, delayed, without an identity of events. Public since 2026-06-25.",
    ),
)
