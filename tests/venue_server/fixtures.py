"""Recorded answers of exchanges, served in place of the made-up market's.

The format is that of ccxt's static response tests: a JSON file that maps a method's name to a list of entries, each with
``httpResponse``. ccxt's own files have the arguments of the method beside it (``input``): the table in ``ccxt`` says which
requests ask for that. An entry may give ``url`` (or ``path``) instead, and where wanted ``method`` (GET, POST) and a JSON
``body``; it then answers a request of its path if every parameter of its query, and every member of its body, stands in the
request's, and its file is named after the host that serves it (``bybit.json``), or lies in a folder of that name.

What cannot be served is left out and listed, with the reason.
"""

import json
from collections import Counter
from collections.abc import Mapping
from copy import deepcopy
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from venue_server.ccxt import NUMBERS, NotServedError, Pages, place_of
from venue_server.faults import rows_of
from venue_server.text import dumps
from venue_server.wire import Reply, Request

_VERBS = {"GET", "POST", "PUT", "DELETE", "HEAD"}


@dataclass(frozen=True)
class Source:
    """Where an entry stands: the file, the method it is listed under, and its description."""

    file: str
    method: str
    description: str

    def __str__(self) -> str:
        return f"{self.file} {self.method} '{self.description}'"


@dataclass
class Recorded:
    """A recorded answer and what asks for it.

    Attributes:
        source: Where it was read; of the first, if it was put together of several.
        host: Of this server.
        verb: Of HTTP; None for any.
        path: Below the host.
        asks: As in ``ccxt.Place``.
        answer: What is served.
        pages: How its rows are cut into pages; None for an entry that says itself what asks for it, whose answer is always whole.
        asked: How often it has been served.
    """

    source: Source
    host: str
    verb: str | None
    path: str
    asks: Mapping[str, str | None]
    answer: Any
    pages: Pages | None = None
    asked: int = field(default=0, compare=False)

    @property
    def question(self) -> tuple[Any, ...]:
        """What asks for it: the same of two answers to one question."""
        return self.host, self.verb, self.path, sorted(self.asks.items(), key=lambda item: item[0])

    def answers(self, request: Request, asked: dict[str, str]) -> bool:
        """Whether this is the answer to a request, whose query and body are ``asked``."""
        if (self.host, self.path) != (request.host, request.path) or self.verb not in {None, request.method}:
            return False
        return all(_is_asked(name, value, asked) for name, value in self.asks.items())

    def page(self, asked: dict[str, str]) -> Any:
        """The part of the answer that is asked for."""
        page = deepcopy(self.answer)
        rows = rows_of(page)
        if self.pages is None or rows is None:
            return page
        rows[:] = self.pages.of(rows, asked)
        if self.pages.is_later(asked):
            _forget(page, self.pages.cursor)
        return page

    def take(self, other: "Recorded") -> bool:
        """Add the rows of another answer to the same question; False where rows have no time to be told apart by."""
        rows, more = rows_of(self.answer), rows_of(other.answer)
        if self.pages is None or self.pages.time is None or rows is None or more is None:
            return False
        rows[:] = self.pages.together(rows, more)
        return True

    @property
    def size(self) -> int:
        """How many rows it has."""
        return len(rows_of(self.answer) or [])


@dataclass(frozen=True)
class Skipped:
    """An entry that is not served, and why."""

    source: Source
    reason: str


class Fixtures:
    """Recorded answers of a folder.

    Args:
        folder: Where the files lie; None for no answers.

    Attributes:
        served: What can be asked for.
        skipped: Entries that cannot.

    Raises:
        ValueError: A file is not of the format.
    """

    def __init__(self, folder: Path | None) -> None:
        self.served: list[Recorded] = []
        self.skipped: list[Skipped] = []
        for path in sorted(folder.rglob("*.json")) if folder else []:
            named = path.stem if path.parent == folder else path.parent.name
            self._read(path, named)

    def find(self, request: Request) -> Reply | None:
        """The recorded answer to a request that says most about the query, if there is one."""
        if not self.served:
            return None
        asked = _asked(request)
        found = [recorded for recorded in self.served if recorded.answers(request, asked)]
        if not found:
            return None
        best = max(found, key=lambda recorded: len(recorded.asks))
        best.asked += 1
        answer = best.page(asked)
        if isinstance(answer, str):
            return Reply(200, answer.encode(), {"content-type": "text/plain"})
        return Reply(200, dumps(answer), {"content-type": "application/json"})

    def summary(self) -> dict[str, list[dict[str, Any]]]:
        """What is served, where and how often it was asked for, and what is not served and why."""
        return {
            "served": [
                vars(one.source) | {"host": one.host, "path": one.path, "asks": one.asks, "asked": one.asked}
                for one in self.served
            ],
            "skipped": [vars(one.source) | {"reason": one.reason} for one in self.skipped],
        }

    def lines(self) -> list[str]:
        """The same for people: a line for each answer, and for each reason to leave entries of a file out."""
        served = [f"recorded: {one.source} -> {one.host}{one.path} {_text(one.asks)}" for one in self.served]
        left: dict[str, Counter[str]] = {}
        for one in self.skipped:
            left.setdefault(f"{one.source.file}: {one.reason}", Counter())[one.source.method] += 1
        return served + [
            f"not served: {reason}: " + ", ".join(f"{name} ({n})" if n > 1 else name for name, n in methods.items())
            for reason, methods in left.items()
        ]

    def _read(self, path: Path, named: str) -> None:
        content = json.loads(path.read_text())
        # ccxt wraps the methods in {"exchange": ..., "methods": {...}}.
        methods = content.get("methods", content) if isinstance(content, dict) else None
        if not isinstance(methods, dict):
            raise ValueError(f"{path}: not a JSON object of methods")  # noqa: TRY004 - the file is wrong, not a type
        exchange = str(content.get("exchange", named))
        for method, entries in methods.items():
            for entry in entries if isinstance(entries, list) else []:
                if not isinstance(entry, dict):
                    continue
                source = Source(path.name, method, str(entry.get("description", "")))
                try:
                    self._add(_recorded(entry, source, named, exchange))
                except NotServedError as error:
                    self.skipped.append(Skipped(source, str(error)))

    def _add(self, new: Recorded) -> None:
        """Serve an answer; of several to one question the rows of all, or the longest where rows have no time."""
        at = next((i for i, one in enumerate(self.served) if one.pages and one.question == new.question), None)
        if at is None or new.pages is None:
            self.served.append(new)
        elif not self.served[at].take(new):
            old = self.served[at]
            kept, left = (new, old) if new.size > old.size else (old, new)
            self.served[at] = kept
            self.skipped.append(Skipped(left.source, f"answers the question that {kept.source} answers"))


def _recorded(entry: dict[str, Any], source: Source, named: str, exchange: str) -> Recorded:
    if entry.get("disabled"):
        raise NotServedError("disabled")
    if "httpResponse" not in entry:
        raise NotServedError("has no httpResponse")
    url = entry.get("url") or entry.get("path")
    if not url:
        return _of_table(entry, source, exchange)
    parts = urlsplit(str(url))
    verb = str(entry.get("method", "")).upper()
    body = entry.get("body") or entry.get("output") or {}
    body = json.loads(body) if isinstance(body, str) and body.startswith("{") else body
    asks = dict(parse_qsl(parts.query, keep_blank_values=True)) | (_flat(body) if isinstance(body, dict) else {})
    return Recorded(source, named, verb if verb in _VERBS else None, parts.path, asks, entry["httpResponse"])


def _of_table(entry: dict[str, Any], source: Source, exchange: str) -> Recorded:
    given = entry.get("input")
    place = place_of(exchange, source.method, given if isinstance(given, list) else [])
    answer = entry["httpResponse"]
    for name in NUMBERS.get(exchange, ()) if isinstance(answer, dict) else ():
        if isinstance(answer.get(name), str) and answer[name].isdigit():
            answer[name] = int(answer[name])
    if place.pages.is_cut:
        rows = rows_of(answer)
        if rows is None:
            raise NotServedError("has no list of rows")
        if place.pages.time is not None:
            _check_times(place.pages, rows)
    return Recorded(source, place.host, place.verb, place.path, place.asks, answer, place.pages)


def _check_times(pages: Pages, rows: list[Any]) -> None:
    try:
        for row in rows:
            pages.time_of(row)
    except (KeyError, IndexError, TypeError, ValueError) as error:
        raise NotServedError(f"a row has no time at {pages.time!r}") from error


def _asked(request: Request) -> dict[str, str]:
    """The query of a request and the members of its body, those of members by ``name.name``."""
    try:
        body = json.loads(request.body) if request.body else None
    except ValueError:
        body = None
    return request.query | (_flat(body) if isinstance(body, dict) else {})


def _flat(body: dict[str, Any], under: str = "") -> dict[str, str]:
    flat: dict[str, str] = {}
    for name, value in body.items():
        if isinstance(value, dict):
            flat |= _flat(value, f"{under}{name}.")
        else:
            flat[under + name] = value if isinstance(value, str) else json.dumps(value)
    return flat


def _is_asked(name: str, value: str | None, asked: dict[str, str]) -> bool:
    if name.endswith("[]"):
        return value in asked.get(name[:-2], "").split(",")
    return asked.get(name) == value


def _forget(answer: Any, cursor: str) -> None:
    """Make an answer name no further page."""
    for name, value in answer.items() if isinstance(answer, dict) else ():
        if name == cursor:
            answer[name] = ""
        else:
            _forget(value, cursor)


def _text(asks: Mapping[str, str | None]) -> str:
    return " ".join(f"{name}={value}" if value is not None else f"no {name}" for name, value in asks.items())
