"""Marts of crowding and liquidity: basis, depth, early warning."""

import ibis.expr.datatypes as dt
import pandera.ibis as pa

from schemas.marts.base import Mart
from schemas.raw import UTC


class FctBasis(Mart):
    """One row per venue, venue_symbol and UTC day with a basis or a funding settlement."""

    venue: dt.String = pa.Field(nullable=False)
    venue_symbol: dt.String = pa.Field(nullable=False)
    base_asset: dt.String = pa.Field(nullable=True)
    basis_date: dt.Date = pa.Field(nullable=False)
    is_perpetual: dt.Boolean = pa.Field(nullable=True)
    expires_at: UTC = pa.Field(nullable=True)
    basis_interval_seconds: dt.Int32 = pa.Field(nullable=True, ge=1, le=86400)
    basis_bars: dt.Int32 = pa.Field(nullable=True, ge=1)
    basis_mean_bps: dt.Float64 = pa.Field(nullable=True, gt=-10000)
    basis_median_bps: dt.Float64 = pa.Field(nullable=True, gt=-10000)
    basis_min_bps: dt.Float64 = pa.Field(nullable=True, gt=-10000)
    basis_max_bps: dt.Float64 = pa.Field(nullable=True, gt=-10000)
    basis_close_bps: dt.Float64 = pa.Field(nullable=True, gt=-10000)
    basis_close_at: UTC = pa.Field(nullable=True)
    basis_annualised: dt.Float64 = pa.Field(nullable=True)
    funding_settlements: dt.Int32 = pa.Field(nullable=True, ge=1)
    funding_rate_sum: dt.Float64 = pa.Field(nullable=True)
    funding_interval_seconds: dt.Int32 = pa.Field(nullable=True, ge=1)
    funding_rate_annualised: dt.Float64 = pa.Field(nullable=True)


class FctLiquidity(Mart):
    """One row per venue, venue_symbol and UTC hour with a snapshot of the book."""

    venue: dt.String = pa.Field(nullable=False)
    venue_symbol: dt.String = pa.Field(nullable=False)
    base_asset: dt.String = pa.Field(nullable=True)
    hour_start_at: UTC = pa.Field(nullable=False)
    snapshots: dt.Int32 = pa.Field(nullable=False, ge=1)
    depth_20bps_usd: dt.Float64 = pa.Field(nullable=True, ge=0)
    depth_1pct_usd: dt.Float64 = pa.Field(nullable=True, ge=0)
    depth_2pct_usd: dt.Float64 = pa.Field(nullable=True, ge=0)
    depth_3pct_usd: dt.Float64 = pa.Field(nullable=True, ge=0)
    depth_4pct_usd: dt.Float64 = pa.Field(nullable=True, ge=0)
    depth_5pct_usd: dt.Float64 = pa.Field(nullable=True, ge=0)
    bid_depth_1pct_usd: dt.Float64 = pa.Field(nullable=True, ge=0)
    ask_depth_1pct_usd: dt.Float64 = pa.Field(nullable=True, ge=0)
    lowest_depth_1pct_usd: dt.Float64 = pa.Field(nullable=True, ge=0)
    spread_bps: dt.Float64 = pa.Field(nullable=True, ge=0)
    routine_depth_1pct_usd: dt.Float64 = pa.Field(nullable=True, ge=0)
    baseline_hours: dt.Int32 = pa.Field(nullable=False, ge=0, le=720)
    depth_1pct_collapse: dt.Float64 = pa.Field(nullable=True, le=1)
    deepest_depth_1pct_collapse: dt.Float64 = pa.Field(nullable=True, le=1)


class FctEarlyWarning(Mart):
    """One row per venue, venue_symbol and UTC day with known funding, long/short ratio or open interest."""

    venue: dt.String = pa.Field(nullable=False)
    venue_symbol: dt.String = pa.Field(nullable=False)
    base_asset: dt.String = pa.Field(nullable=True)
    crowding_date: dt.Date = pa.Field(nullable=False)
    open_interest_usd: dt.Float64 = pa.Field(nullable=True, ge=0)
    depth_1pct_usd: dt.Float64 = pa.Field(nullable=True, ge=0)
    funding_rate_annualised: dt.Float64 = pa.Field(nullable=True)
    funding_rate_annualised_7d: dt.Float64 = pa.Field(nullable=True)
    long_short_ratio: dt.Float64 = pa.Field(nullable=True, ge=0)
    open_interest_to_volume: dt.Float64 = pa.Field(nullable=True, ge=0)
    open_interest_to_depth: dt.Float64 = pa.Field(nullable=True, ge=0)
    leverage_estimate: dt.Float64 = pa.Field(nullable=True, ge=1)
    open_interest_growth_7d: dt.Float64 = pa.Field(nullable=True, ge=-1)
    funding_rate_annualised_percentile: dt.Float64 = pa.Field(nullable=True, ge=0, le=1)
    funding_rate_annualised_7d_percentile: dt.Float64 = pa.Field(nullable=True, ge=0, le=1)
    long_short_ratio_percentile: dt.Float64 = pa.Field(nullable=True, ge=0, le=1)
    open_interest_to_volume_percentile: dt.Float64 = pa.Field(nullable=True, ge=0, le=1)
    open_interest_to_depth_percentile: dt.Float64 = pa.Field(nullable=True, ge=0, le=1)
    leverage_estimate_percentile: dt.Float64 = pa.Field(nullable=True, ge=0, le=1)
    open_interest_growth_7d_percentile: dt.Float64 = pa.Field(nullable=True, ge=0, le=1)
    crowding_score: dt.Float64 = pa.Field(nullable=True, ge=0, le=1)
    score_parts: dt.Int32 = pa.Field(nullable=False, ge=0, le=7)


class FctEarlyWarningBacktest(Mart):
    """One row per event, venue, venue_symbol and horizon_days with a score; `market` is the median contract."""

    event_id: dt.String = pa.Field(nullable=False)
    venue: dt.String = pa.Field(nullable=False)
    venue_symbol: dt.String = pa.Field(nullable=False)
    base_asset: dt.String = pa.Field(nullable=True)
    horizon_days: dt.Int32 = pa.Field(nullable=False, isin=(1, 3, 7))
    score_date: dt.Date = pa.Field(nullable=False)
    crowding_score: dt.Float64 = pa.Field(nullable=False, ge=0, le=1)
    contracts_scored: dt.Int32 = pa.Field(nullable=False, ge=1)
    score_rank: dt.Int32 = pa.Field(nullable=False, ge=1)
    days_compared: dt.Int32 = pa.Field(nullable=False, ge=0)
    score_percentile: dt.Float64 = pa.Field(nullable=True, ge=0, le=1)


MODELS: dict[str, type[Mart]] = {
    "fct_basis": FctBasis,
    "fct_liquidity": FctLiquidity,
    "fct_early_warning": FctEarlyWarning,
    "fct_early_warning_backtest": FctEarlyWarningBacktest,
}
