"""The scenario file: its schema, its defaults and what the first piece of the replay can compute of it.

Source of the contract: design document of the replay, section 3. Every key is documented on its field; an unknown key is
refused. A key of the full design that the window pass does not compute is refused by name, never ignored.
"""

from __future__ import annotations

import hashlib
import json
import math
import re
from collections.abc import Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, StrictStr, ValidationError

from dagster_project.replay.faults import Fault, printable
from dagster_project.replay.yaml_input import YamlRefused, parse_yaml, read_yaml

TIERS = ("major", "mid", "tail")
_MAX_LOG_MOVE = 10.0
_MAX_POINTS = 100_000
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.:+-]{0,99}")

Number = Annotated[float, Field(strict=True, allow_inf_nan=False)]
Count = Annotated[int, Field(strict=True, ge=0)]
PathPoint = tuple[Number, Number]


class _Model(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Clock(_Model):
    """Time of the replay."""

    step_seconds: Annotated[Number, Field(gt=0)] = 1.0
    """Seconds from one step to the next."""
    steps: Count = 0
    """Steps after step 0; step k happens at k * step_seconds. Only 0 is computed so far."""


class Impact(_Model):
    """How forced notional moves a book's price; dy in log units."""

    law: Literal["linear", "sqrt"] = "linear"
    """linear: y = V / depth; sqrt: y = coefficient * sqrt(V), V in USD at the t0 index."""
    coefficient: Annotated[Number, Field(gt=0)] | None = None
    """k of the square-root law, log units per square root of a USD; required by sqrt, refused by linear."""
    decay_per_second: Annotated[Number, Field(ge=0)] = 0.0
    """Decay of the displacement, 1/s. Only 0 is computed so far."""


class Depth(_Model):
    """Changes to the book's depth."""

    multiplier: Annotated[Number, Field(gt=0)] = 1.0
    """Factor on every depth of the book (linear law only)."""


class Mark(_Model):
    """How the mark price is made."""

    own_book_weight: Annotated[Number, Field(ge=0, le=1)] = 1.0
    """Weight of the venue's own book in its mark. Only 1 is computed so far."""


class Liquidation(_Model):
    """What a venue does with a breach."""

    close: Literal["full", "partial"] = "full"
    """full: the whole position. Only full is computed so far."""
    backstop_ratio: Annotated[Number, Field(ge=0, le=1)] | None = None
    """null: every breach goes to the book and the fund covers the shortfall. Only null is computed so far."""
    fee_rate: Annotated[Number, Field(ge=0, lt=1)] = 0.0
    """Fee on the liquidated notional as executed, paid to the venue's fund before it pays deficits."""


class FundRule(_Model):
    """What a venue's fund is."""

    mode: Literal["cash_pool", "vault"] = "cash_pool"
    """cash_pool: pays deficits up to its balance. Only cash_pool is computed so far."""


class Adl(_Model):
    """Auto-deleveraging."""

    policy: Literal["none", "queue", "pro_rata", "capped_pro_rata", "risk_aware"] = "none"
    """none: what the fund cannot pay is socialised. Only none is computed so far."""


class Venue(_Model):
    """Rules of one venue."""

    liquidation: Liquidation = Liquidation()
    fund: FundRule = FundRule()
    adl: Adl = Adl()


class Scenario(_Model):
    """A validated scenario with all defaults filled in.

    `shock` holds paths by scope: ``{"all": path}``, ``{"driver": name, "path": path}`` or ``{asset or tier: path}``;
    a path is a list of (seconds, log move against t0), piecewise linear, last value held.
    """

    scenario: StrictStr
    """Name of the scenario: letters, digits and _ . : + -"""
    clock: Clock = Clock()
    shock: dict[StrictStr, Any]
    impact: Impact = Impact()
    depth: Depth = Depth()
    mark: Mark = Mark()
    venues: dict[StrictStr, Venue] = {"default": Venue()}
    """Rules under `default`, overridden per venue name key by key."""
    seed: Count = 0
    """Seed of anything random; nothing is in the first piece."""

    def venue(self, name: str) -> Venue:
        """Return the rules of the venue `name`."""
        return self.venues.get(name, self.venues["default"])

    def digest(self) -> str:
        """Return the SHA-256 (hex) of the scenario with its defaults, equal for equal meaning whatever the layout."""
        canonical = json.dumps(self.model_dump(mode="json"), sort_keys=True, allow_nan=False)
        return hashlib.sha256(canonical.encode()).hexdigest()

    def driver(self) -> str | None:
        """Return the driver asset of the shock, or None where paths are named per asset, tier or for all."""
        name = self.shock.get("driver")
        return name if isinstance(name, str) else None

    def moves_at(self, seconds: float) -> list[tuple[str, str, float]]:
        """Return (scope, name, log move) at a time, scope being ``driver``, ``all`` or ``name`` (asset or tier)."""
        if self.driver() is not None:
            return [("driver", str(self.driver()), move_at(self.shock["path"], seconds))]
        return [("all" if name == "all" else "name", name, move_at(path, seconds)) for name, path in self.shock.items()]


def move_at(path: Sequence[Sequence[float]], seconds: float) -> float:
    """Return the log move of a piecewise linear path at `seconds`, with the last value held.

    Args:
        path: points (seconds, log move) with increasing seconds, the first at 0.
        seconds: time since t0, >= 0.
    """
    for (start, low), (end, high) in pairwise(path):
        if seconds < end:
            return low + (high - low) * (seconds - start) / (end - start)
    return float(path[-1][1])


# Keys of the full design; naming one is not a typing error but a wish that this engine cannot grant yet.
_LATER = re.compile(
    r"grid|owners(\..*)?|limits(\..*)?|index_path|venues\.[^.]+\.(limits|owners)(\..*)?"
    r"|impact\.(Y|sigma|adv|ADV|max_displacement)"
    r"|depth\.(collapse|floor|recovery)(\..*)?|mark\.(composite_lag_seconds|collateral_price|switches)(\..*)?"
    r"|venues\.[^.]+\.liquidation\.(min_fraction|cooldown_seconds)"
    r"|venues\.[^.]+\.adl\.(price|trigger|drawdown)|venues\.[^.]+\.fund\.(drawdown|trigger)"
)


def _point_rule(point: object, is_first: bool, previous: float) -> str:
    """Return what is wrong with one point of a shock path, or an empty text."""
    if not isinstance(point, (list, tuple)) or len(point) != 2:
        return f"not a pair [seconds, log move]: {printable(point, 40)}"
    if any(isinstance(item, bool) or not isinstance(item, (int, float)) for item in point):
        return f"not two numbers: {printable(point, 40)}"
    try:
        seconds, move = float(point[0]), float(point[1])
    except OverflowError:
        return "a number is too large"
    if not (math.isfinite(seconds) and math.isfinite(move)) or abs(move) > _MAX_LOG_MOVE:
        return f"a log move must be finite and within +-{_MAX_LOG_MOVE:g}"
    return "seconds must start at 0 and increase" if (is_first and seconds != 0) or seconds <= previous else ""


def _path_faults(where: str, key: str, path: object) -> list[Fault]:
    """Check one shock path."""
    remedy = "write [[0, -0.06]] or [[0, 0], [600, -0.15]]: [seconds, log move], the first at 0 seconds"
    if not isinstance(path, list) or not path or len(path) > _MAX_POINTS:
        return [Fault(where, key, f"a path must be a list of 1 to {_MAX_POINTS} [seconds, log move]", remedy)]
    previous = -1.0
    for position, point in enumerate(path):
        if rule := _point_rule(point, position == 0, previous):
            return [Fault(where, f"{key}[{position}]", rule, remedy)]
        previous = float(point[0])
    return []


def _shock_faults(where: str, shock: object) -> list[Fault]:
    """Check the shape of the shock; names are checked against the book later."""
    if not isinstance(shock, dict) or not shock:
        return []  # pydantic reports a wrong type; an empty shock is reported by the caller
    if "driver" in shock or "path" in shock:
        faults = []
        driver = shock.get("driver")
        if not isinstance(driver, str) or not driver:
            faults.append(
                Fault(where, "shock.driver", "must name the driver asset", "write {driver: BTC, path: [[0, -0.06]]}")
            )
        faults += _path_faults(where, "shock.path", shock.get("path"))
        extra = sorted(str(key) for key in shock if key not in ("driver", "path"))
        if extra:
            faults.append(
                Fault(where, f"shock.{extra[0]}", "a driver shock has only `driver` and `path`", "remove the key")
            )
        return faults
    return [fault for name, path in shock.items() for fault in _path_faults(where, f"shock.{name}", path)]


def _unsupported(where: str, scenario: Scenario) -> list[Fault]:
    """Return a fault for each documented key whose value the first piece does not compute."""
    settings: list[tuple[str, object, object]] = [
        ("clock.steps", scenario.clock.steps, 0),
        ("impact.decay_per_second", scenario.impact.decay_per_second, 0),
        ("mark.own_book_weight", scenario.mark.own_book_weight, 1),
    ]
    for name, venue in sorted(scenario.venues.items()):
        settings += [
            (f"venues.{name}.liquidation.close", venue.liquidation.close, "full"),
            (f"venues.{name}.liquidation.backstop_ratio", venue.liquidation.backstop_ratio, None),
            (f"venues.{name}.fund.mode", venue.fund.mode, "cash_pool"),
            (f"venues.{name}.adl.policy", venue.adl.policy, "none"),
        ]
    return [
        Fault(where, key, f"{value} is not computed by this engine yet", f"accepted: {json.dumps(accepted)}")
        for key, value, accepted in settings
        if value != accepted
    ]


def _impact_faults(where: str, scenario: Scenario) -> list[Fault]:
    """Refuse keys that contradict the impact law, which would otherwise be ignored without a word."""
    key = "impact.coefficient"
    is_sqrt, has_coefficient = scenario.impact.law == "sqrt", scenario.impact.coefficient is not None
    faults = []
    if is_sqrt and not has_coefficient:
        faults.append(Fault(where, key, "the sqrt law needs k of dy = k sqrt(V)", "set impact.coefficient > 0"))
    if has_coefficient and not is_sqrt:
        faults.append(Fault(where, key, "the linear law has no coefficient", "remove it or use law: sqrt"))
    if is_sqrt and scenario.depth.multiplier != 1:
        remedy = "change impact.coefficient instead"
        faults.append(Fault(where, "depth.multiplier", "the sqrt law does not use the depth", remedy))
    return faults


def _merge(base: object, over: object) -> object:
    """Return `base` overridden by `over`, mapping by mapping."""
    if isinstance(base, dict) and isinstance(over, dict):
        return {
            key: _merge(base[key], over[key]) if key in base and key in over else {**base, **over}[key]
            for key in {**base, **over}
        }
    return over


def _apply_override(raw: dict[str, Any], override: str) -> Fault | None:
    """Set one ``dotted.key=yaml value`` in `raw`; return what is wrong with it."""
    key, sign, text = override.partition("=")
    steps = key.strip().split(".")
    usage = "write --set venues.default.liquidation.fee_rate=0.0005"
    if not sign or not all(steps):
        return Fault("override", override, "not of the form dotted.key=value", usage)
    try:
        value = parse_yaml(text)
    except YamlRefused as refused:
        return Fault("override", override, str(refused), usage)
    node: Any = raw
    for step in steps[:-1]:
        node = node.setdefault(step, {})
        if not isinstance(node, dict):
            return Fault("override", override, f"`{step}` has no keys below it", usage)
    node[steps[-1]] = value
    return None


def _plain(value: object, depth: int = 0) -> Any:  # noqa: ANN401 - any YAML value
    """Return a copy of a mapping given by a caller as plain dicts and lists."""
    if depth > 20:
        raise YamlRefused("nested deeper than 20 levels")
    if isinstance(value, Mapping):
        return {key: _plain(item, depth + 1) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(item, depth + 1) for item in value]
    return value


def _validation_faults(where: str, error: ValidationError) -> list[Fault]:
    """Translate pydantic's errors to faults with dotted keys."""
    faults = []
    for item in error.errors(include_url=False, include_context=False):
        key = ".".join(str(step) for step in item["loc"])
        if item["type"] == "extra_forbidden":
            later = "this key of the full design is not computed by this engine yet"
            rule = later if _LATER.fullmatch(key) else "unknown key"
            faults.append(Fault(where, key, rule, "remove it (see docs/method_replay.md for the accepted keys)"))
        elif item["type"] == "missing":
            faults.append(Fault(where, key, "required key is missing", "add it (see scenarios/smallest.yaml)"))
        else:
            given = f", given {printable(repr(item['input']), 60)}"
            faults.append(Fault(where, key, item["msg"] + given, "correct the value"))
    return faults


def load_scenario(
    source: Path | Mapping[str, Any], overrides: Sequence[str] = ()
) -> tuple[Scenario | None, frozenset[str], list[Fault]]:
    """Read and validate a scenario.

    Args:
        source: a YAML file, or the same content as a mapping.
        overrides: ``dotted.key=yaml value`` strings, applied in order.

    Returns:
        The scenario (None if refused), the venue names whose fund mode is set by name, and the faults.
    """
    where = "scenario"
    try:
        if isinstance(source, Mapping):
            raw = _plain(source)
        else:
            where = f"scenario {Path(source).name}"
            raw = read_yaml(Path(source))
    except YamlRefused as refused:
        return None, frozenset(), [Fault(where, "", str(refused), "see scenarios/smallest.yaml for the format")]
    if not isinstance(raw, dict) or not all(isinstance(key, str) for key in raw):
        return (
            None,
            frozenset(),
            [Fault(where, "", "not a mapping of keys to values", "see scenarios/smallest.yaml for the format")],
        )
    faults = [fault for override in overrides if (fault := _apply_override(raw, override)) is not None]

    named_modes: set[str] = set()
    venues = raw.get("venues")
    if venues is None and "venues" not in raw:
        raw["venues"] = {"default": {}}
    elif isinstance(venues, dict):
        default = venues.get("default", {})
        named_modes = {
            name
            for name, rules in venues.items()
            if name != "default"
            and isinstance(rules, dict)
            and isinstance(rules.get("fund"), dict)
            and "mode" in rules["fund"]
        }
        # an override names only what differs, so it is laid over the defaults before it is validated
        raw["venues"] = {"default": default} | {
            name: _merge(default, rules) for name, rules in venues.items() if name != "default"
        }

    shock_faults = _shock_faults(where, raw.get("shock"))
    if isinstance(raw.get("shock"), dict) and not raw["shock"]:
        shock_faults = [Fault(where, "shock", "names no path", "write shock: {all: [[0, -0.06]]}")]
    try:
        scenario = Scenario.model_validate(raw)
    except ValidationError as error:
        return None, frozenset(named_modes), faults + _validation_faults(where, error) + shock_faults
    faults += shock_faults
    if not _NAME.fullmatch(scenario.scenario):
        faults.append(Fault(where, "scenario", "a name has 1 to 100 letters, digits, _ . : + -", "rename the scenario"))
    faults += _unsupported(where, scenario) + _impact_faults(where, scenario)
    return (None if faults else scenario), frozenset(named_modes), faults


__all__ = ["Scenario", "load_scenario", "move_at"]
