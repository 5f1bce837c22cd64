"""The server: one address on this machine under which every venue answers below a path of its own.

``http://127.0.0.1:PORT/bybit/v5/market/kline`` is what ``https://api.bybit.com/v5/market/kline`` is outside. The server runs in
a thread of a test (``Server``) or by ``python -m venue_server``; ``/_control/`` does over HTTP what ``Server`` does in Python.
"""

import asyncio
import socket
import struct
import threading
import time
from collections import Counter, deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self
from urllib.parse import parse_qsl, unquote

import uvicorn
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from venue_server.faults import Faults, rate_limit
from venue_server.fixtures import Fixtures
from venue_server.hosts import Hosts
from venue_server.text import at
from venue_server.wire import Reply, Request, json_reply
from venue_server.world import World


@dataclass(frozen=True)
class Seen:
    """One request that came: when (seconds of the monotonic clock), for which host and path, and what it was answered with."""

    at: float
    host: str
    path: str
    query: dict[str, str]
    method: str
    status: int

    @property
    def place(self) -> str:
        """``host/path``."""
        return self.host + self.path


class Requests:
    """What was asked of the server, so that tests can say what should have been."""

    def __init__(self) -> None:
        self._seen: list[Seen] = []
        self._lock = threading.Lock()

    def add(self, seen: Seen) -> None:
        """Note a request."""
        with self._lock:
            self._seen.append(seen)

    def clear(self) -> None:
        """Forget all."""
        with self._lock:
            self._seen.clear()

    def all(self, prefix: str = "") -> list[Seen]:
        """Requests whose ``host/path`` begins so, in order of arrival."""
        with self._lock:
            return [seen for seen in self._seen if seen.place.startswith(prefix)]

    def count(self, prefix: str = "") -> int:
        """How many requests' ``host/path`` begins so."""
        return len(self.all(prefix))

    def by_path(self) -> dict[str, int]:
        """How many requests each ``host/path`` had."""
        return dict(Counter(seen.place for seen in self.all()))

    def per_second(self, prefix: str = "") -> dict[int, int]:
        """How many requests came in each second since the first one."""
        seen = self.all(prefix)
        return dict(Counter(int(one.at - seen[0].at) for one in seen)) if seen else {}

    def most_within(self, seconds: float, prefix: str = "") -> int:
        """The most requests within any stretch of so many seconds."""
        window: deque[float] = deque()
        most = 0
        for one in self.all(prefix):
            window.append(one.at)
            while one.at - window[0] >= seconds:
                window.popleft()
            most = max(most, len(window))
        return most


class _Protocol(HttpToolsProtocol):
    """Uvicorn's protocol, whose requests can reach their connection in order to break it."""

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self.scope["state"]["transport"] = self.transport


class App:
    """The ASGI application."""

    def __init__(self, world: World, fixtures: Fixtures) -> None:
        self.world = world
        self.fixtures = fixtures
        self.faults = Faults()
        self.requests = Requests()
        self.hosts = Hosts(world)
        self._limits: dict[str, tuple[int, float, deque[float]]] = {}
        self.base = ""

    def limit(self, host: str, requests: int, seconds: float) -> None:
        """Answer a host's requests beyond so many within so many seconds as the venue does."""
        self._limits[host] = (requests, seconds, deque())

    def clear_limits(self) -> None:
        """Keep no limit."""
        self._limits.clear()

    async def __call__(self, scope: dict[str, Any], receive: Callable[..., Any], send: Callable[..., Any]) -> None:
        """Serve one connection's request."""
        if scope["type"] != "http":
            return
        body = b""
        more = scope["method"] != "GET"
        while more:
            message = await receive()
            body += message.get("body", b"")
            more = message.get("more_body", False)
        _, host, path = scope["path"].split("/", 2) if scope["path"].count("/") > 1 else ("", scope["path"][1:], "")
        text = scope["query_string"].decode()
        request = Request(
            host, scope["method"], "/" + path, dict(parse_qsl(text, keep_blank_values=True)),
            {name.decode(): value.decode() for name, value in scope["headers"]}, body, self.base, text,
        )  # fmt: skip
        reply = self._reply(request)
        if host != "_control":
            self.requests.add(Seen(time.monotonic(), host, request.path, request.query, request.method, reply.status))
        await _send(scope, reply, send, request.method)

    def _reply(self, request: Request) -> Reply:
        if request.host == "_control":
            return self._control(request)
        if self._exceeds(request.host):
            return rate_limit(request)
        return self.faults.answer(request, self._venue)

    def _venue(self, request: Request) -> Reply:
        return self.fixtures.find(request) or self.hosts.answer(request)

    def _exceeds(self, host: str) -> bool:
        if host not in self._limits:
            return False
        requests, seconds, window = self._limits[host]
        now = time.monotonic()
        while window and now - window[0] >= seconds:
            window.popleft()
        window.append(now)
        return len(window) > requests

    def _control(self, request: Request) -> Reply:
        """``/_control/{fault,clear,now,limit,requests,fixtures,health}``, each by the query."""
        query = dict(request.query)
        action = request.path.strip("/")
        try:
            if action == "fault":
                name, pattern = query.pop("name"), query.pop("pattern", "*")
                on = tuple(int(number) for number in query.pop("on", "").split(",") if number)
                self.faults.put(name, pattern, on=on, since=int(query.pop("since", "1")), where=None, **query)
            elif action == "clear":
                self.faults.clear()
                self.requests.clear()
                self.clear_limits()
            elif action == "now":
                if "to" in query:
                    self.world.now = int(query["to"]) if query["to"].isdigit() else at(unquote(query["to"]))
            elif action == "limit":
                self.limit(query["host"], int(query["requests"]), float(query["seconds"]))
            elif action == "requests":
                return json_reply(self.requests.by_path())
            elif action == "fixtures":
                return json_reply(self.fixtures.summary())
            elif action != "health":
                return json_reply({"error": f"no such action: {action}"}, 404)
        except (KeyError, ValueError) as error:
            return json_reply({"error": str(error)}, 400)
        return json_reply({"now": self.world.now})


async def _send(scope: dict[str, Any], reply: Reply, send: Callable[..., Any], method: str) -> None:
    if reply.reset:
        _reset(scope["state"]["transport"])
        return
    headers = [(name.encode(), value.encode()) for name, value in reply.headers.items()]
    length = len(reply.body) if reply.declared_length is None else reply.declared_length
    if reply.status != 304:
        headers.append((b"content-length", str(length).encode()))
    await send({"type": "http.response.start", "status": reply.status, "headers": headers})
    if method == "HEAD":
        await send({"type": "http.response.body", "body": b""})
        return
    for part, pause in zip(_parts(reply.body, len(reply.pauses)), reply.pauses, strict=False):
        await asyncio.sleep(pause)
        await send({"type": "http.response.body", "body": part, "more_body": True})
    rest = b"" if reply.pauses else reply.body
    if length > len(reply.body):
        # Fewer bytes than declared: the connection ends in the middle of the body.
        await send({"type": "http.response.body", "body": rest, "more_body": True})
        scope["state"]["transport"].close()
        return
    await send({"type": "http.response.body", "body": rest})


def _parts(body: bytes, count: int) -> Iterable[bytes]:
    size = -(-len(body) // count) if count else 0
    return [body[i * size : (i + 1) * size] for i in range(count)]


def _reset(transport: Any) -> None:
    """Break the connection with a TCP reset."""
    transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    transport.abort()


class Server:
    """The server in a thread of this process, for the length of a ``with`` block.

    Args:
        world: The market; by default three contracts a venue.
        fixtures: A folder of recorded answers.
        port: Where to listen; 0 for any free one.
    """

    def __init__(self, world: World | None = None, fixtures: Path | None = None, port: int = 0) -> None:
        self.world = world or World()
        self.app = App(self.world, Fixtures(fixtures))
        self._port = port

    @property
    def faults(self) -> Faults:
        """Where faults are put."""
        return self.app.faults

    @property
    def requests(self) -> Requests:
        """What was asked."""
        return self.app.requests

    @property
    def fixtures(self) -> Fixtures:
        """Recorded answers: which are served, and which are not."""
        return self.app.fixtures

    @property
    def url(self) -> str:
        """``http://127.0.0.1:PORT``."""
        return self.app.base

    def base(self, host: str) -> str:
        """Base URL of a venue: ``bybit``, ``binance_um``, ``okx_archive``, ..."""
        return f"{self.url}/{host}"

    def environment(self) -> dict[str, str]:
        """``DELEVER_URL_*`` for every host, which point here."""
        return {f"DELEVER_URL_{host.upper()}": self.base(host) for host in self.app.hosts.names}

    def set_now(self, now: int | str) -> None:
        """Set the clock: ms, or an ISO text."""
        self.world.now = at(now) if isinstance(now, str) else now

    def limit(self, host: str, requests: int, seconds: float) -> None:
        """Keep a host's rate limit as the venue does."""
        self.app.limit(host, requests, seconds)

    def warm(self, hours: int) -> int:
        """Make the hourly bars of so many hours back beforehand, as a benchmark wants it; how many were made."""
        return self.app.hosts.warm(hours)

    def __enter__(self) -> Self:
        """Start to listen.

        Raises:
            RuntimeError: It does not listen after ten seconds.
        """
        # Named as TCP, so that asyncio turns Nagle's algorithm off: it would hold each body back for 40 ms.
        listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(("127.0.0.1", self._port))
        self.app.base = f"http://127.0.0.1:{listener.getsockname()[1]}"
        self._server = uvicorn.Server(
            uvicorn.Config(
                self.app, http=_Protocol, ws="none", lifespan="off", log_level="critical", access_log=False, date_header=False,
                server_header=False, timeout_graceful_shutdown=1,
            )
        )  # fmt: skip
        self._thread = threading.Thread(
            target=lambda: asyncio.run(self._server.serve(sockets=[listener])), name="venue server", daemon=True
        )
        self._thread.start()
        deadline = time.monotonic() + 10
        while not self._server.started:
            if time.monotonic() > deadline:
                raise RuntimeError("the venue server did not start")
            time.sleep(0.01)
        return self

    def __exit__(self, *_: object) -> None:
        """Stop, dropping open connections."""
        self._server.should_exit = True
        self._server.force_exit = True
        self._thread.join(10)
