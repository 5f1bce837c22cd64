"""What is missing: stretches of time for which a feed was not asked, or had no answer, and whether that can still be mended.

Expected is every day from a feed's first landed one to yesterday; for what can only be asked now, every moment in which its
cadence should have asked. A stretch beyond the venue's reach is lost for good.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta

import pyarrow as pa

from dagster_project.lib.home import Home
from dagster_project.lib.landing import LandedFile, Landing
from dagster_project.sources.feed import Cadence, Feed

ROUND = {
    Cadence.QUARTER_HOUR: timedelta(minutes=15),
    Cadence.HOUR: timedelta(hours=1),
    Cadence.SIX_HOURS: timedelta(hours=6),
    Cadence.DAY: timedelta(days=1),
}
PATIENCE = 2.5
"""Rounds without an answer before it is a gap: one may be late, two in a row are missing."""


@dataclass(frozen=True)
class Gap:
    """A stretch of missing time, its start included and its end not."""

    feed: str
    entity: str
    venue: str
    start: datetime
    end: datetime
    cause: str
    is_permanent: bool
    note: str


def find_gaps(home: Home, feeds: Iterable[Feed], now: datetime) -> list[Gap]:
    """Gaps of every feed that has ever landed anything from a venue (the synthetic sample asks nobody)."""
    found: list[Gap] = []
    for feed in feeds:
        if not feed.origins:
            continue
        files = landed(home, feed)
        if files:
            mode = feed.mode_by(feed.default_origin)
            found += _moments(feed, files, now) if mode == "snapshot" else _days(feed, files, now)
    return found


def landed(home: Home, feed: Feed) -> list[LandedFile]:
    """Files of a feed that answered a question to its venue."""
    return [entry for entry in Landing(home.landing).files(feed.name, feed.entity) if entry.task is not None]


def covered(files: Iterable[LandedFile]) -> set[date]:
    """Days for which files hold what will not change.

    What tells one moment covers no day. A file of a single venue's day that reaches into the next UTC day (OKX cuts at UTC+8)
    covers the first of the two: the other is whole only with the next file.
    """
    days: set[date] = set()
    for entry in files:
        if not entry.is_final or "asked_at_ms" in entry.context:
            continue
        count = (entry.period_end - entry.period_start).days + 1
        if count == 2 and entry.reader.startswith("archive"):
            count = 1
        days |= {entry.period_start + timedelta(days=offset) for offset in range(count)}
    return days


def missing_days(feed: Feed, files: Iterable[LandedFile], today: date) -> list[tuple[date, date]]:
    """Stretches of days, first and last included, from a feed's first covered day to yesterday that nothing covers."""
    held = covered(files)
    if not held:
        return []
    last = min(feed.until or today, today - timedelta(days=1))
    span = (last - min(held)).days + 1
    return stretches_of({min(held) + timedelta(days=offset) for offset in range(span)} - held)


def stretches_of(days: set[date]) -> list[tuple[date, date]]:
    """Days as stretches, first and last included, in order."""
    stretches: list[tuple[date, date]] = []
    for day in sorted(days):
        if stretches and stretches[-1][1] == day - timedelta(days=1):
            stretches[-1] = (stretches[-1][0], day)
        else:
            stretches.append((day, day))
    return stretches


def _days(feed: Feed, files: list[LandedFile], now: datetime) -> Iterator[Gap]:
    for first, last in missing_days(feed, files, now.date()):
        yield from _split(feed, first, last + timedelta(days=1), now)


def _split(feed: Feed, first: date, beyond: date, now: datetime) -> Iterator[Gap]:
    """One stretch of days, cut where the venue's reach ends."""
    start, end = _midnight(first), _midnight(beyond)
    reach = feed.reach_by(feed.default_origin)
    reached = _midnight((now - reach).date() + timedelta(days=1)) if reach else start
    edge = min(max(reached, start), end)
    venue = feed.venue or feed.name
    if start < edge:
        note = f"the venue answers for {reach} alone and was not asked in time"
        yield Gap(feed.name, feed.entity, venue, start, edge, "beyond_reach", True, note)
    if edge < end:
        note = f"fetch it: delever ingest {feed.name} --entity {feed.entity} --from {edge:%Y-%m-%d} --to " + (
            f"{end - timedelta(days=1):%Y-%m-%d}"
        )
        yield Gap(feed.name, feed.entity, venue, edge, end, "not_fetched", False, note)


def _moments(feed: Feed, files: list[LandedFile], now: datetime) -> Iterator[Gap]:
    asked = sorted({entry.context["asked_at_ms"] for entry in files if "asked_at_ms" in entry.context})
    moments = sorted(datetime.fromtimestamp(int(text) / 1000, UTC) for text in asked)
    patience = ROUND[feed.cadence] * PATIENCE
    for earlier, later in zip(moments, [*moments[1:], now], strict=True):
        if later - earlier > patience:
            note = f"asked every {feed.cadence.name.lower().replace('_', ' ')}; the venue tells only the present"
            yield Gap(feed.name, feed.entity, feed.venue or feed.name, earlier, later, "not_asked", True, note)


def gaps_table(gaps: Iterable[Gap], now: datetime) -> pa.Table:
    """Gaps in the shape of ``schemas.raw.DataGap``."""
    rows = list(gaps)
    utc = pa.timestamp("us", "UTC")
    return pa.table(
        {
            "venue": pa.array([gap.venue for gap in rows], pa.string()),
            "date": pa.array([gap.start.date() for gap in rows], pa.date32()),
            "feed": pa.array([gap.feed for gap in rows], pa.string()),
            "entity": pa.array([gap.entity for gap in rows], pa.string()),
            "gap_from_at": pa.array([gap.start for gap in rows], utc),
            "gap_to_at": pa.array([gap.end for gap in rows], utc),
            "cause": pa.array([gap.cause for gap in rows], pa.string()),
            "is_permanent": pa.array([gap.is_permanent for gap in rows], pa.bool_()),
            "note": pa.array([gap.note for gap in rows], pa.string()),
            "ingested_at": pa.array([now for _ in rows], utc),
        }
    )


def _midnight(day: date) -> datetime:
    return datetime.combine(day, time(), UTC)
