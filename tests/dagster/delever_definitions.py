"""The code location, loaded once a process, and the figures of a home that tests compare."""

import functools
from pathlib import Path

import dagster as dg
import duckdb

from dagster_project.lib.home import Home
from dagster_project.lib.publish import read_snapshot

WRITER_POOL = "duckdb_writer"


@functools.cache
def load() -> dg.Definitions:
    """Everything that Dagster loads; builds dbt's manifest when it is old."""
    from dagster_project.definitions import defs  # noqa: PLC0415 - takes seconds, and only these tests need it

    return defs()


@functools.cache
def repository() -> dg.RepositoryDefinition:
    """The same as one repository, which has the resolved asset graph and jobs."""
    return load().get_repository_def()


def served(home: Home) -> tuple[str, str, dict[str, str]]:
    """What readers of a home see: the link's target, the snapshot's digest and each table's."""
    snapshot = read_snapshot(home)
    assert snapshot is not None
    tables = {f"{table.schema_name}.{table.name}": table.digest for table in snapshot.tables}
    return str(home.published.readlink()), snapshot.digest, tables


def statements(database: Path, *sql: str) -> None:
    """Write to a DuckDB file."""
    with duckdb.connect(str(database)) as connection:
        connection.execute("SET TimeZone = 'UTC'")
        for one in sql:
            connection.execute(one)
