"""Every connector against every fault: what is run, and what must come of it."""

import os
import shutil
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any, Literal

import duckdb

from dagster_project.fetch.client import Client
from dagster_project.lib.home import Home
from dagster_project.lib.raw import RawStore
from dagster_project.sources.acquire import Universe, acquire
from dagster_project.sources.dataset import Intake, build_raw
from dagster_project.sources.feed import Feed
from dagster_project.sources.registry import FEEDS
from venue_server import Server

Outcome = Literal["same rows", "clear stop", "clear stop or set aside", "listed as not published"]


@dataclass(frozen=True)
class Case:
    """Faults that strike together, and what must come of it.

    Args:
        name: As in the table.
        faults: Name and options of each (see ``venue_server.faults``).
        outcome: What the user gets.
        origins: Where it can happen: ``rest``, ``archive``.
        remark: For the table.
        at: Ending of the paths that it strikes; all of the connector's when empty.
    """

    name: str
    faults: tuple[tuple[str, dict[str, Any]], ...]
    outcome: Outcome
    origins: tuple[str, ...] = ("rest", "archive")
    remark: str = ""
    at: str = ""


def once(name: str, **options: Any) -> tuple[tuple[str, dict[str, Any]], ...]:
    return ((name, {"on": 1, **options}),)


def always(name: str, **options: Any) -> tuple[tuple[str, dict[str, Any]], ...]:
    return ((name, options),)


CASES = (
    Case(
        "429 with Retry-After, the venue's own rate error, 503, a reset and a broken-off body, one after the other",
        (
            ("429", {"on": 1, "retry_after": "0.05"}),
            ("rate_limit", {"on": 2}),
            ("503", {"on": 3}),
            ("reset", {"on": 4}),
            ("truncated", {"on": 5}),
        ),
        "same rows",
        remark="six attempts with growing waits, held by all processes; the rate error also inside HTTP 200",
    ),
    Case(
        "an HTML page with status 200, text that is no JSON, and an empty page, one after the other",
        (("html", {"on": 1}), ("not_json", {"on": 2}), ("empty_page", {"on": 3})),
        "same rows",
        ("rest",),
        "an empty page is asked for twice",
    ),
    Case(
        "every page out of order and with repeated rows",
        (("shuffled_page", {}), ("overlapping_page", {})),
        "same rows",
        ("rest",),
        "staging keeps one of each",
    ),
    Case(
        "a byte flipped on the way, once",
        once("flipped_byte"),
        "same rows",
        ("archive",),
        "a checksum, the venue's or the file's",
    ),
    Case("403, always", always("403"), "clear stop", remark="one request, no more; 418 and 451 alike"),
    Case(
        "a redirect to file:///etc/passwd or to another host",
        always("redirect_file"),
        "clear stop",
        remark="none is followed",
    ),
    Case("a declared length of 10 GB", always("huge_length"), "clear stop", remark="not read"),
    Case("an HTML page with status 200, always", always("html"), "clear stop or set aside"),
    Case("JSON of another shape, always", always("wrong_shape"), "clear stop or set aside", ("rest",)),
    Case(
        "a wrong checksum, always",
        always("wrong_checksum"),
        "clear stop",
        ("archive",),
        "where a checksum is published",
        at=".CHECKSUM",
    ),
    Case("404, always", always("404"), "listed as not published", ("archive",)),
    Case("a zip bomb", always("zip_bomb", size=30_000_000), "clear stop or set aside", ("archive",), at=".zip"),
    Case("a zip whose member is named ../x", always("zip_slip"), "clear stop or set aside", ("archive",), at=".zip"),
    Case("a zip with two members", always("zip_two_members"), "clear stop or set aside", ("archive",), at=".zip"),
    Case("a gzip bomb", always("gzip_bomb", size=30_000_000), "clear stop or set aside", ("archive",), at=".gz"),
)
"""One by one, what passes is tried in ``tests/fetch``; here every connector meets it."""

RETRY_SECONDS = 0.0002
"""First wait before another attempt: what is tried here is what comes of the attempts, not how long the waits are."""

KEYS = {
    # Those that the local server takes.
    "DELEVER_BINANCE_KEY": "test-key",
    "DELEVER_BINANCE_SECRET": "test-secret",
    "DELEVER_COINGLASS_KEY": "test-key",
    "DELEVER_COINALYZE_KEY": "test-key",
    "DELEVER_TARDIS_KEY": "test-key",
    "AWS_ACCESS_KEY_ID": "aws-id-of-a-test",
    "AWS_SECRET_ACCESS_KEY": "aws-secret-of-a-test",
}


@dataclass
class Bench:
    """A server, and homes in which the contracts of a venue are known."""

    server: Server
    folder: Path
    known: dict[str, Path] = field(default_factory=dict)

    @property
    def now(self) -> datetime:
        """The server's clock."""
        return datetime.fromtimestamp(self.server.world.now / 1000, UTC)

    def days(self, feed: Feed, origin: str) -> tuple[date, date]:
        """Days for which the venue answers."""
        today = self.now.date()
        reach = feed.reach_by(origin)
        if feed.mode_by(origin) == "snapshot" or (reach and reach < timedelta(days=2)):
            return today, today
        if feed.until is not None and origin == "archive":
            return feed.until - timedelta(days=1), feed.until
        if (feed.name, feed.entity, origin) == ("binance", "funding", "archive"):
            month = today.replace(day=1) - timedelta(days=1)
            return month.replace(day=1), month
        if (feed.name, feed.entity, origin) == ("hyperliquid", "open_interest", "archive"):
            # Published about a month later.
            return today - timedelta(days=61), today - timedelta(days=60)
        return today - timedelta(days=3), today - timedelta(days=2)

    def home(self, name: str) -> Home:
        """A home of a connector whose contracts have been read."""
        if name not in self.known:
            made = Home(self.folder / f"known-{name}")
            made.prepare()
            RawStore(made.raw, made.scratch).prepare()
            if (name, "instruments") in FEEDS:
                feed, today = FEEDS[name, "instruments"], self.now.date()
                self.ask(made, feed, feed.default_origin, (today, today))
            self.known[name] = made.root
        fresh = Home(self.folder / f"home-{len(list(self.folder.iterdir()))}")
        shutil.copytree(self.known[name], fresh.root)
        return fresh

    def ask(self, home: Home, feed: Feed, origin: str, days: tuple[date, date]) -> tuple[int, Intake]:
        """Fetch and read; how many pieces were not published, and the intake."""
        with Client(retry_seconds=RETRY_SECONDS, timeout_seconds=5) as client:
            fetched = acquire(
                home, feed, *days, Universe(frozenset({"BTC"})), origin=origin, client=client, now=self.now
            )
        return len(fetched.missing), build_raw(feed.dataset, home, *days)


def rows(home: Home, feed: Feed) -> set[tuple[Any, ...]]:
    """What raw says of the market, without when and from which file it was read."""
    files = home.raw / feed.dataset_name / "*" / "*" / "*.parquet"
    if not list((home.raw / feed.dataset_name).glob("*/*/*.parquet")):
        return set()
    with duckdb.connect() as connection:
        connection.execute("SET TimeZone = 'UTC'")
        return set(
            connection.execute(
                f"SELECT * EXCLUDE (ingested_at, landing_path) FROM read_parquet('{files}', hive_partitioning=true)"
            ).fetchall()
        )


def ways() -> list[tuple[str, str, str]]:
    """Connector, entity and origin of every feed that can be asked."""
    return [(feed.name, feed.entity, origin) for feed in FEEDS.values() for origin in feed.origins]


def environment(server: Server, folder: Path) -> dict[str, str]:
    """Variables that make every connector ask the server."""
    addresses = server.environment()
    rates = {name.replace("DELEVER_URL_", "DELEVER_RATE_"): "100000/1" for name in addresses}
    return {
        **{name: value for name, value in os.environ.items() if name.startswith("DELEVER_HYPERLIQUID")},
        **addresses,
        **rates,
        **KEYS,
        "DELEVER_LIMITS": str(folder / "limits"),
        # For clients that a connector makes itself; ``Bench.ask`` makes the others.
        "DELEVER_RETRY_SECONDS": str(RETRY_SECONDS),
        "DELEVER_HYPERLIQUID_S3_MAX_USD": "1000",
    }
