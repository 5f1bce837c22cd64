-- Grain: one row per contract and round.
-- Units: notional in micro-USD at the t0 index, displacement in log units, price in USD (the exact average along the
-- path that the round's flow pushed the book).
create or replace temp table replay_round as
with ends as (
    select
        e.contract_no,
        row_number() over by_distance as round_no,
        a.threshold_tick as last_tick,
        a.cumulative_micro,
        coalesce(lag(a.cumulative_micro) over by_distance, 0) as before_micro,
        coalesce(lag(a.threshold_tick) over by_distance, -9223372036854775807) as after_tick
    from replay_round_end as e
    inner join replay_atom as a on e.contract_no = a.contract_no and e.atom_no = a.atom_no
    window by_distance as (partition by e.contract_no order by e.atom_no)
),

displaced as (
    select
        e.*,
        d.side,
        c.law,
        c.index_price,
        c.log_move,
        displacement(c.law, c.depth_micro, c.coefficient, e.before_micro) as displacement_before,
        displacement(c.law, c.depth_micro, c.coefficient, e.cumulative_micro) as displacement_after
    from ends as e
    inner join replay_driven as d on e.contract_no = d.contract_no
    inner join replay_contract as c on e.contract_no = c.contract_no
)

select
    contract_no,
    side,
    round_no,
    after_tick,
    last_tick,
    cumulative_micro - before_micro as notional_micro,
    cumulative_micro,
    displacement_after,
    index_price * exp(log_move) * average_factor(law, side, displacement_before, displacement_after) as price
from displaced;
