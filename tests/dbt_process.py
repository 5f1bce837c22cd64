"""dbt's command line in a process of its own, forked from one that has imported dbt: that takes longer than a small run."""

import multiprocessing
import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

# A server of forks, since a fork of the tests' own process would inherit their threads.
_FORKS = multiprocessing.get_context("forkserver")
_FORKS.set_forkserver_preload(["dbt.cli.main", "dbt.adapters.duckdb"])


def run(arguments: Sequence[str], environment: Mapping[str, str], folder: Path) -> subprocess.CompletedProcess[str]:
    """Run ``dbt`` with some arguments.

    Args:
        arguments: After the program's name.
        environment: All of its variables.
        folder: Where it runs.

    Returns:
        As of ``subprocess.run`` with captured text.
    """
    with tempfile.TemporaryDirectory() as scratch:
        out, err = Path(scratch) / "out", Path(scratch) / "err"
        process = _FORKS.Process(target=_main, args=(list(arguments), dict(environment), folder, out, err))
        process.start()
        process.join()
        code = process.exitcode
        process.close()
        assert code is not None
        return subprocess.CompletedProcess(["dbt", *arguments], code, out.read_text(), err.read_text())


def _main(arguments: list[str], environment: dict[str, str], folder: Path, out: Path, err: Path) -> None:
    for number, path in ((1, out), (2, err)):
        with path.open("w") as stream:
            os.dup2(stream.fileno(), number)
    os.environ.clear()
    os.environ.update(environment)
    os.chdir(folder)
    sys.argv = ["dbt", *arguments]
    # Both read the environment, and are there already.
    from dbt.adapters.duckdb.connections import DuckDBConnectionManager  # noqa: PLC0415
    from dbt.cli.main import cli  # noqa: PLC0415

    try:
        cli()
    finally:
        # A forked process ends without what Python does at its end, and the log of the warehouse would stay beside it.
        DuckDBConnectionManager.close_all_connections()
