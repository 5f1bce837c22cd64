"""Binance's own formats: archive zips of data.binance.vision, pages of fapi, and the forceOrder stream as JSON lines.

Formats: github.com/binance/binance-public-data, developers.binance.com. Futures archives carry a header and milliseconds;
numbers in JSON are strings.
"""

from pathlib import Path

import duckdb

from dagster_project.sources.demo.files import write_files

_KLINE_HEADER = (
    "open_time,open,high,low,close,volume,close_time,quote_volume,count,taker_buy_volume,taker_buy_quote_volume,ignore"
)
_DEPTH_HEADER = "timestamp,percentage,depth,notional"
_DAILY = "binance/data/futures/um/daily"


def _kline_line(table: str, bar_ms: int) -> str:
    """Return the SQL of one archive line of ``table``; ``ms`` and the number formats ``pf``, ``qf`` are in scope."""
    t = table
    return f"""concat_ws(',', ms, printf(pf, {t}.o), printf(pf, {t}.hi), printf(pf, {t}.lo), printf(pf, {t}.c),
        printf(qf, {t}.base), ms + {bar_ms - 1}, printf('%.2f', {t}.quote), {t}.trades,
        printf(qf, {t}.taker_base), printf('%.2f', {t}.taker_quote), 0)"""


def write_binance(con: duckdb.DuckDBPyConnection, out: Path) -> int:
    """Write everything under ``binance/`` and return the number of files.

    Prices are USDT per contract unit (1000PEPEUSDT: per 1000), quantities contract units, quote volumes USDT.
    """
    con.execute("""
        create or replace temp view bi as
        select *, '%.' || price_decimals || 'f' as pf, '%.' || quantity_decimals || 'f' as qf from instrument
            where venue = 'binance'
    """)
    count = write_files(
        con,
        out,
        f"""
        select printf('{_DAILY}/klines/%s/1d/%s-1d-%s.zip', venue_symbol, venue_symbol,
            strftime(day_at(k), '%Y-%m-%d')),
            '{_KLINE_HEADER}' || chr(10) || {_kline_line("d", 86_400_000)} || chr(10)
        from (select *, epoch_ms(day_at(k)) as ms from linear_day) d join bi using (venue_id, coin_id)
        order by 1""",
    )
    count += write_files(
        con,
        out,
        f"""
        select printf('{_DAILY}/klines/%s/1m/%s-1m-%s.zip', venue_symbol, venue_symbol,
            strftime(minute_at(day * 1440), '%Y-%m-%d')),
            '{_KLINE_HEADER}' || chr(10) || string_agg({_kline_line("m", 60_000)}, chr(10) order by t) || chr(10)
        from (select *, epoch_ms(minute_at(t)) as ms from linear_minute) m join bi using (venue_id, coin_id)
        group by venue_symbol, day
        order by 1""",
    )
    count += write_files(
        con,
        out,
        f"""
        select printf('{_DAILY}/indexPriceKlines/%s/1m/%s-1m-%s.zip', venue_symbol, venue_symbol,
                strftime(minute_at(t // 1440 * 1440), '%Y-%m-%d')),
            '{_KLINE_HEADER}' || chr(10) || string_agg(concat_ws(',', ms, printf(pf, o * multiplier),
                printf(pf, hi * multiplier),
                printf(pf, lo * multiplier), printf(pf, c * multiplier), 0, ms + 59999, 0, 60, 0, 0, 0), chr(10)
                    order by t) || chr(10)
        from (select *, epoch_ms(minute_at(t)) as ms from index_minute) m join bi using (coin_id)
        group by venue_symbol, t // 1440
        order by 1""",
    )
    count += write_files(
        con,
        out,
        f"""
        select printf('{_DAILY}/bookDepth/%s/%s-bookDepth-%s.zip', venue_symbol, venue_symbol,
                strftime(minute_at(t // 1440 * 1440), '%Y-%m-%d')),
            '{_DEPTH_HEADER}' || chr(10) || string_agg(concat_ws(',', strftime(minute_at(t), '%Y-%m-%d %H:%M:%S'),
                percentage,
                printf('%.3f', usd / mid), printf('%.2f', usd)), chr(10) order by t, percentage) || chr(10)
        from (select *, case when side = 'bid' then -band else band end as percentage from depth)
        join bi using (venue_id, coin_id)
        group by venue_symbol, t // 1440
        order by 1""",
    )
    count += write_files(
        con,
        out,
        """
        with stamp as (
            select venue_symbol, qf, case when daily then '1d' else '5m' end as period, base, usd,
                epoch_ms(day_at(0) + to_minutes(minute_of_year)) as ms,
                row_number() over (partition by venue_symbol, daily order by minute_of_year) - 1 as i
            from linear_oi join bi using (venue_id, coin_id), (values (true), (false)) x(daily)
            where case when daily then is_daily else minute_of_year between 282 * 1440 and 284 * 1440 - 1 end
        )
        select printf('binance/fapi/openInterestHist/%s-%s-%d.json', venue_symbol, period, i // 500 + 1),
            '[' || string_agg(printf(
                '{"symbol":"%s","sumOpenInterest":"%s","sumOpenInterestValue":"%.2f","timestamp":%d}',
                venue_symbol, printf(qf, base), usd, ms), ',' order by i) || ']'
        from stamp group by venue_symbol, period, i // 500 order by 1""",
    )
    count += write_files(
        con,
        out,
        """
        with stamp as (
            select venue_symbol, pf, coin_id, rate, mark_price, hour_of_year,
                -- One stamp in three carries 1 to 12 ms of jitter, as the real ones do.
                epoch_ms(day_at(0) + to_hours(hour_of_year)) + case when h(70, 0, coin_id, hour_of_year) % 3 = 0
                    then 1 + (h(71, 0, coin_id, hour_of_year) % 12)::bigint else 0 end as ms,
                row_number() over (partition by venue_symbol order by hour_of_year) - 1 as i
            from funding join bi using (venue_id, coin_id)
        )
        select printf('binance/fapi/fundingRate/%s-%d.json', venue_symbol, i // 1000 + 1),
            '[' || string_agg(printf('{"symbol":"%s","fundingTime":%d,"fundingRate":"%.8f","markPrice":"%s"}',
                venue_symbol, ms, rate, printf(pf, mark_price)), ',' order by i) || ']'
        from stamp group by venue_symbol, i // 1000 order by 1""",
    )
    count += write_files(
        con,
        out,
        """
        with event as (
            select venue_symbol, side, k, ms_of_year, epoch_ms(day_at(0)) + ms_of_year as ms, pf, price,
                usd / price as quantity,
                -- The order's limit is the bankruptcy price, beyond the average fill.
                printf(pf, price * case when side = 0 then 0.996 else 1.004 end) as p
            from linear_liquidation join bi using (venue_id, coin_id)
        ),
        line as (
            select *, printf('%.6f', quantity) as q from event where round(quantity, 6) > 0
        )
        select printf('binance/stream/forceOrder/%s.jsonl', strftime(day_at(k), '%Y-%m-%d')),
            string_agg(concat('{"e":"forceOrder","E":', ms + 7, ',"o":{"s":"', venue_symbol, '","S":"',
                case when side = 0 then 'SELL' else 'BUY' end, '","o":"LIMIT","f":"IOC","q":"', q, '","p":"', p,
                    '","ap":"',
                printf(pf, price), '","X":"FILLED","l":"', q, '","z":"', q, '","T":', ms, '}}'),
                chr(10) order by ms, venue_symbol, side) || chr(10)
        from line group by k order by 1""",
    )
    return count
