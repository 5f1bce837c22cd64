"""Runs of the pipeline from the command line: the same jobs on the same instance as in Dagster's UI, in this process."""

import fcntl
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date
from pathlib import Path
from typing import Any

import dagster as dg
from rich.console import Console
from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

from dagster_project.lib import progress
from dagster_project.lib.errors import PipelineError, UsageError
from dagster_project.lib.home import Home

CLI_TAG = "delever/command_line"
"""Marks the runs that live in a command line's process."""

SAMPLE_YEAR = (date(2025, 1, 1), date(2025, 12, 31))


def run(
    home: Home,
    profile: str,
    *,
    folder: Path | None,
    start: date | None,
    end: date | None,
    console: Console,
) -> None:
    """Run a profile's job over a range of days and publish.

    Args:
        home: Where state goes; bound to the profile by its first run.
        profile: ``demo`` or ``files``, which are the jobs' names.
        folder: Profile ``files``: folder of declared files.
        start: First day, or None for the first that the data has.
        end: Last day (inclusive), or None for the last that the data has.
        console: For progress.

    Raises:
        UsageError: The folder, the days or the home do not fit.
        DataError: A declared file does not fit its spec.
        PipelineError: A step or a blocking check failed; nothing was published.
    """
    _execute(home, profile, folder, (start, end), console, ingest_only=False)


def ingest(home: Home, profile: str, *, folder: Path | None, console: Console) -> None:
    """Run a profile's landing and raw assets only; arguments and errors as in ``run``."""
    _execute(home, profile, folder, (None, None), console, ingest_only=True)


def _execute(
    home: Home,
    profile: str,
    folder: Path | None,
    wanted: tuple[date | None, date | None],
    console: Console,
    *,
    ingest_only: bool,
) -> None:
    days = _days(profile, folder, wanted)
    # First, since it says in words what is wrong with a home that cannot be written.
    home.prepare()
    home.claim(profile)
    os.environ["DELEVER_HOME"] = str(home.root)
    os.environ["DAGSTER_HOME"] = str(home.dagster_home)
    settings = {"landing__files": {"config": {"folder": str(folder)}}} if folder is not None else {}
    with _own_screen(home, console) as screen:
        with screen.status("loading the pipeline (the first time, dbt's models are compiled)"):
            from dagster_project.definitions import defs  # noqa: PLC0415 - loads every asset; help texts do without
            from dagster_project.defs.ingest.partitions import range_tags  # noqa: PLC0415
            from dagster_project.defs.jobs import SEQUENCES  # noqa: PLC0415

            names = SEQUENCES[profile][:1] if ingest_only else SEQUENCES[profile]
            jobs = [defs().resolve_job_def(name) for name in names]
        with (
            _only_run(home),
            dg.DagsterInstance.get() as instance,
            _shown(screen, sum(len(job.graph.node_dict) for job in jobs)),
        ):
            _bury_dead_runs(instance)
            for number, job in enumerate(jobs):
                result = job.execute_in_process(
                    instance=instance,
                    # Days belong to ingestion, the first job; what follows is made whole.
                    tags={CLI_TAG: "true"} | (range_tags(*days) if number == 0 else {}),
                    run_config={"loggers": {"progress": {}}, "ops": settings if number == 0 else {}},
                    raise_on_error=False,
                )
                _refuse_faults(result)


@contextmanager
def _only_run(home: Home) -> Iterator[None]:
    """Let one command line at a time run in a home; the lock goes with its process, however that ends."""
    with (home.root / "run.lock").open("w") as handle:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise UsageError(
                f"Another `delever` is running in {home.root}. Wait for it, or use another DELEVER_HOME."
            ) from error
        yield


def _bury_dead_runs(instance: dg.DagsterInstance) -> None:
    """End runs whose process was killed, and give back the writer's place that they hold.

    With the lock held, a command line's run that is still under way has lost its process; the next one would wait for its
    place in the pool for ever.
    """
    under_way = dg.RunsFilter(
        statuses=[dg.DagsterRunStatus.NOT_STARTED, dg.DagsterRunStatus.STARTING, dg.DagsterRunStatus.STARTED],
        tags={CLI_TAG: "true"},
    )
    for dead in instance.get_runs(under_way):
        instance.report_run_failed(dead, "The process of this run was killed.")
        instance.event_log_storage.free_concurrency_slots_for_run(dead.run_id)


def _refuse_faults(result: dg.ExecuteInProcessResult) -> None:
    faults = list(_faults(result))
    if faults or not result.success:
        raise PipelineError(
            "The run did not publish; readers still see the last good snapshot.\n"
            + "\n".join(faults or ["  a step failed without a message"])
            + f"\nDetails: run {result.run_id} in the pages of `delever ui`."
        )


def _days(profile: str, folder: Path | None, wanted: tuple[date | None, date | None]) -> tuple[date, date]:
    from dagster_project.defs.ingest.partitions import DAILY  # noqa: PLC0415
    from dagster_project.sources import files  # noqa: PLC0415

    first_known = date.fromisoformat(DAILY.get_first_partition_key() or "")
    last_known = date.fromisoformat(DAILY.get_last_partition_key() or "")
    held = SAMPLE_YEAR
    if folder is not None:
        periods = [(arrival.period_start, arrival.period_end) for _, arrival in files.arrivals(folder)]
        held = min(start for start, _ in periods), max(end for _, end in periods)
    start, end = max(wanted[0] or held[0], first_known), min(wanted[1] or held[1], last_known)
    if start > end:
        raise UsageError(
            f"No day to run: the data has {held[0]} to {held[1]}, Delever's partitions are {first_known} to {last_known}."
        )
    return start, end


def _faults(result: dg.ExecuteInProcessResult) -> Iterator[str]:
    for event in result.all_node_events:
        if event.is_step_failure:
            data = event.step_failure_data
            failure = data.user_failure_data
            text = failure.description if failure and failure.description else _message(data.error)
            yield f"  {event.step_key}: {text}"
    for check in result.get_asset_check_evaluations():
        if not check.passed and check.severity == dg.AssetCheckSeverity.ERROR:
            yield f"  check {check.check_name} on {check.asset_key.to_user_string()}: {check.description or 'failed'}"


def _message(error: Any) -> str:  # noqa: ANN401 - Dagster's serialised error
    if error is None:
        return "failed"
    while error.cause is not None:
        error = error.cause
    return " ".join(error.message.split())[:1500]


@contextmanager
def _shown(console: Console, steps: int) -> Iterator[None]:
    """A bar of finished steps, and the name of the one at work."""
    columns = (
        SpinnerColumn(),
        TextColumn("{task.description:<44}"),
        BarColumn(),
        TextColumn("{task.completed}/{task.total} steps"),
        TimeElapsedColumn(),
    )
    with Progress(*columns, console=console, transient=False) as bar:
        task = bar.add_task("starting", total=steps)

        def on_event(event: dg.DagsterEvent) -> None:
            if event.event_type == dg.DagsterEventType.STEP_START:
                bar.update(task, description=(event.step_key or "").replace("__", "/"))
            elif event.event_type in (dg.DagsterEventType.STEP_SUCCESS, dg.DagsterEventType.STEP_FAILURE):
                bar.advance(task)

        stop = progress.listen(on_event)
        try:
            yield
            bar.update(task, description="done")
        finally:
            stop()


@contextmanager
def _own_screen(home: Home, console: Console) -> Iterator[Console]:
    """Keep the screen for progress, and send what libraries and child processes print to ``logs/last_run.log``.

    Dagster mirrors both streams into each step's log by file descriptor, so the screen is a descriptor of its own.
    """
    log = home.root / "logs" / "last_run.log"
    log.parent.mkdir(parents=True, exist_ok=True)
    sys.stdout.flush()
    sys.stderr.flush()
    kept = os.dup(1), os.dup(2)
    with log.open("w") as sink, os.fdopen(os.dup(2), "w") as screen:
        os.dup2(sink.fileno(), 1)
        os.dup2(sink.fileno(), 2)
        try:
            yield Console(file=screen, force_terminal=console.is_terminal, width=console.width)
        finally:
            sys.stdout.flush()
            sys.stderr.flush()
            os.dup2(kept[0], 1)
            os.dup2(kept[1], 2)
            os.close(kept[0])
            os.close(kept[1])
