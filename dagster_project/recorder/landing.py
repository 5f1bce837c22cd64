"""Finished segments on their way into landing."""

from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import NamedTuple

from dagster_project.lib.duck import connect, literal
from dagster_project.lib.home import Home
from dagster_project.lib.landing import Arrival, Landing
from dagster_project.recorder.files import moment_of, stamp
from dagster_project.recorder.messages import liquidations
from dagster_project.recorder.spool import Segment

READER = "stream_parquet"
"""Names the reader of these files in the feed's dataset ``liquidations``."""

DATASET = "liquidations"

_OLDEST_EVENT = timedelta(days=31)
"""A message may be late, but a time further back is an error of the venue's, and must not make a file belong to every day."""


class Terms(NamedTuple):
    """What is known of all messages of a feed."""

    origin: str
    licence: str
    completeness: str


def land_segment(home: Home, feed: str, path: Path, segment: Segment, terms: Terms) -> None:
    """Take a segment into landing; the file is moved, and taking the same one again changes nothing.

    Args:
        home: Whose landing.
        feed: First folder in landing.
        path: The segment as Parquet.
        segment: Where it came from.
        terms: Of the feed. A recording of some contracts is ``partial`` whatever the venue sends of them.

    Raises:
        DataError: The batch's manifest cannot be read.
    """
    first, last = event_days(feed, path, segment.start, segment.end)
    arrival = Arrival(
        local=path,
        name=f"{segment.name}.parquet",
        origin=terms.origin,
        licence=terms.licence,
        source_class="measured",
        completeness=terms.completeness if segment.scope == "all" else "partial",
        period_start=first,
        period_end=last,
        reader=READER,
        context={"venue": feed, "received_from": stamp(segment.start), "received_to": stamp(segment.end)},
    )
    Landing(home.landing).land(feed, DATASET, _batch(segment.start), [arrival], move=True)


def is_landed(home: Home, feed: str, name: str, start: datetime) -> bool:
    """Whether a segment of this name was landed."""
    return (home.landing / feed / DATASET / _batch(start) / f"{name}.parquet").exists()


def newest_landed(home: Home, feed: str) -> datetime | None:
    """When the last message of the landed segments was received, by their names."""
    names = [path.name for path in (home.landing / feed / DATASET).glob(f"*/{feed}-*.parquet")]
    return max((moment_of(name.split(".")[0].split("-")[2]) for name in names), default=None)


def event_days(feed: str, path: Path, start: datetime, end: datetime) -> tuple[date, date]:
    """First and last UTC day of a segment's events, and at least the days on which it was received.

    Args:
        feed: Whose messages.
        path: A segment as Parquet.
        start: Receipt of its first message.
        end: Receipt of its last message.
    """
    low, high = start.astimezone(UTC) - _OLDEST_EVENT, end.astimezone(UTC) + timedelta(days=1)
    messages = f"(SELECT 0::BIGINT AS file_number, 0::BIGINT AS record, * FROM read_parquet({literal(path)}))"
    with connect() as connection:
        connection.execute("SET threads = 1")
        row = connection.execute(
            f"SELECT min(event_at)::DATE, max(event_at)::DATE FROM ({liquidations(feed, messages)}) "
            "WHERE event_at BETWEEN ? AND ?",
            [low, high],
        ).fetchone()
    days = [start.astimezone(UTC).date(), end.astimezone(UTC).date(), *(day for day in row or () if day is not None)]
    return min(days), max(days)


def _batch(start: datetime) -> str:
    return start.astimezone(UTC).date().isoformat()
