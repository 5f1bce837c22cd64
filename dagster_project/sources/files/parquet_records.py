"""Records of Parquet: every column in its own type."""

import duckdb

from dagster_project.lib.duck import identifier, literal
from dagster_project.lib.errors import DataError
from dagster_project.sources.files.form import Form, add_columns, offset
from dagster_project.sources.files.unpack import Piece

MAX_RATIO = 20
MAX_UNCHECKED_ROWS = 1_000_000
"""Rows a byte, beyond the first million. Repeated values make Parquet small, but a row of a market is no repetition."""


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
    places = add_columns(connection, form, [(name, "VARCHAR" if as_text else kind) for name, kind in found])
    values = ", ".join(identifier(name) for name, _ in found)
    connection.execute(
        f"INSERT INTO file_records (record, piece, {', '.join(places)}) "
        f"SELECT {offset(connection)} + row_number() OVER (), {number}, {values} FROM {reader}"
    )
