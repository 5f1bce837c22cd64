"""Marts of stress events."""

import ibis.expr.datatypes as dt
import pandera.ibis as pa

from schemas.marts.base import TIERS, VOLUME_BASES, Mart
from schemas.raw import UTC

PHASES = ("baseline", "shock", "cascade", "aftershock", "recovery")
SCOPES = ("contract", "venue_tier", "venue", "tier", "market")


class FctEventWindow(Mart):
    """One row per event, venue, venue_symbol and bar."""

    event_id: dt.String = pa.Field(nullable=False)
    venue: dt.String = pa.Field(nullable=False)
    venue_symbol: dt.String = pa.Field(nullable=False)
    base_asset: dt.String = pa.Field(nullable=True)
    tier: dt.String = pa.Field(nullable=False, isin=TIERS)
    tier_basis: dt.String = pa.Field(nullable=False, isin=("trailing_volume", "fixed_list"))
    bar_start_at: UTC = pa.Field(nullable=False)
    interval_seconds: dt.Int32 = pa.Field(nullable=False, ge=60, le=3600)
    phase: dt.String = pa.Field(nullable=False, isin=PHASES)
    open_price: dt.Float64 = pa.Field(nullable=True, gt=0)
    high_price: dt.Float64 = pa.Field(nullable=True, gt=0)
    low_price: dt.Float64 = pa.Field(nullable=True, gt=0)
    close_price: dt.Float64 = pa.Field(nullable=True, gt=0)
    pre_event_price: dt.Float64 = pa.Field(nullable=True, gt=0)
    move_from_pre_event: dt.Float64 = pa.Field(nullable=True, gt=-1)
    low_move_from_pre_event: dt.Float64 = pa.Field(nullable=True, gt=-1)
    open_interest_usd: dt.Float64 = pa.Field(nullable=True, ge=0)
    pre_event_open_interest_usd: dt.Float64 = pa.Field(nullable=True, ge=0)
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


class FctEventSummary(Mart):
    """One row per event, scope, venue, venue_symbol and tier."""

    event_id: dt.String = pa.Field(nullable=False)
    scope: dt.String = pa.Field(nullable=False, isin=SCOPES)
    venue: dt.String = pa.Field(nullable=False)
    venue_symbol: dt.String = pa.Field(nullable=False)
    tier: dt.String = pa.Field(nullable=False, isin=(*TIERS, "all"))
    base_asset: dt.String = pa.Field(nullable=True)
    contracts_covered: dt.Int32 = pa.Field(nullable=False, gt=0)
    interval_seconds: dt.Int32 = pa.Field(nullable=False, ge=60, le=3600)
    bars_covered: dt.Int32 = pa.Field(nullable=False, ge=0)
    pre_event_price: dt.Float64 = pa.Field(nullable=True, gt=0)
    trough_price: dt.Float64 = pa.Field(nullable=True, gt=0)
    trough_at: UTC = pa.Field(nullable=True)
    drawdown: dt.Float64 = pa.Field(nullable=True, gt=-1)
    time_to_trough_seconds: dt.Float64 = pa.Field(nullable=True, ge=0)
    recovery_share: dt.Float64 = pa.Field(nullable=True, ge=0)
    time_to_half_recovery_seconds: dt.Float64 = pa.Field(nullable=True, ge=0)
    median_drawdown: dt.Float64 = pa.Field(nullable=True, gt=-1)
    volume_weighted_drawdown: dt.Float64 = pa.Field(nullable=True, gt=-1)
    median_time_to_trough_seconds: dt.Float64 = pa.Field(nullable=True, ge=0)
    median_recovery_share: dt.Float64 = pa.Field(nullable=True, ge=0)
    volume_weighted_recovery_share: dt.Float64 = pa.Field(nullable=True, ge=0)
    half_recovered_share: dt.Float64 = pa.Field(nullable=True, ge=0, le=1)
    pre_event_open_interest_usd: dt.Float64 = pa.Field(nullable=True, ge=0)
    open_interest_trough_usd: dt.Float64 = pa.Field(nullable=True, ge=0)
    open_interest_wiped_usd: dt.Float64 = pa.Field(nullable=True)
    open_interest_wiped_share: dt.Float64 = pa.Field(nullable=True, le=1)
    liquidated_long_usd: dt.Float64 = pa.Field(nullable=True, ge=0)
    liquidated_short_usd: dt.Float64 = pa.Field(nullable=True, ge=0)
    liquidated_usd: dt.Float64 = pa.Field(nullable=True, ge=0)
    long_share: dt.Float64 = pa.Field(nullable=True, ge=0, le=1)
    peak_bar_at: UTC = pa.Field(nullable=True)
    peak_liquidated_usd: dt.Float64 = pa.Field(nullable=True, ge=0)
    peak_liquidated_share: dt.Float64 = pa.Field(nullable=True, ge=0, le=1)
    adl_usd: dt.Float64 = pa.Field(nullable=True, ge=0)
    adl_haircut_usd: dt.Float64 = pa.Field(nullable=True, ge=0)
    first_liquidation_at: UTC = pa.Field(nullable=True)
    first_adl_at: UTC = pa.Field(nullable=True)
    liquidation_to_adl_seconds: dt.Float64 = pa.Field(nullable=True)
    depth_before_usd: dt.Float64 = pa.Field(nullable=True, ge=0)
    depth_trough_usd: dt.Float64 = pa.Field(nullable=True, ge=0)
    depth_collapse: dt.Float64 = pa.Field(nullable=True, le=1)
    funding_rate_before: dt.Float64 = pa.Field(nullable=True)
    funding_rate_extreme: dt.Float64 = pa.Field(nullable=True)
    funding_rate_dislocation: dt.Float64 = pa.Field(nullable=True)
    funding_rate_dislocation_annualised: dt.Float64 = pa.Field(nullable=True)
    median_funding_rate_dislocation_annualised: dt.Float64 = pa.Field(nullable=True)
    basis_before_bps: dt.Float64 = pa.Field(nullable=True)
    basis_extreme_bps: dt.Float64 = pa.Field(nullable=True)
    basis_dislocation_bps: dt.Float64 = pa.Field(nullable=True)
    median_basis_dislocation_bps: dt.Float64 = pa.Field(nullable=True)
    volume_usd: dt.Float64 = pa.Field(nullable=True, ge=0)


class FctEventSynchrony(Mart):
    """One row per event and bar."""

    event_id: dt.String = pa.Field(nullable=False)
    bar_start_at: UTC = pa.Field(nullable=False)
    interval_seconds: dt.Int32 = pa.Field(nullable=False, ge=60, le=3600)
    phase: dt.String = pa.Field(nullable=False, isin=PHASES)
    venues_covered: dt.Int32 = pa.Field(nullable=False, ge=1)
    venues_exceeding: dt.Int32 = pa.Field(nullable=False, ge=0)
    exceeding_share: dt.Float64 = pa.Field(nullable=True, ge=0, le=1)
    exceeding_venues: dt.String = pa.Field(nullable=True)
    liquidated_usd: dt.Float64 = pa.Field(nullable=False, ge=0)


MODELS: dict[str, type[Mart]] = {
    "fct_event_window": FctEventWindow,
    "fct_event_summary": FctEventSummary,
    "fct_event_synchrony": FctEventSynchrony,
}
