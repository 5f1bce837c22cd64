"""Which host name answers for what."""

from venue_server import binance, bitget, bybit, hyperliquid, okx
from venue_server.binance import Binance
from venue_server.binance_archive import BinanceArchive
from venue_server.bitget import Bitget
from venue_server.bybit import Bybit
from venue_server.bybit_archive import BybitArchive
from venue_server.candles import Pages, Series
from venue_server.coinalyze import Coinalyze
from venue_server.coinglass import CoinGlass
from venue_server.defillama import DefiLlama
from venue_server.hyperliquid import Hyperliquid
from venue_server.hyperliquid_s3 import HyperliquidS3
from venue_server.okx import Okx
from venue_server.okx_files import OkxArchive
from venue_server.tardis import Tardis
from venue_server.text import HOUR
from venue_server.wire import Handler, Reply, Request
from venue_server.world import World


class Hosts:
    """Every venue's handler, under the names that ``DELEVER_URL_*`` have in lower case."""

    def __init__(self, world: World) -> None:
        self._world = world
        self.pages = pages = Pages(world)
        self.binance_um = Binance(world, pages, "um")
        self.binance_cm = Binance(world, pages, "cm")
        self.coinglass = CoinGlass(world)
        self._handlers: dict[str, Handler] = {
            "binance_um": self.binance_um,
            "binance_cm": self.binance_cm,
            "bybit": Bybit(world, pages),
            "okx": Okx(world, pages),
            "bitget": Bitget(world, pages),
            "hyperliquid": Hyperliquid(world, pages),
            "binance_archive": BinanceArchive(world),
            "bybit_archive": BybitArchive(world),
            "okx_archive": OkxArchive(world),
            "hyperliquid_s3": HyperliquidS3(world),
            "coinglass": self.coinglass,
            "coinalyze": Coinalyze(world),
            "defillama": DefiLlama(world),
            "tardis": Tardis(world),
        }

    @property
    def names(self) -> list[str]:
        """All hosts."""
        return list(self._handlers)

    def answer(self, request: Request) -> Reply:
        """The answer of the host that a request is for."""
        handler = self._handlers.get(request.host)
        return handler(request) if handler else Reply(404, b"no such host\n", {"content-type": "text/plain"})

    def warm(self, hours: int) -> int:
        """Make the hourly bars of every contract that trades, so many hours back from now; how many were made."""
        writers = {
            "binance": binance.write_trades,
            "bybit": bybit.write_trades,
            "okx": okx.write_trades,
            "bitget": bitget.write_trades,
            "hyperliquid": hyperliquid.writer("1h"),
        }
        now = self._world.now
        return sum(
            len(self.pages.page(Series(contract, "trade", HOUR, write), (now - hours * HOUR, now), hours, newest=True))
            for venue, write in writers.items()
            for contract in self._world.trading(venue)
        )
