"""Readers of Binance's pages and files: the venue's numbers under the raw layer's names, unconverted.

What a number counts differs between the markets: volumes of USD-M are in units of the base code and turnovers in the quote
asset, volumes of COIN-M are contracts and what the archive heads ``quote_volume`` is the base coin. The seed ``feed_units``
says so.
"""

from dagster_project.recorder.messages import liquidations
from dagster_project.sources.batch import Batch, epoch, number
from dagster_project.sources.binance.archive import SETTLED
from dagster_project.sources.binance.hosts import NAME
from dagster_project.sources.books import depth_rows
from dagster_project.sources.pools import pool_name

_ASKED = epoch("asked_at_ms")

_FILED_AS = f"""landed.venue_symbol ||
  CASE WHEN contains(landed.origin, landed.venue_symbol || '{SETTLED}') THEN '{SETTLED}' ELSE '' END"""
"""The contract of an archive's file: an older one that had the same symbol lies under a name of its own, which it keeps here."""


def _from(table: str) -> str:
    return f"FROM {table} AS r JOIN landed USING (file_number)"


def _each(items: str) -> str:
    """SQL of a row for each item of a list; one without content where there is none, so that the record does not vanish."""
    return f"unnest(CASE WHEN len({items}) > 0 THEN {items} ELSE [NULL] END)"


def _utc(text: str) -> str:
    """SQL of a moment written as text without a zone, which is UTC."""
    return f"TRY_CAST({text} AS TIMESTAMP) AT TIME ZONE 'UTC'"


_BAR = (
    "open_time",
    "open",
    "high",
    "low",
    "close",
    "volume",
    "close_time",
    "turnover",
    "trade_count",
    "taker_buy_volume",
    "taker_buy_turnover",
    "unused",
)
"""Values of a bar in their order, which pages and files share."""


def _bars(batch: Batch, table: str, values: dict[str, str], venue_symbol: str) -> str:
    batch.refuse_mixed_units(table, values["open_time"])
    start = epoch(values["open_time"])
    numbers = ",\n          ".join(
        f'{number(values[name])} AS "{name}"'
        for name in _BAR
        if name not in {"open_time", "close_time", "trade_count", "unused"}
    )
    return f"""
        SELECT file_number, record, {venue_symbol} AS venue_symbol, {start} AS open_time, {start} AS event_at,
          TRY_CAST(interval_seconds AS BIGINT) AS interval_seconds, price_kind,
          {numbers},
          TRY_CAST({values["trade_count"]} AS BIGINT) AS trade_count,
          CASE WHEN {start} + to_seconds(TRY_CAST(interval_seconds AS BIGINT)) > coalesce({_ASKED}, landed.ingested_at)
            THEN 'bar still open' END AS excluded
        {_from(table)}"""


def klines(batch: Batch) -> str:
    """Pages of bars of any kind of price."""
    table = batch.json("$", '["VARCHAR"]')
    values = {name: f"item[{place}]" for place, name in enumerate(_BAR, start=1)}
    return _bars(batch, table, values, "landed.venue_symbol")


def archive_klines(batch: Batch) -> str:
    """Files of bars of any kind of price, with or without a header."""
    table = batch.csv(_BAR)
    return _bars(batch, table, {name: f'"{name}"' for name in _BAR}, _FILED_AS)


def funding(batch: Batch) -> str:
    """Pages of settled rates; since 2026-07-28 there are others beside the regular ones, settled outside the schedule."""
    table = batch.json(
        "$",
        '{"symbol": "VARCHAR", "fundingTime": "VARCHAR", "fundingRate": "VARCHAR", "markPrice": "VARCHAR", '
        '"rateType": "VARCHAR"}',
    )
    batch.refuse_mixed_units(table, "item.fundingTime")
    at = epoch("item.fundingTime")
    return f"""
        SELECT file_number, record, item.symbol AS venue_symbol, {at} AS funding_time, {at} AS event_at,
          {number("item.fundingRate")} AS funding_rate, {number("item.markPrice")} AS mark_price,
          CASE WHEN coalesce(item.rateType, 'Regular') <> 'Regular' THEN lower(item.rateType) || ' rate' END AS excluded
        {_from(table)}"""


def archive_funding(batch: Batch) -> str:
    """Files of settled rates, with the interval and without a mark price or a kind of rate."""
    table = batch.csv(("calc_time", "interval_hours", "last_funding_rate"))
    batch.refuse_mixed_units(table, "calc_time")
    at = epoch("calc_time")
    return f"""
        SELECT file_number, record, {_FILED_AS} AS venue_symbol, {at} AS funding_time, {at} AS event_at,
          {number("last_funding_rate")} AS funding_rate,
          nullif(TRY_CAST(interval_hours AS BIGINT), 0) * 3600 AS interval_seconds
        {_from(table)}"""


def open_interest(batch: Batch) -> str:
    """Pages of open interest."""
    table = batch.json("$", '{"sumOpenInterest": "VARCHAR", "sumOpenInterestValue": "VARCHAR", "timestamp": "VARCHAR"}')
    batch.refuse_mixed_units(table, "item.timestamp")
    at = epoch("item.timestamp")
    return f"""
        SELECT file_number, record, TRY_CAST(period_seconds AS BIGINT) AS period_seconds, {at} AS observed_at, {at} AS event_at,
          {number("item.sumOpenInterest")} AS open_interest, {number("item.sumOpenInterestValue")} AS open_interest_value
        {_from(table)}"""


_METRICS = (
    "create_time",
    "named",
    "sum_open_interest",
    "sum_open_interest_value",
    "top_accounts",
    "top_positions",
    "accounts",
    "taker_volume",
)
"""Columns of a file of metrics; the last four by their population."""


def archive_open_interest(batch: Batch) -> str:
    """Open interest of files of metrics, whose rows are in no order; labels and repeats stay as they are."""
    table = batch.csv(_METRICS)
    at = _utc("create_time")
    return f"""
        SELECT file_number, record, {_FILED_AS} AS venue_symbol, TRY_CAST(period_seconds AS BIGINT) AS period_seconds,
          {at} AS observed_at, {at} AS event_at, {number("sum_open_interest")} AS open_interest,
          {number("sum_open_interest_value")} AS open_interest_value
        {_from(table)}"""


def archive_ratios(batch: Batch) -> str:
    """The four ratios of files of metrics; a field is empty where the venue counted nothing."""
    table = batch.csv(_METRICS)
    at = _utc("create_time")
    return " UNION ALL ".join(
        f"""SELECT file_number, record, {_FILED_AS} AS venue_symbol, '{population}' AS population,
          TRY_CAST(period_seconds AS BIGINT) AS period_seconds, {at} AS observed_at, {at} AS event_at,
          {number(population)} AS long_short_ratio,
          CASE WHEN nullif({population}, '') IS NULL THEN 'no ratio given' END AS excluded
        {_from(table)}"""
        for population in _METRICS[4:]
    )


def ratios(batch: Batch) -> str:
    """Pages of longs over shorts; COIN-M gives takers' volumes, of which this is the quotient, as USD-M gives it."""
    table = batch.json(
        "$",
        '{"longShortRatio": "VARCHAR", "longAccount": "VARCHAR", "longPosition": "VARCHAR", "buySellRatio": "VARCHAR", '
        '"takerBuyVol": "VARCHAR", "takerSellVol": "VARCHAR", "timestamp": "VARCHAR"}',
    )
    batch.refuse_mixed_units(table, "item.timestamp")
    at = epoch("item.timestamp")
    return f"""
        SELECT file_number, record, population, TRY_CAST(period_seconds AS BIGINT) AS period_seconds, {at} AS observed_at,
          {at} AS event_at, {number("coalesce(item.longAccount, item.longPosition)")} AS long_share,
          coalesce({number("item.longShortRatio")}, {number("item.buySellRatio")},
            {number("item.takerBuyVol")} / nullif({number("item.takerSellVol")}, 0)) AS long_short_ratio
        {_from(table)}"""


def instruments(batch: Batch) -> str:
    """Terms of the contracts: USD-M counts units of the base code, a COIN-M contract is worth ``contractSize`` dollars."""
    table = batch.json(
        "$.symbols",
        '{"symbol": "VARCHAR", "contractType": "VARCHAR", "status": "VARCHAR", "contractStatus": "VARCHAR", '
        '"contractSize": "VARCHAR", "baseAsset": "VARCHAR", "quoteAsset": "VARCHAR", "marginAsset": "VARCHAR", '
        '"onboardDate": "VARCHAR", "deliveryDate": "VARCHAR", '
        '"filters": [{"filterType": "VARCHAR", "tickSize": "VARCHAR", "stepSize": "VARCHAR"}]}',
    )

    def of_filter(kind: str, name: str) -> str:
        return number(f"list_filter(item.filters, lambda f: f.filterType = '{kind}')[1].{name}")

    # A perpetual's delivery is at the end of the year 2100 until it is delisted.
    return f"""
        SELECT file_number, record, item.symbol AS venue_symbol, {_ASKED} AS event_at, item.baseAsset AS base_code,
          item.quoteAsset AS quote_code, item.marginAsset AS settle_code,
          CASE product WHEN 'um' THEN 'linear' WHEN 'cm' THEN 'inverse' END AS contract_type,
          CASE WHEN contains(item.contractType, 'PERPETUAL') THEN true
            WHEN contains(item.contractType, 'QUARTER') OR contains(item.contractType, 'MONTH') THEN false
            WHEN item.deliveryDate = '4133404800000' THEN true END AS is_perpetual,
          CASE product WHEN 'um' THEN 1.0 WHEN 'cm' THEN {number("item.contractSize")} END AS contract_value,
          {of_filter("PRICE_FILTER", "tickSize")} AS tick_size, {of_filter("LOT_SIZE", "stepSize")} AS quantity_step,
          coalesce(item.status, item.contractStatus) AS status, {epoch("nullif(item.onboardDate, '0')")} AS listed_at,
          {epoch("nullif(item.deliveryDate, '4133404800000')")} AS delisted_at
        {_from(table)}"""


def tickers(batch: Batch) -> str:
    """The last 24 hours; a contract without a trade yet has the price 0, which is none."""
    table = batch.json(
        "$",
        '{"symbol": "VARCHAR", "lastPrice": "VARCHAR", "volume": "VARCHAR", "baseVolume": "VARCHAR", "quoteVolume": "VARCHAR"}',
    )
    return f"""
        SELECT file_number, record, item.symbol AS venue_symbol, {_ASKED} AS event_at,
          nullif({number("item.lastPrice")}, 0) AS last_price, {number("item.volume")} AS volume,
          {number("item.baseVolume")} AS base_volume, {number("item.quoteVolume")} AS turnover
        {_from(table)}"""


def insurance_funds(batch: Batch) -> str:
    """Balances of the pools, each of which holds several assets."""
    table = batch.json("$", '{"symbols": ["VARCHAR"], "assets": [{"asset": "VARCHAR", "marginBalance": "VARCHAR"}]}')
    pools = f"""SELECT file_number, record, asked_at_ms, item, {pool_name("item.symbols", "file_number")} AS pool
          {_from(table)}"""
    return f"""
        SELECT file_number, record, pool AS venue_symbol, {_ASKED} AS event_at, held.asset AS asset,
          {number("held.marginBalance")} AS balance, array_to_string(list_sort(symbols), ',') AS covered_symbols
        FROM (SELECT * EXCLUDE (item), item.symbols AS symbols, {_each("item.assets")} AS held FROM ({pools}))"""


def adl_risk(batch: Batch) -> str:
    """Nearness of auto-deleveraging: low, medium or high, renewed every 30 minutes."""
    table = batch.json("$", '{"symbol": "VARCHAR", "adlRisk": "VARCHAR"}')
    return f"""
        SELECT file_number, record, item.symbol AS venue_symbol, {_ASKED} AS event_at, item.adlRisk AS risk_level
        {_from(table)}"""


def leverage_tiers(batch: Batch) -> str:
    """Brackets: bounds of USD-M in the quote asset, of COIN-M in the base coin (where the documentation has ``qtylFloor``)."""
    table = batch.json(
        "$",
        '{"symbol": "VARCHAR", "brackets": [{"bracket": "VARCHAR", "initialLeverage": "VARCHAR", "notionalFloor": "VARCHAR", '
        '"notionalCap": "VARCHAR", "qtyFloor": "VARCHAR", "qtylFloor": "VARCHAR", "qtyCap": "VARCHAR", '
        '"maintMarginRatio": "VARCHAR", "cum": "VARCHAR"}]}',
    )
    return f"""
        SELECT file_number, record, venue_symbol, {_ASKED} AS event_at, TRY_CAST(tier.bracket AS BIGINT) AS tier_number,
          {number("coalesce(tier.notionalFloor, tier.qtyFloor, tier.qtylFloor)")} AS tier_floor,
          {number("coalesce(tier.notionalCap, tier.qtyCap)")} AS tier_cap, {number("tier.maintMarginRatio")} AS maintenance_rate,
          {number("tier.cum")} AS maintenance_amount, {number("tier.initialLeverage")} AS max_leverage
        FROM (SELECT file_number, record, asked_at_ms, item.symbol AS venue_symbol, {_each("item.brackets")} AS tier
          {_from(table)})"""


def depth(batch: Batch) -> str:
    """Books as they stood."""
    table = batch.json_whole()
    at = epoch("coalesce(item->>'$.T', item->>'$.E', asked_at_ms)")
    sides = " UNION ALL ".join(
        f"""SELECT file_number, record, {at} AS observed_at, product, landed.venue_symbol, '{side}' AS side,
          unnest(from_json(item->'$.{key}', '[["VARCHAR"]]')) AS level {_from(table)}"""
        for side, key in (("bid", "bids"), ("ask", "asks"))
    )
    return depth_rows(
        f"SELECT * EXCLUDE (level), {number('level[1]')} AS price, {number('level[2]')} AS quantity FROM ({sides})",
        f"SELECT file_number, record, {at} AS observed_at, product, landed.venue_symbol {_from(table)}",
    )


def archive_book_depth(batch: Batch) -> str:
    """Depth from mid to each band, bids negative; written ``-5`` in older files and ``-5.00`` in newer ones."""
    table = batch.csv(("stamp", "band", "size", "worth"))
    return f"""
        SELECT file_number, record, {_FILED_AS} AS venue_symbol, {_utc("stamp")} AS observed_at, {_utc("stamp")} AS event_at,
          {number("band")} AS percentage, {number('"size"')} AS quantity, {number("worth")} AS notional, false AS is_floor,
          CASE WHEN TRY_CAST(band AS DOUBLE) = 0 THEN 'band of no width' END AS excluded
        {_from(table)}"""


def archive_liquidations(batch: Batch) -> str:
    """Orders of liquidated COIN-M positions. Every row is written twice; both stay, with the key that recorded messages have."""
    columns = ("stamp", "side", "kind", "in_force", "asked", "price", "average", "status", "last_filled", "filled")
    table = batch.csv(columns)
    batch.refuse_mixed_units(table, "stamp")
    at = epoch("stamp")
    return f"""
        SELECT file_number, record, {at} AS event_time, {at} AS event_at, lower(r.side) AS side, {number("asked")} AS quantity,
          {number("price")} AS price, {number("filled")} AS filled_quantity, {number("average")} AS average_price,
          r.status AS order_status,
          array_to_string([product, landed.venue_symbol, stamp, r.side, asked, price, filled], ':') AS event_key
        {_from(table)}"""


def stream(batch: Batch) -> str:
    """Messages that the recorder kept."""
    table = batch.parquet({"received_at": "TIMESTAMPTZ", "topic": "VARCHAR", "message": "VARCHAR"})
    return liquidations(NAME, table)


def messages(batch: Batch) -> str:
    """Messages as JSON lines, as a recorder of someone else's may keep them."""
    table = batch.json_lines()
    text = "NULL::TIMESTAMPTZ AS received_at, NULL AS topic, item::VARCHAR AS message"
    relation = f"(SELECT file_number, record, {text} FROM {table})"
    return liquidations(NAME, relation)
