"""Jobs, the schedules of ingestion and models, and the sensor on the files folder."""

import hashlib
import json
import os
from collections.abc import Iterable, Iterator
from datetime import date, timedelta

import dagster as dg

from dagster_project.defs.ingest.keys import landing_key, raw_key
from dagster_project.defs.ingest.partitions import DAILY, range_tags
from dagster_project.defs.ingest.polls import FRESHNESS_CHECKS, build_poll_schedule
from dagster_project.defs.replay.assets import SCENARIOS, SWEEPS
from dagster_project.lib.errors import DeleverError
from dagster_project.lib.resources import HomeResource
from dagster_project.sources import files
from dagster_project.sources.demo.landing import SAMPLED
from dagster_project.sources.feed import Cadence, Feed
from dagster_project.sources.registry import FEEDS

FRESHNESS = dg.AssetSelection.checks(*(key for one in FRESHNESS_CHECKS for key in one.check_keys))
"""Asked once a day, by a job of their own: a run that brings a day is not asked whether yesterday is there."""

RAW = dg.AssetSelection.groups("raw") - FRESHNESS
RAW_SAMPLE = dg.AssetSelection.assets(*(raw_key(FEEDS[one].dataset_name) for one in sorted(SAMPLED))) - FRESHNESS
RAW_FILES = dg.AssetSelection.assets(*(raw_key(dataset.name) for dataset in files.DATASETS))
DATA_GAP = dg.AssetSelection.assets(["raw", "data_gap"])
MODELS = DATA_GAP | dg.AssetSelection.groups("seeds", "staging", "intermediate", "marts")
PUBLISHED = dg.AssetSelection.groups("published")
BOOK = dg.AssetSelection.assets(["landing", "book"])


def _of(feeds: Iterable[Feed]) -> dg.AssetSelection:
    """Landing and raw of feeds that can be asked."""
    asked = [feed for feed in feeds if feed.origins]
    keys = [landing_key(feed) for feed in asked] + [raw_key(feed.dataset_name) for feed in asked]
    return dg.AssetSelection.assets(*keys) - FRESHNESS


INGEST = {
    "demo": dg.define_asset_job(
        "ingest_sample",
        selection=dg.AssetSelection.assets(["landing", "sample"]) | RAW_SAMPLE | RAW_FILES,
        partitions_def=DAILY,
        description="The synthetic sample into landing and raw, for a range of days as one run.",
    ),
    "files": dg.define_asset_job(
        "ingest_files",
        selection=dg.AssetSelection.assets(["landing", "files"]) | RAW_FILES,
        partitions_def=DAILY,
        description="A folder of declared files into landing and raw, for a range of days as one run.",
    ),
    "live": dg.define_asset_job(
        "ingest_live",
        selection=_of(FEEDS.values()),
        partitions_def=DAILY,
        description="Venues into landing and raw, for a range of days as one run. Choose the feeds in the launchpad.",
    ),
}
"""Ingestion by profile. Apart from the models: in a run over a range of days, Dagster plans every check of every unpartitioned
asset once a day, and 340 checks for a year took a minute before the first step."""

reread_job = dg.define_asset_job(
    "reread",
    selection=RAW,
    partitions_def=DAILY,
    description="Raw made anew from what has landed, for a range of days as one run; asks nobody.",
)

replay_job = dg.define_asset_job(
    "replay",
    selection=BOOK | dg.AssetSelection.assets(["stress", "replay"]),
    partitions_def=SCENARIOS,
    description="One replay of a scenario, the partition, over a position book, into the warehouse.",
)

sweep_job = dg.define_asset_job(
    "sweep",
    selection=BOOK | dg.AssetSelection.assets(["stress", "sweep"]),
    partitions_def=SWEEPS,
    description="Every run of a sweep, the partition, over a position book, into the warehouse.",
)

reverse_job = dg.define_asset_job(
    "reverse",
    selection=BOOK | dg.AssetSelection.assets(["stress", "reverse"]),
    partitions_def=SCENARIOS,
    description="The smallest shock of a scenario, the partition, at which something goes wrong. Choose what in the launchpad.",
)

REPLAYS = (replay_job, sweep_job, reverse_job)

models_job = dg.define_asset_job(
    "models",
    selection=MODELS | PUBLISHED,
    description="Marts from what raw holds, their checks and gate, and the published snapshot.",
)

daily_job = dg.define_asset_job(
    "daily",
    selection=RAW | MODELS | PUBLISHED,
    partitions_def=DAILY,
    description="One day, or a range of days as one run, from landing to the published snapshot. Backfill with this one.",
)

daily_schedule = dg.ScheduleDefinition(
    name="daily",
    job=daily_job,
    # After the last venue has closed its UTC day and archives have appeared; the environment overrides it.
    cron_schedule=os.environ.get("DELEVER_DAILY_CRON") or "30 6 * * *",
    execution_timezone="UTC",
    default_status=dg.DefaultScheduleStatus.STOPPED,
    execution_fn=lambda context: dg.RunRequest(
        run_key=f"{context.scheduled_execution_time:%Y-%m-%dT%H:%M}",
        partition_key=f"{context.scheduled_execution_time - timedelta(days=1):%Y-%m-%d}",
    ),
    description="Every day the last complete day is made from landing to the published snapshot.",
)

POLLS = {
    cadence: dg.define_asset_job(
        f"poll_{cadence.name.lower()}",
        selection=_of(feed for feed in FEEDS.values() if feed.cadence is cadence),
        partitions_def=DAILY,
        description=f"Feeds that are asked every {cadence.name.lower().replace('_', ' ')}, into landing and raw.",
    )
    for cadence in Cadence
    if any(feed.cadence is cadence and feed.origins for feed in FEEDS.values())
}
"""Ingestion by how soon the venues forget."""

POLL_SCHEDULES = [build_poll_schedule(cadence, job.name) for cadence, job in POLLS.items()]

freshness_job = dg.define_asset_job(
    "freshness",
    selection=FRESHNESS,
    description="Is the last complete day of every daily feed there?",
)

freshness_schedule = dg.ScheduleDefinition(
    name="freshness",
    job=freshness_job,
    cron_schedule="15 7 * * *",
    execution_timezone="UTC",
    default_status=dg.DefaultScheduleStatus.STOPPED,
    description="After the daily round: warns of days that did not arrive.",
)


@dg.sensor(
    name="files_inbox",
    job=INGEST["files"],
    minimum_interval_seconds=30,
    default_status=dg.DefaultSensorStatus.STOPPED,
    description="Watches the inbox folder: when a declared file is new or changed, the folder is taken in.",
)
def files_inbox(context: dg.SensorEvaluationContext, home: HomeResource) -> Iterator[dg.RunRequest | dg.SkipReason]:
    """Ask for a run when what the inbox declares has changed since the last one."""
    place = home.get()
    inbox = place.inbox
    if not inbox.is_dir():
        yield dg.SkipReason(f"{inbox} does not exist; make it and put files with their specs there.")
        return
    try:
        found = [(declared, *files.check(declared)) for declared in files.declared_files(inbox)]
    except DeleverError as error:
        # Shown at the sensor's tick; the next tick looks again.
        yield dg.SkipReason(f"The inbox is not taken in: {error}")
        return
    if not found:
        yield dg.SkipReason(f"Nothing in {inbox} is declared.")
        return
    state = [
        [
            declared.relative,
            declared.path.stat().st_size,
            declared.path.stat().st_mtime_ns,
            declared.spec.model_dump_json(),
        ]
        for declared, _, _ in found
    ]
    digest = hashlib.sha256(json.dumps(state).encode()).hexdigest()[:16]
    if context.cursor == digest:
        yield dg.SkipReason("Nothing has changed.")
        return
    held = min(start for _, start, _ in found), max(end for _, _, end in found)
    known = [date.fromisoformat(key or "") for key in (DAILY.get_first_partition_key(), DAILY.get_last_partition_key())]
    first, last = max(held[0], known[0]), min(held[1], known[1])
    if first > last:
        yield dg.SkipReason(
            f"The inbox has {held[0]} to {held[1]}, Delever's partitions are {known[0]} to {known[1]}: no day to take in."
        )
        return
    context.update_cursor(digest)
    yield dg.RunRequest(
        run_key=digest,
        tags=range_tags(first, last),
        run_config=dg.RunConfig(ops={"landing__files": {"config": {"folder": str(inbox)}}}),
    )


@dg.run_status_sensor(
    name="models_after_ingestion",
    run_status=dg.DagsterRunStatus.SUCCESS,
    monitored_jobs=[INGEST["files"]],
    request_job=models_job,
    minimum_interval_seconds=30,
    default_status=dg.DefaultSensorStatus.STOPPED,
    description="When declared files have come in, the marts are made and published.",
)
def models_after_ingestion(context: dg.RunStatusSensorContext) -> dg.RunRequest | dg.SkipReason:
    """Ask for the models once for each ingestion that the inbox asked for (the command line runs them itself)."""
    if context.dagster_run.tags.get("dagster/sensor_name") != "files_inbox":
        return dg.SkipReason("This ingestion was not asked for by the inbox.")
    return dg.RunRequest(run_key=context.dagster_run.run_id)


@dg.definitions
def jobs() -> dg.Definitions:
    """Everything above, by name: a dict of jobs is not found by the loader."""
    return dg.Definitions(
        jobs=[*INGEST.values(), *POLLS.values(), freshness_job, reread_job, *REPLAYS, models_job, daily_job],
        schedules=[daily_schedule, *POLL_SCHEDULES, freshness_schedule],
        sensors=[files_inbox, models_after_ingestion],
    )
