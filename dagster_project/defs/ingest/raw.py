"""Raw assets: one per dataset, a day a partition, all made by one factory from the sources' own lists."""

from datetime import timedelta

import dagster as dg

from dagster_project.defs.ingest.landing import OWNERS, RETRY
from dagster_project.defs.ingest.partitions import DAILY, days_of
from dagster_project.lib.raw import columns_of
from dagster_project.lib.resources import HomeResource, failures_for_users
from dagster_project.sources import binance, bybit, files
from dagster_project.sources.dataset import Dataset, build_raw
from schemas.raw import RAW_MODELS

DATASETS: tuple[Dataset, ...] = (*binance.DATASETS, *bybit.DATASETS, *files.DATASETS)

SAMPLE = dg.AssetKey(["landing", "sample"])
FILES = dg.AssetKey(["landing", "files"])


def column_schema(dataset: str) -> dg.TableSchema:
    """Columns of a raw dataset for the UI."""
    columns = [
        dg.TableColumn(name, str(kind).removeprefix("!"), constraints=dg.TableColumnConstraints(nullable=kind.nullable))
        for name, kind in columns_of(RAW_MODELS[dataset]).items()
    ]
    return dg.TableSchema(columns=columns)


def build_raw_asset(dataset: Dataset) -> dg.AssetsDefinition:
    """The asset of one raw dataset; a run over a range of days reads landing once."""

    @dg.asset(
        key=["raw", dataset.name],
        deps=[SAMPLE, FILES] if dataset.source == "declared" else [SAMPLE],
        partitions_def=DAILY,
        backfill_policy=dg.BackfillPolicy.single_run(),
        group_name="raw",
        kinds={"parquet", "duckdb"},
        owners=OWNERS,
        retry_policy=RETRY,
        description=f"{RAW_MODELS[dataset.name].__doc__}\n\nFiles: raw/{dataset.name}/venue=/date=/part.parquet",
        metadata={"dagster/column_schema": column_schema(dataset.name)},
        freshness_policy=dg.FreshnessPolicy.time_window(fail_window=timedelta(hours=48)),
    )
    def raw(context: dg.AssetExecutionContext, home: HomeResource) -> dg.MaterializeResult:
        start, end = days_of(context.partition_key_range)
        with failures_for_users():
            counts = build_raw(dataset, home.get(), start, end)
        venues = sorted({count.venue for count in counts})
        return dg.MaterializeResult(
            metadata={
                "dagster/partition_row_count": sum(count.rows for count in counts),
                "files": len(counts),
                "venues": ", ".join(venues) or "none",
            }
        )

    return raw


RAW_ASSETS = [build_raw_asset(dataset) for dataset in DATASETS]
