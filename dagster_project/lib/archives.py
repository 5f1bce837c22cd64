"""Compressed files from outside: opened only when they hold what they should, and no more than that."""

import gzip
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import IO

from dagster_project.lib.errors import DataError

MAX_MEMBER_BYTES = 2 * 1024**3
"""A day of one contract's trades is far below this; a bomb is far above."""

MAX_RATIO = 200
"""CSV of prices compresses about tenfold; a bomb compresses a thousandfold."""

_CHUNK = 4 * 1024 * 1024


def unpack_text(path: Path, suffix: str = ".csv") -> bytes:
    """The bytes of a file that a venue compressed, or not.

    Args:
        path: A zip with one member, gzip, an LZ4 frame, or plain; its first bytes tell, not its name.
        suffix: Ending of a zip's member.

    Raises:
        DataError: Not readable, several members, a member that leaves the folder, or a size that cannot be right.
    """
    with path.open("rb") as stream:
        start = stream.read(4)
    if start[:2] == b"PK":
        return read_single_member(path, suffix)
    if start[:2] == b"\x1f\x8b":
        return _unpack_gzip(path)
    if start == b"\x04\x22\x4d\x18":
        return _unpack_lz4(path)
    if path.suffix in {".zip", ".gz", ".lz4"}:
        raise DataError(
            f"{path.name} is not what its name says (starts with {start!r}). Remove it from landing and ingest again."
        )
    return path.read_bytes()


def text_parts(path: Path, suffix: str = ".csv", limit: int = MAX_MEMBER_BYTES) -> Iterator[bytes]:
    """What ``unpack_text`` gives, in parts: an hour of a whole chain in LZ4 is more than the memory should hold.

    Args:
        path: As there.
        suffix: As there.
        limit: Most bytes of an LZ4 frame's text.

    Raises:
        DataError: As there; parts of what cannot be read to its end may have been given before.
    """
    with path.open("rb") as stream:
        start = stream.read(4)
    if start == b"\x04\x22\x4d\x18":
        yield from _lz4_parts(path, limit)
    else:
        yield unpack_text(path, suffix)


def read_single_member(archive: Path, suffix: str) -> bytes:
    """The one member of a zip.

    Raises:
        DataError: Not a zip, several members, a member that leaves the folder, or a size that cannot be right.
    """
    try:
        with zipfile.ZipFile(archive) as opened:
            members = opened.infolist()
            if len(members) != 1:
                raise DataError(f"{archive.name}: {len(members)} members where one {suffix} file is expected.")
            member = members[0]
            if PurePosixPath(member.filename).name != member.filename or not member.filename.endswith(suffix):
                raise DataError(
                    f"{archive.name}: member '{member.filename}' is not a plain {suffix} name; not unpacked."
                )
            if member.file_size > MAX_MEMBER_BYTES or member.file_size > MAX_RATIO * max(member.compress_size, 1024):
                raise DataError(
                    f"{archive.name}: '{member.filename}' would unpack to {member.file_size} bytes; not unpacked."
                )
            return opened.read(member)
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError, OSError) as error:
        raise DataError(
            f"{archive.name} is not a readable zip ({error}). Remove it from landing and ingest again."
        ) from error


def _unpack_gzip(path: Path) -> bytes:
    try:
        with gzip.open(path) as stream:
            return b"".join(_bounded(stream, path))
    except (OSError, EOFError, zlib.error) as error:
        raise DataError(
            f"{path.name} is not a readable gzip file ({error}). Remove it from landing and ingest again."
        ) from error


def _unpack_lz4(path: Path) -> bytes:
    return b"".join(_lz4_parts(path, MAX_MEMBER_BYTES))


def _lz4_parts(path: Path, limit: int) -> Iterator[bytes]:
    import lz4.frame  # noqa: PLC0415 - only Hyperliquid's archive needs it

    try:
        with lz4.frame.open(path) as stream:
            yield from _bounded(stream, path, limit)
    except (OSError, EOFError, RuntimeError) as error:
        raise DataError(
            f"{path.name} is not a readable LZ4 file ({error}). Remove it from landing and ingest again."
        ) from error


def _bounded(stream: IO[bytes] | gzip.GzipFile, path: Path, most: int = MAX_MEMBER_BYTES) -> Iterator[bytes]:
    """Parts of an unpacked stream; a bomb is met before it has filled the memory."""
    limit = min(most, MAX_RATIO * max(path.stat().st_size, 1024))
    size = 0
    while part := stream.read(_CHUNK):
        size += len(part)
        if size > limit:
            raise DataError(f"{path.name} unpacks to more than {limit} bytes; not unpacked.")
        yield part
