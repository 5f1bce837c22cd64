"""A request and a reply as the venues' modules see them, and files served with ranges."""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, field
from email.utils import formatdate
from typing import Any

from venue_server.text import dumps


@dataclass(frozen=True)
class Request:
    """One HTTP request; ``path`` is below the host's prefix, header names are lower case."""

    host: str
    method: str
    path: str
    query: dict[str, str]
    headers: dict[str, str]
    body: bytes = b""
    base: str = ""
    """Where this server's host answers, such as ``http://127.0.0.1:8000``; for URLs inside answers."""
    query_text: str = ""

    def number(self, name: str, default: int | None = None) -> int | None:
        """An integer of the query, or the default where it is absent or empty.

        Raises:
            ValueError: Not an integer.
        """
        text = self.query.get(name, "")
        return int(text) if text else default


@dataclass
class Reply:
    """One HTTP answer.

    ``declared_length`` overrides Content-Length, ``pauses`` is seconds waited before each part of the body.
    """

    status: int = 200
    body: bytes = b""
    headers: dict[str, str] = field(default_factory=dict)
    declared_length: int | None = None
    reset: bool = False
    pauses: tuple[float, ...] = ()


Handler = Callable[[Request], Reply]


def json_reply(value: Any, status: int = 200, headers: dict[str, str] | None = None) -> Reply:
    """A value as JSON."""
    return Reply(status, dumps(value), {"content-type": "application/json", **(headers or {})})


def raw_json(body: str, headers: dict[str, str] | None = None) -> Reply:
    """Text that is JSON already."""
    return Reply(200, body.encode(), {"content-type": "application/json", **(headers or {})})


def file_reply(request: Request, body: bytes, content_type: str, changed_ms: int = 0) -> Reply:
    """A file with ETag and Last-Modified; honours one Range and If-None-Match, as S3 and its mirrors do."""
    tag = f'"{hashlib.md5(body, usedforsecurity=False).hexdigest()}"'
    headers = {
        "content-type": content_type,
        "etag": tag,
        "last-modified": formatdate(changed_ms / 1000, usegmt=True),
        "accept-ranges": "bytes",
    }
    if request.headers.get("if-none-match") == tag:
        return Reply(304, b"", headers)
    wanted = request.headers.get("range")
    if_range = request.headers.get("if-range")
    if wanted is None or (if_range is not None and if_range != tag):
        return Reply(200, body, headers)
    span = _span(wanted, len(body))
    if span is None:
        return Reply(416, b"", {**headers, "content-range": f"bytes */{len(body)}"})
    first, last = span
    return Reply(206, body[first : last + 1], {**headers, "content-range": f"bytes {first}-{last}/{len(body)}"})


def _span(text: str, size: int) -> tuple[int, int] | None:
    """First and last byte of ``bytes=a-b``, ``bytes=a-`` or ``bytes=-n``; None if it cannot be satisfied."""
    unit, _, span = text.partition("=")
    first_text, dash, last_text = span.partition("-")
    if unit.strip() != "bytes" or not dash or "," in span:
        return None
    if not first_text:
        first, last = max(0, size - int(last_text)), size - 1
    else:
        first, last = int(first_text), min(int(last_text), size - 1) if last_text else size - 1
    return (first, last) if first <= last and first < size else None
