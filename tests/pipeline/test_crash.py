"""A run that is killed leaves the last snapshot served, and the next run finishes with the same rows."""

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from built_homes import Built, run_cli
from dagster_project.lib.home import PROJECT_ROOT, Home
from dagster_project.lib.publish import read_snapshot

pytestmark = [pytest.mark.xdist_group("real"), pytest.mark.real]


def test_killed_run_is_finished_by_the_next(real: Built, real_data: Path, tmp_path: Path) -> None:
    home = Home(tmp_path / "home")
    shutil.copytree(real.home.root, home.root, symlinks=True)
    served = read_snapshot(home)
    assert served is not None
    command = [str(Path(sys.executable).with_name("delever")), "run", "--profile", "files", "--landing", str(real_data)]
    running = subprocess.Popen(
        command,
        env=os.environ | {"DELEVER_HOME": str(home.root)},
        cwd=PROJECT_ROOT,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        wait_until(lambda: writing(home), running)
    finally:
        os.killpg(running.pid, signal.SIGKILL)
        running.wait()
    assert read_snapshot(home) == served, "readers still see the last good snapshot"
    assert run_cli(home.root, "query", "SELECT count(*) FROM fct_exchange_share").returncode == 0

    again = run_cli(home.root, "run", "--profile", "files", "--landing", str(real_data))
    assert again.returncode == 0, again.stderr
    finished = read_snapshot(home)
    assert finished is not None
    assert finished.tables == served.tables


def writing(home: Home) -> bool:
    """While dbt writes the warehouse, its log lies beside it: the worst moment to be killed in."""
    return home.warehouse.with_name(home.warehouse.name + ".wal").exists()


def wait_until(reached: Callable[[], bool], running: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + 300
    while time.monotonic() < deadline:
        assert running.poll() is None, "the run ended before it could be killed"
        if reached():
            return
        time.sleep(0.05)
    pytest.fail("the run did not get to the place where it was to be killed")


def test_second_command_line_is_refused_while_one_runs(real: Built, real_data: Path) -> None:
    import fcntl  # noqa: PLC0415

    with (real.home.root / "run.lock").open("w") as handle:
        fcntl.flock(handle, fcntl.LOCK_EX)
        done = run_cli(real.home.root, "run", "--profile", "files", "--landing", str(real_data))
    assert done.returncode == 2
    assert "Another `delever` is running" in done.stderr
