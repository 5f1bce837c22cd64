-- Grain of replay_contract: one row per venue and contract of the book, numbered by (venue, contract).
-- Units: prices in USD; reference_price makes reference notional of lots: the t0 index, of an inverse contract its value.
-- coefficient: k of the square-root law, given or y * sigma / sqrt(adv_usd) of the nearest scope (asset, tier, all).
create or replace temp table replay_asset as
select row_number() over (order by asset)::integer as asset_no, asset
from (
    select base_asset as asset from book_contract
    union
    select asset from book_collateral
) as assets;

create or replace temp table replay_contract as
select
    row_number() over (order by c.venue, c.contract)::integer as contract_no,
    c.venue,
    c.contract,
    c.base_asset,
    a.asset_no,
    c.tier,
    c.contract_type = 'inverse' as is_inverse,
    c.lot_size,
    c.index_price,
    coalesce(c.contract_value, 0::double) as contract_value,
    if(c.contract_type = 'inverse', c.contract_value, c.index_price) as reference_price,
    c.beta,
    d.depth as depth_usd,
    coalesce(s.depth_recovery, d.recovery) as recovery,
    coalesce(s.depth_floor, d.floor) as depth_floor,
    s.law,
    coalesce(
        s.coefficient,
        s.y * coalesce(by_asset.sigma, by_tier.sigma, by_all.sigma)
        / sqrt(coalesce(by_asset.adv_usd, by_tier.adv_usd, by_all.adv_usd))
    ) as coefficient,
    round(least(coalesce(s.max_displacement, 'infinity'::double), coalesce(v.price_band, 'infinity'::double)) * 1e12)
        as displacement_limit
from book_contract as c
cross join scenario_run as s
inner join replay_asset as a on c.base_asset = a.asset
inner join book_depth as d on c.venue = d.venue and c.contract = d.contract
inner join scenario_venue as v on c.venue = v.venue
left join scenario_market as by_asset on by_asset.scope = 'name' and c.base_asset = by_asset.name
left join scenario_market as by_tier on by_tier.scope = 'name' and c.tier = by_tier.name
left join scenario_market as by_all on by_all.scope = 'all';

-- Grain of replay_tier: one row per contract and margin tier. Bounds and amount in micro-USD; the last tier has no end.
create or replace temp table replay_tier as
select
    c.contract_no,
    t.notional_floor * 1e6 as floor_micro,
    coalesce(
        lead(t.notional_floor) over (partition by c.contract_no order by t.notional_floor) * 1e6, 'infinity'::double
    ) as next_micro,
    t.maintenance_rate as rate,
    t.maintenance_amount * 1e6 as amount_micro
from book_margin_tier as t
inner join replay_contract as c on t.venue = c.venue and t.contract = c.contract;

-- Grain of replay_weight: one row per asset and venue of the composite index that trades the asset: its first contract there.
create or replace temp table replay_weight as
with c as (
    select base_asset, venue, asset_no, min(contract_no) as contract_no
    from replay_contract
    group by base_asset, venue, asset_no
)

select c.asset_no, c.contract_no, c.venue, w.weight
from book_index_weight as w
inner join c on w.base_asset = c.base_asset and w.venue = c.venue;

-- Grain of replay_book: one row per contract: its order book over time. Displacements and moves in ticks, forced flow of the
-- step in micro-USD of reference notional, depth as a share of that at t0 and in micro-USD per unit of log price.
create or replace temp table replay_book as
select
    contract_no,
    0::bigint as move,
    0::bigint as y_base,
    0::hugeint as sold_micro,
    0::hugeint as bought_micro,
    1::double as depth_share,
    0::hugeint as depth_micro,
    0::bigint as previous_offset,
    '-infinity'::double as halted_until
from replay_contract;

-- Grain of replay_composite: one row per base asset; the composite's displacement at the end of the step before, in ticks.
create or replace temp table replay_composite as
select distinct asset_no, 0::bigint as z from replay_contract;
