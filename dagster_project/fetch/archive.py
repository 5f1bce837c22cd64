"""Files of archives: resumed where they broke off, bounded, and compared with the checksum beside them."""

import hashlib
import re
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path

import httpx

from dagster_project.fetch.client import AgainError, Client, NotThereError, Request, shown_url
from dagster_project.fetch.hosts import Host
from dagster_project.fetch.secrets import Secret
from dagster_project.fetch.tasks import Piece
from dagster_project.lib.archives import unpack_text
from dagster_project.lib.errors import DataError

MAX_FILE_BYTES = 4 * 1024**3
"""A day of one contract's trades is below this."""

_MAGIC = {".zip": b"PK", ".gz": b"\x1f\x8b", ".lz4": b"\x04\x22\x4d\x18"}
_SHA256 = re.compile(r"^([0-9a-fA-F]{64})\b")


def checksum(client: Client, host: Host, path: str) -> str | None:
    """The sha256 that ``<path>.CHECKSUM`` states.

    Returns:
        In lower case; None where neither exists: the file is not published (yet).

    Raises:
        DataError: The checksum file holds something else.
    """
    shown = shown_url(host, path + ".CHECKSUM", None)

    def attempt() -> str:
        with client.stream(Request(host, path + ".CHECKSUM")) as response:
            text = b"".join(_bounded_parts(response, 4096, shown)).decode("ascii", "replace")
        found = _SHA256.match(text.strip())
        if found is None:
            raise AgainError(f"answered with no checksum: {text[:60]!r}")
        return found[1].lower()

    try:
        return client.retrying(attempt, shown)
    except NotThereError:
        return None


def download(  # noqa: PLR0913 - where it is, where it goes, and what is known of it
    client: Client,
    host: Host,
    path: str,
    folder: Path,
    *,
    sha256: str | None = None,
    secret: Secret | None = None,
    params: Mapping[str, str] | None = None,
    name: str | None = None,
) -> Piece:
    """Fetch one file, going on from what an interrupted attempt left.

    Args:
        client: For requests.
        host: Whom to ask.
        path: Below the host's base URL.
        folder: For the file, and for its ``.partial`` while it is incomplete.
        sha256: As the origin states it; a file that differs is fetched once more from its start.
        secret: A key, where the origin wants one.
        params: Query.
        name: Of the file here; by default the last part of the path.

    Returns:
        The file as a piece.

    Raises:
        NotThereError: 404.
        DataError: The checksum differs twice, the file is too large, or no attempt ended.
    """
    name = name or path.rsplit("/", 1)[-1]
    if not re.fullmatch(r"[A-Za-z0-9._\-]{1,200}", name) or name.startswith("."):
        raise DataError(f"{shown_url(host, path, None)}: '{name}' is not a plain file name; not fetched.")
    request = Request(host, path, params or {}, headers={"Accept-Encoding": "identity"}, secret=secret)
    shown = request.shown
    partial, target = folder / f"{name}.partial", folder / name

    def attempt() -> None:
        _fetch_rest(client, request, partial)

    for is_last in (False, True):
        client.retrying(attempt, shown)
        fault = _fault(partial, sha256)
        if fault is None:
            partial.replace(target)
            return Piece(name=name, origin=shown, file=target, upstream_sha256=sha256)
        partial.unlink()
        if is_last:
            raise DataError(f"{shown}: {fault}, twice. It is not taken in. Run again later.")
    raise AssertionError


def _fetch_rest(client: Client, request: Request, partial: Path) -> None:
    have = partial.stat().st_size if partial.exists() else 0
    tag_file = partial.with_name(partial.name + ".etag")
    tag = tag_file.read_text() if tag_file.exists() else ""
    # Without a tag nothing tells whether the file is still the one whose beginning is here.
    rest = {"Range": f"bytes={have}-", "If-Range": tag} if have and tag else {}
    with client.stream(replace(request, headers={**request.headers, **rest})) as response:
        if response.status_code == 416:
            partial.unlink(missing_ok=True)
            raise AgainError("has no bytes beyond those already here")
        goes_on = response.status_code == 206 and response.headers.get("content-range", "").startswith(f"bytes {have}-")
        if not goes_on:
            have = 0
        total = int(response.headers.get("content-length") or 0) + have
        if total > MAX_FILE_BYTES:
            raise DataError(f"{request.shown}: declares {total} bytes, more than {MAX_FILE_BYTES}; not fetched.")
        tag_file.write_text(response.headers.get("etag", ""))
        with partial.open("ab" if goes_on else "wb") as out:
            for part in _bounded_parts(response, MAX_FILE_BYTES - have, request.shown):
                out.write(part)
    _look_at_start(partial, request)
    size = partial.stat().st_size
    if total > have and size != total:
        raise AgainError(f"broke off after {size} of {total} bytes")
    tag_file.unlink(missing_ok=True)


def _look_at_start(partial: Path, request: Request) -> None:
    """An error page with status 200 is no archive; without a checksum, the first bytes are all that tells."""
    wanted = next((magic for suffix, magic in _MAGIC.items() if request.path.endswith(suffix)), b"")
    with partial.open("rb") as stream:
        start = stream.read(80)
    if not start.startswith(wanted[: len(start)]) or not start:
        partial.unlink()
        raise AgainError(f"answered with something else than {request.path.rsplit('.', 1)[-1]}: {start!r}")


def _bounded_parts(response: httpx.Response, limit: int, shown: str) -> Iterator[bytes]:
    size = 0
    # Not decoded: a .gz file served with a content encoding is to be kept as the archive has it. In the network's own pieces:
    # what a larger buffer holds is lost when the connection breaks.
    for part in response.iter_raw():
        size += len(part)
        if size > limit:
            raise DataError(f"{shown}: sends more than {limit} bytes; reading stopped.")
        yield part


def _fault(path: Path, sha256: str | None) -> str | None:
    """What is wrong with a download: by the stated checksum, or where none is stated by the file's own."""
    if sha256 is None:
        try:
            unpack_text(path, "")
        except DataError as error:
            return str(error).removesuffix(" Remove it from landing and ingest again.")
        return None
    with path.open("rb") as stream:
        digest = hashlib.file_digest(stream, "sha256").hexdigest()
    return None if digest == sha256 else f"sha256 is {digest}, its checksum file says {sha256}"


def verified(
    client: Client, host: Host, path: str, folder: Path, known_sha256: str | None = None, name: str | None = None
) -> Iterator[Piece]:
    """A file with a ``.CHECKSUM`` beside it; nothing when it is the one that has landed already.

    Args:
        client: For requests.
        host: Whom to ask.
        path: Below the host's base URL.
        folder: As in ``download``.
        known_sha256: Of the file that has landed, if one has.
        name: As in ``download``.

    Raises:
        NotThereError: It is not published (yet).
        DataError: As in ``download``.
    """
    stated = checksum(client, host, path)
    if stated is None:
        raise NotThereError(f"{shown_url(host, path, None)} is not published.")
    if stated != known_sha256:
        yield download(client, host, path, folder, sha256=stated, name=name)
