"""The position book of the sample: 50,000 synthetic traders on ten venues at 10 October 2025 20:50 UTC.

The tables are those of ``docs/method_replay.md``. Open interest per venue-contract is that of the market tables, so
the published 217 B USD; who holds it, at which leverage and entry, the depth and all funds but Binance's are
assumptions.
Each trader has one isolated position; some 3,000 owners hold a long on one venue and the same short on another. One
maker account per venue holds the other side, so quantities add up to 0 in every contract.
"""

from pathlib import Path

import duckdb
import yaml

from dagster_project.sources.demo.files import write_parquet
from dagster_project.sources.demo.market import PRE_EVENT_MINUTE

TRADERS = 50_000

_STRATUM = 14
"""Traders that every venue-contract has at least (9 long, 5 short), so that no cell of the cross product is empty."""

_SHORT_SHARE = 0.55
"""Short notional of the directional traders against the longs'; the makers hold the rest."""

# fmt: off
_TIERS = {
    # tier: (notional floor USD, maintenance rate) as a venue of Binance's kind publishes them, simplified.
    "major": ((0, 0.004), (300_000, 0.005), (3_000_000, 0.0065), (12_000_000, 0.01), (70_000_000, 0.02),
              (250_000_000, 0.05)),
    "mid": ((0, 0.0065), (50_000, 0.01), (500_000, 0.015), (3_000_000, 0.025), (15_000_000, 0.05), (60_000_000, 0.10)),
    "tail": ((0, 0.01), (25_000, 0.015), (150_000, 0.02), (1_000_000, 0.05), (5_000_000, 0.10), (20_000_000, 0.125)),
}
_HYPERLIQUID_TIERS = {
    # Half of the initial margin at the maximum leverage: 40x, 20x, 10x, and half of that above the second floor.
    "major": ((0, 0.0125), (150_000_000, 0.025)),
    "mid": ((0, 0.025), (20_000_000, 0.05)),
    "tail": ((0, 0.05), (5_000_000, 0.10)),
}

_LEVERAGE = {
    # tier: cumulative shares of traders' notional by leverage (upper ends of the classes).
    "major": ((0.30, 1.5), (0.55, 2.0), (0.77, 3.0), (0.89, 5.0), (0.955, 10.0), (0.985, 20.0), (0.996, 50.0),
              (1.01, 100.0)),
    "mid": ((0.42, 1.5), (0.68, 2.0), (0.85, 3.0), (0.945, 5.0), (0.986, 10.0), (0.998, 20.0), (1.01, 50.0)),
    "tail": ((0.46, 1.5), (0.70, 2.0), (0.87, 3.0), (0.96, 5.0), (0.994, 10.0), (1.01, 20.0)),
}
# fmt: on

_DEPTH_PER_OI = {"major": 4.0, "mid": 1.4, "tail": 1.1}
"""USD per unit of log price and USD of open interest: resting orders plus the refill during the minutes of a cascade.
Resting depth alone (20 M USD within 1 % for BTC) is an order of magnitude less and would make every shock explosive."""


def tier_rows() -> str:
    """Return VALUES of (is_hyperliquid, tier, floor, cap, rate, amount), continuous at each floor."""
    rows = []
    for hyperliquid, tiers in ((False, _TIERS), (True, _HYPERLIQUID_TIERS)):
        for tier, brackets in tiers.items():
            amount = 0.0
            for i, (floor, rate) in enumerate(brackets):
                amount += floor * (rate - brackets[i - 1][1]) if i else 0.0
                cap = brackets[i + 1][0] if i + 1 < len(brackets) else 1_000_000_000_000
                rows.append((hyperliquid, tier, float(floor), float(cap), rate, round(amount, 2)))
    return ", ".join(f"({str(h).lower()}, '{t}', {f!r}, {c!r}, {r!r}, {a!r})" for h, t, f, c, r, a in rows)


def _leverage_case() -> str:
    """Return a CASE from ``tier`` and a uniform ``pick`` to the leverage class."""
    whens = " ".join(
        f"when tier = '{tier}' and pick < {upto} then {leverage}"
        for tier, classes in _LEVERAGE.items()
        for upto, leverage in classes
    )
    return f"case {whens} end"


def _build(con: duckdb.DuckDBPyConnection) -> None:
    """Create the tables ``book_*``; all quantities are integer lots until the export."""
    con.execute(f"""
        create table book_contract as
        select i.venue_id, i.coin_id, venue, venue_symbol as contract, i.base_asset, i.tier, price_decimals,
            quantity_decimals,
            power(10.0, -quantity_decimals) as lot_size,
                round(exp(p.y_index) * multiplier, price_decimals) as index_price,
            stress_beta as beta, usd_pre
        from instrument i
        join coin using (coin_id)
        join oi_coin using (venue_id, coin_id)
        join path_minute p on p.coin_id = i.coin_id and p.t = {PRE_EVENT_MINUTE};

        create table book_tier as
        select c.venue_id, c.coin_id, venue, contract, f as notional_floor, cap as notional_cap,
            rate as maintenance_rate,
            amount as maintenance_amount
        from book_contract c
        join (values {tier_rows()}) b(hyperliquid, tier, f, cap, rate, amount)
            on b.tier = c.tier and b.hyperliquid = (c.venue = 'hyperliquid');

        -- Traders per venue-contract: a stratum for each, the rest by open interest; the largest cell takes what
        -- rounding leaves.
        create table book_trader as
        with cell as (
            select venue_id, coin_id, usd_pre, {_STRATUM} + floor({TRADERS - 400 * _STRATUM}
                * w(usd_pre / 1e6)::double / (select sum(w(usd_pre / 1e6)) from book_contract)::double)::bigint as n,
                row_number() over (order by usd_pre desc, venue_id, coin_id) as place
            from book_contract
        ),
        filled as (
            select venue_id, coin_id, n + case when place = 1 then {TRADERS} - (select sum(n) from cell)::bigint
                else 0 end as n from cell
        ),
        numbered as (
            select venue_id, coin_id, i, i % 14 >= 9 as is_short,
                row_number() over (order by venue_id, coin_id, i) - 1 as account_number
            from filled, range(50000) r(i) where i < n
        ),
        drawn as (
            select n.*, c.* exclude (venue_id, coin_id), exp(1.1 * z(80, 0, 0, account_number)) as size,
                u(81, 0, 0, account_number) as pick, exp(0.22 * z(82, 0, 0, account_number)) as spread,
                z(83, 0, 0, account_number) as luck
            from numbered n join book_contract c using (venue_id, coin_id)
        ),
        sized as (
            select *, usd_pre * case when is_short then {_SHORT_SHARE} else 1 end * w(1000 * size)
                / sum(w(1000 * size)) over (partition by venue_id, coin_id, is_short)::double as usd,
                -- Large positions carry less leverage; Hyperliquid's maxima are those of its margin tiers.
                greatest(1.2, least({_leverage_case()} * spread * 0.93 * least(1, power(size / 2.5, -0.25)),
                    case when venue <> 'hyperliquid' then 100
                    when tier = 'major' then 36 when tier = 'mid' then 18 else 9 end)) as leverage
            from drawn
        )
        select *, (round(usd / index_price / lot_size))::bigint as lots from sized;

        -- A hedged owner: the short copies the long's quantity on another venue of the same asset, matched by order
        -- of size.
        create table book_position as
        with candidate as (
            select *, u(84, 0, 0, account_number) < 0.22 as is_picked from book_trader
        ),
        long as (
            select account_number, coin_id, venue_id, lots * lot_size * multiplier as base, row_number() over (
                partition by coin_id order by usd desc, account_number) as place
            from candidate join instrument using (venue_id, coin_id) where is_picked and not is_short
        ),
        short as (
            select account_number, coin_id, venue_id, lot_size * multiplier as lot_base, row_number() over (
                partition by coin_id order by usd desc, account_number) as place
            from candidate join instrument using (venue_id, coin_id) where is_picked and is_short
        ),
        pair as (
            select s.account_number, l.account_number as partner, round(l.base / s.lot_base)::bigint as hedge_lots
            from long l join short s using (coin_id, place) where l.venue_id <> s.venue_id
        )
        select t.venue_id, t.coin_id, venue, contract, account_number, is_short, leverage, luck, index_price, lot_size,
            price_decimals, coalesce(p.partner, account_number) as owner_number,
            greatest(1, coalesce(p.hedge_lots, t.lots)) * case when is_short then -1 else 1 end as lots
        from book_trader t left join pair p using (account_number);

        -- Equity at t0 is the notional over the leverage, but never near maintenance: nobody is in breach before a
        -- shock.
        create table book_margin as
        with position as (
            select *, abs(lots) * lot_size * index_price as notional from book_position
        ),
        required as (
            select p.*, notional * maintenance_rate - maintenance_amount as maintenance
            from position p join book_tier b on b.venue_id = p.venue_id and b.coin_id = p.coin_id
                and notional >= notional_floor and notional < notional_cap
        ),
        target as (
            select *, greatest(notional / leverage, 1.25 * maintenance + 0.003 * notional) as equity from required
        ),
        entered as (
            -- Past gains and losses stay below 60 % of the equity, so that collateral is positive.
            select *, round(index_price
                * exp(-sign(lots) * greatest(-0.6, least(0.6, 0.45 * luck)) * least(0.12, equity / notional)),
                price_decimals) as entry_price from target
        )
        select *, round(equity - lots * lot_size * (index_price - entry_price), 2) as amount from entered;

        create table book_maker as
        select venue_id, coin_id, venue, contract, index_price, lot_size, -sum(lots)::bigint as lots from book_position
        group by all;
    """)


_TABLES = {
    "contract": """
        select venue, contract, base_asset, 'linear' as contract_type, null::double as contract_value, tier, lot_size,
            index_price,
            beta from book_contract order by venue, contract""",
    "account": """
        select printf('%s-%05d', venue, account_number) as account_id, printf('owner-%05d', owner_number) as owner_id,
            venue,
            'trader' as kind, 'isolated' as margin_mode from book_position
        union all
        select distinct venue || '-maker', venue || '-maker', venue, 'maker', 'cross' from book_maker
        order by account_id""",
    "collateral": """
        select printf('%s-%05d', m.venue, account_number) as account_id, quote_asset as asset, amount,
            1.0::double as price, contract
        from book_margin m join venue using (venue_id)
        union all
        -- Makers are never margin-checked; half of their gross notional keeps their equity positive through any fall.
        select m.venue || '-maker', quote_asset,
            round(0.5 * sum(round(abs(lots) * lot_size * index_price)::hugeint)::double, 2), 1.0, null
        from book_maker m join venue using (venue_id) group by m.venue, quote_asset
        order by account_id""",
    "position": """
        select printf('%s-%05d', venue, account_number) as account_id, venue, contract,
            round(lots * lot_size, 4) as quantity, entry_price from book_margin
        union all
        select venue || '-maker', venue, contract, round(lots * lot_size, 4), index_price from book_maker
            where lots <> 0
        order by account_id, contract""",
    "margin_tier": """
        select venue, contract, notional_floor::double as notional_floor, notional_cap::double as notional_cap,
            maintenance_rate::double as maintenance_rate, maintenance_amount::double as maintenance_amount
                from book_tier
        order by venue, contract, notional_floor""",
    "depth": f"""
        select venue, contract, round(usd_pre * case tier when 'major' then {_DEPTH_PER_OI["major"]}
            when 'mid' then {_DEPTH_PER_OI["mid"]} else {_DEPTH_PER_OI["tail"]} end
            * exp(0.15 * z(85, venue_id, coin_id, 0)), 2) as depth, 0.004::double as recovery, 0.25::double as floor
        from book_contract order by venue, contract""",
    "fund": """
        select venue, venue || '-fund' as pool, null::varchar as contract, fund as balance,
            case when venue = 'hyperliquid' then 'vault' else 'cash_pool' end as mode from venue order by venue""",
    "index_weight": """
        with part as (
            select base_asset, venue, venue_id, round(w(usd_pre / 1e6)::double
                / sum(w(usd_pre / 1e6)) over (partition by base_asset)::double, 6) as x from book_contract
        )
        select base_asset, venue, case when venue_id = 0 then round(1 - (sum((x * 1000000)::bigint)
            filter (venue_id > 0) over (partition by base_asset))::double / 1e6, 6) else x end as weight
        from part order by base_asset, venue""",
}


def write_book(con: duckdb.DuckDBPyConnection, out: Path) -> int:
    """Write ``book/*.parquet`` and ``book/book.yaml`` and return the number of files."""
    _build(con)
    folder = out / "book"
    count = sum(write_parquet(con, folder / f"{name}.parquet", query) for name, query in _TABLES.items())
    text = {
        "source_class": "synthetic",
        "origin": "generated by dagster_project.sources.demo as of 2025-10-10 20:50 UTC; open interest per venue and in "
        "total as published for 10 October 2025, holders, leverage, depth and funds (except Binance's 1.23 B USD) assumed",
    }
    (folder / "book.yaml").write_text(yaml.safe_dump(text, sort_keys=False, width=120), encoding="utf-8", newline="\n")
    return count + 1
