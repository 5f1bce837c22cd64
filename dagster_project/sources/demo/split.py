"""Which file says what: every traded, held or liquidated dollar of the market is in one of them.

The market's tables say what all contracts of a venue have in a coin together. On the two days, Binance and Bybit have a second
contract in BTC and ETH, settled in the coin. The ``inverse_*`` tables hold its part, counted in whole
contracts of a fixed worth in USD, so that the parts add up to the cent; the ``linear_*`` views hold the rest, and everything of
the contracts that stand alone. Liquidations of the other venues are either declared or come in the venue's own format.
"""

import duckdb

from dagster_project.sources.demo.contracts import INVERSE_SHARE, OWN_LIQUIDATIONS
from dagster_project.sources.demo.market import EVENT_DAY

_FIRST_MINUTE = EVENT_DAY * 1440


def split_market(con: duckdb.DuckDBPyConnection) -> None:
    """Create the tables and views; ``build_market`` and ``load_contracts`` must have run."""
    _volume(con)
    _open_interest(con)
    _liquidations(con)


def _volume(con: duckdb.DuckDBPyConnection) -> None:
    """Candles: ``inverse_minute``, ``linear_minute`` and ``linear_day``."""
    con.execute(f"""
        create table inverse_minute as
        with counted as (
            select m.*, (m.o + m.c + m.hi + m.lo) / 4 as mean, x.contract_value as worth,
                floor(m.quote * {INVERSE_SHARE} / x.contract_value)::bigint as contracts,
                floor(m.taker_quote * {INVERSE_SHARE} / x.contract_value)::bigint as taker_contracts
            from candle_minute m
            join own_contract x on x.venue_id = m.venue_id and x.coin_id = m.coin_id and x.is_inverse
        )
        select venue_id, coin_id, t, day, o, c, hi, lo, mean, contracts, contracts * worth as usd,
            contracts * worth / mean as coins, taker_contracts, taker_contracts * worth as taker_usd,
            taker_contracts * worth / mean as taker_coins, floor(trades * {INVERSE_SHARE})::bigint as trades
        from counted;

        create view linear_minute as
        select m.venue_id, m.coin_id, m.t, m.day, m.o, m.c, m.hi, m.lo,
            case when x.t is null then m.quote else (m.quote::decimal(18, 2) - x.usd::decimal(18, 2))::double end as quote,
            case when x.t is null then m.base else round((m.quote - x.usd) / x.mean, quantity_decimals) end as base,
            case when x.t is null then m.taker_base else round((m.taker_quote - x.taker_usd) / x.mean, quantity_decimals)
                end as taker_base,
            case when x.t is null then m.taker_quote
                else (m.taker_quote::decimal(18, 2) - x.taker_usd::decimal(18, 2))::double end as taker_quote,
            m.trades - coalesce(x.trades, 0) as trades
        from candle_minute m
        join instrument i on i.venue_id = m.venue_id and i.coin_id = m.coin_id
        left join inverse_minute x on x.venue_id = m.venue_id and x.coin_id = m.coin_id and x.t = m.t;

        create table linear_day as
        select d.* from candle_day d
        anti join own_contract x on x.venue_id = d.venue_id and x.coin_id = d.coin_id and x.is_inverse
            and d.k in ({EVENT_DAY}, {EVENT_DAY + 1})
        union all
        select venue_id, coin_id, day + {EVENT_DAY} as k, arg_min(o, t), arg_max(c, t), max(hi), min(lo),
            sum(quote::decimal(18, 2))::double, sum(base::decimal(26, 4))::double,
            sum(taker_base::decimal(26, 4))::double, sum(taker_quote::decimal(18, 2))::double, sum(trades)::bigint
        from linear_minute m
        semi join own_contract x on x.venue_id = m.venue_id and x.coin_id = m.coin_id and x.is_inverse
        group by venue_id, coin_id, day;
    """)


def _open_interest(con: duckdb.DuckDBPyConnection) -> None:
    """``inverse_oi`` and ``linear_oi``, one side, at every stamp of the two days but the first.

    A row of Binance's COIN-M metrics is labelled with the start of its five minutes, so the observation of midnight belongs to
    the file of the day before, which the sample does not have; Bybit's inverse contracts are left out there for symmetry.
    """
    con.execute(f"""
        create table inverse_oi as
        with counted as (
            select o.*, o.minute_of_year - {_FIRST_MINUTE} as t, m.o as price, x.contract_value as worth,
                floor(o.usd * {INVERSE_SHARE} / x.contract_value)::bigint as contracts
            from oi o
            join own_contract x on x.venue_id = o.venue_id and x.coin_id = o.coin_id and x.is_inverse
            join minute m on m.venue_id = o.venue_id and m.coin_id = o.coin_id
                and m.t = o.minute_of_year - {_FIRST_MINUTE}
            where m.t > 0
        )
        select venue_id, coin_id, minute_of_year, t, price, contracts, contracts * worth as usd,
            contracts * worth / price as coins
        from counted;

        create view linear_oi as
        select o.venue_id, o.coin_id, o.minute_of_year, o.is_daily,
            case when x.t is null then o.base else round((o.usd - x.usd) / x.price, quantity_decimals) end as base,
            case when x.t is null then o.usd
                else round(round((o.usd - x.usd) / x.price, quantity_decimals) * x.price, 2) end as usd
        from oi o
        join instrument i on i.venue_id = o.venue_id and i.coin_id = o.coin_id
        left join inverse_oi x on x.venue_id = o.venue_id and x.coin_id = o.coin_id
            and x.minute_of_year = o.minute_of_year;
    """)


def _liquidations(con: duckdb.DuckDBPyConnection) -> None:
    """``inverse_liquidation`` and ``linear_liquidation``; of the declared venues, ``own_liquidation`` and the rest."""
    own = ", ".join(f"('{venue}', {first}, {last})" for venue, (first, last) in OWN_LIQUIDATIONS.items())
    con.execute(f"""
        create table inverse_liquidation as
        with counted as (
            select l.*, x.contract_value as worth, floor(l.usd * {INVERSE_SHARE} / x.contract_value)::bigint as contracts
            from liquidation l
            join own_contract x on x.venue_id = l.venue_id and x.coin_id = l.coin_id and x.is_inverse
            where l.k in ({EVENT_DAY}, {EVENT_DAY + 1})
        )
        select venue_id, coin_id, side, ms_of_year, k, is_event, price, contracts, contracts * worth as usd from counted;

        create view linear_liquidation as
        select l.* replace (l.usd - coalesce(x.usd, 0) as usd)
        from liquidation l
        left join inverse_liquidation x on x.venue_id = l.venue_id and x.coin_id = l.coin_id
            and x.side = l.side and x.ms_of_year = l.ms_of_year;

        create table own_liquidation as
        select l.* from liquidation l
        semi join (
            select venue_id, coin_id, first_day, last_day
            from own_contract join (values {own}) d(venue, first_day, last_day) using (venue) where is_focus
        ) x on x.venue_id = l.venue_id and x.coin_id = l.coin_id and l.k between x.first_day and x.last_day;

        create view declared_liquidation as
        select l.* from liquidation l
        anti join own_liquidation x on x.venue_id = l.venue_id and x.coin_id = l.coin_id and x.k = l.k;
    """)
