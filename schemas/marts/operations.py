"""Tables that speak of the data: what is missing and what was set aside."""

import ibis.expr.datatypes as dt
import ibis.expr.types as ir
import pandera.ibis as pa

from schemas.marts.base import Mart
from schemas.raw import UTC


class DataGap(Mart):
    """One row per feed, venue, entity and gap."""

    feed: dt.String = pa.Field(nullable=False)
    venue: dt.String = pa.Field(nullable=False)
    entity: dt.String = pa.Field(nullable=False)
    gap_from_at: UTC = pa.Field(nullable=False)
    gap_to_at: UTC = pa.Field(nullable=False)
    cause: dt.String = pa.Field(nullable=False)
    is_permanent: dt.Boolean = pa.Field(nullable=False)
    note: dt.String = pa.Field(nullable=True)

    @pa.dataframe_check(name="a gap has a length")
    def has_a_length(cls, data: pa.IbisData) -> ir.BooleanValue:  # noqa: N805 - pandera passes the class
        """The gap ends after it begins."""
        return data.table.gap_from_at < data.table.gap_to_at


class CollectorGap(Mart):
    """One row per feed, venue, topic and gap."""

    feed: dt.String = pa.Field(nullable=False)
    venue: dt.String = pa.Field(nullable=False)
    topic: dt.String = pa.Field(nullable=False)
    gap_from_at: UTC = pa.Field(nullable=False)
    gap_to_at: UTC = pa.Field(nullable=False)
    cause: dt.String = pa.Field(nullable=False)
    note: dt.String = pa.Field(nullable=True)

    @pa.dataframe_check(name="a gap has a length")
    def has_a_length(cls, data: pa.IbisData) -> ir.BooleanValue:  # noqa: N805 - pandera passes the class
        """The gap ends after it begins."""
        return data.table.gap_from_at < data.table.gap_to_at


class QuarantineSummary(Mart):
    """One row per dataset, venue, UTC day and reason."""

    dataset: dt.String = pa.Field(nullable=False)
    venue: dt.String = pa.Field(nullable=False)
    date: dt.Date = pa.Field(nullable=False)
    reason: dt.String = pa.Field(nullable=False)
    records: dt.Int64 = pa.Field(nullable=False, ge=1)


class CoverageSummary(Mart):
    """One row per fact table, completeness and source class."""

    table_name: dt.String = pa.Field(nullable=False)
    row_count: dt.Int64 = pa.Field(nullable=False, ge=1)
    row_share: dt.Float64 = pa.Field(nullable=False, gt=0, le=1)
    first_date: dt.Date = pa.Field(nullable=True)
    last_date: dt.Date = pa.Field(nullable=True)


MODELS: dict[str, type[Mart]] = {
    "data_gap": DataGap,
    "collector_gap": CollectorGap,
    "quarantine_summary": QuarantineSummary,
    "coverage_summary": CoverageSummary,
}
