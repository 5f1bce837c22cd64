"""Faults that tests inject: what a venue, its network or a hostile file may do, each with a name.

A fault is put on a path by a pattern (``fnmatch`` of ``host/path``), for the n-th matching request, for some, or always. It
either answers in the venue's stead or changes the venue's answer. ``NAMES`` lists them all.
"""

import gzip
import io
import json
import random
import zipfile
import zlib
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from fnmatch import fnmatchcase
from typing import Any

from venue_server.archive import checksum, republished, with_body
from venue_server.text import dumps
from venue_server.wire import Reply, Request, json_reply

Change = Callable[[Request, Reply], Reply]
BOMB_BYTES = 512 * 1024 * 1024
"""What a bomb unpacks to."""
SLOW_SECONDS = 3.0


@dataclass
class Fault:
    """A named fault, where it strikes, and when.

    Attributes:
        name: One of ``NAMES``.
        pattern: Which ``host/path`` it is for, such as ``bybit/v5/market/kline`` or ``binance_archive/*.zip``.
        on: Numbers of the matching requests that it strikes, from 1; empty for all from ``since`` on.
        since: The first matching request that it strikes, if ``on`` is empty.
        where: Texts of the query that must match too.
        options: What a fault takes, such as ``retry_after``.
    """

    name: str
    pattern: str
    on: tuple[int, ...] = ()
    since: int = 1
    where: dict[str, str] = field(default_factory=dict)
    options: dict[str, Any] = field(default_factory=dict)
    seen: int = 0
    struck: int = 0

    def strikes(self, request: Request) -> bool:
        """Whether this request is hit; counts it if it matches."""
        if not fnmatchcase(request.host + request.path, self.pattern):
            return False
        if any(request.query.get(name) != value for name, value in self.where.items()):
            return False
        self.seen += 1
        hit = self.seen in self.on if self.on else self.seen >= self.since
        self.struck += hit
        return hit


class Faults:
    """The faults of a server, in the order in which they were put."""

    def __init__(self) -> None:
        self._faults: list[Fault] = []

    def put(
        self,
        name: str,
        pattern: str = "*",
        *,
        on: int | tuple[int, ...] = (),
        since: int = 1,
        where: dict[str, str] | None = None,
        **options: Any,
    ) -> Fault:
        """Put a fault on a path; ``on=1`` hits the first matching request alone.

        Raises:
            KeyError: No fault has that name.
        """
        if name not in NAMES:
            raise KeyError(f"no fault is named {name}; there are {', '.join(NAMES)}")
        fault = Fault(name, pattern, (on,) if isinstance(on, int) else on, since, where or {}, options)
        self._faults.append(fault)
        return fault

    def clear(self) -> None:
        """Take all faults away."""
        self._faults.clear()

    def answer(self, request: Request, handler: Callable[[Request], Reply]) -> Reply:
        """The handler's answer, or what the faults make of it; the handler is not asked where a fault answers alone."""
        hits = [fault for fault in self._faults if fault.strikes(request)]
        reply = Reply() if any(NAMES[fault.name].alone for fault in hits) else handler(request)
        for fault in hits:
            reply = NAMES[fault.name].make(request, reply, {**fault.options, "handler": handler})
        return reply


@dataclass(frozen=True)
class _Kind:
    """What a fault does; ``alone``: it needs no answer of the venue."""

    make: Callable[[Request, Reply, dict[str, Any]], Reply]
    alone: bool = False


# --- refusals ---


def rate_limit(request: Request) -> Reply:
    """What a venue answers when asked too often."""
    family = request.host.split("_")[0]
    if family == "okx":
        return json_reply({"code": "50011", "msg": "Too Many Requests", "data": []})
    if family == "bybit":
        headers = {"x-bapi-limit-status": "0", "x-bapi-limit": "600", "x-bapi-limit-reset-timestamp": "0"}
        return json_reply(
            {"retCode": 10006, "retMsg": "Too many visits!", "result": {}, "retExtInfo": {}, "time": 0}, 200, headers
        )
    if family == "bitget":
        return json_reply({"code": "429", "msg": "Too Many Requests", "requestTime": 0, "data": None}, 429)
    if family == "coinglass":
        return json_reply({"code": "429", "msg": "Too Many Requests", "data": None})
    if family == "binance":
        message = "Too many requests; current limit of IP is 2400 requests per minute."
        return json_reply({"code": -1003, "msg": message}, 429, {"retry-after": "1"})
    return json_reply({"message": "Too Many Requests"}, 429, {"retry-after": "1"})


def _status(status: int, body: bytes, **headers: str) -> _Kind:
    def make(_: Request, __: Reply, options: dict[str, Any]) -> Reply:
        sent = {"content-type": "text/plain", **{name.replace("_", "-"): value for name, value in headers.items()}}
        if "retry_after" in options:
            sent["retry-after"] = str(options["retry_after"])
        return Reply(status, body, sent)

    return _Kind(make, alone=True)


def _forbidden(request: Request, _: Reply, __: dict[str, Any]) -> Reply:
    if request.host.startswith("bybit"):
        return Reply(403, b"access too frequent", {"content-type": "text/plain"})
    return Reply(403, b"<html><body><h1>403 Forbidden</h1></body></html>", {"content-type": "text/html"})


def _banned(_: Request, __: Reply, options: dict[str, Any]) -> Reply:
    message = "Way too many requests; IP banned until 1793491200000. Please use the websocket for live updates."
    return json_reply({"code": -1003, "msg": message}, 418, {"retry-after": str(options.get("retry_after", 120))})


def _restricted(_: Request, __: Reply, ___: dict[str, Any]) -> Reply:
    message = "Service unavailable from a restricted location according to 'b. Eligibility' in the terms of service."
    return json_reply({"code": 0, "msg": message}, 451)


# --- the network ---


def _truncated(_: Request, reply: Reply, options: dict[str, Any]) -> Reply:
    keep = int(options.get("keep", len(reply.body) // 2))
    return Reply(reply.status, reply.body[:keep], reply.headers, declared_length=len(reply.body))


def _slow(_: Request, reply: Reply, options: dict[str, Any]) -> Reply:
    seconds = float(options.get("seconds", SLOW_SECONDS))
    return Reply(reply.status, reply.body, reply.headers, pauses=(seconds / 2, seconds / 2))


def _huge(_: Request, reply: Reply, options: dict[str, Any]) -> Reply:
    return Reply(reply.status, reply.body, reply.headers, declared_length=int(options.get("size", 10 * 10**9)))


def _redirect(default: str) -> _Kind:
    def make(_: Request, __: Reply, options: dict[str, Any]) -> Reply:
        return Reply(302, b"", {"location": str(options.get("location", default))})

    return _Kind(make, alone=True)


# --- wrong contents ---


def _body(content_type: str, body: bytes) -> _Kind:
    return _Kind(lambda _, __, ___: Reply(200, body, {"content-type": content_type}), alone=True)


def _not_json(_: Request, reply: Reply, __: dict[str, Any]) -> Reply:
    return Reply(reply.status, reply.body[:-1] + b",", reply.headers)


def rows_of(value: Any) -> list[Any] | None:
    """The list of rows in an answer: the deepest first list of a known envelope."""
    if isinstance(value, list):
        return value
    if isinstance(value, dict):
        for name in ("result", "data", "list", "history"):
            if name in value:
                found = rows_of(value[name])
                if found is not None:
                    return found
    return None


def _rows(change: Callable[[list[Any]], list[Any]]) -> _Kind:
    """A fault that changes the rows of an answer within their envelope."""

    def make(_: Request, reply: Reply, __: dict[str, Any]) -> Reply:
        value = json.loads(reply.body)
        rows = rows_of(value)
        if rows is not None:
            rows[:] = change(list(rows))
        return Reply(reply.status, dumps(value), reply.headers)

    return _Kind(make)


def _shuffled(rows: list[Any]) -> list[Any]:
    random.Random(7).shuffle(rows)  # noqa: S311 - an order, not a secret
    return rows


def _wrong_shape(_: Request, reply: Reply, __: dict[str, Any]) -> Reply:
    """Rows whose fields are not those that the venue documents."""
    value = json.loads(reply.body)
    rows = rows_of(value)
    if rows is None:
        return json_reply({"unexpected": True})
    rows[:] = [{"unexpected": 1} for _ in rows] or [{"unexpected": 1}]
    return Reply(reply.status, dumps(value), reply.headers)


def _wrong_checksum(request: Request, reply: Reply, _: dict[str, Any]) -> Reply:
    name = request.path.rpartition("/")[2].removesuffix(".CHECKSUM")
    return Reply(200, f"{'0' * 64}  {name}\n".encode(), reply.headers)


def _republished(request: Request, reply: Reply, options: dict[str, Any]) -> Reply:
    """Another edition of a file, one row shorter, with the ETag and the checksum that belong to it."""
    if not request.path.endswith(".CHECKSUM"):
        return with_body(reply, republished(reply.body))
    path = request.path.removesuffix(".CHECKSUM")
    file = options["handler"](replace(request, path=path, headers={}))
    return with_body(reply, checksum(path.rpartition("/")[2], republished(file.body)))


def _flipped(_: Request, reply: Reply, __: dict[str, Any]) -> Reply:
    """One byte of the body changed, with the old checksum."""
    middle = len(reply.body) // 2
    return Reply(
        reply.status, reply.body[:middle] + bytes([reply.body[middle] ^ 0xFF]) + reply.body[middle + 1 :], reply.headers
    )


# --- hostile files ---


def _zip(entries: list[tuple[str, bytes]]) -> bytes:
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, body in entries:
            archive.writestr(name, body)
    return made.getvalue()


def _zip_bomb(_: Request, __: Reply, options: dict[str, Any]) -> Reply:
    made = io.BytesIO()
    with (
        zipfile.ZipFile(made, "w", zipfile.ZIP_DEFLATED) as archive,
        archive.open("bomb.csv", "w", force_zip64=True) as entry,
    ):
        for _megabyte in range(int(options.get("size", BOMB_BYTES)) // 2**20):
            entry.write(bytes(2**20))
    return Reply(200, made.getvalue(), {"content-type": "application/zip"})


def _gzip_bomb(_: Request, __: Reply, options: dict[str, Any]) -> Reply:
    packer = zlib.compressobj(9, zlib.DEFLATED, 31)
    made = b"".join(packer.compress(bytes(2**20)) for _ in range(int(options.get("size", BOMB_BYTES)) // 2**20))
    return Reply(200, made + packer.flush(), {"content-type": "application/gzip"})


def _first_entry(reply: Reply) -> tuple[str, bytes]:
    with zipfile.ZipFile(io.BytesIO(reply.body)) as archive:
        name = archive.namelist()[0]
        return name, archive.read(name)


def _zip_slip(_: Request, reply: Reply, options: dict[str, Any]) -> Reply:
    body = _first_entry(reply)[1]
    return Reply(200, _zip([(str(options.get("name", "../x")), body)]), {"content-type": "application/zip"})


def _zip_two(_: Request, reply: Reply, __: dict[str, Any]) -> Reply:
    name, body = _first_entry(reply)
    return Reply(200, _zip([(name, body), ("second-" + name, body)]), {"content-type": "application/zip"})


NAMES: dict[str, _Kind] = {
    "rate_limit": _Kind(lambda request, _, __: rate_limit(request), alone=True),
    "429": _status(429, b"Too Many Requests", retry_after="1"),
    "403": _Kind(_forbidden, alone=True),
    "404": _status(404, b"Not Found"),
    "418": _Kind(_banned, alone=True),
    "451": _Kind(_restricted, alone=True),
    "500": _status(500, b"Internal Server Error"),
    "502": _status(502, b"<html><body><h1>502 Bad Gateway</h1></body></html>"),
    "503": _status(503, b"Service Unavailable"),
    "reset": _Kind(lambda _, __, ___: Reply(reset=True), alone=True),
    "truncated": _Kind(_truncated),
    "slow": _Kind(_slow),
    "huge_length": _Kind(_huge),
    "redirect_file": _redirect("file:///etc/passwd"),
    "redirect_ftp": _redirect("ftp://127.0.0.1/file.zip"),
    "redirect_host": _redirect("http://localhost.invalid/elsewhere"),
    "html": _body("text/html", b"<!DOCTYPE html><html><body><h1>Just a moment...</h1></body></html>"),
    "empty_body": _body("application/json", b""),
    "not_json": _Kind(_not_json),
    "wrong_shape": _Kind(_wrong_shape),
    "empty_page": _rows(lambda _: []),
    "shuffled_page": _rows(_shuffled),
    "reversed_page": _rows(lambda rows: rows[::-1]),
    "overlapping_page": _rows(lambda rows: rows + rows[-3:]),
    "missing_row": _rows(lambda rows: rows[: len(rows) // 2] + rows[len(rows) // 2 + 1 :]),
    "wrong_checksum": _Kind(_wrong_checksum),
    "flipped_byte": _Kind(_flipped),
    "republished": _Kind(_republished),
    "zip_bomb": _Kind(_zip_bomb, alone=True),
    "gzip_bomb": _Kind(_gzip_bomb, alone=True),
    "zip_slip": _Kind(_zip_slip),
    "zip_two_members": _Kind(_zip_two),
    "not_gzip": _Kind(lambda _, reply, __: Reply(200, gzip.compress(reply.body)[10:], reply.headers)),
}
"""Every fault by name."""
