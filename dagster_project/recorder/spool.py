"""The spool: messages on disk within a second of their receipt, and finished segments as Parquet.

``<start>.<scope>.part`` is being written. ``<feed>-<start>-<end>.<scope>.jsonl`` is finished and waits to be landed; its name,
and so the landed file's, does not change any more, however often its landing is tried. Start and end are those of its messages.
"""

import json
import os
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import BinaryIO, NamedTuple

from dagster_project.lib.duck import connect, literal
from dagster_project.recorder.files import drop_torn_line, label, last_line, moment_of, stamp

_LARGEST_LINE = 64 * 1024**2
"""Escaping makes a message up to six times as long; the largest message allowed is far below a sixth of this."""


class Segment(NamedTuple):
    """A finished spool file."""

    path: Path
    name: str
    start: datetime
    end: datetime
    scope: str


class Spool:
    """The spool of one feed.

    Args:
        folder: The feed's folder of the recorder.
        feed: Leads the names of segments.
        segment_seconds: Length of a segment.
        scope: ``all`` contracts or ``some``.
        is_taken: Whether a segment's name was landed before.
    """

    def __init__(
        self, folder: Path, feed: str, segment_seconds: float, scope: str, is_taken: Callable[[str, datetime], bool]
    ) -> None:
        self.folder = folder
        self.feed = feed
        self.scope = scope
        self._seconds = segment_seconds
        self._is_taken = is_taken
        self._file: BinaryIO | None = None
        self._path: Path | None = None
        self._last: datetime | None = None
        self._until: datetime | None = None
        self._dirty = False

    @property
    def current(self) -> str | None:
        """Name of the file being written."""
        return self._path.name if self._path else None

    def append(self, received_at: datetime, topic: str, message: str) -> None:
        """Take a message; it is on disk after the next ``flush``.

        The message stands as JSON text inside the line, so that whatever a venue sends, a newline too, comes back unchanged.
        """
        if self.is_due(received_at):
            self.seal()
        if self._file is None:
            self._open(received_at)
        assert self._file is not None  # noqa: S101 - for the type checker
        line = json.dumps({"received_at": stamp(received_at), "topic": topic, "message": message}, ensure_ascii=False)
        self._file.write(line.encode("utf-8", "backslashreplace") + b"\n")
        self._last = received_at
        self._dirty = True

    def is_due(self, now: datetime) -> bool:
        """Whether the segment being written is over."""
        return self._until is not None and now >= self._until

    def flush(self) -> int | None:
        """Hand everything to the operating system, which a kill of this process does not undo.

        Returns:
            A descriptor to be synced, against power failure, and closed; None when nothing was written since.
        """
        if self._file is None or not self._dirty:
            return None
        self._file.flush()
        self._dirty = False
        return os.dup(self._file.fileno())

    def seal(self) -> None:
        """Finish the segment being written, if there is one."""
        if self._file is None or self._path is None or self._last is None:
            return
        self._file.flush()
        os.fsync(self._file.fileno())
        self._file.close()
        self._finish(self._path, self._last, self.scope)
        self._file = self._path = self._until = None
        self._dirty = False

    def recover(self) -> int:
        """Finish what a killed process left.

        Returns:
            How many half-written lines were dropped.
        """
        dropped = 0
        for path in sorted(self.folder.glob("*.part")):
            _, scope, _ = path.name.split(".")
            dropped += drop_torn_line(path)
            if path.stat().st_size == 0:
                path.unlink()
                continue
            self._finish(path, _received(last_line(path)) or datetime.fromtimestamp(path.stat().st_mtime, UTC), scope)
        for leftover in self.folder.glob("*.parquet"):
            leftover.unlink()
        return dropped

    def finished(self) -> list[Segment]:
        """Segments that wait to be landed, oldest first."""
        found = []
        for path in sorted(self.folder.glob(f"{self.feed}-*.jsonl")):
            name, scope, _ = path.name.split(".")
            _, start, end = name.split("-")[:3]
            found.append(Segment(path, name, moment_of(start), moment_of(end), scope))
        return found

    def newest(self) -> datetime | None:
        """When the last message of the finished segments was received."""
        return max((segment.end for segment in self.finished()), default=None)

    def _open(self, received_at: datetime) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        self._path = self.folder / f"{label(received_at)}.{self.scope}.part"
        self._file = self._path.open("ab")
        epoch = datetime(1970, 1, 1, tzinfo=UTC)
        passed = (received_at - epoch) // timedelta(seconds=self._seconds)
        self._until = epoch + (passed + 1) * timedelta(seconds=self._seconds)

    def _finish(self, path: Path, last: datetime, scope: str) -> None:
        start = path.name.split(".")[0]
        base = name = f"{self.feed}-{start}-{label(max(last, moment_of(start)))}"
        number = 1
        # Two short segments may fall into one second; the second must not take the first one's place.
        while any(self.folder.glob(f"{name}.*.jsonl")) or self._is_taken(name, moment_of(start)):
            number += 1
            name = f"{base}-{number}"
        path.rename(self.folder / f"{name}.{scope}.jsonl")


def write_parquet(segment: Segment, target: Path) -> int:
    """Write a segment as Parquet: ``received_at`` (UTC, microseconds), ``topic`` and ``message`` (verbatim), in order of receipt.

    Args:
        segment: A finished segment.
        target: File to write.

    Returns:
        Lines that are no messages of ours and were left out: only a damaged disk makes such.
    """
    shape = "{received_at: 'VARCHAR', topic: 'VARCHAR', message: 'VARCHAR'}"
    reader = (
        f"read_json({literal(segment.path)}, format='newline_delimited', columns={shape}, ignore_errors=true, "
        f"maximum_object_size={_LARGEST_LINE})"
    )
    moment = "TRY_CAST(received_at AS TIMESTAMPTZ)"
    rows = f"SELECT {moment} AS received_at, topic, message FROM {reader} WHERE {moment} IS NOT NULL AND message IS NOT NULL"
    with connect() as connection:
        # One thread keeps the order, and the same segment then always gives the same bytes.
        connection.execute("SET threads = 1")
        counted = connection.execute(
            f"SELECT count(*) FILTER ({moment} IS NULL OR message IS NULL) FROM {reader}"
        ).fetchone()
        connection.execute(f"COPY ({rows}) TO {literal(target)} (FORMAT parquet, COMPRESSION zstd)")
    return int(counted[0]) if counted else 0


def _received(line: bytes) -> datetime | None:
    try:
        return datetime.fromisoformat(json.loads(line)["received_at"])
    except (ValueError, KeyError, TypeError):
        return None
