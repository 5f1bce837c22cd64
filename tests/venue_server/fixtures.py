"""Recorded answers of exchanges, served in place of the made-up market's.

The format is that of ccxt's static response tests: a JSON file that maps a method's name to a list of entries, each with
``url`` (or ``path``), where wanted ``method`` (GET, POST) and a JSON ``body``, and ``httpResponse``. A file is named after the
host that serves it (``bybit.json``), or lies in a folder of that name. An entry answers a request of its path if every
parameter of the entry's query, and every member of its body, stands in the request's.
"""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from venue_server.text import dumps
from venue_server.wire import Reply, Request

_VERBS = {"GET", "POST", "PUT", "DELETE", "HEAD"}


@dataclass(frozen=True)
class Recorded:
    """A recorded answer and what asks for it."""

    host: str
    method: str | None
    path: str
    query: dict[str, str]
    body: dict[str, Any]
    answer: Any

    def answers(self, request: Request) -> bool:
        """Whether this is the answer to a request."""
        if self.host != request.host or self.path != request.path:
            return False
        if self.method is not None and self.method != request.method:
            return False
        if any(request.query.get(name) != value for name, value in self.query.items()):
            return False
        return not self.body or _holds(self.body, request.body)


class Fixtures:
    """Recorded answers of a folder.

    Args:
        folder: Where the files lie; None for no answers.

    Raises:
        ValueError: A file is not of the format, or gives neither a URL nor a path.
    """

    def __init__(self, folder: Path | None) -> None:
        self._recorded: list[Recorded] = []
        for path in sorted(folder.rglob("*.json")) if folder else []:
            host = path.stem if path.parent == folder else path.parent.name
            self._recorded += _read(path, host)

    def find(self, request: Request) -> Reply | None:
        """The recorded answer to a request that says most about the query, if there is one."""
        found = [recorded for recorded in self._recorded if recorded.answers(request)]
        if not found:
            return None
        best = max(found, key=lambda recorded: len(recorded.query) + len(recorded.body))
        if isinstance(best.answer, str):
            return Reply(200, best.answer.encode(), {"content-type": "text/plain"})
        return Reply(200, dumps(best.answer), {"content-type": "application/json"})


def _read(path: Path, host: str) -> list[Recorded]:
    content = json.loads(path.read_text())
    # ccxt wraps the methods in {"exchange": ..., "methods": {...}}.
    methods = content.get("methods", content) if isinstance(content, dict) else None
    if not isinstance(methods, dict):
        raise ValueError(f"{path}: not a JSON object of methods")  # noqa: TRY004 - the file is wrong, not a type
    return [
        _recorded(entry, host, path)
        for entries in methods.values()
        if isinstance(entries, list)
        for entry in entries
        if isinstance(entry, dict) and not entry.get("disabled") and "httpResponse" in entry
    ]


def _recorded(entry: dict[str, Any], host: str, path: Path) -> Recorded:
    url = entry.get("url") or entry.get("path")
    if not url:
        raise ValueError(f"{path}: {entry.get('description', 'an entry')} has neither url nor path")
    parts = urlsplit(str(url))
    verb = str(entry.get("method", "")).upper()
    body = entry.get("body") or entry.get("output") or {}
    body = json.loads(body) if isinstance(body, str) and body.startswith("{") else body
    return Recorded(
        host, verb if verb in _VERBS else None, parts.path, dict(parse_qsl(parts.query, keep_blank_values=True)),
        body if isinstance(body, dict) else {}, entry["httpResponse"],
    )  # fmt: skip


def _holds(wanted: dict[str, Any], body: bytes) -> bool:
    """Whether a JSON body has every member that is wanted."""
    try:
        given = json.loads(body)
    except ValueError:
        return False
    return isinstance(given, dict) and all(given.get(name) == value for name, value in wanted.items())
