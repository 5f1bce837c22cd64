"""Quarantine for people: what was set aside and why, and the way back in.

Quarantine is what reading landing left over, so the way back is to read again: after a fix of a reader, of a schema or of a
landed file, the affected days are made anew, and what then fits is raw and no longer in quarantine.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date

import duckdb
from rich.console import Console
from rich.table import Table

from dagster_project.lib.duck import connect, literal
from dagster_project.lib.errors import UsageError
from dagster_project.lib.home import Home
from dagster_project.lib.raw import reading

MAX_SHOWN = 30


@dataclass(frozen=True)
class Held:
    """Records of one dataset and day that were set aside for one reason."""

    dataset: str
    day: date
    reason: str
    records: int
    files: int


def held(home: Home, dataset: str | None = None) -> list[Held]:
    """What is in quarantine, by dataset, day and reason.

    Raises:
        UsageError: No such dataset has ever been read in this home.
    """
    with _open(home) as connection:
        known = {row[0] for row in connection.execute("SELECT DISTINCT dataset FROM intake").fetchall()}
        if dataset is not None and dataset not in known:
            raise UsageError(
                f"'{dataset}' has not been read in this home; one of {', '.join(sorted(known)) or 'none'}."
            )
        rows = connection.execute(
            "SELECT dataset, date, reason, count(*), count(DISTINCT landing_path) FROM quarantine "
            f"WHERE {literal(dataset)} IS NULL OR dataset = {literal(dataset)} GROUP BY ALL ORDER BY ALL"
        ).fetchall()
    return [Held(*row) for row in rows]


def render(items: Sequence[Held], console: Console) -> None:
    """Show what is in quarantine."""
    if not items:
        console.print("Quarantine is empty.")
        return
    table = Table("dataset", "day", "reason", "records", "files")
    for item in items[:MAX_SHOWN]:
        table.add_row(item.dataset, str(item.day), item.reason, f"{item.records:,}", f"{item.files:,}")
    console.print(table)
    more = f" ({len(items) - MAX_SHOWN} lines more)" if len(items) > MAX_SHOWN else ""
    total = sum(item.records for item in items)
    console.print(
        f"{total:,} records in quarantine{more}. Their text: delever quarantine show DATASET. After a fix: retry."
    )


def render_records(home: Home, dataset: str, console: Console, limit: int) -> None:
    """Show records of a dataset that are in quarantine: place, reason and text as received.

    Raises:
        UsageError: No such dataset has ever been read in this home.
    """
    held(home, dataset)
    with _open(home) as connection:
        rows = connection.execute(
            "SELECT landing_path, record, reason, payload FROM quarantine "
            f"WHERE dataset = {literal(dataset)} ORDER BY date, landing_path, record LIMIT {int(limit)}"
        ).fetchall()
    table = Table("landing", "record", "reason", "as received", show_lines=True)
    for path, record, reason, payload in rows:
        # A payload comes from outside: control characters would act on the terminal.
        text = "".join(char if char.isprintable() else "\ufffd" for char in (payload or ""))[:300]
        table.add_row(path, "whole file" if record is None else str(record), reason, text)
    console.print(table)


def days_to_retry(items: Sequence[Held]) -> dict[str, tuple[date, date]]:
    """First and last day to read again, by dataset."""
    days: dict[str, tuple[date, date]] = {}
    for item in items:
        first, last = days.get(item.dataset, (item.day, item.day))
        days[item.dataset] = (min(first, item.day), max(last, item.day))
    return days


@contextmanager
def _open(home: Home) -> Iterator[duckdb.DuckDBPyConnection]:
    """A connection with the views ``quarantine`` and ``intake``."""
    with reading(home.raw), connect() as connection:
        for name in ("quarantine", "intake"):
            glob = home.raw / name / "*" / "*" / "*.parquet"
            types = "hive_types={'dataset': VARCHAR, 'date': DATE}"
            if not any((home.raw / name).glob("*/*/*.parquet")):
                raise UsageError(f"Nothing has been read in {home.root} yet: `delever run` or `delever ingest` does.")
            connection.execute(
                f"CREATE VIEW {name} AS SELECT * FROM read_parquet({literal(glob)}, hive_partitioning=true, {types}) "
                "WHERE dataset <> '_schema'"
            )
        yield connection
