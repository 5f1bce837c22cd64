"""What a raw dataset is, and how its landed files become raw rows."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path

import duckdb
import pyarrow as pa

from dagster_project.lib.archives import concatenate_csv
from dagster_project.lib.duck import connect, identifier, list_literal, literal
from dagster_project.lib.errors import DataError
from dagster_project.lib.home import Home
from dagster_project.lib.landing import LandedFile, Landing, remove_tree
from dagster_project.lib.raw import PartitionCount, RawStore, columns_of
from schemas.raw import RAW_MODELS


@dataclass(frozen=True)
class Batch:
    """Landed files on their way to raw rows.

    Args:
        connection: Holds the table ``landed`` (file_number, file, and what the manifest says of each file).
        entries: The files, in the order of ``file_number``.
        paths: Where they lie, in the same order.
        scratch: A folder of this batch's own.
    """

    connection: duckdb.DuckDBPyConnection
    entries: Sequence[LandedFile]
    paths: Sequence[Path]
    scratch: Path

    def csv_from_zips(self, columns: dict[str, str]) -> str:
        """SQL that reads headerless CSV out of zips with one member each.

        Args:
            columns: Names and DuckDB types in the file's order.

        Returns:
            A SELECT with ``file_number`` before the columns.

        Raises:
            DataError: Lines that do not fit the columns, with file, line and reason.
        """
        merged = self.scratch / "merged.csv"
        concatenate_csv(self.paths, merged)
        if merged.stat().st_size == 0:
            nulls = ", ".join(f"NULL::{kind} AS {identifier(name)}" for name, kind in columns.items())
            return f"SELECT NULL::BIGINT AS file_number, {nulls} WHERE false"
        shape = ", ".join(f"{literal(name)}: {literal(kind)}" for name, kind in columns.items())
        self.connection.execute(
            f"CREATE OR REPLACE TEMP TABLE merged AS SELECT * FROM read_csv({literal(merged)}, header=false, "
            f"auto_detect=false, delim=',', quote='\"', columns={{'file_number': 'BIGINT', {shape}}}, store_rejects=true)"
        )
        self._refuse_rejects(merged)
        return "SELECT * FROM merged"

    def json_pages(self, columns: dict[str, str], layout: str) -> str:
        """SQL that reads JSON files.

        Args:
            columns: Top-level names and DuckDB types.
            layout: ``array`` (one array a file), ``unstructured`` (one object a file) or ``newline_delimited``.

        Returns:
            A SELECT with ``file_number`` and the columns.

        Raises:
            DataError: A file that is not such JSON.
        """
        shape = ", ".join(f"{literal(name)}: {literal(kind)}" for name, kind in columns.items())
        reader = (
            f"read_json({list_literal(list(map(str, self.paths)))}, format={literal(layout)}, filename=true, "
            f"columns={{{shape}}}, maximum_object_size=67108864)"
        )
        names = ", ".join(identifier(name) for name in columns)
        try:
            self.connection.execute(
                f"CREATE OR REPLACE TEMP TABLE pages AS SELECT file_number, {names} "
                f"FROM {reader} AS page JOIN landed ON landed.file = page.filename"
            )
        except duckdb.Error as error:
            raise DataError(f"A landed JSON file cannot be read: {first_line(error)}") from error
        return "SELECT * FROM pages"

    def _refuse_rejects(self, merged: Path) -> None:
        rejects = self.connection.execute(
            "SELECT csv_line, any_value(error_message), any_value(line) FROM reject_errors GROUP BY ALL LIMIT 8"
        ).fetchall()
        if not rejects:
            return
        places = []
        for line, reason, _ in rejects:
            number = (line or "").split(",", 1)[0]
            name = (
                self.entries[int(number)].path if number.isdigit() and int(number) < len(self.entries) else merged.name
            )
            places.append(f"  {name}: {first_line(reason)} in '{(line or '').partition(',')[2][:120]}'")
        raise DataError("Lines that do not fit their columns:\n" + "\n".join(places))


@dataclass(frozen=True)
class Dataset:
    """One raw dataset and the reader of its landed files.

    Args:
        name: Key of ``schemas.raw.RAW_MODELS``.
        source: First folder in landing.
        landed_as: Second folder in landing.
        read: Makes a SELECT of the model's columns but the provenance, with ``file_number`` and ``event_at`` (the time
            that decides the day); ``venue``, ``source`` may be among them where the file decides.
        venue: The venue, where the file does not say.
        label: Value of the column ``source``, where the file does not say.
        description: What one row is, shown in the UI.
    """

    name: str
    source: str
    landed_as: str
    read: Callable[[Batch], str]
    venue: str | None
    label: str | None
    description: str


def build_raw(dataset: Dataset, home: Home, start: date, end: date) -> list[PartitionCount]:
    """Make the raw files of a dataset for the days ``start`` to ``end`` (inclusive) from landing.

    Returns:
        Rows of each file written; empty when landing holds nothing for these days.

    Raises:
        DataError: A landed file that does not fit the dataset.
    """
    landing = Landing(home.landing)
    raw = RawStore(home.raw, home.scratch)
    entries = landing.files(dataset.source, dataset.landed_as, start, end)
    home.scratch.mkdir(parents=True, exist_ok=True)
    scratch = home.scratch / f"read-{dataset.name}-{start}-{end}"
    remove_tree(scratch)
    scratch.mkdir()
    try:
        with connect() as connection:
            if not entries:
                connection.execute("CREATE TABLE ready (venue VARCHAR, date DATE)")
                return raw.replace(connection, dataset.name, "ready", start, end)
            paths = [landing.local(entry) for entry in entries]
            connection.register("manifest", _manifest_table(entries, paths))
            connection.execute("CREATE TABLE landed AS SELECT * FROM manifest")
            rows = dataset.read(Batch(connection, entries, paths, scratch))
            _materialise(connection, dataset, rows, start, end)
            return raw.replace(connection, dataset.name, "ready", start, end)
    finally:
        remove_tree(scratch)


def _materialise(connection: duckdb.DuckDBPyConnection, dataset: Dataset, rows: str, start: date, end: date) -> None:
    constants = {
        "venue": literal(dataset.venue) if dataset.venue else "rows.venue",
        "source": literal(dataset.label) if dataset.label else "rows.source",
        "date": "rows.day",
        "source_class": "landed.source_class",
        "completeness": "coalesce(rows.completeness, landed.completeness)"
        if not dataset.venue
        else "landed.completeness",
        "ingested_at": "landed.ingested_at",
        "landing_path": "landed.landing_path",
    }
    columns = ",\n  ".join(
        f"CAST({constants.get(name, f'rows.{identifier(name)}')} AS {_duckdb_type(kind)}) AS {identifier(name)}"
        for name, kind in columns_of(RAW_MODELS[dataset.name]).items()
    )
    try:
        connection.execute(
            f"CREATE TABLE ready AS SELECT {columns}\n"
            f"FROM (SELECT *, CAST(event_at AS DATE) AS day FROM ({rows})) AS rows JOIN landed USING (file_number)\n"
            f"WHERE rows.day BETWEEN {literal(start.isoformat())} AND {literal(end.isoformat())}"
        )
    except duckdb.Error as error:
        raise DataError(f"{dataset.name}: a landed value does not fit its column: {first_line(error)}") from error


def _manifest_table(entries: Sequence[LandedFile], paths: Sequence[Path]) -> pa.Table:
    return pa.table(
        {
            "file_number": pa.array(range(len(entries)), pa.int64()),
            "file": [str(path) for path in paths],
            "landing_path": [entry.path for entry in entries],
            "origin": [entry.origin for entry in entries],
            "source_class": [entry.source_class for entry in entries],
            "completeness": [entry.completeness for entry in entries],
            "ingested_at": pa.array([entry.fetched_at for entry in entries], pa.timestamp("us", "UTC")),
        }
    )


def _duckdb_type(kind: object) -> str:
    names = {"string": "VARCHAR", "float64": "DOUBLE", "int64": "BIGINT", "date": "DATE", "boolean": "BOOLEAN"}
    text = str(kind).removeprefix("!")
    return names.get(text, "TIMESTAMPTZ" if text.startswith("timestamp") else text)


def first_line(error: object) -> str:
    """The first line of an error's text, which is the part written for people."""
    return str(error).strip().split("\n", 1)[0]
