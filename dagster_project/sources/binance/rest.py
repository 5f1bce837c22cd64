"""What to ask of Binance's REST API.

Three ways of cutting a range occur. USD-M bars and funding come from old to new, from the start that was asked for. COIN-M bars
are the latest before the end, for at most 200 days (of the premium nothing is said), and what ``/futures/data`` leaves out of a
long range is not documented: these are asked for in stretches that fit into one answer, so it does not matter.
"""

import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from datetime import timedelta
from functools import partial
from typing import Any

from dagster_project.fetch import paging
from dagster_project.fetch.client import Client, Page
from dagster_project.fetch.hosts import Host
from dagster_project.fetch.secrets import Secret
from dagster_project.fetch.tasks import Task
from dagster_project.lib.errors import UsageError
from dagster_project.sources.binance.hosts import CM, PATHS, REST, UM, UM_DATA, UM_FUNDING, bars_weight, signature
from dagster_project.sources.feed import Ask, Contract, paged, snapshot

INTERVALS = {
    60: "1m",
    180: "3m",
    300: "5m",
    900: "15m",
    1800: "30m",
    3600: "1h",
    7200: "2h",
    14400: "4h",
    21600: "6h",
    28800: "8h",
    43200: "12h",
    86400: "1d",
}
ENDPOINTS = {
    "last": "klines",
    "mark": "markPriceKlines",
    "index": "indexPriceKlines",
    "premium": "premiumIndexKlines",
}
RATIOS = {
    "accounts": "globalLongShortAccountRatio",
    "top_accounts": "topLongShortAccountRatio",
    "top_positions": "topLongShortPositionRatio",
    "taker_volume": "takerlongshortRatio",
}

DATA_REACH = timedelta(days=30)
"""How far back ``/futures/data`` answers (USD-M says a month, COIN-M 30 days)."""

_DATA_MARGIN_MS = 2 * 3600 * 1000
"""A start before the reach is an error, and the last tasks of a long run are asked hours after its ``now``."""

_DATA_PERIOD = 300
"""Seconds. As in the archive of metrics, so that both are one series; other periods are the same observations, fewer."""

_DATA_LIMIT = 500
_FUNDING_LIMIT = 1000
_BARS_LIMITS = (99, 499)
"""The most rows a unit of weight."""

_CM_MOST_MS = 200 * 86_400_000
_PLAIN = re.compile(r"[A-Za-z0-9._-]+")


def plain(symbol: str) -> str:
    """A symbol as part of a file's name; some are not written in Latin letters."""
    return symbol if _PLAIN.fullmatch(symbol) else "x" + symbol.encode().hex()


def context_of(contract: Contract) -> dict[str, str | int]:
    """What the files of a contract do not say."""
    return {"product": contract.product, "venue_symbol": contract.venue_symbol}


def interval_of(seconds: int) -> str:
    """The venue's name of a bar's length.

    Raises:
        UsageError: It has no such bars.
    """
    if seconds not in INTERVALS:
        raise UsageError(f"Binance has no bars of {seconds} s, but of {', '.join(map(str, INTERVALS))}.")
    return INTERVALS[seconds]


def pair_of(contract: Contract) -> str:
    """The pair of a contract, under which its index is kept."""
    return contract.base_code + contract.quote_code


def bars(kind: str, reader: str, ask: Ask) -> Iterable[Task]:
    """Bars of traded (``last``), mark, index or premium prices."""
    # Which bar was open is decided by the moment of asking; landing may come a while later.
    moment = {} if ask.is_final else {"asked_at_ms": ask.now_ms}
    for contract in ask.contracts:
        if kind == "premium" and not contract.is_perpetual:
            continue
        for seconds in ask.intervals:
            interval = interval_of(seconds)
            start, end = ask.first_bar(seconds), ask.last_bar(seconds)
            # One more than fits, since a full page may have been cut.
            limit = next((one for one in _BARS_LIMITS if (end - start) // (seconds * 1000) + 1 < one), _BARS_LIMITS[-1])
            named = {"pair": pair_of(contract)} if kind == "index" else {"symbol": contract.venue_symbol}
            params = named | {"interval": interval, "limit": limit}
            yield paged(
                f"{contract.product}-{plain(contract.venue_symbol)}-{kind}-{seconds}",
                ask,
                reader,
                context_of(contract) | {"interval_seconds": seconds, "price_kind": kind} | moment,
                _bar_pages(contract.product, ENDPOINTS[kind], params, (start, end), seconds * 1000),
            )


def _bar_pages(
    product: str, endpoint: str, params: dict[str, Any], span: tuple[int, int], step: int
) -> Callable[[Client], Iterator[Page]]:
    def pages(client: Client) -> Iterator[Page]:
        def ask(first: int, last: int) -> Page:
            query = params | {"startTime": first, "endTime": last}
            return client.get(REST[product], PATHS[product] + endpoint, query, weight=bars_weight(params["limit"]))

        if product == "um":
            return paging.forward(ask, _rows, lambda row: int(row[0]), *span)
        length = min((params["limit"] - 1) * step, _CM_MOST_MS)
        return paging.windows(ask, _rows, *span, length, params["limit"])

    return pages


def klines(ask: Ask) -> Iterable[Task]:
    """Bars of trades."""
    return bars("last", "klines", ask)


def reference_klines(ask: Ask) -> Iterable[Task]:
    """Bars of mark and index prices."""
    yield from bars("mark", "reference_klines", ask)
    yield from bars("index", "reference_klines", ask)


def premium_klines(ask: Ask) -> Iterable[Task]:
    """Bars of the premium index; dated futures have none."""
    return bars("premium", "premium_klines", ask)


def funding(ask: Ask) -> Iterable[Task]:
    """Settled rates, from old to new."""
    for contract in ask.contracts:
        if not contract.is_perpetual:
            continue
        host = UM_FUNDING if contract.product == "um" else CM
        path = PATHS[contract.product] + "fundingRate"
        params = {"symbol": contract.venue_symbol, "limit": _FUNDING_LIMIT}

        def pages(
            client: Client, host: Host = host, path: str = path, params: dict[str, Any] = params
        ) -> Iterator[Page]:
            return paging.forward(
                lambda first, last: client.get(host, path, params | {"startTime": first, "endTime": last}),
                _rows,
                lambda row: int(row["fundingTime"]),
                ask.start_ms,
                ask.end_ms,
            )

        name = f"{contract.product}-{plain(contract.venue_symbol)}"
        yield paged(name, ask, "funding", context_of(contract), pages)


def _data(endpoint: str, reader: str, contract: Contract, suffix: str, extra: dict[str, str], ask: Ask) -> Task:
    """A task for one of the ``/futures/data`` endpoints, which COIN-M names by pair and type of contract."""
    start = max(ask.start_ms, ask.now_ms - int(DATA_REACH.total_seconds()) * 1000 + _DATA_MARGIN_MS)
    host = UM_DATA if contract.product == "um" else CM
    named = {"symbol": contract.venue_symbol} if contract.product == "um" else {"pair": pair_of(contract)}
    params = named | extra | {"period": INTERVALS[_DATA_PERIOD], "limit": _DATA_LIMIT}

    def pages(client: Client) -> Iterator[Page]:
        return paging.windows(
            lambda first, last: client.get(
                host, f"/futures/data/{endpoint}", params | {"startTime": first, "endTime": last}
            ),
            _rows,
            start,
            ask.end_ms,
            (_DATA_LIMIT - 1) * _DATA_PERIOD * 1000,
            _DATA_LIMIT,
        )

    context = context_of(contract) | {"period_seconds": _DATA_PERIOD}
    if reader == "long_short_ratios":
        context["population"] = suffix
    name = f"{contract.product}-{plain(contract.venue_symbol)}" + (f"-{suffix}" if suffix else "")
    # A range that begins before the reach is answered in part: what is left of it may still be asked of the archive.
    return replace(paged(name, ask, reader, context, pages), is_final=ask.is_final and start == ask.start_ms)


def _of_data(ask: Ask) -> Iterator[Contract]:
    """COIN-M tells dated futures of a pair apart by quarter alone, and a symbol does not say which quarter it is in."""
    return (one for one in ask.contracts if one.product == "um" or one.is_perpetual)


def open_interest(ask: Ask) -> Iterable[Task]:
    """Open interest of each five minutes."""
    for contract in _of_data(ask):
        extra = {"contractType": "PERPETUAL"} if contract.product == "cm" else {}
        yield _data("openInterestHist", "open_interest", contract, "", extra, ask)


def ratios(ask: Ask) -> Iterable[Task]:
    """Longs over shorts of each five minutes: of accounts, of the top traders, and of takers' volume.

    COIN-M counts the accounts and positions of a pair with all its contracts; they stand under its perpetual.
    """
    for contract in _of_data(ask):
        for population, endpoint in RATIOS.items():
            is_volume_of_cm = contract.product == "cm" and population == "taker_volume"
            extra = {"contractType": "PERPETUAL"} if is_volume_of_cm else {}
            path = "takerBuySellVol" if is_volume_of_cm else endpoint
            yield _data(path, "long_short_ratios", contract, population, extra, ask)


def depth(ask: Ask) -> Iterable[Task]:
    """The book as it stands: at most 1000 levels a side, which may end close to mid."""
    for contract in ask.contracts:
        path = PATHS[contract.product] + "depth"
        params = {"symbol": contract.venue_symbol, "limit": 1000}
        name = f"{contract.product}-{plain(contract.venue_symbol)}"
        pages = _whole(REST[contract.product], path, params, weight=20)
        yield snapshot(name, ask, "depth", context_of(contract), pages)


def _per_product(endpoint: str, reader: str, ask: Ask, products: Iterable[str], weight: int = 1) -> Iterable[Task]:
    for product in products:
        pages = _whole(REST[product], PATHS[product] + endpoint, {}, weight=weight)
        yield snapshot(product, ask, reader, {"product": product}, pages)


def instruments(ask: Ask) -> Iterable[Task]:
    """Terms of all contracts."""
    return _per_product("exchangeInfo", "instruments", ask, ("um", "cm"))


def tickers(ask: Ask) -> Iterable[Task]:
    """The last 24 hours of all contracts."""
    return _per_product("ticker/24hr", "tickers", ask, ("um", "cm"), weight=40)


def insurance_funds(ask: Ask) -> Iterable[Task]:
    """Balances of the pools; documented for USD-M alone."""
    return _per_product("insuranceBalance", "insurance_funds", ask, ("um",))


def adl_risk(ask: Ask) -> Iterable[Task]:
    """Nearness of auto-deleveraging of all contracts; documented for USD-M alone."""
    return _per_product("symbolAdlRisk", "adl_risk", ask, ("um",))


def leverage_tiers(ask: Ask) -> Iterable[Task]:
    """Brackets of all contracts, as they hold for the owner of the key."""
    for product, host, path in (("um", UM, "/fapi/v1/leverageBracket"), ("cm", CM, "/dapi/v2/leverageBracket")):
        pages = _whole(host, path, {}, secret=signature())
        yield snapshot(product, ask, "leverage_tiers", {"product": product}, pages)


def _whole(
    host: Host, path: str, params: dict[str, Any], *, weight: int = 1, secret: Secret | None = None
) -> Callable[[Client], Iterator[Page]]:
    return lambda client: paging.whole(partial(client.get, host, path, params, weight=weight, secret=secret))


def _rows(page: Page) -> list[Any]:
    rows: list[Any] = page.document
    return rows
