"""What to ask OKX's REST endpoints for an ask: one task per contract (or family, or product)."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from datetime import timedelta
from functools import partial
from typing import Any

from dagster_project.fetch import paging
from dagster_project.fetch.client import Client, Page
from dagster_project.fetch.hosts import Host
from dagster_project.fetch.tasks import Task
from dagster_project.sources.feed import Ask, Contract, paged, snapshot
from dagster_project.sources.okx import api

LIQUIDATIONS_BACK = timedelta(hours=24)
"""How far back a poll pages: OKX answers for 14 to 22 hours of BTC and lags by more than one."""
STATISTICS_ROWS = 1440
"""How many periods back the statistics answer."""
FAMILIES_AT_ONCE = 5
"""Most families in one request for position tiers."""


def klines(ask: Ask) -> Iterable[Task]:
    """Candles of traded prices; 300 a page."""
    return _candles(api.CANDLES, "/api/v5/market/history-candles", "klines", 300, ask)


def reference_klines(ask: Ask) -> Iterable[Task]:
    """Candles of mark prices, and of the index that a perpetual is on; 100 a page."""
    yield from _candles(api.CANDLES, "/api/v5/market/history-mark-price-candles", "mark", 100, ask)
    # Dated futures are on the same indexes.
    perpetuals = replace(ask, contracts=[one for one in ask.contracts if one.is_perpetual])
    yield from _candles(api.HISTORY, "/api/v5/market/history-index-candles", "index", 100, perpetuals)


def _candles(host: Host, path: str, kind: str, most: int, ask: Ask) -> Iterable[Task]:
    reader = "klines" if kind == "klines" else "reference_klines"
    for contract in ask.contracts:
        for seconds in ask.intervals:
            start, end = ask.first_bar(seconds), ask.last_bar(seconds)
            params = {
                "instId": api.index_name(contract) if kind == "index" else contract.venue_symbol,
                "bar": api.bar_name(seconds),
                "limit": _limit(start, end, seconds, most),
            }
            context = api.named(contract) | {"interval_seconds": seconds}
            yield paged(
                f"{contract.product}-{contract.venue_symbol}-{kind}-{seconds}",
                ask,
                reader,
                context if kind == "klines" else context | {"price_kind": kind},
                api.backward(host, path, params, (start, end), _first),
            )


def _first(row: Any) -> int:  # noqa: ANN401 - any JSON
    return int(row[0])


def _limit(start: int, end: int, seconds: int, most: int) -> int:
    """Rows of a page: no more than the range has, since pages have no lower edge."""
    return max(1, min(most, (end - start) // (seconds * 1000) + 1))


def funding(ask: Ask) -> Iterable[Task]:
    """Settled funding rates of perpetuals."""
    for contract in ask.contracts:
        if contract.is_perpetual:
            params = {"instId": contract.venue_symbol, "limit": 100}
            yield paged(
                f"{contract.product}-{contract.venue_symbol}",
                ask,
                "funding",
                api.named(contract),
                api.backward(
                    api.HISTORY,
                    "/api/v5/public/funding-rate-history",
                    params,
                    (ask.start_ms, ask.end_ms),
                    lambda row: int(row["fundingTime"]),
                ),
            )


def open_interest(ask: Ask) -> Iterable[Task]:
    """Open interest by period."""
    return _statistics(api.HISTORY, "/api/v5/rubik/stat/contracts/open-interest-history", "open_interest", {}, ask)


_RATIO_PATHS = {
    "accounts": "long-short-account-ratio-contract",
    "top_accounts": "long-short-account-ratio-contract-top-trader",
    "top_positions": "long-short-position-ratio-contract-top-trader",
}


def long_short_ratios(ask: Ask) -> Iterable[Task]:
    """Longs over shorts of all accounts, of the largest traders' accounts, and of their positions."""
    for population, path in _RATIO_PATHS.items():
        context = {"population": population}
        yield from _statistics(api.RATIOS, f"/api/v5/rubik/stat/contracts/{path}", "long_short_ratios", context, ask)


def _statistics(host: Host, path: str, reader: str, context: dict[str, str], ask: Ask) -> Iterable[Task]:
    for contract in ask.contracts:
        for seconds in ask.intervals:
            start, end = ask.first_bar(seconds), ask.last_bar(seconds)
            oldest = ask.now_ms - STATISTICS_ROWS * seconds * 1000
            if seconds not in api.PERIODS or end < oldest:
                # An answer without rows would pass for a day without open interest.
                continue
            params = {
                "instId": contract.venue_symbol,
                "period": api.PERIODS[seconds],
                "limit": _limit(start, end, seconds, 100),
            }
            yield paged(
                "-".join([contract.product, contract.venue_symbol, *context.values(), str(seconds)]),
                ask,
                reader,
                api.named(contract) | context | {"period_seconds": seconds},
                api.backward(host, path, params, (start, end), _first, edge="end"),
            )


def _whole(host: Host, path: str, params: dict[str, Any]) -> Callable[[Client], Iterator[Page]]:
    return lambda client: paging.whole(partial(client.get, host, path, params))


def _per_product(path: str, reader: str, ask: Ask) -> Iterable[Task]:
    for product, kind in api.PRODUCTS.items():
        yield snapshot(product, ask, reader, {"product": product}, _whole(api.REST, path, {"instType": kind}))


def instruments(ask: Ask) -> Iterable[Task]:
    """Contracts that are listed."""
    return _per_product("/api/v5/public/instruments", "instruments", ask)


def tickers(ask: Ask) -> Iterable[Task]:
    """The last 24 hours."""
    return _per_product("/api/v5/market/tickers", "tickers", ask)


def open_interest_now(ask: Ask) -> Iterable[Task]:
    """Open interest of all contracts at this moment."""
    for task in _per_product("/api/v5/public/open-interest", "open_interest_now", ask):
        # One moment does not make a day: the day's history is still to be fetched.
        yield replace(task, is_final=False)


def depth(ask: Ask) -> Iterable[Task]:
    """Order books of 400 levels a side."""
    for contract in ask.contracts:
        params = {"instId": contract.venue_symbol, "sz": 400}
        name = f"{contract.product}-{contract.venue_symbol}"
        yield snapshot(name, ask, "depth", api.named(contract), _whole(api.REST, "/api/v5/market/books", params))


def _families(contracts: Iterable[Contract]) -> list[str]:
    """Families of the swaps, in a fixed order."""
    return list(dict.fromkeys(api.family(one) for one in contracts if one.product == "swap"))


def chunks(items: Sequence[str], size: int) -> Iterator[Sequence[str]]:
    """The items, so many at a time."""
    for first in range(0, len(items), size):
        yield items[first : first + size]


def leverage_tiers(ask: Ask) -> Iterable[Task]:
    """Position tiers of swaps in cross margin, the mode in which most positions are held; isolated ones are not asked for."""
    for some in chunks(_families(ask.contracts), FAMILIES_AT_ONCE):
        params = {"instType": "SWAP", "tdMode": "cross", "instFamily": ",".join(some)}
        pages = _whole(api.HISTORY, "/api/v5/public/position-tiers", params)
        yield snapshot(f"swap-cross-{some[0]}", ask, "leverage_tiers", {"product": "swap"}, pages)


def insurance_funds(ask: Ask) -> Iterable[Task]:
    """Snapshots of the fund of each swap family."""
    for name in _families(ask.contracts):
        params = {"instType": "SWAP", "instFamily": name, "limit": 100}
        yield paged(
            f"swap-{name}",
            ask,
            "insurance_funds",
            {"product": "swap"},
            api.backward(
                api.HISTORY,
                "/api/v5/public/insurance-fund",
                params,
                (ask.start_ms, ask.end_ms),
                lambda row: int(row["ts"]),
                rows_of=api.details,
            ),
        )


def liquidations(ask: Ask) -> Iterable[Task]:
    """Filled liquidations of the last hours; each poll is kept, since it knows what a later one does not."""
    for name in _families(ask.contracts):
        params = {"instType": "SWAP", "state": "filled", "instFamily": name, "limit": 100}
        pages = api.backward(
            api.HISTORY,
            "/api/v5/public/liquidation-orders",
            params,
            (ask.now_ms - int(LIQUIDATIONS_BACK.total_seconds()) * 1000, ask.now_ms),
            lambda row: int(row["ts"]),
            rows_of=api.details,
        )
        yield snapshot(f"swap-{name}", ask, "liquidations", {"product": "swap"}, pages, LIQUIDATIONS_BACK)
