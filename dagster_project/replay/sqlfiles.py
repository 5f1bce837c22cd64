"""The SQL files of the replay, as text, and the smallest way to ask for one row."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any

import duckdb


@dataclass(frozen=True)
class BookRule:
    """One relational rule of a book: a query whose rows are the offending keys.

    Attributes:
        table: book table that breaks the rule.
        needs: tables that the query reads.
        rule: what must hold and does not.
        remedy: what to do about it.
        query: SELECT with one VARCHAR column, `key`, without semicolon (it is asked as a subquery).
    """

    table: str
    needs: frozenset[str]
    rule: str
    remedy: str
    query: str


@cache
def load_sql(name: str) -> str:
    """Return the text of `sql/<name>.sql`, read once a process."""
    return files("dagster_project.replay").joinpath("sql", f"{name}.sql").read_text(encoding="utf-8")


def sql_names() -> list[str]:
    """Return the names of all SQL files, in the order in which they run."""
    folder = files("dagster_project.replay").joinpath("sql")
    return sorted(path.name.removesuffix(".sql") for path in folder.iterdir() if path.name.endswith(".sql"))


def book_rules() -> list[BookRule]:
    """Return the rules of `sql/00_book_rules.sql` in the order of the file."""
    rules = []
    for block in load_sql("00_book_rules").split("-- @rule ")[1:]:
        head, _, query = block.partition("\n")
        table, needs, rule, remedy = (part.strip() for part in head.split("|"))
        rules.append(BookRule(table, frozenset(needs.split(",")), rule, remedy, query.strip().removesuffix(";")))
    return rules


def one_row(con: duckdb.DuckDBPyConnection, query: str, values: Sequence[object] = ()) -> tuple[Any, ...]:
    """Return the single row of a query.

    Raises:
        LookupError: the query has no row.
    """
    row = con.execute(query, list(values)).fetchone()
    if row is None:
        raise LookupError(query)
    return row
