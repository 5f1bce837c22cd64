"""Published figures against the data."""

import ibis.expr.datatypes as dt
import ibis.expr.types as ir
import pandera.ibis as pa

from schemas.marts.base import Mart

UNITS = ("USD", "ratio", "accounts", "coins", "fills", "day_of_year", "second_of_day")


class FctReconciliation(Mart):
    """One row per published figure."""

    figure_id: dt.String = pa.Field(nullable=False)
    subject: dt.String = pa.Field(nullable=False)
    description: dt.String = pa.Field(nullable=False)
    published_value: dt.Float64 = pa.Field(nullable=True)
    published_low: dt.Float64 = pa.Field(nullable=True)
    published_high: dt.Float64 = pa.Field(nullable=True)
    published_date: dt.Date = pa.Field(nullable=False)
    unit: dt.String = pa.Field(nullable=False, isin=UNITS)
    published_source: dt.String = pa.Field(nullable=False)
    definition: dt.String = pa.Field(nullable=False)
    days_basis: dt.String = pa.Field(nullable=True)
    computed_value: dt.Float64 = pa.Field(nullable=True)
    computed_date: dt.Date = pa.Field(nullable=True)
    ratio: dt.Float64 = pa.Field(nullable=True)
    days_covered: dt.Int32 = pa.Field(nullable=True, ge=0)
    days_needed: dt.Int32 = pa.Field(nullable=True, gt=0)
    coverage: dt.Float64 = pa.Field(nullable=True, ge=0, le=1)
    status: dt.String = pa.Field(nullable=False, isin=("match", "explained", "conflict", "not_computable"))
    note: dt.String = pa.Field(nullable=False)

    @pa.dataframe_check(name="a figure has a value or a range")
    def something_was_published(cls, data: pa.IbisData) -> ir.BooleanValue:  # noqa: N805 - pandera passes the class
        """Where no single value was printed, both ends of a range were."""
        figure = data.table
        return figure.published_value.notnull() | (figure.published_low.notnull() & figure.published_high.notnull())

    @pa.dataframe_check(name="synthetic data confirm nothing")
    def synthetic_never_matches(cls, data: pa.IbisData) -> ir.BooleanValue:  # noqa: N805 - pandera passes the class
        """The sample is calibrated to the figures, so it cannot match them."""
        return ~((data.table.status == "match") & (data.table.source_class == "synthetic"))


MODELS: dict[str, type[Mart]] = {
    "fct_reconciliation": FctReconciliation,
}
