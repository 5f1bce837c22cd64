"""Read-only SQL on the published snapshot: no file, no network, no change of settings."""

import io
import json
from pathlib import Path

import duckdb
from rich.console import Console
from rich.table import Column, Table

from dagster_project.lib.duck import LOCKED_DOWN
from dagster_project.lib.errors import DataError, UsageError
from dagster_project.lib.home import Home

FORMATS = ("table", "csv", "json", "parquet")


def open_published(home: Home) -> duckdb.DuckDBPyConnection:
    """A connection that sees the published tables and nothing else of this machine.

    Raises:
        UsageError: Nothing is published yet.
    """
    if not home.published_marts.exists():
        raise UsageError(
            f"Nothing is published in {home.root} yet. Run `make demo` or `delever run`, or set DELEVER_HOME to a home that has."
        )
    config: dict[str, str | bool | int | float | list[str]] = {
        **LOCKED_DOWN,
        "enable_external_access": False,
        "lock_configuration": False,
    }
    connection = duckdb.connect(str(home.published_marts.resolve()), read_only=True, config=config)
    connection.execute("SET TimeZone = 'UTC'")
    connection.execute("SET search_path = 'marts,stress'")
    connection.execute("SET lock_configuration = true")
    return connection


def run_query(home: Home, sql: str) -> duckdb.DuckDBPyRelation:
    """Run one statement.

    Raises:
        UsageError: Nothing is published, or the statement does not parse or is not a query.
        DataError: The query failed while it ran.
    """
    connection = open_published(home)
    try:
        statements = connection.extract_statements(sql)
    except duckdb.Error as error:
        raise UsageError(_message(error)) from error
    if len(statements) != 1:
        raise UsageError(f"One statement is expected, {len(statements)} were given.")
    try:
        relation = connection.sql(statements[0].query)
    except (duckdb.ParserException, duckdb.BinderException, duckdb.CatalogException) as error:
        raise UsageError(_message(error)) from error
    except duckdb.Error as error:
        raise DataError(_message(error)) from error
    if relation is None:
        raise UsageError("The statement returns no rows; only queries are accepted on the published snapshot.")
    return relation


def answer(home: Home, sql: str, form: str, out: Path | None, console: Console) -> None:
    """Run a query and give its rows in a format.

    Args:
        home: Whose snapshot.
        sql: One SELECT.
        form: One of ``FORMATS``.
        out: File to write, or None for the console (not for parquet).
        console: Where tables and texts go.

    Raises:
        UsageError: Nothing is published, the statement is no query, or the file cannot be written.
        DataError: The query failed while it ran.
    """
    relation = run_query(home, sql)
    try:
        if form == "table":
            _print_table(relation, console)
        elif form == "parquet" and out is not None:
            _write_parquet(relation, out)
        else:
            text = _csv(relation) if form == "csv" else _json(relation)
            if out is None:
                console.file.write(text)
            else:
                out.write_text(text)
    except OSError as error:
        raise UsageError(f"{out} cannot be written: {error.strerror or error}.") from error
    except duckdb.Error as error:
        raise DataError(_message(error)) from error


MAX_ROWS_SHOWN = 200


def _print_table(relation: duckdb.DuckDBPyRelation, console: Console) -> None:
    rows = relation.limit(MAX_ROWS_SHOWN + 1).fetchall()
    table = Table(*(Column(name, overflow="fold") for name in relation.columns), box=None, header_style="bold")
    for row in rows[:MAX_ROWS_SHOWN]:
        table.add_row(*(_text(value) for value in row))
    console.print(table)
    if len(rows) > MAX_ROWS_SHOWN:
        console.print(f"(the first {MAX_ROWS_SHOWN} rows; --format csv gives all)")


def _text(value: object) -> str:
    if value is None:
        return "-"
    if isinstance(value, float):
        return f"{value:,.4f}" if abs(value) < 1e6 else f"{value:,.0f}"
    return str(value)


def _csv(relation: duckdb.DuckDBPyRelation) -> str:
    import pyarrow.csv as pc  # noqa: PLC0415

    sink = io.BytesIO()
    pc.write_csv(relation.to_arrow_table(), sink)
    return sink.getvalue().decode()


def _json(relation: duckdb.DuckDBPyRelation) -> str:
    names = relation.columns
    return json.dumps([dict(zip(names, row, strict=True)) for row in relation.fetchall()], default=str, indent=1) + "\n"


def _write_parquet(relation: duckdb.DuckDBPyRelation, target: Path) -> None:
    """Write a result as Parquet through Arrow, since the query's own connection may not touch files."""
    import pyarrow.parquet as pq  # noqa: PLC0415 - half a second that no other format needs

    pq.write_table(relation.to_arrow_table(), target)


def _message(error: duckdb.Error) -> str:
    return str(error).strip()
