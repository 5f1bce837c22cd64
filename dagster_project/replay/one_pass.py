"""The isolated one-sided cascade as one window pass (ADR 0003): the oracle of the stepwise engine where both apply.

It knows isolated positions, full closes into one book a contract, step 0, the own book as mark, and no fund. What it finds
has to be what the stepwise engine finds, account by account and round by round.
"""

from __future__ import annotations

import duckdb

from dagster_project.replay import sqlfiles


class NotOneSidedError(Exception):
    """Longs and shorts of a contract are both in breach at the shocked price: the pass cannot order them."""


def run_one_pass(con: duckdb.DuckDBPyConnection) -> None:
    """Run the pass over a loaded book and scenario; leaves ``replay_fill`` and ``replay_round`` (sql/one_pass).

    Args:
        con: connection with ``book_*`` and ``scenario_*``, the log moves of step 0 in ``scenario_shock``. Tables ``replay_*`` of
            another run in it are replaced.

    Raises:
        NotOneSidedError: the book and the shock are outside what the pass computes.
    """

    def run(*names: str) -> None:
        for name in names:
            con.execute(sqlfiles.load_sql(f"one_pass/{name}"))

    con.execute(sqlfiles.load_sql("05_macros"))
    run("10_contract", "20_position", "25_tier", "30_threshold", "40_driven")
    if keys := con.execute(sqlfiles.load_sql("one_pass/45_two_sided")).fetchall():
        raise NotOneSidedError(", ".join(str(row[0]) for row in keys[:3]))
    run("50_stop", "52_atom", "60_round_start")
    known = -1
    while (ends := sqlfiles.one_row(con, "select count(*) from replay_round_end")[0]) != known:
        known = ends
        run("61_round_double")
    run("65_round", "70_fill")


__all__ = ["NotOneSidedError", "run_one_pass"]
