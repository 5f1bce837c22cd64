"""Bybit's own formats: pages of the v5 market API (newest first) and the allLiquidation stream as JSON lines.

Format: github.com/bybit-exchange/docs, docs/v5. Kline, index and funding pages overlap by their inclusive edge row, open
interest counts both sides, and ``S`` = ``Buy`` in the stream means that a long was liquidated, at its bankruptcy price.
"""

from pathlib import Path

import duckdb

from dagster_project.sources.demo.files import write_files


def pages(rows: str, name: str, body: str, page: int, *, overlap: int) -> str:
    """Return a query of (path, text) that cuts ``rows`` into pages of at most ``page`` rows, newest first.

    Args:
        rows: SQL of (symbol, kind, ms, item), one per list item.
        name: SQL expression of the path, with ``n`` the page number from 1.
        body: SQL expression of the JSON text around ``list`` (the aggregated items).
        page: The endpoint's limit.
        overlap: Rows that a page repeats from the one before it (1 where ``end`` is inclusive).
    """
    step = page - overlap
    return f"""
        with item as (
            select *, row_number() over (partition by symbol, kind order by ms desc) - 1 as i,
                count(*) over (partition by symbol, kind) as items
            from ({rows})
        ),
        paged as (
            select symbol, kind, n, max(items) as items, max(ms) as newest, min(ms) as oldest,
                '[' || string_agg(item, ',' order by ms desc) || ']' as list
            from item join range(1, 100) p(n) on i between (n - 1) * {step} and (n - 1) * {step} + {page - 1}
                and (n - 1) * {step} + {overlap} < items
            group by symbol, kind, n
        )
        select {name},
            '{{"retCode":0,"retMsg":"OK","result":' || {body} || '}},"retExtInfo":{{}},"time":1767225600000}}'
        from paged order by 1"""


def write_bybit(con: duckdb.DuckDBPyConnection, out: Path) -> int:
    """Write everything under ``bybit/`` and return the number of files.

    Prices are USDT per contract unit (1000PEPEUSDT: per 1000), sizes contract units, turnover USDT.
    """
    con.execute("""
        create or replace temp view by_ as
        select *, '%.' || price_decimals || 'f' as pf, '%.' || quantity_decimals || 'f' as qf from instrument
            where venue = 'bybit'
    """)
    head = """printf('{"symbol":"%s","category":"linear","list":%s', symbol, list)"""
    candle = """concat('["', ms, '","', printf(pf, o), '","', printf(pf, hi), '","', printf(pf, lo), '","',
        printf(pf, c), '","',
        printf(qf, base), '","', printf('%.2f', quote), '"]')"""
    count = write_files(
        con,
        out,
        pages(
            f"""select venue_symbol as symbol, 'D' as kind, epoch_ms(day_at(k)) as ms, {candle} as item
                from (select *, epoch_ms(day_at(k)) as ms from linear_day) join by_ using (venue_id, coin_id)
                union all
                select venue_symbol, '1', ms, {candle}
                from (select *, epoch_ms(minute_at(t)) as ms from linear_minute) join by_ using (venue_id, coin_id)""",
            "printf('bybit/v5/market/kline/%s-%s-%d.json', symbol, kind, n)",
            head,
            1000,
            overlap=1,
        ),
    )
    count += write_files(
        con,
        out,
        pages(
            """select venue_symbol as symbol, '1' as kind, ms,
                concat('["', ms, '","', printf(pf, o * multiplier), '","', printf(pf, hi * multiplier), '","',
                    printf(pf, lo * multiplier), '","', printf(pf, c * multiplier), '"]') as item
                from (select *, epoch_ms(minute_at(t)) as ms from index_minute) join by_ using (coin_id)""",
            "printf('bybit/v5/market/index-price-kline/%s-%s-%d.json', symbol, kind, n)",
            head,
            1000,
            overlap=1,
        ),
    )
    count += write_files(
        con,
        out,
        pages(
            """select venue_symbol as symbol, case when daily then '1d' else '5min' end as kind,
                epoch_ms(day_at(0) + to_minutes(minute_of_year)) as ms,
                printf('{"openInterest":"%s","timestamp":"%d"}', printf(qf, 2 * base), ms) as item
                from linear_oi join by_ using (venue_id, coin_id), (values (true), (false)) x(daily)
                where case when daily then is_daily else minute_of_year between 282 * 1440 and 284 * 1440 - 1 end""",
            "printf('bybit/v5/market/open-interest/%s-%s-%d.json', symbol, kind, n)",
            # The cursor is opaque: empty on the last page, as the venue sends it.
            head
            + """ || printf(',"nextPageCursor":"%s"', case when n * 200 < items then printf('lastid%d', oldest)
                else '' end)""",
            200,
            overlap=0,
        ),
    )
    count += write_files(
        con,
        out,
        pages(
            """select venue_symbol as symbol, 'f' as kind, epoch_ms(day_at(0) + to_hours(hour_of_year)) as ms,
                printf('{"symbol":"%s","fundingRate":"%.8f","fundingRateTimestamp":"%d"}', venue_symbol, rate,
                    ms) as item
                from funding join by_ using (venue_id, coin_id)""",
            "printf('bybit/v5/market/funding/history/%s-%d.json', symbol, n)",
            """printf('{"category":"linear","list":%s', list)""",
            200,
            overlap=1,
        ),
    )
    count += write_files(
        con,
        out,
        """
        with event as (
            select venue_symbol, side, k, epoch_ms(day_at(0)) + ms_of_year as ms, usd,
                printf(pf, price * case when side = 0 then 0.996 else 1.004 end) as p
            from linear_liquidation join by_ using (venue_id, coin_id)
        ),
        line as (select *, printf('%.6f', usd / p::double) as v from event where round(usd / p::double, 6) > 0)
        select printf('bybit/stream/allLiquidation/%s.jsonl', strftime(day_at(k), '%Y-%m-%d')),
            string_agg(concat('{"topic":"allLiquidation.', venue_symbol, '","type":"snapshot","ts":', ms + 4,
                ',"data":[{"T":', ms,
                ',"s":"', venue_symbol, '","S":"', case when side = 0 then 'Buy' else 'Sell' end, '","v":"', v,
                    '","p":"', p, '"}]}'),
                chr(10) order by ms, venue_symbol, side) || chr(10)
        from line group by k order by 1""",
    )
    return count
