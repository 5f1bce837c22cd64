"""The raw store: typed Parquet under ``raw/<dataset>/venue=/date=/part.parquet``, one file a venue and day.

A file is replaced by a rename, so a reader sees the old day or the new one. A day that no longer has rows loses its file.
"""

import uuid
from datetime import date
from pathlib import Path
from typing import NamedTuple

import duckdb
import ibis

from dagster_project.lib.duck import identifier, literal
from dagster_project.lib.landing import remove_tree
from schemas.raw import RAW_MODELS, Raw

SCHEMA_PARTITION = "venue=_schema/date=1970-01-01"
"""Holds a file without rows, so that a dataset without data can be read and has its types."""

KEYS = ("venue", "date")


class PartitionCount(NamedTuple):
    """Rows of one raw file."""

    venue: str
    date: date
    rows: int


class RawStore:
    """The store under one root folder.

    Args:
        root: ``Home.raw``.
        scratch: Folder on the same file system for half-written files.
    """

    def __init__(self, root: Path, scratch: Path) -> None:
        self.root = root
        self.scratch = scratch

    def prepare(self) -> None:
        """Write the zero-row file of every dataset of ``schemas.raw`` that has none, or whose columns have changed."""
        connection = ibis.duckdb.connect()
        connection.raw_sql("SET TimeZone = 'UTC'")
        for dataset, model in RAW_MODELS.items():
            target = self.root / dataset / SCHEMA_PARTITION / "part.parquet"
            schema = ibis.schema({name: kind for name, kind in columns_of(model).items() if name not in KEYS})
            connection.raw_sql("DROP TABLE IF EXISTS shape")
            connection.create_table("shape", schema=schema)
            wanted = connection.raw_sql("DESCRIBE shape").fetchall()
            if target.exists():
                held = connection.raw_sql(f"DESCRIBE FROM read_parquet({literal(target)}, hive_partitioning=false)")
                if [row[:2] for row in held.fetchall()] == [row[:2] for row in wanted]:
                    continue
            target.parent.mkdir(parents=True, exist_ok=True)
            staged = target.with_suffix(".part")
            connection.raw_sql(f"COPY shape TO {literal(staged)} (FORMAT parquet, COMPRESSION zstd)")
            staged.replace(target)
        connection.disconnect()

    def relation(self, dataset: str, start: date | None = None, end: date | None = None) -> str:
        """SQL that reads a dataset, or the days ``start`` to ``end`` (inclusive) of it."""
        glob = literal(self.root / dataset / "*" / "*" / "*.parquet")
        types = "hive_types={'venue': VARCHAR, 'date': DATE}"
        where = ""
        if start is not None and end is not None:
            where = f" WHERE date BETWEEN {literal(start.isoformat())} AND {literal(end.isoformat())}"
        return f"SELECT * FROM read_parquet({glob}, hive_partitioning=true, {types}){where}"

    def replace(
        self, connection: duckdb.DuckDBPyConnection, dataset: str, relation: str, start: date, end: date
    ) -> list[PartitionCount]:
        """Write the rows of ``relation`` and make them the dataset's only rows of the days ``start`` to ``end``.

        Args:
            connection: Where ``relation`` is.
            dataset: A key of ``schemas.raw.RAW_MODELS``.
            relation: Name of a table with the model's columns, in any order.
            start: First day, inclusive.
            end: Last day, inclusive.

        Returns:
            Rows of each file written.
        """
        columns = ", ".join(identifier(name) for name in columns_of(RAW_MODELS[dataset]))
        counts = [
            PartitionCount(*row)
            for row in connection.execute(
                f"SELECT venue, date, count(*) FROM {relation} GROUP BY ALL ORDER BY ALL"
            ).fetchall()
        ]
        staged = self.scratch / f"{dataset}-{uuid.uuid4().hex}"
        staged.mkdir(parents=True)
        try:
            if counts:
                # The order by makes files identical from run to run; DuckDB writes one file a partition only when
                # one thread writes.
                connection.execute("SET threads = 1")
                connection.execute(
                    f"COPY (SELECT {columns} FROM {relation} ORDER BY ALL) TO {literal(staged)} "
                    "(FORMAT parquet, COMPRESSION zstd, PARTITION_BY (venue, date), FILENAME_PATTERN 'part')"
                )
                connection.execute("RESET threads")
            self._swap(dataset, staged, start, end)
        finally:
            remove_tree(staged)
        return counts

    def _swap(self, dataset: str, staged: Path, start: date, end: date) -> None:
        written = {file.parent.relative_to(staged): file for file in staged.glob("*/*/*.parquet")}
        for folder in (self.root / dataset).glob("venue=*/date=*"):
            relative = folder.relative_to(self.root / dataset)
            day = date.fromisoformat(folder.name.removeprefix("date="))
            if start <= day <= end and relative not in written and relative.as_posix() != SCHEMA_PARTITION:
                remove_tree(folder)
        for relative, file in written.items():
            target = self.root / dataset / relative / "part.parquet"
            target.parent.mkdir(parents=True, exist_ok=True)
            file.replace(target)


def columns_of(model: type[Raw]) -> dict[str, ibis.expr.datatypes.DataType]:
    """Column names and types of a raw model, in its order."""
    return {name: column.dtype.type for name, column in model.to_schema().columns.items()}
