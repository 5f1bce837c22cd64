"""Marts of the market by venue, tier and period."""

import ibis.expr.datatypes as dt
import pandera.ibis as pa

from schemas.marts.base import TIERS, VOLUME_BASES, Mart
from schemas.raw import COMPLETENESS


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


MODELS: dict[str, type[Mart]] = {
    "fct_exchange_share": FctExchangeShare,
    "fct_liquidation_tax": FctLiquidationTax,
}
