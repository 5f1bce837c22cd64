"""The dbt project: where it is, what environment it needs, and a manifest that is never older than the models."""

import fcntl
import hashlib
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path

import yaml
from dagster_dbt import DbtProject

from dagster_project.lib.home import PROJECT_ROOT, Home

# Every library's usage reporting is off unless a user turns it on.
os.environ.setdefault("DBT_SEND_ANONYMOUS_USAGE_STATS", "false")
os.environ.setdefault("DO_NOT_TRACK", "1")

# dagster-dbt looks for `dbt` on the path, which does not hold this environment when it was not activated.
_BIN = str(Path(sys.executable).parent)
if _BIN not in os.environ.get("PATH", "").split(os.pathsep):
    os.environ["PATH"] = os.pathsep.join([_BIN, os.environ.get("PATH", "")])

DBT_DIR = PROJECT_ROOT / "dbt"
DBT_PROJECT = DbtProject(project_dir=DBT_DIR, packaged_project_dir=None)


def set_dbt_environment(home: Home) -> None:
    """Point dbt's profile and sources at a home; dbt reads them as environment variables, in this and child processes."""
    os.environ["DELEVER_WAREHOUSE"] = str(home.warehouse)
    os.environ["DELEVER_RAW"] = str(home.raw)


def set_models_digest() -> None:
    """Tell dbt which version of the project it runs: rows that another version made are made again."""
    digest = hashlib.sha256()
    for name in sorted(path.relative_to(DBT_DIR).as_posix() for path in _files() if path.is_file()):
        digest.update(f"{name}\n".encode() + (DBT_DIR / name).read_bytes())
    os.environ["DELEVER_MODELS_DIGEST"] = digest.hexdigest()


def ensure_manifest() -> Path:
    """The manifest, built when it is missing or older than a file of the project.

    A clean clone has none, and a stale one shows an asset graph that is not what would run. One process builds, others wait.
    """
    with _lock(DBT_DIR / "target.lock"):
        manifest = DBT_PROJECT.manifest_path
        if not manifest.exists() or manifest.stat().st_mtime < max(_modified_times()):
            DBT_PROJECT.preparer.prepare(DBT_PROJECT)
    return manifest


@cache
def natural_keys() -> dict[str, list[str]]:
    """What makes two raw rows the same row, as the staging models of the venues name it.

    Returns:
        Raw columns or expressions, by model.
    """
    found = {}
    for path in sorted((DBT_DIR / "models" / "staging" / "venues").glob("*.yml")):
        for model in yaml.safe_load(path.read_text())["models"]:
            found[model["name"]] = list(model["config"]["meta"]["natural_key"])
    return found


def _files() -> Iterator[Path]:
    """What models are made of, folders included: one that loses a file has changed."""
    for name in ("models", "seeds", "macros", "tests"):
        yield from (DBT_DIR / name).rglob("*")
    yield DBT_DIR / "dbt_project.yml"


def _modified_times() -> Iterator[float]:
    return (path.stat().st_mtime for path in _files())


@contextmanager
def _lock(path: Path) -> Iterator[None]:
    with path.open("w") as handle:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
