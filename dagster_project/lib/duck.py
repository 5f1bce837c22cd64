"""DuckDB connections and SQL text: the one place where a value becomes part of a statement."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import duckdb

LOCKED_DOWN = {"autoinstall_known_extensions": False, "autoload_known_extensions": False}
"""DuckDB fetches no extension on its own: nothing is requested that a user did not ask for."""


def literal(value: str | Path | int | float | None) -> str:
    """Quote a value as an SQL literal."""
    if value is None:
        return "NULL"
    if isinstance(value, int | float):
        return repr(value)
    return "'" + str(value).replace("'", "''") + "'"


def identifier(name: str) -> str:
    """Quote a name as an SQL identifier."""
    return '"' + name.replace('"', '""') + '"'


def list_literal(values: list[str] | list[Path]) -> str:
    """Quote values as an SQL list, for readers that take a list of files."""
    return "[" + ", ".join(literal(value) for value in values) + "]"


@contextmanager
def connect(database: Path | None = None, *, read_only: bool = False) -> Iterator[duckdb.DuckDBPyConnection]:
    """Open DuckDB in UTC, without extension downloads.

    Args:
        database: File to open; a private in-memory database when absent.
        read_only: Open the file for reading.

    Yields:
        The connection; closed at the end of the block.
    """
    target = str(database) if database else ":memory:"
    connection = duckdb.connect(target, read_only=read_only, config=dict(LOCKED_DOWN))
    try:
        connection.execute("SET TimeZone = 'UTC'")
        yield connection
    finally:
        connection.close()


def table_digest(connection: duckdb.DuckDBPyConnection, table: str) -> tuple[int, str]:
    """Row count and a hash of a table that does not depend on the order of its rows.

    Args:
        connection: Where the table is.
        table: Quoted, qualified name.

    Returns:
        Rows, and sum and xor of the rows' 64-bit hashes in hexadecimal (the sum sees rows that occur twice).
    """
    columns = ", ".join(sorted(identifier(row[0]) for row in connection.execute(f"DESCRIBE {table}").fetchall()))
    row = connection.execute(
        f"SELECT count(*), coalesce(bit_xor(h), 0), coalesce(sum(h::HUGEINT), 0) "
        f"FROM (SELECT hash(row({columns})) AS h FROM {table})"
    ).fetchone()
    if row is None:
        raise AssertionError("an aggregate returns a row")
    return row[0], f"{row[1]:016x}{row[2] % 2**64:016x}"
