"""OKX's own formats: pages of the v5 API (newest first) and the liquidation-orders stream as JSON lines.

Format: okx.com/docs-v5. Sizes count contracts of ``ctVal`` base units; bars also have the base coin and USDT. Bars of an hour
add up the declared minutes of the same contract. The newest bar has only begun (``confirm`` 0).
"""

from pathlib import Path

import duckdb

from dagster_project.sources.demo.derived import POPULATIONS, RISK_MINUTES, TERMS_MINUTE, TICKER_MINUTE, stamp
from dagster_project.sources.demo.files import write_files
from dagster_project.sources.demo.market import EVENT_DAY, PRE_EVENT_MINUTE

_LISTED_MS = 1_577_836_800_000
_FUND_PARTS = {"BTC": 0.4, "ETH": 0.3, "SOL": 0.2, "PEPE": 0.1}
"""Assumed split of the fund over the families of the coins in focus, which hold all of it here."""

_RATIO_PATHS = {
    "accounts": "long-short-account-ratio-contract",
    "top_accounts": "long-short-account-ratio-contract-top-trader",
    "top_positions": "long-short-position-ratio-contract-top-trader",
}


def write_okx(con: duckdb.DuckDBPyConnection, out: Path) -> int:
    """Write everything under ``okx/`` and return the number of files."""
    con.execute("""
        create or replace temp view x2 as select *, base_asset || '-USDT' as family from own_contract where venue = 'okx'
    """)
    queries = (
        _bars(),
        _prices("mark", "history-mark-price-candles", "symbol"),
        _prices("index", "history-index-candles", "family"),
        _funding(),
        _open_interest(),
        *(_ratios(who, _RATIO_PATHS[who]) for who in POPULATIONS),
        _instruments(),
        _tiers(),
        _tickers(),
        _funds(),
        _books(),
        _stream(),
    )
    return sum(write_files(con, out, query) for query in queries)


def _answer(data: str) -> str:
    """SQL of an answer around the JSON text of its rows."""
    return f"""'{{"code":"0","msg":"","data":' || {data} || '}}'"""


def _bars() -> str:
    """The bar of 12 October 00:00 had just begun when the page was asked for."""
    page = _answer("to_json(list(item order by ms desc))")
    return f"""
        with bar as (
            select symbol, epoch_ms(minute_at(hour * 60)) as ms, [epoch_ms(minute_at(hour * 60))::varchar, printf(pf, o),
                printf(pf, hi), printf(pf, lo), printf(pf, c), printf(cf, base::double / contract_value),
                printf(qf, base::double), printf('%.2f', quote::double), '1'] as item
            from hour_candle join x2 using (venue_id, coin_id)
            union all
            select symbol, epoch_ms(minute_at(2880)), [epoch_ms(minute_at(2880))::varchar, printf(pf, c), printf(pf, c),
                printf(pf, c), printf(pf, c), '1', printf(qf, contract_value), printf('%.2f', contract_value * c), '0']
            from hour_candle join x2 using (venue_id, coin_id) where hour = 47
        )
        select printf('okx/api/v5/market/history-candles/%s-1H-1.json', symbol), {page}
        from bar group by symbol order by 1"""


def _prices(kind: str, path: str, name: str) -> str:
    page = _answer("""to_json(list([epoch_ms(minute_at(hour * 60))::varchar, printf(pf, o), printf(pf, hi), printf(pf, lo),
        printf(pf, c), '1'] order by hour desc))""")
    return f"""
        select printf('okx/api/v5/market/{path}/%s-1H-1.json', {name}), {page}
        from hour_reference join x2 using (venue_id, coin_id) where kind = '{kind}'
        group by symbol, family order by 1"""


def _funding() -> str:
    """``realizedRate`` was paid; ``fundingRate`` is what had been predicted."""
    page = _answer("""to_json(list({'formulaType': 'noRate', 'fundingRate': printf('%.8f', rate + 0.00000137),
        'fundingTime': epoch_ms(day_at(0) + to_hours(hour_of_year))::varchar, 'instId': symbol, 'instType': 'SWAP',
        'method': 'current_period', 'realizedRate': printf('%.8f', rate)} order by hour_of_year desc))""")
    return f"""
        select printf('okx/api/v5/public/funding-rate-history/%s-1.json', symbol), {page}
        from funding f join x2 using (venue_id, coin_id)
        where is_focus and k in ({EVENT_DAY}, {EVENT_DAY + 1}) group by symbol order by 1"""


def _open_interest() -> str:
    page = _answer("""to_json(list([epoch_ms(day_at(0) + to_minutes(minute_of_year))::varchar,
        printf(cf, base / contract_value), printf(qf, base), printf('%.2f', usd)] order by minute_of_year desc))""")
    first = EVENT_DAY * 1440
    return f"""
        select printf('okx/api/v5/rubik/stat/contracts/open-interest-history/%s-1H-1.json', symbol), {page}
        from oi join x2 using (venue_id, coin_id)
        where is_focus and minute_of_year between {first} and {first + 2879} and minute_of_year % 60 = 0
        group by symbol order by 1"""


def _ratios(who: str, path: str) -> str:
    page = _answer("""to_json(list([epoch_ms(minute_at(t))::varchar, printf('%.4f', share / (1 - share))]
        order by t desc))""")
    return f"""
        select printf('okx/api/v5/rubik/stat/contracts/{path}/%s-1H-1.json', symbol), {page}
        from ratio join x2 using (venue_id, coin_id, is_inverse) where who = '{who}' and t < 2880
        group by symbol order by 1"""


def _instruments() -> str:
    page = _answer(
        """to_json(list({'instType': 'SWAP', 'instId': symbol, 'uly': family, 'instFamily': family, 'category': '1',
        'baseCcy': '', 'quoteCcy': '', 'settleCcy': settle_code, 'ctVal': regexp_replace(printf('%.4f', contract_value),
            '[.]?0+$', ''), 'ctMult': '1', 'ctValCcy': code, 'optType': '', 'stk': '', 'listTime': 'LISTED',
        'expTime': '', 'lever': leverage::varchar, 'tickSz': printf(pf, power(10.0, -price_decimals)),
        'lotSz': printf(cf, power(10.0, -contract_decimals)), 'minSz': printf(cf, power(10.0, -contract_decimals)),
        'ctType': 'linear', 'alias': '', 'state': 'live', 'ruleType': 'normal'} order by symbol))""".replace(
            "LISTED", str(_LISTED_MS)
        )
    )
    return f"""
        select 'okx/api/v5/public/instruments/swap-{stamp(TERMS_MINUTE)}.json', {page}
        from x2 join (select symbol, max(leverage) as leverage from tier_step where venue = 'okx' group by 1) using (symbol)
        """


def _tiers() -> str:
    """Bounds in whole contracts; one request takes five families."""
    page = _answer("""to_json(list({'baseMaxLoan': '', 'imr': printf('%.6f', 1 / leverage), 'instFamily': family,
        'instId': '', 'maxLever': leverage::varchar, 'maxSz': ceil(cap_usd / price / contract_value)::bigint::varchar,
        'minSz': (case when number = 1 then 0 else ceil(floor_usd / price / contract_value) + 1 end)::bigint::varchar,
        'mmr': printf('%.6f', rate), 'optMgnFactor': '0', 'quoteMaxLoan': '', 'tier': number::varchar, 'uly': family}
        order by family, number))""")
    return f"""
        select 'okx/api/v5/public/position-tiers/swap-{stamp(TERMS_MINUTE)}.json', {page}
        from (select *, base_asset || '-USDT' as family from tier_step where venue = 'okx' and is_focus)"""


def _tickers() -> str:
    page = _answer(
        """to_json(list({'instType': 'SWAP', 'instId': symbol, 'last': printf(pf, last), 'lastSz': '1',
        'open24h': printf(pf, o), 'high24h': printf(pf, hi), 'low24h': printf(pf, lo),
        'volCcy24h': printf(qf, base), 'vol24h': printf(cf, contracts), 'sodUtc0': printf(pf, last),
        'ts': epoch_ms(minute_at(MINUTE))::varchar} order by symbol))""".replace("MINUTE", str(TICKER_MINUTE))
    )
    return f"""
        select 'okx/api/v5/market/tickers/swap-{stamp(TICKER_MINUTE)}.json', {page} from ticker where venue = 'okx'"""


def _funds() -> str:
    parts = ", ".join(f"('{coin}', {part!r})" for coin, part in _FUND_PARTS.items())
    page = _answer("""to_json([{'details': list({'adlType': '', 'amt': '', 'balance': printf('%.2f', usd * part),
        'ccy': 'USDT', 'decRate': '', 'maxBal': '', 'maxBalTs': '', 'ts': epoch_ms(minute_at(t))::varchar,
        'type': 'regular_update'} order by t desc), 'instFamily': family, 'instType': 'SWAP',
        'total': printf('%.2f', max_by(usd, t))}])""")
    return f"""
        select printf('okx/api/v5/public/insurance-fund/%s-1.json', family), {page}
        from fund_moment join x2 using (venue_id, venue) join (values {parts}) p(base_asset, part) using (base_asset)
        where t in {RISK_MINUTES} group by family order by 1"""


def _books() -> str:
    page = _answer(
        """to_json([{
        'asks': list([printf(pf, price), printf(cf, contracts), '0', '1'] order by offset_percent)
            filter (side = 'ask'),
        'bids': list([printf(pf, price), printf(cf, contracts), '0', '1'] order by offset_percent)
            filter (side = 'bid'),
        'ts': epoch_ms(minute_at(MINUTE))::varchar, 'seqId': 1}])""".replace("MINUTE", str(PRE_EVENT_MINUTE))
    )
    return f"""
        select printf('okx/api/v5/market/books/%s-{stamp(PRE_EVENT_MINUTE)}.json', symbol), {page}
        from book_level join x2 using (venue_id, coin_id, is_inverse, contract_value) group by symbol order by 1"""


def _stream() -> str:
    """One message per liquidation; ``bkPx`` is the bankruptcy price, so the size is that of the market's USD at it."""
    return """
        with event as (
            select symbol, family, side, k, epoch_ms(day_at(0)) + ms_of_year as ms, usd, contract_value, cf,
                printf(pf, price * case when side = 0 then 0.996 else 1.004 end) as p
            from own_liquidation join x2 using (venue_id, coin_id)
        ),
        line as (select *, printf(cf, usd / p::double / contract_value) as size from event)
        select printf('okx/stream/liquidation-orders/%s.jsonl', strftime(day_at(k), '%Y-%m-%d')),
            string_agg(to_json({'arg': {'channel': 'liquidation-orders', 'instType': 'SWAP'}, 'data': [{
                'details': [{'bkLoss': '0', 'bkPx': p, 'ccy': '',
                    'posSide': case when side = 0 then 'long' else 'short' end,
                    'side': case when side = 0 then 'sell' else 'buy' end, 'sz': size, 'ts': ms::varchar}],
                'instFamily': family, 'instId': symbol, 'instType': 'SWAP', 'uly': family}]})::varchar,
                chr(10) order by ms, symbol, side) || chr(10)
        from line where size::double > 0 group by k order by 1"""
