"""Where scenarios lie: those that come with Delever, and a home's own beside them."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from dagster_project.lib.home import PROJECT_ROOT, Home
from dagster_project.replay.scenario import SWEEP_KEYS
from dagster_project.replay.yaml_input import YamlRefused, read_yaml

SHIPPED = PROJECT_ROOT / "scenarios"


def scenario_files(home: Home) -> dict[str, Path]:
    """Return every scenario file by its name without the ending; a home's own hides a shipped one of the same name."""
    folders = (SHIPPED, home.scenarios)
    return {path.stem: path for folder in folders if folder.is_dir() for path in sorted(folder.glob("*.yaml"))}


def is_sweep(path: Path) -> bool:
    """Whether a scenario file says what to try; one that cannot be read is none, and is refused when it is played."""
    try:
        raw = read_yaml(path)
    except YamlRefused:
        return False
    return isinstance(raw, Mapping) and any(key in raw for key in SWEEP_KEYS)


def names(home: Home) -> tuple[list[str], list[str]]:
    """Return the names of plain scenarios and of sweeps, each in order."""
    found = scenario_files(home)
    sweeps = {name for name, path in found.items() if is_sweep(path)}
    return sorted(set(found) - sweeps), sorted(sweeps)


def scenario_path(home: Home, name: str) -> Path:
    """Return the file of a scenario's name; of one whose file is gone a path that reading refuses, with its name."""
    return scenario_files(home).get(name, Path(name))
