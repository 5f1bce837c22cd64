"""A sweep: a scenario file with values to try, and the scenarios that it stands for.

``grid`` maps a dotted key of a scenario to a list of values; its runs are the cross product. ``what_if`` is a list of named
changes that are tried one at a time beside the scenario as it stands. With both, every change is tried at every point of the
grid.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass, replace
from itertools import product
from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, StrictStr, TypeAdapter, ValidationError

from dagster_project.replay.faults import Fault, printable
from dagster_project.replay.scenario import SWEEP_KEYS, Scenario, read_raw, set_path, validate
from dagster_project.replay.yaml_input import YamlRefused, parse_yaml

MAX_RUNS = 10_000
AS_IT_STANDS = "as_it_stands"
"""Name of the run without any change of ``what_if``."""

_Values = Annotated[list[Any], Field(min_length=1, max_length=MAX_RUNS)]
_Grid = Annotated[dict[StrictStr, _Values], Field(min_length=1, max_length=20)]


class _Change(BaseModel):
    """One named change of a scenario."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: Annotated[StrictStr, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.:+-]{0,99}$")]
    """What the change is called in results."""
    set: Annotated[dict[StrictStr, Any], Field(min_length=1, max_length=100)]
    """Dotted keys and what they become."""


_WhatIf = Annotated[list[_Change], Field(min_length=1, max_length=MAX_RUNS)]


@dataclass(frozen=True)
class Point:
    """One run of a sweep.

    Attributes:
        number: place in the sweep, from 1: the last key of the grid changes fastest, what_if slowest.
        settings: parameter (a dotted key, or ``what_if``) to value, as text: JSON, a name as it is.
        scenario: the scenario with these settings.
    """

    number: int
    settings: dict[str, str]
    scenario: Scenario


def _section(where: str, key: str, kind: Any, raw: object) -> tuple[Any, list[Fault]]:  # noqa: ANN401 - any annotation
    """Validate ``grid`` or ``what_if``."""
    remedy = {
        "grid": "write grid: {depth.multiplier: [0.5, 1, 2]}",
        "what_if": "write what_if: [{name: fund_x2, set: {venues.*.fund.multiplier: 2}}]",
    }[key]
    try:
        return TypeAdapter(kind).validate_python(raw), []
    except ValidationError as error:
        items = error.errors(include_url=False, include_context=False)
        places = [(".".join([key, *(str(step) for step in item["loc"] if step != "[key]")]), item) for item in items]
        return None, [
            Fault(where, place, f"{item['msg']}, given {printable(repr(item['input']), 60)}", remedy)
            for place, item in places
        ]


def _grid_of_options(options: Sequence[str]) -> tuple[dict[str, Any], list[Fault]]:
    """Read ``dotted.key=[value, ...]`` of the command line."""
    grid: dict[str, Any] = {}
    faults = []
    for option in options:
        key, sign, text = option.partition("=")
        usage = "write --grid depth.multiplier=[0.5,1,2]"
        if not sign:
            faults.append(Fault("grid", option, "not of the form dotted.key=[value, ...]", usage))
            continue
        try:
            grid[key.strip()] = parse_yaml(text)
        except YamlRefused as refused:
            faults.append(Fault("grid", option, str(refused), usage))
    return grid, faults


def _text(value: object) -> str:
    return value if isinstance(value, str) else json.dumps(value, sort_keys=True)


def _point(
    where: str, raw: Mapping[str, Any], at: Mapping[str, Any], change: tuple[str | None, Mapping[str, Any]]
) -> tuple[dict[str, str], Scenario | None, list[Fault]]:
    """Lay a point of the grid and a named change over a scenario.

    Returns:
        The settings, the scenario (None if refused) and its faults.
    """
    name, changes = change
    settings = {} if name is None else {"what_if": name}
    settings |= {key: _text(value) for key, value in at.items()}
    own = deepcopy(dict(raw))
    for key, value in {**at, **changes}.items():
        if rule := set_path(own, key, value):
            return settings, None, [Fault(where, key, rule, "name a key of a scenario, such as depth.multiplier")]
    scenario, faults = validate(where, own)
    place = ", ".join(f"{key}={printable(value, 40)}" for key, value in settings.items())
    return settings, scenario, [replace(fault, place=f"{fault.place} at {place}") for fault in faults]


def load_sweep(
    source: Path | Mapping[str, Any], overrides: Sequence[str] = (), grid: Sequence[str] = ()
) -> tuple[list[Point], list[Fault]]:
    """Read and validate a sweep.

    Args:
        source: a YAML file, or the same content as a mapping; a plain scenario where `grid` says what to try.
        overrides: ``dotted.key=yaml value`` strings, laid over the scenario before its changes.
        grid: ``dotted.key=[value, ...]`` strings, laid over the file's own grid.

    Returns:
        The points of the sweep (empty if refused) and every fault found.
    """
    where, raw, faults = read_raw(source, overrides)
    added, more = _grid_of_options(grid)
    faults += more
    if not raw:
        return [], faults
    told: dict[str, Any] = {key: raw.pop(key) for key in SWEEP_KEYS if key in raw}
    if added:
        told["grid"] = {**told.get("grid", {}), **added} if isinstance(told.get("grid", {}), dict) else added
    if not told:
        remedy = "add grid: or what_if: to the file, or --grid KEY=[...]; `delever replay` plays a plain scenario"
        return [], [*faults, Fault(where, "", "says nothing to try", remedy)]
    cells, wrong = _section(where, "grid", _Grid, told["grid"]) if "grid" in told else ({}, [])
    changes, wrong_too = _section(where, "what_if", _WhatIf, told["what_if"]) if "what_if" in told else ([], [])
    faults += wrong + wrong_too
    _, own = validate(where, deepcopy(raw))
    faults += own
    if faults:
        return [], faults
    return _expand(where, raw, cells, changes)


def _expand(
    where: str, raw: Mapping[str, Any], cells: Mapping[str, list[Any]], changes: Sequence[_Change]
) -> tuple[list[Point], list[Fault]]:
    """Make every point of a sweep whose base is valid."""
    names = [change.name for change in changes]
    if len({AS_IT_STANDS, *names}) != len(names) + 1:
        return [], [Fault(where, "what_if", f"two changes of one name, or one called {AS_IT_STANDS}", "rename it")]
    alternatives: list[tuple[str | None, dict[str, Any]]] = [(None, {})]
    if changes:
        alternatives = [(AS_IT_STANDS, {}), *((change.name, change.set) for change in changes)]
    size = len(alternatives)
    for values in cells.values():
        size *= len(values)
        if size > MAX_RUNS:
            return [], [Fault(where, "grid", f"more than {MAX_RUNS:,} runs", "try fewer values")]
    points: list[Point] = []
    faults: dict[tuple[str, str], Fault] = {}
    for number, (change, values) in enumerate(product(alternatives, product(*cells.values())), start=1):
        settings, scenario, wrong = _point(where, raw, dict(zip(cells, values, strict=True)), change)
        if scenario is not None:
            points.append(Point(number, settings, scenario))
        for fault in wrong:
            # one wrong value is wrong at every point that has it: it is said at the first
            faults.setdefault((fault.place.partition(" at ")[0], fault.rule), fault)
    return ([] if faults else points), list(faults.values())


__all__ = ["AS_IT_STANDS", "MAX_RUNS", "Point", "load_sweep"]
