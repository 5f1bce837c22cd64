-- Grain: one row per contract and side that the shock alone puts into breach (more than one side is refused later).
-- Units: shock_tick and reach_limit_tick in ticks of 1e-12 log units in the direction that harms the side.
-- reach_limit_tick: the reach if the whole side went to the book; thresholds beyond it can never be reached.
create or replace temp table replay_driven as
select
    p.contract_no,
    p.side,
    -p.side * c.move_tick as shock_tick,
    c.law,
    c.depth_micro,
    c.coefficient,
    reach_tick(c.law, -p.side * c.move_tick, c.depth_micro, c.coefficient, sum(p.reference_micro)) as reach_limit_tick
from replay_position as p
inner join replay_contract as c on p.contract_no = c.contract_no
where p.threshold_tick is not null
group by p.contract_no, p.side, c.move_tick, c.law, c.depth_micro, c.coefficient
having min(p.threshold_tick) <= -p.side * c.move_tick;
