"""Structure checks of the raw layer, on the days that the run wrote."""

from typing import Any

import ibis

from dagster_project.defs.ingest.keys import raw_key
from dagster_project.defs.ingest.partitions import DAILY, days_of
from dagster_project.defs.quality.schema_checks import Prepare, build_schema_check
from dagster_project.lib.home import Home
from dagster_project.lib.raw import RawStore, reading
from dagster_project.sources.registry import FEEDS
from schemas.raw import DECLARED, model_of


def _rows_of_run(dataset: str) -> Prepare:
    def prepare(connection: ibis.BaseBackend, home: Home, context: Any) -> None:  # noqa: ANN401
        start, end = days_of(context.partition_key_range)
        relation = RawStore(home.raw, home.scratch).relation(dataset, start, end)
        with reading(home.raw):
            connection.raw_sql(f"CREATE TEMP TABLE rows AS {relation}")

    return prepare


RAW_CHECKS = [
    build_schema_check(model_of(dataset), raw_key(dataset), _rows_of_run(dataset), partitions_def=DAILY)
    for dataset in [*(feed.dataset_name for feed in FEEDS.values()), *DECLARED]
]
