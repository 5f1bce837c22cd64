"""Runs of the pipeline from the command line: the same jobs on the same instance as in Dagster's UI, in this process."""

import fcntl
import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import dagster as dg
from rich.console import Console
from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

from dagster_project.lib import progress
from dagster_project.lib.errors import PipelineError, UsageError
from dagster_project.lib.home import Home
from dagster_project.sources.feed import Feed

CLI_TAG = "delever/command_line"
"""Marks the runs that live in a command line's process."""

SEQUENCES = {
    "demo": ("ingest_sample", "replay", "models"),
    "files": ("ingest_files", "models"),
    "live": ("ingest_live", "models"),
}
"""The jobs that make up a profile's whole path, in order; the first is ingestion."""

DEMO_SCENARIO = "first_fall"
"""What the demo replays."""

SAMPLE_YEAR = (date(2025, 1, 1), date(2025, 12, 31))


@dataclass(frozen=True)
class Step:
    """One job of a sequence.

    Args:
        job: Its name.
        days: First and last day, for jobs over days.
        partition: The partition, for jobs over something else.
        keys: Assets to make; all of the job's when None.
        ops: Configuration by op.
    """

    job: str
    days: tuple[date, date] | None = None
    partition: str | None = None
    keys: tuple[dg.AssetKey, ...] | None = None
    ops: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class LiveAsk:
    """What to ask the venues.

    Args:
        feeds: Connectors; all when empty.
        entities: Entities; all when empty.
        fetch: Configuration of every landing asset (see ``defs.ingest.venues.FetchConfig``).
    """

    feeds: tuple[str, ...] = ()
    entities: tuple[str, ...] = ()
    fetch: Mapping[str, Any] = field(default_factory=dict)


Days = tuple[date | None, date | None]


def run(
    home: Home, profile: str, days: Days, console: Console, *, folder: Path | None = None, live: LiveAsk | None = None
) -> None:
    """Run a profile's jobs over a range of days and publish.

    Args:
        home: Where state goes; bound to the profile by its first run.
        profile: ``demo``, ``files`` or ``live``.
        days: First and last day (inclusive); None for what the data has (``live``: yesterday).
        console: For progress.
        folder: Profile ``files``: folder of declared files.
        live: Profile ``live``: what to ask for.

    Raises:
        UsageError: The folder, the days or the home do not fit.
        DataError: A declared file does not fit its spec.
        PipelineError: A step or a blocking check failed; nothing was published.
    """
    execute(home, profile, plan(profile, days, folder, live), console)


def ingest(
    home: Home, profile: str, days: Days, console: Console, *, folder: Path | None = None, live: LiveAsk | None = None
) -> None:
    """Run a profile's landing and raw assets only; arguments and errors as in ``run``."""
    steps = plan(profile, days, folder, live)
    execute(home, profile, [step for step in steps if step.days is not None], console)


def reread(home: Home, days: Mapping[str, tuple[date, date]], console: Console) -> None:
    """Make days of raw datasets anew from landing.

    Args:
        home: Where they are.
        days: First and last day by dataset.
        console: For progress.

    Raises:
        PipelineError: A step or a blocking check failed.
    """
    from dagster_project.defs.ingest.keys import raw_key  # noqa: PLC0415

    steps = [Step("reread", span, keys=(raw_key(dataset),)) for dataset, span in sorted(days.items())]
    execute(home, home.profile(), steps, console)


def plan(profile: str, days: Days, folder: Path | None, live: LiveAsk | None) -> list[Step]:
    """The jobs of a profile, in order, with their days, assets and configuration."""
    first, *following = SEQUENCES[profile]
    # Days belong to ingestion, the first job; what follows is made whole.
    rest = [Step(name, partition=DEMO_SCENARIO if name == "replay" else None) for name in following]
    if profile == "live":
        return [*_live_steps(first, days, live or LiveAsk()), *rest]
    if profile == "demo":
        return [*_sample_steps(first, _days(None, days)), *rest]
    settings = {"landing__files": {"config": {"folder": str(folder)}}} if folder is not None else {}
    return [Step(first, _days(folder, days), ops=settings), *rest]


def _sample_steps(job: str, days: tuple[date, date]) -> list[Step]:
    """The year for what spans it, and the event's days for all else: a run plans every asset for every day of its range."""
    from dagster_project.defs.ingest.keys import raw_key  # noqa: PLC0415
    from dagster_project.sources import files  # noqa: PLC0415
    from dagster_project.sources.demo.landing import SAMPLED  # noqa: PLC0415
    from dagster_project.sources.demo.spans import AROUND_EVENT, YEAR_LONG  # noqa: PLC0415

    long = [raw_key(dataset.name) for dataset in files.DATASETS]
    long += [raw_key(f"{feed}__{entity}") for feed, entity in sorted(YEAR_LONG)]
    short = [raw_key(f"{feed}__{entity}") for feed, entity in sorted(SAMPLED - YEAR_LONG)]
    around = max(days[0], AROUND_EVENT[0]), min(days[1], AROUND_EVENT[1])
    steps = [Step(job, days, keys=(dg.AssetKey(["landing", "sample"]), *long))]
    return [*steps, Step(job, around, keys=tuple(short))] if around[0] <= around[1] else steps


def _live_steps(job: str, days: Days, live: LiveAsk) -> list[Step]:
    """Contracts and what only the present tells first, then the days."""
    from dagster_project.defs.ingest.keys import landing_key, raw_key  # noqa: PLC0415
    from dagster_project.defs.ingest.partitions import FIRST_DAY  # noqa: PLC0415
    from dagster_project.sources.registry import FEEDS  # noqa: PLC0415

    wished = [
        feed
        for feed in FEEDS.values()
        if feed.origins
        and (not live.feeds or feed.name in live.feeds)
        and (not live.entities or feed.entity in live.entities)
    ]
    # Without its key a feed cannot be asked; named by its entity, it says so itself.
    chosen = [feed for feed in wished if live.entities or all(os.environ.get(name) for name in feed.needs)]
    if wished and not chosen:
        keys = sorted({name for feed in wished for name in feed.needs if not os.environ.get(name)})
        raise UsageError(f"{', '.join(sorted({feed.name for feed in wished}))} needs a key: set {', '.join(keys)}.")
    if not chosen:
        raise UsageError("No feed fits: `delever sources list` shows connectors and their entities.")
    today = datetime.now(UTC).date()
    end = days[1] or today - timedelta(days=1)
    start = days[0] or end
    if end > today:
        raise UsageError(f"--to {end} lies in the future; today is {today} (UTC).")
    if start < date.fromisoformat(FIRST_DAY):
        raise UsageError(f"--from {start} lies before the first day that Delever keeps, {FIRST_DAY}.")
    wanted = str(live.fetch.get("origin"))
    present = [
        feed for feed in chosen if feed.mode_by(wanted if wanted in feed.origins else feed.default_origin) == "snapshot"
    ]
    names = {feed.name for feed in chosen if feed.has_contracts}
    contracts = [FEEDS[name, "instruments"] for name in sorted(names) if (name, "instruments") in FEEDS]
    present += [feed for feed in contracts if feed not in present]
    history = [feed for feed in chosen if feed not in present]

    def step(feeds: list[Feed], span: tuple[date, date]) -> Step:
        keys = [key for feed in feeds for key in (landing_key(feed), raw_key(feed.dataset_name))]
        ops = {f"landing__{feed.name}__{feed.entity}": {"config": _fetch_of(feed, live)} for feed in feeds}
        return Step(job, span, keys=tuple(keys), ops=ops)

    now = datetime.now(UTC)
    spans = sorted({feed.present(now) for feed in present}, reverse=True)
    steps = [step([feed for feed in present if feed.present(now) == span], span) for span in spans]
    return [*steps, step(history, (start, end))] if history else steps


def _fetch_of(feed: Feed, live: LiveAsk) -> dict[str, Any]:
    """A run's configuration of one feed: a named origin goes to the feeds that have it."""
    config = dict(live.fetch)
    if config.get("origin") and config["origin"] not in feed.origins:
        if live.entities and feed.entity in live.entities:
            raise UsageError(
                f"{feed.name} {feed.entity} has no origin '{config['origin']}': {', '.join(feed.origins)}."
            )
        del config["origin"]
    return config


def execute(home: Home, profile: str, steps: Sequence[Step], console: Console) -> None:
    """Run jobs in this process, one after the other, with progress on the screen.

    Raises:
        UsageError: The home holds another profile, or another command line is at work in it.
        PipelineError: A step or a blocking check failed.
    """
    # First, since it says in words what is wrong with a home that cannot be written.
    home.prepare()
    home.claim(profile)
    os.environ["DELEVER_HOME"] = str(home.root)
    os.environ["DAGSTER_HOME"] = str(home.dagster_home)
    with _own_screen(home, console) as screen:
        with screen.status("loading the pipeline (the first time, dbt's models are compiled)"):
            from dagster_project.definitions import defs  # noqa: PLC0415 - loads every asset; help texts do without
            from dagster_project.defs.ingest.partitions import range_tags  # noqa: PLC0415

            jobs = [(step, defs().resolve_job_def(step.job)) for step in steps]
        total = sum(len(_chosen(job, step).graph.node_dict) for step, job in jobs)
        with _only_run(home), dg.DagsterInstance.get() as instance, _shown(screen, total):
            _bury_dead_runs(instance)
            for step, job in jobs:
                result = job.execute_in_process(
                    instance=instance,
                    tags={CLI_TAG: "true"} | (range_tags(*step.days) if step.days else {}),
                    partition_key=step.partition,
                    asset_selection=list(step.keys) if step.keys else None,
                    run_config={"loggers": {"progress": {}}, "ops": dict(step.ops)},
                    raise_on_error=False,
                )
                _refuse_faults(result)


def _chosen(job: dg.JobDefinition, step: Step) -> dg.JobDefinition:
    return job.get_subset(asset_selection=set(step.keys)) if step.keys else job


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


def _days(folder: Path | None, wanted: Days) -> tuple[date, date]:
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

        name = ""

        def on_event(event: dg.DagsterEvent) -> None:
            nonlocal name
            if event.event_type == dg.DagsterEventType.STEP_START:
                name = (event.step_key or "").replace("__", "/")
                bar.update(task, description=name)
            elif event.event_type in (dg.DagsterEventType.STEP_SUCCESS, dg.DagsterEventType.STEP_FAILURE):
                bar.advance(task)

        stops = [
            progress.listen(on_event),
            progress.watch(lambda text: bar.update(task, description=f"{name} {text}")),
        ]
        try:
            yield
            bar.update(task, description="done")
        finally:
            for stop in stops:
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
