"""One feed's recorder: its connections, its spool, its gaps and its status file."""

import asyncio
import os
import threading
from collections.abc import Callable
from contextlib import suppress
from datetime import datetime
from typing import TypeVar

import duckdb

from dagster_project.fetch.client import StoppedError
from dagster_project.lib.errors import DataError, DeleverError
from dagster_project.lib.home import Home
from dagster_project.recorder.connection import Ear, backoff
from dagster_project.recorder.gaps import GapJournal
from dagster_project.recorder.landing import Terms, is_landed, land_segment, newest_landed
from dagster_project.recorder.options import Options
from dagster_project.recorder.spool import Segment, Spool, write_parquet
from dagster_project.recorder.status import FeedStatus, State, read_status, write_status
from dagster_project.recorder.topics import Topic, utc_now
from dagster_project.recorder.venues import Venue

T = TypeVar("T")


class FeedRecorder:
    """Records one feed into a home. The caller holds the feed's lock.

    Args:
        home: Where to.
        venue: The feed's protocol.
        options: Waits and bounds.
        say: Tells the user something that matters.
    """

    def __init__(self, home: Home, venue: Venue, options: Options, say: Callable[[str], None]) -> None:
        self.home = home
        self.venue = venue
        self.options = options
        self.feed = venue.feed
        self.folder = home.root / "recorder" / venue.feed
        self.folder.mkdir(parents=True, exist_ok=True)
        self._say = say
        self._journal = GapJournal(self.folder)
        self._spool = Spool(
            self.folder,
            self.feed,
            options.segment_seconds,
            venue.scope,
            lambda name, start: is_landed(home, self.feed, name, start),
        )
        self._topics: dict[str, Topic] = {}
        self._ears: dict[str, tuple[Ear, asyncio.Task[None]]] = {}
        self._started_at = utc_now()
        self._state: State = "starting"
        self._error: str | None = None
        self._last_message_at: datetime | None = None
        self._counts = dict.fromkeys(("messages", "unrecognised", "reconnects", "renewals", "landed", "dropped"), 0)
        self._saved: FeedStatus | None = None
        self._work = asyncio.Event()
        self._landing = threading.Lock()

    # What the connections call (``connection.Sink``).

    def message(self, topic: str, text: str, received_at: datetime, *, known: bool) -> None:
        """Keep a message."""
        self._spool.append(received_at, topic, text)
        self._counts["messages" if known else "unrecognised"] += 1
        if known:
            self._last_message_at = received_at

    def topic(self, name: str) -> Topic:
        """The state of a topic, made when it is new."""
        if name not in self._topics:
            self._topics[name] = Topic(self.feed, name, self._journal, self.options)
        return self._topics[name]

    def known(self, name: str) -> Topic | None:
        """The state of a topic, if there is any."""
        return self._topics.get(name)

    def say(self, text: str) -> None:
        """Tell the user something that matters."""
        self._say(f"{self.feed} {text}")

    def reconnected(self) -> None:
        """Count a connection that was lost."""
        self._counts["reconnects"] += 1

    def renewed(self) -> None:
        """Count a connection that was replaced in time."""
        self._counts["renewals"] += 1

    # The life of the feed.

    async def run(self) -> None:
        """Record until cancelled.

        Raises:
            DeleverError: The venue refuses for good, or the disk does not take what is received.
        """
        before = self._recover()
        self._write(self._status())
        try:
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(self._tick())
                tasks.create_task(self._settle())
                await self._list_first()
                self._begin(before)
                self._state = "running"
                self._listen(tasks)
                if self.venue.relists:
                    tasks.create_task(self._list_again(tasks))
        except BaseExceptionGroup as group:
            error = _first(group)
            self._state = "refused" if isinstance(error, StoppedError) else "failed"
            self._error = str(error)
            if isinstance(error, OSError):
                raise DeleverError(f"The recorder cannot write: {error}. What was received before is kept.") from error
            raise error from group
        finally:
            await self._finish()

    def summary(self) -> str:
        """One line on how it goes."""
        heard = f"{self._last_message_at:%H:%M:%S}" if self._last_message_at else "none yet"
        lost = sum(topic.open is not None for topic in self._topics.values())
        skew = self._skew_ms()
        return (
            f"{self.feed}: {self._counts['messages']:,} messages, last {heard}, {self._counts['reconnects']} reconnects"
            + (f", {lost} topics not heard" if lost else "")
            + (f", clocks {skew / 1000:+.1f} s apart" if skew is not None else "")
        )

    def _recover(self) -> FeedStatus | None:
        """Take up what earlier processes left: half a segment, gaps that were open, gaps not published.

        Returns:
            The last one's status.
        """
        dropped = self._spool.recover()
        self._counts["dropped"] = dropped
        if dropped:
            self.say(f"{dropped} half-written line(s) of a killed run dropped; its gap covers them")
        self._journal.find_untold(self.home.raw)
        self._work.set()
        before = read_status(self.folder)
        for name, state in (before.topics if before else {}).items():
            self.topic(name).resume(state, before.updated_at if before else self._started_at, self._started_at)
        return before

    async def _list_first(self) -> None:
        """Find out what to listen to; without that nothing is heard, so it is tried until it works."""
        waits = backoff(self.options)
        told = ""
        while True:
            try:
                await in_thread(self.venue.refresh)
            except DataError as error:
                if str(error) != told:
                    told = str(error)
                    self.say(f"the list of contracts cannot be had ({error}); trying again")
                await asyncio.sleep(next(waits))
            else:
                return

    def _begin(self, before: FeedStatus | None) -> None:
        """Open the gaps of topics that are new, and end the account of those that are no longer recorded."""
        since = None
        if before is None:
            since = max(filter(None, (self._spool.newest(), newest_landed(self.home, self.feed))), default=None)
        asked = {
            f"{name.partition('/')[0]}/{arg}" for name, stream in self.venue.streams.items() for arg in stream.args
        }
        for name in list(self._topics):
            if name not in self.venue.streams and name not in asked:
                self._topics.pop(name).regain(self._started_at)
        for name in self.venue.streams:
            if name not in self._topics:
                self.topic(name).begin(
                    max(filter(None, (since, self._journal.last_end(name))), default=None), self._started_at
                )

    def _listen(self, tasks: asyncio.TaskGroup) -> None:
        for name in self.venue.streams:
            if name not in self._ears:
                if name not in self._topics:
                    self.topic(name).begin(None, utc_now())
                ear = Ear(self.venue, name, self, self.options)
                self._ears[name] = (ear, tasks.create_task(ear.run()))

    async def _list_again(self, tasks: asyncio.TaskGroup) -> None:
        """Look for new listings now and then."""
        while True:
            await asyncio.sleep(self.options.listing_seconds)
            before = dict(self.venue.streams)
            try:
                await in_thread(self.venue.refresh)
            except (DataError, StoppedError) as error:
                self.say(f"the list of contracts cannot be had ({error}); the old one is kept")
                continue
            for name, (ear, _) in list(self._ears.items()):
                now = self.venue.streams.get(name)
                added = set(now.args) - set(before[name].args) if now and name in before else set()
                if now is None:
                    del self._ears[name]
                    self._topics.pop(name).regain(utc_now())
                if now is None or added:
                    ear.relisted.set()
                if added:
                    self.say(f"{name}: new contracts {', '.join(sorted(added))}")
            self._listen(tasks)

    async def _tick(self) -> None:
        """Bring messages to disk, then say until when topics were heard; end segments; look at the clocks."""
        while True:
            await asyncio.sleep(self.options.flush_seconds)
            await self._save()
            now = utc_now()
            for topic in list(self._topics.values()):
                if warning := topic.judge_skew(now):
                    self.say(warning)
            if self._spool.is_due(now):
                self._spool.seal()
                self._work.set()
            if self._journal.is_ahead:
                self._work.set()

    async def _save(self) -> None:
        """Never say that a topic was heard until a time whose messages are not on disk yet."""
        status = self._status()
        descriptor = self._spool.flush()
        if descriptor is not None:
            try:
                await asyncio.to_thread(os.fdatasync, descriptor)
            finally:
                os.close(descriptor)
        self._write(status)

    def _write(self, status: FeedStatus) -> None:
        write_status(self.folder, status)
        self._saved = status

    async def _settle(self) -> None:
        """Land finished segments and publish gaps, one after the other, away from the loop that receives."""
        next_checkpoint = self._boundary()
        while True:
            wait = max((next_checkpoint - utc_now()).total_seconds(), 0.05)
            try:
                async with asyncio.timeout(wait):
                    await self._work.wait()
            except TimeoutError:
                next_checkpoint = self._boundary()
                for topic in list(self._topics.values()):
                    topic.checkpoint(utc_now())
            self._work.clear()
            await asyncio.to_thread(self._land_all)

    def _boundary(self) -> datetime:
        length = self.options.segment_seconds
        seconds = utc_now().timestamp()
        return datetime.fromtimestamp((seconds // length + 1) * length, self._started_at.tzinfo)

    def _land_all(self) -> None:
        """Land what is finished. A segment that cannot be landed now stays where it is and is tried at the next occasion."""
        # The last call of all may come while an earlier one is still at work.
        with self._landing:
            for segment in self._spool.finished():
                try:
                    self._land(segment)
                except (DeleverError, OSError, duckdb.Error) as error:
                    self.say(f"{segment.path.name} is not landed yet: {error}")
            try:
                self._journal.publish(self.home.raw)
            except (OSError, duckdb.Error) as error:
                self.say(f"the gaps are not published yet: {error}")

    def _land(self, segment: Segment) -> None:
        staged = self.folder / f"{segment.name}.parquet"
        damaged = write_parquet(segment, staged)
        if damaged:
            self.say(f"{segment.path.name}: {damaged} lines are no messages and were left out; look at this disk")
        origin = " ".join(sorted({stream.url for stream in self.venue.streams.values()})) or self.feed
        land_segment(self.home, self.feed, staged, segment, Terms(origin, self.venue.licence, self.venue.completeness))
        staged.unlink(missing_ok=True)
        segment.path.unlink()
        self._counts["landed"] += 1

    async def _finish(self) -> None:
        """Leave nothing in memory: the last segment is landed, the gaps are published, the status says how it ended."""
        try:
            now = utc_now()
            for topic in self._topics.values():
                if self._state == "refused":
                    topic.end_refused(now, self._error or "")
                topic.checkpoint(now)
            if self._state in {"starting", "running"}:
                self._state = "stopped"
            self._spool.seal()
        except OSError as error:
            self._state = "failed"
            self._error = self._error or str(error)
            self.say(f"the last messages cannot be written: {error}")
        await asyncio.to_thread(self._land_all)
        with suppress(OSError):
            if self._state != "failed":
                write_status(self.folder, self._status())
            elif self._saved is not None:
                # What came after the last save may not be on disk, so it was not heard.
                write_status(self.folder, self._saved.model_copy(update={"state": "failed", "error": self._error}))

    def _skew_ms(self) -> float | None:
        found = [topic.skew_ms for topic in self._topics.values()]
        return max((skew for skew in found if skew is not None), key=abs, default=None)

    def _status(self) -> FeedStatus:
        heard = [topic.heard_at for topic in self._topics.values() if topic.heard_at]
        return FeedStatus(
            feed=self.feed,
            venue=self.feed,
            state=self._state,
            pid=os.getpid(),
            started_at=self._started_at,
            updated_at=utc_now(),
            last_heard_at=max(heard, default=None),
            last_message_at=self._last_message_at,
            messages=self._counts["messages"],
            unrecognised=self._counts["unrecognised"],
            reconnects=self._counts["reconnects"],
            renewals=self._counts["renewals"],
            skew_ms=self._skew_ms(),
            segment=self._spool.current,
            segments_landed=self._counts["landed"],
            segments_waiting=len(self._spool.finished()),
            dropped_lines=self._counts["dropped"],
            error=self._error,
            topics={name: topic.status() for name, topic in self._topics.items()},
        )


async def in_thread(work: Callable[[], T]) -> T:
    """Run blocking work in a thread that does not keep the process from ending, as the event loop's own threads would."""
    loop = asyncio.get_running_loop()
    done: asyncio.Future[T] = loop.create_future()

    def settle(result: T | None, error: BaseException | None) -> None:
        if done.cancelled():
            return
        if error is not None:
            done.set_exception(error)
        else:
            done.set_result(result)  # type: ignore[arg-type]

    def run() -> None:
        try:
            result = work()
        except BaseException as error:
            outcome: tuple[T | None, BaseException | None] = (None, error)
        else:
            outcome = (result, None)
        try:
            loop.call_soon_threadsafe(settle, *outcome)
        except RuntimeError:
            return  # the loop has ended meanwhile

    threading.Thread(target=run, daemon=True).start()
    return await done


def _first(group: BaseExceptionGroup[BaseException]) -> BaseException:
    """The first plain error in a group."""
    error: BaseException = group
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error
