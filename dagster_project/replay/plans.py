"""SQL files that run thousands of times a run, as statements that are planned once.

To plan a small statement takes DuckDB longer than to run it, and a plan holds only while no table is made or dropped. So what a
file says as ``create or replace temp table T as SELECT ...`` makes T once; from then on T is emptied and filled. Every file still
reads, and runs by hand, as it is written.

A statement can say that it has nothing to do: ``-- @when a and b or c`` above it names tables without whose rows its query has
none. It is then not run; a table that it makes is empty.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import duckdb

from dagster_project.replay import sqlfiles

OPTION = "set disabled_optimizers = 'statistics_propagation, top_n_window_elimination, join_filter_pushdown'"
"""Needed where plans are made. With the first, one would be made for the rows of its moment: a table that was empty stays so for
it. The second (of DuckDB 1.5.5) at some table sizes loses columns of 56_fraction.sql, and ends in an internal error. With the
third (of DuckDB 1.5.5) and two threads or more a plan that is executed again now and then loses rows of a join: about once in 200
times 56_fraction.sql, whose units then closed all instead of a part. With one thread none was lost."""

_MAKES = re.compile(r"create or replace temp table (\w+) as\b(.*)", re.DOTALL)
_FILLS = re.compile(r"insert into (\w+)\b")
_EMPTIES = re.compile(r"delete from (\w+)\s*")
_WHEN = re.compile(r"^-- @when (.+)$", re.MULTILINE)
_COMMENT = re.compile(r"^\s*--.*$", re.MULTILINE)


def dead_rows(positions: int) -> int:
    """Return the deleted rows beyond which tables are made anew.

    DuckDB keeps deleted rows of a temporary table and passes over them in every scan. To make tables anew costs the planning
    of all statements, as much as 100,000 dead rows cost some 35 rounds; a round over a large book leaves as many by itself.
    """
    return max(100_000, positions // 2)


@dataclass(frozen=True)
class _Statement:
    """One statement of a file.

    Attributes:
        plan: name of its plan.
        sql: what is planned; None if it empties a table and that is all.
        query: rows of the table that it makes; None if it makes none.
        empties: table that is emptied first.
        fills: table that gets rows.
        when: sets of tables; without rows in all tables of one set there is nothing to do.
    """

    plan: str
    sql: str | None
    query: str | None
    empties: str | None
    fills: str | None
    when: tuple[frozenset[str], ...]


class Plans:
    """Plans of SQL files over the tables of one connection, and how many rows their tables hold.

    Args:
        con: connection with every table that the files read and do not make themselves, and with `OPTION`.
        names: the files, so that each finds the tables that it reads among those of the files before it.
        positions: positions of the book.

    Attributes:
        rows: number of rows of each table that a file makes or empties.
    """

    def __init__(self, con: duckdb.DuckDBPyConnection, names: Sequence[str], positions: int) -> None:
        self._con = con
        self._dead = 0
        self._dead_rows = dead_rows(positions)
        self._files = {name: list(_statements(con, name)) for name in names}
        known = {
            str(row[0]) for row in con.execute("select table_name from duckdb_tables() where temporary").fetchall()
        }
        for statement in self._all():
            if statement.query and statement.fills not in known:
                con.execute(f"create temp table {statement.fills} as from ({statement.query}) limit 0")
                known.add(str(statement.fills))
        self._emptied = sorted({statement.empties for statement in self._all() if statement.empties})
        asked = {table for statement in self._all() for tables in statement.when for table in tables}
        self.rows: dict[str, int] = {
            table: sqlfiles.one_row(con, f"select count(*) from {table}")[0] for table in {*self._emptied, *asked}
        }
        self._plan()

    def run(self, *names: str) -> None:
        """Run files in order."""
        for name in names:
            for statement in self._files[name]:
                if statement.empties:
                    self._empty(statement.empties)
                if statement.sql and self._has_rows(statement):
                    done = sqlfiles.one_row(self._con, f"execute {statement.plan}")
                    if statement.fills in self.rows:
                        self.rows[statement.fills] += done[0]

    def ask(self, name: str) -> list[tuple[Any, ...]]:
        """Return the rows of a file that is one query."""
        (statement,) = self._files[name]
        return self._con.execute(f"execute {statement.plan}").fetchall()

    def tidy(self) -> None:
        """Get rid of deleted rows if they are many."""
        if self._dead > self._dead_rows:
            for table in self._emptied:
                self._con.execute(f"create or replace temp table {table} as from {table}")
            self._dead = 0
            self._plan()

    def _all(self) -> Iterator[_Statement]:
        for file in self._files.values():
            yield from file

    def _has_rows(self, statement: _Statement) -> bool:
        return not statement.when or any(all(map(self.rows.__getitem__, tables)) for tables in statement.when)

    def _empty(self, table: str) -> None:
        if self.rows[table]:
            self._con.execute(f"execute empty_{table}")
            self._dead += self.rows[table]
            self.rows[table] = 0

    def _plan(self) -> None:
        for table in self._emptied:
            self._con.execute(f"prepare empty_{table} as delete from {table}")
        for statement in self._all():
            if statement.sql:
                self._con.execute(f"prepare {statement.plan} as {statement.sql}")


def _statements(con: duckdb.DuckDBPyConnection, name: str) -> Iterator[_Statement]:
    """Yield the statements of a file."""
    for number, parsed in enumerate(con.extract_statements(sqlfiles.load_sql(name))):
        text = _COMMENT.sub("", parsed.query).strip().removesuffix(";")
        when = tuple(
            frozenset(table.strip() for table in tables.split(" and "))
            for said in _WHEN.findall(parsed.query)
            for tables in said.split(" or ")
        )
        plan = f"plan_{name}_{number}"
        if made := _MAKES.fullmatch(text):
            table, query = made.groups()
            yield _Statement(plan, f"insert into {table} {query}", query, table, table, when)
        elif emptied := _EMPTIES.fullmatch(text):
            yield _Statement(plan, None, None, emptied[1], None, when)
        else:
            filled = _FILLS.match(text)
            yield _Statement(plan, text, None, None, filled[1] if filled else None, when)


__all__ = ["OPTION", "Plans"]
