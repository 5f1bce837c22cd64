"""Landed declared files as raw rows, each read by the spec that was landed with it."""

from pathlib import Path

import duckdb

from dagster_project.lib.errors import DataError
from dagster_project.lib.landing import LandedFile, remove_tree
from dagster_project.sources.batch import Batch, Refused
from dagster_project.sources.dataset import Dataset
from dagster_project.sources.files.canonical import ENTITIES
from dagster_project.sources.files.examination import names_of, time_unit
from dagster_project.sources.files.records import read_records
from dagster_project.sources.files.rows import Rows
from dagster_project.sources.files.spec import FileSpec
from dagster_project.sources.files.unpack import unpack
from schemas.raw import DECLARED


def read_declared(batch: Batch) -> str:
    """Raw rows of landed declared files.

    The table ``declared_records`` (file_number, record, payload) is made beside it: every record as JSON text, for what is set
    aside. A file that cannot be read, and a record that cannot, go to ``batch.refused``.

    Returns:
        A SELECT of file_number, record, venue, source, completeness, event_at and the canonical columns; a value that
        cannot be read is NULL.
    """
    connection = batch.connection
    connection.execute(
        "CREATE OR REPLACE TEMP TABLE declared_records (file_number BIGINT, record BIGINT, payload VARCHAR)"
    )
    connection.execute("DROP TABLE IF EXISTS declared_rows")
    for number, (entry, path) in enumerate(zip(batch.entries, batch.paths, strict=True), start=batch.first_number):
        scratch = batch.scratch / f"declared-{number}"
        scratch.mkdir()
        try:
            _read_one(batch, number, entry, path, scratch)
        except DataError as error:
            batch.refused.append(Refused(number, None, str(error), None))
        finally:
            remove_tree(scratch)
    if not _is_there(connection):
        return (
            "SELECT NULL::BIGINT AS file_number, NULL::BIGINT AS record, NULL::VARCHAR AS venue, NULL::VARCHAR AS source, "
            "NULL::VARCHAR AS completeness, NULL::TIMESTAMPTZ AS event_at WHERE false"
        )
    return "SELECT * FROM declared_rows"


def _read_one(batch: Batch, number: int, entry: LandedFile, path: Path, scratch: Path) -> None:
    connection = batch.connection
    if entry.spec is None:
        raise DataError("it was landed without a spec; land its folder again")
    spec = FileSpec.model_validate(entry.spec)
    unpacked = unpack(spec, path, scratch)
    read_records(connection, spec, unpacked)
    names = names_of(unpacked, entry.origin)
    unit, fault = time_unit(connection, Rows(spec, names))
    if fault:
        raise DataError(fault)
    select = f"SELECT {number}::BIGINT AS file_number, * FROM ({Rows(spec, names, unit).select()})"
    # One table for all files of a dataset: the columns are the model's, whatever the files have.
    connection.execute(
        f"INSERT INTO declared_rows BY NAME {select}"
        if _is_there(connection)
        else f"CREATE TEMP TABLE declared_rows AS {select}"
    )
    connection.execute(f"INSERT INTO declared_records SELECT {number}, record, payload FROM file_records")
    batch.refused.extend(
        Refused(number, record, reason, payload)
        for record, reason, payload in connection.execute(
            "SELECT record, reason, payload FROM file_broken ORDER BY record"
        ).fetchall()
    )


def _is_there(connection: duckdb.DuckDBPyConnection) -> bool:
    return connection.execute("SELECT 1 FROM duckdb_tables() WHERE table_name = 'declared_rows'").fetchone() is not None


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
