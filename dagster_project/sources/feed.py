"""What a feed is: one entity of one venue (or aggregator), what to ask for, and how to read the answers.

A venue's module lists its feeds; assets, schedules, gaps and checks are made from these lists alone.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from enum import Enum
from pathlib import Path
from typing import Literal
from urllib.parse import quote

from dagster_project.fetch.client import Client, Page
from dagster_project.fetch.tasks import Piece, Task
from dagster_project.sources.dataset import Dataset, Reader
from schemas.raw import ENTITIES

SETTLE = timedelta(minutes=10)
"""A range that ended longer ago than this no longer changes at the venue."""

BANDS_PERCENT = (0.2, 1.0, 2.0, 3.0, 4.0, 5.0)
"""Distances from mid at which depth is taken, as in Binance's archive."""


class Cadence(Enum):
    """How often a feed is asked; by how soon the venue forgets."""

    QUARTER_HOUR = "*/15 * * * *"
    HOUR = "7 * * * *"
    SIX_HOURS = "22 */6 * * *"
    # Archives appear during the morning: what the first round did not find, the second does.
    DAY = "30 5,11 * * *"


@dataclass(frozen=True)
class Contract:
    """A contract to ask for.

    Args:
        product: The feed's own market name.
        venue_symbol: As the venue writes it.
        base_code: The venue's code of the base asset (1000PEPE).
        quote_code: The venue's code of the quote asset.
        contract_type: ``linear`` or ``inverse``.
        is_perpetual: False for dated futures.
    """

    product: str
    venue_symbol: str
    base_code: str
    quote_code: str
    contract_type: str
    is_perpetual: bool


@dataclass(frozen=True)
class Ask:
    """What to fetch.

    Args:
        start: First UTC day.
        end: Last UTC day, inclusive.
        now: The moment of asking.
        contracts: Which ones; empty for entities that are asked for whole products.
        intervals: Lengths of bars in seconds.
        known_sha256: Of files that have landed, by task; for the search for republished ones.
        bases: Base assets, for feeds whose tasks are not made per contract.
        landed: Tasks of this entity that were answered for good, in whatever batch; for feeds that share files.
        at_hand: Files of tasks of the same name that an entity which shares them has landed.
    """

    start: date
    end: date
    now: datetime
    contracts: Sequence[Contract] = ()
    intervals: Sequence[int] = (3600,)
    known_sha256: Mapping[str, str] = field(default_factory=dict)
    bases: Sequence[str] = ()
    landed: frozenset[str] = frozenset()
    at_hand: Mapping[str, Piece] = field(default_factory=dict)

    @property
    def start_ms(self) -> int:
        """First millisecond."""
        return _ms(datetime.combine(self.start, time(), UTC))

    @property
    def end_ms(self) -> int:
        """Last millisecond: of the last day, or now."""
        return min(_ms(datetime.combine(self.end + timedelta(days=1), time(), UTC)) - 1, _ms(self.now))

    @property
    def now_ms(self) -> int:
        """The moment of asking, in milliseconds."""
        return _ms(self.now)

    @property
    def is_final(self) -> bool:
        """The range lies wholly in the past."""
        return self.now >= datetime.combine(self.end + timedelta(days=1), time(), UTC) + SETTLE

    @property
    def days(self) -> list[date]:
        """The days, in order."""
        return [self.start + timedelta(days=offset) for offset in range((self.end - self.start).days + 1)]

    @property
    def stamp(self) -> str:
        """The moment of asking, as part of a name."""
        return f"{self.now:%Y%m%dT%H%M%SZ}"

    def first_bar(self, interval_seconds: int) -> int:
        """Start of the first bar that begins in the range, in milliseconds."""
        return -(-self.start_ms // (interval_seconds * 1000)) * interval_seconds * 1000

    def last_bar(self, interval_seconds: int) -> int:
        """Start of the last bar that begins in the range, in milliseconds."""
        return self.end_ms // (interval_seconds * 1000) * interval_seconds * 1000


@dataclass(frozen=True)
class Feed:
    """One entity of one venue.

    Args:
        name: The connector: ``binance``.
        entity: Key of ``schemas.raw.ENTITIES``.
        readers: By name, for the files that tasks (or the recorder) land.
        origins: Ways to fetch it (``rest``, ``archive``): what to fetch for an ask; the first is taken unless another is named.
            Empty for what only the recorder hears.
        mode: ``history`` asks for ranges, ``snapshot`` for now alone.
        cadence: How often.
        licence: The terms under which the venue gives its data.
        venue: Value of the column ``venue``; None where rows say it (aggregators).
        labels: Value of the column ``source`` by reader.
        reach: How far back the venue answers; None for all it has. A snapshot with a reach answers for so long a time.
        reaches: Origins that answer for another stretch than ``reach``: an archive keeps what the venue's REST forgets.
        snapshot_origins: Origins of a feed of ranges that answer for now alone.
        history_origins: Origins of a feed of the present that answer for past days.
        completeness: Of what it answers.
        needs: Variables of the environment without which it cannot be asked.
        has_contracts: Tasks are made per contract.
        caution: Shown with the asset: what to know before asking.
        schedule_needs: Variables of the environment without which schedules leave it out, though it can be asked by hand: keys
            of what is free in part, and leave to spend money.
        bars: How many bars back it answers, where their number and no stretch of time is the limit (``reach``: of hours).
        until: Last day that the venue published, where it has stopped.
        shares: Entities, this one among them, in which a task of one name is answered by the same file: what has landed
            for one is not fetched again.
    """

    name: str
    entity: str
    readers: Mapping[str, Reader]
    origins: Mapping[str, Callable[[Ask], Iterable[Task]]]
    mode: Literal["history", "snapshot"]
    cadence: Cadence
    licence: str
    venue: str | None
    labels: Mapping[str, str]
    reach: timedelta | None = None
    completeness: str = "complete"
    needs: tuple[str, ...] = ()
    has_contracts: bool = True
    caution: str = ""
    reaches: Mapping[str, timedelta | None] = field(default_factory=dict)
    snapshot_origins: frozenset[str] = frozenset()
    history_origins: frozenset[str] = frozenset()
    schedule_needs: tuple[str, ...] = ()
    bars: int | None = None
    until: date | None = None
    shares: tuple[str, ...] = ()

    def reach_by(self, origin: str, intervals: Sequence[int] = ()) -> timedelta | None:
        """How far back one of the origins answers, of bars for the longest of some; None for all it has."""
        if self.bars is not None and intervals:
            return timedelta(seconds=self.bars * max(intervals))
        return self.reaches.get(origin, self.reach)

    def present(self, now: datetime) -> tuple[date, date]:
        """First and last UTC day of what it tells when it is asked for now: some venues tell the last hours or days."""
        return (now - self.reach if self.reach and self.mode == "snapshot" else now).date(), now.date()

    def mode_by(self, origin: str) -> Literal["history", "snapshot"]:
        """What one of the origins is asked for: ranges, or now alone."""
        if origin in self.history_origins:
            return "history"
        return "snapshot" if origin in self.snapshot_origins else self.mode

    @property
    def dataset_name(self) -> str:
        """Folder in raw."""
        return f"{self.name}__{self.entity}"

    @property
    def dataset(self) -> Dataset:
        """How its landed files are read."""
        return Dataset(
            name=self.dataset_name,
            source=self.name,
            landed_as=self.entity,
            readers=self.readers,
            venue=self.venue,
            label=None,
            description=(ENTITIES[self.entity].__doc__ or "").strip().split("\n")[0],
            labels=self.labels,
        )

    @property
    def default_origin(self) -> str:
        """The way it is fetched unless another is named."""
        return next(iter(self.origins))

    def batch(self, ask: Ask, origin: str) -> str:
        """Folder in landing: the same question always has the same one."""
        return f"{ask.now:%Y-%m-%d}" if self.mode_by(origin) == "snapshot" else f"{ask.start}_{ask.end}"


def paged(
    name: str,
    ask: Ask,
    reader: str,
    context: Mapping[str, str | int],
    pages: Callable[[Client], Iterator[Page]],
) -> Task:
    """A task whose pieces are the pages of a range."""
    # Some venues list contracts whose names are Chinese, or have a colon.
    name = quote(name, safe="").replace("%", "_")

    def pieces(client: Client, scratch: Path) -> Iterator[Piece]:
        del scratch
        for number, page in enumerate(pages(client), start=1):
            yield Piece(name=f"{name}-{number:04}.json", origin=page.url, body=page.body)

    return Task(
        name=name,
        start=ask.start,
        end=ask.end,
        reader=reader,
        context={key: str(value) for key, value in context.items()},
        pieces=pieces,
        is_final=ask.is_final,
    )


def snapshot(
    name: str,
    ask: Ask,
    reader: str,
    context: Mapping[str, str | int],
    pages: Callable[[Client], Iterator[Page]],
    back: timedelta = timedelta(),
) -> Task:
    """A task that asks for the present state; its name carries the moment, so that each asking is kept.

    Args:
        name: Of the task, without the moment.
        ask: The moment is its ``now``.
        reader: As in ``Task``.
        context: As in ``Task``; the moment is added.
        pages: Fetches.
        back: How old its rows may be, where the venue tells the last hours or days in one answer.
    """
    stamped = f"{name}-{ask.stamp}"
    first, today = (ask.now - back).date(), ask.now.date()
    moment = Ask(today, today, ask.now)
    task = paged(stamped, moment, reader, dict(context) | {"asked_at_ms": _ms(ask.now)}, pages)
    return Task(task.name, first, today, task.reader, task.context, task.pieces, is_final=True)


def _ms(moment: datetime) -> int:
    return int(moment.timestamp() * 1000)
