"""What aggregators tell of the same market: CoinGlass, Coinalyze, DefiLlama and Tardis, a few files each.

Formats: docs.coinglass.com (v4), api.coinalyze.net/v1/doc, api-docs.defillama.com, docs.tardis.dev/downloadable-csv-files. They
repeat what the venues' own files say of BTC and ETH on the two days (Tardis: BTC on Binance), summed over hours or handed on, so
that nothing may be added to the venues' figures because of them. Funding is percent at CoinGlass and Coinalyze.
"""

from pathlib import Path

import duckdb

from dagster_project.sources.demo.derived import TERMS_MINUTE, stamp
from dagster_project.sources.demo.files import write_files
from dagster_project.sources.demo.market import EVENT_DAY

COINS = ("BTC", "ETH")
"""Coins that aggregators speak of here."""

COINGLASS_EXCHANGES = {"binance": "Binance", "okx": "OKX"}
COINALYZE_EXCHANGES = {"binance": "A", "bybit": "6"}
"""Venues of single contracts, as the aggregators call them."""

_FIRST = EVENT_DAY * 1440


def write_aggregators(con: duckdb.DuckDBPyConnection, out: Path) -> int:
    """Write the four folders and return the number of files."""
    _build(con)
    queries = (
        *_coinglass(),
        *_coinalyze(),
        _defillama(),
        _tardis_liquidations(),
        _tardis_tickers(),
    )
    return sum(write_files(con, out, query) for query in queries)


def _build(con: duckdb.DuckDBPyConnection) -> None:
    """``hour_oi`` (first, highest, lowest and last stamp of an hour), ``hour_liquidated`` and ``funded``.

    ``venue`` is ``market`` for the sum over all venues; rows of a coin (``is_coin``) count all its contracts, the others the
    linear one alone.
    """
    coins = ", ".join(f"'{coin}'" for coin in COINS)
    con.execute(f"""
        create or replace temp table hour_oi as
        with stamp as (
            select venue, base_asset, minute_of_year - {_FIRST} as t, usd from linear_oi
                join instrument using (venue_id, coin_id) where minute_of_year between {_FIRST} and {_FIRST + 2879}
            union all
            select 'market', base_asset, minute_of_year - {_FIRST}, sum(usd::decimal(18, 2))::double from oi
                join coin using (coin_id) where minute_of_year between {_FIRST} and {_FIRST + 2879} group by all
        )
        select venue, base_asset, t // 60 as hour, arg_min(usd, t) as o, max(usd) as hi, min(usd) as lo, arg_max(usd, t) as c
        from stamp where base_asset in ({coins}) group by all;

        create or replace temp table hour_liquidated as
        with event as (
            select venue, base_asset, false as is_coin, side, ms_of_year, usd from linear_liquidation
                join instrument using (venue_id, coin_id) where k in ({EVENT_DAY}, {EVENT_DAY + 1})
            union all
            select unnest([venue, 'market']), base_asset, true, side, ms_of_year, usd from liquidation
                join instrument using (venue_id, coin_id) where k in ({EVENT_DAY}, {EVENT_DAY + 1})
        )
        select venue, base_asset, is_coin, (ms_of_year // 3600000 - {EVENT_DAY * 24})::integer as hour,
            coalesce(sum(usd::decimal(18, 4)) filter (side = 0), 0)::double as long,
            coalesce(sum(usd::decimal(18, 4)) filter (side = 1), 0)::double as short
        from event where base_asset in ({coins}) group by all;

        create or replace temp table funded as
        select venue, base_asset, hour_of_year, rate from funding
            join instrument using (venue_id, coin_id)
        where k in ({EVENT_DAY}, {EVENT_DAY + 1}) and base_asset in ({coins});
    """)


def _names(exchanges: dict[str, str]) -> str:
    return ", ".join(f"('{venue}', '{name}')" for venue, name in exchanges.items())


def _coinglass() -> list[str]:
    """Open interest and funding of contracts, open interest of coins, and liquidations of coins on a venue and on all."""
    names = _names(COINGLASS_EXCHANGES)
    bars = """to_json(list({'time': epoch_ms(minute_at(hour * 60)), 'open': printf('%.4f', o), 'high': printf('%.4f', hi),
        'low': printf('%.4f', lo), 'close': printf('%.4f', c)} order by hour))"""
    rates = """to_json(list({'time': epoch_ms(day_at(0) + to_hours(hour_of_year)), 'open': printf('%.6f', 100 * rate),
        'high': printf('%.6f', 100 * rate), 'low': printf('%.6f', 100 * rate), 'close': printf('%.6f', 100 * rate)}
        order by hour_of_year))"""
    sums = """to_json(list({'time': epoch_ms(minute_at(hour * 60)), 'aggregated_long_liquidation_usd': round(long, 4),
        'aggregated_short_liquidation_usd': round(short, 4)} order by hour))"""

    def answer(data: str) -> str:
        return f"""'{{"code":"0","msg":"success","data":' || {data} || '}}'"""

    def of_contracts(path: str, data: str, table: str, interval: str) -> str:
        return f"""
            select printf('coinglass/api/futures/{path}/%s-%s-{interval}-1.json', venue, venue_symbol), {answer(data)}
            from {table} join (values {names}) n(venue, name) using (venue) join instrument using (venue, base_asset)
            group by venue, venue_symbol order by 1"""

    def of_coins(path: str, data: str, rows: str) -> str:
        return f"""
            select printf('coinglass/api/futures/{path}/%s-%s-1h-1.json', venue, base_asset), {answer(data)}
            from {rows} group by venue, base_asset order by 1"""

    return [
        of_contracts("open-interest/history", bars, "hour_oi", "1h"),
        of_contracts("funding-rate/history", rates, "funded", "8h"),
        of_coins("open-interest/aggregated-history", bars, "(from hour_oi where venue = 'market')"),
        of_coins(
            "liquidation/aggregated-history",
            sums,
            f"""(from hour_liquidated semi join (values {names}, ('market', '')) n(venue, name) using (venue)
                where is_coin)""",
        ),
    ]


def _coinalyze() -> list[str]:
    """One answer for several symbols, of which a list tells what they are; times are seconds."""
    names = _names(COINALYZE_EXCHANGES)

    def history(path: str, rows: str, table: str, interval: str) -> str:
        return f"""
            with entry as (
                select printf('%sUSDT_PERP.%s', base_asset, letter) as symbol, {rows} as history
                from {table} join (values {names}) n(venue, letter) using (venue) group by base_asset, letter
            )
            select 'coinalyze/v1/{path}/{interval}-1.json', to_json(list({{'symbol': symbol, 'history': history}}
                order by symbol)) from entry"""

    markets = f"""
        select 'coinalyze/v1/future-markets-{stamp(TERMS_MINUTE)}.json', to_json(list({{
            'symbol': printf('%sUSDT_PERP.%s', base_asset, letter), 'exchange': letter,
            'symbol_on_exchange': venue_symbol, 'base_asset': base_asset, 'quote_asset': 'USDT', 'is_perpetual': true,
            'margined': 'STABLE', 'expire_at': 0, 'oi_lq_vol_denominated_in': 'BASE_ASSET'}} order by letter, base_asset))
        from instrument join (values {names}) n(venue, letter) using (venue)
        where base_asset in ({", ".join(f"'{coin}'" for coin in COINS)})"""
    return [
        markets,
        history(
            "open-interest-history",
            """list({'t': epoch_ms(minute_at(hour * 60)) // 1000, 'o': o, 'h': hi, 'l': lo, 'c': c} order by hour)""",
            "hour_oi",
            "1hour",
        ),
        history(
            "liquidation-history",
            """list({'t': epoch_ms(minute_at(hour * 60)) // 1000, 'l': round(long, 4), 's': round(short, 4)}
                order by hour)""",
            "(from hour_liquidated where not is_coin)",
            "1hour",
        ),
        history(
            "funding-rate-history",
            """list({'t': epoch_ms(day_at(0) + to_hours(hour_of_year)) // 1000, 'o': round(100 * rate, 6),
                'h': round(100 * rate, 6), 'l': round(100 * rate, 6), 'c': round(100 * rate, 6)} order by hour_of_year)""",
            # Bars of four hours, twice as many as there are settlements.
            "(select * replace (hour_of_year + later as hour_of_year) from funded, (values (0), (4)) x(later))",
            "4hour",
        ),
    ]


def _defillama() -> str:
    """A whole venue, a value a day."""
    return f"""
        with day as (
            select minute_of_year // 1440 as k, sum(usd::decimal(18, 2))::bigint as usd from oi
            where is_daily and venue_id = (select venue_id from venue where venue = 'hyperliquid')
                and minute_of_year // 1440 in ({EVENT_DAY}, {EVENT_DAY + 1}) group by all
        )
        select 'defillama/overview/open-interest.json', '{{"totalDataChart":['
            || string_agg(printf('[%d,%d]', epoch_ms(day_at(k)) // 1000, usd), ',' order by k)
            || '],"totalDataChartBreakdown":['
            || string_agg(printf('[%d,{{"Hyperliquid Perps":%d}}]', epoch_ms(day_at(k)) // 1000, usd), ',' order by k)
            || '],"chain":null,"allChains":["Hyperliquid L1"],"total24h":' || max_by(usd, k)
            || ',"protocols":[{{"total24h":' || max_by(usd, k) || ',"defillamaId":"5000","name":"Hyperliquid Perps",'
            || '"displayName":"Hyperliquid Perps","module":"hyperliquid-perps","category":"Derivatives",'
            || '"chains":["Hyperliquid L1"],"protocolType":"protocol","slug":"hyperliquid-perps","id":"5000"}}]}}'
        from day"""


_TARDIS = (
    "'tardis/v1/binance-futures/{0}/' || strftime(day_at(k), '%Y/%m/%d') || '/' || any_value(venue_symbol) || '.csv.gz'"
)


def _tardis_liquidations() -> str:
    """``side`` is the order's: sell closed a long. Times are microseconds."""
    return f"""
        select {_TARDIS.format("liquidations")},
            'exchange,symbol,timestamp,local_timestamp,id,side,price,amount' || chr(10) || string_agg(concat_ws(',',
                'binance-futures', venue_symbol, ms * 1000, ms * 1000 + 12345, '',
                case when side = 0 then 'sell' else 'buy' end, printf('%.' || price_decimals || 'f', price),
                printf('%.6f', usd / price)), chr(10) order by ms, side) || chr(10)
        from (select *, epoch_ms(day_at(0)) + ms_of_year as ms from linear_liquidation) l
        join instrument using (venue_id, coin_id)
        where venue = 'binance' and base_asset = 'BTC' and k in ({EVENT_DAY}, {EVENT_DAY + 1}) and round(usd / price, 6) > 0
        group by k order by 1"""


def _tardis_tickers() -> str:
    """Every five minutes; not every field of a row is filled."""
    return f"""
        with line as (
            select o.minute_of_year // 1440 as k, o.minute_of_year, venue_symbol, concat_ws(',', 'binance-futures',
                venue_symbol, ms * 1000, ms * 1000 + 6789, (ms // 28800000 + 1) * 28800000 * 1000, printf('%.8f', f.rate), '',
                printf('%.' || quantity_decimals || 'f', base), printf('%.' || price_decimals || 'f', m.o),
                printf('%.' || price_decimals || 'f', r.o), printf('%.' || price_decimals || 'f', p.o)) as line
            from (select *, epoch_ms(day_at(0) + to_minutes(minute_of_year)) as ms from linear_oi) o
            join instrument i using (venue_id, coin_id)
            join minute m on m.venue_id = o.venue_id and m.coin_id = o.coin_id and m.t = minute_of_year - {_FIRST}
            join reference_minute r on r.venue_id = o.venue_id and r.coin_id = o.coin_id and not r.is_inverse
                and r.kind = 'index' and r.t = m.t
            join reference_minute p on p.venue_id = o.venue_id and p.coin_id = o.coin_id and not p.is_inverse
                and p.kind = 'mark' and p.t = m.t
            -- The rate of the settlement to come.
            join funding f on f.venue_id = o.venue_id and f.coin_id = o.coin_id
                and f.hour_of_year = (minute_of_year // 480 + 1) * 8
            where i.venue = 'binance' and i.base_asset = 'BTC'
        )
        select {_TARDIS.format("derivative_ticker")},
            'exchange,symbol,timestamp,local_timestamp,funding_timestamp,funding_rate,predicted_funding_rate,open_interest,'
            || 'last_price,index_price,mark_price' || chr(10) || string_agg(line, chr(10) order by minute_of_year) || chr(10)
        from line group by k order by 1"""
