"""Jobs, the daily schedule and the sensor on the files folder."""

import hashlib
import json
import os
from collections.abc import Iterator
from datetime import date

import dagster as dg

from dagster_project.defs.ingest.partitions import DAILY, range_tags
from dagster_project.lib.errors import DeleverError
from dagster_project.lib.resources import HomeResource
from dagster_project.sources import files

RAW = dg.AssetSelection.groups("raw")
RAW_FILES = dg.AssetSelection.key_prefixes(["raw"]) & dg.AssetSelection.assets(
    *(["raw", dataset.name] for dataset in files.DATASETS)
)
MODELS = dg.AssetSelection.groups("seeds", "staging", "intermediate", "marts")
PUBLISHED = dg.AssetSelection.groups("published")
STRESS = dg.AssetSelection.groups("stress")

demo_job = dg.define_asset_job(
    "demo",
    selection=dg.AssetSelection.assets(["landing", "sample"]) | RAW | MODELS | STRESS | PUBLISHED,
    partitions_def=DAILY,
    description="The whole path on the synthetic sample: landing, raw, marts, one replay, published snapshot.",
)

files_job = dg.define_asset_job(
    "files",
    selection=dg.AssetSelection.assets(["landing", "files"]) | RAW_FILES | MODELS | PUBLISHED,
    partitions_def=DAILY,
    description="The whole path on a folder of declared files: landing, raw, marts, published snapshot.",
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
        partition_key=DAILY.get_last_partition_key(context.scheduled_execution_time),
    ),
    description="Every day the last complete day is made from landing to the published snapshot.",
)


@dg.sensor(
    name="files_inbox",
    job=files_job,
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
    context.update_cursor(digest)
    first = max(min(start for _, start, _ in found), date.fromisoformat(DAILY.get_first_partition_key() or ""))
    last = max(end for _, _, end in found)
    yield dg.RunRequest(
        run_key=digest,
        tags=range_tags(first, last),
        run_config=dg.RunConfig(ops={"landing__files": {"config": {"folder": str(inbox)}}}),
    )
