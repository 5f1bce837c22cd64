"""Structure of the raw layer: one model per dataset under ``data/raw/<dataset>/venue=/date=/``.

What belongs here: names, types, nullability and value ranges of what a source wrote down, in the source's own meaning.
What does not: unit conversion and cross-table rules, which are dbt's (staging enforces the unit contract).

Every model is validated by DuckDB through ibis, so a check costs one scan and no copy into Python. Timestamps are UTC with
microseconds. ``venue`` and ``date`` (UTC day of the row) are hive partition keys, so they are columns of the dataset too.
"""

from typing import TYPE_CHECKING, TypeAlias

import ibis.expr.datatypes as dt
import ibis.expr.types as ir
import pandera.ibis as pa

if TYPE_CHECKING:
    # pandera takes a type with parameters as an instance, which a type checker does not accept as an annotation.
    UTC: TypeAlias = dt.Timestamp
else:
    UTC = dt.Timestamp(timezone="UTC", scale=6)

SOURCE_CLASSES = ("measured", "published", "estimated", "synthetic")
"""From what a number comes; the weakest part decides for a sum (order: see ``dbt/macros``)."""

COMPLETENESS = ("complete", "sampled", "polled_window", "partial")
"""How much of what happened a feed contains."""


class Raw(pa.DataFrameModel):
    """Columns that every raw row carries, so that any number can be traced to its bytes."""

    venue: dt.String = pa.Field(nullable=False, str_matches=r"^[a-z0-9_]+$")
    date: dt.Date = pa.Field(nullable=False)
    source: dt.String = pa.Field(nullable=False)
    source_class: dt.String = pa.Field(nullable=False, isin=SOURCE_CLASSES)
    completeness: dt.String = pa.Field(nullable=False, isin=COMPLETENESS)
    ingested_at: UTC = pa.Field(nullable=False)
    landing_path: dt.String = pa.Field(nullable=False)

    class Config:
        """A column that the model does not name is an error, not a surprise further down."""

        strict = True


class _Candle(Raw):
    """Prices of one bar; the range checks of every candle dataset."""

    venue_symbol: dt.String = pa.Field(nullable=False)
    open_time: UTC = pa.Field(nullable=False)
    open: dt.Float64 = pa.Field(nullable=False, gt=0)
    high: dt.Float64 = pa.Field(nullable=False, gt=0)
    low: dt.Float64 = pa.Field(nullable=False, gt=0)
    close: dt.Float64 = pa.Field(nullable=False, gt=0)

    @pa.dataframe_check(name="low <= open, close <= high")
    def prices_are_ordered(cls, data: pa.IbisData) -> ir.BooleanValue:  # noqa: N805 - pandera passes the class
        """The bar's low and high bound its open and close."""
        bar = data.table
        return (bar.low <= bar.open) & (bar.low <= bar.close) & (bar.high >= bar.open) & (bar.high >= bar.close)


class BinanceKlines(_Candle):
    """Venue symbol x interval x bar start, as in Binance's archive zips; quote_volume is USDT for USD-M."""

    interval: dt.String = pa.Field(nullable=False)
    volume: dt.Float64 = pa.Field(nullable=False, ge=0)
    close_time: UTC = pa.Field(nullable=False)
    quote_volume: dt.Float64 = pa.Field(nullable=False, ge=0)
    trade_count: dt.Int64 = pa.Field(nullable=False, ge=0)
    taker_buy_volume: dt.Float64 = pa.Field(nullable=False, ge=0)
    taker_buy_quote_volume: dt.Float64 = pa.Field(nullable=False, ge=0)


class BinanceIndexKlines(_Candle):
    """Venue symbol x interval x bar start: the index that the contract tracks (volumes are 0 in the file and dropped)."""

    interval: dt.String = pa.Field(nullable=False)


class BinanceOpenInterest(Raw):
    """Venue symbol x period x timestamp of openInterestHist: base quantity and USD, one-sided."""

    venue_symbol: dt.String = pa.Field(nullable=False)
    period: dt.String = pa.Field(nullable=False)
    timestamp: UTC = pa.Field(nullable=False)
    sum_open_interest: dt.Float64 = pa.Field(nullable=False, ge=0)
    sum_open_interest_value: dt.Float64 = pa.Field(nullable=False, ge=0)


class BinanceFunding(Raw):
    """Venue symbol x funding time."""

    venue_symbol: dt.String = pa.Field(nullable=False)
    funding_time: UTC = pa.Field(nullable=False)
    funding_rate: dt.Float64 = pa.Field(nullable=False)
    mark_price: dt.Float64 = pa.Field(nullable=True, gt=0)


class BinanceBookDepth(Raw):
    """Venue symbol x snapshot x band: cumulative depth from mid to ``percentage`` (negative: bids)."""

    venue_symbol: dt.String = pa.Field(nullable=False)
    timestamp: UTC = pa.Field(nullable=False)
    percentage: dt.Float64 = pa.Field(nullable=False)
    depth: dt.Float64 = pa.Field(nullable=False, ge=0)
    notional: dt.Float64 = pa.Field(nullable=False, ge=0)


class BinanceLiquidations(Raw):
    """One forceOrder message: at most the latest order per symbol and second; ``order_side`` SELL closes a long."""

    venue_symbol: dt.String = pa.Field(nullable=False)
    trade_time: UTC = pa.Field(nullable=False)
    order_side: dt.String = pa.Field(nullable=False, isin=("BUY", "SELL"))
    order_status: dt.String = pa.Field(nullable=False)
    original_quantity: dt.Float64 = pa.Field(nullable=False, ge=0)
    accumulated_quantity: dt.Float64 = pa.Field(nullable=False, ge=0)
    price: dt.Float64 = pa.Field(nullable=False, gt=0)
    average_price: dt.Float64 = pa.Field(nullable=False, ge=0)


class BybitKlines(_Candle):
    """Venue symbol x interval x bar start; linear: volume in base units, turnover in quote."""

    interval: dt.String = pa.Field(nullable=False)
    volume: dt.Float64 = pa.Field(nullable=False, ge=0)
    turnover: dt.Float64 = pa.Field(nullable=False, ge=0)


class BybitIndexKlines(_Candle):
    """Venue symbol x interval x bar start of the index price."""

    interval: dt.String = pa.Field(nullable=False)


class BybitOpenInterest(Raw):
    """Venue symbol x interval x timestamp: base quantity of BOTH sides (staging halves it)."""

    venue_symbol: dt.String = pa.Field(nullable=False)
    interval: dt.String = pa.Field(nullable=False)
    timestamp: UTC = pa.Field(nullable=False)
    open_interest: dt.Float64 = pa.Field(nullable=False, ge=0)


class BybitFunding(Raw):
    """Venue symbol x funding time."""

    venue_symbol: dt.String = pa.Field(nullable=False)
    funding_time: UTC = pa.Field(nullable=False)
    funding_rate: dt.Float64 = pa.Field(nullable=False)


class BybitLiquidations(Raw):
    """One allLiquidation item; ``position_side`` Buy means that a LONG was liquidated, price is the bankruptcy price."""

    venue_symbol: dt.String = pa.Field(nullable=False)
    event_time: UTC = pa.Field(nullable=False)
    position_side: dt.String = pa.Field(nullable=False, isin=("Buy", "Sell"))
    size: dt.Float64 = pa.Field(nullable=False, ge=0)
    bankruptcy_price: dt.Float64 = pa.Field(nullable=False, gt=0)


class FilesKlines(_Candle):
    """Venue symbol x price kind x interval x bar start, from a declared file; volume in base units, USD, or both."""

    base_asset: dt.String = pa.Field(nullable=False)
    contract_type: dt.String = pa.Field(nullable=False, isin=("linear", "inverse"))
    price_kind: dt.String = pa.Field(nullable=False, isin=("last", "index", "mark"))
    interval_seconds: dt.Int64 = pa.Field(nullable=False, gt=0)
    base_quantity: dt.Float64 = pa.Field(nullable=True, ge=0)
    notional_usd: dt.Float64 = pa.Field(nullable=True, ge=0)


class FilesOpenInterest(Raw):
    """Venue symbol x time, from a declared file."""

    venue_symbol: dt.String = pa.Field(nullable=False)
    base_asset: dt.String = pa.Field(nullable=False)
    contract_type: dt.String = pa.Field(nullable=False, isin=("linear", "inverse"))
    event_at: UTC = pa.Field(nullable=False)
    base_quantity: dt.Float64 = pa.Field(nullable=True, ge=0)
    notional_usd: dt.Float64 = pa.Field(nullable=False, ge=0)
    oi_sidedness: dt.String = pa.Field(nullable=False, isin=("one", "both"))


class FilesLiquidations(Raw):
    """One liquidation, or one period's sum for one side (``period_seconds`` > 0), from a declared file."""

    venue_symbol: dt.String = pa.Field(nullable=False)
    base_asset: dt.String = pa.Field(nullable=False)
    contract_type: dt.String = pa.Field(nullable=False, isin=("linear", "inverse"))
    event_at: UTC = pa.Field(nullable=False)
    period_seconds: dt.Int64 = pa.Field(nullable=False, ge=0)
    liquidated_side: dt.String = pa.Field(nullable=False, isin=("long", "short"))
    base_quantity: dt.Float64 = pa.Field(nullable=True, ge=0)
    notional_usd: dt.Float64 = pa.Field(nullable=False, ge=0)
    price_basis: dt.String = pa.Field(nullable=True, isin=("fill", "bankruptcy", "mark"))


class FilesFunding(Raw):
    """Venue symbol x funding time: rate per that venue's own interval, as a fraction."""

    venue_symbol: dt.String = pa.Field(nullable=False)
    base_asset: dt.String = pa.Field(nullable=False)
    event_at: UTC = pa.Field(nullable=False)
    funding_rate: dt.Float64 = pa.Field(nullable=False)


class FilesAdl(Raw):
    """Venue symbol x auto-deleveraging cluster: notional and, where known, the profit taken from winners and the deficit."""

    venue_symbol: dt.String = pa.Field(nullable=False)
    base_asset: dt.String = pa.Field(nullable=False)
    event_at: UTC = pa.Field(nullable=False)
    adl_usd: dt.Float64 = pa.Field(nullable=True, ge=0)
    haircut_usd: dt.Float64 = pa.Field(nullable=True, ge=0)
    deficit_usd: dt.Float64 = pa.Field(nullable=True, ge=0)


class FilesDepth(Raw):
    """Venue symbol x snapshot x side x band: USD resting within ``band_bps`` of mid."""

    venue_symbol: dt.String = pa.Field(nullable=False)
    base_asset: dt.String = pa.Field(nullable=False)
    event_at: UTC = pa.Field(nullable=False)
    side: dt.String = pa.Field(nullable=False, isin=("bid", "ask"))
    band_bps: dt.Float64 = pa.Field(nullable=False, gt=0)
    depth_usd: dt.Float64 = pa.Field(nullable=False, ge=0)


class FilesLeverageTiers(Raw):
    """Venue symbol x day of validity x tier number; MM(N) = N * maintenance_rate - maintenance_amount_usd."""

    venue_symbol: dt.String = pa.Field(nullable=False)
    base_asset: dt.String = pa.Field(nullable=False)
    event_at: UTC = pa.Field(nullable=False)
    tier_number: dt.Int64 = pa.Field(nullable=False, ge=1)
    notional_floor_usd: dt.Float64 = pa.Field(nullable=False, ge=0)
    notional_cap_usd: dt.Float64 = pa.Field(nullable=False, gt=0)
    maintenance_rate: dt.Float64 = pa.Field(nullable=False, gt=0, lt=1)
    maintenance_amount_usd: dt.Float64 = pa.Field(nullable=False, ge=0)
    max_leverage: dt.Float64 = pa.Field(nullable=True, gt=0)


RAW_MODELS: dict[str, type[Raw]] = {
    "binance_klines": BinanceKlines,
    "binance_index_klines": BinanceIndexKlines,
    "binance_open_interest": BinanceOpenInterest,
    "binance_funding": BinanceFunding,
    "binance_book_depth": BinanceBookDepth,
    "binance_liquidations": BinanceLiquidations,
    "bybit_klines": BybitKlines,
    "bybit_index_klines": BybitIndexKlines,
    "bybit_open_interest": BybitOpenInterest,
    "bybit_funding": BybitFunding,
    "bybit_liquidations": BybitLiquidations,
    "files_klines": FilesKlines,
    "files_open_interest": FilesOpenInterest,
    "files_liquidations": FilesLiquidations,
    "files_funding": FilesFunding,
    "files_adl": FilesAdl,
    "files_depth": FilesDepth,
    "files_leverage_tiers": FilesLeverageTiers,
}
