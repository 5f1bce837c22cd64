"""Coinalyze v1 (``coinalyze``): a list of ``{"symbol", "history"}``, times in seconds, at most 20 symbols.

The key is in a header or the query. A symbol is the exchange's pair, ``_PERP`` and the exchange's letter:
``BTCUSDT_PERP.A`` is Binance's. A symbol that does not exist is left out of the answer. Funding is percent; open interest
and liquidations count base units (COIN-M: USD) unless ``convert_to_usd``.
"""

from collections.abc import Callable
from typing import Any

from venue_server import sums
from venue_server.contracts import Contract
from venue_server.text import DAY, HOUR, MINUTE
from venue_server.wire import Reply, Request, json_reply
from venue_server.world import World

KEY = "test-key"
INTERVALS = {
    "1min": MINUTE, "5min": 5 * MINUTE, "15min": 15 * MINUTE, "30min": 30 * MINUTE, "1hour": HOUR, "2hour": 2 * HOUR,
    "4hour": 4 * HOUR, "6hour": 6 * HOUR, "12hour": 12 * HOUR, "daily": DAY,
}  # fmt: skip
EXCHANGES = {"A": "binance", "6": "bybit", "3": "okx", "H": "hyperliquid"}
MOST_SYMBOLS = 20
KEPT_ROWS = 2000
"""How many periods back an interval below a day reaches."""


class Coinalyze:
    """Answers of the history endpoints."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._routes: dict[str, Callable[[Contract, int, int, bool], dict[str, Any]]] = {
            "/v1/open-interest-history": self._open_interest,
            "/v1/funding-rate-history": self._funding,
            "/v1/liquidation-history": self._liquidations,
        }

    def __call__(self, request: Request) -> Reply:
        """The answer to a request."""
        key = request.headers.get("api_key") or request.headers.get("api-key") or request.query.get("api_key")
        if key != KEY:
            return json_reply({"message": "Invalid/Missing API key"}, 401)
        if request.path == "/v1/future-markets":
            return json_reply(
                [self._market(letter, c) for letter, v in EXCHANGES.items() for c in self._world.contracts(v)]
            )
        row = self._routes.get(request.path)
        if row is None:
            return json_reply({"message": "Not Found"}, 404)
        try:
            return self._history(request, row)
        except (ValueError, KeyError):
            return json_reply({"message": "Invalid query parameters"}, 400)

    def _history(self, request: Request, row: Callable[[Contract, int, int, bool], dict[str, Any]]) -> Reply:
        symbols = [part for part in request.query["symbols"].split(",") if part]
        if not symbols or len(symbols) > MOST_SYMBOLS:
            return json_reply({"message": f"symbols: 1 to {MOST_SYMBOLS} are allowed"}, 400)
        name = request.query["interval"]
        step = INTERVALS[name]
        low, high = int(request.query["from"]) * 1000, int(request.query["to"]) * 1000
        usd = request.query.get("convert_to_usd", "false") == "true"
        oldest = low if name == "daily" else max(low, self._world.now - KEPT_ROWS * step)
        answers = []
        for symbol in symbols:
            contract = self._contract(symbol)
            if contract is not None:
                times = sums.grid(self._world, step, (oldest, high), 10**6)
                history = [row(contract, time, step, usd) for time in times if contract.trades_at(time)]
                answers.append({"symbol": symbol, "history": history})
        return json_reply(answers)

    def _contract(self, symbol: str) -> Contract | None:
        name, _, letter = symbol.rpartition(".")
        for contract in self._world.contracts(EXCHANGES[letter]) if letter in EXCHANGES else []:
            if name == market_name(contract):
                return contract
        return None

    def _market(self, letter: str, contract: Contract) -> dict[str, Any]:
        return {
            "symbol": f"{market_name(contract)}.{letter}",
            "exchange": letter,
            "symbol_on_exchange": contract.symbol,
            "base_asset": contract.code,
            "quote_asset": contract.quote,
            "is_perpetual": True,
            "margined": "COIN" if contract.inverse else "STABLE",
            "expire_at": 0,
            "oi_lq_vol_denominated_in": "QUOTE_ASSET" if contract.inverse else "BASE_ASSET",
            "has_long_short_ratio_data": True,
            "has_ohlcv_data": True,
            "has_buy_sell_data": True,
        }

    def _open_interest(self, contract: Contract, time: int, step: int, usd: bool) -> dict[str, Any]:
        return _bar(time, sums.open_interest(self._world, contract, time, step, usd=usd or contract.inverse))

    def _funding(self, contract: Contract, time: int, step: int, _: bool) -> dict[str, Any]:
        return _bar(time, sums.funding_percent(self._world, contract, time, step))

    def _liquidations(self, contract: Contract, time: int, step: int, usd: bool) -> dict[str, Any]:
        found = sums.liquidations(self._world, contract, time, step, usd=usd)
        return {"t": time // 1000, "l": float(found.long), "s": float(found.short)}


def market_name(contract: Contract) -> str:
    """A contract's name without the exchange's letter."""
    return f"{contract.code}{contract.quote}_PERP"


def _bar(time: int, four: sums.Four) -> dict[str, Any]:
    return {"t": time // 1000, **dict(zip("ohlc", map(float, four), strict=True))}
