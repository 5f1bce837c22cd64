"""The scenario file: its schema, its defaults and its refusals.

Every key is documented on its field, with its unit; docs/method_replay.md says what it does. An unknown key is refused.
Rules of a venue may start from shipped ones: ``venues: {binance: {preset: binance, adl: {policy: none}}}`` lays the
venue's own keys over those of ``presets/binance.yaml``, and those over ``venues.default``.
"""

from __future__ import annotations

import hashlib
import json
import math
import re
from bisect import bisect_right
from collections.abc import Iterable, Mapping, Sequence
from copy import deepcopy
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field, StrictStr, ValidationError, field_validator

from dagster_project.replay.faults import Fault, printable
from dagster_project.replay.yaml_input import YamlRefused, parse_yaml, read_yaml

TIERS = ("major", "mid", "tail")
SWEEP_KEYS = ("grid", "what_if")
"""Keys that make a scenario file a sweep (`grid.py`)."""
_MAX_LOG_MOVE = 10.0
_MAX_POINTS = 100_000
_MAX_SECONDS = 1e9
_MAX_USD = 1e12
_MAX_COUNT = 1_000_000
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.:+-]{0,99}")

# Upper bounds keep every number that the engine makes of a key (micro-USD, ticks, steps) within its integers.
Number = Annotated[float, Field(strict=True, allow_inf_nan=False)]
Count = Annotated[int, Field(strict=True, ge=0)]
Share = Annotated[Number, Field(ge=0, le=1)]
Positive = Annotated[Number, Field(gt=0)]
NotNegative = Annotated[Number, Field(ge=0)]
Seconds = Annotated[Number, Field(ge=0, le=_MAX_SECONDS)]
LogMove = Annotated[Number, Field(gt=0, le=_MAX_LOG_MOVE)]
PathPoint = tuple[Number, Number]
Price = Literal["index", "own_book"]
Switches = list[tuple[Seconds, Price]]


class _Model(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Clock(_Model):
    """Time of the replay."""

    step_seconds: Annotated[Number, Field(gt=0, le=_MAX_SECONDS)] = 1.0
    """Seconds from one step to the next."""
    steps: Annotated[Count, Field(le=_MAX_COUNT)] = 0
    """Steps after step 0; step k happens at k * step_seconds."""
    max_rounds: Annotated[Count, Field(ge=1, le=_MAX_COUNT)] = 10_000
    """Rounds within one step; beyond it the run fails, for the step would not come to rest."""


class Market(_Model):
    """What the square-root law knows of a contract's market."""

    sigma: Positive
    """Volatility over the period of adv_usd, log units."""
    adv_usd: Positive
    """Average volume of a period, USD; a day as a rule."""


class Impact(_Model):
    """How forced notional moves a book's price; dy in log units."""

    law: Literal["linear", "sqrt"] = "linear"
    """linear: dy = V / depth; sqrt: dy = k * sqrt(V), V the step's forced notional in USD at the t0 index."""
    coefficient: Positive | None = None
    """k of the square-root law, log units per square root of a USD; refused by linear, where depth says it."""
    y: Positive | None = None
    """Y of the square-root law in place of coefficient: k = Y * sigma / sqrt(adv_usd) of the contract (markets)."""
    markets: dict[StrictStr, Market] = {}
    """sigma and adv_usd for y, by base asset, tier (major, mid, tail) or `all`; the nearest scope wins."""
    decay_per_second: NotNegative = 0.0
    """Decay of the displacement between steps, 1/s."""
    max_displacement: LogMove | None = None
    """Largest displacement that a book takes, log units; what exceeds it stays unfilled. null: none."""


class Depth(_Model):
    """Changes to the book's depth (linear law only)."""

    multiplier: Positive = 1.0
    """Factor on every depth of the book."""
    collapse: NotNegative = 0.0
    """Depth shrinks by exp(-collapse * |log move of the book price over the last step|), per log unit."""
    floor: Share | None = None
    """Fraction of depth that always remains; null: as the book's depth rows say."""
    recovery: NotNegative | None = None
    """Recovery of depth, 1/s; null: as the book's depth rows say."""


class Mark(_Model):
    """How the mark price and the price of collateral are made."""

    own_book_weight: Share = 1.0
    """Weight of the venue's own book in its mark, 0 to 1; the rest is the composite of index_weight."""
    composite_lag_seconds: Seconds = 0.0
    """Time constant with which the composite follows the venues' books, seconds; 0: at once."""
    collateral_price: Price = "index"
    """What collateral is valued at: index, or own_book of the venue."""
    collateral_switches: Switches = []
    """Dated changes of that, [[seconds, index or own_book], ...], increasing: the last one that has come holds."""


class Liquidation(_Model):
    """What a venue does with a breach."""

    close: Literal["full", "partial"] = "full"
    """full: all positions of the unit; partial: the least fraction of each that restores the margin."""
    min_fraction: Share = 0.0
    """Least fraction of a partial close, 0 to 1."""
    partial_above_usd: Annotated[Number, Field(ge=0, le=_MAX_USD)] = 0.0
    """Units up to this notional are closed in full, USD."""
    partial_times: Annotated[Count, Field(ge=1, le=_MAX_COUNT)] | None = None
    """Partial closes of a unit before a full one; null: no end."""
    cooldown_seconds: Seconds = 0.0
    """Time after a partial close before the unit's next order to the book, seconds."""
    backstop_ratio: Share | None = None
    """null: every breach goes to the book. Else units with equity below this share of maintenance go to the fund;
    0: bankrupt ones."""
    fee_rate: Annotated[Number, Field(ge=0, lt=1)] = 0.0
    """Fee on the liquidated notional as executed, a fraction; paid to the contract's pool before that pays deficits."""


class FundRule(_Model):
    """What a venue's fund is."""

    mode: Literal["cash_pool", "vault"] | None = None
    """What the pools of the venue are: it says what fires deleveraging where `adl.trigger` does not, for a cash_pool that
    it cannot pay, for a vault that it is below its own maintenance margin. null: as the book's fund row says, cash_pool
    without one."""
    multiplier: Annotated[Number, Field(ge=0, le=1000)] = 1.0
    """Factor on the balance of every pool of the venue."""


class Adl(_Model):
    """Auto-deleveraging."""

    policy: Literal["none", "queue", "pro_rata", "capped_pro_rata", "risk_aware"] = "none"
    """Who is deleveraged; none: what the fund cannot pay is socialised."""
    price: Literal["bankruptcy", "mark"] = "bankruptcy"
    """bankruptcy: winners bear what is short; mark: they are closed at the mark and bear nothing."""
    trigger: Literal["balance", "drawdown", "vault_equity"] | None = None
    """balance: the fund cannot pay; drawdown: it lost `drawdown` of its peak; vault_equity: it is below its own
    maintenance margin. null: by `fund.mode`, balance of a cash_pool and vault_equity of a vault."""
    drawdown: Annotated[Number, Field(gt=0, le=1)] = 0.3
    """Loss from the peak of the fund's equity that fires trigger drawdown, as a fraction."""
    score: Literal["profit_leverage", "binance", "bitget", "hyperliquid"] = "profit_leverage"
    """Order of the queue, the formula of a venue."""


class Breaker(_Model):
    """Circuit breaker of a contract."""

    move: LogMove
    """Move of the mark over the window, up or down, that halts the contract, log units."""
    window_seconds: Annotated[Number, Field(gt=0, le=_MAX_SECONDS)]
    """Window of the move, seconds; at least a step."""
    halt_seconds: Annotated[Number, Field(gt=0, le=_MAX_SECONDS)]
    """How long liquidations of the contract stop, seconds."""


class Limits(_Model):
    """Limits of a venue."""

    leverage_cap: Positive | None = None
    """Notional over equity above which positions are cut before the shock; null: none."""
    price_band: LogMove | None = None
    """Largest displacement of a book against its index, log units; what exceeds it stays unfilled. null: none."""
    unfilled: Literal["fund", "wait"] = "fund"
    """What the book did not fill: the fund takes the unit over, or it waits."""
    circuit_breaker: Breaker | None = None
    """Halt of a contract after a fast move; null: none."""


class Collateral(_Model):
    """How a venue values collateral."""

    ratio: dict[StrictStr, Share] = {}
    """By asset, the share of its worth that counts as margin, 0 to 1; 1 if not named."""
    own_book: dict[StrictStr, list[PathPoint]] = {}
    """By asset, the path of its price on the venue's own book: [seconds, log move against t0], as a shock's."""
    price: Price | None = None
    """As mark.collateral_price, for this venue; null: as there."""
    switches: Switches | None = None
    """As mark.collateral_switches, for this venue; null: as there."""


class Venue(_Model):
    """Rules of one venue. In a file, ``preset: name`` beside these keys lays them over a shipped preset's."""

    liquidation: Liquidation = Liquidation()
    """What happens to a breach."""
    fund: FundRule = FundRule()
    """What the venue's fund is."""
    adl: Adl = Adl()
    """Auto-deleveraging."""
    limits: Limits = Limits()
    """Leverage cap, price band, circuit breaker."""
    collateral: Collateral = Collateral()
    """How collateral is valued."""


class Slowdown(_Model):
    """Dated slowdown of transfers."""

    venue: StrictStr
    """Venue that a transfer leaves or reaches, or `all`."""
    from_seconds: Seconds
    """Transfers sent from this time on are slower, seconds ..."""
    to_seconds: Seconds
    """... up to before this time, seconds."""
    extra_seconds: Seconds
    """By how much they are slower, seconds."""


class Owners(_Model):
    """What owners of several accounts do."""

    rehedge_seconds: Seconds | None = None
    """Time after which an owner who lost a leg of a hedge trades the naked rest back, seconds; null: never."""
    top_up_below: Annotated[Number, Field(gt=0, le=1000)] | None = None
    """Owners send cash to a unit whose equity is below this multiple of its maintenance margin; null: never."""
    top_up_to: Annotated[Number, Field(gt=0, le=1000)] | None = None
    """Multiple that a transfer restores, and that it leaves at its source; null: twice top_up_below."""
    transfer_seconds: dict[StrictStr, Seconds] = {"default": 0.0}
    """Time of a transfer, seconds: `default`, and by "source venue>target venue"; a plain number is the default."""
    slowdowns: list[Slowdown] = []
    """Dated slowdowns of transfers; several add up."""

    @field_validator("transfer_seconds", mode="before")
    @classmethod
    def _fill_default(cls, value: object) -> object:
        """Accept one number for all pairs, and pairs without a default."""
        if isinstance(value, dict):
            return {"default": 0.0, **value}
        is_number = isinstance(value, (int, float)) and not isinstance(value, bool)
        return {"default": value} if is_number else value


class Scenario(_Model):
    """A validated scenario with all defaults filled in."""

    scenario: StrictStr
    """Name of the scenario: letters, digits and _ . : + -"""
    clock: Clock = Clock()
    """Time of the replay."""
    shock: dict[StrictStr, Any]
    """Paths of the index by scope: ``{"all": path}``, ``{"driver": asset, "path": path}`` (times each contract's beta),
    or ``{base asset, collateral asset or tier: path}``, of which the nearest scope wins. A path is a list of [seconds,
    log move against t0]: the first at 0 seconds, linear in between, the last value held."""
    shock_multiplier: Annotated[Number, Field(ge=0, le=100)] = 1.0
    """Factor on every log move of the shock's paths; a reverse stress test looks for the smallest that does harm."""
    impact: Impact = Impact()
    """How forced notional moves prices."""
    depth: Depth = Depth()
    """Changes to the book's depth."""
    mark: Mark = Mark()
    """How mark and collateral prices are made."""
    venues: dict[StrictStr, Venue] = {"default": Venue()}
    """Rules under `default`, overridden by venue key by key; ``preset: name`` of a venue puts shipped ones between."""
    owners: Owners = Owners()
    """What owners of several accounts do."""
    score: StrictStr | None = None
    """Event whose bands the run is held against (scores/*.yaml); null: none."""
    seed: Count = 0
    """Seed of anything random; the engine itself draws nothing."""

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
        factor = self.shock_multiplier
        if self.driver() is not None:
            return [("driver", str(self.driver()), factor * move_at(self.shock["path"], seconds))]
        return [
            ("all" if name == "all" else "name", name, factor * move_at(path, seconds))
            for name, path in self.shock.items()
        ]

    def largest_move(self) -> float:
        """Return the largest log move of the shock's paths, up or down, signed, with the multiplier."""
        paths = [self.shock["path"]] if self.driver() is not None else self.shock.values()
        return self.shock_multiplier * max((float(move) for path in paths for _, move in path), key=abs)

    def collateral_price_at(self, venue: str, seconds: float) -> Price:
        """Return what a venue values collateral at: its last switch that has come, else its setting."""
        rules = self.venue(venue).collateral
        switches = self.mark.collateral_switches if rules.switches is None else rules.switches
        price = rules.price or self.mark.collateral_price
        return next((later for since, later in reversed(switches) if since <= seconds), price)


def move_at(path: Sequence[Sequence[float]], seconds: float) -> float:
    """Return the log move of a piecewise linear path at `seconds`, with the last value held.

    Args:
        path: points (seconds, log move) with increasing seconds, the first at 0.
        seconds: time since t0, >= 0.
    """
    # by bisection: a recorded path has as many points as the run has steps
    after = bisect_right(path, seconds, key=lambda point: point[0])
    if after == len(path):
        return float(path[-1][1])
    (start, low), (end, high) = path[after - 1], path[after]
    return low + (high - low) * (seconds - start) / (end - start)


# --- Shipped files ---


@cache
def _shipped(folder: str) -> tuple[str, ...]:
    """Return the names of the YAML files of a folder beside this module."""
    place = files("dagster_project.replay").joinpath(folder)
    return tuple(sorted(path.name.removesuffix(".yaml") for path in place.iterdir() if path.name.endswith(".yaml")))


def _shipped_yaml(folder: str, name: str) -> Any:  # noqa: ANN401 - any YAML value
    """Return the content of a shipped file; a name from elsewhere is no part of a path.

    Raises:
        LookupError: there is no such file.
    """
    if name not in _shipped(folder):
        raise LookupError(name)
    text = files("dagster_project.replay").joinpath(folder, f"{name}.yaml").read_text(encoding="utf-8")
    return parse_yaml(text)


def presets() -> tuple[str, ...]:
    """Return the names of the venues whose rules are shipped."""
    return _shipped("presets")


def preset_rules(name: str) -> Any:  # noqa: ANN401 - any YAML value
    """Return a venue's shipped rules as they stand in its file.

    Args:
        name: one of `presets`.

    Raises:
        LookupError: there is no such preset.
    """
    return _shipped_yaml("presets", name)


def scored_events() -> tuple[str, ...]:
    """Return the names of the events that a run can be held against."""
    return _shipped("scores")


class Band(_Model):
    """What is known of an event: where a metric of `97_score.sql` lay."""

    metric: StrictStr
    """Name of the metric."""
    subject: StrictStr
    """Venue, asset, tier or bound that it is of."""
    low: Number
    """Least value that fits, in the metric's unit."""
    high: Number
    """Largest value that fits."""
    source: StrictStr
    """Where the band is from, and what of it is our choice."""


def score_bands(event: str) -> list[Band]:
    """Return the bands of an event.

    Args:
        event: one of `scored_events`.

    Raises:
        LookupError: there is no such event.
    """
    return [Band.model_validate(band) for band in _shipped_yaml("scores", event)["bands"]]


def _with_preset(where: str, venue: str, rules: object) -> tuple[object, list[Fault]]:
    """Return a venue's rules laid over those of the preset that they name, and the fault of a wrong name."""
    if not isinstance(rules, dict) or "preset" not in rules:
        return rules, []
    name = rules["preset"]
    own = {key: value for key, value in rules.items() if key != "preset"}
    if not isinstance(name, str) or name not in presets():
        rule = f"no such preset: {printable(name, 40)}"
        return own, [Fault(where, f"venues.{printable(venue, 60)}.preset", rule, f"one of {', '.join(presets())}")]
    return _merge(preset_rules(name), own), []


# --- Paths ---


def _point_rule(point: object, is_first: bool, previous: float) -> str:
    """Return what is wrong with one point of a path, or an empty text."""
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
    """Check one path."""
    remedy = "write [[0, -0.06]] or [[0, 0], [600, -0.15]]: [seconds, log move], the first at 0 seconds"
    if not isinstance(path, list) or not path or len(path) > _MAX_POINTS:
        return [Fault(where, key, f"a path must be a list of 1 to {_MAX_POINTS} [seconds, log move]", remedy)]
    previous = -1.0
    for position, point in enumerate(path):
        if rule := _point_rule(point, position == 0, previous):
            return [Fault(where, f"{key}[{position}]", rule, remedy)]
        previous = float(point[0])
    return []


def _take_path(where: str, key: str, paths: dict[Any, Any], name: object) -> list[Fault]:
    """Check the path under `name` and put it back as floats, so that 0 and 0.0 are one scenario.

    A faulty one is replaced by a calm one: its fault is said once, here, and not again by the schema.
    """
    faults = _path_faults(where, key, paths.get(name))
    paths[name] = [[0.0, 0.0]] if faults else [[float(number) for number in point] for point in paths[name]]
    return faults


def _take_shock(where: str, shock: object) -> list[Fault]:
    """Check the shape of the shock; names are checked against the book later."""
    if not isinstance(shock, dict):
        return []  # the schema reports a wrong type
    if not shock:
        return [Fault(where, "shock", "names no path", "write shock: {all: [[0, -0.06]]}")]
    if "driver" not in shock and "path" not in shock:
        return [fault for name in list(shock) for fault in _take_path(where, f"shock.{name}", shock, name)]
    faults = []
    driver = shock.get("driver")
    if not isinstance(driver, str) or not driver:
        remedy = "write {driver: BTC, path: [[0, -0.06]]}"
        faults.append(Fault(where, "shock.driver", "must name the driver asset", remedy))
    faults += _take_path(where, "shock.path", shock, "path")
    faults += [
        Fault(where, f"shock.{key}", "a driver shock has only `driver` and `path`", "remove the key")
        for key in sorted(str(key) for key in shock if key not in ("driver", "path"))[:1]
    ]
    return faults


def _take_own_books(where: str, venue: str, rules: object) -> list[Fault]:
    """Check the collateral paths of one venue, as it states them itself."""
    collateral = rules.get("collateral") if isinstance(rules, dict) else None
    paths = collateral.get("own_book") if isinstance(collateral, dict) else None
    if not isinstance(paths, dict):
        return []  # the schema reports a wrong type
    place = f"venues.{venue}.collateral.own_book"
    return [fault for asset in list(paths) for fault in _take_path(where, f"{place}.{asset}", paths, asset)]


# --- Venues ---


def _merge(base: object, over: object) -> object:
    """Return `base` overridden by `over`, mapping by mapping."""
    if isinstance(base, dict) and isinstance(over, dict):
        return {
            key: _merge(base[key], over[key]) if key in base and key in over else {**base, **over}[key]
            for key in {**base, **over}
        }
    return over


def _take_venues(where: str, raw: dict[str, Any]) -> tuple[dict[Any, Any], list[Fault]]:
    """Lay every venue over its preset and over the default.

    Returns:
        What each venue states itself, its preset with it, and the faults.
    """
    venues = raw.setdefault("venues", {})
    if not isinstance(venues, dict):
        return {}, []  # the schema reports a wrong type
    faults: list[Fault] = []
    stated: dict[Any, Any] = {}
    for name, rules in {"default": {}, **venues}.items():
        stated[name], wrong = _with_preset(where, str(name), rules)
        faults += wrong + _take_own_books(where, str(name), stated[name])
    # a venue names only what differs, so it is laid over the default before it is validated
    raw["venues"] = {
        name: rules if name == "default" else _merge(stated["default"], rules) for name, rules in stated.items()
    }
    return stated, faults


def _states(rules: object, steps: Sequence[str | int]) -> bool:
    """Return whether a venue itself says something under a key."""
    for step in steps:
        try:
            rules = rules[step]  # type: ignore[index]
        except (KeyError, IndexError, TypeError):
            return False
    return True


# --- Rules between keys ---


def _impact_faults(where: str, impact: Impact, depth: Depth) -> list[Fault]:
    """Refuse keys that contradict the impact law, which would otherwise be ignored without a word."""
    given = [name for name in ("coefficient", "y") if getattr(impact, name) is not None]
    if impact.law == "linear":
        ignored = [*given, *(["markets"] if impact.markets else [])]
        remedy = "remove it or use law: sqrt"
        return [Fault(where, f"impact.{name}", "the linear law has no coefficient", remedy) for name in ignored]
    faults = []
    if len(given) != 1:
        rule = "the sqrt law needs either k of dy = k sqrt(V) or y"
        remedy = "set impact.coefficient > 0, or impact.y with impact.markets"
        faults.append(Fault(where, "impact.coefficient", rule, remedy))
    if impact.y is not None and not impact.markets:
        remedy = "write markets: {all: {sigma: 0.03, adv_usd: 1e9}}"
        faults.append(Fault(where, "impact.markets", "y needs sigma and adv_usd of the contracts", remedy))
    if impact.y is None and impact.markets:
        remedy = "remove it or set impact.y in place of the coefficient"
        faults.append(Fault(where, "impact.markets", "only y uses sigma and adv_usd", remedy))
    faults += [
        Fault(where, f"depth.{name}", "the sqrt law does not use the depth", "change impact.coefficient or y instead")
        for name, field in Depth.model_fields.items()
        if getattr(depth, name) != field.default
    ]
    return faults


def _switch_faults(where: str, key: str, switches: Switches | None) -> list[Fault]:
    """Refuse dated switches out of order."""
    times = [seconds for seconds, _ in switches or []]
    is_ordered = times == sorted(set(times))
    return [] if is_ordered else [Fault(where, key, "seconds must increase", "order the switches by time")]


def _venue_faults(where: str, venues: Mapping[str, Venue], clock: Clock | None) -> list[Fault]:
    """Check each venue's switches and circuit breaker; what it has of the default is said once."""
    faults = []
    default = venues["default"]
    for name, venue in sorted(venues.items()):
        is_default = name == "default"
        if is_default or venue.collateral.switches != default.collateral.switches:
            faults += _switch_faults(where, f"venues.{name}.collateral.switches", venue.collateral.switches)
        breaker = venue.limits.circuit_breaker
        if breaker is None or clock is None or (not is_default and breaker == default.limits.circuit_breaker):
            continue
        if breaker.window_seconds < clock.step_seconds:
            key = f"venues.{name}.limits.circuit_breaker.window_seconds"
            remedy = f"write at least {clock.step_seconds:g}"
            faults.append(Fault(where, key, "the window is shorter than clock.step_seconds", remedy))
    return faults


def _owner_faults(where: str, owners: Owners) -> list[Fault]:
    """Check the order of an owner's bounds."""
    faults = []
    if owners.top_up_to is not None and (owners.top_up_below is None or owners.top_up_to < owners.top_up_below):
        remedy = "set top_up_below, and top_up_to at least as large"
        faults.append(Fault(where, "owners.top_up_to", "must be at least owners.top_up_below", remedy))
    faults += [
        Fault(where, f"owners.slowdowns[{number}]", "to_seconds must be above from_seconds", "correct the bounds")
        for number, slow in enumerate(owners.slowdowns)
        if slow.to_seconds <= slow.from_seconds
    ]
    return faults


_Section = TypeVar("_Section", bound=_Model)


def _section(model: type[_Section], raw: object) -> _Section | None:
    """Return a section that is valid by itself, else None: rules between its keys wait until it is."""
    try:
        return model.model_validate(raw)
    except ValidationError:
        return None


def _cross_faults(where: str, raw: Mapping[str, Any]) -> list[Fault]:
    """Check the rules between keys, in all sections whose own keys are right."""
    faults: list[Fault] = []
    impact, depth = _section(Impact, raw.get("impact", {})), _section(Depth, raw.get("depth", {}))
    if impact is not None and depth is not None:
        faults += _impact_faults(where, impact, depth)
    mark = _section(Mark, raw.get("mark", {}))
    if mark is not None:
        faults += _switch_faults(where, "mark.collateral_switches", mark.collateral_switches)
    if isinstance(raw["venues"], dict):
        venues = {
            name: rules
            for name, own in raw["venues"].items()
            if (rules := _section(Venue, own)) and isinstance(name, str)
        }
        faults += _venue_faults(where, {"default": Venue(), **venues}, _section(Clock, raw.get("clock", {})))
    owners = _section(Owners, raw.get("owners", {}))
    if owners is not None:
        faults += _owner_faults(where, owners)
    return faults


# --- The file ---


def set_path(raw: dict[str, Any], key: str, value: object) -> str:
    """Set what stands under a dotted key; ``venues.*.adl.policy`` sets it for every venue and the default.

    Returns:
        What is wrong with the key, or an empty text.
    """
    steps = key.strip().split(".")
    if not all(steps):
        return "not of the form dotted.key"
    if steps[:2] == ["venues", "*"] and len(steps) > 2:
        venues = raw.setdefault("venues", {})
        names = {"default": None, **venues} if isinstance(venues, dict) else {}
        wrong = [set_path(raw, ".".join(["venues", str(name), *steps[2:]]), value) for name in names]
        return next((rule for rule in wrong if rule), "")
    node: Any = raw
    for step in steps[:-1]:
        node = node.setdefault(step, {})
        if not isinstance(node, dict):
            return f"`{step}` has no keys below it"
    node[steps[-1]] = deepcopy(value)
    return ""


def _apply_override(raw: dict[str, Any], override: str) -> Fault | None:
    """Set one ``dotted.key=yaml value`` in `raw`; return what is wrong with it."""
    key, sign, text = override.partition("=")
    usage = "write --set venues.default.liquidation.fee_rate=0.0005"
    if not sign:
        return Fault("override", override, "not of the form dotted.key=value", usage)
    try:
        value = parse_yaml(text)
    except YamlRefused as refused:
        return Fault("override", override, str(refused), usage)
    rule = set_path(raw, key, value)
    return Fault("override", override, rule, usage) if rule else None


def _plain(value: object, depth: int = 0) -> Any:  # noqa: ANN401 - any YAML value
    """Return a copy of a mapping given by a caller as plain dicts and lists."""
    if depth > 20:
        raise YamlRefused("nested deeper than 20 levels")
    if isinstance(value, Mapping):
        return {key: _plain(item, depth + 1) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(item, depth + 1) for item in value]
    return value


def _dotted(steps: Iterable[str | int]) -> str:
    """Return the place of a value as keys and positions: ``owners.slowdowns[0].venue``."""
    dotted = "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in steps)
    return dotted.removeprefix(".").removesuffix(".[key]")  # pydantic's word for the key itself


def _validation_faults(where: str, error: ValidationError, stated: Mapping[Any, Any]) -> list[Fault]:
    """Translate pydantic's errors to faults with dotted keys; what a venue has of the default is said once."""
    items = error.errors(include_url=False, include_context=False)
    of_default = {(item["loc"][2:], item["type"]) for item in items if item["loc"][:2] == ("venues", "default")}
    faults = []
    for item in items:
        steps, kind = item["loc"], item["type"]
        if steps[:1] == ("venues",) and steps[1:2] != ("default",) and (steps[2:], kind) in of_default:
            # of a missing key the mapping around it has to be the venue's own
            own = steps[2:-1] if kind == "missing" else steps[2:]
            if not _states(stated.get(steps[1]), own):
                continue
        key = _dotted(steps)
        if kind == "extra_forbidden":
            remedy = "remove it (see docs/method_replay.md for the accepted keys)"
            if key in SWEEP_KEYS:
                remedy = "it makes the file a sweep: use `delever sweep`, or remove it"
            faults.append(Fault(where, key, "unknown key", remedy))
        elif kind == "missing":
            faults.append(Fault(where, key, "required key is missing", "add it (see scenarios/smallest.yaml)"))
        else:
            given = f", given {printable(repr(item['input']), 60)}"
            faults.append(Fault(where, key, item["msg"] + given, "correct the value"))
    return faults


def read_raw(source: Path | Mapping[str, Any], overrides: Sequence[str]) -> tuple[str, dict[str, Any], list[Fault]]:
    """Read a scenario file as plain values, with overrides laid over it.

    Args:
        source: a YAML file, or the same content as a mapping.
        overrides: ``dotted.key=yaml value`` strings, applied in order.

    Returns:
        What the source is called, its content (empty if it cannot be read) and every fault found.
    """
    where = "scenario"
    remedy = "see scenarios/smallest.yaml for the format"
    try:
        if isinstance(source, Mapping):
            raw = _plain(source)
        else:
            where = f"scenario {Path(source).name}"
            raw = read_yaml(Path(source))
    except YamlRefused as refused:
        return where, {}, [Fault(where, "", str(refused), remedy)]
    if not isinstance(raw, dict) or not raw or not all(isinstance(key, str) for key in raw):
        return where, {}, [Fault(where, "", "not a mapping of keys to values", remedy)]
    return where, raw, [fault for override in overrides if (fault := _apply_override(raw, override)) is not None]


def load_scenario(
    source: Path | Mapping[str, Any], overrides: Sequence[str] = ()
) -> tuple[Scenario | None, list[Fault]]:
    """Read and validate a scenario.

    Args:
        source: a YAML file, or the same content as a mapping.
        overrides: ``dotted.key=yaml value`` strings, applied in order; ``venues.v.preset=okx`` works too.

    Returns:
        The scenario (None if refused) and every fault found.
    """
    where, raw, faults = read_raw(source, overrides)
    if not raw:
        return None, faults
    scenario, more = validate(where, raw)
    return (None if faults else scenario), faults + more


def validate(where: str, raw: dict[str, Any]) -> tuple[Scenario | None, list[Fault]]:
    """Validate the content of a scenario file.

    Args:
        where: what the file is called in faults.
        raw: its content; changed in place (presets and defaults are laid under the venues).

    Returns:
        The scenario (None if refused) and every fault found.
    """
    faults = _take_shock(where, raw.get("shock"))
    stated, venue_faults = _take_venues(where, raw)
    faults += venue_faults
    scenario = None
    try:
        scenario = Scenario.model_validate(raw)
    except ValidationError as error:
        faults += _validation_faults(where, error, stated)
    name = raw.get("scenario")
    if isinstance(name, str) and not _NAME.fullmatch(name):
        faults.append(Fault(where, "scenario", "a name has 1 to 100 letters, digits, _ . : + -", "rename the scenario"))
    event = raw.get("score")
    if isinstance(event, str) and event not in scored_events():
        remedy = f"name one of {', '.join(scored_events())}"
        faults.append(Fault(where, "score", f"no bands are known of an event {printable(event, 40)}", remedy))
    faults += _cross_faults(where, raw)
    return (None if faults else scenario), faults


__all__ = [
    "SWEEP_KEYS",
    "TIERS",
    "Scenario",
    "Venue",
    "load_scenario",
    "move_at",
    "preset_rules",
    "presets",
    "read_raw",
    "score_bands",
    "scored_events",
    "set_path",
    "validate",
]
