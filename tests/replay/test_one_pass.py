"""The one-pass window against the stepwise engine, where both apply: isolated, one-sided, full closes, step 0."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from replay_books import scenario
from test_replay_reference import random_book

from dagster_project.replay.engine import ReplayInputError, played
from dagster_project.replay.one_pass import NotOneSidedError, run_one_pass


def both(folder: Path, content: dict[str, Any]) -> tuple[list[Any], list[Any]]:
    """Return (venue, contract, account, round, price) of every liquidation, by the engine and by the pass."""
    with played(folder, content, threads=1) as run:
        stepwise = run.con.execute(
            """select c.venue, c.contract, u.account_id, e.round, e.price
               from replay_event as e inner join replay_unit as u on e.unit_no = u.unit_no
               inner join replay_contract as c on e.contract_no = c.contract_no where e.kind = 'book' order by all"""
        ).fetchall()
        run_one_pass(run.con)
        passed = run.con.execute(
            """select c.venue, c.contract, f.account_id, f.round_no, f.price
               from replay_fill as f inner join replay_contract as c on f.contract_no = c.contract_no order by all"""
        ).fetchall()
    return stepwise, passed


@pytest.mark.parametrize("move", [-0.3, -0.15, 0.25])
def test_the_pass_finds_the_same_accounts_rounds_and_prices(move: float, tmp_path: Path) -> None:
    fallen = 0
    for seed in range(12):
        book = random_book(seed)
        law: dict[str, Any] = {"law": "sqrt", "coefficient": 0.0004} if seed % 3 == 0 else {"law": "linear"}
        try:
            stepwise, passed = both(book.write(tmp_path / str(seed)), scenario(move, impact=law))
        except (NotOneSidedError, ReplayInputError):
            continue
        fallen += len(passed)
        assert [row[:4] for row in stepwise] == [row[:4] for row in passed]
        assert [row[4] for row in stepwise] == pytest.approx([row[4] for row in passed], rel=1e-9)
    assert fallen > 30
