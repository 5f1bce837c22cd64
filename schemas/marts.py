"""Structure of the marts, as readers may rely on it: one model per published table.

dbt's contracts enforce the same names and types while a table is built; these models look at what was built, before it is
published, and add the value ranges. A test fails when the two drift apart.
"""

import ibis.expr.datatypes as dt
import ibis.expr.types as ir
import pandera.ibis as pa

from schemas.raw import COMPLETENESS, SOURCE_CLASSES, UTC

VOLUME_BASES = ("quote_reported", "derived_from_base", "mixed")
TIERS = ("major", "mid", "tail")
UNITS = ("USD", "ratio", "accounts", "coins", "fills", "day_of_year", "second_of_day")


class Mart(pa.DataFrameModel):
    """Columns of every mart: how complete its rows are, and from what they come."""

    completeness: dt.String = pa.Field(nullable=False, isin=COMPLETENESS)
    source_class: dt.String = pa.Field(nullable=False, isin=SOURCE_CLASSES)

    class Config:
        """A column that the model does not name is an error: readers rely on the list."""

        strict = True


class DimVenue(Mart):
    """One row per venue."""

    venue: dt.String = pa.Field(nullable=False)
    venue_name: dt.String = pa.Field(nullable=False)
    venue_type: dt.String = pa.Field(nullable=False, isin=("cex", "dex", "rollup", "unlisted"))
    liquidation_completeness: dt.String = pa.Field(nullable=True, isin=COMPLETENESS)
    liquidation_completeness_since: dt.Date = pa.Field(nullable=True)
    liquidation_price_basis: dt.String = pa.Field(nullable=True, isin=("fill", "bankruptcy", "mark"))
    first_covered_date: dt.Date = pa.Field(nullable=True)
    last_covered_date: dt.Date = pa.Field(nullable=True)
    contracts_covered: dt.Int64 = pa.Field(nullable=False, ge=0)


class DimContract(Mart):
    """One row per venue and venue_symbol."""

    venue: dt.String = pa.Field(nullable=False)
    venue_symbol: dt.String = pa.Field(nullable=False)
    base_asset: dt.String = pa.Field(nullable=False)
    tier: dt.String = pa.Field(nullable=False, isin=TIERS)
    is_tier_default: dt.Boolean = pa.Field(nullable=False)
    contract_type: dt.String = pa.Field(nullable=True, isin=("linear", "inverse"))
    multiplier: dt.Float64 = pa.Field(nullable=False, gt=0)
    contract_value: dt.Float64 = pa.Field(nullable=True, gt=0)
    quote_asset: dt.String = pa.Field(nullable=True)
    is_listed: dt.Boolean = pa.Field(nullable=False)
    first_seen_date: dt.Date = pa.Field(nullable=True)
    last_seen_date: dt.Date = pa.Field(nullable=True)


class DimEvent(Mart):
    """One row per stress event."""

    event_id: dt.String = pa.Field(nullable=False)
    event_name: dt.String = pa.Field(nullable=False)
    window_start_at: UTC = pa.Field(nullable=False)
    pre_event_at: UTC = pa.Field(nullable=False)
    shock_at: UTC = pa.Field(nullable=False)
    cascade_at: UTC = pa.Field(nullable=False)
    aftershock_at: UTC = pa.Field(nullable=False)
    recovery_at: UTC = pa.Field(nullable=False)
    window_end_at: UTC = pa.Field(nullable=False)
    shock_source: dt.String = pa.Field(nullable=True)
    cascade_source: dt.String = pa.Field(nullable=True)
    aftershock_source: dt.String = pa.Field(nullable=True)
    recovery_source: dt.String = pa.Field(nullable=True)

    @pa.dataframe_check(name="phases follow each other")
    def phases_are_ordered(cls, data: pa.IbisData) -> ir.BooleanValue:  # noqa: N805 - pandera passes the class
        """Window start <= pre-event <= shock <= cascade <= aftershock <= recovery <= window end."""
        event = data.table
        return (
            (event.window_start_at <= event.pre_event_at)
            & (event.pre_event_at <= event.shock_at)
            & (event.shock_at <= event.cascade_at)
            & (event.cascade_at <= event.aftershock_at)
            & (event.aftershock_at <= event.recovery_at)
            & (event.recovery_at <= event.window_end_at)
        )


class FctExchangeShare(Mart):
    """One row per venue, period_type and period_start."""

    venue: dt.String = pa.Field(nullable=False)
    period_type: dt.String = pa.Field(nullable=False, isin=("day", "month", "year"))
    period_start: dt.Date = pa.Field(nullable=False)
    volume_usd: dt.Float64 = pa.Field(nullable=True, ge=0)
    share: dt.Float64 = pa.Field(nullable=True, ge=0, le=1)
    rank: dt.Int32 = pa.Field(nullable=True, ge=1)
    cr4: dt.Float64 = pa.Field(nullable=True, ge=0, le=1.000001)
    hhi: dt.Float64 = pa.Field(nullable=True, ge=0, le=1.000001)
    effective_venues: dt.Float64 = pa.Field(nullable=True, ge=0.999999)
    open_interest_usd: dt.Float64 = pa.Field(nullable=True, ge=0)
    open_interest_share: dt.Float64 = pa.Field(nullable=True, ge=0, le=1)
    open_interest_date: dt.Date = pa.Field(nullable=True)
    volume_basis: dt.String = pa.Field(nullable=True, isin=VOLUME_BASES)
    days_covered: dt.Int32 = pa.Field(nullable=False, ge=0)
    days_in_period: dt.Int32 = pa.Field(nullable=False, ge=1, le=366)
    contracts_covered: dt.Int32 = pa.Field(nullable=False, ge=0)
    venues_covered: dt.Int32 = pa.Field(nullable=False, ge=0)
    venue_completeness: dt.String = pa.Field(nullable=True, isin=COMPLETENESS)


class FctLiquidationTax(Mart):
    """One row per venue, tier and UTC day with known liquidations, with roll-ups."""

    venue: dt.String = pa.Field(nullable=False)
    tier: dt.String = pa.Field(nullable=False, isin=(*TIERS, "all"))
    tax_date: dt.Date = pa.Field(nullable=False)
    liquidated_usd: dt.Float64 = pa.Field(nullable=True, ge=0)
    liquidated_long_usd: dt.Float64 = pa.Field(nullable=True, ge=0)
    liquidated_short_usd: dt.Float64 = pa.Field(nullable=True, ge=0)
    unmatched_liquidated_usd: dt.Float64 = pa.Field(nullable=False, ge=0)
    volume_usd: dt.Float64 = pa.Field(nullable=True, ge=0)
    open_interest_usd: dt.Float64 = pa.Field(nullable=True, ge=0)
    tax_bps: dt.Float64 = pa.Field(nullable=True, ge=0)
    tax_oi_bps: dt.Float64 = pa.Field(nullable=True, ge=0)
    long_share: dt.Float64 = pa.Field(nullable=True, ge=0, le=1)
    routine_tax_bps: dt.Float64 = pa.Field(nullable=True, ge=0)
    mad_tax_bps: dt.Float64 = pa.Field(nullable=True, ge=0)
    baseline_days: dt.Int32 = pa.Field(nullable=True, ge=14, le=30)
    robust_z: dt.Float64 = pa.Field(nullable=True)
    regime: dt.String = pa.Field(nullable=True, isin=("routine", "elevated", "stress"))
    excess_usd: dt.Float64 = pa.Field(nullable=True)
    base_assets_covered: dt.Int32 = pa.Field(nullable=False, ge=0)
    base_assets_unmatched: dt.Int32 = pa.Field(nullable=False, ge=0)
    volume_venues: dt.String = pa.Field(nullable=True)
    volume_basis: dt.String = pa.Field(nullable=True, isin=VOLUME_BASES)
    liquidation_basis: dt.String = pa.Field(nullable=False, isin=("venue_feeds", "unattributed_feed"))
    liquidation_completeness: dt.String = pa.Field(nullable=False, isin=COMPLETENESS)


class FctEventWindow(Mart):
    """One row per event, venue, venue_symbol and bar."""

    event_id: dt.String = pa.Field(nullable=False)
    venue: dt.String = pa.Field(nullable=False)
    venue_symbol: dt.String = pa.Field(nullable=False)
    base_asset: dt.String = pa.Field(nullable=True)
    bar_start_at: UTC = pa.Field(nullable=False)
    interval_seconds: dt.Int32 = pa.Field(nullable=False, gt=0)
    phase: dt.String = pa.Field(nullable=False, isin=("baseline", "shock", "cascade", "aftershock", "recovery"))
    open_price: dt.Float64 = pa.Field(nullable=True, gt=0)
    high_price: dt.Float64 = pa.Field(nullable=True, gt=0)
    low_price: dt.Float64 = pa.Field(nullable=True, gt=0)
    close_price: dt.Float64 = pa.Field(nullable=True, gt=0)
    pre_event_price: dt.Float64 = pa.Field(nullable=True, gt=0)
    move_from_pre_event: dt.Float64 = pa.Field(nullable=True, gt=-1)
    low_move_from_pre_event: dt.Float64 = pa.Field(nullable=True, gt=-1)
    open_interest_usd: dt.Float64 = pa.Field(nullable=True, ge=0)
    open_interest_change_usd: dt.Float64 = pa.Field(nullable=True)
    open_interest_change: dt.Float64 = pa.Field(nullable=True, ge=-1)
    liquidated_long_usd: dt.Float64 = pa.Field(nullable=True, ge=0)
    liquidated_short_usd: dt.Float64 = pa.Field(nullable=True, ge=0)
    adl_usd: dt.Float64 = pa.Field(nullable=True, ge=0)
    adl_haircut_usd: dt.Float64 = pa.Field(nullable=True, ge=0)
    funding_rate: dt.Float64 = pa.Field(nullable=True)
    index_close: dt.Float64 = pa.Field(nullable=True, gt=0)
    basis_bps: dt.Float64 = pa.Field(nullable=True)
    depth_1pct_usd: dt.Float64 = pa.Field(nullable=True, ge=0)
    base_quantity: dt.Float64 = pa.Field(nullable=True, ge=0)
    volume_usd: dt.Float64 = pa.Field(nullable=True, ge=0)
    volume_basis: dt.String = pa.Field(nullable=True, isin=VOLUME_BASES)


class FctReconciliation(Mart):
    """One row per published figure."""

    figure_id: dt.String = pa.Field(nullable=False)
    subject: dt.String = pa.Field(nullable=False)
    description: dt.String = pa.Field(nullable=False)
    published_value: dt.Float64 = pa.Field(nullable=False)
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

    @pa.dataframe_check(name="synthetic data confirm nothing")
    def synthetic_never_matches(cls, data: pa.IbisData) -> ir.BooleanValue:  # noqa: N805 - pandera passes the class
        """The sample is calibrated to the figures, so it cannot match them."""
        return ~((data.table.status == "match") & (data.table.source_class == "synthetic"))


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


MART_MODELS: dict[str, type[Mart]] = {
    "dim_venue": DimVenue,
    "dim_contract": DimContract,
    "dim_event": DimEvent,
    "fct_exchange_share": FctExchangeShare,
    "fct_liquidation_tax": FctLiquidationTax,
    "fct_event_window": FctEventWindow,
    "fct_reconciliation": FctReconciliation,
    "data_gap": DataGap,
    "collector_gap": CollectorGap,
    "quarantine_summary": QuarantineSummary,
}
