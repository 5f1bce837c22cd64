"""public.bybit.com (``bybit_archive``): one gzip of trades per contract and day, times in float seconds."""

import re

from venue_server.archive import Shelf, gzipped, table
from venue_server.binance_archive import not_found
from venue_server.contracts import Contract
from venue_server.text import DAY, HOUR, at, fixed, trimmed
from venue_server.wire import Reply, Request, file_reply
from venue_server.world import RATE_DECIMALS, World

RPI_SINCE = at("2026-01-01")
"""From here on rows have a further column, RPI (the real day is not documented)."""
PUBLISHED_AFTER = 4 * HOUR
HEADER = "timestamp,symbol,side,size,price,tickDirection,trdMatchID,grossValue,homeNotional,foreignNotional"
_PATH = re.compile(r"/trading/(?P<symbol>[A-Z0-9]+)/(?P=symbol)(?P<date>\d{4}-\d{2}-\d{2})\.csv\.gz")


class BybitArchive:
    """Answers of the archive."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._shelf = Shelf()

    def __call__(self, request: Request) -> Reply:
        """A day's trades, or 404."""
        match = _PATH.fullmatch(request.path)
        contract = self._contract(match["symbol"]) if match else None
        if match is None or contract is None:
            return not_found(request.path)
        start = at(match["date"])
        if not contract.trades_at(start) or self._world.now < start + DAY + PUBLISHED_AFTER:
            return not_found(request.path)
        body = self._shelf.take(request.path, lambda: self._file(contract, start))
        return file_reply(request, body, "application/gzip", start + DAY)

    def _contract(self, symbol: str) -> Contract | None:
        return self._world.find("bybit", "linear", symbol) or self._world.find("bybit", "inverse", symbol)

    def _file(self, contract: Contract, start: int) -> bytes:
        pd, qd = contract.price_decimals, contract.quantity_decimals
        later = start >= RPI_SINCE
        rows = []
        before = 0
        for trade in self._world.trades(contract, start, start + DAY):
            tick = "PlusTick" if trade.ticks > before else "MinusTick" if trade.ticks < before else "ZeroPlusTick"
            before = trade.ticks
            size = fixed(trade.lots, qd)
            if contract.inverse:
                home, foreign = fixed(trade.lots * 10 ** (RATE_DECIMALS + pd) // trade.ticks, RATE_DECIMALS), size
            else:
                home, foreign = size, fixed(trade.lots * trade.ticks, qd + pd)
            rows.append(
                f"{trimmed(trade.time, 3)},{contract.symbol},{'Buy' if trade.bought else 'Sell'},{size},"
                f"{fixed(trade.ticks, pd)},{tick},{trade.number:032x},{float(foreign) * 1e8:.6g},{home},{foreign}"
                + (",0" if later else "")
            )
        return gzipped(table(HEADER + (",RPI" if later else ""), rows))
