"""A websocket server on this machine that speaks as Binance, Bybit and OKX document, and misbehaves when told to."""

import asyncio
import json
import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from http import HTTPStatus
from typing import Any

from websockets.asyncio.server import Server, ServerConnection, serve
from websockets.datastructures import Headers
from websockets.exceptions import ConnectionClosed
from websockets.frames import Opcode
from websockets.http11 import Request, Response

PATHS = {
    "binance": {"/binance_stream/market/ws/!forceOrder@arr"},
    "bybit": {"/bybit_stream/v5/public/linear", "/bybit_stream/v5/public/inverse"},
    "okx": {"/okx_stream/ws/v5/public"},
}
"""The documented paths behind the base URL; any other is answered with 404."""


class VenueDouble:
    """One venue.

    Tests set the attributes to make it misbehave, and read what it was sent.
    """

    def __init__(self, feed: str) -> None:
        self.feed = feed
        self.port = 0
        self.connections = 0
        self.open: list[ServerConnection] = []
        self.subscribed: list[ServerConnection] = []
        self.received: list[str] = []
        self.answers_pings = True
        self.confirms = True
        self.statuses: list[int] = []
        """HTTP statuses with which the next handshakes are answered."""
        self.retry_after = ""
        self.bad_topics: set[str] = set()
        self.on_open: Callable[[ServerConnection, int], Awaitable[None]] | None = None
        """Called for each connection with its number, once subscribed, before anything else."""

    @property
    def url(self) -> str:
        """What a base URL of the environment is to name."""
        return f"http://127.0.0.1:{self.port}/{self.feed}_stream"

    async def push(self, *messages: str | bytes) -> None:
        """Send messages to every subscribed connection."""
        for socket in list(self.subscribed):
            for message in messages:
                # A client may be leaving one connection while it hears another.
                with suppress(ConnectionClosed):
                    await socket.send(message)

    async def close(self, code: int = 1001, reason: str = "") -> None:
        """Close every connection as a venue does."""
        for socket in list(self.open):
            await socket.close(code, reason)

    def cut(self) -> None:
        """Break every connection off, as a network does."""
        for socket in list(self.open):
            socket.transport.abort()

    async def cut_inside_a_message(self, message: str) -> None:
        """Send the first half of a message as a fragment, and break the connection off."""
        for socket in list(self.open):
            start = message.encode()[: len(message) // 2]
            socket.protocol.send_text(start, fin=False)
            socket.send_data()
            await asyncio.sleep(0.02)
            socket.transport.abort()

    def admit(self, _: ServerConnection, request: Request) -> Response | None:
        """Answer a handshake."""
        status = self.statuses.pop(0) if self.statuses else None
        if status is None and request.path not in PATHS[self.feed]:
            status = 404
        if status is None:
            return None
        response = Response(status, HTTPStatus(status).phrase, Headers({"Content-Length": "0"}), b"")
        if status // 100 == 3:
            response.headers["Location"] = "http://127.0.0.1:1/elsewhere"
        if self.retry_after:
            response.headers["Retry-After"] = self.retry_after
        return response

    async def serve(self, socket: ServerConnection) -> None:
        """Speak with one client."""
        self.connections += 1
        number = self.connections
        self.open.append(socket)
        try:
            if self.feed == "binance":
                await self._welcome(socket, number)
            async for frame in socket:
                text = frame if isinstance(frame, str) else frame.decode()
                self.received.append(text)
                await self._reply(socket, text, number)
        except ConnectionClosed:
            pass
        finally:
            self.open.remove(socket)
            if socket in self.subscribed:
                self.subscribed.remove(socket)

    async def _welcome(self, socket: ServerConnection, number: int) -> None:
        if self.on_open is not None:
            await self.on_open(socket, number)
        self.subscribed.append(socket)

    async def _reply(self, socket: ServerConnection, text: str, number: int) -> None:
        if text == "ping":
            if self.answers_pings:
                await socket.send("pong")
            return
        document = json.loads(text)
        if document["op"] == "ping":
            if self.answers_pings:
                await socket.send(
                    json.dumps({"success": True, "ret_msg": "pong", "conn_id": "c", "req_id": "", "op": "ping"})
                )
            return
        assert document["op"] == "subscribe", text
        if not self.confirms:
            return
        refused = [arg for arg in document["args"] if str(arg) in self.bad_topics or json.dumps(arg) in self.bad_topics]
        await socket.send(json.dumps(self._answer(document, refused)))
        if not refused and socket not in self.subscribed:
            await self._welcome(socket, number)

    def _answer(self, document: dict[str, Any], refused: list[Any]) -> dict[str, Any]:
        if self.feed == "okx":
            if refused:
                said = "Wrong URL or channel:liquidation-orders doesn't exist."
                return {"event": "error", "code": "60018", "msg": said, "connId": "c"}
            return {"id": document["id"], "event": "subscribe", "arg": document["args"][0], "connId": "c"}
        if refused:
            # The whole request fails for the sake of one topic, and the first such topic is named.
            said = f"error:handler not found,topic:{refused[0]}"
            return {"success": False, "ret_msg": said, "conn_id": "c", "req_id": document["req_id"], "op": "subscribe"}
        return {"success": True, "ret_msg": "", "conn_id": "c", "req_id": document["req_id"], "op": "subscribe"}


@asynccontextmanager
async def serving(feed: str, *, answer_protocol_pings: bool = True) -> AsyncIterator[VenueDouble]:
    """A venue on a free port of this machine."""
    double = VenueDouble(feed)
    connection = ServerConnection if answer_protocol_pings else _Deaf
    async with serve(
        double.serve, "127.0.0.1", 0, process_request=double.admit, ping_interval=None, create_connection=connection
    ) as server:
        double.port = _port(server)
        yield double


@contextmanager
def serving_in_thread(feed: str) -> Iterator[tuple[VenueDouble, asyncio.AbstractEventLoop]]:
    """As ``serving``, with a loop of its own, for a recorder in another process."""
    ready = threading.Event()
    made: dict[str, Any] = {}

    async def run() -> None:
        made["stop"] = asyncio.Event()
        made["loop"] = asyncio.get_running_loop()
        async with serving(feed) as double:
            made["double"] = double
            ready.set()
            await made["stop"].wait()

    thread = threading.Thread(target=lambda: asyncio.run(run()))
    thread.start()
    assert ready.wait(10)
    try:
        yield made["double"], made["loop"]
    finally:
        made["loop"].call_soon_threadsafe(made["stop"].set)
        thread.join(10)
        assert not thread.is_alive()


class _Deaf(ServerConnection):
    """Hears the protocol's pings and does not answer them."""

    def process_event(self, event: Any) -> None:
        if getattr(event, "opcode", None) is Opcode.PING:
            self.protocol.writes.clear()
        super().process_event(event)

    def send_data(self) -> None:
        for data in self.protocol.data_to_send():
            if data and data[0] & 0x0F == Opcode.PONG:
                continue
            if data:
                self.transport.write(data)


def _port(server: Server) -> int:
    (socket,) = server.sockets
    return int(socket.getsockname()[1])


def order(symbol: str = "BTCUSDT", moment_ms: int = 1_793_900_000_000, *, product: int = 1, number: int = 1) -> str:
    """A liquidation order as Binance pushes it (fields of its documentation; ``st``: 1 USD-M, 2 COIN-M)."""
    inner = {"s": symbol, "S": "SELL", "o": "LIMIT", "f": "IOC", "q": str(number), "p": "9910", "ap": "9910.5"}
    inner |= {"X": "FILLED", "l": str(number), "z": str(number), "T": moment_ms}
    return json.dumps({"e": "forceOrder", "E": moment_ms + 3, "st": product, "o": inner}, separators=(",", ":"))


def bybit_push(symbol: str, moment_ms: int, *sizes: str) -> str:
    """Liquidations as Bybit pushes them."""
    data = [{"T": moment_ms, "s": symbol, "S": "Buy", "v": size, "p": "0.5"} for size in sizes]
    return json.dumps({"topic": f"allLiquidation.{symbol}", "type": "snapshot", "ts": moment_ms + 200, "data": data})


def okx_push(contract: str, moment_ms: int, side: str = "short") -> str:
    """A liquidation as OKX pushes it."""
    fill = {
        "bkLoss": "0",
        "bkPx": "0.4162",
        "ccy": "",
        "posSide": side,
        "side": "buy",
        "sz": "13",
        "ts": str(moment_ms),
    }
    item = {
        "details": [fill],
        "instFamily": contract[:-5],
        "instId": contract,
        "instType": "SWAP",
        "uly": contract[:-5],
    }
    return json.dumps({"arg": {"channel": "liquidation-orders", "instType": "SWAP"}, "data": [item]})
