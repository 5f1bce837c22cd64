"""Parts that tests of connectors share: asking the local venue server, landing pages by hand, and looking at raw."""

import io
import json
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from dagster_project.fetch.client import Client
from dagster_project.fetch.tasks import Fetched
from dagster_project.lib.duck import connect, literal
from dagster_project.lib.home import Home
from dagster_project.lib.landing import Arrival, LandedFile, Landing
from dagster_project.lib.raw import RawStore
from dagster_project.sources.acquire import Universe, acquire
from dagster_project.sources.dataset import Intake, build_raw
from dagster_project.sources.feed import Feed
from venue_server import Server, World

Row = dict[str, Any]
DAY_MS = 86_400_000


@dataclass
class Bench:
    """A venue server, and a home to fetch into."""

    server: Server
    home: Home
    feeds: Mapping[str, Feed]

    @property
    def world(self) -> World:
        return self.server.world

    @property
    def now(self) -> datetime:
        return datetime.fromtimestamp(self.server.world.now / 1000, UTC)

    @property
    def today(self) -> date:
        return self.now.date()

    def ago(self, days: int) -> date:
        """The day so many days before today."""
        return self.today - timedelta(days=days)

    def ask(
        self,
        entity: str,
        start: date | None = None,
        end: date | None = None,
        *,
        origin: str | None = None,
        bases: str | None = "BTC",
        intervals: tuple[int, ...] = (3600,),
    ) -> Fetched:
        """Fetch days, today if none are named; the contracts are made known first."""
        feed = self.feeds[entity]
        known = self.home.raw / f"{feed.name}__instruments"
        if feed.has_contracts and not any(known.glob("venue=*/date=*/part.parquet")):
            self.ask("instruments")
            self.build("instruments", self.today)
        first = start or self.today
        universe = Universe(frozenset(bases.split(",")) if bases else None, intervals=intervals)
        with Client(retry_seconds=0.002, timeout_seconds=10) as client:
            return acquire(self.home, feed, first, end or first, universe, origin=origin, client=client, now=self.now)

    def build(self, entity: str, start: date, end: date | None = None) -> Intake:
        """Make raw of some days."""
        return build_raw(self.feeds[entity].dataset, self.home, start, end or start)

    def rows(self, entity: str, start: date | None = None, end: date | None = None) -> list[Row]:
        """Raw rows of some days, today if none are named, made from what has landed; none may be in quarantine."""
        intake = self.build(entity, start or self.today, end)
        assert intake.quarantined == 0, intake.reasons
        return raw_rows(self.home, self.feeds[entity])

    def landed(self, entity: str) -> list[LandedFile]:
        """What the connector landed."""
        return Landing(self.home.landing).files(self.feeds[entity].name, entity)


@contextmanager
def bench_of(
    feeds: Sequence[Feed], folder: Path, monkeypatch: pytest.MonkeyPatch, world: World | None = None
) -> Iterator[Bench]:
    """A bench for a connector, with a server and limits of its own."""
    home = Home(folder / "home")
    home.prepare()
    RawStore(home.raw, home.scratch).prepare()
    with Server(world) as server:
        for name, value in server.environment().items():
            monkeypatch.setenv(name, value)
            monkeypatch.setenv(name.replace("DELEVER_URL_", "DELEVER_RATE_"), "100000/1")
        monkeypatch.setenv("DELEVER_LIMITS", str(folder / "limits"))
        yield Bench(server, home, {feed.entity: feed for feed in feeds})


def raw_rows(home: Home, feed: Feed) -> list[Row]:
    """All raw rows of a feed."""
    with connect() as connection:
        relation = connection.sql(
            f"SELECT * FROM ({RawStore(home.raw, home.scratch).relation(feed.dataset_name)}) ORDER BY ALL"
        )
        return [dict(zip(relation.columns, row, strict=True)) for row in relation.fetchall()]


def land(
    home: Home,
    feed: Feed,
    reader: str,
    contents: Mapping[str, Any],
    days: tuple[date, date],
    **context: str,
) -> None:
    """Land files as a connector would: bytes as they are, anything else as JSON."""
    folder = home.scratch / "by-hand"
    folder.mkdir(parents=True, exist_ok=True)
    arrivals = []
    for name, content in contents.items():
        local = folder / name
        local.write_bytes(content if isinstance(content, bytes) else json.dumps(content).encode())
        arrivals.append(
            Arrival(
                local=local,
                name=name,
                origin=f"test:{name}",
                licence="CC0",
                source_class="measured",
                completeness=feed.completeness,
                period_start=days[0],
                period_end=days[1],
                reader=reader,
                context=context,
            )
        )
    Landing(home.landing).land(feed.name, feed.entity, "by-hand", arrivals)


def set_aside(home: Home, feed: Feed) -> list[str]:
    """Reasons of what is in quarantine."""
    files = str(home.raw / "quarantine" / f"dataset={feed.dataset_name}" / "*" / "*.parquet")
    with connect() as connection:
        return [
            row[0]
            for row in connection.execute(f"SELECT reason FROM read_parquet({literal(files)}) ORDER BY 1").fetchall()
        ]


def zipped(text: str | bytes, member: str = "file.csv") -> bytes:
    """A zip of one CSV."""
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(member, text)
    return made.getvalue()


def ms(value: date | datetime) -> int:
    """Milliseconds of a moment, or of a day's beginning."""
    moment = value if isinstance(value, datetime) else datetime(value.year, value.month, value.day, tzinfo=UTC)
    return int(moment.timestamp() * 1000)


def at(milliseconds: int) -> datetime:
    """The moment of a count of milliseconds."""
    return datetime.fromtimestamp(milliseconds / 1000, UTC)


def value(pair: tuple[int, int]) -> float:
    """The number that a text of ``pair[0]`` with ``pair[1]`` decimals means."""
    whole, decimals = pair
    return float(f"{whole}e-{decimals}")
