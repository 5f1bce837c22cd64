"""Landed declared files as raw rows, each read by the spec that was landed with it."""

from pathlib import Path

import duckdb

from dagster_project.lib.errors import DataError
from dagster_project.lib.landing import LandedFile, remove_tree
from dagster_project.sources.batch import Batch, Refused
from dagster_project.sources.dataset import Dataset
from dagster_project.sources.files.canonical import ENTITIES
from dagster_project.sources.files.examination import names_of, time_unit
from dagster_project.sources.files.form import Form
from dagster_project.sources.files.records import read_records
from dagster_project.sources.files.rows import Rows
from dagster_project.sources.files.spec import FileSpec
from dagster_project.sources.files.unpack import unpack
from schemas.raw import DECLARED

_EMPTY = (
    "SELECT NULL::BIGINT AS file_number, NULL::BIGINT AS record, NULL::VARCHAR AS venue, NULL::VARCHAR AS source, "
    "NULL::VARCHAR AS completeness, NULL::TIMESTAMPTZ AS event_at WHERE false"
)


def read_declared(batch: Batch) -> str:
    """Raw rows of landed declared files.

    The view ``declared_records`` (file_number, record, payload) is made beside it: every record as JSON text, for what is set
    aside. A file that cannot be read, and a record that cannot, go to ``batch.refused``.

    Returns:
        A SELECT of file_number, record, venue, source, completeness, event_at and the canonical columns; a value that
        cannot be read is NULL.
    """
    connection = batch.connection
    connection.execute("DROP VIEW IF EXISTS declared_records")
    for table in _tables(connection):
        connection.execute(f"DROP TABLE {table}")
    kept: dict[tuple[str, ...], tuple[str, str]] = {}
    for number, (entry, path) in enumerate(zip(batch.entries, batch.paths, strict=True), start=batch.first_number):
        scratch = batch.scratch / f"declared-{number}"
        scratch.mkdir()
        try:
            form = _read_one(batch, number, entry, path, scratch)
            _keep_records(connection, number, form, kept)
        except DataError as error:
            batch.refused.append(Refused(number, None, str(error), None))
        finally:
            remove_tree(scratch)
    parts = [f"SELECT file_number, record, {payload} AS payload FROM {table}" for table, payload in kept.values()]
    nothing = "SELECT NULL::BIGINT AS file_number, NULL::BIGINT AS record, NULL::VARCHAR AS payload WHERE false"
    connection.execute(f"CREATE TEMP VIEW declared_records AS {' UNION ALL '.join(parts) or nothing}")
    return "SELECT * FROM declared_rows" if "declared_rows" in _tables(connection) else _EMPTY


def _read_one(batch: Batch, number: int, entry: LandedFile, path: Path, scratch: Path) -> Form:
    connection = batch.connection
    if entry.spec is None:
        raise DataError("it was landed without a spec; land its folder again")
    spec = FileSpec.model_validate(entry.spec)
    unpacked = unpack(spec, path, scratch)
    form = read_records(connection, spec, unpacked)
    names = names_of(unpacked, entry.origin)
    unit, fault = time_unit(connection, Rows(spec, form, names))
    if fault:
        raise DataError(fault)
    select = f"SELECT {number}::BIGINT AS file_number, * FROM ({Rows(spec, form, names, unit).select()})"
    # One table for all files of a dataset: the columns are the model's, whatever the files have.
    is_there = "declared_rows" in _tables(connection)
    connection.execute(
        f"INSERT INTO declared_rows BY NAME {select}" if is_there else f"CREATE TEMP TABLE declared_rows AS {select}"
    )
    batch.refused.extend(
        Refused(number, record, reason, payload)
        for record, reason, payload in connection.execute(
            "SELECT record, reason, payload FROM file_broken ORDER BY record"
        ).fetchall()
    )
    return form


def _keep_records(
    connection: duckdb.DuckDBPyConnection, number: int, form: Form, kept: dict[tuple[str, ...], tuple[str, str]]
) -> None:
    """Keep a file's records as they are; few are ever shown, so the JSON of them is made when it is asked for.

    Files of the same columns share a table: a folder may hold thousands.

    Args:
        connection: Holds ``file_records``.
        number: Of the file.
        form: Its columns.
        kept: By columns and types, the table and the SQL of a record's JSON; a new one is added.
    """
    shape = (*form.stored, *form.stored.values())
    if shape in kept:
        connection.execute(f"INSERT INTO {kept[shape][0]} SELECT {number}, * FROM file_records")
        return
    table = f"declared_shape_{len(kept)}"
    connection.execute(f"CREATE TEMP TABLE {table} AS SELECT {number}::BIGINT AS file_number, * FROM file_records")
    kept[shape] = (table, form.payload)


def _tables(connection: duckdb.DuckDBPyConnection) -> list[str]:
    """The temporary tables of this module."""
    return [
        row[0]
        for row in connection.execute(
            "SELECT table_name FROM duckdb_tables() WHERE table_name = 'declared_rows' OR table_name LIKE 'declared_shape_%'"
        ).fetchall()
    ]


DATASETS = tuple(
    Dataset(
        name=f"files_{entity}",
        source="declared",
        landed_as=entity,
        readers={"": read_declared},
        venue=None,
        label=None,
        description=(DECLARED[f"files_{entity}"].__doc__ or "").strip().split("\n")[0],
    )
    for entity in ENTITIES
)
