"""Running a recorder inside a test, and reading what it left."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import datetime
from typing import Any, NamedTuple

from stream_server import VenueDouble

from dagster_project.lib.duck import connect, list_literal, literal
from dagster_project.lib.home import Home
from dagster_project.lib.landing import Landing
from dagster_project.lib.raw import reading
from dagster_project.recorder.feed import FeedRecorder
from dagster_project.recorder.messages import liquidations
from dagster_project.recorder.options import Options
from dagster_project.recorder.status import FeedStatus, read_status
from dagster_project.recorder.venues import Venue

FAST = Options(
    segment_seconds=3600,
    flush_seconds=0.02,
    ping_seconds=0.05,
    idle_seconds=60,
    silence_seconds=0,
    connect_seconds=30,
    overlap_seconds=0.05,
    backoff_first_seconds=0.02,
    backoff_most_seconds=0.05,
    stable_seconds=60,
    banned_seconds=0.3,
    report_seconds=0.1,
)
"""Everything that waits, waits little."""


class GapRow(NamedTuple):
    """A row of ``collector_gap``."""

    venue: str
    date: str
    feed: str
    topic: str
    gap_from_at: datetime
    gap_to_at: datetime
    cause: str
    note: str


@asynccontextmanager
async def recording(home: Home, venue: Venue, options: Options = FAST) -> AsyncIterator[tuple[FeedRecorder, list[str]]]:
    """A recorder at work, stopped at the end of the block as a signal stops it; an error of its own comes out there."""
    said: list[str] = []
    recorder = FeedRecorder(home, venue, options, said.append)
    task = asyncio.create_task(recorder.run())
    await asyncio.sleep(0)
    try:
        yield recorder, said
    finally:
        task.cancel()
        (ended,) = await asyncio.gather(task, return_exceptions=True)
    if isinstance(ended, Exception):
        raise ended


async def until(condition: Callable[[], Any], seconds: float = 60.0) -> None:
    """Wait until something holds; the bound is for a machine that is busy with other work."""
    deadline = asyncio.get_running_loop().time() + seconds
    while not condition():
        assert asyncio.get_running_loop().time() < deadline, "it did not happen"
        await asyncio.sleep(0.005)


async def hearing(home: Home, venue: VenueDouble) -> None:
    """Wait until a venue has subscribed the recorder and the recorder says that it hears every topic."""
    await until(lambda: venue.subscribed)
    await until(lambda: _hears(status_of(home, venue.feed)))


def _hears(status: FeedStatus) -> bool:
    topics = [topic for topic in status.topics.values() if topic.cause != "venue_refused"]
    return bool(topics) and all(topic.heard_at is not None and topic.lost_at is None for topic in topics)


def status_of(home: Home, feed: str) -> FeedStatus:
    """What the recorder says of itself."""
    status = read_status(home.root / "recorder" / feed)
    assert status is not None
    return status


def on_disk(home: Home, feed: str) -> list[str]:
    """Messages in the spool, as far as they are written."""
    folder = home.root / "recorder" / feed
    lines = [line for path in sorted(folder.glob("*.part")) for line in path.read_text().splitlines(keepends=True)]
    return [json.loads(line)["message"] for line in lines if line.endswith("\n")]


def landed(home: Home, feed: str) -> list[tuple[datetime, str, str]]:
    """Receipt, topic and message of everything in landing, in order."""
    landing = Landing(home.landing)
    files = [str(landing.local(entry)) for entry in landing.files(feed, "liquidations")]
    if not files:
        return []
    with connect() as connection:
        return connection.execute(
            f"SELECT received_at, topic, message FROM read_parquet({list_literal(sorted(files))}) ORDER BY received_at"
        ).fetchall()


def messages(home: Home, feed: str) -> list[str]:
    """The messages in landing."""
    return [message for _, _, message in landed(home, feed)]


def events(home: Home, feed: str) -> list[tuple[str, str, str]]:
    """Product, contract and key of the liquidations in landing, equal keys once."""
    landing = Landing(home.landing)
    files = list_literal([str(landing.local(entry)) for entry in landing.files(feed, "liquidations")])
    relation = (
        "(SELECT 0::BIGINT AS file_number, row_number() OVER () AS record, received_at, topic, message "
        f"FROM read_parquet({files}))"
    )
    with connect() as connection:
        return connection.execute(
            f"SELECT DISTINCT product, venue_symbol, event_key FROM ({liquidations(feed, relation)}) ORDER BY ALL"
        ).fetchall()


def gap_rows(home: Home) -> list[GapRow]:
    """The table ``collector_gap``."""
    glob = home.raw / "collector_gap" / "*" / "*" / "part.parquet"
    if not any(home.raw.glob("collector_gap/venue=*/date=*/part.parquet")):
        return []
    with reading(home.raw), connect() as connection:
        rows = connection.execute(
            "SELECT venue, date::VARCHAR, feed, topic, gap_from_at, gap_to_at, cause, note "
            f"FROM read_parquet({literal(glob)}, hive_partitioning=true, hive_types={{'venue': VARCHAR, 'date': DATE}}) "
            "ORDER BY topic, gap_from_at, gap_to_at"
        ).fetchall()
    return [GapRow(*row) for row in rows]
