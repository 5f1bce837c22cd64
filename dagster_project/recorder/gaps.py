"""The table ``collector_gap``: every interval in which a stream was not subscribed and heard.

A gap is appended to the feed's journal first, and the Parquet files of the days that it touches are made from the journal. A gap
over midnight is one row for each UTC day, so that a day's file says all of that day.

A recorder is the one writer of raw that does not wait for the pipeline, and a rename alone does not protect its readers: DuckDB
opens a Parquet file by its name once to learn its columns and again to read them, so a file that is replaced in between is taken
for a damaged one. Hence a recorder puts a venue's file in place only while nobody holds :func:`dagster_project.lib.raw.reading`.
"""

import fcntl
import json
import os
import threading
from collections.abc import Iterable
from dataclasses import asdict, dataclass, replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Literal

from dagster_project.lib.duck import connect, literal
from dagster_project.lib.raw import locked
from dagster_project.recorder.files import drop_torn_line, stamp

DATASET = "collector_gap"

Cause = Literal["not_running", "disconnected", "idle", "venue_refused", "clock_skew"]
"""``not_running``: no process was subscribed. ``idle``: connected, but nothing came. ``clock_skew`` is no interval of loss: the
local clock and the venue's disagreed, so receipt times in it are doubtful."""

COLUMNS = {
    "feed": "VARCHAR",
    "topic": "VARCHAR",
    "gap_from_at": "TIMESTAMPTZ",
    "gap_to_at": "TIMESTAMPTZ",
    "cause": "VARCHAR",
    "note": "VARCHAR",
    "ingested_at": "TIMESTAMPTZ",
}
"""Columns of the Parquet files beside their hive keys ``venue`` and ``date`` (UTC day of ``gap_from_at``)."""

JOURNAL = "gaps.jsonl"


@dataclass(frozen=True)
class Gap:
    """One interval, from inclusive to exclusive."""

    feed: str
    venue: str
    topic: str
    gap_from_at: datetime
    gap_to_at: datetime
    cause: Cause
    note: str


class GapJournal:
    """The gaps of one feed, append-only.

    Args:
        folder: The feed's folder of the recorder.
    """

    def __init__(self, folder: Path) -> None:
        self.path = folder / JOURNAL
        self._touched: set[tuple[str, date]] = set()
        self._touching = threading.Lock()
        if self.path.exists():
            drop_torn_line(self.path)

    @property
    def is_ahead(self) -> bool:
        """Whether some day's Parquet file is older than the journal."""
        return bool(self._touched)

    def add(self, gap: Gap) -> None:
        """Append a gap; on disk when this returns. One without length is no gap."""
        parts = list(by_day(gap))
        if not parts:
            return
        now = stamp(datetime.now(UTC))
        lines = [
            asdict(part)
            | {"gap_from_at": stamp(part.gap_from_at), "gap_to_at": stamp(part.gap_to_at), "ingested_at": now}
            for part in parts
        ]
        with self.path.open("a") as stream:
            stream.writelines(json.dumps(line, ensure_ascii=False) + "\n" for line in lines)
            stream.flush()
            os.fsync(stream.fileno())
        with self._touching:
            self._touched.update((part.venue, part.gap_from_at.date()) for part in parts)

    def last_end(self, topic: str) -> datetime | None:
        """When the newest gap of a topic ended."""
        if not self.path.exists():
            return None
        with connect() as connection:
            row = connection.execute(
                f"SELECT max(gap_to_at) FROM {_journal(self.path)} WHERE topic = ?", [topic]
            ).fetchone()
        return row[0] if row else None

    def find_untold(self, raw: Path) -> None:
        """Mark the days whose Parquet file does not hold as many gaps as the journal: a kill came between the two."""
        if not self.path.exists():
            return
        with connect() as connection:
            told = connection.execute(
                f"SELECT venue, gap_from_at::DATE, count(*) FROM {_journal(self.path)} GROUP BY ALL"
            ).fetchall()
            for venue, day, gaps in told:
                target = partition(raw, venue, day)
                query = f"SELECT count(*) FROM read_parquet({literal(target)}, hive_partitioning=false)"
                row = connection.execute(query).fetchone() if target.exists() else None
                if row is None or row[0] != gaps:
                    with self._touching:
                        self._touched.add((venue, day))

    def publish(self, raw: Path) -> None:
        """Write the Parquet files of the touched days anew, each in one rename.

        Days of a venue that is being read stay touched, for the next call; after the last one, for the next start.

        Args:
            raw: ``Home.raw``.
        """
        with self._touching:
            waiting, self._touched = self._touched, set()
        try:
            with connect() as connection:
                connection.execute("SET threads = 1")
                for venue, day in sorted(waiting):
                    rows = (
                        f"SELECT {', '.join(COLUMNS)} FROM {_journal(self.path)} WHERE venue = {literal(venue)} "
                        f"AND gap_from_at::DATE = DATE {literal(day.isoformat())} ORDER BY ALL"
                    )
                    target = partition(raw, venue, day)
                    target.parent.mkdir(parents=True, exist_ok=True)
                    staged = target.with_suffix(".new")
                    connection.execute(f"COPY ({rows}) TO {literal(staged)} (FORMAT parquet, COMPRESSION zstd)")
                    with locked(target.parent.parent, fcntl.LOCK_EX | fcntl.LOCK_NB):
                        staged.replace(target)
                    waiting.remove((venue, day))
        except BlockingIOError:
            pass
        finally:
            with self._touching:
                self._touched |= waiting


def prepare(raw: Path) -> None:
    """Write the file without rows that lets the table be read, with its types, before the first gap."""
    target = raw / DATASET / "venue=_schema" / "date=1970-01-01" / "part.parquet"
    if target.exists():
        return
    target.parent.mkdir(parents=True, exist_ok=True)
    columns = ", ".join(f"NULL::{kind} AS {name}" for name, kind in COLUMNS.items())
    staged = target.with_name(f"part.{os.getpid()}.new")
    with connect() as connection:
        connection.execute(
            f"COPY (SELECT {columns} WHERE false) TO {literal(staged)} (FORMAT parquet, COMPRESSION zstd)"
        )
    staged.replace(target)


def partition(raw: Path, venue: str, day: date) -> Path:
    """Where the gaps of a venue and day lie."""
    return raw / DATASET / f"venue={venue}" / f"date={day.isoformat()}" / "part.parquet"


def by_day(gap: Gap) -> Iterable[Gap]:
    """A gap cut at each UTC midnight; none when it has no length."""
    start, end = gap.gap_from_at.astimezone(UTC), gap.gap_to_at.astimezone(UTC)
    while start < end:
        midnight = datetime.combine(start.date() + timedelta(days=1), datetime.min.time(), UTC)
        yield replace(gap, gap_from_at=start, gap_to_at=min(end, midnight))
        start = midnight


def _journal(path: Path) -> str:
    """SQL that reads a journal with its types; a line that is no JSON (a power failure leaves such) is passed over."""
    shape = ", ".join(f"{name}: 'VARCHAR'" for name in ("venue", *COLUMNS))
    columns = ", ".join(f"TRY_CAST({name} AS {kind}) AS {name}" for name, kind in COLUMNS.items())
    return (
        f"(SELECT venue, {columns} FROM read_json({literal(path)}, format='newline_delimited', columns={{{shape}}}, "
        "ignore_errors=true) WHERE venue IS NOT NULL AND TRY_CAST(gap_from_at AS TIMESTAMPTZ) IS NOT NULL)"
    )
