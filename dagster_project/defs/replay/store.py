"""Stress tables of the warehouse: a run's rows replace those of the same run, in one transaction."""

from collections.abc import Iterable, Mapping
from pathlib import Path

import duckdb

from dagster_project.lib.duck import connect, identifier, literal
from dagster_project.lib.home import Home
from dagster_project.replay.columns import comments
from dagster_project.replay.output import ReplayResult


def store_result(home: Home, result: ReplayResult) -> None:
    """Put a run's tables into the warehouse, in place of an earlier run of the same id."""
    with connect(home.warehouse) as connection:
        connection.execute("BEGIN")
        for name in result.tables:
            connection.register("incoming", result.table(name))
            _replace(connection, name, f"run_id = {literal(result.run_id)}")
            connection.unregister("incoming")
        _comment(connection, result.tables)
        connection.execute("COMMIT")


def store_files(home: Home, files: Iterable[Path], keys: Mapping[str, tuple[str, str]]) -> None:
    """Put Parquet tables into the warehouse, in place of earlier rows of the same runs.

    Args:
        home: Where the warehouse is.
        files: ``stress_*.parquet``.
        keys: By table, the column and value that say which rows are replaced; other tables replace the runs that they hold.
    """
    written = {path.stem: path for path in files}
    with connect(home.warehouse) as connection:
        connection.execute("BEGIN")
        for name, path in written.items():
            connection.execute(f"CREATE TEMP TABLE incoming AS FROM read_parquet({literal(path)})")
            same = "run_id IN (SELECT run_id FROM incoming)"
            if name in keys:
                column, value = keys[name]
                same = f"{identifier(column)} = {literal(value)}"
            _replace(connection, name, same)
            connection.execute("DROP TABLE incoming")
        _comment(connection, written)
        connection.execute("COMMIT")


def _replace(connection: duckdb.DuckDBPyConnection, name: str, same: str) -> None:
    """Put the rows of ``incoming`` in the place of those that the condition names.

    A warehouse that an earlier release made lacks the columns that came since: they are added, unknown for its runs.
    """
    table = f"stress.{identifier(name)}"
    connection.execute("CREATE SCHEMA IF NOT EXISTS stress")
    connection.execute(f"CREATE TABLE IF NOT EXISTS {table} AS SELECT * FROM incoming LIMIT 0")
    known = {row[0] for row in connection.execute(f"DESCRIBE {table}").fetchall()}
    for column, kind, *_ in connection.execute("DESCRIBE incoming").fetchall():
        if column not in known:
            connection.execute(f"ALTER TABLE {table} ADD COLUMN {identifier(column)} {kind}")
    connection.execute(f"DELETE FROM {table} WHERE {same}")
    connection.execute(f"INSERT INTO {table} BY NAME SELECT * FROM incoming")


def _comment(connection: duckdb.DuckDBPyConnection, tables: Iterable[str]) -> None:
    """Tell what tables and columns hold: the snapshot takes it to its readers."""
    known = set(tables)
    for name, column, comment in comments():
        if name in known:
            table = f"stress.{identifier(name)}"
            target = f"COLUMN {table}.{identifier(column)}" if column else f"TABLE {table}"
            connection.execute(f"COMMENT ON {target} IS {literal(comment)}")
