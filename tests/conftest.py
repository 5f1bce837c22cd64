"""Fixtures that all tests share: a home that goes away, and the folder of real data when it is there."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from built_homes import Built, has_real_data, real_folder, run_cli
from dagster_project.fetch import limits
from dagster_project.lib.home import Home
from dagster_project.lib.raw import RawStore

# Before anything imports Dagster's or dbt's settings: no test reports usage to anyone.
os.environ["DO_NOT_TRACK"] = "1"
os.environ["DAGSTER_DISABLE_TELEMETRY"] = "yes"
os.environ["DBT_SEND_ANONYMOUS_USAGE_STATS"] = "false"


@pytest.fixture(autouse=True)
def _limiters_are_closed() -> Iterator[None]:
    """A process has one limiter a host; tests have one a test, whose files would add up to all that a process may open."""
    yield
    while limits._LIMITERS:
        _, (limiter, _) = limits._LIMITERS.popitem()
        limiter.close()


@pytest.fixture
def home(tmp_path: Path) -> Home:
    """An empty home, with its folders and the raw layer's zero-row files."""
    made = Home(tmp_path / "home")
    made.prepare()
    RawStore(made.raw, made.scratch).prepare()
    return made


@pytest.fixture(scope="session")
def real_data() -> Path:
    """The folder of real data; tests that need it are skipped where it is absent."""
    folder = real_folder()
    if not has_real_data():
        pytest.skip(f"no real data at {folder}; set DELEVER_REAL_DATA to its folder")
    return folder.resolve()


@pytest.fixture(scope="session")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Built:
    """The whole demo, built once; tests that use it carry the xdist group `demo`."""
    home = Home(tmp_path_factory.mktemp("demo") / "home")
    done = run_cli(home.root, "run", "--profile", "demo")
    assert done.returncode == 0, done.stderr[-4000:] + done.stdout[-2000:]
    return Built(home, done.stdout)


@pytest.fixture(scope="session")
def real(tmp_path_factory: pytest.TempPathFactory, real_data: Path) -> Built:
    """The whole path on the real files, built once; tests that use it carry the xdist group `real`."""
    home = Home(tmp_path_factory.mktemp("real") / "home")
    done = run_cli(home.root, "run", "--profile", "files", "--landing", str(real_data))
    assert done.returncode == 0, done.stderr[-4000:] + done.stdout[-2000:]
    return Built(home, done.stdout)
