"""`delever doctor`: looks at an installation and says what is wrong and what to do."""

import os
import platform
import shutil
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version

from rich.console import Console

from dagster_project.lib.errors import DeleverError
from dagster_project.lib.home import Home
from dagster_project.lib.landing import Landing
from dagster_project.lib.publish import read_snapshot
from dagster_project.lib.query import open_published

LEAST_FREE_GB = 2
LIBRARIES = ("dagster", "dagster-dbt", "dbt-core", "dbt-duckdb", "duckdb", "pandera", "great-expectations")


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at."""

    what: str
    healthy: bool
    said: str


def examine(home: Home) -> list[Finding]:
    """Look at everything; an examination that fails is a finding, not an end."""
    examinations: Sequence[tuple[str, Callable[[Home], str]]] = (
        ("python", _python),
        ("libraries", _libraries),
        ("home", _home),
        ("disk", _disk),
        ("landing", _landing),
        ("warehouse", _warehouse),
        ("published", _published),
    )
    findings = []
    for what, look in examinations:
        try:
            findings.append(Finding(what, True, look(home)))
        except (DeleverError, OSError, ValueError) as fault:
            findings.append(Finding(what, False, str(fault)))
    return findings


def render(findings: Sequence[Finding], console: Console) -> bool:
    """Print the findings.

    Returns:
        Whether all is well.
    """
    for finding in findings:
        mark = "[green]ok[/green]  " if finding.healthy else "[red]FAULT[/red]"
        console.print(f"{mark:<16} {finding.what:<10}", end=" ")
        console.print(finding.said, markup=False, highlight=False, soft_wrap=True)
    return all(finding.healthy for finding in findings)


def _python(_: Home) -> str:
    return f"{platform.python_version()} at {sys.prefix}"


def _libraries(_: Home) -> str:
    missing = []
    found = []
    for name in LIBRARIES:
        try:
            found.append(f"{name} {version(name)}")
        except PackageNotFoundError:
            missing.append(name)
    if missing:
        raise DeleverError(f"missing: {', '.join(missing)}. Run `make env`.")
    try:
        found.append(f"dagster-webserver {version('dagster-webserver')}")
    except PackageNotFoundError:
        found.append("no web pages (run `make ui`, which installs them)")
    return ", ".join(found)


def _home(home: Home) -> str:
    if not home.root.exists():
        return f"{home.root} does not exist yet; `make demo` makes it"
    if not home.root.is_dir() or not os.access(home.root, os.W_OK | os.X_OK):
        raise DeleverError(f"{home.root} is not a folder that you may write. Set DELEVER_HOME to one.")
    marker = home.root / "profile.json"
    return f"{home.root}, {marker.read_text().strip() if marker.exists() else 'not used yet'}"


def _disk(home: Home) -> str:
    place = home.root if home.root.exists() else home.root.parent
    free = shutil.disk_usage(place).free / 1e9
    if free < LEAST_FREE_GB:
        raise DeleverError(
            f"{free:.1f} GB free at {place}; {LEAST_FREE_GB} GB are needed. Make room or move DELEVER_HOME."
        )
    return f"{free:.0f} GB free"


def _landing(home: Home) -> str:
    landing = Landing(home.landing)
    files = landing.all_files()
    faults = [fault for entry in files if (fault := landing.verify(entry)) is not None]
    if faults:
        shown = "; ".join(faults[:5])
        raise DeleverError(
            f"{len(faults)} of {len(files)} files are not as landed: {shown}. Remove and ingest them again."
        )
    return f"{len(files)} files, all as their manifests say"


def _warehouse(home: Home) -> str:
    if not home.warehouse.exists():
        return "not built yet"
    return f"{home.warehouse.stat().st_size / 1e6:.0f} MB"


def _published(home: Home) -> str:
    snapshot = read_snapshot(home)
    if snapshot is None:
        return "nothing yet; `make demo` or `delever run` publishes"
    connection = open_published(home)
    try:
        held = connection.execute(
            "SELECT count(*) FROM duckdb_tables() WHERE schema_name IN ('marts', 'stress')"
        ).fetchone()
    finally:
        connection.close()
    if held is None or held[0] != len(snapshot.tables):
        raise DeleverError("the snapshot does not hold the tables that it says. Run `delever run` to publish it again.")
    return f"snapshot {snapshot.digest} of {snapshot.published_at:%Y-%m-%d %H:%M} UTC, {held[0]} tables"
