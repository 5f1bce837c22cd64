"""What a run leaves owners with who meant to be neutral, as the summary says it."""

import math
from pathlib import Path

import pytest
from replay_books import Book, scenario

from dagster_project.replay.engine import run_replay


def test_the_summary_says_what_a_lost_leg_left(tmp_path: Path) -> None:
    """Long 10 and short 10 at 100 USD: the long is closed at t0, and the short of 1,000 USD is carried for two seconds.

    The index falls by 20 % at once and to half at the second second, so the naked short gains 1,000 USD x (.8 - .5).
    """
    book = Book()
    book.contract(index=100.0, lot=0.1, depth=1e12)
    book.maker()
    book.trader("long leg", 10.0, 100.0, 100.0, owner="neutral")
    book.trader("short leg", -10.0, 100.0, 5000.0, owner="neutral")
    book.trader("long only", 1.0, 100.0, 1000.0)
    path = {"all": [[0, math.log(0.8)], [1, math.log(0.8)], [2, math.log(0.5)]]}
    result = run_replay(book.write(tmp_path / "b"), scenario(path, clock={"step_seconds": 1, "steps": 2}))
    said = {
        name: result.summary[name] for name in ("hedged_owners", "hedges_lost_to_liquidation", "hedges_lost_to_adl")
    }
    assert said == {"hedged_owners": 1, "hedges_lost_to_liquidation": 1, "hedges_lost_to_adl": 0}
    assert result.summary["naked_after_usd"] == 1000.0
    assert result.summary["naked_usd_seconds"] == 2000.0
    assert result.summary["naked_pnl_usd"] == pytest.approx(300.0, rel=1e-9)


def test_nobody_is_neutral_in_a_book_of_single_positions(tmp_path: Path) -> None:
    book = Book()
    book.contract(index=100.0, lot=0.1, depth=1e12)
    book.maker()
    book.trader("long", 10.0, 100.0, 100.0)
    summary = run_replay(book.write(tmp_path / "b"), scenario({"all": [[0, -0.2]]})).summary
    assert [summary[name] for name in ("hedged_owners", "naked_after_usd", "naked_usd_seconds", "naked_pnl_usd")] == [
        0
    ] * 4
