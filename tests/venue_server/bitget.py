"""Bitget v2 mix and v3 market REST (``bitget``), as bitget.com/api-doc has them: ``{"code", "msg", "requestTime", "data"}``.

Bars are oldest first and only closed ones; of a span that holds more than ``limit`` the newest are given. Funding is paged by
``pageNo``, newest first. Where the documentation is silent: a ``limit`` above the cap gives the cap.
"""

from collections.abc import Callable
from typing import Any

from venue_server.candles import Pages, Series
from venue_server.contracts import Contract
from venue_server.text import DAY, HOUR, MINUTE, column, fixed, trimmed
from venue_server.wire import Reply, Request, json_reply, raw_json
from venue_server.world import RATE_DECIMALS, Bars, Kind, World

# Granularity: (minutes, hours that its grid is shifted): without "utc", days and 6 and 12 hours are cut at UTC+8.
GRANULARITIES = {
    "1m": (1, 0), "3m": (3, 0), "5m": (5, 0), "15m": (15, 0), "30m": (30, 0), "1H": (60, 0), "4H": (240, 0),
    "6H": (360, 4), "12H": (720, 4), "1D": (1440, 16), "6Hutc": (360, 0), "12Hutc": (720, 0), "1Dutc": (1440, 0),
}  # fmt: skip
KINDS: dict[str, Kind] = {"history-candles": "trade", "history-mark-candles": "mark", "history-index-candles": "index"}
LIQUIDATION_DAYS = 3
LIQUIDATION_LAG = 10 * MINUTE


class Refusal(Exception):  # noqa: N818 - an answer, not a fault of the server
    """An answer with a ``code`` other than "00000"."""

    def __init__(self, code: str, message: str, status: int = 400) -> None:
        super().__init__(message)
        self.code, self.message, self.status = code, message, status


class Bitget:
    """Answers of the public endpoints."""

    def __init__(self, world: World, pages: Pages) -> None:
        self._world, self._pages = world, pages
        mix = "/api/v2/mix/market/"
        self._routes: dict[str, Callable[[Request], Reply]] = {
            f"{mix}contracts": self._contracts,
            f"{mix}history-fund-rate": self._funding,
            f"{mix}current-fund-rate": self._next_funding,
            f"{mix}open-interest": self._open_interest,
            f"{mix}query-position-lever": self._tiers,
            f"{mix}tickers": self._tickers,
            f"{mix}merge-depth": self._depth,
            "/api/v3/market/liquidations": self._liquidations,
            f"{mix}account-long-short": self._account_ratio,
            "/api/v3/market/risk-reserve": self._risk_reserve(DAY),
            "/api/v3/market/risk-reserve-hour": self._risk_reserve(HOUR),
            "/api/v3/market/risk-reserve-all": self._risk_reserve_all,
        }
        for name, kind in KINDS.items():
            self._routes[mix + name] = self._candles(kind)

    def __call__(self, request: Request) -> Reply:
        """The answer to a request."""
        route = self._routes.get(request.path)
        if route is None:
            return self._answer(None, "40404", "Request URL NOT FOUND", 404)
        try:
            return route(request)
        except Refusal as refusal:
            return self._answer(None, refusal.code, refusal.message, refusal.status)
        except ValueError:
            return self._answer(None, "40017", "Parameter verification failed", 400)

    def _answer(self, data: Any, code: str = "00000", message: str = "success", status: int = 200) -> Reply:
        return json_reply({"code": code, "msg": message, "requestTime": self._world.now, "data": data}, status)

    # --- parts of requests ---

    @staticmethod
    def _product(request: Request, name: str = "productType") -> str:
        product = request.query.get(name, "").lower().replace("-", "_")
        if product not in {"usdt_futures", "coin_futures", "usdc_futures"}:
            raise Refusal("400172", f"Parameter verification failed: {name}")
        return product

    def _contract(self, request: Request, name: str = "productType") -> Contract:
        contract = self._world.find("bitget", self._product(request, name), request.query.get("symbol", ""))
        if contract is None:
            raise Refusal("40034", "Parameter does not exist")
        return contract

    # --- bars ---

    def _candles(self, kind: Kind) -> Callable[[Request], Reply]:
        def answer(request: Request) -> Reply:
            contract = self._contract(request)
            grid = GRANULARITIES.get(request.query.get("granularity", ""))
            if grid is None:
                raise Refusal("400171", "Parameter verification failed: granularity")
            interval, anchor = grid[0] * MINUTE, grid[1] * HOUR
            start, end = request.number("startTime"), request.number("endTime")
            if start is not None and end is not None:
                if start > end:
                    raise Refusal("40017", "Parameter verification failed: startTime")
                if end - start > 90 * DAY:
                    raise Refusal("40017", "The maximum time query range is 90 days")
            last_closed = self._world.now - interval
            # endTime bounds bars that are over: "k-lines before this time".
            high = last_closed if end is None else min(last_closed, end - 1)
            limit = min(request.number("limit", 100) or 0, 200)
            series = Series(contract, kind, interval, WRITERS[kind], anchor)
            rows = self._pages.page(series, (start, high), limit, newest=True)
            return raw_json(
                f'{{"code":"00000","msg":"success","requestTime":{self._world.now},"data":[{",".join(rows)}]}}'
            )

        return answer

    # --- instruments and tiers ---

    def _contracts(self, request: Request) -> Reply:
        product = self._product(request)
        symbol = request.query.get("symbol")
        return self._answer(
            [
                self._instrument(contract)
                for contract in self._world.contracts("bitget", product)
                if symbol in {None, "", contract.symbol}
            ]
        )

    def _instrument(self, contract: Contract) -> dict[str, Any]:
        step = fixed(1, contract.quantity_decimals)
        trading = contract.trades_at(self._world.now)
        return {
            "symbol": contract.symbol,
            "baseCoin": contract.code,
            "quoteCoin": contract.quote,
            "buyLimitPriceRatio": "0.05",
            "sellLimitPriceRatio": "0.05",
            "feeRateUpRatio": "0.005",
            "makerFeeRate": "0.0002",
            "takerFeeRate": "0.0006",
            "openCostUpRatio": "0.01",
            "supportMarginCoins": [contract.settle],
            "minTradeNum": step,
            "priceEndStep": "1",
            "volumePlace": str(contract.quantity_decimals),
            "pricePlace": str(contract.price_decimals),
            "sizeMultiplier": step,
            "symbolType": "perpetual",
            "minTradeUSDT": "5",
            "maxSymbolOrderNum": "200",
            "maxProductOrderNum": "1000",
            "maxPositionNum": "150",
            "symbolStatus": "normal" if trading else "off",
            "offTime": "-1" if contract.delisted is None else str(contract.delisted),
            "limitOpenTime": "-1",
            "deliveryTime": "",
            "deliveryStartTime": "",
            "deliveryPeriod": "",
            "launchTime": str(contract.listed),
            "fundInterval": str(contract.funding_hours(self._world.now)),
            "minLever": "1",
            "maxLever": "125",
            "posLimit": "0.1",
            "maintainTime": "",
            "openTime": "",
            "maxMarketOrderQty": "220",
            "maxOrderQty": "1200",
        }

    def _tiers(self, request: Request) -> Reply:
        contract = self._contract(request)
        return self._answer(
            [
                {
                    "symbol": contract.symbol,
                    "level": str(tier.number),
                    "startUnit": str(tier.floor),
                    "endUnit": str(tier.cap),
                    "leverage": str(tier.leverage),
                    "keepMarginRate": trimmed(tier.maintenance, 4),
                }
                for tier in self._world.tiers(contract)
            ]
        )

    # --- funding, open interest and now ---

    def _funding(self, request: Request) -> Reply:
        contract = self._contract(request)
        size = min(request.number("pageSize", 20) or 0, 100)
        page = request.number("pageNo", 1) or 0
        if size < 1 or page < 1:
            raise Refusal("40017", "Parameter verification failed: pageNo")
        times = self._world.funding_times(contract, self._world.now - size * page * 8 * HOUR, self._world.now)[::-1]
        return self._answer(
            [
                {
                    "symbol": contract.symbol,
                    "fundingRate": trimmed(self._world.funding_rate(contract, time), RATE_DECIMALS),
                    "fundingTime": str(time),
                }
                for time in times[(page - 1) * size : page * size]
            ]
        )

    def _next_funding(self, request: Request) -> Reply:
        contract = self._contract(request)
        time = self._world.next_funding(contract, self._world.now)
        return self._answer(
            [
                {
                    "symbol": contract.symbol,
                    "fundingRate": trimmed(self._world.funding_rate(contract, time), RATE_DECIMALS),
                    "fundingRateInterval": str(contract.funding_hours(self._world.now)),
                    "nextUpdate": str(time),
                    "minFundingRate": "-0.003",
                    "maxFundingRate": "0.003",
                }
            ]
        )

    def _open_interest(self, request: Request) -> Reply:
        """``size`` counts base coin, of inverse contracts too."""
        contract = self._contract(request)
        now = self._world.now
        size = trimmed(*self._world.open_interest_base(contract, now))
        return self._answer({"openInterestList": [{"symbol": contract.symbol, "size": size}], "ts": str(now)})

    def _tickers(self, request: Request) -> Reply:
        now = self._world.now
        rows = []
        for contract in self._world.trading("bitget", self._product(request)):
            bar = self._world.day_bar(contract, now)
            pd = contract.price_decimals
            bids, asks = self._world.depth(contract, now, 1)
            quote = fixed(bar.lots, contract.quantity_decimals) if contract.inverse else trimmed(
                *self._world.turnover(contract, bar)
            )  # fmt: skip
            rows.append(
                {
                    "symbol": contract.symbol,
                    "lastPr": fixed(bar.close, pd),
                    "askPr": fixed(asks[0][0], pd),
                    "bidPr": fixed(bids[0][0], pd),
                    "bidSz": fixed(bids[0][1], contract.quantity_decimals),
                    "askSz": fixed(asks[0][1], contract.quantity_decimals),
                    "high24h": fixed(bar.high, pd),
                    "low24h": fixed(bar.low, pd),
                    "ts": str(now),
                    "change24h": fixed((bar.close - bar.open) * 100_000 // bar.open, 5),
                    "baseVolume": trimmed(*self._world.base_volume(contract, bar)),
                    "quoteVolume": quote,
                    "usdtVolume": quote,
                    "openUtc": fixed(bar.open, pd),
                    "changeUtc24h": "0",
                    "indexPrice": fixed(self._world.index_price(contract, now), pd),
                    "fundingRate": trimmed(
                        self._world.funding_rate(contract, self._world.next_funding(contract, now)), RATE_DECIMALS
                    ),
                    "holdingAmount": trimmed(*self._world.open_interest_base(contract, now)),
                    "deliveryStartTime": None,
                    "deliveryTime": None,
                    "deliveryStatus": "",
                    "open24h": fixed(bar.open, pd),
                    "markPrice": fixed(self._world.mark_price(contract, now), pd),
                }
            )
        return self._answer(rows)

    def _depth(self, request: Request) -> Reply:
        """Levels are JSON numbers here, not texts. Sizes count base coin, of inverse contracts too."""
        contract = self._contract(request)
        asked = request.query.get("limit", "100")
        size = 200 if asked == "max" else int(asked)
        if size not in {1, 5, 15, 50, 100, 200}:
            raise Refusal("40017", "Parameter verification failed: limit")
        now = self._world.now
        bids, asks = self._world.depth(contract, now, size)
        sides = [[[float(contract.price(p)), depth_size(contract, p, q)] for p, q in side] for side in (bids, asks)]
        return self._answer(
            {
                "asks": sides[1],
                "bids": sides[0],
                "ts": str(now),
                "scale": fixed(1, contract.price_decimals),
                "precision": "scale0",
                "isMaxPrecision": "NO",
            }
        )

    # --- liquidations and risk reserve (v3) ---

    def _liquidations(self, request: Request) -> Reply:
        """Of one contract or all, the last three days, newest first; ``side`` is the position's, ``amount`` base coin."""
        contracts = (
            [self._contract(request, "category")]
            if request.query.get("symbol")
            else self._world.contracts("bitget", self._product(request, "category"))
        )
        limit = min(request.number("limit", 100) or 0, 100)
        now = self._world.now
        skipped = request.number("cursor", 0) or 0
        found = sorted(
            (
                (event.time, contract.symbol, contract, event)
                for contract in contracts
                for event in self._world.liquidations(contract, now - LIQUIDATION_DAYS * DAY, now - LIQUIDATION_LAG)
            ),
            key=lambda one: one[:2],
            reverse=True,
        )
        rows = [
            {
                "symbol": contract.symbol,
                "side": "buy" if event.position == "long" else "sell",
                "price": fixed(event.ticks, contract.price_decimals),
                "amount": liquidation_amount(contract, event.lots, event.ticks),
                "ts": str(time),
            }
            for time, _, contract, event in found[skipped : skipped + limit]
        ]
        following = skipped + limit
        return self._answer({"list": rows, "cursor": str(following) if following < len(found) else None})

    def _risk_reserve(self, step: int) -> Callable[[Request], Reply]:
        """The pool of one contract with a balance a day or an hour (which repeats the day's), newest first."""

        def answer(request: Request) -> Reply:
            contract = self._contract(request, "category")
            latest = self._world.now // step
            rows = []
            for number in range(latest, latest - 30, -1):
                balance, before = (
                    self._world.insurance("bitget", contract.settle, part * step) for part in (number, number - 1)
                )
                rows.append(
                    {
                        "type": "",
                        "amount": fixed(balance - before, 2),
                        "balance": fixed(balance, 2),
                        "ts": str(number * step),
                    }
                )
            return self._answer({"totalBalance": "", "coin": contract.settle, "riskReserveRecords": rows})

        return answer

    def _risk_reserve_all(self, request: Request) -> Reply:
        product = self._product(request, "category")
        pools: dict[str, list[str]] = {}
        for contract in self._world.trading("bitget", product):
            pools.setdefault(contract.settle, []).append(contract.symbol)
        rows = [
            {
                "symbols": symbols,
                "coin": coin,
                "balance": fixed(self._world.insurance("bitget", coin, self._world.now), 2),
            }
            for coin, symbols in pools.items()
        ]
        return self._answer({"list": rows})

    def _account_ratio(self, request: Request) -> Reply:
        """The last 100 periods, oldest first; USDT contracts only."""
        contract = self._world.find("bitget", "usdt_futures", request.query.get("symbol", ""))
        grid = GRANULARITIES.get(request.query.get("period", "5m").replace("h", "H").replace("d", "Dutc"))
        if contract is None or grid is None:
            raise Refusal("40034", "Parameter does not exist")
        step = grid[0] * MINUTE
        latest = self._world.now // step
        rows = []
        for number in range(latest - 99, latest + 1):
            share = self._world.long_share(contract, number * step)
            rows.append(
                {
                    "longAccountRatio": fixed(share, 4),
                    "shortAccountRatio": fixed(10_000 - share, 4),
                    "longShortAccountRatio": fixed(share * 10_000 // (10_000 - share), 4),
                    "ts": str(number * step),
                }
            )
        return self._answer(rows)


def liquidation_amount(contract: Contract, lots: int, ticks: int) -> str:
    """Base coin of lots at a price."""
    if contract.inverse:
        return fixed(lots * 10 ** (RATE_DECIMALS + contract.price_decimals) // ticks, RATE_DECIMALS)
    return fixed(lots, contract.quantity_decimals)


def depth_size(contract: Contract, ticks: int, lots: int) -> float:
    """Base coin of a level."""
    return float(liquidation_amount(contract, lots, ticks))


def write_trades(contract: Contract, bars: Bars, _: int, __: bool) -> list[str]:
    """Rows of ``history-candles``: base coin and quote (USD for inverse)."""
    pd, qd = contract.price_decimals, contract.quantity_decimals
    if contract.inverse:
        base, quote = column(bars.coin, RATE_DECIMALS), column(bars.lots, qd)
    else:
        base, quote = column(bars.lots, qd), column(bars.value, pd + qd)
    prices = [column(ticks, pd) for ticks in (bars.open, bars.high, bars.low, bars.close)]
    return [
        f'["{t}","{o}","{h}","{lo}","{c}","{b}","{v}"]'
        for t, o, h, lo, c, b, v in zip(bars.time.tolist(), *prices, base, quote, strict=True)
    ]


def write_prices(contract: Contract, bars: Bars, _: int, __: bool) -> list[str]:
    """Rows of the mark and index candles, whose volumes are 0."""
    prices = [column(ticks, contract.price_decimals) for ticks in (bars.open, bars.high, bars.low, bars.close)]
    return [
        f'["{t}","{o}","{h}","{lo}","{c}","0","0"]' for t, o, h, lo, c in zip(bars.time.tolist(), *prices, strict=True)
    ]


WRITERS = {"trade": write_trades, "mark": write_prices, "index": write_prices}
