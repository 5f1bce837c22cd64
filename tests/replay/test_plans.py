"""What planned statements need of DuckDB."""

from __future__ import annotations

import duckdb

from dagster_project.replay.plans import OPTION
from dagster_project.replay.sqlfiles import load_sql

HALF = """
    create temp table replay_tier as
    select
        i::integer as contract_no, 0::bigint as floor_micro, 9000000000000000000::bigint as next_micro, 0.01::double as rate,
        0::double as amount_micro
    from range(132) as t (i);
    create temp table replay_leg_value (unit_no integer, contract_no integer, notional_micro bigint);
    create temp table replay_partial (
        unit_no integer, equity bigint, notional bigint, fee_rate double, min_fraction double
    );
    create temp table replay_fraction (unit_no integer, fraction double);
"""
"""Units that have half of their maintenance margin: each closes half."""


def test_a_plan_finds_every_row_each_time_it_is_executed() -> None:
    """Without the option some units are lost in about one execution of 200 (DuckDB 1.5.5, two threads or more)."""
    query = load_sql("56_fraction").partition("create or replace temp table replay_fraction as")[2]
    with duckdb.connect(config={"threads": 4}) as con:
        con.execute(OPTION)
        con.execute(HALF)
        con.execute(f"prepare plan as insert into replay_fraction {query}")
        wrong = {}
        for turn in range(600):
            units = (3, 80, 40)[turn % 3]
            con.execute("delete from replay_leg_value; delete from replay_partial; delete from replay_fraction")
            con.execute(
                """insert into replay_leg_value
                select (i * 7919 + $turn * 31) % 16000, (i * 7919 + $turn * 31) % 132, 1000000000
                from range($units) as t (i)""",
                {"turn": turn, "units": units},
            )
            con.execute("insert into replay_partial select unit_no, 5000000, 1000000000, 0, 0 from replay_leg_value")
            con.execute("execute plan")
            found = con.execute("select count(*), count(*) filter (abs(fraction - 0.5) < 1e-9) from replay_fraction")
            if (counts := found.fetchone()) != (units, units):
                wrong[turn] = counts
    assert wrong == {}
