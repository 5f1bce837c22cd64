"""CoinGlass v4 (``coinglass``): ``{"code": "0", "msg", "data"}``, oldest first, header ``CG-API-KEY``.

Refusals come inside HTTP 200.

Pairs are asked by exchange and its own symbol, aggregates by coin; a pair where a coin belongs gives no rows and no error.
Values are USD as text; funding is percent. ``plan`` decides the shortest interval.
"""

from collections.abc import Callable
from decimal import Decimal
from typing import Any

from venue_server import sums
from venue_server.contracts import Contract
from venue_server.text import DAY, HOUR, MINUTE
from venue_server.wire import Reply, Request, json_reply
from venue_server.world import World

KEY = "test-key"
INTERVALS = {
    "1m": MINUTE, "3m": 3 * MINUTE, "5m": 5 * MINUTE, "15m": 15 * MINUTE, "30m": 30 * MINUTE, "1h": HOUR, "4h": 4 * HOUR,
    "6h": 6 * HOUR, "8h": 8 * HOUR, "12h": 12 * HOUR, "1d": DAY,
}  # fmt: skip
PLANS = {"hobbyist": 4 * HOUR, "startup": 30 * MINUTE, "standard": MINUTE}
MOST_ROWS = 1000
EXCHANGES = {"Binance": "binance", "Bybit": "bybit", "OKX": "okx", "Bitget": "bitget", "Hyperliquid": "hyperliquid"}


class Refusal(Exception):  # noqa: N818 - an answer, not a fault of the server
    """An answer with a ``code`` other than "0"."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.reply = json_reply({"code": code, "msg": message})


class CoinGlass:
    """Answers of the futures endpoints."""

    def __init__(self, world: World) -> None:
        self._world = world
        self.plan = "standard"
        root = "/api/futures/"
        self._routes: dict[str, Callable[[Request], list[Any]]] = {
            f"{root}supported-coins": lambda _: self._coins(),
            f"{root}open-interest/history": self._open_interest,
            f"{root}open-interest/aggregated-history": self._open_interest_sum,
            f"{root}liquidation/history": self._liquidations,
            f"{root}liquidation/aggregated-history": self._liquidation_sum,
            f"{root}funding-rate/history": self._funding,
        }

    def __call__(self, request: Request) -> Reply:
        """The answer to a request."""
        route = self._routes.get(request.path)
        if request.headers.get("cg-api-key") != KEY:
            return Refusal("401", "Invalid API key" if "cg-api-key" in request.headers else "API key missing.").reply
        if route is None:
            return Refusal("404", "Not Found").reply
        try:
            return json_reply({"code": "0", "msg": "success", "data": route(request)})
        except Refusal as refusal:
            return refusal.reply
        except ValueError:
            return Refusal("400", "Parameter error").reply

    def _coins(self) -> list[str]:
        return list(dict.fromkeys(contract.asset for contract in self._world.trading("binance")))

    @staticmethod
    def _required(request: Request, name: str) -> str:
        value = request.query.get(name, "")
        if not value:
            raise Refusal("400", f"Required String parameter '{name}' is not present")
        return value

    def _times(self, request: Request) -> tuple[int, list[int]]:
        """The interval in ms and the starts of its periods."""
        step = INTERVALS.get(self._required(request, "interval"))
        if step is None:
            raise Refusal("400", "interval is invalid")
        if step < PLANS[self.plan]:
            raise Refusal("401", "Upgrade plan")
        limit = request.number("limit", 1000) or 0
        if not 1 <= limit <= MOST_ROWS:
            raise Refusal("400", "limit is invalid")
        span = (request.number("start_time"), request.number("end_time"))
        return step, sums.grid(self._world, step, span, limit)

    def _pair(self, request: Request) -> Contract:
        venue = EXCHANGES.get(self._required(request, "exchange"))
        symbol = self._required(request, "symbol")
        for contract in self._world.contracts(venue) if venue else []:
            if contract.symbol == symbol:
                return contract
        raise Refusal("400", "The requested pair does not exist")

    def _of_coin(self, request: Request, exchanges: str | None) -> list[Contract]:
        """Contracts of a coin on the exchanges named, or on all."""
        names = exchanges.split(",") if exchanges else list(EXCHANGES)
        venues = [EXCHANGES[name] for name in names if name in EXCHANGES]
        coin = self._required(request, "symbol")
        return [c for venue in venues for c in self._world.contracts(venue) if c.asset == coin]

    def _open_interest(self, request: Request) -> list[Any]:
        contract = self._pair(request)
        step, times = self._times(request)
        return [
            {"time": time, **_texts(sums.open_interest(self._world, contract, time, step, usd=True))}
            for time in times
            if contract.trades_at(time)
        ]

    def _open_interest_sum(self, request: Request) -> list[Any]:
        contracts = self._of_coin(request, None)
        step, times = self._times(request)
        rows = []
        for time in times:
            parts = [
                sums.open_interest(self._world, contract, time, step, usd=True)
                for contract in contracts
                if contract.trades_at(time)
            ]
            if parts:
                opens, closes = (sum((part[i] for part in parts), Decimal(0)) for i in (0, 3))
                rows.append({"time": time, **_texts(sums.Four(opens, max(opens, closes), min(opens, closes), closes))})
        return rows

    def _liquidations(self, request: Request) -> list[Any]:
        contract = self._pair(request)
        step, times = self._times(request)
        rows = []
        for time in times:
            found = sums.liquidations(self._world, contract, time, step)
            rows.append(
                {
                    "time": time,
                    "long_liquidation_usd": sums.plain(found.long),
                    "short_liquidation_usd": sums.plain(found.short),
                }
            )
        return rows

    def _liquidation_sum(self, request: Request) -> list[Any]:
        """Numbers here, not texts; ``exchange_list`` is required."""
        contracts = self._of_coin(request, self._required(request, "exchange_list"))
        step, times = self._times(request)
        rows = []
        for time in times if contracts else []:
            parts = [sums.liquidations(self._world, contract, time, step) for contract in contracts]
            rows.append(
                {
                    "time": time,
                    "aggregated_long_liquidation_usd": float(sum((part.long for part in parts), Decimal(0))),
                    "aggregated_short_liquidation_usd": float(sum((part.short for part in parts), Decimal(0))),
                }
            )
        return rows

    def _funding(self, request: Request) -> list[Any]:
        contract = self._pair(request)
        step, times = self._times(request)
        return [
            {"time": time, **_texts(sums.funding_percent(self._world, contract, time, step), 6)}
            for time in times
            if contract.trades_at(time)
        ]


def _texts(four: sums.Four, places: int = 4) -> dict[str, str]:
    return {name: sums.plain(number, places) for name, number in zip(four._fields, four, strict=True)}
