"""Ask a feed for some days and land the answers."""

import csv
import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime
from pathlib import Path

import duckdb

from dagster_project.fetch.client import Client
from dagster_project.fetch.tasks import Fetched, Piece, Progress, Terms, fetch
from dagster_project.lib.duck import connect, literal
from dagster_project.lib.errors import UsageError
from dagster_project.lib.home import PROJECT_ROOT, Home
from dagster_project.lib.landing import Landing
from dagster_project.lib.raw import reading
from dagster_project.sources.feed import Ask, Contract, Feed

DEFAULT_INTERVALS = (3600,)


@dataclass(frozen=True)
class Universe:
    """Which contracts are asked for.

    Args:
        bases: Base assets; None for all.
        symbols: Venue symbols; when given, these alone.
        intervals: Lengths of bars in seconds.
    """

    bases: frozenset[str] | None
    symbols: frozenset[str] = frozenset()
    intervals: tuple[int, ...] = DEFAULT_INTERVALS

    @classmethod
    def from_env(cls) -> "Universe":
        """``DELEVER_BASES=BTC,ETH`` (``*`` for all; by default the assets that have a tier) and ``DELEVER_INTERVALS=3600,60``.

        Raises:
            UsageError: An interval that is no number of seconds.
        """
        text = os.environ.get("DELEVER_BASES", "").strip()
        bases = (
            None if text == "*" else frozenset(text.replace(" ", "").upper().split(",")) if text else _tiered_assets()
        )
        symbols = frozenset(filter(None, os.environ.get("DELEVER_SYMBOLS", "").replace(" ", "").split(",")))
        lengths = os.environ.get("DELEVER_INTERVALS", "").replace(" ", "")
        try:
            intervals = tuple(int(part) for part in lengths.split(",")) if lengths else DEFAULT_INTERVALS
        except ValueError as error:
            raise UsageError(f"DELEVER_INTERVALS: give seconds, e.g. 3600,60, not '{lengths}'.") from error
        if not all(60 <= seconds <= 86400 and 86400 % seconds == 0 for seconds in intervals):
            raise UsageError(
                f"DELEVER_INTERVALS: a bar lasts 60 to 86400 seconds and divides the day, not '{lengths}'."
            )
        return cls(bases, symbols, intervals)


def acquire(  # noqa: PLR0913 - what, when, which, and how
    home: Home,
    feed: Feed,
    start: date,
    end: date,
    universe: Universe,
    *,
    origin: str | None = None,
    again: bool = False,
    client: Client | None = None,
    progress: Progress | None = None,
    now: datetime | None = None,
) -> Fetched:
    """Fetch a feed's days (or its present state) into landing.

    Args:
        home: Where landing is.
        feed: What to ask.
        start: First UTC day; a snapshot feed answers for now alone.
        end: Last UTC day, inclusive.
        universe: Which contracts.
        origin: One of ``feed.origins``.
        again: Ask also for what has landed and is final, to find files that were republished.
        client: For requests; one is made and closed otherwise.
        progress: Told now and then.
        now: The moment of asking.

    Returns:
        Counts; none where the days lie beyond the venue's reach.

    Raises:
        UsageError: No such origin, a key is missing, or no contracts are known yet.
        StoppedError: The venue refused.
        DataError: Some tasks got no usable answer.
    """
    asked_at = now or datetime.now(UTC)
    chosen = origin or feed.default_origin
    if chosen not in feed.origins:
        raise UsageError(f"{feed.name} {feed.entity} has no origin '{chosen}'; one of {', '.join(feed.origins)}.")
    missing = [name for name in feed.needs if not os.environ.get(name)]
    if missing:
        raise UsageError(f"{feed.name} {feed.entity} needs a key: set {', '.join(missing)} in the environment.")
    reach, mode = feed.reach_by(chosen, universe.intervals), feed.mode_by(chosen)
    first = max(start, (asked_at - reach).date()) if reach else start
    last = min(end, asked_at.date())
    if mode == "history" and first > last:
        return Fetched()
    if mode == "snapshot" and not start <= asked_at.date() <= end:
        # The present is no answer for a day that is over.
        return Fetched()
    contracts = contracts_of(home, feed.name, universe) if feed.has_contracts else []
    draft = Ask(first, last, asked_at, contracts, universe.intervals, bases=_bases(feed, universe))
    terms = Terms(feed.name, feed.entity, feed.batch(draft, chosen), feed.licence, feed.completeness)
    known = Landing(home.landing).upstream_sha256(feed.name, feed.entity, terms.batch) if again else {}
    landed, at_hand = (frozenset(), {}) if again else _shared(home, feed)
    tasks = feed.origins[chosen](replace(draft, known_sha256=known, landed=landed, at_hand=at_hand))
    if client is not None:
        return fetch(home, terms, tasks, client, progress, again=again)
    with Client() as made:
        return fetch(home, terms, tasks, made, progress, again=again)


def _bases(feed: Feed, universe: Universe) -> tuple[str, ...]:
    """Base assets for a feed that knows no contracts; it has no list of all, so that "all" is the assets that have a tier."""
    if feed.has_contracts:
        return ()
    return tuple(sorted(_tiered_assets() if universe.bases is None else universe.bases))


def _shared(home: Home, feed: Feed) -> tuple[frozenset[str], dict[str, Piece]]:
    """Tasks that have landed for a feed, in any batch, and files that its tasks share with those of other entities."""
    landing = Landing(home.landing)
    entries = {
        entity: [entry for entry in landing.files(feed.name, entity) if entry.task and entry.is_final]
        for entity in feed.shares
    }
    landed = frozenset(entry.task for entry in entries.get(feed.entity, ()) if entry.task)
    at_hand = {
        entry.task: Piece(Path(entry.path).name, entry.origin, file=landing.local(entry))
        for entity, found in entries.items()
        if entity != feed.entity
        for entry in found
        if entry.task
    }
    return landed, at_hand


def contracts_of(home: Home, name: str, universe: Universe) -> Sequence[Contract]:
    """Contracts of a feed that its newest instruments name and the universe wants, in a fixed order.

    Raises:
        UsageError: Its instruments have not been fetched.
    """
    folder = home.raw / f"{name}__instruments"
    if not any(folder.glob("venue=*/date=*/part.parquet")):
        raise UsageError(
            f"The contracts of {name} are not known yet: run `delever ingest {name} --entity instruments` first."
        )
    with reading(home.raw), connect() as connection:
        try:
            rows = connection.execute(
                "SELECT product, venue_symbol, base_code, quote_code, contract_type, is_perpetual "
                f"FROM read_parquet({literal(folder / '*' / '*' / '*.parquet')}, hive_partitioning=true) "
                "QUALIFY row_number() OVER (PARTITION BY product, venue_symbol ORDER BY event_at DESC, landing_path DESC) = 1 "
                "ORDER BY product, venue_symbol"
            ).fetchall()
        except duckdb.Error as error:
            raise UsageError(
                f"The contracts of {name} cannot be read ({error}); ingest its instruments again."
            ) from error
    found = [Contract(*row) for row in rows]
    if universe.symbols:
        return [one for one in found if one.venue_symbol in universe.symbols]
    if universe.bases is None:
        return found
    bases = _base_assets(name)
    return [one for one in found if bases.get(one.base_code, one.base_code) in universe.bases]


def _base_assets(venue: str) -> dict[str, str]:
    with (PROJECT_ROOT / "dbt" / "seeds" / "asset_codes.csv").open(newline="") as stream:
        return {row["asset_code"]: row["base_asset"] for row in csv.DictReader(stream) if row["venue"] == venue}


def _tiered_assets() -> frozenset[str]:
    with (PROJECT_ROOT / "dbt" / "seeds" / "asset_tiers.csv").open(newline="") as stream:
        return frozenset(row["base_asset"] for row in csv.DictReader(stream))
