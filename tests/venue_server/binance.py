"""Binance USD-M (``binance_um``) and COIN-M (``binance_cm``) REST, as developers.binance.com documents them.

Where the documentation is silent: a ``limit`` above the cap is refused with -1130, and a span of ``/futures/data/*`` that holds
more rows than ``limit`` gives the newest ones (``data_from_start`` turns that round).
"""

import hmac
from collections.abc import Callable
from hashlib import sha256
from typing import Any

from venue_server.candles import Pages, Series
from venue_server.contracts import Contract
from venue_server.text import DAY, HOUR, MINUTE, at, column, fixed, padded
from venue_server.wire import Reply, Request, json_reply, raw_json
from venue_server.world import RATE_DECIMALS, Bars, Kind, World

INTERVALS = {
    "1m": 1, "3m": 3, "5m": 5, "15m": 15, "30m": 30, "1h": 60, "2h": 120, "4h": 240, "6h": 360, "8h": 480, "12h": 720,
    "1d": 1440,
}  # fmt: skip
PERIODS = {name: INTERVALS[name] for name in ("5m", "15m", "30m", "1h", "2h", "4h", "6h", "12h", "1d")}
KINDS: dict[str, Kind] = {
    "klines": "trade", "markPriceKlines": "mark", "indexPriceKlines": "index", "premiumIndexKlines": "premium",
}  # fmt: skip
RATE_TYPE_SINCE = at("2026-07-28")
"""From here on funding rows carry ``rateType``, and there are special fundings outside the schedule."""
MARK_SINCE = at("2023-10-31")
"""Funding rows before this have an empty ``markPrice``."""
KEY, SECRET = "test-key", "test-secret"
_MONTH = 30 * DAY


class Refusal(Exception):  # noqa: N818 - an answer, not a fault of the server
    """An answer of the form ``{"code", "msg"}``."""

    def __init__(self, code: int, message: str, status: int = 400) -> None:
        super().__init__(message)
        self.reply = json_reply({"code": code, "msg": message}, status)


class Binance:
    """Answers of one of the two markets."""

    def __init__(self, world: World, pages: Pages, product: str) -> None:
        self._world, self._pages, self._product = world, pages, product
        self.data_from_start = False
        # The documentation writes the level in lower case; in August 2026 people were sent LOW.
        self.adl_in_capitals = False
        prefix = "/fapi/v1/" if product == "um" else "/dapi/v1/"
        self._routes: dict[str, Callable[[Request], Reply]] = {
            f"{prefix}ping": lambda _: json_reply({}),
            f"{prefix}time": lambda _: json_reply({"serverTime": world.now}),
            f"{prefix}exchangeInfo": self._exchange_info,
            f"{prefix}fundingRate": self._funding,
            f"{prefix}fundingInfo": self._funding_info,
            f"{prefix}premiumIndex": self._premium_index,
            f"{prefix}openInterest": self._open_interest,
            f"{prefix}ticker/24hr": self._tickers,
            f"{prefix}depth": self._depth,
            f"{prefix}insuranceBalance": self._insurance,
            f"{prefix}symbolAdlRisk": self._adl_risk,
            f"{prefix}leverageBracket": self._brackets,
            "/futures/data/openInterestHist": self._open_interest_hist,
            "/futures/data/globalLongShortAccountRatio": self._ratio("accounts"),
            "/futures/data/topLongShortAccountRatio": self._ratio("top_accounts"),
            "/futures/data/topLongShortPositionRatio": self._ratio("top_positions"),
            "/futures/data/takerlongshortRatio" if product == "um" else "/futures/data/takerBuySellVol": self._taker,
        }
        if product == "cm":
            self._routes["/dapi/v2/leverageBracket"] = self._brackets
        for name, kind in KINDS.items():
            self._routes[prefix + name] = self._klines(kind)

    def __call__(self, request: Request) -> Reply:
        """The answer to a request."""
        route = self._routes.get(request.path)
        if route is None:
            return json_reply({"code": -5000, "msg": f"Path {request.path}, Method {request.method} is invalid"}, 404)
        try:
            reply = route(request)
        except Refusal as refusal:
            return refusal.reply
        except ValueError:
            return Refusal(-1100, "Illegal characters found in a parameter.").reply
        reply.headers.setdefault("x-mbx-used-weight-1m", "1")
        return reply

    # --- parts of requests ---

    def _contract(self, request: Request, name: str = "symbol") -> Contract:
        wanted = self._required(request, name)
        for contract in self._world.contracts("binance", self._product):
            if wanted == (contract.pair if name == "pair" else contract.symbol):
                return contract
        raise Refusal(-1121, "Invalid symbol.")

    @staticmethod
    def _required(request: Request, name: str) -> str:
        value = request.query.get(name, "")
        if not value:
            raise Refusal(-1102, f"Mandatory parameter '{name}' was not sent, was empty/null, or malformed.")
        return value

    @staticmethod
    def _limit(request: Request, default: int, most: int) -> int:
        limit = request.number("limit", default) or 0
        if not 1 <= limit <= most:
            raise Refusal(-1130, "Data sent for parameter 'limit' is not valid.")
        return limit

    @staticmethod
    def _span(request: Request) -> tuple[int | None, int | None]:
        start, end = request.number("startTime"), request.number("endTime")
        if start is not None and end is not None and start > end:
            raise Refusal(-1023, "Start time is greater than end time.")
        return start, end

    def _many(self, request: Request) -> list[Contract]:
        """The contract that a request names, or all that trade."""
        if request.query.get("symbol"):
            return [self._contract(request)]
        return self._world.trading("binance", self._product)

    # --- bars ---

    def _klines(self, kind: Kind) -> Callable[[Request], Reply]:
        def answer(request: Request) -> Reply:
            contract = self._contract(request, "pair" if kind == "index" else "symbol")
            minutes = INTERVALS.get(self._required(request, "interval"))
            if minutes is None:
                raise Refusal(-1120, "Invalid interval.")
            limit = self._limit(request, 500, 1500)
            start, end = self._span(request)
            newest = start is None
            if self._product == "cm":
                start, end = self._cm_span(start, end)
                newest = True
            series = Series(contract, kind, minutes * MINUTE, WRITERS[kind])
            rows = self._pages.page(series, (start, end), limit, newest=newest)
            return raw_json(f"[{','.join(rows)}]", {"x-mbx-used-weight-1m": str(_kline_weight(limit))})

        return answer

    def _cm_span(self, start: int | None, end: int | None) -> tuple[int, int]:
        """COIN-M: at most 200 days, and one end alone means 200 days from it."""
        most = 200 * DAY
        if start is None:
            end = self._world.now if end is None else end
            return end - most, end
        if end is None:
            return start, min(start + most, self._world.now)
        if end - start > most:
            raise Refusal(-1127, "Lookup interval is too big. More than 200 days between startTime and endTime.")
        return start, end

    # --- instruments ---

    def _exchange_info(self, _: Request) -> Reply:
        symbols = [
            self._symbol(contract)
            for contract in self._world.contracts("binance", self._product)
            # A contract that is gone stays listed as settling for a while, then leaves the list.
            if contract.delisted is None or self._world.now < contract.delisted + 30 * DAY
        ]
        return json_reply(
            {
                "timezone": "UTC",
                "serverTime": self._world.now,
                "rateLimits": [
                    {"rateLimitType": "REQUEST_WEIGHT", "interval": "MINUTE", "intervalNum": 1, "limit": 2400}
                ],
                "exchangeFilters": [],
                "symbols": symbols,
            }
        )

    def _symbol(self, contract: Contract) -> dict[str, Any]:
        trading = contract.trades_at(self._world.now)
        tick = fixed(1, contract.price_decimals)
        step = fixed(1, contract.quantity_decimals)
        common = {
            "symbol": contract.symbol,
            "pair": contract.pair,
            "contractType": "PERPETUAL",
            "deliveryDate": 4133404800000 if contract.delisted is None else contract.delisted,
            "onboardDate": contract.listed,
            "maintMarginPercent": "2.5000",
            "requiredMarginPercent": "5.0000",
            "baseAsset": contract.code,
            "quoteAsset": contract.quote,
            "marginAsset": contract.settle,
            "pricePrecision": contract.price_decimals,
            "quantityPrecision": contract.quantity_decimals,
            "baseAssetPrecision": 8,
            "quotePrecision": 8,
            "underlyingType": "COIN",
            "underlyingSubType": [],
            "triggerProtect": "0.0500",
            "liquidationFee": "0.015000",
            "marketTakeBound": "0.05",
            "filters": [
                {"filterType": "PRICE_FILTER", "minPrice": tick, "maxPrice": "4529764", "tickSize": tick},
                {"filterType": "LOT_SIZE", "minQty": step, "maxQty": "10000", "stepSize": step},
                {"filterType": "MARKET_LOT_SIZE", "minQty": step, "maxQty": "1200", "stepSize": step},
                {"filterType": "MAX_NUM_ORDERS", "limit": 200},
            ],
            "orderTypes": ["LIMIT", "MARKET", "STOP", "TAKE_PROFIT"],
            "timeInForce": ["GTC", "IOC", "FOK", "GTX"],
        }
        status = "TRADING" if trading else "SETTLING"
        if self._product == "cm":
            return {**common, "contractStatus": status, "contractSize": contract.contract_num, "equalQtyPrecision": 4}
        return {**common, "status": status, "settlePlan": 0}

    def _funding_info(self, _: Request) -> Reply:
        """Only contracts whose interval or cap was changed are listed; an absent one has 8 hours."""
        return json_reply(
            [
                {
                    "symbol": contract.symbol,
                    "adjustedFundingRateCap": "0.02000000",
                    "adjustedFundingRateFloor": "-0.02000000",
                    "fundingIntervalHours": contract.funding_hours(self._world.now),
                    "disclaimer": False,
                }
                for contract in self._world.trading("binance", self._product)
                if contract.funding_hours(self._world.now) != 8
            ]
        )

    # --- funding ---

    def _funding(self, request: Request) -> Reply:
        limit = self._limit(request, 100, 1000)
        start, end = self._span(request)
        if self._product == "cm":
            self._required(request, "symbol")
        chosen = [self._contract(request)] if request.query.get("symbol") else self._world.contracts("binance", "um")
        newest = start is None
        if newest and end is None and self._product == "um":
            limit = min(limit, 200)
        low = start if start is not None else (end or self._world.now) - limit * 8 * HOUR
        high = end if end is not None else self._world.now
        rows = sorted(
            (row for contract in chosen for row in self._funding_rows(contract, low, high)),
            key=lambda row: row["fundingTime"],
        )
        return json_reply(rows[-limit:] if newest else rows[:limit])

    def _funding_rows(self, contract: Contract, low: int, high: int) -> list[dict[str, Any]]:
        rows = []
        for time in self._world.funding_times(contract, low - HOUR, high):
            stamped = time + funding_jitter(contract, time)
            if low <= stamped <= high and stamped <= self._world.now:
                rows.append(self._funding_row(contract, time, stamped, "Regular"))
        rows += [
            self._funding_row(contract, time, time, "Special")
            for time in special_fundings(contract, low, min(high, self._world.now))
        ]
        return rows

    def _funding_row(self, contract: Contract, time: int, stamped: int, rate_type: str) -> dict[str, Any]:
        mark = padded(self._world.mark_price(contract, time), contract.price_decimals, max(8, contract.price_decimals))
        row = {
            "symbol": contract.symbol,
            "fundingTime": stamped,
            "fundingRate": fixed(self._world.funding_rate(contract, time), RATE_DECIMALS),
            "markPrice": mark if time >= MARK_SINCE else "",
        }
        if self._world.now >= RATE_TYPE_SINCE:
            row["rateType"] = rate_type
        return row

    def _premium_index(self, request: Request) -> Reply:
        now = self._world.now
        rows = [
            {
                "symbol": contract.symbol,
                **({"pair": contract.pair} if self._product == "cm" else {}),
                "markPrice": _price8(contract, self._world.mark_price(contract, now)),
                "indexPrice": _price8(contract, self._world.index_price(contract, now)),
                "estimatedSettlePrice": _price8(contract, self._world.index_price(contract, now)),
                "lastFundingRate": fixed(
                    self._world.funding_rate(contract, self._world.next_funding(contract, now)), RATE_DECIMALS
                ),
                "interestRate": "0.00010000",
                "nextFundingTime": self._world.next_funding(contract, now),
                "time": now,
            }
            for contract in self._many(request)
        ]
        return json_reply(rows[0] if request.query.get("symbol") and self._product == "um" else rows)

    # --- open interest and ratios ---

    def _open_interest(self, request: Request) -> Reply:
        contract = self._contract(request)
        row = {
            "symbol": contract.symbol,
            "openInterest": fixed(self._world.open_interest(contract, self._world.now), contract.quantity_decimals),
            "time": self._world.now,
        }
        if self._product == "cm":
            row |= {"pair": contract.pair, "contractType": "PERPETUAL"}
        return json_reply(row)

    def _data_times(self, request: Request, most_age: int) -> list[int]:
        """Times of ``/futures/data`` rows: the period's grid within the span, at most ``limit``."""
        minutes = PERIODS.get(self._required(request, "period"))
        if minutes is None:
            raise Refusal(-1130, "Data sent for parameter 'period' is not valid.")
        limit = self._limit(request, 30, 500)
        start, end = self._span(request)
        oldest = self._world.now - most_age
        if start is not None and start < oldest:
            raise Refusal(-1130, "parameter 'startTime' is invalid.")
        if end is not None and end < oldest:
            raise Refusal(-1130, "parameter 'endTime' is invalid.")
        step = minutes * MINUTE
        first = -(-max(oldest, start or 0) // step)
        last = min(self._world.now, end if end is not None else self._world.now) // step
        if self.data_from_start and start is not None:
            last = min(last, first + limit - 1)
        return [slot * step for slot in range(max(first, last - limit + 1), last + 1)]

    def _open_interest_hist(self, request: Request) -> Reply:
        if self._product == "cm":
            contract = self._contract(request, "pair")
            if self._required(request, "contractType") not in {"ALL", "PERPETUAL"}:
                return json_reply([])
        else:
            contract = self._contract(request)
        times = self._data_times(request, _MONTH)
        return json_reply([self._open_interest_row(contract, time) for time in times if contract.trades_at(time)])

    def _open_interest_row(self, contract: Contract, time: int) -> dict[str, Any]:
        """COIN-M counts contracts, and what it calls the value is base coin."""
        lots = self._world.open_interest(contract, time)
        if self._product == "cm":
            return {
                "pair": contract.pair,
                "contractType": "PERPETUAL",
                "sumOpenInterest": padded(lots, contract.quantity_decimals, 8),
                "sumOpenInterestValue": fixed(*self._world.open_interest_base(contract, time)),
                "timestamp": time,
            }
        return {
            "symbol": contract.symbol,
            "sumOpenInterest": padded(lots, contract.quantity_decimals, 8),
            "sumOpenInterestValue": _eight(*self._world.open_interest_usd(contract, time)),
            "CMCCirculatingSupply": "0.00000000",
            "timestamp": time,
        }

    def _ratio(self, population: str) -> Callable[[Request], Reply]:
        def answer(request: Request) -> Reply:
            name = "pair" if self._product == "cm" else "symbol"
            contract = self._contract(request, name)
            rows = []
            for time in self._data_times(request, _MONTH):
                share = self._world.long_share(contract, time, population)
                long, short = ("longPosition", "shortPosition") if (
                    population == "top_positions" and self._product == "cm"
                ) else ("longAccount", "shortAccount")  # fmt: skip
                rows.append(
                    {
                        name: getattr(contract, name),
                        long: fixed(share, 4),
                        "longShortRatio": fixed(share * 10_000 // (10_000 - share), 4),
                        short: fixed(10_000 - share, 4),
                        "timestamp": time,
                    }
                )
            return json_reply(rows)

        return answer

    def _taker(self, request: Request) -> Reply:
        contract = self._contract(request, "pair" if self._product == "cm" else "symbol")
        rows = []
        step = PERIODS.get(request.query.get("period", ""), 5) * MINUTE
        for time in self._data_times(request, _MONTH):
            bar = self._world.candle(contract, time, step)
            sold = bar.lots - bar.taker_lots
            bought, other = fixed(bar.taker_lots, contract.quantity_decimals), fixed(sold, contract.quantity_decimals)
            if self._product == "um":
                ratio = fixed(bar.taker_lots * 10_000 // max(1, sold), 4)
                rows.append({"buySellRatio": ratio, "buyVol": bought, "sellVol": other, "timestamp": time})
            else:
                rows.append(
                    {
                        "pair": contract.pair, "contractType": "PERPETUAL", "takerBuyVol": bought, "takerSellVol": other,
                        "takerBuyVolValue": fixed(bar.taker_coin, 8),
                        "takerSellVolValue": fixed(bar.coin - bar.taker_coin, 8), "timestamp": time,
                    }
                )  # fmt: skip
        return json_reply(rows)

    # --- now ---

    def _tickers(self, request: Request) -> Reply:
        rows = [self._ticker(contract) for contract in self._many(request)]
        single = request.query.get("symbol") and self._product == "um"
        return json_reply(rows[0] if single else rows)

    def _ticker(self, contract: Contract) -> dict[str, Any]:
        bar = self._world.day_bar(contract, self._world.now)
        decimals = contract.price_decimals
        row = {
            "symbol": contract.symbol,
            "priceChange": fixed(bar.close - bar.open, decimals),
            "priceChangePercent": fixed((bar.close - bar.open) * 100_000 // bar.open, 3),
            "weightedAvgPrice": fixed(bar.value // bar.lots, decimals),
            "lastPrice": fixed(bar.close, decimals),
            "lastQty": fixed(contract.unit, contract.quantity_decimals),
            "openPrice": fixed(bar.open, decimals),
            "highPrice": fixed(bar.high, decimals),
            "lowPrice": fixed(bar.low, decimals),
            "volume": fixed(bar.lots, contract.quantity_decimals),
            "openTime": self._world.now // MINUTE * MINUTE - DAY,
            "closeTime": self._world.now,
            "firstId": 1,
            "lastId": bar.trades,
            "count": bar.trades,
        }
        turnover = fixed(*self._world.turnover(contract, bar))
        if self._product == "cm":
            return {**row, "pair": contract.pair, "baseVolume": turnover}
        return {**row, "quoteVolume": turnover}

    def _depth(self, request: Request) -> Reply:
        contract = self._contract(request)
        limit = request.number("limit", 500) or 0
        if limit not in {5, 10, 20, 50, 100, 500, 1000}:
            raise Refusal(-4021, f"'{limit}' is not valid depth limit.")
        bids, asks = self._world.depth(contract, self._world.now, limit)
        book = {
            "lastUpdateId": self._world.now // MINUTE,
            "E": self._world.now,
            "T": self._world.now - 5,
            "bids": [[fixed(p, contract.price_decimals), fixed(q, contract.quantity_decimals)] for p, q in bids],
            "asks": [[fixed(p, contract.price_decimals), fixed(q, contract.quantity_decimals)] for p, q in asks],
        }
        if self._product == "cm":
            book |= {"symbol": contract.symbol, "pair": contract.pair}
        return json_reply(book)

    def _insurance(self, request: Request) -> Reply:
        symbols = [contract.symbol for contract in self._world.trading("binance", self._product)]
        asked = request.query.get("symbol")
        if asked:
            self._contract(request)
        day = self._world.now // DAY * DAY
        pools = [
            {
                "symbols": symbols,
                "assets": [
                    {
                        "asset": asset,
                        "marginBalance": padded(self._world.insurance("binance", asset, day), 2, 8),
                        "updateTime": day,
                    }
                    for asset in (("USDT", "BNB") if self._product == "um" else ("BTC", "ETH"))
                ],
            }
        ]
        return json_reply(pools[0] if asked else pools)

    def _adl_risk(self, request: Request) -> Reply:
        half = self._world.now // (30 * MINUTE)
        rows = [
            {
                "symbol": contract.symbol,
                "adlRisk": adl_level(contract, half).upper() if self.adl_in_capitals else adl_level(contract, half),
                "updateTime": half * 30 * MINUTE,
            }
            for contract in self._many(request)
        ]
        return json_reply(rows[0] if request.query.get("symbol") else rows)

    def _brackets(self, request: Request) -> Reply:
        """Signed: the key in ``X-MBX-APIKEY``, and ``signature`` the HMAC-SHA256 of the rest of the query."""
        if request.headers.get("x-mbx-apikey") != KEY:
            raise Refusal(-2014, "API-key format invalid.", 401)
        self._required(request, "timestamp")
        signed, _, signature = request.query_text.rpartition("&signature=")
        if not hmac.compare_digest(hmac.new(SECRET.encode(), signed.encode(), sha256).hexdigest(), signature):
            raise Refusal(-1022, "Signature for this request is not valid.")
        rows = [self._bracket(contract) for contract in self._many(request)]
        return json_reply(rows)

    def _bracket(self, contract: Contract) -> dict[str, Any]:
        um = self._product == "um"
        names = ("notionalFloor", "notionalCap") if um else ("qtyFloor", "qtyCap")
        brackets = [
            {
                "bracket": tier.number,
                "initialLeverage": tier.leverage,
                names[0]: tier.floor,
                names[1]: tier.cap,
                "maintMarginRatio": tier.maintenance / 10_000,
                "cum": tier.deduction_e4 / 10_000,
            }
            for tier in self._world.tiers(contract)
        ]
        return {"symbol": contract.symbol, "notionalCoef": 1.0, "brackets": brackets}


def funding_jitter(contract: Contract, funding_ms: int) -> int:
    """How many ms after the full hour Binance stamps a funding."""
    return (contract.seed + funding_ms // HOUR) % 4


def special_fundings(contract: Contract, low: int, high: int) -> list[int]:
    """Fundings outside the schedule: BTCUSDT's at 10:00 of each 5th day since ``RATE_TYPE_SINCE``."""
    if contract.symbol != "BTCUSDT":
        return []
    first = -(-(max(low, RATE_TYPE_SINCE) - 10 * HOUR) // DAY)
    return [day * DAY + 10 * HOUR for day in range(first, (high - 10 * HOUR) // DAY + 1) if day % 5 == 0]


def adl_level(contract: Contract, half_hour: int) -> str:
    """The risk of auto-deleveraging in a half hour since 1970."""
    return ("low", "low", "medium", "high")[(contract.rank + half_hour) % 4]


def _kline_weight(limit: int) -> int:
    if limit < 100:
        return 1
    return 2 if limit < 500 else 5 if limit <= 1000 else 10


def _price8(contract: Contract, ticks: int) -> str:
    return padded(ticks, contract.price_decimals, max(8, contract.price_decimals))


def _eight(value: int, decimals: int) -> str:
    """At most eight decimals, rounded down, as Binance writes sums."""
    return padded(value, decimals, 8) if decimals <= 8 else fixed(value // 10 ** (decimals - 8), 8)


def write_trades(contract: Contract, bars: Bars, interval: int, _: bool) -> list[str]:
    """Rows of ``klines``; the turnover counts quote, or base coin where the contract is inverse."""
    pd, qd, last = contract.price_decimals, contract.quantity_decimals, interval - 1
    turnover, taken, decimals = (
        (bars.coin, bars.taker_coin, RATE_DECIMALS) if contract.inverse else (bars.value, bars.taker_value, pd + qd)
    )
    prices = [column(ticks, pd) for ticks in (bars.open, bars.high, bars.low, bars.close)]
    volumes = [column(bars.lots, qd), column(turnover, decimals), column(bars.taker_lots, qd), column(taken, decimals)]
    return [
        f'[{t},"{o}","{h}","{lo}","{c}","{q}",{t + last},"{v}",{n},"{bq}","{bv}","0"]'
        for t, n, o, h, lo, c, q, v, bq, bv in zip(
            bars.time.tolist(), bars.trades.tolist(), *prices, *volumes, strict=True
        )
    ]


def _write_reference(decimals: int, bars: Bars, interval: int) -> list[str]:
    """Rows with prices of at least eight decimals and no volumes."""
    more = "0" * (8 - decimals)
    prices = [column(ticks, decimals) for ticks in (bars.open, bars.high, bars.low, bars.close)]
    return [
        f'[{t},"{o}{more}","{h}{more}","{lo}{more}","{c}{more}","0",{t + interval - 1},"0",{n},"0","0","0"]'
        for t, n, o, h, lo, c in zip(bars.time.tolist(), bars.trades.tolist(), *prices, strict=True)
    ]


def write_prices(contract: Contract, bars: Bars, interval: int, _: bool) -> list[str]:
    """Rows of ``markPriceKlines`` and ``indexPriceKlines``."""
    return _write_reference(contract.price_decimals, bars, interval)


def write_premium(contract: Contract, bars: Bars, interval: int, _: bool) -> list[str]:
    """Rows of ``premiumIndexKlines``."""
    return _write_reference(RATE_DECIMALS, bars, interval)


WRITERS = {"trade": write_trades, "mark": write_prices, "index": write_prices, "premium": write_premium}
