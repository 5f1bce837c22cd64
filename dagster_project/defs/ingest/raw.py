"""Raw assets: one per dataset, a day a partition, all made by one factory from the sources' own lists."""

from datetime import timedelta

import dagster as dg

from dagster_project.defs.ingest.keys import landing_key, raw_key
from dagster_project.defs.ingest.landing import OWNERS, RETRY
from dagster_project.defs.ingest.partitions import DAILY, days_of
from dagster_project.defs.ingest.venues import FRESH_FOR
from dagster_project.lib.raw import columns_of
from dagster_project.lib.resources import HomeResource, failures_for_users
from dagster_project.recorder import FEEDS as RECORDED
from dagster_project.sources import files
from dagster_project.sources.dataset import Dataset, build_raw
from dagster_project.sources.demo.landing import SAMPLED
from dagster_project.sources.registry import FEEDS
from schemas.raw import model_of

SAMPLE = dg.AssetKey(["landing", "sample"])
FILES = dg.AssetKey(["landing", "files"])


def column_schema(dataset: str) -> dg.TableSchema:
    """Columns of a raw dataset for the UI."""
    columns = [
        dg.TableColumn(name, str(kind).removeprefix("!"), constraints=dg.TableColumnConstraints(nullable=kind.nullable))
        for name, kind in columns_of(model_of(dataset)).items()
    ]
    return dg.TableSchema(columns=columns)


def build_raw_asset(dataset: Dataset, deps: list[dg.AssetKey], fail_window: timedelta) -> dg.AssetsDefinition:
    """The asset of one raw dataset; a run over a range of days reads landing once."""

    @dg.asset(
        key=raw_key(dataset.name),
        deps=deps,
        partitions_def=DAILY,
        backfill_policy=dg.BackfillPolicy.single_run(),
        group_name="raw",
        kinds={"parquet", "duckdb"},
        owners=OWNERS,
        retry_policy=RETRY,
        description=f"{model_of(dataset.name).__doc__}\n\nFiles: raw/{dataset.name}/venue=/date=/part.parquet",
        metadata={"dagster/column_schema": column_schema(dataset.name)},
        freshness_policy=dg.FreshnessPolicy.time_window(fail_window=fail_window),
    )
    def raw(context: dg.AssetExecutionContext, home: HomeResource) -> dg.MaterializeResult:
        start, end = days_of(context.partition_key_range)
        with failures_for_users():
            intake = build_raw(dataset, home.get(), start, end)
        if intake.quarantined:
            context.log.warning(f"{intake.quarantined} records in quarantine: {intake.reasons}")
        return dg.MaterializeResult(
            metadata={
                "dagster/partition_row_count": sum(count.rows for count in intake.counts),
                "files": len(intake.counts),
                "venues": ", ".join(sorted({count.venue for count in intake.counts})) or "none",
                "records read": intake.records,
                "records in quarantine": intake.quarantined,
                "records excluded by rule": intake.excluded,
                "quarantine reasons": dg.MetadataValue.json(intake.reasons),
            }
        )

    return raw


def _deps(name: str, entity: str) -> list[dg.AssetKey]:
    feed = FEEDS[name, entity]
    deps = [landing_key(feed)] if feed.origins else []
    deps += [SAMPLE] if (name, entity) in SAMPLED else []
    return deps + ([dg.AssetKey(["recorder", name])] if entity == "liquidations" and name in RECORDED else [])


RAW_ASSETS = [
    *(build_raw_asset(feed.dataset, _deps(feed.name, feed.entity), FRESH_FOR[feed.cadence]) for feed in FEEDS.values()),
    *(build_raw_asset(dataset, [SAMPLE, FILES], timedelta(hours=48)) for dataset in files.DATASETS),
]
