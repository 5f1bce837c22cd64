"""A sweep is its single replays: the same rows under the same ids, whatever runs beside them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import duckdb
import pyarrow.parquet as pq
import pytest
from replay_books import Book, only, rules, scenario
from tampered_sql import tamper

from dagster_project.replay.columns import columns_of
from dagster_project.replay.engine import ReplayError, ReplayInputError, run_replay
from dagster_project.replay.sweep import SWEPT_TABLES, run_sweep


@pytest.fixture
def book(tmp_path: Path) -> Path:
    """Longs of falling leverage on two venues of one asset, and a fund that a fall empties."""
    made = Book()
    for venue in ("v", "w"):
        made.maker(venue)
        made.contract(venue, depth=12000.0, lot=0.01)
        for number in range(12):
            made.trader(f"{venue}{number:02d}", 100.0, 1.0, 4.0 + 2 * number, venue)
        made.add("index_weight", base_asset="C", venue=venue, weight=0.5)
    made.add("fund", venue="v", pool="p", contract=None, balance=3.0, mode="cash_pool")
    return made.write(tmp_path / "book")


def rows(folder: Path, table: str, run_id: str | None = None) -> list[dict[str, Any]]:
    found = pq.read_table(folder / f"{table}.parquet").to_pylist()
    return [row for row in found if run_id is None or row["run_id"] == run_id]


GRID = {"depth.multiplier": [0.7, 1, 1.5], "venues.*.fund.multiplier": [0, 5], "mark.own_book_weight": [0.3]}
CONTENT = scenario(-0.08, clock={"step_seconds": 1, "steps": 2}, impact={"decay_per_second": 0.5}, grid=GRID)


def test_every_run_is_the_single_replay_of_its_scenario(book: Path, tmp_path: Path) -> None:
    swept = run_sweep(book, CONTENT, tmp_path / "out", jobs=2)
    assert len(swept.runs) == 6 and not any(run.fault for run in swept.runs)
    assert {path.stem for path in swept.written} == {"stress_sweep", *SWEPT_TABLES}
    declared = columns_of("stress_sweep")
    found = duckdb.read_parquet(str(tmp_path / "out" / "stress_sweep.parquet"))
    assert dict(zip(found.columns, map(str.lower, map(str, found.types)), strict=True)) == {
        name: column.kind for name, column in declared.items()
    }
    plain = {key: value for key, value in CONTENT.items() if key != "grid"}
    for run in swept.runs:
        single = run_replay(book, plain, overrides=[f"{key}={value}" for key, value in run.point.settings.items()])
        assert single.run_id == run.run_id
        assert single.summary == run.summary
        for table in SWEPT_TABLES:
            assert rows(tmp_path / "out", table, run.run_id) == single.table(table).to_pylist(), table
    assert len({run.summary["liquidated_usd"] for run in swept.runs}) > 1
    assert len({run.summary["fund_paid_usd"] for run in swept.runs}) > 1


def test_how_many_run_at_a_time_changes_nothing(book: Path, tmp_path: Path) -> None:
    for jobs in (1, 3):
        run_sweep(book, CONTENT, tmp_path / str(jobs), jobs=jobs)
    for table in ("stress_sweep", *SWEPT_TABLES):
        assert rows(tmp_path / "1", table) == rows(tmp_path / "3", table), table


def test_settings_are_found_in_sql(book: Path, tmp_path: Path) -> None:
    swept = run_sweep(book, CONTENT, tmp_path / "out")
    settings = rows(tmp_path / "out", "stress_sweep")
    assert {(row["run_no"], row["parameter"], row["value"]) for row in settings} == {
        (run.point.number, key, value) for run in swept.runs for key, value in run.point.settings.items()
    }
    assert {row["sweep_id"] for row in settings} == {swept.sweep_id}


def test_runs_of_one_meaning_are_played_and_kept_once(book: Path, tmp_path: Path) -> None:
    content = scenario(-0.08, grid={"venues.default.fund.multiplier": [1, 1.0], "venues.v.fund.multiplier": [3]})
    seen: list[tuple[int, int]] = []
    swept = run_sweep(book, content, tmp_path / "out", progress=lambda *at: seen.append(at))
    first, second = swept.runs
    assert first.run_id == second.run_id and first.point.number != second.point.number
    assert seen == [(1, 1)]
    assert len(rows(tmp_path / "out", "stress_summary")) == 1


def test_a_run_that_fails_is_told_and_the_others_stay(book: Path, tmp_path: Path) -> None:
    swept = run_sweep(book, scenario(-0.08, grid={"clock.max_rounds": [1, 1000]}), tmp_path / "out")
    bad, good = swept.runs
    assert "did not come to rest" in bad.fault and bad.summary == {}
    assert not good.fault
    assert {row["run_id"] for row in rows(tmp_path / "out", "stress_outcome")} == {good.run_id}
    assert {row["run_no"]: row["fault"] for row in rows(tmp_path / "out", "stress_sweep")} == {1: bad.fault, 2: None}


def test_a_run_that_breaks_an_invariant_is_told_and_the_others_stay(
    book: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tamper(monkeypatch, "60_fill", "select unit_no, 0, -fee", "select unit_no, 0, 1 - fee")
    # the first shock closes nothing, so nobody pays the wrong fee
    swept = run_sweep(book, scenario(-0.08, grid={"shock_multiplier": [0.01, 1]}), tmp_path / "out")
    good, bad = swept.runs
    assert bad.is_broken and "broke an invariant (i2_cash_micro_usd = " in bad.fault and bad.summary == {}
    assert "Nothing was written" not in bad.fault
    assert not good.is_broken and not good.fault
    assert {row["run_id"] for row in rows(tmp_path / "out", "stress_ledger")} == {good.run_id}
    assert {row["run_no"]: row["fault"] for row in rows(tmp_path / "out", "stress_sweep")} == {1: None, 2: bad.fault}


def test_when_all_runs_fail_nothing_is_written(book: Path, tmp_path: Path) -> None:
    with pytest.raises(ReplayError, match="Every run of the sweep failed, the first: Step 0 did not"):
        run_sweep(book, scenario(-0.08, grid={"clock.max_rounds": [1, 2]}), tmp_path / "out")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["book"]


def test_every_point_is_checked_against_the_book_before_any_runs(book: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    content = scenario(-0.08, grid={"venues.nowhere.fund.multiplier": [1], "depth.multiplier": [1, 1e-9]})
    with pytest.raises(ReplayInputError) as refused:
        run_sweep(book, content, tmp_path / "file")
    places = [fault.place for fault in refused.value.faults]
    assert places == [str(tmp_path / "file"), "venues.nowhere", "depth.multiplier"]


@pytest.mark.parametrize("multiplier", [0, 0.5, 1, 2.5, 100])
def test_a_fund_pays_what_its_multiple_has(multiplier: float, tmp_path: Path) -> None:
    made = Book()
    made.maker()
    made.contract(depth=1e9)
    made.trader("a", 1000.0, 1.0, 50.0)
    made.add("fund", venue="v", pool="p", contract=None, balance=10.0, mode="cash_pool")
    folder = made.write(tmp_path / "b")
    out = only(run_replay(folder, scenario(-0.1, venues=rules()), overrides=[f"venues.*.fund.multiplier={multiplier}"]))
    # 1000 sold at exp(-0.1) = 0.9048: 95.16 USD lost of 50
    assert out["deficit_usd"] == pytest.approx(1000 * (1 - 0.904837418) - 50, abs=2e-3)
    assert out["fund_paid_usd"] == pytest.approx(min(out["deficit_usd"], 10 * multiplier), abs=1e-6)
    assert out["socialised_usd"] == pytest.approx(out["deficit_usd"] - out["fund_paid_usd"], abs=1e-6)


def test_a_multiple_of_the_shock_is_the_shock_of_that_size(book: Path) -> None:
    clock = {"step_seconds": 1, "steps": 3}
    shock = [[0, -0.02], [2, -0.16], [3, -0.04]]
    scaled = run_replay(book, scenario({"all": shock}, clock=clock, shock_multiplier=0.5))
    halved = run_replay(book, scenario({"all": [[at, move / 2] for at, move in shock]}, clock=clock))
    assert scaled.summary["liquidated_usd"] > 0
    assert scaled.summary == halved.summary
