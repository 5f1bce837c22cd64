"""Replay, sweep and reverse stress test as assets: what they store, what their checks see, what their pages show."""

from __future__ import annotations

import base64
import re
import sys
from pathlib import Path
from typing import Any

import dagster as dg
import duckdb
import pytest
from tampered_sql import tamper

from dagster_project.defs.replay import assets, checks
from dagster_project.lib.home import PROJECT_ROOT, Home
from dagster_project.lib.resources import HomeResource
from dagster_project.replay import library

sys.path.append(str(PROJECT_ROOT / "tests" / "replay"))
from replay_books import Book

SCENARIO = """
scenario: {name}
clock: {{step_seconds: 1, steps: 2}}
shock: {{all: [[0, -0.05], [2, -0.1]]}}
score: "2025_10_10"
"""


@pytest.fixture
def book(tmp_path: Path) -> Path:
    made = Book()
    made.contract(depth=20_000.0, lot=0.01)
    made.maker()
    for number in range(8):
        made.trader(f"a{number}", 100.0, 1.0, 2.0 + 2 * number)
    made.add("fund", venue="v", pool="p", contract=None, balance=5.0, mode="cash_pool")
    return made.write(tmp_path / "book")


def made(
    asset: dg.AssetsDefinition, home: Home, partition: str, book: Path, **config: Any
) -> dg.ExecuteInProcessResult:
    """Materialise one asset with its checks, as the launchpad does."""
    name = asset.key.to_python_identifier()
    return dg.materialize(
        [asset, checks.replay_ledger, checks.sweep_ledger],
        selection=dg.AssetSelection.assets(asset.key) | dg.AssetSelection.checks_for_assets(asset.key),
        partition_key=partition,
        resources={"home": HomeResource(root=str(home.root))},
        run_config={"ops": {name: {"config": {"book": str(book), **config}}}},
        raise_on_error=False,
    )


def metadata(result: dg.ExecuteInProcessResult) -> dict[str, Any]:
    (event,) = result.get_asset_materialization_events()
    return dict(event.materialization.metadata)


def asked(home: Home, sql: str) -> list[tuple[Any, ...]]:
    with duckdb.connect(str(home.warehouse), read_only=True) as connection:
        return connection.execute(sql).fetchall()


def test_a_replay_is_stored_checked_and_drawn(home: Home, book: Path) -> None:
    overrides = ["shock={all: [[0, -0.05]]}", "venues={default: {}}", "score='2025_10_10'"]
    for _ in range(2):
        result = made(assets.stress_replay, home, "smallest", book, overrides=overrides)
        assert result.success
    passed = {check.check_name: check.passed for check in result.get_asset_check_evaluations()}
    assert passed == dict.fromkeys(checks.INVARIANTS, True)
    shown = metadata(result)
    image = re.fullmatch(r"!\[plots\]\(data:image/png;base64,(.+)\)", shown["plots"].value)
    assert image and base64.b64decode(image[1]).startswith(b"\x89PNG\r\n")
    assert shown["source_class"].value == "estimated"
    assert len(shown["score"].records) == 18
    assert asked(home, "SELECT count(*), any_value(scenario) FROM stress.stress_summary") == [(1, "smallest")]


def test_a_broken_ledger_fails_its_invariants_check_alone(home: Home, book: Path) -> None:
    assert made(assets.stress_replay, home, "smallest", book).success
    with duckdb.connect(str(home.warehouse)) as connection:
        connection.execute("UPDATE stress.stress_ledger SET i2_cash_micro_usd = -1 WHERE step = 0")
        # another run's rows, so that replaying does not mend them
        connection.execute("UPDATE stress.stress_ledger SET run_id = 'other'")
    result = made(assets.stress_replay, home, "smallest", book)
    failed = {check.check_name for check in result.get_asset_check_evaluations() if not check.passed}
    assert failed == {"i2_cash_micro_usd"}
    assert not result.success


def test_a_sweep_is_stored_with_its_settings(home: Home, book: Path) -> None:
    # the small book has none of the venues that the shipped sweep names
    overrides = ["shock={all: [[0, -0.05]]}", "venues={default: {}}"]
    result = made(assets.stress_sweep, home, "what_if", book, overrides=overrides)
    assert result.success
    again = made(assets.stress_sweep, home, "what_if", book, overrides=overrides)
    assert again.success
    joined = asked(
        home,
        "SELECT value, liquidated_usd FROM stress.stress_sweep JOIN stress.stress_summary USING (run_id) ORDER BY run_no",
    )
    names = [name for name, _ in joined]
    assert names[0] == "as_it_stands" and len(names) == len(set(names)) > 3
    assert len({liquidated for _, liquidated in joined}) > 1
    assert [record.data["run"] for record in metadata(result)["runs"].records] == list(range(1, len(names) + 1))
    assert {check.passed for check in again.get_asset_check_evaluations()} == {True}


def test_a_reverse_stress_test_is_stored_with_its_bracket(home: Home, book: Path) -> None:
    config = {"outcome": "liquidated", "tolerance": 0.1, "overrides": ["shock={all: [[0, -0.1]]}"]}
    for _ in range(2):
        result = made(assets.stress_reverse, home, "smallest", book, **config)
        assert result.success
    shown = metadata(result)
    # the least collateral is 2 of 100 USD: the first falls at 2 %, a log move of 0.0202
    assert shown["below"].value <= 0.202 <= shown["beyond"].value
    marked = asked(home, "SELECT bracket, multiplier FROM stress.stress_reverse WHERE bracket IS NOT NULL ORDER BY 2")
    assert marked == [("below", shown["below"].value), ("beyond", shown["beyond"].value)]


def test_a_sweep_with_a_broken_run_fails_and_stores_the_others(
    home: Home, book: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # only the run with a leverage cap comes by there
    tamper(
        monkeypatch,
        "25_leverage_cap",
        "select maker_no, contract_no, lots, 0",
        "select maker_no, contract_no, lots + 1, 0",
    )
    overrides = ["shock={all: [[0, -0.05]]}", "venues={default: {}}"]
    result = made(assets.stress_sweep, home, "what_if", book, overrides=overrides)
    (failure,) = [event for event in result.all_node_events if event.is_step_failure]
    data = failure.step_failure_data.user_failure_data
    assert data is not None and "broke an invariant (i1_lots = " in str(data.description)
    runs = asked(home, "SELECT value, fault IS NULL FROM stress.stress_sweep")
    assert {name for name, is_whole in runs if not is_whole} == {"leverage_cap_20"}
    assert asked(home, "SELECT count(*) FROM stress.stress_summary") == [(len(runs) - 1,)]


def test_what_cannot_be_played_is_told_without_a_traceback(home: Home, tmp_path: Path) -> None:
    result = made(assets.stress_replay, home, "smallest", tmp_path / "nothing")
    assert not result.success
    (failure,) = [event for event in result.all_node_events if event.is_step_failure]
    data = failure.step_failure_data.user_failure_data
    assert data is not None and "no such folder" in str(data.description)
    assert not home.warehouse.exists()


def test_columns_that_came_later_are_added_to_an_older_warehouse(home: Home, book: Path) -> None:
    assert made(assets.stress_replay, home, "smallest", book).success
    with duckdb.connect(str(home.warehouse)) as connection:
        connection.execute("ALTER TABLE stress.stress_path DROP COLUMN book_log_move")
        connection.execute("UPDATE stress.stress_path SET run_id = 'older'")
        for column in ("adl_overshoot_usd", "adl_inversions"):
            connection.execute(f"ALTER TABLE stress.stress_summary DROP COLUMN {column}")
    assert made(assets.stress_replay, home, "smallest", book).success
    found = asked(
        home,
        "SELECT run_id = 'older', count(book_log_move), count(*) > 0 FROM stress.stress_path GROUP BY 1 ORDER BY 1",
    )
    assert found == [(False, 1, True), (True, 0, True)]
    assert asked(home, "SELECT adl_overshoot_usd, adl_inversions FROM stress.stress_summary") == [(0, 0)]


def test_a_homes_own_scenarios_are_partitions_beside_the_shipped_ones(home: Home) -> None:
    home.scenarios.mkdir()
    (home.scenarios / "mine.yaml").write_text(SCENARIO.format(name="mine"))
    (home.scenarios / "grid.yaml").write_text(SCENARIO.format(name="grid") + "grid: {seed: [1, 2]}\n")
    (home.scenarios / "broken.yaml").write_text("a: [1,\n b")
    (home.scenarios / "smallest.yaml").write_text(SCENARIO.format(name="smallest"))
    plain, sweeps = library.names(home)
    assert {"mine", "broken", "first_fall", "smallest"} <= set(plain)
    assert {"grid", "what_if"} <= set(sweeps)
    assert library.scenario_path(home, "smallest") == home.scenarios / "smallest.yaml"
    assert library.scenario_path(home, "first_fall") == PROJECT_ROOT / "scenarios" / "first_fall.yaml"
    assert library.scenario_path(home, "elsewhere/x.yaml") == Path("elsewhere/x.yaml")
