"""Marts of stress events."""

import ibis.expr.datatypes as dt
import pandera.ibis as pa

from schemas.marts.base import VOLUME_BASES, Mart
from schemas.raw import UTC


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


MODELS: dict[str, type[Mart]] = {
    "fct_event_window": FctEventWindow,
}
