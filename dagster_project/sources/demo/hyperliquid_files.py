"""Hyperliquid's own formats: answers of ``POST /info``, all fills of the chain by the hour, and contexts by day.

Format: hyperliquid.gitbook.io/hyperliquid-docs (info endpoint, historical data). Quantities count the coin, kPEPE's 1,000 PEPE.
Bars of an hour add up the declared minutes of the same contract. Every trade is there twice, once for each account. The other
side of an auto-deleveraging is here the vault that had taken the position over: that fill is no liquidation, so no dollar is
told twice. Contexts are of full hours (the real ones of every minute); prices have more digits than the venue's five.
"""

from pathlib import Path

import duckdb

from dagster_project.sources.demo.derived import TERMS_MINUTE, TICKER_MINUTE, stamp
from dagster_project.sources.demo.files import write_files
from dagster_project.sources.demo.market import EVENT_DAY, PRE_EVENT_MINUTE

VAULT = "0x" + "f0" * 20
"""Account of the liquidator vault."""

_ADL_PARTS = ((1, 0.5), (2, 0.3), (3, 0.2))
"""Accounts over which the auto-deleveraging of a coin in a minute is spread (assumed)."""

_ADL_PROFIT = 0.05
"""Profit of a reduced position, of its notional (assumed)."""

_CONTEXT_HEADER = (
    "time,coin,funding,open_interest,prev_day_px,day_ntl_vlm,premium,oracle_px,mark_px,mid_px,impact_bid_px,"
    "impact_ask_px"
)


def write_hyperliquid(con: duckdb.DuckDBPyConnection, out: Path) -> int:
    """Write everything under ``hyperliquid/`` and return the number of files."""
    con.execute("create or replace temp view l2 as select * from own_contract where venue = 'hyperliquid'")
    queries = (_bars(), _funding(), _meta(), _tickers(), _books(), _contexts(), _fills())
    return sum(write_files(con, out, query) for query in queries)


def _bars() -> str:
    return """
        select printf('hyperliquid/info/candleSnapshot/%s-1h-1.json', symbol),
            to_json(list(json_object('t', epoch_ms(minute_at(hour * 60)), 'T', epoch_ms(minute_at(hour * 60)) + 3599999,
                's', symbol, 'i', '1h', 'o', printf(pf, o), 'c', printf(pf, c), 'h', printf(pf, hi), 'l', printf(pf, lo),
                'v', printf(qf, base::double), 'n', trades) order by hour))
        from hour_candle join l2 using (venue_id, coin_id) group by symbol order by 1"""


def _funding() -> str:
    """Settlements are stamped some milliseconds late."""
    return f"""
        select printf('hyperliquid/info/fundingHistory/%s-1.json', symbol),
            to_json(list({{'coin': symbol, 'fundingRate': printf('%.8f', rate), 'premium': printf('%.8f', 8 * rate),
                'time': epoch_ms(day_at(0) + to_hours(hour_of_year))
                    + (h(96, venue_id, coin_id, hour_of_year) % 90)::bigint}} order by hour_of_year))
        from funding join l2 using (venue_id, coin_id)
        where is_focus and k in ({EVENT_DAY}, {EVENT_DAY + 1}) group by symbol order by 1"""


_META = """
    universe as (
        select symbol, max(leverage) as leverage, case any_value(tier) when 'major' then 51 when 'mid' then 52 else 53 end
            as table_id, any_value(base_decimals) as decimals
        from tier_step where venue = 'hyperliquid' group by symbol
    ),
    step as (
        select distinct case tier when 'major' then 51 when 'mid' then 52 else 53 end as table_id, number, floor_usd,
            leverage from tier_step where venue = 'hyperliquid'
    ),
    margin as (
        select '[' || table_id || ',{"description":"","marginTiers":' || to_json(list({'lowerBound':
            printf('%.1f', floor_usd), 'maxLeverage': leverage} order by number)) || '}]' as item, table_id
        from step group by table_id
    ),
    meta as (
        select '{"universe":' || (select to_json(list({'szDecimals': decimals, 'name': symbol, 'maxLeverage': leverage,
                'marginTableId': table_id} order by symbol)) from universe)
            || ',"marginTables":[' || (select string_agg(item, ',' order by table_id) from margin)
            || '],"collateralToken":0}' as meta
    )"""
"""SQL of ``meta``, to which the lists of contexts are parallel: both are in order of the symbol."""


def _meta() -> str:
    return f"with {_META} select 'hyperliquid/info/meta-{stamp(TERMS_MINUTE)}.json', meta from meta"


def _tickers() -> str:
    return f"""
        with {_META},
        context as (
            select to_json(list({{'funding': printf('%.8f', rate), 'openInterest': printf(qf, oi_base),
                'prevDayPx': printf(pf, o), 'dayNtlVlm': printf('%.2f', quote),
                'premium': printf('%.8f', last / index_price - 1), 'oraclePx': printf(pf, index_price),
                'markPx': printf(pf, mark), 'midPx': printf(pf, last),
                'impactPxs': [printf(pf, last * 0.9999), printf(pf, last * 1.0001)],
                'dayBaseVlm': printf(qf, base)}} order by symbol)) as contexts
            from ticker where venue = 'hyperliquid'
        )
        select 'hyperliquid/info/metaAndAssetCtxs-{stamp(TICKER_MINUTE)}.json', '[' || meta || ',' || contexts || ']'
        from meta, context"""


def _books() -> str:
    level = "list({{'px': printf(pf, price), 'sz': printf(qf, contracts), 'n': 3}} order by offset_percent)"
    return f"""
        select printf('hyperliquid/info/l2Book/%s-{stamp(PRE_EVENT_MINUTE)}.json', symbol),
            to_json({{'coin': symbol, 'time': epoch_ms(minute_at({PRE_EVENT_MINUTE})), 'levels': [
                {level.format()} filter (side = 'bid'), {level.format()} filter (side = 'ask')]}})
        from book_level join l2 using (venue_id, coin_id, is_inverse) group by symbol order by 1"""


def _contexts() -> str:
    """The volume is that of the last whole day."""
    first = EVENT_DAY * 1440
    return f"""
        with hour_mark as (
            select venue_id, coin_id, hour, max(o) filter (kind = 'mark') as mark, max(o) filter (kind = 'index') as oracle
            from hour_reference join l2 using (venue_id, coin_id, is_inverse) group by all
        ),
        line as (
            select (minute_of_year - {first}) // 60 as hour, coin_id, concat_ws(',',
                strftime(minute_at(minute_of_year - {first}), '%Y-%m-%dT%H:%M:%SZ'), symbol, printf('%.8f', f.rate),
                printf(qf, oi.base / scale), printf(pf, d.o * scale), printf('%.2f', d.quote),
                printf('%.8f', c.o / oracle - 1), printf(pf, oracle), printf(pf, mark), printf(pf, c.o),
                printf(pf, c.o * 0.9999), printf(pf, c.o * 1.0001)) as line
            from oi
            join l2 using (venue_id, coin_id)
            join hour_mark m on m.venue_id = oi.venue_id and m.coin_id = oi.coin_id
                and m.hour * 60 = minute_of_year - {first}
            join hour_candle c on c.venue_id = oi.venue_id and c.coin_id = oi.coin_id and c.hour = m.hour
            join funding f on f.venue_id = oi.venue_id and f.coin_id = oi.coin_id and f.hour_of_year * 60 = minute_of_year
            join candle_day d on d.venue_id = oi.venue_id and d.coin_id = oi.coin_id
                and d.k = minute_of_year // 1440 - 1
            where is_focus
        )
        select printf('hyperliquid/s3/hyperliquid-archive/asset_ctxs/%s.csv.lz4',
                strftime(minute_at(min(hour) * 60), '%Y%m%d')),
            '{_CONTEXT_HEADER}' || chr(10) || string_agg(line, chr(10) order by hour, coin_id) || chr(10)
        from line group by hour // 24 order by 1"""


def _fills() -> str:
    """A line is a block with one trade. Sellers (A) close longs, buyers (B) shorts; every fifth liquidation is a backstop."""
    parts = ", ".join(str(part) for part in _ADL_PARTS)
    return f"""
        with trade as (
            select coin_id, ms_of_year, side, usd, price, 'liquidation' as kind, 0 as part
            from own_liquidation where venue_id = (select any_value(venue_id) from l2)
            union all
            select a.coin_id, a.ms_of_year, 1, a.usd * share, (m.o + m.c) / 2, 'adl', part
            from adl a
            join l2 using (coin_id)
            join minute m on m.venue_id = l2.venue_id and m.coin_id = a.coin_id
                and m.t = a.ms_of_year // 60000 - {EVENT_DAY * 1440}, (values {parts}) p(part, share)
            where l2.is_focus
        ),
        numbered as (
            select *, row_number() over (order by ms_of_year, coin_id, kind, side, part) as n,
                (epoch_ms(day_at(0)) + ms_of_year)::bigint as ms
            from trade
        ),
        written as (
            select t.*, symbol, printf(pf, price * scale) as px, usd / printf(pf, price * scale)::double as size,
                kind = 'liquidation' and n % 5 = 0 as is_backstop,
                printf('0x%040x', n * 2 + 1000000) as first_user, printf('0x%040x', n * 2 + 1000001) as second_user
            from numbered t join l2 using (coin_id)
        ),
        -- The first leg closes: of the liquidated account, or of the one that is deleveraged.
        leg as (
            select w.*, leg, case when (side = 0) = (leg = 1) then 'A' else 'B' end as letter,
                case when leg = 1 then first_user when kind = 'adl' or is_backstop then '{VAULT}' else second_user end as who,
                case when kind = 'adl' and leg = 1 then 'Auto-Deleveraging'
                    when kind = 'adl' then 'Close Long'
                    when leg = 1 and is_backstop then 'Liquidated Cross ' || case when side = 0 then 'Long' else 'Short' end
                    when leg = 1 then 'Close ' || case when side = 0 then 'Long' else 'Short' end
                    else 'Open ' || case when side = 0 then 'Long' else 'Short' end end as dir
            from written w, (values (1), (2)) x(leg)
        ),
        fill as (
            select ms, n, leg, '["' || who || '",' || json_merge_patch(to_json({{'coin': symbol, 'px': px,
                'sz': printf('%.6f', size), 'side': letter, 'time': ms,
                'startPosition': printf('%.6f', case when leg = 1 then size * case when side = 0 then 1 else -1 end
                    else 0 end),
                'dir': dir, 'closedPnl': case when leg = 2 then '0.0'
                    when kind = 'adl' then printf('%.2f', usd * {_ADL_PROFIT}) else printf('%.2f', -usd * 0.05) end,
                'hash': printf('0x%064x', n), 'oid': n * 2 + leg, 'crossed': leg = 1, 'fee': '0.0', 'tid': n,
                'feeToken': 'USDC'}}),
                case when kind = 'adl' then '{{}}'::json else to_json({{'liquidation': {{'liquidatedUser': first_user,
                    'markPx': px, 'method': case when is_backstop then 'backstop' else 'market' end}}}}) end)
                || ']' as item
            from leg where printf('%.6f', size)::double > 0
        ),
        block as (
            select ms, n, '{{"local_time":"' || strftime(make_timestamp(ms * 1000 + 90000), '%Y-%m-%dT%H:%M:%S.%g')
                || '000000","block_time":"' || strftime(make_timestamp(ms * 1000), '%Y-%m-%dT%H:%M:%S.%g')
                || '000000","block_number":' || (600000000 + n) || ',"events":['
                || string_agg(item, ',' order by leg) || ']}}' as line
            from fill group by ms, n
        )
        select printf('hyperliquid/s3/hl-mainnet-node-data/node_fills_by_block/hourly/%s/%d.lz4',
                strftime(make_timestamp(min(ms) * 1000), '%Y%m%d'), hour(make_timestamp(min(ms) * 1000))),
            string_agg(line, chr(10) order by n) || chr(10)
        from block group by ms // 3600000 order by 1"""
