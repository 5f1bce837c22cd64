"""Marts of what stands behind a liquidation: auto-deleveraging, insurance funds, liquidation levels."""

import ibis.expr.datatypes as dt
import ibis.expr.types as ir
import pandera.ibis as pa

from schemas.marts.base import Mart
from schemas.raw import UTC


class FctAdl(Mart):
    """One row per venue, venue_symbol and minute with auto-deleveraging."""

    venue: dt.String = pa.Field(nullable=False)
    venue_symbol: dt.String = pa.Field(nullable=False)
    bar_start_at: UTC = pa.Field(nullable=False)
    base_asset: dt.String = pa.Field(nullable=False)
    adl_usd: dt.Float64 = pa.Field(nullable=True, ge=0)
    reduced_long_usd: dt.Float64 = pa.Field(nullable=True, ge=0)
    reduced_short_usd: dt.Float64 = pa.Field(nullable=True, ge=0)
    base_quantity: dt.Float64 = pa.Field(nullable=True, ge=0)
    fill_count: dt.Int32 = pa.Field(nullable=True, ge=1)
    cluster_count: dt.Int32 = pa.Field(nullable=True, ge=1)
    account_count: dt.Int32 = pa.Field(nullable=True, ge=1)
    closed_pnl_usd: dt.Float64 = pa.Field(nullable=True)
    adl_haircut_usd: dt.Float64 = pa.Field(nullable=True, ge=0)
    largest_deficit_usd: dt.Float64 = pa.Field(nullable=True, ge=0)


class FctInsuranceFund(Mart):
    """One row per venue, product, pool, asset and UTC day with an observation."""

    venue: dt.String = pa.Field(nullable=False)
    product: dt.String = pa.Field(nullable=False)
    pool: dt.String = pa.Field(nullable=False)
    asset: dt.String = pa.Field(nullable=False)
    covered_symbols: dt.String = pa.Field(nullable=True)
    fund_date: dt.Date = pa.Field(nullable=False)
    observed_at: UTC = pa.Field(nullable=False)
    observation_count: dt.Int32 = pa.Field(nullable=False, ge=1)
    balance_quantity: dt.Float64 = pa.Field(nullable=False)
    balance_usd: dt.Float64 = pa.Field(nullable=True)
    balance_basis: dt.String = pa.Field(nullable=True, isin=("reported", "at_par", "last_close"))
    previous_fund_date: dt.Date = pa.Field(nullable=True)
    change_quantity: dt.Float64 = pa.Field(nullable=True)
    change_usd: dt.Float64 = pa.Field(nullable=True)
    lowest_balance_quantity: dt.Float64 = pa.Field(nullable=False)
    lowest_balance_usd: dt.Float64 = pa.Field(nullable=True)
    peak_balance_quantity: dt.Float64 = pa.Field(nullable=False)
    peak_balance_usd: dt.Float64 = pa.Field(nullable=True)
    drawdown: dt.Float64 = pa.Field(nullable=True, le=0)
    usd_drawdown: dt.Float64 = pa.Field(nullable=True, le=0)


class FctLiquidationMap(Mart):
    """One row per venue, venue_symbol, map_date, price_bin, side and leverage."""

    venue: dt.String = pa.Field(nullable=False)
    venue_symbol: dt.String = pa.Field(nullable=False)
    map_date: dt.Date = pa.Field(nullable=False)
    price_bin: dt.Int32 = pa.Field(nullable=False)
    side: dt.String = pa.Field(nullable=False, isin=("long", "short"))
    leverage: dt.Float64 = pa.Field(nullable=False, ge=1)
    base_asset: dt.String = pa.Field(nullable=False)
    contract_type: dt.String = pa.Field(nullable=False, isin=("linear", "inverse"))
    event_id: dt.String = pa.Field(nullable=True)
    as_of_at: UTC = pa.Field(nullable=False)
    bin_low_price: dt.Float64 = pa.Field(nullable=False, gt=0)
    bin_high_price: dt.Float64 = pa.Field(nullable=False, gt=0)
    entry_price: dt.Float64 = pa.Field(nullable=False, gt=0)
    liquidation_price: dt.Float64 = pa.Field(nullable=False, gt=0)
    reference_price: dt.Float64 = pa.Field(nullable=False, gt=0)
    move_to_liquidation: dt.Float64 = pa.Field(nullable=False, gt=-1)
    notional_usd: dt.Float64 = pa.Field(nullable=False, gt=0)
    opening_usd: dt.Float64 = pa.Field(nullable=False, ge=0)
    reentered_usd: dt.Float64 = pa.Field(nullable=False, ge=0)
    open_interest_usd: dt.Float64 = pa.Field(nullable=False, gt=0)
    maintenance_rate: dt.Float64 = pa.Field(nullable=False, ge=0, le=1)
    tier_symbol: dt.String = pa.Field(nullable=False)
    leverage_share: dt.Float64 = pa.Field(nullable=False, gt=0, le=1)
    lookback_days: dt.Int32 = pa.Field(nullable=False, ge=1)
    step_seconds: dt.Int32 = pa.Field(nullable=False, ge=1)
    bin_width_bps: dt.Int32 = pa.Field(nullable=False, ge=1)

    @pa.dataframe_check(name="levels lie on the side that liquidates")
    def levels_are_on_their_side(cls, data: pa.IbisData) -> ir.BooleanValue:  # noqa: N805 - pandera passes the class
        """Longs are liquidated below the price and their entry, shorts above both."""
        levels = data.table
        is_long = levels.side == "long"
        return (is_long == (levels.move_to_liquidation < 0)) & (
            is_long == (levels.liquidation_price < levels.entry_price)
        )

    @pa.dataframe_check(name="estimated is the best it can be")
    def is_never_measured(cls, data: pa.IbisData) -> ir.BooleanValue:  # noqa: N805 - pandera passes the class
        """The leverage mix is an assumption."""
        return data.table.source_class.isin(("estimated", "synthetic"))


MODELS: dict[str, type[Mart]] = {
    "fct_adl": FctAdl,
    "fct_insurance_fund": FctInsuranceFund,
    "fct_liquidation_map": FctLiquidationMap,
}
