"""Dimensions: venues and their feeds, contracts, events, incidents."""

import ibis.expr.datatypes as dt
import ibis.expr.types as ir
import pandera.ibis as pa

from schemas.marts.base import TIERS, Mart
from schemas.raw import COMPLETENESS, UTC


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


class DimVenueFeed(Mart):
    """One row per venue, dataset, product, attribute and day since which a value holds."""

    venue: dt.String = pa.Field(nullable=False)
    dataset: dt.String = pa.Field(nullable=False)
    product: dt.String = pa.Field(nullable=False)
    attribute: dt.String = pa.Field(nullable=False)
    value: dt.String = pa.Field(nullable=False)
    valid_from_date: dt.Date = pa.Field(nullable=False)
    valid_to_date: dt.Date = pa.Field(nullable=True)
    is_current: dt.Boolean = pa.Field(nullable=False)
    source: dt.String = pa.Field(nullable=False)
    note: dt.String = pa.Field(nullable=True)

    @pa.dataframe_check(name="what still holds has no end")
    def current_values_have_no_end(cls, data: pa.IbisData) -> ir.BooleanValue:  # noqa: N805 - pandera passes the class
        """And what does not, has one."""
        feed = data.table
        return feed.is_current == feed.valid_to_date.isnull()


class DimIncident(Mart):
    """One row per incident."""

    incident_id: dt.String = pa.Field(nullable=False)
    event_id: dt.String = pa.Field(nullable=True)
    venue: dt.String = pa.Field(nullable=False)
    affected: dt.String = pa.Field(nullable=False)
    datasets: dt.String = pa.Field(nullable=True)
    venue_symbols: dt.String = pa.Field(nullable=True)
    started_at: UTC = pa.Field(nullable=False)
    ended_at: UTC = pa.Field(nullable=True)
    severity: dt.String = pa.Field(nullable=False, isin=("degraded", "dislocated", "missing_data", "wrong_data", "adl"))
    is_weakening: dt.Boolean = pa.Field(nullable=False)
    source: dt.String = pa.Field(nullable=False)
    note: dt.String = pa.Field(nullable=True)


class DimContract(Mart):
    """One row per venue and venue_symbol."""

    venue: dt.String = pa.Field(nullable=False)
    venue_symbol: dt.String = pa.Field(nullable=False)
    base_asset: dt.String = pa.Field(nullable=False)
    tier: dt.String = pa.Field(nullable=False, isin=TIERS)
    tier_basis: dt.String = pa.Field(nullable=False, isin=("trailing_volume", "fixed_list"))
    tier_date: dt.Date = pa.Field(nullable=True)
    is_tier_default: dt.Boolean = pa.Field(nullable=False)
    contract_type: dt.String = pa.Field(nullable=True, isin=("linear", "inverse"))
    multiplier: dt.Float64 = pa.Field(nullable=False, gt=0)
    contract_value: dt.Float64 = pa.Field(nullable=True, gt=0)
    quote_asset: dt.String = pa.Field(nullable=True)
    is_listed: dt.Boolean = pa.Field(nullable=False)
    first_seen_date: dt.Date = pa.Field(nullable=True)
    last_seen_date: dt.Date = pa.Field(nullable=True)

    @pa.dataframe_check(name="only a tier of the fixed list is a default or has no day")
    def ranked_tiers_are_dated(cls, data: pa.IbisData) -> ir.BooleanValue:  # noqa: N805 - pandera passes the class
        """A tier by volume has the day of its volume, and is nobody's default."""
        contract = data.table
        return (contract.tier_basis == "fixed_list") | (contract.tier_date.notnull() & ~contract.is_tier_default)


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
    is_user_defined: dt.Boolean = pa.Field(nullable=False)

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


MODELS: dict[str, type[Mart]] = {
    "dim_venue": DimVenue,
    "dim_venue_feed": DimVenueFeed,
    "dim_contract": DimContract,
    "dim_event": DimEvent,
    "dim_incident": DimIncident,
}
