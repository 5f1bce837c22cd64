-- Grain: one row per venue and contract of the book, numbered by (venue, contract).
-- Units: prices in USD, log moves in natural log units (and in ticks of 1e-12), depth in USD and micro-USD of
-- reference notional per unit of log price.
-- A shock names a path per asset, per tier or for all (the nearest one wins), or one driver times each beta.
create or replace temp table replay_contract as
with moved as (
    select
        c.venue,
        c.contract,
        c.base_asset,
        c.tier,
        c.lot_size,
        c.index_price,
        coalesce(
            by_driver.log_move * c.beta, by_asset.log_move, by_tier.log_move, by_all.log_move, 0::double
        ) as log_move,
        d.depth * s.depth_multiplier as depth_usd,
        s.law,
        s.coefficient,
        v.fee_rate
    from book_contract as c
    cross join scenario_run as s
    inner join book_depth as d on c.venue = d.venue and c.contract = d.contract
    inner join scenario_venue as v on c.venue = v.venue
    left join scenario_shock as by_driver on by_driver.scope = 'driver'
    left join scenario_shock as by_asset on by_asset.scope = 'name' and c.base_asset = by_asset.name
    left join scenario_shock as by_tier on by_tier.scope = 'name' and c.tier = by_tier.name
    left join scenario_shock as by_all on by_all.scope = 'all'
)

select
    row_number() over (order by venue, contract)::integer as contract_no,
    *,
    round(log_move * 1e12)::bigint as move_tick,
    round(depth_usd * 1e6)::hugeint as depth_micro
from moved;
