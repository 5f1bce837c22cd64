"""The raw store: typed Parquet under ``raw/<dataset>/venue=/date=/part.parquet``, one file a venue and day.

A file is replaced by a rename, so none is ever half-written. A day that no longer has rows loses its file. That alone does not
protect a reader: DuckDB opens a Parquet file by its name once to learn its columns and again to read them, and takes a file that
was replaced in between for a damaged one. So who reads holds :func:`reading`, and who replaces waits for it.
"""

import fcntl
import hashlib
import os
import uuid
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from datetime import date
from functools import cache
from pathlib import Path
from typing import NamedTuple

import duckdb
import ibis
import pandera.ibis as pa

from dagster_project.lib.duck import identifier, literal
from dagster_project.lib.landing import remove_tree
from schemas.raw import DECLARED, ENTITIES, OPERATIONS, model_of

NO_FEED = "none"
"""The dataset ``none__<entity>`` holds a file without rows, so that an entity without data can be read and has its types."""

_SCHEMA = "_schema"
"""Value of the first key of files without rows."""

KEYS = ("venue", "date")
OPERATION_KEYS = {
    "quarantine": ("dataset", "date"),
    "intake": ("dataset", "date"),
    "data_gap": ("venue", "date"),
    "collector_gap": ("venue", "date"),
    "user_events": ("venue", "date"),
}
"""Hive keys of the tables that speak of the data and not of the market."""


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
        """Write the zero-row file of every shape of ``schemas.raw`` that has none, or whose columns have changed.

        Every op asks for this, so what was written is remembered by a digest of the shapes: to look is enough.
        """
        shapes = _shapes()
        marker = self.root / ".shapes"
        if (
            marker.is_file()
            and marker.read_text() == _digest(shapes)
            and all(map(Path.exists, map(self._empty, shapes)))
        ):
            return
        connection = ibis.duckdb.connect()
        connection.raw_sql("SET TimeZone = 'UTC'")
        for dataset, (columns, keys) in shapes.items():
            target = self._empty(dataset)
            schema = ibis.schema({name: kind for name, kind in columns.items() if name not in keys})
            connection.raw_sql("DROP TABLE IF EXISTS shape")
            connection.create_table("shape", schema=schema)
            wanted = connection.raw_sql("DESCRIBE shape").fetchall()
            if target.exists():
                held = connection.raw_sql(f"DESCRIBE FROM read_parquet({literal(target)}, hive_partitioning=false)")
                if [row[:2] for row in held.fetchall()] == [row[:2] for row in wanted]:
                    continue
            target.parent.mkdir(parents=True, exist_ok=True)
            staged = target.with_suffix(f".{uuid.uuid4().hex}")
            connection.raw_sql(f"COPY shape TO {literal(staged)} (FORMAT parquet, COMPRESSION zstd)")
            staged.replace(target)
        connection.disconnect()
        staged = marker.with_suffix(f".{uuid.uuid4().hex}")
        staged.write_text(_digest(shapes))
        staged.replace(marker)

    def _empty(self, dataset: str) -> Path:
        """The zero-row file of a shape."""
        return self.root / dataset / f"{_keys_of(dataset)[0]}={_SCHEMA}" / "date=1970-01-01" / "part.parquet"

    def relation(self, dataset: str, start: date | None = None, end: date | None = None) -> str:
        """SQL that reads a dataset, or the days ``start`` to ``end`` (inclusive) of it."""
        folder = self.root / dataset
        if not any(folder.glob("*/*/*.parquet")):
            folder = self.root / f"{NO_FEED}__{dataset.partition('__')[2]}"
        glob = literal(folder / "*" / "*" / "*.parquet")
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
            dataset: ``<feed>__<entity>``, or a key of ``schemas.raw.DECLARED``.
            relation: Name of a table with the model's columns, in any order.
            start: First day, inclusive.
            end: Last day, inclusive.

        Returns:
            Rows of each file written.
        """
        counts = [
            PartitionCount(*row)
            for row in connection.execute(
                f"SELECT venue, date, count(*) FROM {relation} GROUP BY ALL ORDER BY ALL"
            ).fetchall()
        ]
        self._write(connection, dataset, list(columns_of(model_of(dataset))), KEYS, relation, (start, end))
        return counts

    def replace_operations(
        self, connection: duckdb.DuckDBPyConnection, name: str, dataset: str, relation: str, days: tuple[date, date]
    ) -> None:
        """Make the rows of ``relation`` the only ones that speak of some days of a dataset.

        Args:
            connection: Where ``relation`` is.
            name: ``quarantine`` or ``intake``.
            dataset: Of whose days they speak.
            relation: Name of a table with the model's columns, in any order.
            days: First and last day, inclusive.
        """
        columns, keys = list(columns_of(OPERATIONS[name])), OPERATION_KEYS[name]
        self._write(connection, name, columns, keys, relation, days, only=f"{keys[0]}={dataset}")

    def replace_all(self, connection: duckdb.DuckDBPyConnection, name: str, relation: str) -> None:
        """Make the rows of ``relation`` the only ones of a table of ``schemas.raw.OPERATIONS``."""
        columns = list(columns_of(OPERATIONS[name]))
        self._write(connection, name, columns, OPERATION_KEYS[name], relation, (date.min, date.max))

    def _write(  # noqa: PLR0913 - one COPY has these parts
        self,
        connection: duckdb.DuckDBPyConnection,
        name: str,
        columns: list[str],
        keys: tuple[str, str],
        relation: str,
        days: tuple[date, date],
        *,
        only: str | None = None,
    ) -> None:
        staged = self.scratch / f"{name}-{uuid.uuid4().hex}"
        staged.mkdir(parents=True)
        try:
            if connection.execute(f"SELECT 1 FROM {relation} LIMIT 1").fetchone():
                # One thread: DuckDB writes one file a partition only then. In order: equal rows compress well, and a
                # file does not depend on the order in which its rows arrived.
                connection.execute("SET threads = 1")
                connection.execute(
                    f"COPY (SELECT {', '.join(map(identifier, columns))} FROM {relation} ORDER BY ALL) TO {literal(staged)} "
                    f"(FORMAT parquet, COMPRESSION zstd, PARTITION_BY ({', '.join(keys)}), FILENAME_PATTERN 'part')"
                )
                connection.execute("RESET threads")
            self._swap(name, staged, days, only or f"{keys[0]}=*")
        finally:
            remove_tree(staged)

    def _swap(self, name: str, staged: Path, days: tuple[date, date], partitions: str) -> None:
        written = {file.parent.relative_to(staged): file for file in staged.glob("*/*/*.parquet")}
        root = self.root / name
        root.mkdir(parents=True, exist_ok=True)
        with locked(root, fcntl.LOCK_EX):
            for folder in root.glob(f"{partitions}/date=*"):
                relative = folder.relative_to(root)
                day = date.fromisoformat(folder.name.removeprefix("date="))
                if (
                    days[0] <= day <= days[1]
                    and relative not in written
                    and not relative.parts[0].endswith(f"={_SCHEMA}")
                ):
                    remove_tree(folder)
            for relative, file in written.items():
                target = root / relative / "part.parquet"
                target.parent.mkdir(parents=True, exist_ok=True)
                file.replace(target)


@contextmanager
def reading(raw: Path) -> Iterator[None]:
    """Keep every raw file as it is for as long as it is read; writers wait, other readers do not.

    Args:
        raw: ``Home.raw``.
    """
    with ExitStack() as held:
        # Recorders lock a venue at a time, so that they need not wait for one another.
        for folder in sorted([*raw.glob("*/"), *raw.glob("collector_gap/venue=*/")]):
            held.enter_context(locked(folder, fcntl.LOCK_SH))
        yield


@contextmanager
def locked(folder: Path, how: int) -> Iterator[None]:
    """Hold a folder as ``fcntl.flock`` does: it goes with its process, however that ends, and no child has it.

    Raises:
        BlockingIOError: ``how`` says not to wait, and another holds it.
    """
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(descriptor, how)
        yield
    finally:
        os.close(descriptor)


def columns_of(model: type[pa.DataFrameModel]) -> dict[str, ibis.expr.datatypes.DataType]:
    """Column names and types of a model, in its order."""
    return {name: column.dtype.type for name, column in model.to_schema().columns.items()}


Shape = tuple[dict[str, ibis.expr.datatypes.DataType], tuple[str, str]]


def _keys_of(dataset: str) -> tuple[str, str]:
    return OPERATION_KEYS.get(dataset, KEYS)


@cache
def _shapes() -> dict[str, Shape]:
    """Columns and hive keys of every shape, by the name of the folder of its zero-row file."""
    models = {f"{NO_FEED}__{entity}": model for entity, model in ENTITIES.items()} | DECLARED | OPERATIONS
    return {name: (columns_of(model), _keys_of(name)) for name, model in models.items()}


def _digest(shapes: Mapping[str, Shape]) -> str:
    words = [
        f"{name} {keys} {[(column, str(kind)) for column, kind in columns.items()]}"
        for name, (columns, keys) in shapes.items()
    ]
    return hashlib.sha256("\n".join(words).encode()).hexdigest()
