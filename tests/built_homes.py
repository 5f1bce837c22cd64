"""Homes that a whole run has built, and the command line as a user calls it; the fixtures are in ``conftest.py``."""

import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from dagster_project.lib.home import PROJECT_ROOT, Home


def run_cli(home: Path, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run `delever` as a user would, in a process of its own, on a home."""
    return subprocess.run(
        [str(Path(sys.executable).with_name("delever")), *arguments],
        env=os.environ | {"DELEVER_HOME": str(home), "COLUMNS": "200"} | environment,
        cwd=PROJECT_ROOT,
        capture_output=True,
        text=True,
        timeout=900,
        check=False,
    )


def real_folder() -> Path:
    """Where the real data are looked for."""
    return Path(os.environ.get("DELEVER_REAL_DATA") or PROJECT_ROOT.parent / "shared" / "data")


def has_real_data() -> bool:
    """Whether they are there."""
    return (real_folder() / "candles_hourly" / "candles.parquet").exists()


@dataclass(frozen=True)
class Built:
    """A home that a whole run has built, and what that run printed."""

    home: Home
    printed: str
