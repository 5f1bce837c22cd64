"""Bitget's own formats: pages of the v2 mix market and v3 market API. Quantities count the base coin.

Format: bitget.com/api-doc. Bars run from old to new, funding and liquidations from new to old. Bars of an hour add up the
declared minutes of the same contract. Liquidations reach back three days from the moment of asking (the end of the year here;
the real endpoint is public since 25 June 2026).
"""

from pathlib import Path

import duckdb

from dagster_project.sources.demo.derived import RISK_MINUTES, TERMS_MINUTE, TICKER_MINUTE, stamp
from dagster_project.sources.demo.files import write_files
from dagster_project.sources.demo.market import EVENT_DAY, PRE_EVENT_MINUTE

_LISTED_MS = 1_577_836_800_000
_YEAR_END = "20260101T000000Z"
"""When the liquidations were asked for."""


def write_bitget(con: duckdb.DuckDBPyConnection, out: Path) -> int:
    """Write everything under ``bitget/`` and return the number of files."""
    con.execute("create or replace temp view g2 as select * from own_contract where venue = 'bitget'")
    queries = (
        _bars(),
        _prices("mark"),
        _prices("index"),
        _funding(),
        _ratios(),
        _open_interest(),
        _instruments(),
        _tiers(),
        _tickers(),
        _books(),
        _funds(),
        _liquidations(),
    )
    return sum(write_files(con, out, query) for query in queries)


def _answer(data: str, time_ms: str) -> str:
    """SQL of an answer around the JSON text of its data, sent at ``time_ms``."""
    return f"""'{{"code":"00000","msg":"success","requestTime":' || {time_ms} || ',"data":' || {data} || '}}'"""


def _at(minute: int) -> str:
    return f"epoch_ms(minute_at({minute}))"


def _bars() -> str:
    page = _answer(
        """to_json(list([epoch_ms(minute_at(hour * 60))::varchar, printf(pf, o), printf(pf, hi), printf(pf, lo),
        printf(pf, c), printf(qf, base::double), printf('%.2f', quote::double)] order by hour))""",
        _at(2880),
    )
    return f"""
        select printf('bitget/api/v2/mix/market/history-candles/%s-1H-1.json', symbol), {page}
        from hour_candle join g2 using (venue_id, coin_id) group by symbol order by 1"""


def _prices(kind: str) -> str:
    page = _answer(
        """to_json(list([epoch_ms(minute_at(hour * 60))::varchar, printf(pf, o), printf(pf, hi), printf(pf, lo),
        printf(pf, c), '0', '0'] order by hour))""",
        _at(2880),
    )
    return f"""
        select printf('bitget/api/v2/mix/market/history-{kind}-candles/%s-1H-1.json', symbol), {page}
        from hour_reference join g2 using (venue_id, coin_id, is_inverse) where kind = '{kind}' group by symbol order by 1"""


def _funding() -> str:
    page = _answer(
        """to_json(list({'symbol': symbol, 'fundingRate': printf('%.8f', rate),
        'fundingTime': epoch_ms(day_at(0) + to_hours(hour_of_year))::varchar} order by hour_of_year desc))""",
        _at(2880),
    )
    return f"""
        select printf('bitget/api/v2/mix/market/history-fund-rate/%s-1.json', symbol), {page}
        from funding f join g2 using (venue_id, coin_id)
        where is_focus and k in ({EVENT_DAY}, {EVENT_DAY + 1}) group by symbol order by 1"""


def _ratios() -> str:
    """Asked for at the end of the two days."""
    page = _answer(
        """to_json(list({'longAccountRatio': printf('%.4f', share), 'shortAccountRatio': printf('%.4f', 1 - share),
        'longShortAccountRatio': printf('%.4f', share / (1 - share)), 'ts': epoch_ms(minute_at(t))::varchar} order by t))""",
        _at(2880),
    )
    return f"""
        select printf('bitget/api/v2/mix/market/account-long-short/%s-1h-{stamp(2880)}.json', symbol), {page}
        from ratio join g2 using (venue_id, coin_id, is_inverse) where who = 'accounts' and t < 2880
        group by symbol order by 1"""


def _open_interest() -> str:
    """Of the moment alone: the one before the event."""
    page = _answer(
        f"""to_json({{'openInterestList': [{{'symbol': symbol, 'size': printf(qf, base)}}],
        'ts': {_at(PRE_EVENT_MINUTE)}::varchar}})""",
        _at(PRE_EVENT_MINUTE),
    )
    return f"""
        select printf('bitget/api/v2/mix/market/open-interest/%s-{stamp(PRE_EVENT_MINUTE)}.json', symbol), {page}
        from oi join g2 using (venue_id, coin_id)
        where is_focus and minute_of_year = {EVENT_DAY * 1440 + PRE_EVENT_MINUTE} order by 1"""


def _instruments() -> str:
    page = _answer(
        """to_json(list({'symbol': symbol, 'baseCoin': code, 'quoteCoin': quote_code, 'makerFeeRate': '0.0002',
        'takerFeeRate': '0.0006', 'supportMarginCoins': [settle_code],
        'minTradeNum': printf(qf, power(10.0, -base_decimals)), 'priceEndStep': '1',
        'volumePlace': base_decimals::varchar, 'pricePlace': price_decimals::varchar,
        'sizeMultiplier': printf(qf, power(10.0, -base_decimals)), 'symbolType': 'perpetual', 'minTradeUSDT': '5',
        'symbolStatus': 'normal', 'offTime': '-1', 'limitOpenTime': '-1', 'deliveryTime': '', 'deliveryStartTime': '',
        'deliveryPeriod': '', 'launchTime': 'LISTED', 'fundInterval': '8', 'minLever': '1',
        'maxLever': leverage::varchar, 'posLimit': '0.1', 'maintainTime': '', 'openTime': ''} order by symbol))""".replace(
            "LISTED", str(_LISTED_MS)
        ),
        _at(TERMS_MINUTE),
    )
    return f"""
        select 'bitget/api/v2/mix/market/contracts/usdt_futures-{stamp(TERMS_MINUTE)}.json', {page}
        from g2 join (select symbol, max(leverage) as leverage from tier_step where venue = 'bitget' group by 1)
            using (symbol)"""


def _tiers() -> str:
    page = _answer(
        """to_json(list({'symbol': symbol, 'level': number::varchar, 'startUnit': printf('%.0f', floor_usd),
        'endUnit': printf('%.0f', cap_usd), 'leverage': leverage::varchar, 'keepMarginRate': printf('%.6f', rate)}
        order by number))""",
        _at(TERMS_MINUTE),
    )
    return f"""
        select printf('bitget/api/v2/mix/market/query-position-lever/%s-{stamp(TERMS_MINUTE)}.json', symbol), {page}
        from tier_step where venue = 'bitget' and is_focus group by symbol order by 1"""


def _tickers() -> str:
    page = _answer(
        f"""to_json(list({{'symbol': symbol, 'lastPr': printf(pf, last), 'high24h': printf(pf, hi),
        'low24h': printf(pf, lo), 'ts': {_at(TICKER_MINUTE)}::varchar, 'change24h': printf('%.5f', last / o - 1),
        'baseVolume': printf(qf, base), 'quoteVolume': printf('%.2f', quote), 'usdtVolume': printf('%.2f', quote),
        'openUtc': printf(pf, last), 'changeUtc24h': '0', 'indexPrice': printf(pf, index_price),
        'fundingRate': printf('%.8f', rate), 'holdingAmount': printf(qf, oi_base), 'open24h': printf(pf, o),
        'markPrice': printf(pf, mark)}} order by symbol))""",
        _at(TICKER_MINUTE),
    )
    return f"""
        select 'bitget/api/v2/mix/market/tickers/usdt_futures-{stamp(TICKER_MINUTE)}.json', {page}
        from ticker where venue = 'bitget'"""


def _books() -> str:
    """Levels are JSON numbers."""
    page = _answer(
        f"""to_json({{
        'asks': list([round(price, price_decimals), round(contracts, base_decimals)] order by offset_percent)
            filter (side = 'ask'),
        'bids': list([round(price, price_decimals), round(contracts, base_decimals)] order by offset_percent)
            filter (side = 'bid'),
        'ts': {_at(PRE_EVENT_MINUTE)}::varchar, 'scale': printf(any_value(pf), power(10.0, -any_value(price_decimals))),
        'precision': 'scale0', 'isMaxPrecision': 'NO'}})""",
        _at(PRE_EVENT_MINUTE),
    )
    return f"""
        select printf('bitget/api/v2/mix/market/merge-depth/%s-{stamp(PRE_EVENT_MINUTE)}.json', symbol), {page}
        from book_level join g2 using (venue_id, coin_id, is_inverse, contract_value) group by symbol order by 1"""


def _funds() -> str:
    """One reserve for all contracts."""
    moments = ", ".join(f"({minute}, '{stamp(minute)}')" for minute in RISK_MINUTES)
    page = _answer(
        "to_json([{'symbols': symbols, 'coin': 'USDT', 'balance': printf('%.2f', usd)}])",
        "epoch_ms(minute_at(t))",
    )
    return f"""
        select 'bitget/api/v3/market/risk-reserve-all/usdt_futures-' || stamp || '.json', {page}
        from fund_moment join (values {moments}) m(t, stamp) using (t),
            (select list(symbol order by symbol) as symbols from g2)
        where venue = 'bitget' order by 1"""


def _liquidations() -> str:
    """``side`` is that of the position: buy is a long."""
    page = _answer(
        """to_json({'list': list({'symbol': symbol, 'side': case when side = 0 then 'buy' else 'sell' end,
        'price': printf(pf, price), 'amount': size, 'ts': ms::varchar} order by ms desc, side), 'cursor': null})""",
        "epoch_ms(day_at(365))",
    )
    return f"""
        with line as (
            select *, epoch_ms(day_at(0)) + ms_of_year as ms, printf('%.6f', usd / price) as size
            from own_liquidation join g2 using (venue_id, coin_id)
        )
        select printf('bitget/api/v3/market/liquidations/%s-{_YEAR_END}-1.json', symbol), {page}
        from line where size::double > 0 group by symbol order by 1"""
