"""The synthetic market behind the sample, as DuckDB SQL: prices, volume, open interest, liquidations, funding, depth.

Method. A day boundary ``k`` (0 = 1 January 2025 00:00 UTC) and a minute boundary ``t`` (0 = 10 October 00:00 UTC)
index time. Levels follow published key frames, noise comes from an integer hash of (stream, venue, coin, time) and
the seed, and every total is met by scaling integer weights, because an integer sum does not depend on the order in
which threads add. All prices are rounded to the decimals of the file before anything is derived from them. Money is
USD, quantities are in the unit of the venue's files (``instrument.multiplier`` base units).
"""

import duckdb

EVENT_DAY = 282
"""Index of 10 October 2025, counted from 1 January = 0; the two minute days are this one and the next."""

PRE_EVENT_MINUTE = 1250
"""20:50 UTC, the tariff announcement; prices and open interest of that moment are the pre-event reference."""

TOTAL_LIQUIDATED = 150e9
EVENT_LIQUIDATED = 19.13e9
PEAK_DAY_VOLUME = 748.3e9
ADL_TOTAL = 2_103_111_431.0

# fmt: off
# BTC at day boundaries, USD. 126.2 k on 6 October is a daily high, see _BTC_HIGH.
_BTC_DAYS = (
    (0, 93400), (6, 102000), (13, 94600), (19, 104600), (30, 104500), (55, 88600), (69, 79500), (83, 87300),
    (97, 77600), (112, 93500), (128, 103000), (141, 111000), (155, 101500), (172, 101000), (194, 119800),
    (211, 115500), (225, 122600), (243, 108300), (260, 116600), (270, 109400), (276, 122300), (278, 123500),
    (279, 124700), (280, 121500), (281, 123300), (282, 121700), (283, 113200), (284, 110900), (299, 114500),
    (310, 101500), (323, 91500), (325, 84700), (342, 90500), (352, 86500), (365, 87500),
)
_BTC_HIGH = (278, 126200.0)

# Open interest of all venues at day boundaries, billion USD (published: 87 in Q1, 235.9 on 7 October, 145.1 at end).
_OI_DAYS = (
    (0, 122), (20, 131), (35, 112), (69, 87.0), (97, 92), (130, 128), (155, 138), (194, 181), (225, 205), (243, 188),
    (262, 214), (270, 203), (276, 226), (279, 235.9), (280, 229), (281, 224), (282, 216.2), (284, 125.5), (300, 141),
    (323, 131), (345, 139), (364, 145.1), (365, 145.1),
)
_OI_PRE, _OI_POST, _OI_POST_MINUTE = 217e9, 123e9, 1350

# Fraction of a coin's fall reached before its trough (boundary 1281 = close of the bar 21:20), by tier.
_FALL = {
    "major": ((0, 0), (1250, 0), (1260, 0.12), (1270, 0.27), (1275, 0.40), (1276, 0.68), (1278, 0.84), (1281, 1),
              (2880, 1)),
    "mid": ((0, 0), (1250, 0), (1260, 0.07), (1270, 0.18), (1275, 0.32), (1276, 0.58), (1278, 0.78), (1281, 1),
            (2880, 1)),
    "tail": ((0, 0), (1250, 0), (1260, 0.05), (1270, 0.13), (1275, 0.26), (1276, 0.45), (1278, 0.70), (1281, 1),
             (2880, 1)),
}
# How much of the recovery is still to come after the trough: 1 at the trough, 0 at midnight.
_REBOUND = ((0, 1), (1281, 1), (1282, 0.72), (1284, 0.40), (1290, 0.22), (1305, 0.10), (1350, 0.04), (1440, 0),
            (2880, 0))
# Discount of the perpetual to its index, fraction of the venue's and tier's peak.
_DISCOUNT = (
    (0, 0), (1250, 0), (1265, 0.06), (1275, 0.25), (1276, 0.70), (1281, 1), (1284, 0.62), (1300, 0.25), (1350, 0.10),
    (1440, 0.02), (2880, 0),
)
_DISCOUNT_PEAK = {"major": 0.012, "mid": 0.035, "tail": 0.100}
# Volume per minute against a normal one.
_VOLUME = (
    (0, 0.8), (480, 0.7), (810, 1.5), (1000, 1.2), (1245, 1), (1250, 3), (1260, 4), (1274, 7), (1275, 34), (1276, 30),
    (1281, 26), (1290, 15), (1320, 7), (1380, 4), (1440, 2.4), (1560, 1.4), (2200, 1.0), (2880, 0.9),
)
# Exponent of the depth floor: 0 = normal depth, 1 = the tier's floor.
_THINNING = (
    (0, 0), (1250, 0), (1260, 0.12), (1270, 0.32), (1275, 1), (1281, 1), (1284, 0.75), (1300, 0.45), (1340, 0.30),
    (1440, 0.18), (2880, 0.05),
)
_DEPTH_FLOOR = {"major": 0.06, "mid": 0.035, "tail": 0.020}
# Progress of the move from pre-event to post-event open interest in base units.
_UNWIND = ((0, 0), (1250, 0), (1260, 0.03), (1275, 0.12), (1276, 0.30), (1290, 0.80), (1350, 1), (2880, 1))

# Share of a venue's 24 h liquidations per block of minutes: (block, first minute, last minute, all but Hyperliquid,
# Hyperliquid). Hyperliquid: 5.511 of 10.25 B in 21:15-21:26 (on-chain fills), nothing earlier; all venues together:
# 70 % between 20:50 and 21:30 (Amberdata's 6.93 of 9.89 B) and 25 % in the minute 21:15.
_BLOCKS = (
    (0, 1250, 1274, 0.14, 0.0),
    (1, 1275, 1275, 0.26, 0.24195),
    (2, 1276, 1286, 0.32, 5.511042925 / 10.25 - 0.24195),
    (3, 1287, 1289, 0.10, 0.05854),
    (4, 1290, 1349, 0.11, 0.25),
    (5, 1350, 2670, 0.07, 1 - 5.511042925 / 10.25 - 0.05854 - 0.25),
)

# fmt: on


def _values(rows: object) -> str:
    """Render tuples of numbers as a SQL VALUES list."""
    return ", ".join(str(tuple(r)) for r in rows)  # type: ignore[attr-defined]


def _interpolate(frames: tuple[tuple[float, float], ...], upto: int) -> str:
    """Return a query of (t, y) for t = 0..upto: piecewise linear through ``frames``."""
    return f"""
        select t, y0 + (y1 - y0) * (t - t0) / (t1 - t0) as y
        from (
            select t0::bigint as t0, y0::double as y0, lead(t0) over (order by t0) as t1, lead(y0)
                over (order by t0) as y1
            from (values {_values(frames)}) f(t0, y0)
        )
        join range({upto + 1}) r(t) on (t >= t0 and t < t1) or (t = t1 and t = {upto})
        where t1 is not null"""


def _macros(con: duckdb.DuckDBPyConnection, seed: int) -> None:
    """Define the pseudo-random macros.

    ``u`` is uniform on [0, 1), ``z`` has mean 0 and standard deviation 1 (three uniforms, so bounded by 3), both a pure
    function of (stream k, venue a, coin b, time c) and the seed; ``w`` turns a weight into an integer.
    """
    salt = (seed * 0x9E3779B97F4A7C15) % 2**62
    con.execute(f"""
        create macro h(k, a, b, c) as hash(xor(((k::bigint * 100 + a) * 100 + b) * 10000000 + c, {salt}::bigint));
        create macro u(k, a, b, c) as (h(k, a, b, c) >> 11)::double / 9007199254740992.0;
        create macro z_of(x) as (((x % 2097152) + ((x >> 21) % 2097152) + ((x >> 42) % 2097152))::double / 2097152
            - 1.5) * 2;
        create macro z(k, a, b, c) as z_of(h(k, a, b, c));
        create macro w(x) as (round((x) * 1000000))::bigint;
        create macro day_at(k) as timestamp '2025-01-01' + to_days(k::integer);
        create macro minute_at(t) as timestamp '2025-10-10' + to_minutes(t::bigint);
    """)


def _paths(con: duckdb.DuckDBPyConnection) -> None:
    """Create ``path_day`` (coin, day boundary) and ``path_minute`` (coin, minute boundary): log prices."""
    shapes = " union all ".join(
        f"select '{tier}' as tier, t, y from ({_interpolate(frames, 2880)})" for tier, frames in _FALL.items()
    )
    con.execute(f"""
        create table btc_day as select t as k, ln(y) as y from ({_interpolate(_BTC_DAYS, 365)});
        create table shape as
            select tier, s.t, s.y as progress, r.y as rebound, d.y as discount, v.y as volume, n.y as thinning,
                w.y as unwind
            from ({shapes}) s
            join ({_interpolate(_REBOUND, 2880)}) r using (t)
            join ({_interpolate(_DISCOUNT, 2880)}) d using (t)
            join ({_interpolate(_VOLUME, 2880)}) v using (t)
            join ({_interpolate(_THINNING, 2880)}) n using (t)
            join ({_interpolate(_UNWIND, 2880)}) w using (t);
        create table tier as select * from (values
            {", ".join(str((t, _DISCOUNT_PEAK[t], _DEPTH_FLOOR[t])) for t in _FALL)}) x(tier, discount_peak,
                depth_floor);

        -- Price anchors in logs: the fall of the last price is the published one, the index falls less by the discount.
        create table anchor as
            select coin_id, tier, daily_vol, daily_beta, ln(price_start) as y_start, ln(price_pre) as y_pre,
                ln(price_end) as y_end,
                ln(1 - trough_drop) + discount_peak as fall, remaining,
                ln(price_pre) - 0.0074 * daily_beta as y_open,
                ln(price_pre) + (ln(1 - trough_drop) + discount_peak) * remaining as y_midnight,
                case when coin_id = 0 then 0 else (h(9, 0, coin_id, 0) % 3)::integer - 1 end as lag
            from coin join tier using (tier);
        update anchor set y_open = ln(121700.0), y_midnight = ln(113200.0) where coin_id = 0;
        alter table anchor add column y_after double;
        update anchor set y_after = y_midnight - 0.0205 * (0.6 + 0.4 * daily_beta);

        create table path_day as
        with step as (
            select coin_id, k, case when k in (0, 284) then 0 else round(z(10, 0, coin_id, k) * 1e9)::bigint end as e,
                k >= 284 as late
            from anchor, range(366) r(k) where k <> 283
        ),
        walk as (
            select *, sum(e) over (partition by coin_id, late order by k)::double / 1e9 as s from step
        ),
        ends as (
            select coin_id, late, max_by(s, k) as s_end from walk group by all
        ),
        bridge as (
            select coin_id, k, late, case when late then (k - 284) / 81.0 else k / 282.0 end as x,
                s - s_end * case when late then (k - 284) / 81.0 else k / 282.0 end as noise
            from walk join ends using (coin_id, late)
        ),
        btc as (
            select b.k, b.y - case when b.k >= 284 then a.y_after + (a.y_end - a.y_after) * (b.k - 284) / 81.0
                else a.y_start + (a.y_open - a.y_start) * b.k / 282.0 end as detrended, b.y
            from btc_day b, anchor a where a.coin_id = 0
        )
        select coin_id, k, case
            when coin_id = 0 then btc.y + 0.004 * z(11, 0, 0, k) * (k not between 276 and 284)::integer
            when late then y_after + (y_end - y_after) * x + daily_beta * detrended + 0.5 * daily_vol * noise
            else y_start + (y_open - y_start) * x + daily_beta * detrended + 0.5 * daily_vol * noise end as y
        from bridge join anchor using (coin_id) join btc using (k);
        insert into path_day select coin_id, 283, y_midnight from anchor;

        create table path_minute as
        with step as (
            select coin_id, t, t >= 1440 as late,
                case when t in (0, 1440) then 0 else round(z(12, 0, coin_id, t) * 1e9)::bigint end as e
            from anchor, range(2881) r(t) where t <= {PRE_EVENT_MINUTE} or t >= 1440
        ),
        walk as (select *, sum(e) over (partition by coin_id, late order by t)::double / 1e9 as s from step),
        ends as (select coin_id, late, max_by(s, t) as s_end from walk group by all),
        bridge as (
            select coin_id, t, (s - s_end * case when late then (t - 1440) / 1440.0
                else t / {PRE_EVENT_MINUTE}.0 end) as noise
            from walk join ends using (coin_id, late)
        ),
        grid as materialized (
            select a.*, r.t, case when r.t between 1262 and 1400 then r.t - lag else r.t end as shape_t
            from anchor a, range(2881) r(t)
        )
        select g.coin_id, g.tier, g.t, case
            when g.t <= {PRE_EVENT_MINUTE} then
                y_open + (y_pre - y_open) * g.t / {PRE_EVENT_MINUTE}.0 + daily_vol / 60 * noise
            when g.t >= 1440 then y_midnight + (y_after - y_midnight) * (g.t - 1440) / 1440.0 + daily_vol / 32 * noise
            when g.t <= 1281 + lag then y_pre + fall * s.progress
            else y_midnight + (y_pre + fall - y_midnight) * s.rebound + daily_vol / 12 * z(13, 0, g.coin_id, g.t)
                * least(1, (1440 - g.t) / 20.0) * least(1, (g.t - 1281 - lag) / 4.0) end as y_index,
            s.discount * discount_peak as discount, s.volume, s.thinning
        from grid g
        join tier using (tier)
        join shape s on s.tier = g.tier and s.t = g.shape_t
        left join bridge b on b.coin_id = g.coin_id and b.t = g.t;
    """)


def _minutes(con: duckdb.DuckDBPyConnection) -> None:
    """Create ``index_minute`` (coin) and ``minute`` (venue, coin) bars of the two days, without volume yet."""
    con.execute("""
        create table index_minute as
        select p.coin_id, p.t, exp(p.y_index) as o, exp(q.y_index) as c,
            exp(greatest(p.y_index, q.y_index) + wick * u(14, 0, p.coin_id, p.t)) as hi,
            exp(least(p.y_index, q.y_index) - wick * u(15, 0, p.coin_id, p.t)) as lo
        from (select *, (0.00015 + 0.004 * discount) as wick from path_minute) p
        join path_minute q on q.coin_id = p.coin_id and q.t = p.t + 1;

        create table minute as
        with bar as (
            select i.venue_id, i.coin_id, p.t, i.multiplier as m, i.price_decimals as d,
                p.y_index - p.discount * basis_scale + 0.00008 * z(16, i.venue_id, i.coin_id, p.t) as y0,
                q.y_index - q.discount * basis_scale + 0.00008 * z(16, i.venue_id, i.coin_id, p.t + 1) as y1,
                h(17, i.venue_id, i.coin_id, p.t) as r, p.discount, p.volume
            from instrument i
            join venue using (venue_id)
            join path_minute p on p.coin_id = i.coin_id
            join path_minute q on q.coin_id = i.coin_id and q.t = p.t + 1
        )
        select venue_id, coin_id, t, t // 1440 as day, round(exp(y0) * m, d) as o, round(exp(y1) * m, d) as c,
            round(exp(greatest(y0, y1) + (0.0002 + 0.05 * discount) * ((r % 1024) / 1024.0)) * m, d) as hi,
            round(exp(least(y0, y1) - (0.0002 + 0.05 * discount) * (((r >> 10) % 1024) / 1024.0)) * m, d) as lo,
            w(volume * (0.6 + 0.8 * ((r >> 20) % 4096) / 4096.0)) as weight,
            ((r >> 32) % 4096) / 4096.0 as taker
        from bar;
    """)


def _volumes(con: duckdb.DuckDBPyConnection) -> None:
    """Create ``volume_day`` (venue, coin, day): USD, scaled to the venue's year and to the published peak day."""
    con.execute(f"""
        create table volume_day as
        with day as (
            select d.k, case when d.k = {EVENT_DAY} then 0 when d.k = {EVENT_DAY + 1} then 1.75
                when d.k = {EVENT_DAY + 2} then 1.35
                else least(1.95, (0.80 + 0.35 * d.k / 365) * exp(0.17 * z(20, 0, 0, d.k))
                    * (1 + 7 * abs(b.y - a.y)) * case when d.k % 7 in (3, 4) then 0.66 else 1 end) end as activity
            from range(365) d(k)
            join path_day a on a.coin_id = 0 and a.k = d.k
            join path_day b on b.coin_id = 0 and b.k = d.k + 1
        ),
        venue_day as (
            select venue_id, k, year_volume, w(case when k = {EVENT_DAY} then 0
                else 1000 * activity * exp(0.06 * z(21, venue_id, 0, k)) end) as x,
                year_volume / 85.70e12 * {PEAK_DAY_VOLUME!r} as peak
            from venue, day
        ),
        scaled as (
            select venue_id, k, case when k = {EVENT_DAY} then peak
                else (year_volume - peak) * x / sum(x) over (partition by venue_id)::double end as usd
            from venue_day
        ),
        split as (
            select venue_id, k, coin_id, usd,
                w(1000 * volume_weight * exp(0.22 * z(22, 0, coin_id, k) + 0.15 * z(23, venue_id, coin_id, 0)
                + 0.08 * z(24, venue_id, coin_id, k))) as x
            from scaled, coin
        )
        select venue_id, coin_id, k, usd * x / sum(x) over (partition by venue_id, k)::double as usd from split;

        create table candle_minute as
        with total as (select venue_id, coin_id, day, sum(weight)::double as weight_sum from minute group by all)
        select m.venue_id, m.coin_id, m.t, m.day, o, c, hi, lo, round(v.usd * weight / weight_sum, 2) as quote,
            round(v.usd * weight / weight_sum / ((o + c + hi + lo) / 4), quantity_decimals) as base,
            round(v.usd * weight / weight_sum / ((o + c + hi + lo) / 4) * (0.44 + 0.12 * taker),
                quantity_decimals) as taker_base,
            round(v.usd * weight / weight_sum * (0.44 + 0.12 * taker), 2) as taker_quote,
            1 + (v.usd * weight / weight_sum / 900)::bigint as trades
        from minute m
        join total using (venue_id, coin_id, day)
        join volume_day v on v.venue_id = m.venue_id and v.coin_id = m.coin_id and v.k = m.day + {EVENT_DAY}
        join instrument i on i.venue_id = m.venue_id and i.coin_id = m.coin_id;

        create table candle_day as
        with bar as (
            select i.venue_id, i.coin_id, a.k, multiplier as m, price_decimals as d, quantity_decimals as qd, v.usd,
                a.y + 0.00015 * z(25, i.venue_id, i.coin_id, a.k) as y0,
                    b.y + 0.00015 * z(25, i.venue_id, i.coin_id, a.k + 1) as y1,
                (0.002 + 0.55 * daily_vol * u(26, 0, i.coin_id, a.k))
                    * (0.97 + 0.06 * u(27, i.venue_id, i.coin_id, a.k)) as up,
                (0.002 + 0.55 * daily_vol * u(28, 0, i.coin_id, a.k))
                    * (0.97 + 0.06 * u(29, i.venue_id, i.coin_id, a.k)) as down,
                0.44 + 0.12 * u(30, i.venue_id, i.coin_id, a.k) as taker,
                ln({_BTC_HIGH[1]!r}) + 0.0003 * (u(31, i.venue_id, 0, 0) - 0.5) as btc_high
            from instrument i
            join coin using (coin_id)
            join path_day a on a.coin_id = i.coin_id
            join path_day b on b.coin_id = i.coin_id and b.k = a.k + 1
            join volume_day v on v.venue_id = i.venue_id and v.coin_id = i.coin_id and v.k = a.k
            where a.k not in ({EVENT_DAY}, {EVENT_DAY + 1})
        ),
        priced as (
            select *, round(exp(y0) * m, d) as o, round(exp(y1) * m, d) as c,
                -- The year's high is a published figure (6 October), so no other BTC bar may exceed 125.4 k.
                round(exp(case when coin_id <> 0 then greatest(y0, y1) + up when k = {_BTC_HIGH[0]} then btc_high
                    else greatest(y0, y1, least(greatest(y0, y1) + up, ln(125400.0))) end) * m, d) as hi,
                round(exp(least(y0, y1) - down) * m, d) as lo
            from bar
        )
        select venue_id, coin_id, k, o, c, hi, lo, round(usd, 2) as quote,
            round(usd / ((o + c + hi + lo) / 4), qd) as base,
            round(usd / ((o + c + hi + lo) / 4) * taker, qd) as taker_base, round(usd * taker, 2) as taker_quote,
            1 + (usd / 900)::bigint as trades
        from priced
        union all
        -- Sums of decimals, not of doubles: the day equals the printed minutes exactly, in any order of addition.
        select venue_id, coin_id, day + {EVENT_DAY}, arg_min(o, t), arg_max(c, t), max(hi), min(lo),
            sum(quote::decimal(18, 2))::double, sum(base::decimal(26, 4))::double,
                sum(taker_base::decimal(26, 4))::double,
            sum(taker_quote::decimal(18, 2))::double, sum(trades)::bigint
        from candle_minute group by venue_id, coin_id, day;
    """)


def _open_interest(con: duckdb.DuckDBPyConnection) -> None:
    """Create ``oi`` (venue, coin, timestamp, is_daily): one-sided open interest in base units and USD.

    Daily stamps are 00:00 UTC; 5-minute stamps cover the two days. 00:00 of 10 and 11 October
    come from the 5-minute rows.
    """
    con.execute(f"""
        create table oi_coin as
        with x as (
            select venue_id, coin_id, oi_pre, oi_post,
                w(1000 * oi_weight * exp(0.18 * z(40, venue_id, coin_id, 0))) as pre,
                w(1000 * oi_weight * exp(0.18 * z(40, venue_id, coin_id, 0) + 0.05 * z(41, venue_id, coin_id, 0))
                    * case tier when 'major' then 1.08 when 'mid' then 0.95 else 0.72 end) as post
            from venue, coin
        )
        select venue_id, coin_id, oi_pre * pre / sum(pre) over (partition by venue_id)::double as usd_pre,
            oi_post * post / sum(post) over (partition by venue_id)::double as usd_post,
            pre / sum(pre) over (partition by venue_id)::double as share_pre,
            post / sum(post) over (partition by venue_id)::double as share_post
        from x;

        create table oi_minute as
        with price as (
            select p.venue_id, p.coin_id, p.o as p_pre, q.o as p_post from minute p
                join minute q using (venue_id, coin_id)
            where p.t = {PRE_EVENT_MINUTE} and q.t = {_OI_POST_MINUTE}
        )
        select m.venue_id, m.coin_id, m.t,
            -- Log-linear in base units between the two published levels; before and after it drifts a little.
            exp(ln(usd_pre / p_pre) * (1 - unwind) + ln(usd_post / p_post) * unwind
                + 0.004 * (m.t - {PRE_EVENT_MINUTE}) / {PRE_EVENT_MINUTE}.0 * (m.t < {PRE_EVENT_MINUTE})::integer
                + 0.030 * (m.t - {_OI_POST_MINUTE}) / 1500.0 * (m.t > {_OI_POST_MINUTE})::integer
                + 0.006 * greatest(0, least(m.t - {_OI_POST_MINUTE}, 20)) / 20.0) as base, m.o as price
        from minute m
        join oi_coin using (venue_id, coin_id)
        join price using (venue_id, coin_id)
        join shape s on s.tier = 'major' and s.t = m.t
        where m.t % 5 = 0;

        create table oi as
        with level as (
            select t as k, y * 1e9 as usd, case when t <= 282 then 0 when t >= 284
                then greatest(0.0, (365 - t) / 81.0) else 1 end as after
            from ({_interpolate(_OI_DAYS, 365)}) where t < 365
        ),
        noisy as (
            select k, after, usd * exp(0.012 * z(42, 0, 0, k) * (k not in (0, 69, 364) and k not between 64 and 74
                and k not between 276 and 286)::integer)
                as usd from level
        ),
        venue_day as (
            select k, venue_id, after, usd,
                w(1e6 * exp(0.04 * z(43, venue_id, 0, k))
                    * (oi_pre / {_OI_PRE!r} * (1 - after) + oi_post / {_OI_POST!r} * after)) as x
            from noisy, venue
        ),
        coin_day as (
            select k, v.venue_id, coin_id, usd, x / sum(x) over (partition by k, coin_id)::double as venue_part,
                w(1e6 * (share_pre * (1 - after) + share_post * after) * exp(0.05 * z(44, 0, coin_id, k))) as y
            from venue_day v join oi_coin using (venue_id)
        ),
        stamp as (
            select venue_id, coin_id, k * 1440 as minute_of_year, true as is_daily,
                usd * venue_part * y / sum(y) over (partition by k, venue_id)::double as usd, d.o as price
            from coin_day join candle_day d using (venue_id, coin_id, k) where k not in ({EVENT_DAY}, {EVENT_DAY + 1})
            union all
            select venue_id, coin_id, {EVENT_DAY} * 1440 + t, t % 1440 = 0, base * price, price from oi_minute
        )
        select venue_id, coin_id, minute_of_year, is_daily, round(usd / price, quantity_decimals) as base,
            round(round(usd / price, quantity_decimals) * price, 2) as usd
        from stamp join instrument using (venue_id, coin_id);
    """)


def _liquidations(con: duckdb.DuckDBPyConnection) -> None:
    """Create ``liquidation`` (venue, coin, side, time): USD, one row per side and day, hour or minute."""
    blocks = ", ".join(str(b) for b in _BLOCKS)
    con.execute(f"""
        create table liquidation as
        with day as (
            select d.k, b.y - a.y as ret,
                w(1e6 * case when d.k = {EVENT_DAY} then 0.9 when d.k = {EVENT_DAY + 1} then 0.12 else
                exp(0.28 * z(50, 0, 0, d.k)) * (0.75 + 14 * abs(b.y - a.y)) * case when u(51, 0, 0, d.k) < 0.022
                    then 3.6 else 1 end end)
                as x
            from range(365) d(k)
            join path_day a on a.coin_id = 0 and a.k = d.k
            join path_day b on b.coin_id = 0 and b.k = d.k + 1
        ),
        level as (
            select k, {TOTAL_LIQUIDATED - EVENT_LIQUIDATED!r} * x / (sum(x) over ())::double as usd,
                1 / (1 + exp(22 * case when k >= {EVENT_DAY} and k <= {EVENT_DAY + 1} then 0 else ret end - 0.08
                    + 0.15 * z(52, 0, 0, k))) as long_share
            from day
        ),
        cell as (
            select k, venue_id, coin_id, usd, long_share, w(1000 * routine_share * (oi_weight + volume_weight)
                * case tier when 'major' then 0.8 when 'mid' then 1.5 else 2.0 end
                * exp(0.2 * z(53, venue_id, 0, k) + 0.3 * z(54, 0, coin_id, k) + 0.1 * z(55, venue_id, coin_id, k)))
                    as x
            from level, venue, coin
        ),
        routine as (
            select k, venue_id, coin_id, side, usd * x / sum(x) over (partition by k, side)::double
                * case when side = 0 then long_share else 1 - long_share end as usd
            from cell, (values (0), (1)) s(side)
        ),
        routine_time as (
            select k, 43200 + (u(56, 0, 0, k) * 36000)::bigint as second, 1 as parts from level
            where k not in ({EVENT_DAY}, {EVENT_DAY + 1})
            union all select {EVENT_DAY}, 1800 + 3600 * x, 20 from range(20) r(x)
            union all select {EVENT_DAY + 1}, 77400 + 3600 * x, 3 from range(3) r(x)
        ),
        block as (
            select block, t, case when h.hl then share_hl else share end as share, h.hl
            from (values {blocks}) b(block, t0, t1, share, share_hl), range(1250, 2671) r(t),
                (values (false), (true)) h(hl)
            where t between t0 and t1 and (block < 5 or t % 60 = 30)
        ),
        coin_event as (
            select coin_id, case base_asset when 'BTC' then 5.39 when 'ETH' then 4.45 when 'SOL' then 2.02 else
                (19.13 - 5.39 - 4.45 - 2.02) * event_weight / (select sum(event_weight::bigint) from coin)::double end
                    / 19.13 as share
            from coin
        ),
        event_cell as (
            select venue_id, c.coin_id, side, b.t, b.block, event_liquidated * c.share * b.share
                * case when side = 0 then event_long_share else 1 - event_long_share end as usd,
                -- Shorts fall due in the rebound, so their weight grows within a block; longs follow the volume.
                w(case when side = 0 then m.volume else 1 + 0.2 * (b.t - 1250) end
                    * exp(0.25 * z(57, venue_id, c.coin_id, b.t * 2 + side))) as x
            from venue
            cross join coin_event c
            cross join (values (0), (1)) s(side)
            join block b on b.hl = (venue = 'hyperliquid')
            join path_minute m on m.coin_id = c.coin_id and m.t = b.t
            where b.share > 0
        ),
        event as (
            select venue_id, coin_id, side, t, block,
                usd * x / sum(x) over (partition by venue_id, coin_id, side, block)::double as usd
            from event_cell
        ),
        merged as (
            select venue_id, coin_id, side,
                k * 86400000 + (second * 1000) + h(58, venue_id, coin_id, k * 2 + side) % 50000 as ms_of_year,
                usd / parts as usd, false as is_event
            from routine join routine_time using (k)
            union all
            select venue_id, coin_id, side, ({EVENT_DAY} * 1440 + t) * 60000
                + case when coin_id = 0 and side = 0 then 3000
                    else 3001 + h(59, venue_id, coin_id, t * 2 + side) % 56000 end,
                usd, true
            from event
        ),
        timed as (
            select m.*, ms_of_year // 86400000 as k, ms_of_year // 60000 - {EVENT_DAY} * 1440 as t from merged m
        )
        select t.venue_id, t.coin_id, t.side, t.ms_of_year, t.k, t.is_event, t.usd,
            round(coalesce((c.o + c.c) / 2, (d.o + d.c) / 2), price_decimals) as price
        from timed t
        join instrument i using (venue_id, coin_id)
        join candle_day d on d.venue_id = t.venue_id and d.coin_id = t.coin_id and d.k = t.k
        left join minute c on c.venue_id = t.venue_id and c.coin_id = t.coin_id and c.t = t.t;
    """)


def _funding_depth_adl(con: duckdb.DuckDBPyConnection) -> None:
    """Create ``funding`` (8 h; Hyperliquid 1 h), ``depth`` (side, band in percent) and ``adl`` (Hyperliquid)."""
    con.execute(f"""
        create table funding as
        with stamp as (
            select venue_id, venue, x as hour_of_year from venue, range(8760) r(x)
            where venue = 'hyperliquid' or x % 8 = 0
        )
        select s.venue_id, c.coin_id, hour_of_year, hour_of_year // 24 as k,
            round(least(0.0075, greatest(-0.0075,
                0.00009 * (1 + 0.45 * z(60, 0, c.coin_id, hour_of_year // 72) + 0.25
                    * z(61, 0, c.coin_id, hour_of_year // 8)
                    + 12 * (p.y - q.y) + 0.10 * z(62, s.venue_id, c.coin_id, hour_of_year // 8))
                - case when hour_of_year between {EVENT_DAY} * 24 + 22 and {EVENT_DAY} * 24 + 96 then
                    case tier when 'major' then 0.0004 when 'mid' then 0.0016 else 0.0042 end
                    * (0.6 + 0.8 * u(63, s.venue_id, c.coin_id, 0))
                        * exp(-(hour_of_year - {EVENT_DAY} * 24 - 22) / 14.0) else 0 end))
                / case when venue = 'hyperliquid' then 8 else 1 end, 8) as rate,
            d.o as mark_price
        from stamp s
        cross join coin c
        join path_day p on p.coin_id = 0 and p.k = hour_of_year // 24
        join path_day q on q.coin_id = 0 and q.k = greatest(0, hour_of_year // 24 - 7)
        join candle_day d on d.venue_id = s.venue_id and d.coin_id = c.coin_id and d.k = hour_of_year // 24;

        create table depth as
        with stamp as (select x as t from range(2880) r(x) where x % 5 = 0 or x between 1245 and 1340)
        select i.venue_id, i.coin_id, s.t, side, band, m.o as mid,
            -- BTC on Binance: 10 M USD a side within 1 %, so 20 M for the pair of sides (published: about 20 M).
            10e6 * power(volume_weight / 330, 0.62) * power(year_volume / 25.09e12, 0.7) * power(band, 0.75)
                * power(depth_floor * (0.8 + 0.4 * u(64, i.venue_id, i.coin_id, 0)), p.thinning * case
                    when side = 'bid' then 1 else 0.82 end)
                * exp(0.10 * z(65, i.venue_id, i.coin_id * 2 + (side = 'bid')::integer, s.t)
                    * (not (s.t = {PRE_EVENT_MINUTE} and i.coin_id = 0))::integer)
                as usd
        from instrument i
        join coin using (coin_id)
        join tier t on t.tier = i.tier
        join venue v on v.venue_id = i.venue_id
        cross join stamp s
        cross join (values ('bid'), ('ask')) x(side)
        cross join (values (1), (2), (3), (4), (5)) b(band)
        join path_minute p on p.coin_id = i.coin_id and p.t = s.t
        join minute m on m.venue_id = i.venue_id and m.coin_id = i.coin_id and m.t = s.t
        where band <= 2 or v.venue = 'binance';

        create table adl as
        with coins as (
            select coin_id, case when adl_musd > 0 then adl_musd * 1e6 else
                ({ADL_TOTAL!r} - (select sum((adl_musd * 10)::bigint) * 1e5 from coin)) * event_weight
                / (select sum(event_weight::bigint) filter (adl_musd = 0) from coin)::double end as usd
            from coin
        ),
        cell as (
            select coin_id, t, usd, w((1287 - t) * exp(0.5 * z(66, 9, coin_id, t))) as x from coins,
                range(1276, 1287) r(t)
        )
        select coin_id, ({EVENT_DAY} * 1440 + t) * 60000 + case when t = 1276 and coin_id = 0 then 4831
            when t = 1286 and coin_id = 0 then 57000 else 5000 + h(67, 9, coin_id, t) % 50000 end as ms_of_year,
            round(usd * x / sum(x) over (partition by coin_id)::double, 2) as usd
        from cell;
    """)


def build_market(con: duckdb.DuckDBPyConnection, seed: int) -> None:
    """Create every market table in ``con``; ``load_universe`` must have run.

    Args:
        con: Connection to an in-memory database.
        seed: Any integer; the same seed gives the same rows for every thread count.
    """
    _macros(con, seed)
    _paths(con)
    _minutes(con)
    _volumes(con)
    _open_interest(con)
    _liquidations(con)
    _funding_depth_adl(con)
