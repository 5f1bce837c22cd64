"""Records of Parquet: every column in its own type."""

import re

import duckdb

from dagster_project.lib.duck import identifier, literal
from dagster_project.lib.errors import DataError
from dagster_project.sources.files.form import Form, add_columns, offset
from dagster_project.sources.files.unpack import Piece

MAX_RATIO = 20
MAX_UNCHECKED_ROWS = 1_000_000
"""Rows a byte, beyond the first million. Repeated values make Parquet small, but a row of a market is no repetition."""

_NESTED = re.compile(r"^(STRUCT|MAP|UNION)\(|\]$")


def read_parquet(
    connection: duckdb.DuckDBPyConnection, piece: Piece, number: int, form: Form, *, as_text: bool
) -> None:
    """Add the records of one Parquet file to the tables of ``form``.

    Args:
        connection: Holds the tables.
        piece: The file.
        number: Of the piece.
        form: Takes the columns.
        as_text: Store values as text, because another piece may have other types.

    Raises:
        DataError: It claims more rows than its bytes can hold.
    """
    rows = connection.execute(f"SELECT num_rows FROM parquet_file_metadata({literal(piece.path)})").fetchone()
    if rows is None or rows[0] > max(MAX_UNCHECKED_ROWS, MAX_RATIO * piece.path.stat().st_size):
        raise DataError(f"it says that it has {rows[0] if rows else 'no'} rows, more than its bytes can hold; not read")
    reader = f"read_parquet({literal(piece.path)}, hive_partitioning=false)"
    found = [(row[0], row[1]) for row in connection.execute(f"DESCRIBE SELECT * FROM {reader}").fetchall()]
    for name, kind in found:
        form.columns.setdefault(name, kind.lower())
    form.say("Parquet")
    if not as_text:
        # The types are taken over by the table and never written out: a nested one holds names from the file.
        form.stored = dict(found)
        values = ", ".join(f"{identifier(name)} AS {form.place(name)}" for name, _ in found)
        connection.execute(
            f"CREATE OR REPLACE TEMP TABLE file_records AS SELECT row_number() OVER () AS record, {number}::INTEGER AS piece, "
            f"{values} FROM {reader}"
        )
        return
    places = add_columns(connection, form, [name for name, _ in found])
    texts = ", ".join(
        f"to_json({identifier(name)})::VARCHAR" if _NESTED.search(kind) else f"{identifier(name)}::VARCHAR"
        for name, kind in found
    )
    connection.execute(
        f"INSERT INTO file_records (record, piece, {', '.join(places)}) "
        f"SELECT {offset(connection)} + row_number() OVER (), {number}, {texts} FROM {reader}"
    )
