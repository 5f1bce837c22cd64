"""Small files that survive a kill at any moment."""

import os
from datetime import UTC, datetime
from pathlib import Path

_BLOCK = 64 * 1024


def write_atomically(path: Path, text: str) -> None:
    """Replace a file; a reader sees the old or the new one, whole."""
    staged = path.with_name(path.name + ".new")
    staged.write_text(text)
    staged.replace(path)


def drop_torn_line(path: Path) -> bool:
    """Cut a file after its last newline: what stands behind was being written when the process died.

    Returns:
        Whether there was anything to cut.
    """
    with path.open("r+b") as stream:
        end = stream.seek(0, os.SEEK_END)
        kept = _after_last_newline(stream.fileno(), end)
        if kept == end:
            return False
        stream.truncate(kept)
        return True


def last_line(path: Path) -> bytes:
    """The last whole line of a file that ends with a newline, without it; empty when there is none."""
    with path.open("rb") as stream:
        end = stream.seek(0, os.SEEK_END)
        if end == 0:
            return b""
        start = _after_last_newline(stream.fileno(), end - 1)
        return os.pread(stream.fileno(), end - 1 - start, start)


def stamp(moment: datetime) -> str:
    """A moment as text: UTC, microseconds."""
    return moment.astimezone(UTC).isoformat(timespec="microseconds")


def label(moment: datetime) -> str:
    """A moment in a file name: UTC, whole seconds."""
    return f"{moment.astimezone(UTC):%Y%m%dT%H%M%S}"


def moment_of(name: str) -> datetime:
    """The moment that ``label`` wrote."""
    return datetime.strptime(name, "%Y%m%dT%H%M%S").replace(tzinfo=UTC)


def _after_last_newline(descriptor: int, end: int) -> int:
    while end > 0:
        start = max(end - _BLOCK, 0)
        found = os.pread(descriptor, end - start, start).rfind(b"\n")
        if found >= 0:
            return start + found + 1
        end = start
    return 0
