"""Marts of the market by venue, tier and period."""

import ibis.expr.datatypes as dt
import pandera.ibis as pa

from schemas.marts.base import TIERS, VOLUME_BASES, Mart
from schemas.raw import COMPLETENESS

LIQUIDATION_BASES = ("venue_feeds", "unattributed_feed")


class FctExchangeShare(Mart):
    """One row per venue (or ``uncovered``), period_type and period_start."""

    venue: dt.String = pa.Field(nullable=False)
    period_type: dt.String = pa.Field(nullable=False, isin=("day", "month", "year"))
    period_start: dt.Date = pa.Field(nullable=False)
    volume_usd: dt.Float64 = pa.Field(nullable=True, ge=0)
    share: dt.Float64 = pa.Field(nullable=True, ge=0, le=1)
    share_change: dt.Float64 = pa.Field(nullable=True, ge=-1, le=1)
    rank: dt.Int32 = pa.Field(nullable=True, ge=1)
    rank_change: dt.Int32 = pa.Field(nullable=True)
    cr4: dt.Float64 = pa.Field(nullable=True, ge=0, le=1.000001)
    hhi: dt.Float64 = pa.Field(nullable=True, ge=0, le=1.000001)
    effective_venues: dt.Float64 = pa.Field(nullable=True, ge=0.999999)
    published_total_usd: dt.Float64 = pa.Field(nullable=True, gt=0)
    share_of_published: dt.Float64 = pa.Field(nullable=True, ge=0)
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
    liquidation_basis: dt.String = pa.Field(nullable=False, isin=LIQUIDATION_BASES)
    tier_basis: dt.String = pa.Field(nullable=False, isin=("trailing_volume", "fixed_list", "mixed"))
    is_floor: dt.Boolean = pa.Field(nullable=False)
    liquidation_completeness: dt.String = pa.Field(nullable=False, isin=COMPLETENESS)


class FctTaxConcentration(Mart):
    """One row per venue and calendar year with known liquidations."""

    venue: dt.String = pa.Field(nullable=False)
    tax_year: dt.Int32 = pa.Field(nullable=False, ge=2000)
    liquidated_usd: dt.Float64 = pa.Field(nullable=True, ge=0)
    unmatched_liquidated_usd: dt.Float64 = pa.Field(nullable=False, ge=0)
    volume_usd: dt.Float64 = pa.Field(nullable=True, ge=0)
    tax_bps: dt.Float64 = pa.Field(nullable=True, ge=0)
    days_covered: dt.Int32 = pa.Field(nullable=False, ge=0, le=366)
    days_in_year: dt.Int32 = pa.Field(nullable=False, ge=365, le=366)
    worst_date: dt.Date = pa.Field(nullable=True)
    worst_1_day_share: dt.Float64 = pa.Field(nullable=True, ge=0, le=1.000001)
    worst_5_days_share: dt.Float64 = pa.Field(nullable=True, ge=0, le=1.000001)
    worst_10_days_share: dt.Float64 = pa.Field(nullable=True, ge=0, le=1.000001)
    days_to_half: dt.Int32 = pa.Field(nullable=True, ge=1, le=366)
    gini: dt.Float64 = pa.Field(nullable=True, ge=-0.000001, le=1)
    routine_usd: dt.Float64 = pa.Field(nullable=True, ge=0)
    over_routine_usd: dt.Float64 = pa.Field(nullable=True, ge=0)
    unclassified_usd: dt.Float64 = pa.Field(nullable=True, ge=0)
    over_routine_share: dt.Float64 = pa.Field(nullable=True, ge=0, le=1)
    routine_days: dt.Int32 = pa.Field(nullable=False, ge=0, le=366)
    elevated_days: dt.Int32 = pa.Field(nullable=False, ge=0, le=366)
    stress_days: dt.Int32 = pa.Field(nullable=False, ge=0, le=366)
    unclassified_days: dt.Int32 = pa.Field(nullable=False, ge=0, le=366)
    liquidation_basis: dt.String = pa.Field(nullable=False, isin=(*LIQUIDATION_BASES, "mixed"))
    is_floor: dt.Boolean = pa.Field(nullable=False)


class FctOpenInterestCycle(Mart):
    """One row per venue and UTC day with known open interest, with the market's roll-up."""

    venue: dt.String = pa.Field(nullable=False)
    open_interest_date: dt.Date = pa.Field(nullable=False)
    open_interest_usd: dt.Float64 = pa.Field(nullable=False, ge=0)
    open_interest_change: dt.Float64 = pa.Field(nullable=True, ge=-1)
    open_interest_index: dt.Float64 = pa.Field(nullable=True, ge=0)
    series_start_date: dt.Date = pa.Field(nullable=False)
    peak_date: dt.Date = pa.Field(nullable=False)
    peak_open_interest_usd: dt.Float64 = pa.Field(nullable=False, ge=0)
    drawdown: dt.Float64 = pa.Field(nullable=True, ge=-1, le=0)
    days_since_peak: dt.Int32 = pa.Field(nullable=False, ge=0)
    trough_date: dt.Date = pa.Field(nullable=False)
    trough_drawdown: dt.Float64 = pa.Field(nullable=True, ge=-1, le=0)
    recovery_share: dt.Float64 = pa.Field(nullable=True, ge=0, le=1)
    contracts_covered: dt.Int32 = pa.Field(nullable=False, ge=1)
    contracts_compared: dt.Int32 = pa.Field(nullable=False, ge=0)
    venues_covered: dt.Int32 = pa.Field(nullable=False, ge=1)


MODELS: dict[str, type[Mart]] = {
    "fct_exchange_share": FctExchangeShare,
    "fct_liquidation_tax": FctLiquidationTax,
    "fct_open_interest_cycle": FctOpenInterestCycle,
    "fct_tax_concentration": FctTaxConcentration,
}
