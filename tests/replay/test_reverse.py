"""The reverse stress test finds the shock that a closed form names, and says when there is none."""

from __future__ import annotations

import math
from pathlib import Path

import duckdb
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from replay_books import Book, ladder, scenario
from tampered_sql import tamper

from dagster_project.replay.columns import columns_of
from dagster_project.replay.engine import ReplayError, ReplayInputError, ReplayInvariantError, run_replay
from dagster_project.replay.reverse import Search, outcomes, run_reverse


@settings(max_examples=12, deadline=None)
@given(threshold=st.floats(0.02, 0.11), jobs=st.sampled_from([1, 2]), scan=st.integers(1, 9))
def test_one_account_falls_at_its_threshold(
    threshold: float, jobs: int, scan: int, tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = ladder([threshold], 1000.0, 1e9).write(tmp_path_factory.mktemp("book"))
    found = run_reverse(folder, scenario(-0.06), Search("liquidated", scan=scan, tolerance=0.02), jobs=jobs)
    assert found.below is not None and found.beyond is not None
    # the engine's moves are whole ticks of 1e-12
    assert found.below * 0.06 - 1e-12 <= threshold <= found.beyond * 0.06 + 1e-12
    assert 0 < found.beyond - found.below <= 0.02
    for trial in found.trials:
        if abs(trial.multiplier * 0.06 - threshold) > 1e-12:
            assert (trial.value == pytest.approx(1000.0)) == (trial.multiplier * 0.06 > threshold)


def test_a_ladder_that_feeds_itself_falls_whole(tmp_path: Path) -> None:
    # T3 with q/D > d: the first fall takes all ten, so the trough jumps from the shock to shock + 10 q/D at a1 = 0.04
    folder = ladder([0.04 + 0.001 * rung for rung in range(10)], 100.0, 50_000.0, nearer=1e-9).write(tmp_path / "b")
    limit = 1 - math.exp(-0.055)
    found = run_reverse(folder, scenario(-0.05), Search("major_trough", limit, tolerance=0.001))
    assert found.below is not None and found.beyond is not None
    assert found.below <= 0.04 / 0.05 <= found.beyond + 1e-9
    assert {round(-math.log1p(-(trial.value or 0)) - 0.05 * trial.multiplier, 6) for trial in found.trials} == {0, 0.02}


def test_the_first_of_several_crossings_is_found(tmp_path: Path) -> None:
    # the counterexample of the backstop (I11): at 10 % A goes to the book and takes B along; at 10.8 % A goes to the fund
    made = Book()
    made.contract(depth=10.0, lot=1e-6, tiers=((0.0, None, 0.1, 0.0),))
    made.maker()
    made.add("fund", venue="v", pool="p", contract=None, balance=1e6, mode="cash_pool")
    for name, threshold in (("A", 0.10), ("B", 0.145)):
        price = math.exp(-threshold)
        made.trader(name, 0.5, 1.0, 0.5 * (1 - price) + 0.1 * 0.5 * price)
    folder = made.write(tmp_path / "b")
    content = scenario(-0.1, venues={"default": {"liquidation": {"backstop_ratio": 0.92}}})
    liquidated = {
        shock: run_replay(folder, content, overrides=[f"shock.all=[[0, {-shock}]]"]).summary["liquidated_usd"]
        for shock in (0.09, 0.101, 0.109)
    }
    assert liquidated == {0.09: 0, 0.101: 1, 0.109: 0.5}
    found = run_reverse(folder, content, Search("liquidated", 0.75, low=0.5, high=1.6, scan=100, tolerance=0.001))
    assert found.beyond == pytest.approx(1.0, abs=0.02)
    values = [trial.value for trial in found.trials if trial.multiplier <= found.beyond]
    assert max(values[:-1]) <= 0.75 < values[-1]  # type: ignore[operator, type-var]


def test_what_does_not_happen_is_said(tmp_path: Path) -> None:
    folder = ladder([0.5], 1000.0, 1e9).write(tmp_path / "b")
    found = run_reverse(folder, scenario(-0.06), Search("liquidated", high=3), tmp_path / "out")
    assert (found.below, found.beyond) == (3, None)
    assert len(found.trials) == 9
    read = duckdb.read_parquet(str(tmp_path / "out" / "stress_reverse.parquet"))
    assert dict(zip(read.columns, map(str.lower, map(str, read.types)), strict=True)) == {
        name: column.kind for name, column in columns_of("stress_reverse").items()
    }
    table = pq.read_table(tmp_path / "out" / "stress_reverse.parquet").to_pylist()
    assert [row["multiplier"] for row in table] == [trial.multiplier for trial in found.trials]
    assert {row["is_beyond"] for row in table} == {False}
    assert table[-1]["bracket"] == "below"
    assert table[-1]["shock_log_move"] == pytest.approx(-0.18)


def test_what_happens_at_the_smallest_shock_is_said(tmp_path: Path) -> None:
    folder = ladder([0.01], 1000.0, 1e9).write(tmp_path / "b")
    found = run_reverse(folder, scenario(-0.06), Search("liquidated", low=0.5))
    assert (found.below, found.beyond) == (None, 0.5)
    assert len(found.trials) == 1


def test_a_trial_is_the_replay_of_that_multiple(tmp_path: Path) -> None:
    folder = ladder([0.03, 0.05, 0.07], 1000.0, 1e6).write(tmp_path / "b")
    found = run_reverse(folder, scenario(-0.06), Search("open_interest_lost", 0.5, tolerance=0.1))
    for trial in found.trials:
        single = run_replay(folder, scenario(-0.06, shock_multiplier=trial.multiplier))
        assert single.run_id == trial.run_id
        before, after = single.summary["open_interest_before_usd"], single.summary["open_interest_after_usd"]
        assert trial.value == pytest.approx(1 - after / before)


@pytest.mark.parametrize(
    ("search", "overrides", "place"),
    [
        (Search("nothing"), [], "outcome"),
        (Search("tail_trough"), [], "limit"),
        (Search("liquidated", math.nan), [], "limit"),
        (Search("liquidated", low=1, high=1), [], "from, to"),
        (Search("liquidated", low=-1), [], "from, to"),
        (Search("liquidated", high=101), [], "from, to"),
        (Search("liquidated", scan=0), [], "scan"),
        (Search("liquidated", tolerance=0), [], "tolerance"),
        (Search("liquidated", tolerance=math.nan), [], "tolerance"),
        (Search("liquidated"), ["shock_multiplier=2"], "shock_multiplier"),
        (Search("liquidated"), ["nokey=2"], "nokey"),
    ],
)
def test_refusals(search: Search, overrides: list[str], place: str, tmp_path: Path) -> None:
    folder = ladder([0.5], 1000.0, 1e9).write(tmp_path / "b")
    with pytest.raises(ReplayInputError) as refused:
        run_reverse(folder, scenario(-0.06), search, tmp_path / "out", overrides)
    assert [fault.place for fault in refused.value.faults] == [place]
    assert not (tmp_path / "out").exists()


def test_a_replay_that_fails_ends_the_search(tmp_path: Path) -> None:
    folder = ladder([0.03], 1000.0, 1e6).write(tmp_path / "b")
    with pytest.raises(ReplayError, match=r"at 0\.5 times the shock failed.*did not come to rest") as failed:
        run_reverse(folder, scenario(-0.06), Search("liquidated", scan=4), tmp_path / "out", ["clock.max_rounds=1"])
    assert not isinstance(failed.value, ReplayInputError)
    assert not (tmp_path / "out").exists()


def test_a_broken_invariant_ends_the_search(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tamper(monkeypatch, "60_fill", "select unit_no, 0, -fee", "select unit_no, 0, 1 - fee")
    folder = ladder([0.04], 1000.0, 1e9).write(tmp_path / "b")
    with pytest.raises(ReplayInvariantError):
        run_reverse(folder, scenario(-0.05), Search("liquidated"), tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_every_outcome_is_what_the_tables_say(tmp_path: Path) -> None:
    made = Book()
    made.maker()
    made.contract(contract="BIG", depth=1e4, lot=0.01)
    made.contract(contract="SMALL", tier="tail", depth=5e3, lot=0.01)
    for contract in ("BIG", "SMALL"):
        for number in range(6):
            made.trader(f"{contract}{number}", 100.0, 1.0, 1.0 + 2 * number, contract=contract)
        made.trader(f"{contract}short", -250.0, 1.0, 200.0, contract=contract)
    made.add("fund", venue="v", pool="small", contract="SMALL", balance=2.0, mode="cash_pool")
    made.add("fund", venue="v", pool="rest", contract=None, balance=500.0, mode="cash_pool")
    folder = made.write(tmp_path / "b")
    content = scenario(-0.2, venues={"default": {"adl": {"policy": "queue"}}})
    single = run_replay(folder, content)
    outcome = {row["contract"]: row for row in single.table("stress_outcome").to_pylist()}
    funds = {row["pool"]: row for row in single.table("stress_fund").to_pylist()}
    events = single.table("stress_event").to_pylist()
    lost = {pool: 1 - funds[pool]["balance_usd"] / start for pool, start in (("small", 2.0), ("rest", 500.0))}
    before = sum(row["open_interest_before_usd"] for row in outcome.values())
    after = sum(row["open_interest_after_usd"] for row in outcome.values())
    forced = [event for event in events if event["kind"] in ("book", "backstop", "unfilled")]
    wanted = {
        "first_adl": sum(event["notional_usd"] for event in events if event["kind"] == "adl"),
        "fund_empty": sum(share >= 1 for share in lost.values()),
        "fund_drawdown": max(lost.values()),
        "tail_trough": 1 - math.exp(outcome["SMALL"]["trough_log_move"]),
        "major_trough": 1 - math.exp(outcome["BIG"]["trough_log_move"]),
        "socialised": sum(row["socialised_usd"] for row in outcome.values()),
        "liquidated": sum(event["notional_usd"] for event in forced),
        "open_interest_lost": 1 - after / before,
    }
    assert wanted.keys() == outcomes().keys()
    for name, value in wanted.items():
        found = run_reverse(folder, content, Search(name, 0.0, low=0, high=1, scan=1, tolerance=1))
        assert [trial.multiplier for trial in found.trials] == [0, 1]
        assert found.trials[0].value == 0, name
        assert found.trials[1].value == pytest.approx(value), name
    assert all(value > 0 for value in wanted.values()), wanted
