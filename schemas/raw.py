"""Structure of the raw layer: one model per entity; ``<feed>__<entity>`` lies under ``data/raw/<feed>__<entity>/venue=/date=/``.

What belongs here: names, types, nullability and value ranges of what a source wrote down, in the source's own meaning.
What does not: unit conversion and cross-table rules, which are dbt's. All feeds of an entity share one shape; what a number in
it counts for a feed (contracts, base, quote, both sides, ...) is data: the seed ``feed_units``, which staging applies.

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


class _Prices(pa.DataFrameModel):
    """Prices of one bar; the range checks of every candle dataset."""

    open_time: UTC = pa.Field(nullable=False)
    open: dt.Float64 = pa.Field(nullable=False, gt=0)
    high: dt.Float64 = pa.Field(nullable=False, gt=0)
    low: dt.Float64 = pa.Field(nullable=False, gt=0)
    close: dt.Float64 = pa.Field(nullable=False, gt=0)

    @pa.dataframe_check
    def prices_are_ordered(cls, data: pa.IbisData) -> ir.BooleanValue:  # noqa: N805 - pandera passes the class
        """The bar's low and high bound its open and close."""
        bar = data.table
        return (bar.low <= bar.open) & (bar.low <= bar.close) & (bar.high >= bar.open) & (bar.high >= bar.close)


class _FilesCandle(_Prices, Raw):
    """A candle of a declared file."""

    venue_symbol: dt.String = pa.Field(nullable=False)


class Venue(Raw):
    """Columns of every row that came through a feed: a venue's own, or an aggregator's.

    ``feed`` is the connector (``binance``, ``coinglass``), ``product`` the feed's own name of a market (``um``, ``inverse``),
    which with the field decides its unit, and ``venue_symbol`` the contract as the feed writes it.
    """

    feed: dt.String = pa.Field(nullable=False, str_matches=r"^[a-z0-9_]+$")
    product: dt.String = pa.Field(nullable=False, str_matches=r"^[a-z0-9_]+$")
    venue_symbol: dt.String = pa.Field(nullable=False, str_length={"min_value": 1})


class Instruments(Venue):
    """Feed x product x venue symbol x time asked: terms of a contract as the venue states them."""

    event_at: UTC = pa.Field(nullable=False)
    base_code: dt.String = pa.Field(nullable=False)
    quote_code: dt.String = pa.Field(nullable=False)
    settle_code: dt.String = pa.Field(nullable=True)
    contract_type: dt.String = pa.Field(nullable=False, isin=("linear", "inverse"))
    is_perpetual: dt.Boolean = pa.Field(nullable=False)
    contract_value: dt.Float64 = pa.Field(nullable=False, gt=0)
    tick_size: dt.Float64 = pa.Field(nullable=True, gt=0)
    quantity_step: dt.Float64 = pa.Field(nullable=True, gt=0)
    max_leverage: dt.Float64 = pa.Field(nullable=True, gt=0)
    funding_interval_seconds: dt.Int64 = pa.Field(nullable=True, gt=0)
    status: dt.String = pa.Field(nullable=True)
    listed_at: UTC = pa.Field(nullable=True)
    delisted_at: UTC = pa.Field(nullable=True)


class Klines(_Prices, Venue):
    """Feed x product x venue symbol x interval x bar start of traded prices; each volume in the unit of ``feed_units``."""

    interval_seconds: dt.Int64 = pa.Field(nullable=False, gt=0)
    volume: dt.Float64 = pa.Field(nullable=False, ge=0)
    base_volume: dt.Float64 = pa.Field(nullable=True, ge=0)
    turnover: dt.Float64 = pa.Field(nullable=True, ge=0)
    trade_count: dt.Int64 = pa.Field(nullable=True, ge=0)
    taker_buy_volume: dt.Float64 = pa.Field(nullable=True, ge=0)
    taker_buy_turnover: dt.Float64 = pa.Field(nullable=True, ge=0)


class ReferenceKlines(_Prices, Venue):
    """Feed x product x venue symbol x price kind x interval x bar start of mark or index prices."""

    price_kind: dt.String = pa.Field(nullable=False, isin=("mark", "index"))
    interval_seconds: dt.Int64 = pa.Field(nullable=False, gt=0)


class PremiumKlines(Venue):
    """Feed x product x venue symbol x interval x bar start of the premium index, a fraction that may be negative."""

    interval_seconds: dt.Int64 = pa.Field(nullable=False, gt=0)
    open_time: UTC = pa.Field(nullable=False)
    open: dt.Float64 = pa.Field(nullable=False)
    high: dt.Float64 = pa.Field(nullable=False)
    low: dt.Float64 = pa.Field(nullable=False)
    close: dt.Float64 = pa.Field(nullable=False)


class Funding(Venue):
    """Feed x product x venue symbol x funding time: the settled rate per the contract's own interval."""

    funding_time: UTC = pa.Field(nullable=False)
    funding_rate: dt.Float64 = pa.Field(nullable=False)
    mark_price: dt.Float64 = pa.Field(nullable=True, gt=0)
    interval_seconds: dt.Int64 = pa.Field(nullable=True, gt=0)


class OpenInterest(Venue):
    """Feed x product x venue symbol x period x time; each value in the unit and sidedness of ``feed_units``."""

    period_seconds: dt.Int64 = pa.Field(nullable=False, ge=0)
    observed_at: UTC = pa.Field(nullable=False)
    open_interest: dt.Float64 = pa.Field(nullable=True, ge=0)
    open_interest_base: dt.Float64 = pa.Field(nullable=True, ge=0)
    open_interest_value: dt.Float64 = pa.Field(nullable=True, ge=0)
    single_open_interest: dt.Float64 = pa.Field(nullable=True, ge=0)

    @pa.dataframe_check
    def has_a_value(cls, data: pa.IbisData) -> ir.BooleanValue:  # noqa: N805 - pandera passes the class
        """Any of the values stands."""
        row = data.table
        return row.open_interest.notnull() | row.open_interest_base.notnull() | row.open_interest_value.notnull()


class Liquidations(Venue):
    """Feed x liquidation message; ``side`` as the venue writes it, whose meaning ``venue_feed_changes`` dates.

    ``quantity`` is what the order or position had, ``filled_quantity`` what was closed where a feed tells it.
    ``event_key`` is the venue's own identity of the event; without one, equal messages of one delivery are told apart by order.
    """

    event_time: UTC = pa.Field(nullable=False)
    side: dt.String = pa.Field(nullable=False, isin=("buy", "sell", "long", "short"))
    quantity: dt.Float64 = pa.Field(nullable=False, ge=0)
    price: dt.Float64 = pa.Field(nullable=True, gt=0)
    filled_quantity: dt.Float64 = pa.Field(nullable=True, ge=0)
    average_price: dt.Float64 = pa.Field(nullable=True, ge=0)
    order_status: dt.String = pa.Field(nullable=True)
    method: dt.String = pa.Field(nullable=True, isin=("market", "backstop"))
    event_key: dt.String = pa.Field(nullable=True)


class LiquidationSums(Venue):
    """Feed x product x venue symbol x period start x side: what an aggregator adds up."""

    period_seconds: dt.Int64 = pa.Field(nullable=False, gt=0)
    period_start: UTC = pa.Field(nullable=False)
    liquidated_side: dt.String = pa.Field(nullable=False, isin=("long", "short"))
    amount: dt.Float64 = pa.Field(nullable=False, ge=0)


class Depth(Venue):
    """Feed x product x venue symbol x snapshot x band: cumulative size from mid to ``percentage`` (negative: bids).

    ``is_floor``: the book that was sent ended inside the band, so more may have rested there.
    """

    observed_at: UTC = pa.Field(nullable=False)
    percentage: dt.Float64 = pa.Field(nullable=False)
    quantity: dt.Float64 = pa.Field(nullable=False, ge=0)
    notional: dt.Float64 = pa.Field(nullable=False, ge=0)
    best_price: dt.Float64 = pa.Field(nullable=True, gt=0)
    is_floor: dt.Boolean = pa.Field(nullable=False)


class InsuranceFunds(Venue):
    """Feed x pool (``venue_symbol``) x asset x time: the balance in that asset, and in USD where stated.

    Where the venue names no pool, its name follows from the contracts that it covers (``sources/pools.py``).
    """

    event_at: UTC = pa.Field(nullable=False)
    asset: dt.String = pa.Field(nullable=False)
    balance: dt.Float64 = pa.Field(nullable=False)
    balance_usd: dt.Float64 = pa.Field(nullable=True)
    covered_symbols: dt.String = pa.Field(nullable=True)


class AdlRisk(Venue):
    """Feed x product x venue symbol x time: what a venue says of the nearness of auto-deleveraging."""

    event_at: UTC = pa.Field(nullable=False)
    risk_level: dt.String = pa.Field(nullable=True)
    pool_balance: dt.Float64 = pa.Field(nullable=True)
    pnl_ratio: dt.Float64 = pa.Field(nullable=True)
    insurance_pnl_ratio: dt.Float64 = pa.Field(nullable=True)
    trigger_threshold: dt.Float64 = pa.Field(nullable=True)
    stop_ratio: dt.Float64 = pa.Field(nullable=True)


class AdlFills(Venue):
    """Feed x auto-deleveraging fill: ``side`` is the side of the position that was reduced against its owner's will."""

    event_time: UTC = pa.Field(nullable=False)
    side: dt.String = pa.Field(nullable=False, isin=("long", "short"))
    quantity: dt.Float64 = pa.Field(nullable=False, ge=0)
    price: dt.Float64 = pa.Field(nullable=False, gt=0)
    closed_pnl: dt.Float64 = pa.Field(nullable=True)
    account: dt.String = pa.Field(nullable=True)
    event_key: dt.String = pa.Field(nullable=False)


class LeverageTiers(Venue):
    """Feed x product x venue symbol x time asked x tier; bounds in the unit of ``feed_units``, rates as fractions."""

    event_at: UTC = pa.Field(nullable=False)
    tier_number: dt.Int64 = pa.Field(nullable=False, ge=1)
    tier_floor: dt.Float64 = pa.Field(nullable=False, ge=0)
    tier_cap: dt.Float64 = pa.Field(nullable=True, gt=0)
    maintenance_rate: dt.Float64 = pa.Field(nullable=False, gt=0, lt=1)
    maintenance_amount: dt.Float64 = pa.Field(nullable=True, ge=0)
    initial_rate: dt.Float64 = pa.Field(nullable=True, gt=0, le=1)
    max_leverage: dt.Float64 = pa.Field(nullable=True, gt=0)


class LongShortRatios(Venue):
    """Feed x product x venue symbol x population x period x time: long over short of a population."""

    observed_at: UTC = pa.Field(nullable=False)
    period_seconds: dt.Int64 = pa.Field(nullable=False, ge=0)
    population: dt.String = pa.Field(nullable=False, isin=("accounts", "top_accounts", "top_positions", "taker_volume"))
    long_short_ratio: dt.Float64 = pa.Field(nullable=False, ge=0)
    long_share: dt.Float64 = pa.Field(nullable=True, ge=0, le=1)


class Tickers(Venue):
    """Feed x product x venue symbol x time asked: the rolling 24 hours; each volume in the unit of ``feed_units``."""

    event_at: UTC = pa.Field(nullable=False)
    last_price: dt.Float64 = pa.Field(nullable=True, gt=0)
    mark_price: dt.Float64 = pa.Field(nullable=True, gt=0)
    index_price: dt.Float64 = pa.Field(nullable=True, gt=0)
    volume: dt.Float64 = pa.Field(nullable=True, ge=0)
    base_volume: dt.Float64 = pa.Field(nullable=True, ge=0)
    turnover: dt.Float64 = pa.Field(nullable=True, ge=0)
    open_interest: dt.Float64 = pa.Field(nullable=True, ge=0)
    single_open_interest: dt.Float64 = pa.Field(nullable=True, ge=0)
    funding_rate: dt.Float64 = pa.Field(nullable=True)


class FilesKlines(_FilesCandle):
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


class Operation(pa.DataFrameModel):
    """Columns of a table that speaks of the data and not of the market."""

    date: dt.Date = pa.Field(nullable=False)

    class Config:
        """A column that the model does not name is an error, as for raw data."""

        strict = True


class Quarantine(Operation):
    """One record, or one whole file (``record`` is null), that was set aside because it breaks the model or cannot be read."""

    dataset: dt.String = pa.Field(nullable=False)
    venue: dt.String = pa.Field(nullable=False)
    feed: dt.String = pa.Field(nullable=False)
    entity: dt.String = pa.Field(nullable=False)
    landing_path: dt.String = pa.Field(nullable=False)
    record: dt.Int64 = pa.Field(nullable=True, ge=1)
    reason: dt.String = pa.Field(nullable=False, str_length={"min_value": 1})
    payload: dt.String = pa.Field(nullable=True)
    source_class: dt.String = pa.Field(nullable=False, isin=SOURCE_CLASSES)
    ingested_at: UTC = pa.Field(nullable=False)


class Intake(Operation):
    """Dataset x venue x day: where the records that were read ended; each is kept, quarantined or excluded by rule."""

    dataset: dt.String = pa.Field(nullable=False)
    venue: dt.String = pa.Field(nullable=False)
    records_read: dt.Int64 = pa.Field(nullable=False, ge=0)
    rows_kept: dt.Int64 = pa.Field(nullable=False, ge=0)
    rows_quarantined: dt.Int64 = pa.Field(nullable=False, ge=0)
    rows_excluded: dt.Int64 = pa.Field(nullable=False, ge=0)
    excluded_reasons: dt.String = pa.Field(nullable=True)


class DataGap(Operation):
    """Feed x venue x entity x gap: a stretch of time that was asked for and that the feed did not have."""

    venue: dt.String = pa.Field(nullable=False)
    feed: dt.String = pa.Field(nullable=False)
    entity: dt.String = pa.Field(nullable=False)
    gap_from_at: UTC = pa.Field(nullable=False)
    gap_to_at: UTC = pa.Field(nullable=False)
    cause: dt.String = pa.Field(nullable=False)
    is_permanent: dt.Boolean = pa.Field(nullable=False)
    note: dt.String = pa.Field(nullable=True)
    ingested_at: UTC = pa.Field(nullable=False)


class CollectorGap(Operation):
    """Feed x venue x topic x gap: a stretch of time in which a collector did not hear a stream."""

    venue: dt.String = pa.Field(nullable=False)
    feed: dt.String = pa.Field(nullable=False)
    topic: dt.String = pa.Field(nullable=False)
    gap_from_at: UTC = pa.Field(nullable=False)
    gap_to_at: UTC = pa.Field(nullable=False)
    cause: dt.String = pa.Field(nullable=False)
    note: dt.String = pa.Field(nullable=True)
    ingested_at: UTC = pa.Field(nullable=False)


class UserEvents(Operation):
    """Event that a user added: its phases with their bounds. ``venue`` is ``market``, ``date`` the UTC day of the shock."""

    venue: dt.String = pa.Field(nullable=False, isin=("market",))
    event_id: dt.String = pa.Field(nullable=False, str_matches=r"^[a-z0-9][a-z0-9_]*$")
    event_name: dt.String = pa.Field(nullable=False, str_length={"min_value": 1})
    window_start_at: UTC = pa.Field(nullable=False)
    pre_event_at: UTC = pa.Field(nullable=False)
    shock_at: UTC = pa.Field(nullable=False)
    cascade_at: UTC = pa.Field(nullable=False)
    aftershock_at: UTC = pa.Field(nullable=False)
    recovery_at: UTC = pa.Field(nullable=False)
    window_end_at: UTC = pa.Field(nullable=False)
    shock_source: dt.String = pa.Field(nullable=False)
    cascade_source: dt.String = pa.Field(nullable=False)
    aftershock_source: dt.String = pa.Field(nullable=False)
    recovery_source: dt.String = pa.Field(nullable=False)
    ingested_at: UTC = pa.Field(nullable=False)


ENTITIES: dict[str, type[Venue]] = {
    "instruments": Instruments,
    "klines": Klines,
    "reference_klines": ReferenceKlines,
    "premium_klines": PremiumKlines,
    "funding": Funding,
    "open_interest": OpenInterest,
    "liquidations": Liquidations,
    "liquidation_sums": LiquidationSums,
    "depth": Depth,
    "insurance_funds": InsuranceFunds,
    "adl_risk": AdlRisk,
    "adl_fills": AdlFills,
    "leverage_tiers": LeverageTiers,
    "long_short_ratios": LongShortRatios,
    "tickers": Tickers,
}
"""What feeds deliver. A dataset is ``<feed>__<entity>``."""

DECLARED: dict[str, type[Raw]] = {
    "files_klines": FilesKlines,
    "files_open_interest": FilesOpenInterest,
    "files_liquidations": FilesLiquidations,
    "files_funding": FilesFunding,
    "files_adl": FilesAdl,
    "files_depth": FilesDepth,
    "files_leverage_tiers": FilesLeverageTiers,
}
"""Datasets of declared files, which state canonical units in their spec."""

OPERATIONS: dict[str, type[Operation]] = {
    "quarantine": Quarantine,
    "intake": Intake,
    "data_gap": DataGap,
    "collector_gap": CollectorGap,
    "user_events": UserEvents,
}
"""Tables that speak of the data: what was set aside, what was read, what is missing, and which times are looked at."""


def model_of(dataset: str) -> type[Raw]:
    """The model of a dataset: ``files_klines``, or ``<feed>__<entity>``.

    Raises:
        KeyError: No such entity.
    """
    return DECLARED[dataset] if dataset in DECLARED else ENTITIES[dataset.partition("__")[2]]


_CONDITIONS = {
    "greater_than": "{column} > {min_value!r}",
    "greater_than_or_equal_to": "{column} >= {min_value!r}",
    "less_than": "{column} < {max_value!r}",
    "less_than_or_equal_to": "{column} <= {max_value!r}",
    "str_matches": "regexp_matches({column}, '{pattern}')",
    "str_length": "length({column}) >= {min_value}",
}
_WORDS = {
    "greater_than": "is not above {min_value}",
    "greater_than_or_equal_to": "is below {min_value}",
    "less_than": "is not below {max_value}",
    "less_than_or_equal_to": "is above {max_value}",
    "str_matches": "is not written as it should be",
    "str_length": "is empty",
}
_ACROSS = {
    "prices_are_ordered": (
        "low is above or high below another price",
        '"low" <= "open" AND "low" <= "close" AND "high" >= "open" AND "high" >= "close"',
    ),
    "has_a_value": (
        "no value is given",
        "coalesce(open_interest, open_interest_base, open_interest_value) IS NOT NULL",
    ),
}
"""The models' rules over several columns, for one row: reason of a refusal, and condition."""


def row_rules(dataset: str) -> list[tuple[str, str]]:
    """What a row of a dataset must satisfy, as SQL: the same rules as its model's, one row at a time.

    Returns:
        Reason of a refusal, and condition.
    """
    schema = model_of(dataset).to_schema()
    rules: list[tuple[str, str]] = []
    for name, column in schema.columns.items():
        quoted = f'"{name}"'
        if not column.nullable:
            rules.append((f"{name} has no usable value", f"{quoted} IS NOT NULL"))
        if str(column.dtype.type).removeprefix("!") == "float64":
            rules.append((f"{name} is no number", f"{quoted} IS NULL OR isfinite({quoted})"))
        for check in column.checks:
            if check.name == "isin":
                allowed = ", ".join(
                    "'" + str(value).replace("'", "''") + "'" for value in check.statistics["allowed_values"]
                )
                reason, condition = f"{name} is none of the known values", f"{quoted} IN ({allowed})"
            else:
                values = dict(check.statistics)
                reason = f"{name} {_WORDS[check.name].format(**values)}"
                condition = _CONDITIONS[check.name].format(column=quoted, **values)
            rules.append((reason, f"{quoted} IS NULL OR {condition}"))
    rules += [_ACROSS[check.name] for check in schema.checks]
    return rules
