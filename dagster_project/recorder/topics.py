"""Until when a topic was heard, which gap of it is open, and how far its venue's clock is from ours."""

import statistics
from collections import deque
from datetime import UTC, datetime, timedelta
from typing import NamedTuple

from dagster_project.recorder.gaps import Cause, Gap, GapJournal
from dagster_project.recorder.options import Options
from dagster_project.recorder.status import TopicStatus

_INSTANT = timedelta(seconds=1)
"""Between a process's last look at its gaps and its last status; not worth a row."""


class Loss(NamedTuple):
    """Why and since when a topic is not heard."""

    from_at: datetime
    cause: Cause
    note: str


class Topic:
    """What is known of one topic; writes its gaps.

    Args:
        feed: Whose topic.
        name: As in messages and gaps.
        journal: Takes the gaps.
        options: Bound and number of messages of the skew.
    """

    def __init__(self, feed: str, name: str, journal: GapJournal, options: Options) -> None:
        self.feed = feed
        self.name = name
        self.heard_at: datetime | None = None
        self.open: Loss | None = None
        self._journal = journal
        self._options = options
        self._delays: deque[float] = deque(maxlen=options.skew_messages)
        self._skewed_at: datetime | None = None
        self._skew_note = ""

    def begin(self, since: datetime | None, now: datetime) -> None:
        """Open the gap of a topic of which no earlier process left word.

        Args:
            since: The newest sign of an earlier recording of the feed; None: there is none.
            now: From when it is not heard, if there is none.
        """
        note = "when it was last heard is not recorded; from the newest message or gap" if since else "first recording"
        self.open = Loss(min(since or now, now), "not_running", note)

    def resume(self, before: TopicStatus, updated_at: datetime, now: datetime) -> None:
        """Open the gap that began when the topic was last heard, and note what an earlier process left open.

        Args:
            before: What the last process wrote of the topic.
            updated_at: When it wrote that.
            now: This process's start.
        """
        stopped_at = min(updated_at, now)
        if before.lost_at is not None and before.cause is not None:
            note = f"stopped while not heard ({before.note})"
            if stopped_at - before.lost_at < _INSTANT:
                stopped_at = before.lost_at
            self.add(before.lost_at, stopped_at, before.cause, before.note)
            self.open = Loss(stopped_at, "not_running", note)
        else:
            self.open = Loss(min(before.heard_at or stopped_at, now), "not_running", "")
        if before.skewed_at is not None:
            self.add(before.skewed_at, stopped_at, "clock_skew", before.skew_note)

    def hear(self, now: datetime) -> None:
        """A frame came on a subscribed connection."""
        self.heard_at = now

    def lose(self, loss: Loss) -> None:
        """Open a gap, unless one is open: it then goes on under its first cause."""
        if self.open is None:
            self.open = loss

    def miss(self, now: datetime, note: str) -> None:
        """A process runs and cannot connect: that is no longer the gap of none running."""
        if self.open is not None and self.open.cause == "not_running":
            self.add(self.open.from_at, now, self.open.cause, self.open.note)
            self.open = None
        self.lose(Loss(now, "disconnected", note))

    def regain(self, now: datetime) -> None:
        """The topic is subscribed: its gap, if one is open, ends here."""
        if self.open is not None:
            self.add(self.open.from_at, now, self.open.cause, self.open.note)
            self.open = None
        self.heard_at = now

    def refuse(self, now: datetime, note: str) -> None:
        """The venue refuses the topic: what was lost until now ends under that name and a gap without end begins."""
        if self.open is not None:
            self.add(self.open.from_at, now, self.open.cause, self.open.note)
        self.open = Loss(now, "venue_refused", note)

    def end_refused(self, now: datetime, note: str) -> None:
        """The venue refuses the feed for good: what is open since the topic was last heard is the refusal's."""
        self.open = Loss(self.open.from_at if self.open else now, "venue_refused", note)

    def checkpoint(self, now: datetime) -> None:
        """Write down the open gap so far and let it go on: who reads the table sees it before it ends."""
        if self.open is not None:
            self.add(self.open.from_at, now, self.open.cause, self.open.note)
            self.open = self.open._replace(from_at=now)
        if self._skewed_at is not None:
            self.add(self._skewed_at, now, "clock_skew", self._skew_note)
            self._skewed_at = now

    def add(self, start: datetime, end: datetime, cause: Cause, note: str) -> None:
        """Write a gap."""
        self._journal.add(Gap(self.feed, self.feed, self.name, start, end, cause, note))

    def measure(self, received_at: datetime, venue_ms: int) -> None:
        """Take the difference between receipt and the venue's own time of a message."""
        self._delays.append(received_at.timestamp() * 1000 - venue_ms)

    @property
    def skew_ms(self) -> float | None:
        """Median difference over the last messages, in milliseconds; None before there are enough of them."""
        if len(self._delays) < self._options.skew_least:
            return None
        return statistics.median(self._delays)

    def judge_skew(self, now: datetime) -> str | None:
        """Compare the median with its bound.

        Returns:
            What to tell the user, when the clocks have begun to disagree.
        """
        skew = self.skew_ms
        if skew is None:
            return None
        if abs(skew) <= self._options.skew_bound_seconds * 1000:
            if self._skewed_at is not None:
                self.add(self._skewed_at, now, "clock_skew", self._skew_note)
                self._skewed_at = None
            return None
        began = self._skewed_at is None
        self._skewed_at = self._skewed_at or now
        self._skew_note = (
            f"receipt less the venue's time: median {skew / 1000:+.1f} s over {len(self._delays)} messages"
        )
        return (
            f"{self.name}: {self._skew_note}. Set this machine's clock (NTP), or the venue is late." if began else None
        )

    def status(self) -> TopicStatus:
        """The state to write down."""
        return TopicStatus(
            heard_at=self.heard_at,
            lost_at=self.open.from_at if self.open else None,
            cause=self.open.cause if self.open else None,
            note=self.open.note if self.open else "",
            skewed_at=self._skewed_at,
            skew_note=self._skew_note if self._skewed_at else "",
        )


def utc_now() -> datetime:
    """This machine's clock."""
    return datetime.now(UTC)
