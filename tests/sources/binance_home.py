"""Parts that the tests of the Binance connector share: landing files by hand, reading them, and looking at the result."""

import io
import json
import zipfile
from collections.abc import Mapping
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

from dagster_project.lib.duck import connect, literal
from dagster_project.lib.home import Home
from dagster_project.lib.landing import Arrival, Landing
from dagster_project.lib.raw import RawStore
from dagster_project.sources import binance
from dagster_project.sources.dataset import Intake, build_raw
from dagster_project.sources.feed import Feed

FEEDS: dict[str, Feed] = {feed.entity: feed for feed in binance.FEEDS}

Row = dict[str, Any]

TIMES = ("open_time", "funding_time", "observed_at", "event_time", "event_at")
"""The column of an entity that dates its rows."""


def zipped(csv: str, member: str = "file.csv") -> bytes:
    """A zip of one CSV."""
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(member, csv)
    return made.getvalue()


def land(
    home: Home,
    entity: str,
    reader: str,
    files: Mapping[str, Any],
    context: Mapping[str, str],
    days: tuple[date, date],
    *,
    origin: str = "test:",
) -> None:
    """Land files as the connector would: bytes as they are, anything else as JSON."""
    folder = home.scratch / "made"
    folder.mkdir(parents=True, exist_ok=True)
    arrivals = []
    for name, content in files.items():
        local = folder / name
        local.write_bytes(content if isinstance(content, bytes) else json.dumps(content).encode())
        arrivals.append(
            Arrival(
                local=local, name=name, origin=origin + name, licence="CC0", source_class="measured", completeness="complete",
                period_start=days[0], period_end=days[1], reader=reader, context=dict(context),
            )
        )  # fmt: skip
    Landing(home.landing).land("binance", entity, "by-hand", arrivals)


def read(home: Home, entity: str, start: date, end: date | None = None) -> list[Row]:
    """Raw rows of some days, made from what has landed, in order of time."""
    build(home, entity, start, end)
    return rows(home, entity)


def build(home: Home, entity: str, start: date, end: date | None = None) -> Intake:
    """Make raw of some days."""
    return build_raw(FEEDS[entity].dataset, home, start, end or start)


def rows(home: Home, entity: str) -> list[Row]:
    """All raw rows of an entity, in order of contract and time."""
    with connect() as connection:
        connection.execute("SET TimeZone = 'UTC'")
        store = RawStore(home.raw, home.scratch)
        relation = connection.sql(f"SELECT * FROM ({store.relation(FEEDS[entity].dataset_name)}) ORDER BY ALL")
        found = [dict(zip(relation.columns, row, strict=True)) for row in relation.fetchall()]
    return sorted(
        found, key=lambda row: (row["product"], row["venue_symbol"], next(row[at] for at in TIMES if at in row))
    )


def set_aside(home: Home) -> list[tuple[str, str]]:
    """Reason and payload of every record in quarantine."""
    files = str(Path(home.raw) / "quarantine" / "dataset=binance*" / "*" / "*.parquet")
    with connect() as connection:
        found: list[tuple[str, str]] = connection.execute(
            f"SELECT reason, payload FROM read_parquet({literal(files)}) ORDER BY ALL"
        ).fetchall()
        return found


def moment(text: str) -> datetime:
    """A UTC moment."""
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def ms(text: str) -> int:
    """Milliseconds of a UTC moment."""
    return int(moment(text).timestamp() * 1000)
