"""OKX v5 public REST (``okx``), as okx.com/docs-v5 documents it: ``{"code", "msg", "data"}``, newest first.

``after`` asks for rows strictly older than it, ``before`` for strictly newer ones. Of several pages both give the newest.
Errors come inside HTTP 200 but for the few that OKX sends with another status. A ``limit`` above the cap gives the cap.
"""

from collections.abc import Callable
from typing import Any

from venue_server.candles import Pages, Series
from venue_server.contracts import Contract
from venue_server.okx_files import market_data_history
from venue_server.text import DAY, HOUR, MINUTE, column, fixed, trimmed
from venue_server.wire import Reply, Request, json_reply, raw_json
from venue_server.world import RATE_DECIMALS, Bars, Kind, World

# Bar: (minutes, hours that its grid is shifted). Without "utc" days, and 6 and 12 hours, are cut at UTC+8.
BARS = {
    "1m": (1, 0), "3m": (3, 0), "5m": (5, 0), "15m": (15, 0), "30m": (30, 0), "1H": (60, 0), "2H": (120, 0), "4H": (240, 0),
    "6H": (360, 4), "12H": (720, 4), "1D": (1440, 16), "6Hutc": (360, 0), "12Hutc": (720, 0), "1Dutc": (1440, 0),
}  # fmt: skip
PERIODS = {"5m": (5, 0), "15m": (15, 0), "30m": (30, 0), "1H": (60, 0), "2H": (120, 0), "4H": (240, 0), "6H": (360, 4),
           "12H": (720, 4), "1D": (1440, 16), "6Hutc": (360, 0), "12Hutc": (720, 0), "1Dutc": (1440, 0)}  # fmt: skip
# Path: (kind, most rows of a page, how many bars back it reaches or None).
CANDLES: dict[str, tuple[Kind, int, int | None]] = {
    "/api/v5/market/candles": ("trade", 300, 1440),
    "/api/v5/market/history-candles": ("trade", 300, None),
    "/api/v5/market/mark-price-candles": ("mark", 100, 1440),
    "/api/v5/market/history-mark-price-candles": ("mark", 100, None),
    "/api/v5/market/index-candles": ("index", 100, 1440),
    "/api/v5/market/history-index-candles": ("index", 100, None),
}
FUNDING_DAYS = 92
"""``funding-rate-history`` reaches back about three months."""
STATISTICS_ROWS = 1440
"""The statistics endpoints reach back this many periods."""
LIQUIDATION_HOURS = 18
LIQUIDATION_LAG = 80 * MINUTE
"""``liquidation-orders`` by REST shows a liquidation only after about this long, and for about ``LIQUIDATION_HOURS``."""


class Refusal(Exception):  # noqa: N818 - an answer, not a fault of the server
    """An answer with a ``code`` other than "0"."""

    def __init__(self, code: str, message: str, status: int = 200) -> None:
        super().__init__(message)
        self.reply = json_reply({"code": code, "msg": message, "data": []}, status)


class Okx:
    """Answers of the public endpoints."""

    def __init__(self, world: World, pages: Pages) -> None:
        self._world, self._pages = world, pages
        self._routes: dict[str, Callable[[Request], Reply]] = {
            "/api/v5/public/time": lambda _: _answer([{"ts": str(world.now)}]),
            "/api/v5/public/instruments": self._instruments,
            "/api/v5/public/funding-rate-history": self._funding,
            "/api/v5/public/funding-rate": self._next_funding,
            "/api/v5/public/open-interest": self._open_interest,
            "/api/v5/public/mark-price": self._mark,
            "/api/v5/public/position-tiers": self._tiers,
            "/api/v5/public/insurance-fund": self._insurance,
            "/api/v5/public/liquidation-orders": self._liquidations,
            "/api/v5/public/market-data-history": lambda request: market_data_history(world, request),
            "/api/v5/market/tickers": self._tickers,
            "/api/v5/market/books": self._books,
            "/api/v5/rubik/stat/contracts/open-interest-history": self._open_interest_history,
            "/api/v5/rubik/stat/contracts/long-short-account-ratio-contract": self._ratio("accounts"),
            "/api/v5/rubik/stat/contracts/long-short-account-ratio-contract-top-trader": self._ratio("top_accounts"),
            "/api/v5/rubik/stat/contracts/long-short-position-ratio-contract-top-trader": self._ratio("top_positions"),
        }
        for path, (kind, most, reach) in CANDLES.items():
            self._routes[path] = self._candles(kind, most, reach)

    def __call__(self, request: Request) -> Reply:
        """The answer to a request."""
        route = self._routes.get(request.path)
        if route is None:
            return json_reply({"code": "404", "data": [], "msg": "Not Found"}, 404)
        try:
            return route(request)
        except Refusal as refusal:
            return refusal.reply
        except ValueError:
            return Refusal("51000", "Parameter error").reply

    # --- parts of requests ---

    @staticmethod
    def _required(request: Request, name: str) -> str:
        value = request.query.get(name, "")
        if not value:
            raise Refusal("50014", f"Parameter {name} can not be empty", 400)
        return value

    def _contract(self, request: Request) -> Contract:
        contract = self._world.find("okx", "swap", self._required(request, "instId"))
        if contract is None:
            raise Refusal("51001", "Instrument ID, Instrument ID code, or Spread ID doesn't exist.")
        return contract

    @staticmethod
    def _limit(request: Request, most: int) -> int:
        limit = request.number("limit", 100) or 0
        if limit < 1:
            raise Refusal("51000", "Parameter limit error")
        return min(limit, most)

    def _swaps(self, request: Request) -> list[Contract]:
        """Swaps that trade, of one family if the request names it; other kinds of instrument have none."""
        if self._required(request, "instType") != "SWAP":
            return []
        chosen = self._world.trading("okx", "swap")
        families = {part for part in request.query.get("instFamily", request.query.get("uly", "")).split(",") if part}
        ids = {request.query["instId"]} if request.query.get("instId") else set()
        return [c for c in chosen if (not families or c.pair in families) and (not ids or c.symbol in ids)]

    # --- bars ---

    def _candles(self, kind: Kind, most: int, reach: int | None) -> Callable[[Request], Reply]:
        def answer(request: Request) -> Reply:
            contract = self._index(request) if kind == "index" else self._contract(request)
            bar = BARS.get(request.query.get("bar", "1m"))
            if bar is None:
                raise Refusal("51000", "Parameter bar error")
            interval = bar[0] * MINUTE
            after, before = request.number("after"), request.number("before")
            low = None if before is None else before + 1
            high = None if after is None else after - 1
            if reach is not None:
                low = max(low or 0, self._world.now - reach * interval)
            series = Series(contract, kind, interval, WRITERS[kind], bar[1] * HOUR)
            rows = self._pages.page(series, (low, high), self._limit(request, most), newest=True)
            return raw_json(f'{{"code":"0","msg":"","data":[{",".join(reversed(rows))}]}}')

        return answer

    def _index(self, request: Request) -> Contract:
        """The contract of an index, whose name is the family (``BTC-USDT``)."""
        wanted = self._required(request, "instId")
        for contract in self._world.contracts("okx", "swap"):
            if contract.pair == wanted:
                return contract
        raise Refusal("51001", "Instrument ID, Instrument ID code, or Spread ID doesn't exist.")

    # --- instruments and tiers ---

    def _instruments(self, request: Request) -> Reply:
        return _answer([self._instrument(contract) for contract in self._swaps(request)])

    def _instrument(self, contract: Contract) -> dict[str, str]:
        step = fixed(1, contract.quantity_decimals)
        return {
            "alias": "",
            "baseCcy": "",
            "category": "1",
            "ctMult": str(contract.contract_multiplier),
            "ctType": "inverse" if contract.inverse else "linear",
            "ctVal": trimmed(contract.contract_num, contract.contract_decimals),
            "ctValCcy": "USD" if contract.inverse else contract.code,
            "expTime": "",
            "instFamily": contract.pair,
            "instId": contract.symbol,
            "instType": "SWAP",
            "lever": "100",
            "listTime": str(contract.listed),
            "lotSz": step,
            "maxIcebergSz": "100000000.0000000000000000",
            "maxLmtSz": "100000000",
            "maxMktSz": "12000",
            "minSz": step,
            "optType": "",
            "quoteCcy": "",
            "ruleType": "normal",
            "settleCcy": contract.settle,
            "state": "live",
            "stk": "",
            "tickSz": fixed(1, contract.price_decimals),
            "uly": contract.pair,
        }

    def _tiers(self, request: Request) -> Reply:
        """Bounds count contracts, both ends inclusive; ``minSz`` of the first tier is 0."""
        if self._required(request, "tdMode") not in {"cross", "isolated"}:
            raise Refusal("51000", "Parameter tdMode error")
        families = self._required(request, "instFamily").split(",")
        if len(families) > 5:
            raise Refusal("51000", "Parameter instFamily error")
        rows = [
            {
                "baseMaxLoan": "",
                "imr": trimmed(10**8 // tier.leverage, 8),
                "instFamily": contract.pair,
                "instId": "",
                "maxLever": str(tier.leverage),
                "maxSz": str(tier_contracts(contract, tier.cap)),
                "minSz": str(tier_contracts(contract, tier.floor) + (1 if tier.floor else 0)),
                "mmr": trimmed(tier.maintenance, 4),
                "optMgnFactor": "0",
                "quoteMaxLoan": "",
                "tier": str(tier.number),
                "uly": contract.pair,
            }
            for contract in self._swaps(request)
            for tier in self._world.tiers(contract)
        ]
        return _answer(rows)

    # --- funding, open interest and ratios ---

    def _funding(self, request: Request) -> Reply:
        contract = self._contract(request)
        after, before = request.number("after"), request.number("before")
        low = max(before + 1 if before is not None else 0, self._world.now - FUNDING_DAYS * DAY)
        high = after - 1 if after is not None else self._world.now
        times = self._world.funding_times(contract, low, high)[-self._limit(request, 400) :]
        rows = []
        for time in reversed(times):
            rate = self._world.funding_rate(contract, time)
            rows.append(
                {
                    "formulaType": "noRate",
                    # What was predicted before the settlement; it differs from what was paid.
                    "fundingRate": fixed(rate + 137, RATE_DECIMALS),
                    "fundingTime": str(time),
                    "instId": contract.symbol,
                    "instType": "SWAP",
                    "method": "current_period",
                    "realizedRate": fixed(rate, RATE_DECIMALS),
                }
            )
        return _answer(rows)

    def _next_funding(self, request: Request) -> Reply:
        wanted = self._required(request, "instId")
        contracts = self._world.trading("okx", "swap") if wanted == "ANY" else [self._contract(request)]
        rows = []
        for contract in contracts:
            time = self._world.next_funding(contract, self._world.now)
            rows.append(
                {
                    "fundingRate": fixed(self._world.funding_rate(contract, time), RATE_DECIMALS),
                    "fundingTime": str(time),
                    "nextFundingTime": str(self._world.next_funding(contract, time)),
                    "nextFundingRate": "",
                    "instId": contract.symbol,
                    "instType": "SWAP",
                    "method": "current_period",
                    "maxFundingRate": "0.00375",
                    "minFundingRate": "-0.00375",
                    "settState": "settled",
                    "ts": str(self._world.now),
                }
            )
        return _answer(rows)

    def _open_interest(self, request: Request) -> Reply:
        now = self._world.now
        return _answer(
            [
                {
                    "instId": contract.symbol,
                    "instType": "SWAP",
                    "oi": fixed(self._world.open_interest(contract, now), contract.quantity_decimals),
                    "oiCcy": trimmed(*self._world.open_interest_base(contract, now)),
                    "oiUsd": trimmed(*self._world.open_interest_usd(contract, now)),
                    "ts": str(now),
                }
                for contract in self._swaps(request)
            ]
        )

    def _mark(self, request: Request) -> Reply:
        now = self._world.now
        return _answer(
            [
                {
                    "instId": contract.symbol,
                    "instType": "SWAP",
                    "markPx": fixed(self._world.mark_price(contract, now), contract.price_decimals),
                    "ts": str(now),
                }
                for contract in self._swaps(request)
            ]
        )

    def _statistics(self, request: Request, contract: Contract, make: Callable[[int], list[str]]) -> Reply:
        """Rows of a statistics endpoint: ``end`` strictly older, ``begin`` strictly newer, newest first."""
        period = PERIODS.get(request.query.get("period", "5m"))
        if period is None:
            raise Refusal("51000", "Parameter period error")
        step, anchor = period[0] * MINUTE, period[1] * HOUR
        begin, end = request.number("begin"), request.number("end")
        now = self._world.now
        first = -(-(max(now - STATISTICS_ROWS * step, contract.listed, (begin or -1) + 1) - anchor) // step)
        last = (min(now, end - 1 if end is not None else now) - anchor) // step
        limit = self._limit(request, 100)
        times = [slot * step + anchor for slot in range(last, max(first, last - limit + 1) - 1, -1)]
        return _answer([[str(time), *make(time)] for time in times if contract.trades_at(time)])

    def _open_interest_history(self, request: Request) -> Reply:
        contract = self._contract(request)
        return self._statistics(
            request,
            contract,
            lambda time: [
                fixed(self._world.open_interest(contract, time), contract.quantity_decimals),
                trimmed(*self._world.open_interest_base(contract, time)),
                trimmed(*self._world.open_interest_usd(contract, time)),
            ],
        )

    def _ratio(self, population: str) -> Callable[[Request], Reply]:
        def answer(request: Request) -> Reply:
            contract = self._contract(request)

            def ratio(time: int) -> list[str]:
                share = self._world.long_share(contract, time, population)
                return [trimmed(share * 10_000 // (10_000 - share), 4)]

            return self._statistics(request, contract, ratio)

        return answer

    # --- now ---

    def _tickers(self, request: Request) -> Reply:
        rows = []
        for contract in self._swaps(request):
            bar = self._world.day_bar(contract, self._world.now)
            pd = contract.price_decimals
            bids, asks = self._world.depth(contract, self._world.now, 1)
            rows.append(
                {
                    "instType": "SWAP",
                    "instId": contract.symbol,
                    "last": fixed(bar.close, pd),
                    "lastSz": fixed(contract.unit, contract.quantity_decimals),
                    "askPx": fixed(asks[0][0], pd),
                    "askSz": fixed(asks[0][1], contract.quantity_decimals),
                    "bidPx": fixed(bids[0][0], pd),
                    "bidSz": fixed(bids[0][1], contract.quantity_decimals),
                    "open24h": fixed(bar.open, pd),
                    "high24h": fixed(bar.high, pd),
                    "low24h": fixed(bar.low, pd),
                    "volCcy24h": trimmed(*self._world.base_volume(contract, bar)),
                    "vol24h": fixed(bar.lots, contract.quantity_decimals),
                    "sodUtc0": fixed(bar.open, pd),
                    "sodUtc8": fixed(bar.open, pd),
                    "ts": str(self._world.now),
                }
            )
        return _answer(rows)

    def _books(self, request: Request) -> Reply:
        contract = self._contract(request)
        size = request.number("sz", 1) or 1
        if size > 400:
            raise Refusal("51000", "Parameter sz error")
        bids, asks = self._world.depth(contract, self._world.now, size)
        sides = [
            [[fixed(p, contract.price_decimals), fixed(q, contract.quantity_decimals), "0", "3"] for p, q in side]
            for side in (bids, asks)
        ]
        return _answer([{"asks": sides[1], "bids": sides[0], "ts": str(self._world.now), "seqId": 1}])

    def _insurance(self, request: Request) -> Reply:
        """One row per family asked for, with a snapshot a day at 08:00 UTC, newest first."""
        if self._required(request, "instType") != "SWAP":
            return _answer([])
        families = request.query.get("instFamily") or request.query.get("uly", "")
        if not families:
            raise Refusal("50014", "Parameter instFamily can not be empty", 400)
        now = self._world.now
        latest = (now - 8 * HOUR) // DAY
        after, before = request.number("after"), request.number("before")
        times = [day * DAY + 8 * HOUR for day in range(latest, latest - 100, -1)]
        times = [t for t in times if (after is None or t < after) and (before is None or t > before)]
        rows = []
        for contract in self._swaps(request):
            details = [
                {
                    "adlType": "",
                    "balance": fixed(self._world.insurance("okx", contract.pair, time), 2),
                    "amt": "",
                    "ccy": contract.settle,
                    "decRate": "",
                    "maxBal": "",
                    "maxBalTs": "",
                    "ts": str(time),
                    "type": "regular_update",
                }
                for time in times[: self._limit(request, 100)]
            ]
            if details:
                rows.append(
                    {
                        "details": details,
                        "instFamily": contract.pair,
                        "instType": "SWAP",
                        "total": fixed(self._world.insurance("okx", "total", now), 2),
                    }
                )
        return _answer(rows)

    def _liquidations(self, request: Request) -> Reply:
        """Filled liquidations of one family, newest first; ``bkPx`` is the bankruptcy price and ``sz`` counts contracts."""
        if request.query.get("state", "filled") != "filled":
            return _answer([])
        family = request.query.get("instFamily") or self._required(request, "uly")
        limit = self._limit(request, 100)
        after, before = request.number("after"), request.number("before")
        now = self._world.now
        low = max(now - LIQUIDATION_HOURS * HOUR, before + 1 if before is not None else 0)
        high = min(now - LIQUIDATION_LAG, after if after is not None else now)
        rows = []
        for contract in self._swaps(request):
            events = self._world.liquidations(contract, low, high)[-limit:]
            details = [
                {
                    "bkLoss": "0",
                    "bkPx": fixed(event.ticks, contract.price_decimals),
                    "ccy": "",
                    "posSide": event.position,
                    # The side of the order that closes the position.
                    "side": "sell" if event.position == "long" else "buy",
                    "sz": fixed(event.lots, contract.quantity_decimals),
                    "time": str(event.time),
                    "ts": str(event.time),
                }
                for event in reversed(events)
            ]
            if details:
                rows.append(
                    {
                        "details": details,
                        "instFamily": family,
                        "instId": contract.symbol,
                        "instType": "SWAP",
                        "totalLoss": "0",
                        "uly": family,
                    }
                )
        return _answer(rows)


def _answer(data: list[Any]) -> Reply:
    return json_reply({"code": "0", "msg": "", "data": data})


def tier_contracts(contract: Contract, bound: int) -> int:
    """A tier's bound in contracts at the base price, at least 1 for a bound that is not 0."""
    price = (contract.base_ticks, 10**contract.price_decimals)
    worth = contract.contract_num * contract.contract_multiplier
    if contract.inverse:
        count = bound * price[0] // price[1] // worth
    else:
        count = bound * 10**contract.contract_decimals * price[1] // (worth * price[0])
    return max(1, count) if bound else 0


def write_trades(contract: Contract, bars: Bars, _: int, closed: bool) -> list[str]:
    """Rows of ``candles``: contracts, base coin, quote (USD for inverse), and whether the bar is closed."""
    pd, qd = contract.price_decimals, contract.quantity_decimals
    # What a contract is worth is a power of ten, so that it moves the point alone.
    moved = contract.contract_decimals - len(str(contract.contract_num * contract.contract_multiplier)) + 1
    if contract.inverse:
        base, quote = column(bars.coin, RATE_DECIMALS), column(bars.lots, qd + moved)
    else:
        base, quote = column(bars.lots, qd + moved), column(bars.value, pd + qd + moved)
    confirm = int(closed)
    prices = [column(ticks, pd) for ticks in (bars.open, bars.high, bars.low, bars.close)]
    return [
        f'["{t}","{o}","{h}","{lo}","{c}","{q}","{b}","{v}","{confirm}"]'
        for t, o, h, lo, c, q, b, v in zip(bars.time.tolist(), *prices, column(bars.lots, qd), base, quote, strict=True)
    ]


def write_prices(contract: Contract, bars: Bars, _: int, closed: bool) -> list[str]:
    """Rows of the mark and index candles."""
    confirm = int(closed)
    prices = [column(ticks, contract.price_decimals) for ticks in (bars.open, bars.high, bars.low, bars.close)]
    return [
        f'["{t}","{o}","{h}","{lo}","{c}","{confirm}"]'
        for t, o, h, lo, c in zip(bars.time.tolist(), *prices, strict=True)
    ]


WRITERS = {"trade": write_trades, "mark": write_prices, "index": write_prices}
