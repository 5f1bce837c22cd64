"""CoinGlass API v4: open interest, liquidation sums and funding of many exchanges, for paying subscribers.

Documentation: docs.coinglass.com and github.com/coinglass-official/coinglass-api-skills (March 2026). A ``code`` other than "0"
is an error, also inside HTTP 200. Two kinds of questions: by an exchange and its own name of a contract, and by a coin for all
exchanges or for those that are named; the latter have the coin as their symbol, and the venue ``market`` where they add up all.
Bars carry the time at which they open, and of each the opening value is taken: it is true at that time and does not change.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import partial
from typing import Any, Literal

from dagster_project.fetch import paging
from dagster_project.fetch.client import Client, Page
from dagster_project.fetch.hosts import Host, Refusal
from dagster_project.fetch.secrets import header_secret
from dagster_project.fetch.tasks import Task
from dagster_project.lib.errors import DataError
from dagster_project.sources import pairs
from dagster_project.sources.batch import Batch, epoch, number
from dagster_project.sources.feed import Ask, Cadence, Feed, paged

NAME = "coinglass"
PRODUCT = "aggregate"
KEY_VARIABLE = "DELEVER_COINGLASS_KEY"
LICENCE = "CoinGlass API terms: by subscription, own use, no redistribution"
MARKET = "market"

VENUES = {
    "Binance": "binance",
    "OKX": "okx",
    "Bybit": "bybit",
    "Bitget": "bitget",
    "Hyperliquid": "hyperliquid",
    "HTX": "htx",
    "Gate": "gate",
}
"""CoinGlass's names of the exchanges that are asked for one by one, and the venues they are."""

EXCHANGES = (
    "OKX,Binance,HTX,Bitmex,Bitfinex,Bybit,Deribit,Gate,Kraken,KuCoin,CME,Bitget,dYdX,CoinEx,BingX,Coinbase,Gemini,Crypto.com,"
    "Hyperliquid,Bitunix,MEXC,WhiteBIT,Aster,Lighter,EdgeX,Drift,Paradex,Extended,ApeX Omni"
)
"""All that it adds up, as ``supported-exchanges`` had them in March 2026: they must be named, there is no word for all."""

PAIRED = ("Binance", "OKX", "Bybit", "Hyperliquid")
"""Exchanges whose contracts it calls by the exchange's present names."""

INTERVALS = {
    60: "1m",
    180: "3m",
    300: "5m",
    900: "15m",
    1800: "30m",
    3600: "1h",
    14400: "4h",
    21600: "6h",
    28800: "8h",
    43200: "12h",
    86400: "1d",
}
PAGE_ROWS = 1000
FUNDING_SECONDS = 28800

_PLAN = (
    " The plan decides how short intervals may be (Hobbyist: 4 h, Startup: 30 min): set DELEVER_INTERVALS to longer ones, e.g. "
    "14400, or use a key of a higher plan."
)


def _refusal(unknown: Literal["stop", "absent"], document: Any) -> Refusal | None:  # noqa: ANN401 - any JSON
    code = str(document.get("code")) if isinstance(document, dict) else ""
    if code == "0":
        return None
    text = f"answered code {code}: {document.get('msg')}." if isinstance(document, dict) else "answered no object"
    if code in {"401", "403"}:
        return Refusal("stop", text + _PLAN)
    if code == "429":
        return Refusal("rate", text)
    if code in {"400", "404", "422"}:
        return Refusal(unknown, text)
    return Refusal("retry", text)


_RATES = ((30, 60.0),)
# Of a pair that the exchange does not have, the same words come back as of a question that is wrong. Names of pairs are formed
# here by rule, so a wrong one is passed over; everything else in these questions is fixed, and wrong for coins too.
PAIRS = Host("coinglass", "https://open-api-v4.coinglass.com", _RATES, partial(_refusal, "absent"))
COINS = Host("coinglass", "https://open-api-v4.coinglass.com", _RATES, partial(_refusal, "stop"))


def _rows(page: Page) -> list[Any]:
    rows: list[Any] = page.document["data"]
    return rows


def _within(page: Page, first: int, last: int) -> Page:
    """A page that has rows of the stretch, or none: others would be an answer to another question, and lost in raw."""
    try:
        times = [int(row["time"]) for row in _rows(page)]
    except (KeyError, TypeError, ValueError) as error:
        raise DataError(f"{page.url}: the answer has another shape than documented ({error!r}).") from error
    if times and not any(first <= time <= last for time in times):
        raise DataError(f"{page.url}: answers other times than it was asked for.")
    return page


def _history(
    host: Host, path: str, params: Mapping[str, str], ask: Ask, seconds: int
) -> Callable[[Client], Iterator[Page]]:
    """Stretches of bars, none as long as a page: which end of a longer answer is cut off is not documented."""
    step = seconds * 1000

    def pages(client: Client) -> Iterator[Page]:
        secret = header_secret("CG-API-KEY", KEY_VARIABLE)

        def ask_for(first: int, last: int) -> Page:
            span = {"interval": INTERVALS[seconds], "start_time": first, "end_time": last, "limit": PAGE_ROWS}
            return _within(client.get(host, path, {**params, **span}, secret=secret), first, last)

        return paging.windows(ask_for, _rows, ask.first_bar(seconds), ask.end_ms, (PAGE_ROWS - 1) * step, PAGE_ROWS)

    return pages


def _pair_tasks(ask: Ask, path: str, reader: str, seconds: int, exchanges: Iterable[str]) -> Iterator[Task]:
    for exchange in exchanges:
        venue = VENUES[exchange]
        for base in ask.bases:
            for symbol in pairs.linear(venue, base) + pairs.inverse(venue, base):
                yield paged(
                    f"{venue}-{symbol}-{seconds}",
                    ask,
                    reader,
                    _context(venue, symbol, seconds),
                    _history(PAIRS, path, {"exchange": exchange, "symbol": symbol}, ask, seconds),
                )


def _context(venue: str, symbol: str, seconds: int) -> dict[str, str | int]:
    return {"product": PRODUCT, "venue": venue, "venue_symbol": symbol, "period_seconds": seconds}


def _open_interest_tasks(ask: Ask) -> Iterable[Task]:
    for seconds in ask.intervals:
        if seconds not in INTERVALS:
            continue
        # The unit is said outright, since contracts of one answer could be counted in coins.
        for base in ask.bases:
            path, params = "/api/futures/open-interest/aggregated-history", {"symbol": base, "unit": "usd"}
            pages = _history(COINS, path, params, ask, seconds)
            yield paged(f"{MARKET}-{base}-{seconds}", ask, "open_interest", _context(MARKET, base, seconds), pages)
        yield from _pair_tasks(ask, "/api/futures/open-interest/history", "open_interest", seconds, PAIRED)


def _liquidation_tasks(ask: Ask) -> Iterable[Task]:
    path = "/api/futures/liquidation/aggregated-history"
    lists = {venue: exchange for exchange, venue in VENUES.items()} | {MARKET: EXCHANGES}
    for seconds in ask.intervals:
        if seconds not in INTERVALS:
            continue
        for base in ask.bases:
            for venue, exchanges in lists.items():
                pages = _history(COINS, path, {"exchange_list": exchanges, "symbol": base}, ask, seconds)
                context = _context(venue, base, seconds)
                yield paged(f"{venue}-{base}-{seconds}", ask, "liquidation_sums", context, pages)


def _funding_tasks(ask: Ask) -> Iterable[Task]:
    # Hyperliquid settles every hour: its own feed tells each rate.
    exchanges = [exchange for exchange in PAIRED if exchange != "Hyperliquid"]
    return _pair_tasks(ask, "/api/futures/funding-rate/history", "funding", FUNDING_SECONDS, exchanges)


_FROM = "FROM {table} AS r JOIN landed USING (file_number)"
_BAR = '{"time": "VARCHAR", "open": "VARCHAR"}'


def _read_open_interest(batch: Batch) -> str:
    table = batch.json("$.data", _BAR)
    at = epoch("item.time")
    # The sum of the exchanges that CoinGlass follows is not all of the market.
    return f"""
        SELECT file_number, record, {at} AS event_at, {at} AS observed_at,
          TRY_CAST(period_seconds AS BIGINT) AS period_seconds, {number("item.open")} AS open_interest,
          CASE WHEN landed_venue = '{MARKET}' THEN 'partial' END AS completeness
        {_FROM.format(table=table)}"""


def _read_liquidation_sums(batch: Batch) -> str:
    table = batch.json(
        "$.data",
        '{"time": "VARCHAR", "aggregated_long_liquidation_usd": "VARCHAR", "aggregated_short_liquidation_usd": "VARCHAR"}',
    )
    at = epoch("item.time")
    length = "to_seconds(TRY_CAST(period_seconds AS BIGINT))"
    sides = " UNION ALL ".join(
        f"""SELECT file_number, record, {at} AS event_at, {at} AS period_start,
          TRY_CAST(period_seconds AS BIGINT) AS period_seconds, '{side}' AS liquidated_side,
          {number(f"item.aggregated_{side}_liquidation_usd")} AS amount,
          CASE WHEN {at} + {length} > landed.ingested_at THEN 'period still open' END AS excluded
        {_FROM.format(table=table)}"""
        for side in ("long", "short")
    )
    return sides


def _read_funding(batch: Batch) -> str:
    """Rates in force, in per cent there and as fractions in raw, for which the units of raw have a name."""
    table = batch.json("$.data", _BAR)
    at = epoch("item.time")
    return f"""
        SELECT file_number, record, {at} AS event_at, {at} AS funding_time, {number("item.open")} / 100 AS funding_rate
        {_FROM.format(table=table)}"""


def _feed(
    entity: str,
    reader: Callable[[Batch], str],
    tasks: Callable[[Ask], Iterable[Task]],
    completeness: str,
    caution: str,
) -> Feed:
    return Feed(
        name=NAME,
        entity=entity,
        readers={entity: reader},
        origins={"rest": tasks},
        mode="history",
        cadence=Cadence.DAY,
        licence=LICENCE,
        venue=None,
        labels={entity: "coinglass rest"},
        completeness=completeness,
        needs=(KEY_VARIABLE,),
        has_contracts=False,
        caution=caution
        + " How far back it answers depends on the plan and the interval; 30 requests a minute unless DELEVER_RATE_COINGLASS "
        "says what the plan allows (80/60, 300/60, 1200/60).",
    )


FEEDS = (
    _feed(
        "open_interest",
        _read_open_interest,
        _open_interest_tasks,
        "complete",
        "USD as CoinGlass converts it. Venue 'market' is the sum of the exchanges it follows.",
    ),
    _feed(
        "liquidation_sums",
        _read_liquidation_sums,
        _liquidation_tasks,
        "sampled",
        "Sums of what the exchanges' streams tell, which several of them throttle (Binance and OKX: one a second and contract): "
        "lower bounds. Venue 'market' adds up the exchanges of CoinGlass's list of March 2026.",
    ),
    _feed(
        "funding",
        _read_funding,
        _funding_tasks,
        "complete",
        "The rate in force at 00:00, 08:00 and 16:00 UTC (opening values of 8-hour candles), not the settlements themselves: of "
        "contracts that settle more often, rates in between are missing. Prefer the venues' own feeds.",
    ),
)
