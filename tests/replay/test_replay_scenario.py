"""The scenario file: keys, defaults, bounds and refusals, hostile YAML, overrides, presets, hash; its tables."""

from __future__ import annotations

import ast
import inspect
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import duckdb
import pytest
from pydantic import BaseModel
from replay_books import scenario

from dagster_project.replay import scenario as schema
from dagster_project.replay.faults import Fault
from dagster_project.replay.scenario import Scenario, load_scenario, move_at, preset_rules, presets
from dagster_project.replay.scenario_tables import (
    book_faults_of_scenario,
    collateral_price_rows,
    own_book_rows,
    put_now,
    put_scenario,
    shock_rows,
    venues_of,
)

SCENARIOS = Path(__file__).parents[2] / "scenarios"


def faults_of(source: Any, overrides: tuple[str, ...] = ()) -> list[Fault]:
    parsed, faults = load_scenario(source, overrides)
    assert (parsed is None) == bool(faults)
    return faults


def accepted(source: Any, overrides: tuple[str, ...] = ()) -> Scenario:
    parsed, faults = load_scenario(source, overrides)
    assert parsed is not None, faults
    return parsed


@pytest.mark.parametrize("name", ["smallest", "first_fall", "ten_minutes"])
def test_the_shipped_scenarios_are_accepted(name: str) -> None:
    assert accepted(SCENARIOS / f"{name}.yaml").scenario == name


def test_the_smallest_scenario_states_the_defaults() -> None:
    spelled = accepted(SCENARIOS / "smallest.yaml")
    # the one key that it spells out otherwise: by default a fund is what the book says
    bare = accepted({"scenario": "smallest", "shock": {"all": [[0, -0.06]]}}, ("venues.default.fund.mode=cash_pool",))
    assert spelled == bare
    assert spelled.digest() == bare.digest() == accepted(SCENARIOS / "smallest.yaml").digest()
    assert accepted(scenario(-0.06)).digest() != accepted(scenario(-0.05)).digest()


# --- Every key ---

DEFAULTS: dict[str, Any] = {
    "clock.step_seconds": 1, "clock.steps": 0, "clock.max_rounds": 10000,
    "impact.law": "linear", "impact.coefficient": None, "impact.y": None, "impact.markets": {},
    "impact.decay_per_second": 0, "impact.max_displacement": None,
    "depth.multiplier": 1, "depth.collapse": 0, "depth.floor": None, "depth.recovery": None,
    "mark.own_book_weight": 1, "mark.composite_lag_seconds": 0, "mark.collateral_price": "index",
    "mark.collateral_switches": [],
    "liquidation.close": "full", "liquidation.min_fraction": 0, "liquidation.partial_above_usd": 0,
    "liquidation.partial_times": None, "liquidation.cooldown_seconds": 0, "liquidation.backstop_ratio": None,
    "liquidation.fee_rate": 0,
    "fund.mode": None, "fund.multiplier": 1,
    "adl.policy": "none", "adl.price": "bankruptcy", "adl.trigger": None, "adl.drawdown": 0.3,
    "adl.score": "profit_leverage",
    "limits.leverage_cap": None, "limits.price_band": None, "limits.unfilled": "fund", "limits.circuit_breaker": None,
    "collateral.ratio": {}, "collateral.own_book": {}, "collateral.price": None, "collateral.switches": None,
    "owners.rehedge_seconds": None, "owners.top_up_below": None, "owners.top_up_to": None,
    "owners.transfer_seconds": {"default": 0}, "owners.slowdowns": [],
    "shock_multiplier": 1, "score": None, "seed": 0,
}  # fmt: skip
MARKETS = "impact.markets={all: {sigma: 0.03, adv_usd: 1e9}, BTC: {sigma: 0.02, adv_usd: 1e10}}"
# a key, accepted values (as overrides; of a venue under venues.default), and what has to stand beside it
ACCEPTED: list[tuple[str, tuple[str, ...], tuple[str, ...]]] = [
    ("clock.step_seconds", ("0.5", "60", "1e9"), ()),
    ("clock.steps", ("1", "1000000"), ()),
    ("clock.max_rounds", ("1", "1000000"), ()),
    ("impact.law", ("sqrt",), ("impact.coefficient=0.1",)),
    ("impact.coefficient", ("1e-9", "2"), ("impact.law=sqrt",)),
    ("impact.y", ("0.5", "2"), ("impact.law=sqrt", MARKETS)),
    (
        "impact.markets",
        ("{BTC: {sigma: 1, adv_usd: 1}}", "{tail: {sigma: 1, adv_usd: 1}}"),
        ("impact.law=sqrt", "impact.y=1"),
    ),
    ("impact.decay_per_second", ("0.1", "5"), ()),
    ("impact.max_displacement", ("0.01", "10"), ()),
    ("depth.multiplier", ("0.1", "3"), ()),
    ("depth.collapse", ("0.1", "30"), ()),
    ("depth.floor", ("0", "1"), ()),
    ("depth.recovery", ("0", "2"), ()),
    ("mark.own_book_weight", ("0", "0.5"), ()),
    ("mark.composite_lag_seconds", ("1", "30"), ()),
    ("mark.collateral_price", ("own_book",), ()),
    ("mark.collateral_switches", ("[[0, own_book]]", "[[5, own_book], [9.5, index]]"), ()),
    ("liquidation.close", ("partial",), ()),
    ("liquidation.min_fraction", ("0.2", "1"), ()),
    ("liquidation.partial_above_usd", ("100000", "1e12"), ()),
    ("liquidation.partial_times", ("1", "1000000"), ()),
    ("liquidation.cooldown_seconds", ("30",), ()),
    ("liquidation.backstop_ratio", ("0", "0.667", "1"), ()),
    ("liquidation.fee_rate", ("0.0005", "0.999"), ()),
    ("fund.mode", ("cash_pool", "vault"), ()),
    ("fund.multiplier", ("0", "2.5", "1000"), ()),
    ("shock_multiplier", ("0", "2", "100"), ()),
    ("score", ("2025_10_10",), ()),
    ("adl.policy", ("queue", "pro_rata", "capped_pro_rata", "risk_aware"), ()),
    ("adl.price", ("mark",), ()),
    ("adl.trigger", ("balance", "drawdown", "vault_equity"), ()),
    ("adl.drawdown", ("0.01", "1"), ()),
    ("adl.score", ("binance", "bitget", "hyperliquid"), ()),
    ("limits.leverage_cap", ("0.5", "125"), ()),
    ("limits.price_band", ("0.05", "10"), ()),
    ("limits.unfilled", ("wait",), ()),
    ("limits.circuit_breaker", ("{move: 0.1, window_seconds: 1, halt_seconds: 300}",), ()),
    ("collateral.ratio", ("{BTC: 0}", "{BTC: 0.95, USDC: 1}"), ()),
    ("collateral.own_book", ("{USDE: [[0, 0], [60, -0.3]]}",), ()),
    ("collateral.price", ("index", "own_book"), ()),
    ("collateral.switches", ("[]", "[[60, own_book]]"), ()),
    ("owners.rehedge_seconds", ("0", "60"), ()),
    ("owners.top_up_below", ("0.5", "1000"), ()),
    ("owners.top_up_to", ("1.5", "3"), ("owners.top_up_below=1.5",)),
    ("owners.transfer_seconds", ("60", '{default: 60, "binance>okx": 600}', '{"binance>okx": 600}'), ()),
    (
        "owners.slowdowns",
        ("[{venue: all, from_seconds: 0, to_seconds: 1, extra_seconds: 0}]",),
        (),
    ),
    ("seed", ("7",), ()),
]


def placed(key: str) -> str:
    """Return a key's place in a file."""
    return f"venues.default.{key}" if key.split(".", maxsplit=1)[0] in schema.Venue.model_fields else key


def leaves(model: type[BaseModel], prefix: str = "") -> Iterator[str]:
    """Yield the keys that have no section below them."""
    for name, field in model.model_fields.items():
        default = field.get_default(call_default_factory=True)
        if isinstance(default, BaseModel):
            yield from leaves(type(default), f"{prefix}{name}.")
        elif name == "venues":
            yield from leaves(schema.Venue)
        elif not field.is_required():
            yield prefix + name


def value_at(content: Any, key: str) -> Any:
    for step in placed(key).split("."):
        content = content[step]
    return content


def test_the_schema_has_these_keys_and_defaults() -> None:
    content = accepted(scenario()).model_dump(mode="json")
    assert set(DEFAULTS) == set(leaves(Scenario)) == {key for key, _, _ in ACCEPTED}
    assert {key: value_at(content, key) for key in DEFAULTS} == DEFAULTS


def test_every_key_says_what_it_means() -> None:
    tree = ast.parse(inspect.getsource(schema))
    for node in tree.body:
        if isinstance(node, ast.ClassDef):
            for field, after in zip(node.body, [*node.body[1:], None], strict=True):
                if isinstance(field, ast.AnnAssign):
                    said = isinstance(after, ast.Expr) and isinstance(after.value, ast.Constant)
                    assert said, f"{node.name}.{ast.unparse(field.target)}"


@pytest.mark.parametrize(("key", "values", "beside"), ACCEPTED, ids=[case[0] for case in ACCEPTED])
def test_every_key_is_read(key: str, values: tuple[str, ...], beside: tuple[str, ...]) -> None:
    read = [accepted(scenario(), (*beside, f"{placed(key)}={value}")) for value in values]
    digests = {one.digest() for one in read} | {accepted(scenario()).digest()}
    assert len(digests) == len(values) + 1  # every value makes another scenario
    again = [load_scenario(one.model_dump(mode="json"))[0] for one in read]
    assert again == read  # a scenario as it was understood is a scenario


BREAKER = {"move": 0.1, "window_seconds": 60, "halt_seconds": 300}
SLOW = {"venue": "all", "from_seconds": 0, "to_seconds": 60, "extra_seconds": 60}
REFUSALS: list[tuple[dict[str, Any], str, str]] = [
    ({"colour": 1}, "colour", "unknown key"),
    ({"clock": {"stepz": 0}}, "clock.stepz", "unknown key"),
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
    ({"impact": {"law": "sqrt"}}, "impact.coefficient", "needs either"),
    ({"impact": {"law": "linear", "coefficient": 0.1}}, "impact.coefficient", "has no coefficient"),
    ({"impact": {"law": "sqrt", "coefficient": 0}}, "impact.coefficient", "greater than 0"),
    ({"impact": {"decay_per_second": -1}}, "impact.decay_per_second", "greater than or equal"),
    ({"impact": {"max_displacement": 0}}, "impact.max_displacement", "greater than 0"),
    ({"impact": {"law": "sqrt", "coefficient": 1, "y": 1}}, "impact.coefficient", "either"),
    ({"impact": {"law": "sqrt", "y": 1}}, "impact.markets", "needs sigma"),
    ({"impact": {"y": 1}}, "impact.y", "has no coefficient"),
    ({"impact": {"markets": {"all": {"sigma": 1, "adv_usd": 0}}}}, "impact.markets.all.adv_usd", "greater than 0"),
    (
        {"impact": {"law": "sqrt", "coefficient": 1, "markets": {"all": {"sigma": 1, "adv_usd": 1}}}},
        "impact.markets",
        "only y",
    ),
    ({"impact": {"markets": {"all": {"sigma": 1, "adv_usd": 1}}}}, "impact.markets", "has no coefficient"),
    ({"impact": {"markets": {"all": {"sigma": 0, "adv_usd": 1}}}}, "impact.markets.all.sigma", "greater than 0"),
    ({"impact": {"markets": {"all": {"sigma": 1}}}}, "impact.markets.all.adv_usd", "missing"),
    ({"impact": {"law": "sqrt", "y": -1}}, "impact.y", "greater than 0"),
    ({"impact": {"max_displacement": 11}}, "impact.max_displacement", "less than or equal to 10"),
    ({"clock": {"max_rounds": 0}}, "clock.max_rounds", "greater than or equal to 1"),
    ({"clock": {"max_rounds": 10**7}}, "clock.max_rounds", "less than or equal"),
    ({"clock": {"steps": 10**7}}, "clock.steps", "less than or equal"),
    ({"clock": {"steps": True}}, "clock.steps", "valid integer"),
    ({"clock": {"step_seconds": 1e10}}, "clock.step_seconds", "less than or equal"),
    ({"clock": None}, "clock", "valid dictionary"),
    ({"depth": {"collapse": -1}}, "depth.collapse", "greater than or equal"),
    ({"depth": {"floor": 2}}, "depth.floor", "less than or equal"),
    ({"depth": {"recovery": -1}}, "depth.recovery", "greater than or equal"),
    ({"impact": {"law": "sqrt", "coefficient": 1}, "depth": {"collapse": 2}}, "depth.collapse", "does not use"),
    ({"depth": {"multiplier": 0}}, "depth.multiplier", "greater than 0"),
    ({"depth": {"multiplier": float("inf")}}, "depth.multiplier", "finite"),
    ({"impact": {"law": "sqrt", "coefficient": 1}, "depth": {"multiplier": 2}}, "depth.multiplier", "does not use"),
    ({"mark": {"composite_lag_seconds": -1}}, "mark.composite_lag_seconds", "greater than or equal"),
    ({"mark": {"collateral_price": "spot"}}, "mark.collateral_price", "'index' or 'own_book'"),
    ({"mark": {"collateral_switches": [[9, "index"], [9, "index"]]}}, "mark.collateral_switches", "must increase"),
    ({"mark": {"collateral_switches": [[9, "index"], [1, "index"]]}}, "mark.collateral_switches", "must increase"),
    ({"mark": {"collateral_switches": [[-1, "index"]]}}, "mark.collateral_switches[0][0]", "greater than or equal"),
    ({"mark": {"collateral_switches": [[0, "spot"]]}}, "mark.collateral_switches[0][1]", "'index' or 'own_book'"),
    ({"mark": {"collateral_switches": [[0]]}}, "mark.collateral_switches[0][1]", "missing"),
    ({"mark": {"collateral_switches": None}}, "mark.collateral_switches", "valid list"),
    ({"mark": {"own_book_weight": -0.1}}, "mark.own_book_weight", "greater than or equal"),
    ({"mark": {"own_book_weight": 2}}, "mark.own_book_weight", "less than or equal"),
    ({"venues": {"b": {"liquidation": {"close": "half"}}}}, "venues.b.liquidation.close", "'full' or 'partial'"),
    (
        {"venues": {"b": {"liquidation": {"min_fraction": 2}}}},
        "venues.b.liquidation.min_fraction",
        "less than or equal",
    ),
    (
        {"venues": {"b": {"liquidation": {"partial_times": 0}}}},
        "venues.b.liquidation.partial_times",
        "greater than or equal",
    ),
    (
        {"venues": {"b": {"liquidation": {"backstop_ratio": 2}}}},
        "venues.b.liquidation.backstop_ratio",
        "less than or equal",
    ),
    ({"venues": {"b": {"limits": {"price_band": 0}}}}, "venues.b.limits.price_band", "greater than 0"),
    ({"venues": {"b": {"limits": {"leverage_cap": 0}}}}, "venues.b.limits.leverage_cap", "greater than 0"),
    (
        {"venues": {"b": {"limits": {"circuit_breaker": {"move": 1}}}}},
        "venues.b.limits.circuit_breaker.halt_seconds",
        "missing",
    ),
    ({"venues": {"b": {"collateral": {"ratio": {"X": 2}}}}}, "venues.b.collateral.ratio.X", "less than or equal"),
    (
        {"venues": {"b": {"collateral": {"own_book": {"X": [[5, 0]]}}}}},
        "venues.b.collateral.own_book.X[0]",
        "start at 0",
    ),
    (
        {"venues": {"b": {"collateral": {"switches": [[9, "index"], [1, "index"]]}}}},
        "venues.b.collateral.switches",
        "increase",
    ),
    ({"venues": {"b": {"preset": "mtgox"}}}, "venues.b.preset", "no such preset"),
    ({"venues": {"b": {"preset": ["okx"]}}}, "venues.b.preset", "no such preset"),
    ({"venues": {"b": {"liquidation": {"fee_rate": -1}}}}, "venues.b.liquidation.fee_rate", "greater than or equal"),
    ({"venues": {"default": {"fund": {"mode": "bank"}}}}, "venues.default.fund.mode", "'cash_pool' or 'vault'"),
    ({"venues": {"b": {"adl": {"policy": "lifo"}}}}, "venues.b.adl.policy", "'none', 'queue'"),
    ({"venues": {"b": {"adl": {"price": "last"}}}}, "venues.b.adl.price", "'bankruptcy' or 'mark'"),
    ({"venues": {"b": {"adl": {"drawdown": 0}}}}, "venues.b.adl.drawdown", "greater than 0"),
    ({"venues": {"b": {"adl": {"trigger": "panic"}}}}, "venues.b.adl.trigger", "'balance', 'drawdown'"),
    ({"venues": {"b": {"adl": {"score": "okx"}}}}, "venues.b.adl.score", "'profit_leverage', 'binance'"),
    ({"venues": {"b": {"adl": {"drawdown": 1.1}}}}, "venues.b.adl.drawdown", "less than or equal"),
    ({"venues": {"b": {"liquidation": {"fee_rate": 1}}}}, "venues.b.liquidation.fee_rate", "less than 1"),
    ({"venues": {"b": {"liquidation": {"cooldown_seconds": -1}}}}, "venues.b.liquidation.cooldown_seconds", "greater"),
    (
        {"venues": {"b": {"liquidation": {"partial_above_usd": 1e13}}}},
        "venues.b.liquidation.partial_above_usd",
        "less than",
    ),
    (
        {"venues": {"b": {"liquidation": {"partial_above_usd": -1}}}},
        "venues.b.liquidation.partial_above_usd",
        "greater",
    ),
    ({"venues": {"b": {"liquidation": {"partial_times": 10**7}}}}, "venues.b.liquidation.partial_times", "less than"),
    ({"venues": {"b": {"liquidation": {"backstop_ratio": -0.1}}}}, "venues.b.liquidation.backstop_ratio", "greater"),
    ({"venues": {"b": {"liquidation": {"min_fraction": -0.1}}}}, "venues.b.liquidation.min_fraction", "greater"),
    ({"venues": {"b": {"limits": {"price_band": 11}}}}, "venues.b.limits.price_band", "less than or equal to 10"),
    ({"venues": {"b": {"limits": {"unfilled": "drop"}}}}, "venues.b.limits.unfilled", "'fund' or 'wait'"),
    *[
        (
            {"venues": {"b": {"limits": {"circuit_breaker": {**BREAKER, key: 0}}}}},
            f"venues.b.limits.circuit_breaker.{key}",
            "greater than 0",
        )
        for key in BREAKER
    ],
    (
        {"clock": {"step_seconds": 61}, "venues": {"b": {"limits": {"circuit_breaker": BREAKER}}}},
        "venues.b.limits.circuit_breaker.window_seconds",
        "shorter than clock.step_seconds",
    ),
    ({"venues": {"b": {"limits": {"circuit_breaker": 5}}}}, "venues.b.limits.circuit_breaker", "valid dictionary"),
    ({"venues": {"b": {"collateral": {"ratio": {"X": -0.1}}}}}, "venues.b.collateral.ratio.X", "greater than or equal"),
    ({"venues": {"b": {"collateral": {"ratio": [1]}}}}, "venues.b.collateral.ratio", "valid dictionary"),
    ({"venues": {"b": {"collateral": {"own_book": {"X": 1}}}}}, "venues.b.collateral.own_book.X", "must be a list"),
    ({"venues": {"b": {"collateral": {"own_book": 1}}}}, "venues.b.collateral.own_book", "valid dictionary"),
    ({"venues": {"b": {"collateral": {"price": "spot"}}}}, "venues.b.collateral.price", "'index' or 'own_book'"),
    ({"venues": {"b": {"preset": None}}}, "venues.b.preset", "no such preset"),
    ({"venues": {"b": {"preset": "../scenario"}}}, "venues.b.preset", "no such preset"),
    ({"venues": {"default": {"preset": "mtgox"}}}, "venues.default.preset", "no such preset"),
    ({"venues": []}, "venues", "valid dictionary"),
    ({"venues": {1: {}}}, "venues[1]", "valid string"),
    ({"venues": {"b": {"lever": {}}}}, "venues.b.lever", "unknown key"),
    ({"venues": {"b": None}}, "venues.b", "valid dictionary"),
    ({"grid": {"depth.multiplier": [1, 2]}}, "grid", "unknown key"),
    ({"owners": {"rehedge_seconds": -60}}, "owners.rehedge_seconds", "greater than or equal"),
    ({"owners": {"top_up_to": 2}}, "owners.top_up_to", "at least owners.top_up_below"),
    ({"owners": {"top_up_below": 3, "top_up_to": 2}}, "owners.top_up_to", "at least owners.top_up_below"),
    ({"owners": {"top_up_below": 0}}, "owners.top_up_below", "greater than 0"),
    ({"owners": {"top_up_below": 1001}}, "owners.top_up_below", "less than or equal"),
    ({"owners": {"transfer_seconds": -1}}, "owners.transfer_seconds.default", "greater than or equal"),
    ({"owners": {"transfer_seconds": None}}, "owners.transfer_seconds", "valid dictionary"),
    ({"owners": {"transfer_seconds": True}}, "owners.transfer_seconds", "valid dictionary"),
    ({"owners": {"slowdowns": [{"venue": "all"}]}}, "owners.slowdowns[0].extra_seconds", "missing"),
    ({"owners": {"slowdowns": {"venue": "all"}}}, "owners.slowdowns", "valid list"),
    *[
        ({"owners": {"slowdowns": [{**SLOW, key: -1}]}}, f"owners.slowdowns[0].{key}", "greater than or equal")
        for key in ("from_seconds", "to_seconds", "extra_seconds")
    ],
    ({"owners": {"hedge": True}}, "owners.hedge", "unknown key"),
    ({"owners": {"transfer_seconds": {"a>b": -1}}}, "owners.transfer_seconds.a>b", "greater than or equal"),
    (
        {"owners": {"slowdowns": [{"venue": "all", "from_seconds": 5, "to_seconds": 5, "extra_seconds": 1}]}},
        "owners.slowdowns[0]",
        "to_seconds must be above",
    ),
    ({"seed": -1}, "seed", "greater than or equal"),
    ({"shock_multiplier": -1}, "shock_multiplier", "greater than or equal"),
    ({"shock_multiplier": 101}, "shock_multiplier", "less than or equal"),
    ({"score": "../secrets"}, "score", "no bands are known"),
    ({"score": 3}, "score", "valid string"),
    ({"venues": {"default": {"fund": {"multiplier": -1}}}}, "venues.default.fund.multiplier", "greater than or equal"),
]


@pytest.mark.parametrize(("change", "place", "rule"), REFUSALS, ids=[f"{i}-{r[1]}" for i, r in enumerate(REFUSALS)])
def test_each_bad_key_is_named(change: dict[str, Any], place: str, rule: str) -> None:
    faults = faults_of({**scenario(-0.06), **change})
    assert any(fault.place == place and rule in fault.rule for fault in faults), [str(fault) for fault in faults]


def test_missing_keys_and_several_faults_at_once() -> None:
    places = {fault.place for fault in faults_of({"colour": 1, "clock": {"steps": "x"}})}
    assert places == {"colour", "clock.steps", "scenario", "shock"}


def test_faults_of_all_sections_and_between_keys_are_listed_at_once() -> None:
    content = {
        "scenario": "a b", "shock": {"all": [[1, 0]], "BTC": []}, "clock": {"steps": -1},
        "impact": {"law": "sqrt"}, "depth": {"collapse": 1},
        "mark": {"collateral_switches": [[2, "index"], [1, "index"]]},
        "venues": {"b": {"collateral": {"own_book": {"X": [[1, 0]]}, "switches": [[1, "index"], [1, "index"]]}}},
        "owners": {"top_up_to": 2, "slowdowns": [{**SLOW, "to_seconds": 0}]},
    }  # fmt: skip
    assert sorted(fault.place for fault in faults_of(content)) == sorted([
        "scenario", "shock.all[0]", "shock.BTC", "clock.steps", "impact.coefficient", "depth.collapse",
        "mark.collateral_switches", "venues.b.collateral.own_book.X[0]", "venues.b.collateral.switches",
        "owners.top_up_to", "owners.slowdowns[0]",
    ])  # fmt: skip


def test_what_venues_have_of_the_default_is_refused_once() -> None:
    faulty = {
        "liquidation": {"fee_rate": 2}, "limits": {"circuit_breaker": {"move": 1}}, "colour": 1,
        "collateral": {"own_book": {"X": [[1, 0]]}, "switches": [[1, "index"], [1, "index"]]},
    }  # fmt: skip
    of_default = {
        "venues.default.liquidation.fee_rate", "venues.default.limits.circuit_breaker.window_seconds",
        "venues.default.limits.circuit_breaker.halt_seconds", "venues.default.colour",
        "venues.default.collateral.own_book.X[0]",
    }  # fmt: skip
    faults = faults_of(scenario(venues={"default": faulty, "a": {}, "b": {"adl": {"policy": "queue"}}}))
    assert sorted(fault.place for fault in faults) == sorted(of_default)
    # what a venue says itself is its own fault
    own = {"liquidation": {"fee_rate": 3}, "limits": {"circuit_breaker": {"window_seconds": 60}}}
    faults = faults_of(scenario(venues={"default": faulty, "a": {}, "b": own}))
    more = {"venues.b.liquidation.fee_rate", "venues.b.limits.circuit_breaker.halt_seconds"}
    assert sorted(fault.place for fault in faults) == sorted(of_default | more)
    switches = {"collateral": {"switches": [[1, "index"], [1, "index"]]}}
    faults = faults_of(scenario(venues={"default": switches, "a": {}, "b": {"adl": {"policy": "queue"}}}))
    assert [fault.place for fault in faults] == ["venues.default.collateral.switches"]


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


def test_a_long_path_is_read_at_any_time() -> None:
    path = [(float(k), -((k * 7919) % 1000) / 1e4) for k in range(2000)]
    for seconds in (0.0, 0.25, 17.0, 17.75, 1998.5, 1999.0, 2500.0):
        before = [(t, move) for t, move in path if t <= seconds][-1]
        after = next(((t, move) for t, move in path if t > seconds), None)
        straight = before[1]
        if after is not None:
            straight = before[1] + (after[1] - before[1]) * (seconds - before[0]) / (after[0] - before[0])
        assert move_at(path, seconds) == straight


# --- Hash ---


def test_the_digest_is_of_the_meaning() -> None:
    venues = {"default": {"liquidation": {"fee_rate": 0.1}}, "b": {"adl": {"policy": "queue"}}}
    first = accepted(scenario({"all": [[0, 0], [60, -1]]}, venues=venues, owners={"transfer_seconds": 60}))
    same = accepted(
        {
            "owners": {"transfer_seconds": {"default": 60.0}, "slowdowns": []},
            "venues": {
                "b": {"adl": {"policy": "queue"}, "liquidation": {"fee_rate": 0.1}},
                "default": {"liquidation": {"fee_rate": 0.1, "close": "full"}},
            },
            "shock": {"all": [[0.0, 0.0], [60.0, -1.0]]},
            "scenario": "test",
        }
    )
    assert first == same
    assert first.digest() == same.digest()
    assert first.digest() == accepted(json.loads(json.dumps(first.model_dump(mode="json")))).digest()
    other = accepted(scenario({"all": [[0, 0], [60, -1]]}, venues=venues, owners={"transfer_seconds": 61}))
    assert other.digest() != first.digest()


# --- Presets ---


def test_the_venues_with_shipped_rules() -> None:
    assert presets() == ("binance", "bitget", "bybit", "hyperliquid", "okx")
    with pytest.raises(LookupError):
        preset_rules("../book")


@pytest.mark.parametrize("name", presets())
def test_presets_are_laid_between_the_default_and_the_venue(name: str) -> None:
    venues = {"default": {"liquidation": {"fee_rate": 0.1}}, "b": {"preset": name, "adl": {"policy": "none"}}}
    rules = accepted(scenario(-0.06, venues=venues)).venue("b")
    plain = accepted(scenario(-0.06, venues={"b": {"preset": name}})).venue("b")
    assert rules.adl.policy == "none"
    assert (plain.adl.policy, plain.fund.mode) == ("queue", "vault" if name == "hyperliquid" else "cash_pool")
    assert rules.liquidation.fee_rate == plain.liquidation.fee_rate != 0.1
    assert rules.liquidation.backstop_ratio == (2 / 3 if name == "hyperliquid" else 0)
    assert accepted(scenario(venues={"b": {"preset": name}})) == accepted(scenario(venues={"b": preset_rules(name)}))
    assert accepted(scenario(), (f"venues.b.preset={name}",)).venue("b") == plain
    assert accepted(scenario(venues={"default": {"preset": name}})).venue("anything") == plain


@pytest.mark.parametrize("name", presets())
def test_presets_settle_how_breaches_are_handled_and_say_where_from(name: str) -> None:
    rules = preset_rules(name)
    # what a preset leaves open would be the default's: of a breach, a fund and deleveraging it leaves nothing open
    for section in ("liquidation", "fund", "adl"):
        # a multiple of the fund is a question about a book, no rule of a venue
        assert set(rules[section]) == set(type(getattr(schema.Venue(), section)).model_fields) - {"multiplier"}
    assert set(rules) == {"liquidation", "fund", "adl", "limits"}
    text = (Path(schema.__file__).parent / "presets" / f"{name}.yaml").read_text()
    named = {
        line.split(":")[0].strip() for line in text.splitlines() if ":" in line and not line.lstrip().startswith("#")
    }
    said = {
        line.split(":")[0].strip()
        for line in text.splitlines()
        if " # " in line and not line.lstrip().startswith("#") and ("assumed" in line or "[" in line.split(" # ")[1])
    }
    assert named - {"liquidation", "fund", "adl", "limits"} == said


def test_a_plain_number_of_seconds_is_the_default_of_transfers() -> None:
    owners = accepted(scenario(-0.06, owners={"transfer_seconds": 60})).owners
    assert owners.transfer_seconds == {"default": 60}
    assert accepted(scenario(-0.06, owners={"transfer_seconds": {"a>b": 5}})).owners.transfer_seconds == {
        "default": 0,
        "a>b": 5,
    }


# --- Tables ---


@pytest.fixture
def con() -> Iterator[duckdb.DuckDBPyConnection]:
    """Return a DuckDB with a book of two venues: BTC and DOGE at a, BTC at b; USDT, USDE and STK as collateral."""
    with duckdb.connect() as connection:
        connection.execute(
            "create temp table book_contract as from (values ('a', 'BTCUSDT', 'BTC', 'major'), "
            "('a', 'DOGEUSDT', 'DOGE', 'tail'), ('b', 'BTCUSD', 'BTC', 'major')) "
            "as t (venue, contract, base_asset, tier)"
        )
        connection.execute(
            "create temp table book_depth as select venue, contract, 1e6::double as depth, 0.1::double as floor "
            "from book_contract"
        )
        connection.execute("create temp table book_index_weight as select 'GOLD' as base_asset, 'a' as venue")
        connection.execute(
            "create temp table book_collateral as "
            "select 'x' as account_id, asset, 5::double as amount, 1::double as price "
            "from (values ('USDT'), ('USDE'), ('STK')) as t (asset)"
        )
        yield connection


def rows(con: duckdb.DuckDBPyConnection, table: str) -> list[dict[str, Any]]:
    result = con.execute(f"select * from {table} order by all")
    names = [item[0] for item in result.description]
    return [dict(zip(names, row, strict=True)) for row in result.fetchall()]


def types(con: duckdb.DuckDBPyConnection, table: str) -> dict[str, str]:
    return {str(row[0]): str(row[1]).lower() for row in con.execute(f"describe {table}").fetchall()}


def test_the_tables_of_the_defaults(con: duckdb.DuckDBPyConnection) -> None:
    put_scenario(con, accepted(scenario()))
    assert rows(con, "scenario_run") == [
        {
            "step_seconds": 1, "steps": 0, "law": "linear", "coefficient": None, "y": None, "decay_per_second": 0,
            "max_displacement": None, "depth_multiplier": 1, "depth_collapse": 0, "depth_floor": None,
            "depth_recovery": None, "own_book_weight": 1, "composite_lag_seconds": 0, "rehedge_seconds": None,
            "top_up_below": None, "top_up_to": None,
        }
    ]  # fmt: skip
    default = {
        "close": "full", "min_fraction": 0, "partial_above_micro": 0, "partial_times": None, "cooldown_seconds": 0,
        "backstop_ratio": None, "fee_rate": 0, "fund_mode": None, "fund_multiplier": 1, "adl_policy": "none",
        "adl_price": "bankruptcy",
        "adl_trigger": None, "adl_drawdown": 0.3, "adl_score": "profit_leverage", "leverage_cap": None,
        "price_band": None, "unfilled": "fund", "breaker_move": None, "breaker_window_seconds": None,
        "breaker_halt_seconds": None,
    }  # fmt: skip
    assert rows(con, "scenario_venue") == [{"venue": "a", **default}, {"venue": "b", **default}]
    assert types(con, "scenario_venue")["partial_above_micro"] == "bigint"
    # an empty column has its type all the same
    assert {types(con, "scenario_run")[name] for name in ("coefficient", "y", "top_up_to")} == {"double"}
    for table in (
        "scenario_market",
        "scenario_collateral",
        "scenario_slowdown",
        "scenario_asset_path",
        "scenario_band",
    ):
        assert rows(con, table) == []
    pairs = [(row["source_venue"], row["target_venue"], row["seconds"]) for row in rows(con, "scenario_transfer")]
    assert pairs == [("a", "a", 0), ("a", "b", 0), ("b", "a", 0), ("b", "b", 0)]


def test_the_tables_of_every_key(con: duckdb.DuckDBPyConnection) -> None:
    put_scenario(con, accepted(scenario()))  # a second scenario replaces the first
    content = scenario(
        {"all": [[0, -0.1]], "BTC": [[0, 0], [60, -0.2]], "tail": [[0, -0.5]], "STK": [[0, -0.3]]},
        clock={"step_seconds": 10, "steps": 5},
        impact={
            "law": "sqrt", "y": 0.5,
            "markets": {"all": {"sigma": 0.03, "adv_usd": 1e9}, "BTC": {"sigma": 0.02, "adv_usd": 1e10}},
            "decay_per_second": 0.1, "max_displacement": 0.2,
        },
        mark={"own_book_weight": 0.5, "composite_lag_seconds": 30},
        venues={
            "default": {"collateral": {"ratio": {"USDT": 0.99}}},
            "b": {
                "liquidation": {
                    "close": "partial", "min_fraction": 0.2, "partial_above_usd": 0.0000015, "partial_times": 1,
                    "cooldown_seconds": 30, "backstop_ratio": 0.5, "fee_rate": 0.001,
                },
                "fund": {"mode": "vault", "multiplier": 2.5},
                "adl": {"policy": "queue", "price": "mark", "trigger": "drawdown", "drawdown": 0.2, "score": "bitget"},
                "limits": {
                    "leverage_cap": 10, "price_band": 0.1, "unfilled": "wait",
                    "circuit_breaker": {"move": 0.1, "window_seconds": 20, "halt_seconds": 300},
                },
                "collateral": {"ratio": {"STK": 0.8}, "own_book": {"USDE": [[0, 0], [60, -0.3]], "STK": [[0, 0]]}},
            },
        },
        owners={
            "rehedge_seconds": 60, "top_up_below": 1.5, "transfer_seconds": {"default": 60, "a>b": 600},
            "slowdowns": [{"venue": "a", "from_seconds": 10, "to_seconds": 20, "extra_seconds": 5}],
        },
    )  # fmt: skip
    put_scenario(con, accepted(content))
    assert rows(con, "scenario_run") == [
        {
            "step_seconds": 10, "steps": 5, "law": "sqrt", "coefficient": None, "y": 0.5, "decay_per_second": 0.1,
            "max_displacement": 0.2, "depth_multiplier": 1, "depth_collapse": 0, "depth_floor": None,
            "depth_recovery": None, "own_book_weight": 0.5, "composite_lag_seconds": 30, "rehedge_seconds": 60,
            "top_up_below": 1.5, "top_up_to": 3,
        }
    ]  # fmt: skip
    assert rows(con, "scenario_venue")[1] == {
        "venue": "b", "close": "partial", "min_fraction": 0.2, "partial_above_micro": 2, "partial_times": 1,
        "cooldown_seconds": 30, "backstop_ratio": 0.5, "fee_rate": 0.001, "fund_mode": "vault", "fund_multiplier": 2.5,
        "adl_policy": "queue",
        "adl_price": "mark", "adl_trigger": "drawdown", "adl_drawdown": 0.2, "adl_score": "bitget", "leverage_cap": 10,
        "price_band": 0.1, "unfilled": "wait", "breaker_move": 0.1, "breaker_window_seconds": 20,
        "breaker_halt_seconds": 300,
    }  # fmt: skip
    assert [tuple(row.values()) for row in rows(con, "scenario_market")] == [
        ("all", "all", 0.03, 1e9),
        ("name", "BTC", 0.02, 1e10),
    ]
    assert [tuple(row.values()) for row in rows(con, "scenario_collateral")] == [
        ("a", "USDT", 0.99, False),
        ("b", "STK", 0.8, True),
        ("b", "USDE", 1, True),
        ("b", "USDT", 0.99, False),
    ]
    assert [row["seconds"] for row in rows(con, "scenario_transfer")] == [60, 600, 60, 60]
    assert [tuple(row.values()) for row in rows(con, "scenario_slowdown")] == [("a", 10, 20, 5)]
    assert rows(con, "scenario_asset_path") == [{"asset": "BTC"}, {"asset": "STK"}]


def test_depth_keys_and_top_up_to_in_the_tables(con: duckdb.DuckDBPyConnection) -> None:
    content = scenario(
        depth={"multiplier": 2, "collapse": 3, "floor": 0.4, "recovery": 0.5},
        owners={"top_up_below": 1.5, "top_up_to": 2},
    )
    put_scenario(con, accepted(content))
    names = ("depth_multiplier", "depth_collapse", "depth_floor", "depth_recovery", "top_up_to")
    assert [rows(con, "scenario_run")[0][name] for name in names] == [2, 3, 0.4, 0.5, 2]


def test_a_window_beyond_the_run_is_cut_to_it(con: duckdb.DuckDBPyConnection) -> None:
    breaker = {"move": 0.1, "window_seconds": 1e9, "halt_seconds": 1}
    venues = {"b": {"limits": {"circuit_breaker": breaker}}}
    put_scenario(con, accepted(scenario(clock={"step_seconds": 1e-6, "steps": 3}, venues=venues)))
    assert rows(con, "scenario_venue")[1]["breaker_window_seconds"] == 4e-6  # before step 0 of any step


def test_what_changes_with_time(con: duckdb.DuckDBPyConnection) -> None:
    content = scenario(
        {"all": [[0, 0], [10, -0.1]], "BTC": [[0, -0.2]]},
        mark={"collateral_price": "index", "collateral_switches": [[20, "own_book"], [30, "index"]]},
        venues={"b": {"collateral": {"own_book": {"USDE": [[0, 0], [10, -0.4]]}, "price": "own_book", "switches": []}}},
    )
    world, venues = accepted(content), venues_of(con)
    assert venues == ["a", "b"]
    assert shock_rows(world, 5) == [("all", "all", -0.05), ("name", "BTC", -0.2)]
    assert own_book_rows(world, venues, 5) == [("b", "USDE", -0.2)]
    # a follows the dated switches of `mark`; b has its own price and, said so, no switches
    prices = {t: [price for _, price in collateral_price_rows(world, venues, t)] for t in (0, 19.9, 20, 30, 99)}
    assert {t: price[0] for t, price in prices.items()} == {
        0: "index", 19.9: "index", 20: "own_book", 30: "index", 99: "index",
    }  # fmt: skip
    assert {price[1] for price in prices.values()} == {"own_book"}
    only_price = accepted(scenario(mark=content["mark"], venues={"b": {"collateral": {"price": "own_book"}}}))
    at = [only_price.collateral_price_at("b", t) for t in (0, 20, 30)]
    assert at == ["own_book", "own_book", "index"]  # its own start, the switches of `mark`

    put_now(con, world, venues, 25)
    assert [tuple(row.values()) for row in rows(con, "scenario_shock")] == [("all", "all", -0.1), ("name", "BTC", -0.2)]
    assert [tuple(row.values()) for row in rows(con, "scenario_own_book")] == [("b", "USDE", -0.4)]
    assert [row["price"] for row in rows(con, "scenario_collateral_price")] == ["own_book", "own_book"]
    put_now(con, world, venues, None)
    assert rows(con, "scenario_shock") == rows(con, "scenario_own_book") == []
    assert [row["price"] for row in rows(con, "scenario_collateral_price")] == ["index", "index"]
    put_now(con, accepted(scenario({"driver": "BTC", "path": [[0, -0.1]]})), venues, 0)
    assert [tuple(row.values()) for row in rows(con, "scenario_shock")] == [("driver", "BTC", -0.1)]


def test_a_driver_gives_no_asset_a_path_of_its_own(con: duckdb.DuckDBPyConnection) -> None:
    put_scenario(con, accepted(scenario({"driver": "BTC", "path": [[0, -0.1]]})))
    assert rows(con, "scenario_asset_path") == []


# --- Names against the book ---

SQRT_Y = {"law": "sqrt", "y": 1}
MARKET = {"sigma": 1, "adv_usd": 1}
NAMES: list[tuple[dict[str, Any], list[str]]] = [
    ({"shock": {"driver": "BTC", "path": [[0, -0.1]]}}, []),
    ({"shock": {"driver": "GOLD", "path": [[0, -0.1]]}}, []),  # the index knows it
    ({"shock": {"driver": "PEPE", "path": [[0, -0.1]]}}, ["shock.driver"]),
    ({"shock": {"driver": "STK", "path": [[0, -0.1]]}}, ["shock.driver"]),
    ({"shock": {name: [[0, -0.1]] for name in ("all", "BTC", "STK", "major", "mid")}}, []),
    ({"shock": {"all": [[0, -0.1]], "PEPE": [[0, 0]], "GOLD": [[0, 0]]}}, ["shock.GOLD", "shock.PEPE"]),
    ({"venues": {"a": {}, "c": {}, "d": {}}}, ["venues.c", "venues.d"]),
    ({"impact": {**SQRT_Y, "markets": {"all": MARKET}}}, []),
    ({"impact": {**SQRT_Y, "markets": {"major": MARKET, "DOGE": MARKET}}}, []),
    ({"impact": {**SQRT_Y, "markets": {"BTC": MARKET}}}, ["impact.markets"]),
    ({"impact": {**SQRT_Y, "markets": {"all": MARKET, "STK": MARKET}}}, ["impact.markets.STK"]),
    ({"venues": {"default": {"collateral": {"ratio": {"STK": 0.9, "BTC": 0.9}, "own_book": {"USDE": [[0, 0]]}}}}}, []),
    # a table of ratios may name what nobody holds: it is a venue's, not a book's
    ({"venues": {"default": {"collateral": {"ratio": {"OLD": 0.9}, "own_book": {"NEW": [[0, 0]]}}}}}, []),
    ({"owners": {"transfer_seconds": {"default": 5, "a>b": 1, "b>a": 2, "a>a": 3}}}, []),
    (
        {"owners": {"transfer_seconds": {"a": 1, "a>c": 1, "all": 1, "a > b": 1}}},
        [f"owners.transfer_seconds.{pair}" for pair in ("a", "a>c", "all", "a > b")],
    ),
    ({"owners": {"slowdowns": [SLOW, {**SLOW, "venue": "a"}, {**SLOW, "venue": "c"}]}}, ["owners.slowdowns[2].venue"]),
    ({"depth": {"multiplier": 1e-8}}, []),
    ({"depth": {"multiplier": 1e-9}}, ["depth.multiplier"]),
    ({"depth": {"multiplier": 1e13}}, ["depth.multiplier"]),
    ({"depth": {"collapse": 5}}, []),
    ({"depth": {"collapse": 5, "floor": 0}}, ["depth.collapse"]),
    ({"depth": {"collapse": 0, "floor": 0}}, []),
]


@pytest.mark.parametrize(("change", "places"), NAMES, ids=[str(i) for i in range(len(NAMES))])
def test_names_and_depths_are_checked_against_the_book(
    change: dict[str, Any], places: list[str], con: duckdb.DuckDBPyConnection
) -> None:
    faults = book_faults_of_scenario(con, accepted({**scenario(), **change}))
    assert sorted(fault.place for fault in faults) == sorted(places)
    assert all(fault.remedy and fault.where == "scenario" for fault in faults)


def test_an_amount_that_a_coin_cannot_count_is_refused(con: duckdb.DuckDBPyConnection) -> None:
    con.execute("insert into book_collateral values ('rich', 'USDE', 1e11, 1)")
    assert book_faults_of_scenario(con, accepted(scenario())) == []  # cash
    for change in (
        {"shock": {"all": [[0, 0]], "USDE": [[0, 0]]}},
        {"venues": {"b": {"collateral": {"own_book": {"USDE": [[0, 0]]}}}}},
        {"venues": {"b": {"collateral": {"ratio": {"USDE": 0.9}}}}},
    ):
        faults = book_faults_of_scenario(con, accepted({**scenario(), **change}))
        assert [(fault.where, fault.place) for fault in faults] == [("collateral", "rich USDE")]
