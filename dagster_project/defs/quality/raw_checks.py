"""Structure checks of the raw layer, on the days that the run wrote."""

from typing import Any

import dagster as dg
import ibis

from dagster_project.defs.ingest.partitions import DAILY, days_of
from dagster_project.defs.quality.schema_checks import Prepare, build_schema_check
from dagster_project.lib.home import Home
from dagster_project.lib.raw import RawStore
from schemas.raw import RAW_MODELS


def _rows_of_run(dataset: str) -> Prepare:
    def prepare(connection: ibis.BaseBackend, home: Home, context: Any) -> None:  # noqa: ANN401
        start, end = days_of(context.partition_key_range)
        relation = RawStore(home.raw, home.scratch).relation(dataset, start, end)
        connection.raw_sql(f"CREATE TEMP TABLE rows AS {relation}")

    return prepare


RAW_CHECKS = [
    build_schema_check(model, dg.AssetKey(["raw", dataset]), _rows_of_run(dataset), partitions_def=DAILY)
    for dataset, model in RAW_MODELS.items()
]
