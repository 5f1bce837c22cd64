"""Days: the partitions of every raw dataset."""

from datetime import date

import dagster as dg

FIRST_DAY = "2025-01-01"
# The running day is a partition too: what a venue tells of the present alone is asked for while it lasts.
DAILY = dg.DailyPartitionsDefinition(start_date=FIRST_DAY, timezone="UTC", end_offset=1)

RANGE_START_TAG = "dagster/asset_partition_range_start"
RANGE_END_TAG = "dagster/asset_partition_range_end"


def days_of(keys: dg.PartitionKeyRange) -> tuple[date, date]:
    """First and last day (inclusive) of a run's partitions."""
    return date.fromisoformat(keys.start), date.fromisoformat(keys.end)


def range_tags(start: date, end: date) -> dict[str, str]:
    """Tags that make one run cover the days ``start`` to ``end`` (inclusive)."""
    return {RANGE_START_TAG: start.isoformat(), RANGE_END_TAG: end.isoformat()}
