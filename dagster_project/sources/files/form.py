"""The tables that the records of a declared file are read into, and how they were read.

``file_records`` has ``record`` (from 1, through all members of a zip), ``piece`` and the values: of CSV and Parquet a column
each, named ``v0``, ``v1``, ... by its place, so that a stranger's column names stay data; of JSON one text, ``payload``.
``file_broken`` has the records that cannot be read: ``record``, ``reason``, ``payload`` and how many ``lines`` they take.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

import duckdb

from dagster_project.lib.duck import literal


@dataclass
class Form:
    """How a file was read.

    Args:
        words: For people, e.g. ``delimiter ';', header, utf-16``; several where members differ.
        columns: Column names and types as found, in the file's order; of JSON, those of the first records.
        stored: Type of each column of ``file_records``, in the order of ``v0``, ``v1``, ...; empty for JSON.
        records: How many records were read.
        broken: How many could not be.
    """

    words: list[str] = field(default_factory=list)
    columns: dict[str, str] = field(default_factory=dict)
    stored: dict[str, str] = field(default_factory=dict)
    records: int = 0
    broken: int = 0

    def say(self, words: str) -> None:
        """Note how a piece was read, once."""
        if words not in self.words:
            self.words.append(words)

    def place(self, name: str) -> str:
        """The column of ``file_records`` that holds a column of the file."""
        return f"v{list(self.stored).index(name)}"

    @property
    def payload(self) -> str:
        """SQL of a record as JSON text."""
        if not self.stored:
            return "payload"
        pairs = ", ".join(f"{literal(name)}, v{index}" for index, name in enumerate(self.stored))
        return f"json_object({pairs})::VARCHAR"


def start(connection: duckdb.DuckDBPyConnection) -> None:
    """Make the tables anew, without rows."""
    connection.execute("CREATE OR REPLACE TEMP TABLE file_records (record BIGINT, piece INTEGER, payload VARCHAR)")
    connection.execute(
        "CREATE OR REPLACE TEMP TABLE file_broken (record BIGINT, reason VARCHAR, payload VARCHAR, lines BIGINT)"
    )


def add_columns(connection: duckdb.DuckDBPyConnection, form: Form, names: Sequence[str]) -> list[str]:
    """Make room for a piece's columns, as text.

    Args:
        connection: Holds the tables.
        form: Takes the columns that are new.
        names: In the file.

    Returns:
        The columns of ``file_records`` for them, in their order.
    """
    if not form.stored:
        form.stored |= dict.fromkeys(names, "VARCHAR")
        shape = "".join(f", {form.place(name)} VARCHAR" for name in names)
        connection.execute(f"CREATE OR REPLACE TEMP TABLE file_records (record BIGINT, piece INTEGER{shape})")
    for name in names:
        if name not in form.stored:
            form.stored[name] = "VARCHAR"
            connection.execute(f"ALTER TABLE file_records ADD COLUMN {form.place(name)} VARCHAR")
    return [form.place(name) for name in names]


def offset(connection: duckdb.DuckDBPyConnection) -> int:
    """The number of the last record of the pieces read so far."""
    row = connection.execute(
        "SELECT greatest((SELECT coalesce(max(record), 0) FROM file_records), "
        "(SELECT coalesce(max(record), 0) FROM file_broken))"
    ).fetchone()
    return int(row[0]) if row else 0
