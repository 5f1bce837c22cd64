"""Binance beside USD-M's bars and streams: COIN-M, mark and premium bars, metrics, and states of a moment.

Formats: github.com/binance/binance-public-data, developers.binance.com (derivatives). In COIN-M's files volume counts
contracts and the column headed ``quote_volume`` the base coin; every row of its liquidation archive is there twice (issue 259).
The real archive of COIN-M's liquidations ends on 14 October 2024; the sample's goes on, to show what its rows look like.
Metrics of USD-M are labelled with the end of their five minutes, those of COIN-M with the start (issue 491).
"""

from pathlib import Path

import duckdb

from dagster_project.sources.demo.derived import RISK_MINUTES, TERMS_MINUTE, TICKER_MINUTE, stamp
from dagster_project.sources.demo.files import write_files
from dagster_project.sources.demo.market import EVENT_DAY

_HEADER = (
    "open_time,open,high,low,close,volume,close_time,quote_volume,count,taker_buy_volume,taker_buy_quote_volume,ignore"
)
_METRICS_HEADER = (
    "create_time,symbol,sum_open_interest,sum_open_interest_value,count_toptrader_long_short_ratio,"
    "sum_toptrader_long_short_ratio,count_long_short_ratio,sum_taker_long_short_vol_ratio"
)
_LIQUIDATION_HEADER = (
    "time,side,order_type,time_in_force,original_quantity,price,average_price,order_status,last_fill_quantity,"
    "accumulated_fill_quantity"
)
_LISTED_MS = 1_577_836_800_000
"""Assumed listing of every contract: 1 January 2020."""

_API = "case product when 'um' then 'fapi' else 'dapi' end"


def write_binance_more(con: duckdb.DuckDBPyConnection, out: Path) -> int:
    """Write the files and return their number, checksums included."""
    con.execute("create or replace temp view b2 as select * from own_contract where venue = 'binance'")
    queries = (
        _coin_bars(),
        _coin_index(),
        _mark_bars(),
        _premium_bars(),
        _metrics(),
        _coin_liquidations(),
        _coin_funding(),
        _instruments(),
        _tickers(),
        _funds(),
        _risks(),
        _tiers(),
    )
    return sum(write_files(con, out, query) for query in queries)


def _archive(product: str, kind: str, filed_as: str, interval: str, minute: str) -> str:
    """SQL of a daily archive's path.

    Args:
        product: SQL of ``um`` or ``cm``.
        kind: Folder, e.g. ``markPriceKlines``.
        filed_as: SQL of the symbol or pair.
        interval: Of bars; empty for other kinds.
        minute: SQL of a minute of the day.
    """
    folder = f"{kind}/' || {filed_as} || '/" + (f"{interval}/" if interval else "")
    return (
        f"'binance/data/futures/' || {product} || '/daily/{folder}' || {filed_as} || '-{interval or kind}-' || "
        f"strftime(minute_at({minute}), '%Y-%m-%d') || '.zip'"
    )


def _price_line(interval_ms: int) -> str:
    """A bar without volumes; ``ms`` and prices are in scope."""
    return (
        f"concat_ws(',', ms, printf(pf, o), printf(pf, hi), printf(pf, lo), printf(pf, c), 0, ms + {interval_ms - 1}, "
        f"0, {interval_ms // 1000}, 0, 0, 0)"
    )


def _coin_bars() -> str:
    return f"""
        select {_archive("product", "klines", "symbol", "1m", "min(t)")},
            '{_HEADER}' || chr(10) || string_agg(concat_ws(',', ms, printf(pf, o), printf(pf, hi), printf(pf, lo),
                printf(pf, c), contracts, ms + 59999, printf('%.8f', coins), trades,
                taker_contracts, printf('%.8f', taker_coins), 0), chr(10) order by t)
                || chr(10)
        from (select *, epoch_ms(minute_at(t)) as ms from inverse_minute) m
        join b2 on b2.venue_id = m.venue_id and b2.coin_id = m.coin_id and b2.is_inverse
        group by product, symbol, day order by 1"""


def _coin_index() -> str:
    """COIN-M's index is filed under the pair."""
    return f"""
        select {_archive("product", "indexPriceKlines", "base_asset || 'USD'", "1m", "min(t)")},
            '{_HEADER}' || chr(10) || string_agg({_price_line(60_000)}, chr(10) order by t) || chr(10)
        from (select *, epoch_ms(minute_at(t)) as ms from reference_minute where kind = 'index') m
        join b2 using (venue_id, coin_id, is_inverse) where is_inverse
        group by product, base_asset, t // 1440 order by 1"""


def _mark_bars() -> str:
    return f"""
        select {_archive("product", "markPriceKlines", "symbol", "1h", "min(hour) * 60")},
            '{_HEADER}' || chr(10) || string_agg({_price_line(3_600_000)}, chr(10) order by hour) || chr(10)
        from (select *, epoch_ms(minute_at(hour * 60)) as ms from hour_reference where kind = 'mark') m
        join b2 using (venue_id, coin_id, is_inverse)
        group by product, symbol, hour // 24 order by 1"""


def _premium_bars() -> str:
    return f"""
        select {_archive("product", "premiumIndexKlines", "symbol", "1h", "min(hour) * 60")},
            '{_HEADER}' || chr(10) || string_agg(concat_ws(',', ms, printf('%.8f', o), printf('%.8f', hi),
                printf('%.8f', lo), printf('%.8f', c), 0, ms + 3599999, 0, 720, 0, 0, 0), chr(10) order by hour) || chr(10)
        from (select *, epoch_ms(minute_at(hour * 60)) as ms from hour_premium) m
        join b2 on b2.venue_id = m.venue_id and b2.coin_id = m.coin_id and not b2.is_inverse
        group by product, symbol, hour // 24 order by 1"""


def _metrics() -> str:
    """Five minutes ``t - 5`` to ``t``: USD-M's label is ``t``, and the last one of a day is 00:00 of the next."""
    ratio = "printf('%.8f', {0} / (1 - {0}))"
    return f"""
        with shares as (
            pivot (select venue_id, coin_id, is_inverse, t, who, share from ratio
                semi join b2 using (venue_id))
            on who in ('accounts', 'top_accounts', 'top_positions') using max(share)
            group by venue_id, coin_id, is_inverse, t
        ),
        level as (
            select venue_id, coin_id, false as is_inverse, minute_of_year - {EVENT_DAY * 1440} as t, base as quantity,
                usd as value from linear_oi semi join b2 using (venue_id)
            union all
            select venue_id, coin_id, true, t, contracts, coins from inverse_oi
                semi join b2 using (venue_id)
        ),
        line as (
            select b2.product, b2.symbol, s.t,
                concat_ws(',', strftime(minute_at(case when is_inverse then s.t - 5 else s.t end), '%Y-%m-%d %H:%M:%S'),
                    b2.symbol, printf(case when is_inverse then cf else qf end, quantity),
                    printf(case when is_inverse then '%.8f' else '%.2f' end, value),
                    {ratio.format("top_accounts")}, {ratio.format("top_positions")}, {ratio.format("accounts")},
                    printf('%.8f', taker_ratio)) as line
            from shares s
            join level using (venue_id, coin_id, is_inverse, t)
            join taker_ratio using (venue_id, coin_id, is_inverse, t)
            join b2 using (venue_id, coin_id, is_inverse)
        )
        select {_archive("product", "metrics", "symbol", "", "(min(t) - 5) // 1440 * 1440")},
            -- Out of order, as the real files are.
            '{_METRICS_HEADER}' || chr(10) || string_agg(line, chr(10) order by t % 7, t) || chr(10)
        from line group by product, symbol, (t - 5) // 1440 order by 1"""


def _coin_liquidations() -> str:
    return f"""
        with event as (
            select b2.product, b2.symbol, l.k, l.ms_of_year, l.side, concat_ws(',', epoch_ms(day_at(0)) + l.ms_of_year,
                case when side = 0 then 'SELL' else 'BUY' end, 'LIMIT', 'IOC', contracts,
                printf(pf, price * case when side = 0 then 0.996 else 1.004 end), printf(pf, price), 'FILLED', contracts,
                contracts) as line
            from inverse_liquidation l
            join b2 on b2.venue_id = l.venue_id and b2.coin_id = l.coin_id and b2.is_inverse
            where contracts > 0
        )
        select {_archive("product", "liquidationSnapshot", "symbol", "", f"(min(k) - {EVENT_DAY}) * 1440")},
            '{_LIQUIDATION_HEADER}' || chr(10)
                || string_agg(line || chr(10) || line, chr(10) order by ms_of_year, side) || chr(10)
        from event group by product, symbol, k order by 1"""


def _coin_funding() -> str:
    return f"""
        select printf('binance/dapi/fundingRate/%s-1.json', symbol), to_json(list({{'symbol': symbol,
            'fundingTime': epoch_ms(day_at(0) + to_hours(hour_of_year)), 'fundingRate': printf('%.8f', rate),
            'markPrice': printf(pf, mark_price)}} order by hour_of_year))
        from funding f
        join b2 on b2.venue_id = f.venue_id and b2.coin_id = f.coin_id and b2.is_inverse
        where k in ({EVENT_DAY}, {EVENT_DAY + 1})
        group by symbol order by 1"""


def _instruments() -> str:
    return f"""
        with item as (
            select {_API} as api, symbol, to_json({{'symbol': symbol, 'pair': base_asset || quote_code,
                'contractType': 'PERPETUAL', 'deliveryDate': 4133404800000, 'onboardDate': {_LISTED_MS},
                'baseAsset': code, 'quoteAsset': quote_code, 'marginAsset': settle_code, 'pricePrecision': price_decimals,
                'quantityPrecision': case when is_inverse then 0 else base_decimals end, 'underlyingType': 'COIN',
                'filters': [
                    {{'filterType': 'PRICE_FILTER', 'tickSize': printf(pf, power(10.0, -price_decimals)),
                        'stepSize': null}},
                    {{'filterType': 'LOT_SIZE', 'tickSize': null,
                        'stepSize': case when is_inverse then '1' else printf(qf, power(10.0, -base_decimals)) end}}]}})
                as common,
                case when is_inverse then json_object('contractStatus', 'TRADING', 'contractSize',
                    contract_value::integer) else json_object('status', 'TRADING') end as own
            from b2
        )
        select 'binance/' || api || '/exchangeInfo-{stamp(TERMS_MINUTE)}.json',
            '{{"timezone":"UTC","serverTime":' || epoch_ms(minute_at({TERMS_MINUTE})) || ',"exchangeFilters":[],"symbols":['
            || string_agg(json_merge_patch(common, own), ',' order by symbol) || ']}}'
        from item group by api order by 1"""


def _tickers() -> str:
    return f"""
        with item as (
            select {_API} as api, symbol, json_merge_patch(to_json({{'symbol': symbol,
                'openPrice': printf(pf, o), 'highPrice': printf(pf, hi), 'lowPrice': printf(pf, lo),
                'lastPrice': printf(pf, last),
                'volume': case when is_inverse then contracts::bigint::varchar else printf(qf, base) end,
                'openTime': epoch_ms(minute_at({TICKER_MINUTE - 1440})), 'closeTime': epoch_ms(minute_at({TICKER_MINUTE})),
                'count': trades}}),
                case when is_inverse then json_object('pair', code || 'USD', 'baseVolume', printf('%.8f', base))
                    else json_object('quoteVolume', printf('%.2f', quote)) end) as item
            from ticker where venue = 'binance'
        )
        select 'binance/' || api || '/ticker24hr-{stamp(TICKER_MINUTE)}.json',
            '[' || string_agg(item, ',' order by symbol) || ']'
        from item group by api order by 1"""


def _funds() -> str:
    """One pool in USDT for all linear contracts, so that it is the published fund."""
    moments = ", ".join(f"({minute}, '{stamp(minute)}')" for minute in RISK_MINUTES)
    return f"""
        select 'binance/fapi/insuranceBalance-' || stamp || '.json', to_json([{{'symbols': symbols,
            'assets': [{{'asset': 'USDT', 'marginBalance': printf('%.8f', usd),
                'updateTime': epoch_ms(minute_at(f.t))}}]}}])
        from fund_moment f
        join (values {moments}) m(t, stamp) using (t),
            (select list(symbol order by symbol) as symbols from b2 where not is_inverse)
        where venue = 'binance' order by 1"""


def _risks() -> str:
    """Low before the event; after it by tier."""
    moments = ", ".join(f"({minute}, '{stamp(minute)}')" for minute in RISK_MINUTES)
    return f"""
        select 'binance/' || {_API} || '/symbolAdlRisk-' || stamp || '.json',
            to_json(list({{'symbol': symbol, 'adlRisk': case when t = {RISK_MINUTES[0]} or tier = 'major' then 'low'
                when tier = 'mid' then 'medium' else 'high' end, 'updateTime': epoch_ms(minute_at(t))}} order by symbol))
        from b2, (values {moments}) m(t, stamp)
        group by product, t, stamp order by 1"""


def _tiers() -> str:
    """Bounds in USD, of COIN-M in the coin."""
    return f"""
        with bracket as (
            select product, symbol, number, case when is_inverse then
                json_object('bracket', number, 'initialLeverage', leverage, 'qtyFloor', round(floor_usd / price, 4),
                    'qtyCap', round(cap_usd / price, 4), 'maintMarginRatio', rate, 'cum', round(amount / price, 8))
                else json_object('bracket', number, 'initialLeverage', leverage, 'notionalFloor', floor_usd,
                    'notionalCap', cap_usd, 'maintMarginRatio', rate, 'cum', amount) end as item
            from tier_step where venue = 'binance'
        ),
        contract as (
            select product, symbol, '{{"symbol":"' || symbol || '","notionalCoef":1.0,"brackets":['
                || string_agg(item, ',' order by number) || ']}}' as item
            from bracket group by product, symbol
        )
        select 'binance/' || {_API} || '/leverageBracket-{stamp(TERMS_MINUTE)}.json',
            '[' || string_agg(item, ',' order by symbol) || ']'
        from contract group by product order by 1"""
