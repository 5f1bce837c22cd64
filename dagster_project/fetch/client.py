"""HTTP as connectors need it: limited, retried, bounded, and never sent where it was not meant to go."""

import json
import logging
import os
import ssl
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from functools import cache
from typing import Any, TypeVar
from urllib.parse import urlencode

import httpx
import tenacity

from dagster_project.fetch.hosts import Host
from dagster_project.fetch.limits import HostLimit
from dagster_project.fetch.secrets import Secret, redact, redact_bytes
from dagster_project.lib.errors import DataError, DeleverError

T = TypeVar("T")

MAX_PAGE_BYTES = 64 * 1024**2
"""A page of any documented endpoint is far below this."""

ATTEMPTS = 6
RATE_PAUSE_SECONDS = 10.0
"""Where a venue refuses for the rate without saying for how long."""

LONGEST_WAIT_SECONDS = 300.0
"""A ``Retry-After`` beyond this is a stop: nobody waits an hour inside a step, the next run does."""

STOP_STATUS = {
    401: "the key is missing or not accepted",
    403: "the venue refuses this address or key for now (Bybit: its rate limit was broken; wait ten minutes)",
    418: "the venue has banned this address for going on after 429; wait until the ban ends",
    451: "the venue does not serve this region",
}

# httpx logs each URL at INFO, and a signed URL carries a signature.
logging.getLogger("httpx").setLevel(logging.WARNING)


class StoppedError(DeleverError):
    """A venue said no in a way that asking again makes worse; the run ends with this text."""

    exit_code = 3


class NotThereError(DeleverError):
    """The address answered 404: for an archive, the file does not exist (yet)."""

    exit_code = 3


class AgainError(Exception):
    """A fault that another attempt may not meet; raised inside what ``Client.retrying`` runs."""


@dataclass(frozen=True)
class Page:
    """An answer.

    Args:
        body: As received, content encoding removed.
        url: Where it came from, without secrets.
        document: The body as JSON.
    """

    body: bytes
    url: str
    document: Any


@dataclass(frozen=True)
class Request:
    """A question.

    Args:
        host: Whom to ask.
        path: Below the host's base URL, with a slash in front.
        params: Query; None values are left out.
        body: JSON body; with one, the method is POST.
        headers: Beyond the usual ones.
        weight: Permits that the venue counts for it.
        secret: Adds a key or signature at the moment of sending.
        method: Where neither GET nor, with a body, POST.
    """

    host: Host
    path: str
    params: Mapping[str, Any] = field(default_factory=dict)
    body: Mapping[str, Any] | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    weight: int = 1
    secret: Secret | None = None
    method: str = ""

    @property
    def shown(self) -> str:
        """The address as it may be written down."""
        return shown_url(self.host, self.path, self.params if self.body is None else self.body)


class Client:
    """Asks hosts. Safe to use from several threads.

    Args:
        retry_seconds: First wait before another attempt; doubles, with jitter (``$DELEVER_RETRY_SECONDS``).
        timeout_seconds: For connecting and for each read.
    """

    def __init__(self, retry_seconds: float | None = None, timeout_seconds: float = 20.0) -> None:
        self.retry_seconds = (
            retry_seconds if retry_seconds is not None else float(os.environ.get("DELEVER_RETRY_SECONDS") or 1.0)
        )
        self._http = httpx.Client(
            verify=_certificates(),
            timeout=timeout_seconds,
            follow_redirects=False,
            # Proxies and certificates of the machine are respected, but not passwords of a .netrc.
            trust_env=True,
            headers={"User-Agent": "delever"},
            limits=httpx.Limits(max_connections=16, max_keepalive_connections=16),
        )
        self._limits: dict[str, HostLimit] = {}

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

    def __enter__(self) -> "Client":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def get(
        self,
        host: Host,
        path: str,
        params: Mapping[str, Any] | None = None,
        *,
        weight: int = 1,
        secret: Secret | None = None,
    ) -> Page:
        """Ask for JSON.

        Args:
            host: Whom.
            path: Below the host's base URL, with a slash in front.
            params: Query; None values are left out.
            weight: Permits that the venue counts for it.
            secret: Adds a key or signature at the moment of sending.

        Raises:
            StoppedError: 401, 403, 418, 451, a redirect, or the venue's own refusal.
            NotThereError: 404.
            DataError: No usable answer after several attempts.
        """
        return self._json(Request(host, path, params or {}, weight=weight, secret=secret))

    def post(self, host: Host, path: str, body: Mapping[str, Any], *, weight: int = 1) -> Page:
        """Ask for JSON with a JSON body; arguments and errors as in ``get``."""
        return self._json(Request(host, path, body=body, weight=weight))

    def _json(self, request: Request) -> Page:
        def attempt() -> Page:
            with self.stream(request) as response:
                content = redact_bytes(_bounded(response, request.shown, MAX_PAGE_BYTES))
            return Page(content, request.shown, self._document(request.host, content, request.shown))

        return self.retrying(attempt, request.shown)

    def _document(self, host: Host, content: bytes, shown: str) -> Any:  # noqa: ANN401 - any JSON
        try:
            document = json.loads(content)
        except ValueError as error:
            kind = "an HTML page" if content.lstrip()[:1] == b"<" else "no JSON"
            raise AgainError(f"answered with {kind}: {content[:80]!r}") from error
        refusal = host.refusal(document)
        if refusal is None:
            return document
        if refusal.kind == "absent":
            raise NotThereError(f"{shown}: {refusal.text}")
        if refusal.kind == "stop":
            raise StoppedError(f"{shown}: {refusal.text}")
        if refusal.kind == "rate":
            self._limit(host).pause(min(RATE_PAUSE_SECONDS, self.retry_seconds * RATE_PAUSE_SECONDS))
        raise AgainError(refusal.text)

    def retrying(self, attempt: Callable[[], T], shown: str) -> T:
        """Run an attempt until it answers, with growing waits.

        Raises:
            DataError: It did not, with the last fault.
        """
        policy = tenacity.Retrying(
            retry=tenacity.retry_if_exception_type((AgainError, httpx.TransportError)),
            wait=tenacity.wait_exponential_jitter(
                multiplier=self.retry_seconds, max=60 * self.retry_seconds, jitter=self.retry_seconds
            ),
            stop=tenacity.stop_after_attempt(ATTEMPTS),
            reraise=True,
        )
        try:
            return policy(attempt)
        except (AgainError, httpx.TransportError) as error:
            said = str(error) or type(error).__name__
            raise DataError(
                f"{shown}: no usable answer in {ATTEMPTS} attempts; the last one {said}. Run again later: what has landed stays."
            ) from error

    @contextmanager
    def stream(self, request: Request) -> Iterator[httpx.Response]:
        """Send one request within the host's limit and hand out the answer unread, its status looked at.

        Raises:
            StoppedError: 401, 403, 418, 451, or a redirect.
            NotThereError: 404.
        """
        limit = self._limit(request.host)
        limit.wait(request.weight)
        query = {name: str(value) for name, value in request.params.items() if value is not None}
        headers = dict(request.headers)
        if request.secret is not None:
            query, headers = request.secret.apply(query, headers)
        try:
            with self._http.stream(
                request.method or ("GET" if request.body is None else "POST"),
                request.host.base() + request.path,
                params=query or None,
                json=request.body,
                headers=headers or None,
            ) as response:
                self._look_at(response, limit, request)
                yield response
        except httpx.InvalidURL as error:
            raise DataError(f"{request.shown} is no address: {error}") from error

    def _look_at(self, response: httpx.Response, limit: HostLimit, request: Request) -> None:
        status, shown = response.status_code, request.shown
        if 200 <= status < 300 or status == 416:
            # 416: nothing lies beyond what an interrupted download has; the caller knows what that means.
            return
        if 300 <= status < 400:
            where = response.headers.get("location", "")[:120]
            raise StoppedError(
                f"{shown}: redirected to '{where}'. Delever follows no redirect; if the venue has moved, set the base URL "
                "(docs/ingestion.md)."
            )
        wait = _retry_after(response)
        if status in STOP_STATUS:
            hint = f" Retry after {wait:.0f} s." if wait else ""
            raise StoppedError(f"{shown}: HTTP {status}, {STOP_STATUS[status]}.{hint}{_words(_start(response))}")
        if status == 404:
            raise NotThereError(f"{shown}: HTTP 404, not there.")
        if status == 429:
            pause = wait if wait is not None else RATE_PAUSE_SECONDS * self.retry_seconds
            if pause > LONGEST_WAIT_SECONDS:
                raise StoppedError(f"{shown}: HTTP 429, to be asked again after {pause:.0f} s. Run again then.")
            limit.pause(pause)
            raise AgainError("answered HTTP 429 (too many requests)")
        if status >= 500 or status in {408, 425}:
            if wait is not None and wait <= LONGEST_WAIT_SECONDS:
                limit.pause(wait)
            raise AgainError(f"answered HTTP {status}")
        start = _start(response)
        if _is_absent(request.host, start):
            raise NotThereError(f"{shown}: HTTP {status}.{_words(start)}")
        raise DataError(f"{shown}: HTTP {status}.{_words(start)}")

    def _limit(self, host: Host) -> HostLimit:
        key = f"{host.name} {host.base()}"
        if key not in self._limits:
            self._limits[key] = HostLimit(host)
        return self._limits[key]


@cache
def _certificates() -> ssl.SSLContext:
    """The trusted authorities, read once: loading them takes longer than most requests."""
    return httpx.create_ssl_context()


def shown_url(host: Host, path: str, params: Mapping[str, Any] | None) -> str:
    """The address as it may be written down: no key is ever among ``params``."""
    query = urlencode({name: value for name, value in (params or {}).items() if value is not None})
    return f"{host.base()}{path}" + (f"?{query}" if query else "")


def _bounded(response: httpx.Response, shown: str, limit: int) -> bytes:
    declared = response.headers.get("content-length", "")
    if declared.isdigit() and int(declared) > limit:
        raise DataError(f"{shown}: declares {declared} bytes, more than any page has ({limit}); not read.")
    parts: list[bytes] = []
    size = 0
    for part in response.iter_bytes():
        size += len(part)
        if size > limit:
            raise DataError(f"{shown}: sends more than {limit} bytes; reading stopped.")
        parts.append(part)
    return b"".join(parts)


def _retry_after(response: httpx.Response) -> float | None:
    text = response.headers.get("retry-after", "").strip()
    if not text:
        return None
    if text.replace(".", "", 1).isdigit():
        return float(text)
    try:
        return max((parsedate_to_datetime(text) - datetime.now(UTC)).total_seconds(), 0.0)
    except (TypeError, ValueError):
        return None


def _start(response: httpx.Response) -> bytes:
    """The start of an error's body."""
    body = b""
    try:
        for part in response.iter_bytes():
            body += part
            if len(body) > 2000:
                break
    except httpx.TransportError:
        return b""
    return body[:2000]


def _is_absent(host: Host, start: bytes) -> bool:
    """Whether an error's body says that what was asked for is not there."""
    try:
        refusal = host.refusal(json.loads(start))
    except ValueError:
        return False
    return refusal is not None and refusal.kind == "absent"


def _words(start: bytes) -> str:
    """The start of an error's body, on one line: a venue's own words on what was wrong."""
    text = redact(" ".join(start[:300].decode("utf-8", "replace").split()))
    return f" The venue says: {text}" if text and not text.startswith("<") else ""


def now_ms() -> int:
    """Milliseconds since 1970, as venues count."""
    return int(time.time() * 1000)
