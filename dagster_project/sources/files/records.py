"""The records of a declared file, whatever its format."""

import duckdb

from dagster_project.lib.errors import DataError
from dagster_project.sources.files.csv_records import read_csv
from dagster_project.sources.files.form import Form, start
from dagster_project.sources.files.json_records import json_columns, read_json
from dagster_project.sources.files.parquet_records import read_parquet
from dagster_project.sources.files.spec import FileSpec
from dagster_project.sources.files.text import first_line, quoted
from dagster_project.sources.files.unpack import Piece, Unpacked


def read_records(connection: duckdb.DuckDBPyConnection, spec: FileSpec, unpacked: Unpacked) -> Form:
    """Fill the tables ``file_records`` and ``file_broken``, which ``form`` describes.

    Args:
        connection: Where the tables are made anew.
        spec: Format and form.
        unpacked: The plain files.

    Raises:
        DataError: A piece that cannot be read at all; the text does not name the file.
    """
    start(connection)
    form = Form()
    for number, piece in enumerate(unpacked.pieces):
        try:
            if spec.format == "csv":
                read_csv(connection, spec, piece, number, form)
            elif spec.format == "json":
                read_json(connection, spec, piece, number, form)
            else:
                read_parquet(connection, piece, number, form, as_text=len(unpacked.pieces) > 1)
        except duckdb.Error as error:
            where = f"member {quoted(piece.member)}" if piece.member else "it"
            raise DataError(f"{where} cannot be read as {spec.format}: {_reason(error, piece)}") from error
    row = connection.execute(
        "SELECT (SELECT count(*) FROM file_records), (SELECT coalesce(sum(lines), 0)::BIGINT FROM file_broken)"
    ).fetchone()
    form.records, form.broken = row or (0, 0)
    if spec.format == "json":
        form.columns = json_columns(connection)
    return form


def _reason(error: duckdb.Error, piece: Piece) -> str:
    """DuckDB's words without the scratch file's name, which says nothing to a user."""
    text = str(error).replace(str(piece.path), "the file")
    if "utf-8" in text.lower() or "unicode" in text.lower():
        return "it is not UTF-8; csv.encoding says how it is written (latin-1, utf-16, ...)"
    return first_line(text)
