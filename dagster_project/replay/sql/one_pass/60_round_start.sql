-- Rounds: what breaches together is sold together at one price. The first round ends at the last atom that the shock
-- alone reaches; a round that ends at atom i is followed by one that ends at the last atom which the notional up to i
-- reaches.
-- Grain of replay_jump: one row per liquidated atom, with the end of the round that would follow it.
-- Grain of replay_round_end: one row per contract and round end found so far (here: the first).
create or replace temp table replay_jump as
with reaches as (
    select
        a.contract_no,
        a.atom_no,
        reach_tick(d.law, d.shock_tick, d.depth_micro, d.coefficient, a.cumulative_micro) as reach
    from replay_atom as a
    inner join replay_driven as d on a.contract_no = d.contract_no
)

select
    r.contract_no,
    r.atom_no,
    a.atom_no as next_no
from reaches as r
asof join replay_atom as a on r.contract_no = a.contract_no and r.reach >= a.threshold_tick;

create or replace temp table replay_round_end as
select
    a.contract_no,
    max(a.atom_no) as atom_no
from replay_atom as a
inner join replay_driven as d on a.contract_no = d.contract_no
where a.threshold_tick <= d.shock_tick
group by a.contract_no;
