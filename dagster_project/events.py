"""Events of a user: times of stress that the event marts look at beside those that come with Delever.

They lie in the raw layer of the home, never in the checkout, and staging unites both.
"""

import csv
import fcntl
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import astuple, dataclass, fields
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Any

import duckdb
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from dagster_project.lib.duck import connect, literal
from dagster_project.lib.errors import UsageError
from dagster_project.lib.home import PROJECT_ROOT, Home
from dagster_project.lib.raw import RawStore, reading

DATASET = "user_events"
SEED = PROJECT_ROOT / "dbt" / "seeds" / "events.csv"
ID_PATTERN = re.compile(r"[a-z0-9][a-z0-9_]{1,39}")
LONGEST = timedelta(days=31)
"""A window is kept in bars of a minute: a month of all contracts is tens of millions of rows."""

DEFAULTS: dict[str, tuple[str, timedelta]] = {
    "pre_event_at": ("shock_at", timedelta()),
    "window_start_at": ("pre_event_at", timedelta(hours=-24)),
    "cascade_at": ("shock_at", timedelta(minutes=15)),
    "aftershock_at": ("cascade_at", timedelta(minutes=15)),
    "recovery_at": ("aftershock_at", timedelta(minutes=45)),
    "window_end_at": ("recovery_at", timedelta(hours=24)),
}
"""Bounds that a user may leave out: from which bound they are counted, and how far."""

ORDER = ("window_start_at", "pre_event_at", "shock_at", "cascade_at", "aftershock_at", "recovery_at", "window_end_at")


@dataclass(frozen=True)
class Event:
    """One event, with the columns of ``schemas.raw.UserEvents`` that a user decides."""

    event_id: str
    event_name: str
    window_start_at: datetime
    pre_event_at: datetime
    shock_at: datetime
    cascade_at: datetime
    aftershock_at: datetime
    recovery_at: datetime
    window_end_at: datetime
    shock_source: str
    cascade_source: str
    aftershock_source: str
    recovery_source: str


def utc(text: str) -> datetime:
    """A moment in UTC; without a zone it is taken as UTC.

    Raises:
        ValueError: It is no time, has no time of day, or is written in another zone.
    """
    moment = datetime.fromisoformat(text.strip())
    if not re.search(r"\d[T ]\d", text):
        raise ValueError("the time of day is missing")
    if moment.tzinfo is None:
        return moment.replace(tzinfo=UTC)
    if moment.utcoffset() != timedelta():
        raise ValueError(f"in UTC it is {moment.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}")
    return moment.astimezone(UTC)


def plan(event_id: str, name: str, bounds: Mapping[str, datetime | None], source: str) -> Event:
    """An event of what a user gave, with defaults for the rest.

    Args:
        event_id: Its id.
        name: Its name.
        bounds: Moment by bound; ``shock_at`` is needed, None takes the default of ``DEFAULTS``.
        source: From where the given bounds are known.

    Raises:
        UsageError: The id, the name, the order of the bounds or the length of the window does not fit.
    """
    if not ID_PATTERN.fullmatch(event_id):
        raise UsageError(
            f"'{event_id}' is no id: 2 to 40 small letters, digits and underscores, e.g. 2025_03_03_reserve."
        )
    if not name.strip() or not name.isprintable():
        raise UsageError('--name needs a text on one line, e.g. "Fall of 3 March 2025".')
    if not source.strip() or not source.isprintable():
        raise UsageError('--source needs a text on one line, e.g. "press: announcement at 20:50".')
    held = {bound: moment for bound, moment in bounds.items() if moment is not None}
    given = set(held)
    for bound, (base, distance) in DEFAULTS.items():
        held.setdefault(bound, held[base] + distance)
    _refuse_disorder(held, given)
    if held["window_end_at"] - held["window_start_at"] > LONGEST:
        raise UsageError(
            f"The window is longer than {LONGEST.days} days: --window-start and --window-end say its ends."
        )
    if held["shock_at"] > datetime.now(UTC):
        raise UsageError(f"--shock {_text(held['shock_at'])} lies in the future: an event has happened.")
    phases = ("shock", "cascade", "aftershock", "recovery")
    sources = {f"{phase}_source": source if f"{phase}_at" in given else _default(phase) for phase in phases}
    return _event({"event_id": event_id, "event_name": name, **held, **sources})


def _default(phase: str) -> str:
    base, distance = DEFAULTS[f"{phase}_at"]
    return f"default: {distance // timedelta(minutes=1)} minutes after {base}"


def _refuse_disorder(held: Mapping[str, datetime], given: set[str]) -> None:
    for earlier, later in pairwise(ORDER):
        # The time before an event may be its beginning, or that of the window; phases have a length.
        may_be_equal = "pre_event_at" in (earlier, later)
        if held[earlier] < held[later] or (may_be_equal and held[earlier] == held[later]):
            continue
        lines = "\n".join(
            f"  {bound:<16} {_text(held[bound])}{'' if bound in given else '  (default)'}" for bound in ORDER
        )
        raise UsageError(
            f"{later} has to come after {earlier}. Bounds follow each other; pre_event_at may be equal to its "
            f"neighbours:\n{lines}"
        )
    if held["window_start_at"] == held["shock_at"]:
        raise UsageError("The window begins with the shock: there has to be time before it (--window-start).")


def add(home: Home, event: Event, *, again: bool = False) -> bool:
    """Store an event.

    Args:
        home: Where.
        event: The event.
        again: Replace the event of that id.

    Returns:
        Whether one was replaced.

    Raises:
        UsageError: The id is taken.
    """
    if event.event_id in {one.event_id for one in listed()}:
        raise UsageError(f"'{event.event_id}' is an event that comes with Delever; take another id.")
    with _writing(home):
        before = stored(home)
        held = any(one.event_id == event.event_id for one in before)
        if held and not again:
            raise UsageError(
                f"There is an event '{event.event_id}' already; --again replaces it, `delever event list` shows it."
            )
        _store(home, [*(one for one in before if one.event_id != event.event_id), event])
    return held


def remove(home: Home, event_id: str) -> None:
    """Remove an event that a user added.

    Raises:
        UsageError: There is none of that id, or it comes with Delever.
    """
    if event_id in {one.event_id for one in listed()}:
        raise UsageError(
            f"'{event_id}' comes with Delever and stays; only events of `delever event add` can be removed."
        )
    with _writing(home):
        before = stored(home)
        kept = [one for one in before if one.event_id != event_id]
        if len(kept) == len(before):
            names = ", ".join(one.event_id for one in before) or "none was added"
            raise UsageError(f"There is no event '{event_id}' in {home.root}: {names}.")
        _store(home, kept)


def listed() -> list[Event]:
    """Events that come with Delever."""
    with SEED.open(newline="") as file:
        rows = list(csv.DictReader(file))
    return [
        _event({key: datetime.fromisoformat(text) if key.endswith("_at") else text for key, text in row.items()})
        for row in rows
    ]


def stored(home: Home) -> list[Event]:
    """Events that a user added to a home, by time."""
    files = home.raw / DATASET / "*" / "*" / "*.parquet"
    if not any((home.raw / DATASET).glob("venue=market/*/*.parquet")):
        return []
    names = [field.name for field in fields(Event)]
    with reading(home.raw), connect() as connection:
        rows = connection.execute(
            f"SELECT {', '.join(names)} FROM read_parquet({literal(files)}, hive_partitioning=true) ORDER BY shock_at, event_id"
        ).fetchall()
    return [
        _event(
            {
                name: item.astimezone(UTC) if isinstance(item, datetime) else item
                for name, item in zip(names, row, strict=True)
            }
        )
        for row in rows
    ]


def render(home: Home, console: Console) -> None:
    """Show all events, with who set them."""
    ours, theirs = listed(), stored(home)
    table = Table("event", "name", "shock (UTC)", "window (UTC)", "from")
    taken = {one.event_id for one in ours}
    for event in sorted([*ours, *theirs], key=lambda one: one.shock_at):
        origin = "Delever" if event in ours else "you"
        if origin == "you" and event.event_id in taken:
            origin = "you; not used, Delever has this id now"
        window = f"{event.window_start_at:%Y-%m-%d %H:%M} to {event.window_end_at:%Y-%m-%d %H:%M}"
        table.add_row(event.event_id, escape(event.event_name), f"{event.shock_at:%Y-%m-%d %H:%M:%S}", window, origin)
    console.print(table)


@contextmanager
def _writing(home: Home) -> Iterator[None]:
    """One writer at a time: each writes all events."""
    home.prepare()
    with (home.root / "events.lock").open("w") as handle:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield


def _store(home: Home, events: Sequence[Event]) -> None:
    store = RawStore(home.raw, home.scratch)
    store.prepare()
    with connect() as connection:
        _fill(connection, events)
        store.replace_all(connection, DATASET, DATASET)


def _fill(connection: duckdb.DuckDBPyConnection, events: Sequence[Event]) -> None:
    columns = [(field.name, "TIMESTAMPTZ" if field.type is datetime else "VARCHAR") for field in fields(Event)]
    connection.execute(f"CREATE TABLE given ({', '.join(f'{name} {kind}' for name, kind in columns)})")
    if events:
        marks = ", ".join("?" for _ in columns)
        connection.executemany(f"INSERT INTO given VALUES ({marks})", [astuple(event) for event in events])
    connection.execute(
        f"CREATE TABLE {DATASET} AS SELECT 'market' AS venue, shock_at::DATE AS date, *, "
        "now()::TIMESTAMPTZ AS ingested_at FROM given"
    )


def _event(values: Mapping[str, Any]) -> Event:
    return Event(**values)


def _text(moment: datetime) -> str:
    return f"{moment:%Y-%m-%dT%H:%M:%SZ}"
