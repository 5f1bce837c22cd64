"""The engine against the reference simulator: random small worlds with all features on, to the last lot and micro-USD.

Books and scenarios: random_worlds.py. The reference (reference_world.py) was written from docs/method_replay.md without the SQL.
The worlds are split over several tests so that they run beside each other.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import duckdb
import pytest
from random_worlds import random_world
from reference_world import World, simulate

from dagster_project.replay import plans
from dagster_project.replay.engine import played

WORLDS = int(os.environ.get("DELEVER_WORLDS", "200"))
"""How many; fewer for a first look."""

PARTS = 10


def state(con: duckdb.DuckDBPyConnection) -> dict[str, Any]:
    """Return what is compared of the engine, in the reference's terms."""
    named = con.execute(
        """select unit_no, kind, case
               when kind = 'fund' then ['fund', u.venue, u.account_id]
               when account_id = '(book)' then ['(book)@' || u.venue, '']
               else [account_id, coalesce(c.contract, '')]
           end
           from replay_unit as u left join replay_contract as c using (contract_no)"""
    ).fetchall()
    name = {number: tuple(key) for number, _, key in named}
    kind = {number: kind for number, kind, _ in named}
    contract = {
        row[0]: (row[1], row[2])
        for row in con.execute("select contract_no, venue, contract from replay_contract").fetchall()
    }
    asset = dict(con.execute("select asset_no, asset from replay_asset").fetchall())
    units: dict[Any, Any] = {
        name[n]: (cash, {}, {}) for n, cash in con.execute("select unit_no, cash from replay_unit").fetchall()
    }
    for number, coin, amount in con.execute(
        "select unit_no, asset_no, amount from replay_coin where amount != 0"
    ).fetchall():
        units[name[number]][1][asset[coin]] = amount
    for number, leg, lots, basis in con.execute("select unit_no, contract_no, lots, basis from replay_leg").fetchall():
        units[name[number]][2][contract[leg][1]] = (lots, None if kind[number] == "maker" else basis)
    events = con.execute(
        """select greatest(step, 0), round, kind, unit_no, contract_no, lots, native, fee, haircut
           from replay_event where kind not like 'transfer%' and kind != 'deficit'"""
    ).fetchall()
    path = con.execute(
        "select contract_no, step, move, y, mark_tick, depth_micro, open_interest_micro from replay_path"
    ).fetchall()
    flows = con.execute(
        """select p.venue, p.pool, f.step, sum(f.deficit), sum(f.haircut), sum(f.socialised),
               sum(f.overshoot)
           from replay_pool_flow as f inner join replay_pool as p using (pool_no) group by all"""
    ).fetchall()
    beyond = con.execute(
        """select contract_no, sum(beyond_micro), sum(haircut), sum(inversions), sum(inverted)
           from (
               select contract_no, beyond_micro, 0 as haircut, inversions, inverted from replay_adl_flow
               union all
               select contract_no, 0, overshoot, 0, 0 from replay_overshoot
           ) as parts group by all"""
    ).fetchall()
    hedges = con.execute(
        "select owner_id, asset_no, delta_before, naked_micro, naked_micro_seconds from replay_hedge"
    ).fetchall()
    in_transit = con.execute(
        "select coalesce(sum(amount), 0) from replay_transit where arrived_seconds is null"
    ).fetchall()
    return {
        "makers": {name[number] for number in name if kind[number] == "maker"},
        "units": units,
        "events": sorted(
            (step, number, {"leverage_cap": "deleverage_cap"}.get(what, what), name[unit], contract[leg], *rest)
            for step, number, what, unit, leg, *rest in events
        ),
        "path": {(*contract[c], step): tuple(map(int, rest)) for c, step, *rest in path},
        "pools": {(venue, pool, step): tuple(map(int, rest)) for venue, pool, step, *rest in flows if any(rest)},
        "beyond": {contract[c]: tuple(map(int, rest)) for c, *rest in beyond if any(rest)},
        "hedges": {(owner, asset[a]): (int(before), int(naked), seconds) for owner, a, before, naked, seconds in hedges},
        "late": con.execute("select count(*) from replay_transit where is_late").fetchall()[0][0],
        "in_transit": int(in_transit[0][0]),
    }  # fmt: skip


def expected(world: World, makers: set[Any]) -> dict[str, Any]:
    """Return the same of the reference; a maker's basis is nobody's business."""
    return {
        "makers": makers,
        "units": {
            key: (cash, {asset: amount for asset, amount in coins.items() if amount},
                  {name: (lots, None if key in makers else basis) for name, (lots, basis) in legs.items()})
            for key, (cash, coins, legs) in world.units.items()
        },
        "events": sorted(
            (e.step, e.round, e.kind, e.unit, e.contract, e.lots, e.native, e.fee, e.haircut)
            for e in world.events if not e.kind.startswith("transfer")
        ),
        "path": {key: (row.move, row.y, row.mark_tick, row.depth, row.open_interest) for key, row in world.path.items()},
        "pools": {
            key: (row.deficits, row.haircuts, row.socialised, row.overshoot)
            for key, row in world.pools.items() if row.deficits or row.haircuts or row.socialised
        },
        "beyond": {
            key: found for key, c in world.contracts.items()
            if any(found := (c.overshoot, c.haircut_overshoot, c.inversions, c.inverted))
        },
        "hedges": {key: (h.before, h.naked[-1], h.naked_usd_seconds) for key, h in world.hedges.items()},
        "late": world.transfers_late,
        "in_transit": world.in_transit,
    }  # fmt: skip


@pytest.mark.parametrize("part", range(PARTS))
def test_random_worlds_agree_with_the_reference(part: int, tmp_path: Path) -> None:
    agree(range(part, WORLDS, PARTS), tmp_path)


def test_plans_can_be_made_anew_in_every_round(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(plans, "dead_rows", lambda positions: -1)
    agree(range(3), tmp_path)


def agree(seeds: Iterable[int], tmp_path: Path) -> None:
    for seed in seeds:
        book, content = random_world(seed)
        with played(book.write(tmp_path / str(seed)), content, threads=1) as run:
            found = state(run.con)
            broken = run.con.execute("select max(abs(columns(* exclude (step)))) from replay_ledger").fetchone()
        wanted = expected(simulate(book, content), found["makers"])
        assert not any(broken or ()), (seed, broken)
        empty = {key for key in found["units"] if key[-1] == "(none)" and key not in wanted["units"]}
        assert all(found["units"].pop(key) == (0, {}, {}) for key in empty)
        for what in wanted:
            assert found[what] == wanted[what], (seed, what)
