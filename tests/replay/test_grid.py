"""What a sweep stands for: its points, in order, and what is refused before anything runs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml
from replay_books import scenario

from dagster_project.lib.home import PROJECT_ROOT
from dagster_project.replay.grid import MAX_RUNS, load_sweep
from dagster_project.replay.library import is_sweep
from dagster_project.replay.scenario import load_scenario


def test_a_grid_is_the_cross_product_with_the_last_key_fastest() -> None:
    points, faults = load_sweep(scenario(grid={"depth.multiplier": [0.5, 1, 2], "impact.decay_per_second": [0, 0.1]}))
    assert faults == []
    assert [point.number for point in points] == [1, 2, 3, 4, 5, 6]
    assert [tuple(point.settings.values()) for point in points] == [
        ("0.5", "0"),
        ("0.5", "0.1"),
        ("1", "0"),
        ("1", "0.1"),
        ("2", "0"),
        ("2", "0.1"),
    ]
    assert [(p.scenario.depth.multiplier, p.scenario.impact.decay_per_second) for p in points] == [
        (0.5, 0.0),
        (0.5, 0.1),
        (1.0, 0.0),
        (1.0, 0.1),
        (2.0, 0.0),
        (2.0, 0.1),
    ]


def test_a_point_is_the_plain_scenario_with_its_values_set() -> None:
    points, _ = load_sweep(scenario(grid={"venues.okx.adl.policy": ["queue"], "shock.all": [[[0, -0.2]]]}))
    plain, faults = load_scenario(scenario(), ["venues.okx.adl.policy=queue", "shock.all=[[0, -0.2]]"])
    assert plain is not None and not faults
    assert points[0].scenario.digest() == plain.digest()


def test_changes_are_tried_one_at_a_time_beside_the_scenario_as_it_stands() -> None:
    changes = [
        {"name": "funds", "set": {"venues.*.fund.multiplier": 2}},
        {"name": "thin", "set": {"depth.multiplier": 0.5}},
    ]
    venues = {"default": {}, "okx": {"preset": "okx"}, "bybit": {"fund": {"multiplier": 7}}}
    points, faults = load_sweep(scenario(what_if=changes, venues=venues, grid={"mark.own_book_weight": [0, 1]}))
    assert faults == []
    assert [point.settings["what_if"] for point in points] == [
        *["as_it_stands"] * 2,
        *["funds"] * 2,
        *["thin"] * 2,
    ]
    as_it_stands, funds, thin = (points[place].scenario for place in (0, 2, 4))
    assert as_it_stands.venue("bybit").fund.multiplier == 7
    assert {funds.venue(name).fund.multiplier for name in ("default", "okx", "bybit", "elsewhere")} == {2}
    assert funds.depth.multiplier == as_it_stands.depth.multiplier == 1
    assert thin.depth.multiplier == 0.5 and thin.venue("bybit").fund.multiplier == 7
    # what a preset says stays where the change does not name it
    assert funds.venue("okx").adl == as_it_stands.venue("okx").adl != as_it_stands.venue("default").adl


def test_values_of_the_command_line_lie_over_the_files_grid(tmp_path: Path) -> None:
    file = tmp_path / "s.yaml"
    file.write_text(yaml.safe_dump(scenario(grid={"depth.multiplier": [1, 2], "seed": [1]})))
    points, faults = load_sweep(file, ["scenario=other"], ["depth.multiplier=[3]", "impact.decay_per_second=[0, 1]"])
    assert faults == []
    assert [point.settings for point in points] == [
        {"depth.multiplier": "3", "seed": "1", "impact.decay_per_second": decay} for decay in ("0", "1")
    ]
    assert points[0].scenario.scenario == "other"


@pytest.mark.parametrize(
    ("sections", "grid", "place", "rule"),
    [
        ({}, [], "", "says nothing to try"),
        ({"grid": {}}, [], "grid", "at least 1"),
        ({"grid": [1]}, [], "grid", "valid dictionary"),
        ({"grid": {"seed": 3}}, [], "grid.seed", "valid list"),
        ({"grid": {"seed": []}}, [], "grid.seed", "at least 1"),
        ({"grid": {"depth.multiplier": [1, -1]}}, [], "depth.multiplier at depth.multiplier=-1", "greater than 0"),
        ({"grid": {"depth..x": [1]}}, [], "depth..x", "not of the form"),
        ({"grid": {"scenario.x": [1]}}, [], "scenario.x", "no keys below it"),
        ({"grid": {"nokey": [1]}}, [], "nokey at nokey=1", "unknown key"),
        ({"grid": {"seed": list(range(200)), "clock.steps": list(range(200))}}, [], "grid", "more than"),
        ({"what_if": [{"name": "a b", "set": {"seed": 1}}]}, [], "what_if.0.name", "pattern"),
        ({"what_if": [{"name": "a"}]}, [], "what_if.0.set", "Field required"),
        ({"what_if": [{"name": "a", "set": {"seed": 1}, "x": 1}]}, [], "what_if.0.x", "not permitted"),
        ({"what_if": [{"name": "a", "set": {"seed": 1}}] * 2}, [], "what_if", "two changes of one name"),
        ({"what_if": [{"name": "as_it_stands", "set": {"seed": 1}}]}, [], "what_if", "as_it_stands"),
        ({"depth": {"multiplier": 0}, "grid": {"seed": [1]}}, [], "depth.multiplier", "greater than 0"),
        ({}, ["seed"], "seed", "not of the form"),
        ({}, ["seed=["], "seed=[", "not valid YAML"),
        ({}, ["seed=1"], "grid.seed", "valid list"),
    ],
)
def test_refusals_name_their_place(sections: dict[str, Any], grid: list[str], place: str, rule: str) -> None:
    points, faults = load_sweep(scenario(**sections), grid=grid)
    assert points == []
    assert [fault for fault in faults if fault.place == place and rule in fault.rule], faults
    assert all(fault.remedy for fault in faults)


def test_a_wrong_value_is_said_once_however_many_points_have_it() -> None:
    _, faults = load_sweep(scenario(grid={"depth.multiplier": [-1, 1], "seed": list(range(50))}))
    assert len(faults) == 1


def test_a_plain_replay_says_that_a_grid_makes_a_sweep() -> None:
    _, faults = load_scenario(scenario(grid={"seed": [1]}))
    assert [(fault.place, "delever sweep" in fault.remedy) for fault in faults] == [("grid", True)]


@pytest.mark.parametrize(("sweep", "base"), [("what_if", "first_fall"), ("2025_10_10_what_if", "2025_10_10")])
def test_the_shipped_changes_are_tried_on_the_scenario_itself(sweep: str, base: str) -> None:
    points, _ = load_sweep(PROJECT_ROOT / "scenarios" / f"{sweep}.yaml")
    plain, _ = load_scenario(PROJECT_ROOT / "scenarios" / f"{base}.yaml")
    assert plain is not None and points[0].scenario.digest() == plain.digest()
    assert len({point.scenario.digest() for point in points}) == len(points)


def test_what_would_have_changed_on_10_october() -> None:
    points, _ = load_sweep(PROJECT_ROOT / "scenarios" / "2025_10_10_what_if.yaml")
    found = {point.settings["what_if"]: point.scenario for point in points}
    base = found.pop("as_it_stands")
    assert list(found) == [
        "fund_x2", "depth_x0.5", "leverage_cap_20", "pro_rata_adl", "no_common_index", "no_transfer_slowdown",
        "circuit_breaker",
    ]  # fmt: skip
    # every venue of the file, whatever its preset says, and one thing at a time
    assert {rules.fund.multiplier for rules in found["fund_x2"].venues.values()} == {2}
    assert (base.depth.multiplier, found["depth_x0.5"].depth.multiplier) == (1, 0.5)
    assert {rules.limits.leverage_cap for rules in found["leverage_cap_20"].venues.values()} == {20}
    assert {rules.adl.policy for rules in base.venues.values()} == {"queue"}
    assert {rules.adl.policy for rules in found["pro_rata_adl"].venues.values()} == {"pro_rata"}
    assert base.mark.own_book_weight < 1 == found["no_common_index"].mark.own_book_weight
    assert base.owners.slowdowns and not found["no_transfer_slowdown"].owners.slowdowns
    assert all(rules.limits.circuit_breaker for rules in found["circuit_breaker"].venues.values())
    for name, scenario_of_it in found.items():
        sections = ("clock", "shock", "impact", "depth", "mark", "venues", "owners")
        assert [key for key in sections if getattr(scenario_of_it, key) != getattr(base, key)] == [
            {"depth_x0.5": "depth", "no_common_index": "mark", "no_transfer_slowdown": "owners"}.get(name, "venues")
        ]


def test_the_scenarios_that_come_with_delever_are_valid_and_told_apart() -> None:
    files = sorted((PROJECT_ROOT / "scenarios").glob("*.yaml"))
    assert files
    for file in files:
        read = load_sweep(file) if is_sweep(file) else load_scenario(file)
        assert read[1] == [] and read[0], file.name
    assert MAX_RUNS >= 100
