"""Bybit v5 market REST (``bybit``), as bybit-exchange.github.io/docs/v5 documents it.

Every answer is ``{"retCode", "retMsg", "result", "retExtInfo", "time"}``; lists are newest first. A ``limit`` above the cap
is answered with the cap. ``start`` alone gives the first ``limit`` bars after it; with ``end`` the newest ones up to it.
"""

import base64
from collections.abc import Callable
from typing import Any

from venue_server.candles import Pages, Series
from venue_server.contracts import Contract
from venue_server.text import DAY, HOUR, MINUTE, at, column, fixed, padded, trimmed
from venue_server.wire import Reply, Request, json_reply, raw_json
from venue_server.world import RATE_DECIMALS, Bars, Kind, World

INTERVALS = {
    "1": 1, "3": 3, "5": 5, "15": 15, "30": 30, "60": 60, "120": 120, "240": 240, "360": 360, "720": 720, "D": 1440,
}  # fmt: skip
PERIODS = {"5min": 5, "15min": 15, "30min": 30, "1h": 60, "4h": 240, "1d": 1440}
KINDS: dict[str, Kind] = {
    "kline": "trade", "mark-price-kline": "mark", "index-price-kline": "index", "premium-index-price-kline": "premium",
}  # fmt: skip
SINGLE_SINCE = at("2026-06-11")
"""From here on open interest is also given one-sided, as ``singleOpenInterest``."""
RISK_SYMBOLS_PER_PAGE = 15


class Refusal(Exception):  # noqa: N818 - an answer, not a fault of the server
    """An answer with a ``retCode`` other than 0."""

    def __init__(self, code: int, message: str) -> None:
        super().__init__(message)
        self.code, self.message = code, message


class Bybit:
    """Answers of the market endpoints."""

    def __init__(self, world: World, pages: Pages) -> None:
        self._world, self._pages = world, pages
        self._routes: dict[str, Callable[[Request], Reply]] = {
            "/v5/market/time": self._time,
            "/v5/market/instruments-info": self._instruments,
            "/v5/market/funding/history": self._funding,
            "/v5/market/open-interest": self._open_interest,
            "/v5/market/tickers": self._tickers,
            "/v5/market/risk-limit": self._risk_limit,
            "/v5/market/orderbook": self._orderbook,
            "/v5/market/insurance": self._insurance,
            "/v5/market/adlAlert": self._adl_alert,
            "/v5/market/account-ratio": self._account_ratio,
        }
        for name, kind in KINDS.items():
            self._routes[f"/v5/market/{name}"] = self._klines(kind)

    def __call__(self, request: Request) -> Reply:
        """The answer to a request."""
        route = self._routes.get(request.path)
        if route is None:
            return Reply(404, b"", {"content-type": "text/plain"})
        try:
            return route(request)
        except Refusal as refusal:
            return self._answer({}, refusal.code, refusal.message)
        except ValueError:
            return self._answer({}, 10001, "Request parameter error.")

    def _answer(self, result: Any, code: int = 0, message: str = "OK") -> Reply:
        return json_reply(
            {"retCode": code, "retMsg": message, "result": result, "retExtInfo": {}, "time": self._world.now}
        )

    def _category(self, request: Request) -> str:
        category = request.query.get("category", "")
        if category not in {"linear", "inverse"}:
            raise Refusal(10001, "params error: Category is invalid")
        return category

    def _contract(self, request: Request, category: str | None = None) -> Contract:
        contract = self._world.find("bybit", category or self._category(request), request.query.get("symbol", ""))
        if contract is None:
            raise Refusal(10001, "params error: Symbol Is Invalid")
        return contract

    @staticmethod
    def _limit(request: Request, default: int, most: int) -> int:
        limit = request.number("limit", default) or 0
        if limit < 1:
            raise Refusal(10001, "params error: limit is invalid")
        return min(limit, most)

    def _time(self, _: Request) -> Reply:
        seconds, ms = divmod(self._world.now, 1000)
        return self._answer({"timeSecond": str(seconds), "timeNano": f"{seconds}{ms:03d}000000"})

    # --- bars ---

    def _klines(self, kind: Kind) -> Callable[[Request], Reply]:
        def answer(request: Request) -> Reply:
            # The price klines take linear for granted; the traded one takes spot, which is not served here.
            category = request.query.get("category") or "linear"
            contract = self._contract(request, category)
            if kind == "premium" and category != "linear":
                raise Refusal(10001, "params error: Category is invalid")
            minutes = INTERVALS.get(request.query.get("interval", ""))
            if minutes is None:
                raise Refusal(10001, "params error: Invalid period!")
            start, end = request.number("start"), request.number("end")
            newest = start is None or end is not None
            limit = self._limit(request, 200, 1000)
            series = Series(contract, kind, minutes * MINUTE, WRITERS[kind])
            rows = self._pages.page(series, (start, end), limit, newest=newest)
            return raw_json(
                f'{{"retCode":0,"retMsg":"OK","result":{{"symbol":"{contract.symbol}","category":"{category}",'
                f'"list":[{",".join(reversed(rows))}]}},"retExtInfo":{{}},"time":{self._world.now}}}'
            )

        return answer

    # --- instruments and tiers ---

    def _instruments(self, request: Request) -> Reply:
        category = self._category(request)
        status = request.query.get("status", "Trading")
        symbol = request.query.get("symbol")
        chosen = []
        for contract in self._world.contracts("bybit", category):
            trading = contract.trades_at(self._world.now)
            if status == ("Trading" if trading else "Closed") and symbol in {None, "", contract.symbol}:
                chosen.append(contract)
        page, cursor = self._page(chosen, request, self._limit(request, 500, 1000))
        return self._answer(
            {"category": category, "list": [self._instrument(c) for c in page], "nextPageCursor": cursor}
        )

    @staticmethod
    def _page(items: list[Any], request: Request, size: int) -> tuple[list[Any], str]:
        """A page of a list and the cursor of the next, opaque and percent-encoded as Bybit's are."""
        first = _position(request.query.get("cursor", ""))
        following = first + size
        return items[first:following], _cursor(following) if following < len(items) else ""

    def _instrument(self, contract: Contract) -> dict[str, Any]:
        trading = contract.trades_at(self._world.now)
        step = fixed(1, contract.quantity_decimals)
        return {
            "symbol": contract.symbol,
            "contractType": "InversePerpetual" if contract.inverse else "LinearPerpetual",
            "status": "Trading" if trading else "Closed",
            "baseCoin": contract.code,
            "quoteCoin": contract.quote,
            "launchTime": str(contract.listed),
            "deliveryTime": "0" if contract.delisted is None else str(contract.delisted),
            "deliveryFeeRate": "",
            "priceScale": str(contract.price_decimals),
            "leverageFilter": {"minLeverage": "1", "maxLeverage": "125.00", "leverageStep": "0.01"},
            "priceFilter": {
                "minPrice": fixed(1, contract.price_decimals),
                "maxPrice": "1999999.80",
                "tickSize": fixed(1, contract.price_decimals),
            },
            "lotSizeFilter": {
                "maxOrderQty": "1190.000",
                "minOrderQty": step,
                "qtyStep": step,
                "postOnlyMaxOrderQty": "1190.000",
                "maxMktOrderQty": "500.000",
                "minNotionalValue": "5",
            },
            "unifiedMarginTrade": True,
            "fundingInterval": contract.funding_hours(self._world.now) * 60,
            "settleCoin": contract.settle,
            "copyTrading": "none",
            "upperFundingRate": "0.00375",
            "lowerFundingRate": "-0.00375",
            "isPreListing": False,
            "preListingInfo": None,
            "riskParameters": {"priceLimitRatioX": "0.01", "priceLimitRatioY": "0.02"},
            "displayName": "",
            "symbolType": "",
        }

    def _risk_limit(self, request: Request) -> Reply:
        category = self._category(request)
        if request.query.get("symbol"):
            page, cursor = [self._contract(request)], ""
        else:
            contracts = self._world.trading("bybit", category)
            size = RISK_SYMBOLS_PER_PAGE if category == "linear" else len(contracts)
            page, cursor = self._page(contracts, request, size)
        rows = [row for contract in page for row in self._risk_rows(contract)]
        return self._answer({"category": category, "list": rows, "nextPageCursor": cursor})

    def _risk_rows(self, contract: Contract) -> list[dict[str, Any]]:
        """Rates of inverse contracts are percent (documentation's sample: 0.5 at 100x), those of linear ones fractions."""
        width = 2 if contract.inverse else 4
        return [
            {
                "id": contract.rank * 100 + tier.number,
                "symbol": contract.symbol,
                "riskLimitValue": str(tier.cap),
                "maintenanceMargin": fixed(tier.maintenance, width),
                "initialMargin": fixed(10**8 // tier.leverage, 4 + width),
                "isLowestRisk": int(tier.number == 1),
                "maxLeverage": f"{tier.leverage}.00",
                "mmDeduction": "" if tier.number == 1 else trimmed(tier.deduction_e4, 4),
            }
            for tier in self._world.tiers(contract)
        ]

    # --- funding and open interest ---

    def _funding(self, request: Request) -> Reply:
        category = self._category(request)
        contract = self._contract(request, category)
        start, end = request.number("startTime"), request.number("endTime")
        if start is not None and end is None:
            raise Refusal(10001, "params error: endTime is required when startTime is passed")
        limit = self._limit(request, 200, 200)
        high = self._world.now if end is None else end
        low = high - limit * 8 * HOUR if start is None else start
        times = self._world.funding_times(contract, low, high)[-limit:]
        rows = [
            {
                "symbol": contract.symbol,
                "fundingRate": trimmed(self._world.funding_rate(contract, time), RATE_DECIMALS),
                "fundingRateTimestamp": str(time),
            }
            for time in reversed(times)
        ]
        return self._answer({"category": category, "list": rows})

    def _grid(self, request: Request, contract: Contract, minutes: int | None, limit: int) -> tuple[list[int], str]:
        """Times of a series newest first, and the cursor of the page before them."""
        if minutes is None:
            raise Refusal(10001, "params error: Interval time is invalid")
        step = minutes * MINUTE
        start, end = request.number("startTime"), request.number("endTime")
        last = min(self._world.now, end if end is not None else self._world.now) // step
        if contract.delisted is not None:
            last = min(last, (contract.delisted - 1) // step)
        first = -(-max(contract.listed, start or 0) // step)
        cursor = request.query.get("cursor", "")
        if cursor:
            last = min(last, _position(cursor))
        page = list(range(last, max(first, last - limit + 1) - 1, -1))
        more = bool(page) and page[-1] > first
        return [slot * step for slot in page], _cursor(page[-1] - 1) if more else ""

    def _open_interest(self, request: Request) -> Reply:
        """``openInterest`` is the sum of both sides; inverse counts USD, linear base coin."""
        category = self._category(request)
        contract = self._contract(request, category)
        minutes = PERIODS.get(request.query.get("intervalTime", ""))
        times, cursor = self._grid(request, contract, minutes, self._limit(request, 50, 200))
        rows = [self._open_interest_row(contract, time) for time in times]
        return self._answer({"symbol": contract.symbol, "category": category, "list": rows, "nextPageCursor": cursor})

    def _open_interest_row(self, contract: Contract, time: int) -> dict[str, str]:
        one = self._world.open_interest(contract, time)
        row = {"openInterest": padded(2 * one, contract.quantity_decimals, 8), "timestamp": str(time)}
        if self._world.now >= SINGLE_SINCE:
            row["singleOpenInterest"] = trimmed(one, contract.quantity_decimals)
        return row

    def _account_ratio(self, request: Request) -> Reply:
        contract = self._contract(request)
        minutes = PERIODS.get(request.query.get("period", ""))
        times, cursor = self._grid(request, contract, minutes, self._limit(request, 50, 500))
        rows = []
        for time in times:
            share = self._world.long_share(contract, time)
            rows.append(
                {
                    "symbol": contract.symbol,
                    "buyRatio": fixed(share, 4),
                    "sellRatio": fixed(10_000 - share, 4),
                    "timestamp": str(time),
                }
            )
        return self._answer({"list": rows, "nextPageCursor": cursor})

    # --- now ---

    def _tickers(self, request: Request) -> Reply:
        category = self._category(request)
        chosen = [self._contract(request)] if request.query.get("symbol") else self._world.trading("bybit", category)
        return self._answer({"category": category, "list": [self._ticker(contract) for contract in chosen]})

    def _ticker(self, contract: Contract) -> dict[str, str]:
        """Inverse: volume counts USD and turnover base coin; both-sided open interest as in the history."""
        world, now, pd = self._world, self._world.now, contract.price_decimals
        bar = world.day_bar(contract, now)
        one = world.open_interest(contract, now)
        value, decimals = (
            world.open_interest_base(contract, now) if contract.inverse else world.open_interest_usd(contract, now)
        )
        following = world.next_funding(contract, now)
        bids, asks = world.depth(contract, now, 1)
        row = {
            "symbol": contract.symbol,
            "lastPrice": fixed(bar.close, pd),
            "indexPrice": fixed(world.index_price(contract, now), pd),
            "markPrice": fixed(world.mark_price(contract, now), pd),
            "prevPrice24h": fixed(bar.open, pd),
            "price24hPcnt": fixed((bar.close - bar.open) * 1_000_000 // bar.open, 6),
            "highPrice24h": fixed(bar.high, pd),
            "lowPrice24h": fixed(bar.low, pd),
            "prevPrice1h": fixed(world.last_price(contract, now - HOUR), pd),
            "openInterest": fixed(2 * one, contract.quantity_decimals),
            "openInterestValue": fixed(2 * value, decimals),
            "turnover24h": fixed(*world.turnover(contract, bar)),
            "volume24h": fixed(bar.lots, contract.quantity_decimals),
            "fundingRate": trimmed(world.funding_rate(contract, following), RATE_DECIMALS),
            "nextFundingTime": str(following),
            "predictedDeliveryPrice": "",
            "basisRate": "",
            "deliveryFeeRate": "",
            "deliveryTime": "0",
            "bid1Price": fixed(bids[0][0], pd),
            "bid1Size": fixed(bids[0][1], contract.quantity_decimals),
            "ask1Price": fixed(asks[0][0], pd),
            "ask1Size": fixed(asks[0][1], contract.quantity_decimals),
            "fundingIntervalHour": str(contract.funding_hours(now)),
        }
        if now >= SINGLE_SINCE:
            row["singleOpenInterest"] = fixed(one, contract.quantity_decimals)
            row["singleOpenInterestValue"] = fixed(value, decimals)
        return row

    def _orderbook(self, request: Request) -> Reply:
        contract = self._contract(request)
        bids, asks = self._world.depth(contract, self._world.now, self._limit(request, 25, 1000))
        sides = [
            [[fixed(p, contract.price_decimals), fixed(q, contract.quantity_decimals)] for p, q in side]
            for side in (bids, asks)
        ]
        now = self._world.now
        return self._answer(
            {"s": contract.symbol, "b": sides[0], "a": sides[1], "ts": now, "u": now // MINUTE, "seq": now, "cts": now}
        )

    def _insurance(self, request: Request) -> Reply:
        """Two pools: one shared by all contracts but the first, updated daily, and the first one's own, each minute."""
        now = self._world.now
        symbols = [contract.symbol for contract in self._world.trading("bybit", "linear")]
        coin = request.query.get("coin")
        shared = self._world.insurance("bybit", "USDT", now)
        own = self._world.insurance("bybit", symbols[0], now) // 10
        rows = [
            {"coin": "USDT", "symbols": ",".join(symbols[1:]), "balance": fixed(shared, 2), "value": fixed(shared, 2)},
            {"coin": "USDT", "symbols": symbols[0], "balance": fixed(own, 2), "value": fixed(own, 2)},
        ]
        rows = [row for row in rows if coin in {None, "", row["coin"]}]
        return self._answer({"updatedTime": str(now // DAY * DAY), "list": rows})

    def _adl_alert(self, request: Request) -> Reply:
        now = self._world.now
        wanted = request.query.get("symbol")
        rows = [
            {
                "coin": contract.settle,
                "symbol": contract.symbol,
                "balance": fixed(self._world.insurance("bybit", contract.settle, now), 2),
                "maxBalance": "",
                "insurancePnlRatio": "-0.3",
                "pnlRatio": adl_pnl_ratio(contract, now),
                "adlTriggerThreshold": "10000",
                "adlStopRatio": "-0.25",
            }
            for contract in self._world.trading("bybit")
            if wanted in {None, "", contract.symbol}
        ]
        return self._answer({"updatedTime": str(now // MINUTE * MINUTE), "list": rows})


def adl_pnl_ratio(contract: Contract, at_ms: int) -> str:
    """A contract's drawdown of eight hours as ``adlAlert`` tells it, between -0.399999 and 0."""
    return fixed(-((contract.seed + at_ms // MINUTE * 7_919) % 400_000), 6)


def _cursor(position: int) -> str:
    return base64.urlsafe_b64encode(f"after:{position}".encode()).decode().rstrip("=") + "%3D"


def _position(cursor: str) -> int:
    """The position in a cursor; 0 for none.

    Raises:
        Refusal: Not a cursor of this server.
    """
    if not cursor:
        return 0
    text = cursor.replace("%3D", "").rstrip("=")
    try:
        word, _, number = base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)).decode().partition(":")
        if word == "after":
            return int(number)
    except ValueError:
        pass
    raise Refusal(10001, "params error: cursor is invalid")


def write_trades(contract: Contract, bars: Bars, _: int, __: bool) -> list[str]:
    """Rows of ``kline``: volume in base coin and turnover in quote; inverse: USD and base coin."""
    pd, qd = contract.price_decimals, contract.quantity_decimals
    turnover = column(bars.coin, RATE_DECIMALS) if contract.inverse else column(bars.value, pd + qd)
    prices = [column(ticks, pd) for ticks in (bars.open, bars.high, bars.low, bars.close)]
    return [
        f'["{t}","{o}","{h}","{lo}","{c}","{q}","{v}"]'
        for t, o, h, lo, c, q, v in zip(bars.time.tolist(), *prices, column(bars.lots, qd), turnover, strict=True)
    ]


def _write_reference(decimals: int, bars: Bars) -> list[str]:
    prices = [column(ticks, decimals) for ticks in (bars.open, bars.high, bars.low, bars.close)]
    return [f'["{t}","{o}","{h}","{lo}","{c}"]' for t, o, h, lo, c in zip(bars.time.tolist(), *prices, strict=True)]


def write_prices(contract: Contract, bars: Bars, _: int, __: bool) -> list[str]:
    """Rows of the mark and index price klines."""
    return _write_reference(contract.price_decimals, bars)


def write_premium(_: Contract, bars: Bars, __: int, ___: bool) -> list[str]:
    """Rows of the premium index kline."""
    return _write_reference(RATE_DECIMALS, bars)


WRITERS = {"trade": write_trades, "mark": write_prices, "index": write_prices, "premium": write_premium}
