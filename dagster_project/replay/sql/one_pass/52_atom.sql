-- Grain: one row per contract and distinct threshold that is liquidated (an atom: equal thresholds fall together),
-- numbered in the order of distance.
-- Units: ticks of 1e-12 log units; notional in integer micro-USD at the t0 index.
create or replace temp table replay_atom as
with atoms as (
    select
        d.contract_no,
        p.threshold_tick,
        sum(p.reference_micro) as notional_micro
    from replay_position as p
    inner join replay_driven as d on p.contract_no = d.contract_no and p.side = d.side
    inner join replay_stop as s on p.contract_no = s.contract_no and p.threshold_tick < s.stop_tick
    group by d.contract_no, p.threshold_tick
)

select
    contract_no,
    threshold_tick,
    notional_micro,
    row_number() over by_distance as atom_no,
    sum(notional_micro) over by_distance as cumulative_micro
from atoms
window by_distance as (partition by contract_no order by threshold_tick rows unbounded preceding);
