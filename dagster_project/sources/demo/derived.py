"""What the venues' other endpoints say of the same market: bars of an hour, mark prices, ratios, books, tickers, funds, tiers.

Everything here follows from the market's tables, so that two descriptions of one thing agree; what the market does not decide
(ratios, the split of a fund into pools, the shape of a book between its bands) is assumed and named in ``docs/demo_sample.md``.
Times are minutes ``t`` from 10 October 00:00 UTC; prices and quantities are in the units of the venue's files.
"""

from datetime import UTC, datetime, timedelta

import duckdb

from dagster_project.sources.demo.book import tier_rows
from dagster_project.sources.demo.market import EVENT_DAY, PRE_EVENT_MINUTE

TICKER_MINUTE = 1440
"""Tickers are asked at the midnight after 10 October: their 24 hours are that day."""

TERMS_MINUTE = 5
"""Terms (instruments, tiers) are asked soon after the start of the two days."""

RISK_MINUTES = (PRE_EVENT_MINUTE, 1350)
"""Funds and the nearness of auto-deleveraging are asked before the event and after it (20:50 and 22:30)."""


def stamp(minute: int) -> str:
    """A moment of the two days as names of files carry it: ``20251010T205000Z``."""
    return f"{datetime(2025, 10, 10, tzinfo=UTC) + timedelta(minutes=minute):%Y%m%dT%H%M%SZ}"


POPULATIONS = ("accounts", "top_accounts", "top_positions")

_BOOK_OFFSETS = (
    (0.01, 1, 0.1), (0.1, 1, 0.2), (0.5, 1, 0.3), (0.95, 1, 0.4), (1.5, 2, 0.5), (1.95, 2, 0.5), (2.5, 2, 0.4)
)  # fmt: skip
"""Levels of a book: percent from mid, the band whose depth they are made of, and their share of what the band adds. The last
one lies beyond the second band, so that the book does not end inside it."""

_FUND_LEFT = {"binance": 1.042e9 / 1.23e9, "bybit": 0.86, "okx": 0.93, "bitget": 0.97}
"""What is left of a venue's fund at 22:30 (Binance: 188 M USD less, published; the others assumed)."""


def build_derived(con: duckdb.DuckDBPyConnection) -> None:
    """Create all tables; ``split_market`` must have run."""
    _references(con)
    _hours(con)
    _ratios(con)
    _tickers(con)
    _books(con)
    _funds(con)
    _tiers(con)


def _references(con: duckdb.DuckDBPyConnection) -> None:
    """``reference_minute``: index and mark of the coins in focus; the mark is the mean of the index and the last price."""
    con.execute("""
        create table reference_minute as
        with bar as (
            select x.venue_id, x.coin_id, x.is_inverse, i.t, x.price_decimals as d, i.o * multiplier * scale as i_o,
                i.hi * multiplier * scale as i_hi, i.lo * multiplier * scale as i_lo, i.c * multiplier * scale as i_c,
                b.o * scale as b_o, b.hi * scale as b_hi, b.lo * scale as b_lo, b.c * scale as b_c
            from own_contract x
            join index_minute i using (coin_id)
            join minute b on b.venue_id = x.venue_id and b.coin_id = x.coin_id and b.t = i.t
            where x.is_focus
        )
        select venue_id, coin_id, is_inverse, t, 'index' as kind, round(i_o, d) as o, round(i_hi, d) as hi,
            round(i_lo, d) as lo, round(i_c, d) as c
        from bar
        union all
        select venue_id, coin_id, is_inverse, t, 'mark', round((i_o + b_o) / 2, d), round((i_hi + b_hi) / 2, d),
            round((i_lo + b_lo) / 2, d), round((i_c + b_c) / 2, d)
        from bar;
    """)


def _hours(con: duckdb.DuckDBPyConnection) -> None:
    """``hour_reference``, ``hour_premium`` (binance, bybit) and ``hour_candle`` (the others, whose minutes are declared)."""
    con.execute("""
        create table hour_reference as
        select venue_id, coin_id, is_inverse, kind, t // 60 as hour, arg_min(o, t) as o, max(hi) as hi, min(lo) as lo,
            arg_max(c, t) as c
        from reference_minute group by all;

        create table hour_premium as
        with step as (
            select x.venue_id, x.coin_id, i.t, b.o / (i.o * x.multiplier) - 1 as o, b.c / (i.c * x.multiplier) - 1 as c
            from own_contract x
            join index_minute i using (coin_id)
            join minute b on b.venue_id = x.venue_id and b.coin_id = x.coin_id and b.t = i.t
            where x.is_focus and not x.is_inverse and x.venue in ('binance', 'bybit')
        )
        select venue_id, coin_id, t // 60 as hour, arg_min(o, t) as o, max(greatest(o, c)) as hi,
            min(least(o, c)) as lo, arg_max(c, t) as c
        from step group by all;

        create table hour_candle as
        select m.venue_id, m.coin_id, t // 60 as hour, arg_min(o, t) * scale as o, max(hi) * scale as hi,
            min(lo) * scale as lo, arg_max(c, t) * scale as c, sum(base::decimal(26, 4)) / scale::decimal(8, 0) as base,
            sum(quote::decimal(18, 2)) as quote, sum(trades)::bigint as trades
        from candle_minute m
        join own_contract x on x.venue_id = m.venue_id and x.coin_id = m.coin_id
        where x.is_focus and x.venue in ('okx', 'bitget', 'hyperliquid')
        group by m.venue_id, m.coin_id, t // 60, scale;
    """)


def _ratios(con: duckdb.DuckDBPyConnection) -> None:
    """``ratio``: share of longs among accounts by five minutes; ``taker_ratio``: of Binance's contracts."""
    populations = ", ".join(f"({number}, '{name}')" for number, name in enumerate(POPULATIONS))
    con.execute(f"""
        create table ratio as
        select x.venue_id, x.coin_id, x.is_inverse, s.t, who, least(0.85, greatest(0.15,
            round(0.58 - 0.10 * s.unwind + 0.02 * number + 0.01 * z(90 + number, x.venue_id,
                x.coin_id * 2 + x.is_inverse::integer, s.t), 4))) as share
        from own_contract x, (select t, unwind from shape where tier = 'major' and t % 5 = 0) s,
            (values {populations}) p(number, who)
        where x.is_focus and x.venue <> 'hyperliquid' and (x.venue = 'binance' or s.t % 60 = 0);

        create table taker_ratio as
        with bar as (
            select venue_id, coin_id, false as is_inverse, t // 5 * 5 + 5 as t,
                sum(taker_base::decimal(26, 4))::double as bought, sum(base::decimal(26, 4))::double as base
            from linear_minute m
            semi join own_contract x on x.venue_id = m.venue_id and x.coin_id = m.coin_id and x.is_focus
                and x.venue = 'binance'
            group by all
            union all
            select venue_id, coin_id, true, t // 5 * 5 + 5, sum(taker_contracts)::double, sum(contracts)::double
            from inverse_minute
            semi join (from own_contract where venue = 'binance') using (venue_id) group by all
        )
        select venue_id, coin_id, is_inverse, t, round(bought / greatest(base - bought, 1e-9), 4) as taker_ratio from bar;
    """)


def _tickers(con: duckdb.DuckDBPyConnection) -> None:
    """``ticker``: all contracts at ``TICKER_MINUTE``; its volume is the day's, in units of the file."""
    con.execute(f"""
        create table ticker as
        with mean as (
            select venue_id, coin_id, sum(contracts) as contracts, sum(usd)::double as usd,
                sum(coins::decimal(28, 10))::double as coins
            from inverse_minute where day = 0 group by all
        )
        select x.*, d.o * scale as o, d.hi * scale as hi, d.lo * scale as lo, d.c * scale as last,
            round((p.o * x.multiplier * scale + d.c * scale) / 2, x.price_decimals) as mark,
            round(p.o * x.multiplier * scale, x.price_decimals) as index_price,
            case when x.is_inverse then v.usd else d.quote end as quote,
            case when x.is_inverse then v.coins else d.base / scale end as base,
            case when x.is_inverse then v.contracts else d.base / scale / contract_value end as contracts,
            case when x.is_inverse then n.contracts else q.base / scale / contract_value end as oi_contracts,
            case when x.is_inverse then n.coins else q.base / scale end as oi_base,
            case when x.is_inverse then n.usd else q.usd end as oi_usd,
            f.rate, d.trades
        from own_contract x
        join linear_day d on d.venue_id = x.venue_id and d.coin_id = x.coin_id and d.k = {EVENT_DAY}
        join index_minute p on p.coin_id = x.coin_id and p.t = {TICKER_MINUTE}
        join linear_oi q on q.venue_id = x.venue_id and q.coin_id = x.coin_id
            and q.minute_of_year = {EVENT_DAY * 1440 + TICKER_MINUTE}
        join funding f on f.venue_id = x.venue_id and f.coin_id = x.coin_id
            and f.hour_of_year = {EVENT_DAY * 24 + TICKER_MINUTE // 60}
        left join mean v on v.venue_id = x.venue_id and v.coin_id = x.coin_id and x.is_inverse
        left join inverse_oi n on n.venue_id = x.venue_id and n.coin_id = x.coin_id and x.is_inverse
            and n.t = {TICKER_MINUTE};
    """)


def _books(con: duckdb.DuckDBPyConnection) -> None:
    """``book_level``: books at 20:50 whose depth within 1 and 2 % is the market's; quantity in contracts."""
    offsets = ", ".join(str(row) for row in _BOOK_OFFSETS)
    con.execute(f"""
        create table book_level as
        with band as (
            select d.venue_id, d.coin_id, side, band, mid,
                usd - coalesce(lag(usd) over (partition by d.venue_id, d.coin_id, side order by band), 0) as added
            from depth d where t = {PRE_EVENT_MINUTE} and band <= 2
        ),
        level as (
            select x.venue_id, x.coin_id, x.is_inverse, side, offset_percent, added * share as usd,
                round(mid * x.scale * (1 + case when side = 'bid' then -1 else 1 end * offset_percent / 100),
                    x.price_decimals) as price, x.contract_value
            from own_contract x
            join band using (venue_id, coin_id)
            join (values {offsets}) o(offset_percent, band, share) using (band)
            where x.is_focus and not x.is_inverse and x.venue <> 'binance'
        )
        select *, usd / price / contract_value as contracts from level;
    """)


def _funds(con: duckdb.DuckDBPyConnection) -> None:
    """``fund_moment``: balance of a venue's fund in USD at ``RISK_MINUTES``."""
    left = ", ".join(f"('{venue}', {part!r})" for venue, part in _FUND_LEFT.items())
    con.execute(f"""
        create table fund_moment as
        select venue_id, venue, t, round(fund * case when t = {RISK_MINUTES[0]} then 1 else part end, 2) as usd
        from venue join (values {left}) l(venue, part) using (venue),
            (values {", ".join(f"({minute})" for minute in RISK_MINUTES)}) m(t);
    """)


def _tiers(con: duckdb.DuckDBPyConnection) -> None:
    """``tier_step``: the margin tiers of the book, for the same contracts; bounds and amount in USD, leverage whole."""
    con.execute(f"""
        create table tier_step as
        select x.*, number, f as floor_usd, cap as cap_usd, rate, amount, floor(0.5 / rate + 1e-9)::integer as leverage,
            b.o * x.scale as price
        from own_contract x
        join (
            select *, row_number() over (partition by hyperliquid, tier order by f) as number
            from (values {tier_rows()}) r(hyperliquid, tier, f, cap, rate, amount)
        ) r on r.tier = x.tier and r.hyperliquid = (x.venue = 'hyperliquid')
        join minute b on b.venue_id = x.venue_id and b.coin_id = x.coin_id and b.t = {TERMS_MINUTE};
    """)
