"""Accounts of rows: every record that was read is in staging, in quarantine, left out by rule, or a repeat of a natural key.

Each side is counted on its own: the intake while reading, raw from its files, staging from its tables, repeats from the natural
keys that the staging models name.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date

import duckdb

from dagster_project.lib.duck import literal
from dagster_project.lib.home import Home

MAX_SHOWN = 12


@dataclass(frozen=True)
class Account:
    """One dataset, venue and day."""

    dataset: str
    venue: str
    day: date
    records_read: int
    quarantined: int
    excluded: int
    raw: int
    repeats: int
    staged: int

    @property
    def is_settled(self) -> bool:
        """Nothing vanished and nothing appeared."""
        return (
            self.records_read == self.quarantined + self.excluded + self.raw and self.raw == self.repeats + self.staged
        )

    def __str__(self) -> str:
        return (
            f"{self.dataset} {self.venue} {self.day}: {self.records_read} read = {self.quarantined} in quarantine + "
            f"{self.excluded} excluded + {self.raw} raw; raw = {self.repeats} repeats + {self.staged} staged"
        )


def accounts(
    connection: duckdb.DuckDBPyConnection, home: Home, entity: str, table: str, natural_key: Sequence[str]
) -> list[Account]:
    """Accounts of an entity, one for each dataset, venue and day.

    Args:
        connection: Open on the warehouse.
        home: Whose raw files are counted.
        entity: Key of ``schemas.raw.ENTITIES``.
        table: Its staging table.
        natural_key: Raw columns or expressions that make two rows the same row.
    """
    raw = _parquet(home, f"*__{entity}", "venue")
    intake = _parquet(home, "intake", "dataset")
    suffix = literal(f"__{entity}")
    key = ", ".join(f"{expression} AS key_{number}" for number, expression in enumerate(natural_key))
    rows = connection.execute(
        f"""
        WITH rows AS (SELECT feed || {suffix} AS dataset, venue, date, {key} FROM {raw}),
        counted AS (SELECT dataset, venue, date, count(*) AS raw FROM rows GROUP BY ALL),
        single AS (SELECT dataset, venue, date, count(*) AS keys FROM (SELECT DISTINCT * FROM rows) GROUP BY ALL),
        staged AS (SELECT feed || {suffix} AS dataset, venue, partition_date AS date, count(*) AS staged
          FROM {table} GROUP BY ALL),
        intake AS (SELECT dataset, venue, date, records_read, rows_quarantined, rows_excluded FROM {intake}
          WHERE ends_with(dataset, {suffix}))
        SELECT dataset, venue, date, coalesce(records_read, 0), coalesce(rows_quarantined, 0), coalesce(rows_excluded, 0),
          coalesce(raw, 0), coalesce(raw, 0) - coalesce(keys, 0), coalesce(staged, 0)
        FROM intake FULL JOIN counted USING (dataset, venue, date) FULL JOIN single USING (dataset, venue, date)
        FULL JOIN staged USING (dataset, venue, date) ORDER BY ALL"""
    ).fetchall()
    return [Account(*row) for row in rows]


def _parquet(home: Home, dataset: str, first_key: str) -> str:
    glob = literal(home.raw / dataset / "*" / "*" / "*.parquet")
    return f"read_parquet({glob}, hive_partitioning=true, hive_types={{'{first_key}': VARCHAR, 'date': DATE}})"
