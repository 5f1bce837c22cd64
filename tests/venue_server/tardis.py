"""datasets.tardis.dev (``tardis``): a gzip a contract and day, times in microseconds. The first day of a month is free.

``side`` of a liquidation is the order's on every exchange: sell closed a long. Other days need ``Authorization: Bearer <key>``.
"""

import re
from collections.abc import Callable

from venue_server.archive import Shelf, gzipped, table
from venue_server.contracts import Contract
from venue_server.text import DAY, MINUTE, at, fixed, trimmed
from venue_server.wire import Reply, Request, file_reply
from venue_server.world import RATE_DECIMALS, World

KEY = "test-key"
EXCHANGES = {
    "binance-futures": ("binance", "um"),
    "binance-delivery": ("binance", "cm"),
    "bybit": ("bybit", None),
    "okex-swap": ("okx", "swap"),
    "hyperliquid": ("hyperliquid", "perp"),
}
LIQUIDATIONS = "exchange,symbol,timestamp,local_timestamp,id,side,price,amount"
TICKERS = (
    "exchange,symbol,timestamp,local_timestamp,funding_timestamp,funding_rate,predicted_funding_rate,open_interest,"
    "last_price,index_price,mark_price"
)
_PATH = re.compile(
    r"/v1/(?P<exchange>[a-z0-9-]+)/(?P<kind>liquidations|derivative_ticker)/(?P<year>\d{4})/(?P<month>\d{2})/(?P<day>\d{2})/"
    r"(?P<symbol>[A-Za-z0-9_-]+)\.csv\.gz"
)


class Tardis:
    """Answers of the data sets' host."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._shelf = Shelf()
        self._makers: dict[str, Callable[[str, Contract, int], bytes]] = {
            "liquidations": self._liquidations,
            "derivative_ticker": self._tickers,
        }

    def __call__(self, request: Request) -> Reply:
        """A day's file; 401 without a key, 404 for what is not there."""
        match = _PATH.fullmatch(request.path)
        if match is None:
            return _text(404, "Not Found")
        if match["day"] != "01" and request.headers.get("authorization") != f"Bearer {KEY}":
            return _text(401, "Unauthorized: a valid API key is needed for days other than the first of a month")
        contract = self._contract(match["exchange"], match["symbol"])
        start = at(f"{match['year']}-{match['month']}-{match['day']}")
        if contract is None or not contract.trades_at(start) or self._world.now < start + DAY:
            return _text(404, "Not Found")
        make = self._makers[match["kind"]]
        body = self._shelf.take(request.path, lambda: make(match["exchange"], contract, start))
        return file_reply(request, body, "application/gzip", start + DAY)

    def _contract(self, exchange: str, symbol: str) -> Contract | None:
        venue, product = EXCHANGES.get(exchange, ("", None))
        for contract in self._world.contracts(venue, product) if venue else []:
            if contract.symbol.upper() == symbol.upper():
                return contract
        return None

    def _liquidations(self, exchange: str, contract: Contract, start: int) -> bytes:
        rows = []
        for event in self._world.liquidations(contract, start, start + DAY):
            micros = event.time * 1000
            side = "sell" if event.position == "long" else "buy"
            price, amount = fixed(event.ticks, contract.price_decimals), trimmed(event.lots, contract.quantity_decimals)
            rows.append(
                f"{exchange},{contract.symbol},{micros},{micros + 12_345},{event.number},{side},{price},{amount}"
            )
        return gzipped(table(LIQUIDATIONS, rows))

    def _tickers(self, exchange: str, contract: Contract, start: int) -> bytes:
        """A row a minute; not every field changes each time, and Hyperliquid's funding timestamp is empty."""
        world, first, pd = self._world, start // MINUTE, contract.price_decimals
        count = DAY // MINUTE
        last = world.ticks(contract, first, count - 1).tolist()
        index = world.reference_ticks(contract, "index", first, count - 1).tolist()
        mark = world.reference_ticks(contract, "mark", first, count - 1).tolist()
        rows = []
        for number in range(count):
            time = start + number * MINUTE
            following = world.next_funding(contract, time)
            stamp = "" if exchange == "hyperliquid" else str(following * 1000)
            rate = trimmed(world.funding_rate(contract, following), RATE_DECIMALS)
            interest = trimmed(world.open_interest(contract, time), contract.quantity_decimals)
            rows.append(
                f"{exchange},{contract.symbol},{time * 1000},{time * 1000 + 6_789},{stamp},{rate},,{interest},"
                f"{fixed(last[number], pd)},{fixed(index[number], pd)},{fixed(mark[number], pd)}"
            )
        return gzipped(table(TICKERS, rows))


def _text(status: int, text: str) -> Reply:
    return Reply(status, text.encode(), {"content-type": "text/plain"})
