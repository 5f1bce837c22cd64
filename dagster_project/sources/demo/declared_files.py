"""The eight other venues as declared Parquet files: plain tables, as a third party would hand them over.

OKX, Bitget and Hyperliquid have files of their own format besides. What those tell once and for all (liquidations and
auto-deleveraging of the coins in focus, on some days) is left out here; bars, open interest, funding and depth describe what the
venue's own files describe too, with the same numbers.

Every file has ``timestamp`` (TIMESTAMPTZ, UTC), ``venue``, ``symbol`` (the venue's own name) and ``coin`` (base asset).
All are linear perpetuals. Prices are USD per unit of the base asset and quantities base units, also for kPEPE.

``candles_daily.parquet``, ``candles_minute.parquet``
    timestamp (bar start), venue, symbol, coin, open, high, low, close, base_volume, quote_volume_usd: the whole year,
    and the two days.
``index_minute.parquet``
    timestamp (bar start), venue, symbol, coin, open, high, low, close: the composite index that the contract tracks, on
    10 October from 20:00 to 23:00: the hours of its dislocation (all of both days would be a third of the sample's rows).
``open_interest.parquet``
    timestamp (instant), venue, symbol, coin, open_interest_base, open_interest_usd: one-sided; 00:00 of every day,
    every 5 minutes on the two days.
``liquidations.parquet``
    timestamp, venue, symbol, coin, side (``long`` or ``short``: what was liquidated), quantity, price,
    value_usd: fill prices; one row per side and day, hour or minute (denser in the event). Not: the days and coins of
    ``contracts.OWN_LIQUIDATIONS``.
``funding.parquet``
    timestamp (settlement), venue, symbol, coin, funding_rate (fraction per interval),
    interval_hours (8; Hyperliquid 1).
``adl.parquet``
    timestamp, venue, symbol, coin, adl_usd, haircut_usd: Hyperliquid only, one row per coin and minute. adl_usd is empty
    for the coins in focus, whose fills tell it; what their owners lost by it no fill tells.
``depth.parquet``
    timestamp, venue, symbol, coin, side (``bid`` or ``ask``), band_bps (100 or 200), depth_usd: cumulative from mid.
"""

from pathlib import Path

import duckdb

from dagster_project.sources.demo.contracts import FOCUS
from dagster_project.sources.demo.files import write_parquet

_HAIRCUT = 0.02
"""Assumed loss of the deleveraged winners per USD closed (mark against bankruptcy price); no figure is published."""

_QUERIES = {
    "candles_daily": """
        select timezone('UTC', day_at(k)) as timestamp, venue, venue_symbol as symbol, base_asset as coin,
            o as open, hi as high, lo as low, c as close, base as base_volume, quote as quote_volume_usd
        from candle_day join declared using (venue_id, coin_id) order by venue_id, coin_id, k""",
    "candles_minute": """
        select timezone('UTC', minute_at(t)) as timestamp, venue, venue_symbol as symbol, base_asset as coin,
            o as open, hi as high, lo as low, c as close, base as base_volume, quote as quote_volume_usd
        from candle_minute join declared using (venue_id, coin_id) order by venue_id, coin_id, t""",
    "index_minute": """
        select timezone('UTC', minute_at(t)) as timestamp, venue, venue_symbol as symbol, base_asset as coin,
            round(o, price_decimals) as open, round(hi, price_decimals) as high, round(lo, price_decimals) as low,
            round(c, price_decimals) as close
        from index_minute join declared using (coin_id)
        where t between 1200 and 1379 order by coin_id, t, venue_id""",
    "open_interest": """
        select timezone('UTC', day_at(0) + to_minutes(minute_of_year)) as timestamp, venue, venue_symbol as symbol,
            base_asset as coin, base as open_interest_base, usd as open_interest_usd
        from oi join declared using (venue_id, coin_id) order by venue_id, coin_id, minute_of_year""",
    "liquidations": """
        select timezone('UTC', day_at(0) + to_milliseconds(ms_of_year)) as timestamp, venue, venue_symbol as symbol,
            base_asset as coin, case when side = 0 then 'long' else 'short' end as side,
                round(usd / price, 8) as quantity, price,
            round(usd, 4) as value_usd
        from declared_liquidation join declared using (venue_id, coin_id)
        order by venue_id, coin_id, ms_of_year, side, usd""",
    "funding": """
        select timezone('UTC', day_at(0) + to_hours(hour_of_year)) as timestamp, venue, venue_symbol as symbol,
            base_asset as coin, rate as funding_rate, case when venue = 'hyperliquid' then 1
                else 8 end as interval_hours
        from funding join declared using (venue_id, coin_id) order by venue_id, coin_id, hour_of_year""",
    "adl": f"""
        select timezone('UTC', day_at(0) + to_milliseconds(ms_of_year)) as timestamp, venue, venue_symbol as symbol,
            base_asset as coin, case when base_asset not in {FOCUS} then usd end as adl_usd,
            round(usd * {_HAIRCUT}, 2) as haircut_usd
        from adl join declared using (coin_id) where venue = 'hyperliquid' order by coin_id, ms_of_year""",
    "depth": """
        select timezone('UTC', minute_at(t)) as timestamp, venue, venue_symbol as symbol, base_asset as coin, side,
            band * 100 as band_bps, round(usd, 2) as depth_usd
        from depth join declared using (venue_id, coin_id) where band <= 2
        order by venue_id, coin_id, t, side, band""",
}


def write_declared(con: duckdb.DuckDBPyConnection, out: Path) -> int:
    """Write ``declared/*.parquet`` and return the number of files."""
    con.execute("""
        create or replace temp view declared as
        select * from instrument join venue using (venue_id, venue) where not is_native""")
    return sum(write_parquet(con, out / "declared" / f"{name}.parquet", query) for name, query in _QUERIES.items())
