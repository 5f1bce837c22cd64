"""Bybit beside its linear bars and streams: inverse contracts, mark and premium bars, ratios, and states of a moment.

Format: github.com/bybit-exchange/docs, docs/v5. Inverse contracts count USD: volume and open interest, which adds both sides up,
are dollars and the turnover is the coin. Rates of inverse tiers are percent, those of linear ones fractions.
"""

from pathlib import Path

import duckdb

from dagster_project.sources.demo.bybit_files import pages
from dagster_project.sources.demo.derived import RISK_MINUTES, TERMS_MINUTE, TICKER_MINUTE, stamp
from dagster_project.sources.demo.files import write_files
from dagster_project.sources.demo.market import EVENT_DAY, PRE_EVENT_MINUTE

_LISTED_MS = 1_577_836_800_000
_HEAD = """printf('{"symbol":"%s","category":"CATEGORY","list":%s', symbol, list)"""
_TIERS_PER_PAGE = 15
"""Symbols on a page of risk limits."""


def _head(category: str) -> str:
    return _HEAD.replace("CATEGORY", category)


def write_bybit_more(con: duckdb.DuckDBPyConnection, out: Path) -> int:
    """Write the files and return their number."""
    con.execute("create or replace temp view y2 as select * from own_contract where venue = 'bybit'")
    queries = (
        *_inverse(),
        *_references(),
        _ratios(),
        _inverse_stream(),
        _instruments(),
        _tiers(),
        _tickers(),
        _funds(),
        _alerts(),
        _books(),
    )
    return sum(write_files(con, out, query) for query in queries)


def _answer(result: str, minute: int | str) -> str:
    """SQL of an answer around the JSON text ``result``, sent at ``minute``."""
    return (
        f"""'{{"retCode":0,"retMsg":"OK","result":' || {result} || ',"retExtInfo":{{}},"time":' """
        f"""|| epoch_ms(minute_at({minute})) || '}}'"""
    )


def _inverse() -> list[str]:
    """Bars, index, open interest and funding of the inverse contracts."""
    bar = """concat('["', ms, '","', printf(pf, o), '","', printf(pf, hi), '","', printf(pf, lo), '","', printf(pf, c),
        '","', contracts, '","', printf('%.8f', coins), '"]')"""
    price = "concat('[\"', ms, '\",\"', printf(pf, o), '\",\"', printf(pf, hi), '\",\"', printf(pf, lo), '\",\"', "
    price += "printf(pf, c), '\"]')"
    return [
        pages(
            f"""select symbol, '1' as kind, ms, {bar} as item
                from (select *, epoch_ms(minute_at(t)) as ms from inverse_minute) m
                join y2 on y2.venue_id = m.venue_id and y2.coin_id = m.coin_id and y2.is_inverse""",
            "printf('bybit/v5/market/kline/inverse/%s-%s-%d.json', symbol, kind, n)",
            _head("inverse"),
            1000,
            overlap=1,
        ),
        pages(
            f"""select symbol, '1' as kind, ms, {price} as item
                from (select *, epoch_ms(minute_at(t)) as ms from reference_minute where kind = 'index') m
                join y2 using (venue_id, coin_id, is_inverse) where is_inverse""",
            "printf('bybit/v5/market/index-price-kline/inverse/%s-%s-%d.json', symbol, kind, n)",
            _head("inverse"),
            1000,
            overlap=1,
        ),
        pages(
            """select symbol, '5min' as kind, epoch_ms(minute_at(t)) as ms,
                printf('{"openInterest":"%d","timestamp":"%d"}', 2 * contracts, epoch_ms(minute_at(t))) as item
                from inverse_oi o join y2 on y2.venue_id = o.venue_id and y2.coin_id = o.coin_id and y2.is_inverse""",
            "printf('bybit/v5/market/open-interest/inverse/%s-%s-%d.json', symbol, kind, n)",
            _head("inverse")
            + """ || printf(',"nextPageCursor":"%s"', case when n * 200 < items then printf('lastid%d', oldest)
                else '' end)""",
            200,
            overlap=0,
        ),
        pages(
            f"""select symbol, 'f' as kind, epoch_ms(day_at(0) + to_hours(hour_of_year)) as ms,
                printf('{{"symbol":"%s","fundingRate":"%.8f","fundingRateTimestamp":"%d"}}', symbol, rate,
                    epoch_ms(day_at(0) + to_hours(hour_of_year))) as item
                from funding f join y2 on y2.venue_id = f.venue_id and y2.coin_id = f.coin_id and y2.is_inverse
                where k in ({EVENT_DAY}, {EVENT_DAY + 1})""",
            "printf('bybit/v5/market/funding/history/inverse/%s-%d.json', symbol, n)",
            """printf('{"category":"inverse","list":%s', list)""",
            200,
            overlap=1,
        ),
    ]


def _references() -> list[str]:
    """Mark and premium bars of an hour, linear contracts."""
    price = "concat('[\"', ms, '\",\"', printf(pf, o), '\",\"', printf(pf, hi), '\",\"', printf(pf, lo), '\",\"', "
    price += "printf(pf, c), '\"]')"
    premium = price.replace("printf(pf, ", "printf('%.8f', ")
    return [
        pages(
            f"""select symbol, '60' as kind, ms, {price} as item
                from (select *, epoch_ms(minute_at(hour * 60)) as ms from hour_reference where kind = 'mark') m
                join y2 using (venue_id, coin_id, is_inverse) where not is_inverse""",
            "printf('bybit/v5/market/mark-price-kline/%s-%s-%d.json', symbol, kind, n)",
            _head("linear"),
            1000,
            overlap=1,
        ),
        pages(
            f"""select symbol, '60' as kind, ms, {premium} as item
                from (select *, epoch_ms(minute_at(hour * 60)) as ms from hour_premium) m
                join y2 on y2.venue_id = m.venue_id and y2.coin_id = m.coin_id and not y2.is_inverse""",
            "printf('bybit/v5/market/premium-index-price-kline/%s-%s-%d.json', symbol, kind, n)",
            _head("linear"),
            1000,
            overlap=1,
        ),
    ]


def _ratios() -> str:
    return pages(
        """select symbol, '1h' as kind, epoch_ms(minute_at(t)) as ms,
            printf('{"symbol":"%s","buyRatio":"%.4f","sellRatio":"%.4f","timestamp":"%d"}', symbol, share, 1 - share,
                epoch_ms(minute_at(t))) as item
            from ratio join y2 using (venue_id, coin_id, is_inverse)
            where who = 'accounts' and not is_inverse and t < 2880""",
        "printf('bybit/v5/market/account-ratio/%s-%s-%d.json', symbol, kind, n)",
        """printf('{"list":%s,"nextPageCursor":""', list)""",
        500,
        overlap=0,
    )


def _inverse_stream() -> str:
    """The size of an inverse position is what it is worth in USD, whatever the price."""
    return f"""
        select printf('bybit/stream/allLiquidation/inverse/%s.jsonl', strftime(day_at(k), '%Y-%m-%d')),
            string_agg(concat('{{"topic":"allLiquidation.', symbol, '","type":"snapshot","ts":', ms + 4, ',"data":[{{"T":',
                ms, ',"s":"', symbol, '","S":"', case when side = 0 then 'Buy' else 'Sell' end, '","v":"', contracts,
                '","p":"', printf(pf, price * case when side = 0 then 0.996 else 1.004 end), '"}}]}}'), chr(10)
                order by ms, symbol, side) || chr(10)
        from (select *, epoch_ms(day_at(0)) + ms_of_year as ms from inverse_liquidation where contracts > 0) l
        join y2 on y2.venue_id = l.venue_id and y2.coin_id = l.coin_id and y2.is_inverse
        where k in ({EVENT_DAY}, {EVENT_DAY + 1})
        group by k order by 1"""


def _instruments() -> str:
    return f"""
        select printf('bybit/v5/market/instruments-info/%s-{stamp(TERMS_MINUTE)}.json', product),
            {
        _answer(
            '''printf('{"category":"%s","list":', product) || to_json(list({'symbol': symbol,
                'contractType': case when is_inverse then 'InversePerpetual' else 'LinearPerpetual' end,
                'status': 'Trading', 'baseCoin': code, 'quoteCoin': quote_code, 'settleCoin': settle_code,
                'launchTime': 'LISTED', 'deliveryTime': '0', 'fundingInterval': 480,
                'leverageFilter': {'minLeverage': '1', 'maxLeverage': printf('%.2f', leverage::double), 'leverageStep': '0.01'},
                'priceFilter': {'tickSize': printf(pf, power(10.0, -price_decimals))},
                'lotSizeFilter': {'qtyStep': case when is_inverse then '1'
                    else printf(qf, power(10.0, -base_decimals)) end}} order by symbol))
                || ',"nextPageCursor":""}' '''.replace("LISTED", str(_LISTED_MS)),
            TERMS_MINUTE,
        )
    }
        from y2 join (select product, symbol, max(leverage) as leverage from tier_step where venue = 'bybit' group by all)
            using (product, symbol)
        group by product order by 1"""


def _tiers() -> str:
    return f"""
        with item as (
            select product, symbol, dense_rank() over (partition by product order by symbol) - 1 as place, number,
                to_json({{'id': number, 'symbol': symbol,
                    'riskLimitValue': case when is_inverse then printf('%.4f', cap_usd / price)
                        else printf('%.0f', cap_usd) end,
                    'maintenanceMargin': printf('%.6f', rate * percent), 'initialMargin': printf('%.6f', percent / leverage),
                    'isLowestRisk': (number = 1)::integer, 'maxLeverage': printf('%.2f', leverage::double),
                    'mmDeduction': case when number = 1 then ''
                        when is_inverse then printf('%.8f', amount / price) else printf('%.2f', amount) end}}) as item
            from (select *, case when is_inverse then 100.0 else 1.0 end as percent from tier_step where venue = 'bybit')
        )
        select printf('bybit/v5/market/risk-limit/%s-{stamp(TERMS_MINUTE)}-%d.json', product,
                place // {_TIERS_PER_PAGE} + 1),
            {
        _answer(
            '''printf('{"category":"%s","list":[%s],"nextPageCursor":""}', product,
                string_agg(item, ',' order by symbol, number))''',
            TERMS_MINUTE,
        )
    }
        from item group by product, place // {_TIERS_PER_PAGE} order by 1"""


def _tickers() -> str:
    """Inverse: the volume is USD and the turnover the coin."""
    return f"""
        select printf('bybit/v5/market/tickers/%s-{stamp(TICKER_MINUTE)}.json', product),
            {
        _answer(
            '''printf('{"category":"%s","list":', product) || to_json(list({'symbol': symbol,
                'lastPrice': printf(pf, last), 'indexPrice': printf(pf, index_price), 'markPrice': printf(pf, mark),
                'prevPrice24h': printf(pf, o), 'highPrice24h': printf(pf, hi), 'lowPrice24h': printf(pf, lo),
                'openInterest': case when is_inverse then printf('%.0f', 2 * oi_usd) else printf(qf, 2 * oi_base) end,
                'openInterestValue': case when is_inverse then printf('%.8f', 2 * oi_base) else printf('%.2f', 2 * oi_usd)
                    end,
                'volume24h': case when is_inverse then printf('%.0f', quote) else printf(qf, base) end,
                'turnover24h': case when is_inverse then printf('%.8f', base) else printf('%.2f', quote) end,
                'fundingRate': printf('%.8f', rate), 'fundingIntervalHour': '8'} order by symbol)) || '}' ''',
            TICKER_MINUTE,
        )
    }
        from ticker where venue = 'bybit' group by product order by 1"""


def _funds() -> str:
    """Two pools: nine tenths of the fund are shared, one tenth is the own pool of the contract in PEPE (assumed)."""
    moments = ", ".join(f"({minute}, '{stamp(minute)}')" for minute in RISK_MINUTES)
    return f"""
        select 'bybit/v5/market/insurance-' || stamp || '.json',
            {
        _answer(
            '''printf('{"updatedTime":"%d","list":', epoch_ms(minute_at(t))) || to_json([
                {'coin': 'USDT', 'symbols': others, 'balance': printf('%.2f', usd - round(usd / 10, 2)),
                    'value': printf('%.2f', usd - round(usd / 10, 2))},
                {'coin': 'USDT', 'symbols': '1000PEPEUSDT', 'balance': printf('%.2f', usd / 10),
                    'value': printf('%.2f', usd / 10)}]) || '}' ''',
            "t",
        )
    }
        from fund_moment f
        join (values {moments}) m(t, stamp) using (t),
            (select string_agg(symbol, ',' order by symbol) as others from y2
                where not is_inverse and symbol <> '1000PEPEUSDT')
        where f.venue = 'bybit' order by 1"""


def _alerts() -> str:
    """Nearness of auto-deleveraging; the drawdown of a contract after the event is assumed by its tier."""
    moments = ", ".join(f"({minute}, '{stamp(minute)}')" for minute in RISK_MINUTES)
    return f"""
        select 'bybit/v5/market/adlAlert-' || stamp || '.json',
            {
        _answer(
            '''printf('{"updatedTime":"%d","list":', epoch_ms(minute_at(t))) || to_json(list({'coin': settle_code,
                'symbol': symbol, 'balance': printf('%.2f', usd), 'maxBalance': '', 'insurancePnlRatio': '-0.3',
                'pnlRatio': case when t = BEFORE then '-0.01' when tier = 'major' then '-0.08'
                    when tier = 'mid' then '-0.17' else '-0.26' end,
                'adlTriggerThreshold': '10000', 'adlStopRatio': '-0.25'} order by symbol)) || '}' '''.replace(
                "BEFORE", str(RISK_MINUTES[0])
            ),
            "t",
        )
    }
        from y2 join fund_moment f on f.venue = y2.venue
        join (values {moments}) m(t, stamp) using (t)
        where not is_inverse
        group by t, stamp order by 1"""


def _books() -> str:
    return f"""
        with side as (
            select symbol, side, to_json(list([printf(pf, price), printf(qf, contracts)] order by offset_percent)) as levels
            from book_level join y2 using (venue_id, coin_id, is_inverse) group by symbol, side
        )
        select printf('bybit/v5/market/orderbook/%s-{stamp(PRE_EVENT_MINUTE)}.json', symbol),
            {
        _answer(
            '''printf('{"s":"%s","b":%s,"a":%s,"ts":%d,"u":1,"seq":1,"cts":%d}', symbol,
                max(levels) filter (side = 'bid'), max(levels) filter (side = 'ask'), epoch_ms(minute_at(MINUTE)),
                epoch_ms(minute_at(MINUTE)))'''.replace("MINUTE", str(PRE_EVENT_MINUTE)),
            PRE_EVENT_MINUTE,
        )
    }
        from side group by symbol order by 1"""
