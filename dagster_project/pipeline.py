"""Runs of the pipeline from the command line: the same jobs on the same instance as in Dagster's UI, in this process."""

import logging
import os
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
    _execute(home, profile, None, folder, (start, end), console)


def ingest(home: Home, profile: str, *, folder: Path | None, console: Console) -> None:
    """Run a profile's landing and raw assets only; arguments and errors as in ``run``."""
    _execute(home, profile, ("landing", "raw"), folder, (None, None), console)


def _execute(
    home: Home,
    profile: str,
    layers: tuple[str, ...] | None,
    folder: Path | None,
    wanted: tuple[date | None, date | None],
    console: Console,
) -> None:
    days = _days(profile, folder, wanted)
    home.claim(profile)
    home.prepare()
    os.environ["DELEVER_HOME"] = str(home.root)
    os.environ["DAGSTER_HOME"] = str(home.dagster_home)
    with console.status("loading the pipeline (the first time, dbt's models are compiled)"):
        from dagster_project.definitions import defs  # noqa: PLC0415 - loads every asset, which help texts do not need
        from dagster_project.defs.ingest.partitions import range_tags  # noqa: PLC0415

        job = defs().resolve_job_def(profile)
    selection = None
    if layers:
        keys = job.asset_layer.selected_asset_keys
        selection = [key for key in keys if key.path[0] in layers and key.path[-1] != "book"]
    config: dict[str, Any] = {"loggers": {"progress": {}}}
    if folder is not None:
        config["ops"] = {"landing__files": {"config": {"folder": str(folder)}}}
    steps = len(selection) if selection else len(job.graph.node_dict)
    with _quiet(), dg.DagsterInstance.get() as instance, _shown(console, steps):
        result = job.execute_in_process(
            instance=instance,
            tags=range_tags(*days),
            run_config=config,
            raise_on_error=False,
            asset_selection=selection,
        )
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
def _quiet() -> Iterator[None]:
    """Keep libraries' prose off the screen; the run's pages have it."""
    logger = logging.getLogger("dagster")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        yield
    finally:
        logger.setLevel(level)
