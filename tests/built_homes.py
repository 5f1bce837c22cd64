"""Homes that a whole run has built, and the command line as a user calls it; the fixtures are in ``conftest.py``."""

import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import duckdb

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


def impossible_numbers(home: Home) -> list[str]:
    """Columns of published tables in which a number is infinite or none at all."""
    found = []
    with duckdb.connect() as connection:
        for path in sorted((home.published / "parquet").glob("*.parquet")):
            described = connection.execute(f"DESCRIBE SELECT * FROM '{path}'").fetchall()
            numbers = [name for name, kind, *_ in described if kind == "DOUBLE"]
            for name in numbers:
                query = f"SELECT count(*) FROM '{path}' WHERE NOT isfinite(\"{name}\")"
                if connection.execute(query).fetchall() != [(0,)]:
                    found.append(f"{path.stem}.{name}")
    return found


@dataclass(frozen=True)
class Built:
    """A home that a whole run has built, and what that run printed."""

    home: Home
    printed: str
