"""OKX's answers and files as rows; numbers stay as written, so sizes of contracts count contracts."""

from dagster_project.recorder import messages
from dagster_project.sources.batch import Batch, epoch, number
from dagster_project.sources.books import depth_rows

_ASKED = epoch("asked_at_ms")


def _from(table: str) -> str:
    return f"FROM {table} AS r JOIN landed USING (file_number)"


def klines(batch: Batch) -> str:
    """``[ts, open, high, low, close, contracts, base coin, quote coin, confirm]``."""
    table = batch.json("$.data", '["VARCHAR"]')
    batch.refuse_mixed_units(table, "item[1]")
    return f"""
        SELECT file_number, record, {epoch("item[1]")} AS open_time, {epoch("item[1]")} AS event_at,
          TRY_CAST(interval_seconds AS BIGINT) AS interval_seconds,
          {number("item[2]")} AS open, {number("item[3]")} AS high, {number("item[4]")} AS low, {number("item[5]")} AS close,
          {number("item[6]")} AS volume, {number("item[7]")} AS base_volume, {number("item[8]")} AS turnover,
          CASE item[9] WHEN '0' THEN 'bar still open' END AS excluded
        {_from(table)}"""


def reference_klines(batch: Batch) -> str:
    """``[ts, open, high, low, close, confirm]`` of mark or index."""
    table = batch.json("$.data", '["VARCHAR"]')
    batch.refuse_mixed_units(table, "item[1]")
    return f"""
        SELECT file_number, record, {epoch("item[1]")} AS open_time, {epoch("item[1]")} AS event_at, price_kind,
          TRY_CAST(interval_seconds AS BIGINT) AS interval_seconds,
          {number("item[2]")} AS open, {number("item[3]")} AS high, {number("item[4]")} AS low, {number("item[5]")} AS close,
          CASE item[6] WHEN '0' THEN 'bar still open' END AS excluded
        {_from(table)}"""


def archive_candles(batch: Batch) -> str:
    """One-minute candles; ``confirm`` is not looked at: older files say 0 throughout, of bars that had been over for days."""
    columns = ("instrument_name", "open", "high", "low", "close", "vol", "vol_ccy", "vol_quote", "open_time", "confirm")
    table = batch.csv(columns, is_named=True)
    batch.refuse_mixed_units(table, "open_time")
    return f"""
        SELECT file_number, record, instrument_name AS venue_symbol, {epoch("open_time")} AS open_time,
          {epoch("open_time")} AS event_at, TRY_CAST(interval_seconds AS BIGINT) AS interval_seconds,
          {number("open")} AS open, {number("high")} AS high, {number("low")} AS low, {number("close")} AS close,
          {number("vol")} AS volume, {number("vol_ccy")} AS base_volume, {number("vol_quote")} AS turnover
        {_from(table)}"""


def funding(batch: Batch) -> str:
    """``realizedRate`` is what was paid, ``fundingRate`` what had been predicted."""
    table = batch.json("$.data", '{"instId": "VARCHAR", "realizedRate": "VARCHAR", "fundingTime": "VARCHAR"}')
    at = epoch("item.fundingTime")
    return f"""
        SELECT file_number, record, item.instId AS venue_symbol, {at} AS funding_time, {at} AS event_at,
          {number("item.realizedRate")} AS funding_rate
        {_from(table)}"""


def archive_funding(batch: Batch) -> str:
    """Rates that were paid; the time is that of the settlement, some seconds late in older files."""
    table = batch.csv(("instrument_name", "funding_rate", "funding_time"), is_named=True)
    batch.refuse_mixed_units(table, "funding_time")
    at = epoch("r.funding_time")
    return f"""
        SELECT file_number, record, instrument_name AS venue_symbol, {at} AS funding_time, {at} AS event_at,
          {number("r.funding_rate")} AS funding_rate
        {_from(table)}"""


def open_interest(batch: Batch) -> str:
    """``[ts, contracts, base coin, USD]`` by period."""
    table = batch.json("$.data", '["VARCHAR"]')
    return f"""
        SELECT file_number, record, TRY_CAST(period_seconds AS BIGINT) AS period_seconds, {epoch("item[1]")} AS observed_at,
          {epoch("item[1]")} AS event_at, {number("item[2]")} AS open_interest, {number("item[3]")} AS open_interest_base,
          {number("item[4]")} AS open_interest_value
        {_from(table)}"""


def open_interest_now(batch: Batch) -> str:
    """The same for all contracts at one moment."""
    table = batch.json(
        "$.data", '{"instId": "VARCHAR", "oi": "VARCHAR", "oiCcy": "VARCHAR", "oiUsd": "VARCHAR", "ts": "VARCHAR"}'
    )
    return f"""
        SELECT file_number, record, item.instId AS venue_symbol, 0 AS period_seconds, {epoch("item.ts")} AS observed_at,
          {epoch("item.ts")} AS event_at, {number("item.oi")} AS open_interest, {number("item.oiCcy")} AS open_interest_base,
          {number("item.oiUsd")} AS open_interest_value
        {_from(table)}"""


def long_short_ratios(batch: Batch) -> str:
    """``[ts, longs over shorts]``."""
    table = batch.json("$.data", '["VARCHAR"]')
    return f"""
        SELECT file_number, record, population, TRY_CAST(period_seconds AS BIGINT) AS period_seconds,
          {epoch("item[1]")} AS observed_at, {epoch("item[1]")} AS event_at, {number("item[2]")} AS long_short_ratio
        {_from(table)}"""


def instruments(batch: Batch) -> str:
    """Terms of contracts; one is worth ctVal x ctMult of the base coin, an inverse one of dollars, and nothing else fits here."""
    table = batch.json(
        "$.data",
        '{"instId": "VARCHAR", "instType": "VARCHAR", "uly": "VARCHAR", "settleCcy": "VARCHAR", "ctVal": "VARCHAR", '
        '"ctMult": "VARCHAR", "ctValCcy": "VARCHAR", "ctType": "VARCHAR", "tickSz": "VARCHAR", "lotSz": "VARCHAR", '
        '"lever": "VARCHAR", "state": "VARCHAR", "listTime": "VARCHAR", "expTime": "VARCHAR"}',
    )
    base, quote = "nullif(split_part(item.uly, '-', 1), '')", "nullif(split_part(item.uly, '-', 2), '')"
    return f"""
        SELECT file_number, record, item.instId AS venue_symbol, {_ASKED} AS event_at, {base} AS base_code,
          {quote} AS quote_code, nullif(item.settleCcy, '') AS settle_code, nullif(item.ctType, '') AS contract_type,
          item.instType = 'SWAP' AS is_perpetual,
          CASE WHEN item.ctValCcy = CASE item.ctType WHEN 'linear' THEN {base} WHEN 'inverse' THEN 'USD' END
            THEN {number("item.ctVal")} * {number("item.ctMult")} END AS contract_value,
          {number("item.tickSz")} AS tick_size, {number("item.lotSz")} AS quantity_step, {number("item.lever")} AS max_leverage,
          item.state AS status, {epoch("item.listTime")} AS listed_at, {epoch("item.expTime")} AS delisted_at,
          CASE WHEN item.state = 'test' THEN 'test contract'
            WHEN item.state = 'preopen' AND coalesce(item.ctVal, '') = '' THEN 'terms not announced yet' END AS excluded
        {_from(table)}"""


def leverage_tiers(batch: Batch) -> str:
    """Position tiers of swap families; bounds count contracts."""
    table = batch.json(
        "$.data",
        '{"instFamily": "VARCHAR", "uly": "VARCHAR", "tier": "VARCHAR", "minSz": "VARCHAR", "maxSz": "VARCHAR", '
        '"mmr": "VARCHAR", "imr": "VARCHAR", "maxLever": "VARCHAR"}',
    )
    # A family has one perpetual, named after it.
    return f"""
        SELECT file_number, record, coalesce(nullif(item.instFamily, ''), nullif(item.uly, '')) || '-SWAP' AS venue_symbol,
          {_ASKED} AS event_at, TRY_CAST(item.tier AS BIGINT) AS tier_number, {number("item.minSz")} AS tier_floor,
          {number("item.maxSz")} AS tier_cap, {number("item.mmr")} AS maintenance_rate, {number("item.imr")} AS initial_rate,
          {number("item.maxLever")} AS max_leverage
        {_from(table)}"""


def tickers(batch: Batch) -> str:
    """The last 24 hours: ``vol24h`` counts contracts, ``volCcy24h`` the base coin."""
    table = batch.json(
        "$.data", '{"instId": "VARCHAR", "last": "VARCHAR", "vol24h": "VARCHAR", "volCcy24h": "VARCHAR"}'
    )
    return f"""
        SELECT file_number, record, item.instId AS venue_symbol, {_ASKED} AS event_at, {number("item.last")} AS last_price,
          {number("item.vol24h")} AS volume, {number("item.volCcy24h")} AS base_volume
        {_from(table)}"""


def insurance_funds(batch: Batch) -> str:
    """Balances of the fund of a family, which is the pool; ``total`` of all funds belongs to none and is left out."""
    table = batch.json(
        "$.data",
        '{"instFamily": "VARCHAR", "details": [{"balance": "VARCHAR", "ccy": "VARCHAR", "ts": "VARCHAR"}]}',
    )
    return f"""
        SELECT file_number, record, pool AS venue_symbol, {epoch("entry.ts")} AS event_at, entry.ccy AS asset,
          {number("entry.balance")} AS balance
        FROM (SELECT file_number, record, item.instFamily AS pool, unnest(coalesce(item.details, [NULL])) AS entry
          FROM {table})"""


def depth(batch: Batch) -> str:
    """Order books; sizes count contracts."""
    table = batch.json("$.data", '{"bids": [["VARCHAR"]], "asks": [["VARCHAR"]], "ts": "VARCHAR"}')
    books = f"SELECT file_number, record, {epoch('item.ts')} AS observed_at, product, venue_symbol"
    sides = " UNION ALL ".join(
        f"{books}, '{side}' AS side, unnest(item.{side}s) AS level {_from(table)}" for side in ("bid", "ask")
    )
    levels = f"SELECT * EXCLUDE (level), {number('level[1]')} AS price, {number('level[2]')} AS quantity FROM ({sides})"
    return depth_rows(levels, f"{books} {_from(table)}")


def liquidations(batch: Batch) -> str:
    """Polled liquidations, item by item those of the stream, whose SQL gives them the same keys: one event of both is one."""
    table = batch.json_whole()
    message = "json_object('arg', json_object('channel', 'liquidation-orders'), 'data', item->'$.data')"
    relation = (
        "(SELECT file_number, record, NULL::TIMESTAMPTZ AS received_at, NULL::VARCHAR AS topic, "
        f"{message}::VARCHAR AS message FROM {table})"
    )
    # OKX tells at most one liquidation of a contract a second, so rows equal in time, size and price are one that pages repeat.
    once = "regexp_replace(event_key, ':[0-9]+$', ':1') AS event_key"
    return f"SELECT * REPLACE ({once}) FROM ({messages.liquidations('okx', relation)})"


def stream_parquet(batch: Batch) -> str:
    """Messages of the recorder."""
    table = batch.parquet({"received_at": "TIMESTAMPTZ", "topic": "VARCHAR", "message": "VARCHAR"})
    return messages.liquidations("okx", table)


def message_lines(batch: Batch) -> str:
    """Messages as JSON lines, as a recorder of someone else's may keep them."""
    table = batch.json_lines()
    relation = (
        "(SELECT file_number, record, NULL::TIMESTAMPTZ AS received_at, NULL::VARCHAR AS topic, item::VARCHAR AS message "
        f"FROM {table})"
    )
    return messages.liquidations("okx", relation)
