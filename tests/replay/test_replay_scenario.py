"""The scenario file: defaults, refusals, hostile YAML, overrides, hash."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from replay_books import scenario

from dagster_project.replay.faults import Fault
from dagster_project.replay.scenario import Scenario, load_scenario, move_at

SCENARIOS = Path(__file__).parents[2] / "scenarios"


def faults_of(source: Any, overrides: tuple[str, ...] = ()) -> list[Fault]:
    parsed, _, faults = load_scenario(source, overrides)
    assert (parsed is None) == bool(faults)
    return faults


def accepted(source: Any, overrides: tuple[str, ...] = ()) -> Scenario:
    parsed, _, faults = load_scenario(source, overrides)
    assert parsed is not None, faults
    return parsed


@pytest.mark.parametrize("name", ["smallest", "first_fall"])
def test_the_shipped_scenarios_are_accepted(name: str) -> None:
    assert accepted(SCENARIOS / f"{name}.yaml").scenario == name


def test_the_smallest_scenario_states_the_defaults() -> None:
    spelled = accepted(SCENARIOS / "smallest.yaml")
    bare = accepted({"scenario": "smallest", "shock": {"all": [[0, -0.06]]}})
    assert spelled == bare
    assert spelled.digest() == bare.digest() == accepted(SCENARIOS / "smallest.yaml").digest()
    assert accepted(scenario(-0.06)).digest() != accepted(scenario(-0.05)).digest()


REFUSALS: list[tuple[dict[str, Any], str, str]] = [
    ({"colour": 1}, "colour", "unknown key"),
    ({"clock": {"stepz": 0}}, "clock.stepz", "unknown key"),
    ({"clock": {"steps": 1}}, "clock.steps", "not computed"),
    ({"clock": {"steps": -1}}, "clock.steps", "greater than or equal to 0"),
    ({"clock": {"steps": 1.5}}, "clock.steps", "valid integer"),
    ({"clock": {"step_seconds": 0}}, "clock.step_seconds", "greater than 0"),
    ({"clock": {"step_seconds": "1"}}, "clock.step_seconds", "valid number"),
    ({"clock": []}, "clock", "valid dictionary"),
    ({"scenario": 5}, "scenario", "valid string"),
    ({"scenario": "../x y"}, "scenario", "letters, digits"),
    ({"shock": {}}, "shock", "names no path"),
    ({"shock": [1]}, "shock", "valid dictionary"),
    ({"shock": {"all": -0.06}}, "shock.all", "must be a list"),
    ({"shock": {"all": []}}, "shock.all", "must be a list"),
    ({"shock": {"all": [[0]]}}, "shock.all[0]", "not a pair"),
    ({"shock": {"all": [[0, "x"]]}}, "shock.all[0]", "not two numbers"),
    ({"shock": {"all": [[0, True]]}}, "shock.all[0]", "not two numbers"),
    ({"shock": {"all": [[0, float("nan")]]}}, "shock.all[0]", "finite"),
    ({"shock": {"all": [[0, 10**400]]}}, "shock.all[0]", "too large"),
    ({"shock": {"all": [[0, -60]]}}, "shock.all[0]", "within"),
    ({"shock": {"all": [[5, -0.06]]}}, "shock.all[0]", "start at 0"),
    ({"shock": {"all": [[0, 0], [0, -0.06]]}}, "shock.all[1]", "increase"),
    ({"shock": {"driver": "BTC"}}, "shock.path", "must be a list"),
    ({"shock": {"path": [[0, -0.06]]}}, "shock.driver", "must name"),
    ({"shock": {"driver": "BTC", "path": [[0, -0.06]], "all": 1}}, "shock.all", "only `driver` and `path`"),
    ({"impact": {"law": "cubic"}}, "impact.law", "'linear' or 'sqrt'"),
    ({"impact": {"law": "sqrt"}}, "impact.coefficient", "needs k"),
    ({"impact": {"law": "linear", "coefficient": 0.1}}, "impact.coefficient", "has no coefficient"),
    ({"impact": {"law": "sqrt", "coefficient": 0}}, "impact.coefficient", "greater than 0"),
    ({"impact": {"decay_per_second": 0.1}}, "impact.decay_per_second", "not computed"),
    ({"impact": {"max_displacement": 0.1}}, "impact.max_displacement", "not computed"),
    ({"depth": {"multiplier": 0}}, "depth.multiplier", "greater than 0"),
    ({"depth": {"multiplier": float("inf")}}, "depth.multiplier", "finite"),
    ({"impact": {"law": "sqrt", "coefficient": 1}, "depth": {"multiplier": 2}}, "depth.multiplier", "does not use"),
    ({"mark": {"own_book_weight": 0.5}}, "mark.own_book_weight", "not computed"),
    ({"mark": {"own_book_weight": 2}}, "mark.own_book_weight", "less than or equal"),
    (
        {"venues": {"default": {"liquidation": {"close": "partial"}}}},
        "venues.default.liquidation.close",
        "not computed",
    ),
    (
        {"venues": {"default": {"liquidation": {"backstop_ratio": 0}}}},
        "venues.default.liquidation.backstop_ratio",
        "not computed",
    ),
    ({"venues": {"b": {"liquidation": {"fee_rate": -1}}}}, "venues.b.liquidation.fee_rate", "greater than or equal"),
    ({"venues": {"default": {"fund": {"mode": "vault"}}}}, "venues.default.fund.mode", "not computed"),
    ({"venues": {"b": {"adl": {"policy": "queue"}}}}, "venues.b.adl.policy", "not computed"),
    ({"venues": {"b": {"adl": {"price": "mark"}}}}, "venues.b.adl.price", "not computed"),
    ({"venues": {"b": {"lever": {}}}}, "venues.b.lever", "unknown key"),
    ({"venues": {"b": None}}, "venues.b", "valid dictionary"),
    ({"grid": {"depth.multiplier": [1, 2]}}, "grid", "not computed"),
    ({"owners": {"rehedge_seconds": 60}}, "owners", "not computed"),
    ({"seed": -1}, "seed", "greater than or equal"),
]


@pytest.mark.parametrize(("change", "place", "rule"), REFUSALS, ids=[f"{i}-{r[1]}" for i, r in enumerate(REFUSALS)])
def test_each_bad_key_is_named(change: dict[str, Any], place: str, rule: str) -> None:
    faults = faults_of({**scenario(-0.06), **change})
    assert any(fault.place == place and rule in fault.rule for fault in faults), [str(fault) for fault in faults]


def test_missing_keys_and_several_faults_at_once() -> None:
    places = {fault.place for fault in faults_of({"colour": 1, "clock": {"steps": "x"}})}
    assert places == {"colour", "clock.steps", "scenario", "shock"}


HOSTILE = {
    "alias": "scenario: a\nshock: {all: &x [[0, -0.06]], BTC: *x}\n",
    "bomb": "a: &a [x,x,x,x]\nb: &b [*a,*a,*a,*a]\nc: &c [*b,*b,*b,*b]\nd: [*c,*c,*c,*c]\n",
    "merge": "a: &a {b: 1}\nc: {<<: *a}\n",
    "tag": "scenario: !!python/object/apply:os.system [true]\n",
    "deep": "a: " + "[" * 5000,
    "huge": "# " + "x" * 300_000,
    "huge-number": "scenario: a\nshock: {all: [[0, -" + "9" * 5000 + "]]}\n",
    "twice": "scenario: a\nscenario: b\nshock: {all: [[0, -0.06]]}\n",
    "list": "- 1\n- 2\n",
    "empty": "",
    "broken": "scenario: [unclosed\n",
    "list-key": "? [1, 2]\n: 3\n",
    "number-key": "1: 2\n",
    "two": "a: 1\n---\nb: 2\n",
    "nul": "a: \x00\n",
}


@pytest.mark.parametrize("name", sorted(HOSTILE))
def test_hostile_yaml_is_refused_on_one_screen(name: str, tmp_path: Path) -> None:
    path = tmp_path / "s.yaml"
    path.write_text(HOSTILE[name])
    faults = faults_of(path)
    assert len(faults) <= 3
    assert all(len(str(fault)) < 800 and "\n" not in str(fault) for fault in faults)


def test_unreadable_files(tmp_path: Path) -> None:
    (tmp_path / "s.yaml").write_bytes(b"scenario: \xff\xfe")
    assert "UTF-8" in faults_of(tmp_path / "s.yaml")[0].rule
    assert "no such file" in faults_of(tmp_path / "t.yaml")[0].rule
    assert "not a regular file" in faults_of(tmp_path)[0].rule


def test_numbers_are_read_as_written(tmp_path: Path) -> None:
    (tmp_path / "s.yaml").write_text("scenario: s\nshock: {all: [[0, -6e-2]]}\nclock: {step_seconds: 1}\n")
    assert accepted(tmp_path / "s.yaml").moves_at(0) == [("all", "all", -0.06)]


def test_overrides() -> None:
    changed = accepted(
        scenario(-0.06),
        ("depth.multiplier=0.5", "shock.all=[[0, -0.1]]", "venues.binance.liquidation.fee_rate=1e-3", "scenario=other"),
    )
    assert changed.depth.multiplier == 0.5
    assert changed.moves_at(0)[0][2] == -0.1
    assert changed.venue("binance").liquidation.fee_rate == 0.001
    assert changed.venue("bybit").liquidation.fee_rate == 0
    assert changed.scenario == "other"


@pytest.mark.parametrize(
    ("override", "rule"),
    [
        ("depth.multiplier", "not of the form"),
        ("=1", "not of the form"),
        ("depth..multiplier=1", "not of the form"),
        ("depth.multiplier=[1", "not valid YAML"),
        ("scenario.name=x", "no keys below"),
        ("depth.multiplyer=1", "unknown key"),
        ("depth.multiplier=many", "valid number"),
    ],
)
def test_bad_overrides_are_refused(override: str, rule: str) -> None:
    assert any(rule in fault.rule for fault in faults_of(scenario(-0.06), (override,)))


def test_a_given_mapping_is_not_changed() -> None:
    content = scenario(-0.06, venues={"default": {"liquidation": {"fee_rate": 0.1}}})
    accepted(content, ("venues.default.liquidation.fee_rate=0.2",))
    assert content["venues"]["default"]["liquidation"]["fee_rate"] == 0.1


def test_a_venue_overrides_the_default_key_by_key() -> None:
    venues = {
        "default": {"liquidation": {"fee_rate": 0.1}, "fund": {"mode": "cash_pool"}},
        "b": {"adl": {"policy": "none"}},
    }
    assert accepted(scenario(-0.06, venues=venues)).venue("b").liquidation.fee_rate == 0.1


def test_a_path_is_piecewise_linear_and_holds_its_last_value() -> None:
    path = [(0.0, 0.0), (10.0, -0.1), (20.0, -0.3)]
    assert [move_at(path, t) for t in (0, 5, 10, 15, 20, 99)] == pytest.approx([0, -0.05, -0.1, -0.2, -0.3, -0.3])
