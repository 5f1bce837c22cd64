-- The start of a step: moves of the indices at this time, depth after what the last step did to it, displacement after decay.
-- Reads scenario_shock and scenario_own_book (log moves now), scenario_collateral_price and replay_clock; units as in 10_contract.sql.
create or replace temp table replay_step_start as
select
    b.contract_no,
    coalesce(m.y, 0) as y_end,
    b.move as move_before,
    b.move - coalesce(m.y, 0) as offset_end,
    round(
        coalesce(by_driver.log_move * c.beta, by_asset.log_move, by_tier.log_move, by_all.log_move, 0::double) * 1e12
    )::bigint
        as move
from replay_book as b
inner join replay_contract as c on b.contract_no = c.contract_no
left join replay_mark as m on b.contract_no = m.contract_no
left join scenario_shock as by_driver on by_driver.scope = 'driver'
left join scenario_shock as by_asset on by_asset.scope = 'name' and c.base_asset = by_asset.name
left join scenario_shock as by_tier on by_tier.scope = 'name' and c.tier = by_tier.name
left join scenario_shock as by_all on by_all.scope = 'all';

-- the volatility of the last step takes depth away, time brings it back, the floor always remains
update replay_book as b set
    move = t.move,
    y_base = if(k.step = 0, 0, round(t.y_end * exp(-s.decay_per_second * s.step_seconds))::bigint),
    sold_micro = 0,
    bought_micro = 0,
    depth_share = if(k.step = 0, 1, greatest(
        1 - (
            1
            - greatest(
                b.depth_share * exp(-s.depth_collapse * (abs(t.offset_end - b.previous_offset) / 1e12)), c.depth_floor
            )
        ) * exp(-c.recovery * s.step_seconds),
        c.depth_floor
    )),
    previous_offset = if(k.step = 0, 0, t.offset_end)
from replay_step_start as t, replay_contract as c, scenario_run as s, replay_clock as k
where b.contract_no = t.contract_no and b.contract_no = c.contract_no;

update replay_book as b set
    depth_micro = round(c.depth_usd * s.depth_multiplier * b.depth_share * 1e6)::hugeint
from replay_contract as c, scenario_run as s
where b.contract_no = c.contract_no;

update replay_composite as z set z = m.z
from (select distinct asset_no, z from replay_mark) as m
where z.asset_no = m.asset_no;
