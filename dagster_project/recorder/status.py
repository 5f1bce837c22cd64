"""What a recorder says of itself: one small file a feed, written anew about every second, and its reading."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from dagster_project.lib.home import Home
from dagster_project.recorder.files import write_atomically
from dagster_project.recorder.gaps import Cause

STATUS = "status.json"

STALE_SECONDS = 30.0
"""A recorder writes its status about every second; one that has not for this long is not running."""

State = Literal["starting", "running", "stopped", "refused", "failed"]


class TopicStatus(BaseModel):
    """One connection's topic.

    ``heard_at``: until when it was surely heard, never later than what is on disk. ``lost_at`` to ``note``: the gap that is open.
    ``skewed_at``: since when the clocks disagree.
    """

    model_config = ConfigDict(frozen=True, extra="ignore")

    heard_at: datetime | None = None
    lost_at: datetime | None = None
    cause: Cause | None = None
    note: str = ""
    skewed_at: datetime | None = None
    skew_note: str = ""


class FeedStatus(BaseModel):
    """One feed's recorder. Counts are of the process that wrote it."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    feed: str
    venue: str
    state: State
    pid: int
    started_at: datetime
    updated_at: datetime
    last_heard_at: datetime | None = Field(default=None, description="newest frame of any kind")
    last_message_at: datetime | None = Field(default=None, description="newest liquidation message")
    messages: int = 0
    unrecognised: int = 0
    reconnects: int = 0
    renewals: int = 0
    skew_ms: float | None = Field(default=None, description="median of receipt less the venue's time; worst topic")
    segment: str | None = Field(default=None, description="the spool file being written")
    segments_landed: int = 0
    segments_waiting: int = Field(default=0, description="finished, but not in landing yet")
    dropped_lines: int = Field(default=0, description="half-written lines that a killed run left")
    error: str | None = None
    topics: dict[str, TopicStatus] = Field(default_factory=dict)

    def is_running(self, now: datetime | None = None) -> bool:
        """Whether a process has written this lately."""
        age = ((now or datetime.now(UTC)) - self.updated_at).total_seconds()
        return self.state in {"starting", "running"} and age < STALE_SECONDS


def write_status(folder: Path, status: FeedStatus) -> None:
    """Replace a feed's status file."""
    write_atomically(folder / STATUS, status.model_dump_json(indent=1) + "\n")


def read_status(folder: Path) -> FeedStatus | None:
    """A feed's status, or None when there is none that can be read."""
    try:
        return FeedStatus.model_validate_json((folder / STATUS).read_text())
    except (OSError, ValueError):
        return None


def observe(home: Home) -> list[FeedStatus]:
    """The recorders of a home, running or not, by feed."""
    found = [read_status(file.parent) for file in sorted((home.root / "recorder").glob(f"*/{STATUS}"))]
    return [status for status in found if status is not None]
