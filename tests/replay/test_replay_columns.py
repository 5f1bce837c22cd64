"""Every column of the result tables is described where readers look: in the code, the warehouse and the snapshot."""

from __future__ import annotations

from pathlib import Path

import duckdb
import pytest
from replay_books import rules, scenario
from test_replay_engine import book_with_deficits

from dagster_project.defs.replay.store import store_result
from dagster_project.lib.home import Home
from dagster_project.lib.publish import publish
from dagster_project.replay.columns import columns_of, head_of
from dagster_project.replay.engine import ReplayResult, run_replay
from dagster_project.replay.output import STRESS_TABLES


@pytest.fixture(scope="module")
def result(tmp_path_factory: pytest.TempPathFactory) -> ReplayResult:
    folder = tmp_path_factory.mktemp("columns")
    return run_replay(book_with_deficits().write(folder / "book"), scenario(-0.1, venues=rules(0.0005)))


@pytest.mark.parametrize("table", STRESS_TABLES)
def test_columns_are_the_declared_ones(table: str, result: ReplayResult) -> None:
    with duckdb.connect() as connection:
        connection.register("found", result.table(table))
        described = connection.execute("describe found").fetchall()
        declared = columns_of(table)
        assert [(name, kind.lower()) for name, kind, *_ in described] == [
            (name, column.kind) for name, column in declared.items()
        ]
        for name, column in declared.items():
            missing = connection.execute(f'select count(*) from found where "{name}" is null').fetchall()[0][0]
            assert column.nullable or missing == 0, name
    assert head_of(table)[0].startswith("One row per ")


def test_what_is_declared_reaches_the_snapshot(result: ReplayResult, tmp_path: Path) -> None:
    home = Home(tmp_path / "home")
    home.prepare()
    for _ in range(2):
        store_result(home, result)
    publish(home)
    with duckdb.connect(str(home.published / "marts.duckdb"), read_only=True) as connection:
        columns = connection.execute(
            "select table_name, column_name, comment from duckdb_columns() where schema_name = 'stress'"
        ).fetchall()
        tables = dict(connection.execute("select table_name, comment from duckdb_tables()").fetchall())
        rows = connection.execute("select count(*) from stress.stress_summary").fetchall()
    assert {(table, name): comment for table, name, comment in columns} == {
        (table, name): column.comment for table in STRESS_TABLES for name, column in columns_of(table).items()
    }
    assert {table: comment.startswith("One row per ") for table, comment in tables.items()} == dict.fromkeys(
        STRESS_TABLES, True
    )
    assert rows == [(1,)], "storing a run again replaces it"
