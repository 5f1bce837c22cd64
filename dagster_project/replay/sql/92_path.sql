-- Grain: one row per venue, contract and step: the state after the step's last round.
-- Units: prices in USD, displacement in natural log (book = index * exp(-displacement), so negative in a squeeze).
create or replace temp table stress_path as
with flows as (
    select
        contract_no,
        step,
        sum(reference_micro) filter (where kind in ('book', 'backstop', 'unfilled')) as liquidated_micro,
        sum(reference_micro) filter (where kind = 'adl') as adl_micro
    from replay_event
    where step >= 0 and contract_no is not null
    group by contract_no, step
),

beyond as (
    select contract_no, step, sum(beyond_micro) as beyond_micro, sum(inversions) as inversions
    from replay_adl_flow
    group by contract_no, step
)

select
    c.venue,
    c.contract,
    p.step,
    p.seconds,
    p.index_price,
    p.book_price,
    p.mark_price,
    p.move / 1e12 as index_log_move,
    (p.move - p.y) / 1e12 as book_log_move,
    p.y / 1e12 as displacement,
    p.depth_micro / 1e6 as depth,
    coalesce(sum(f.liquidated_micro) over up, 0) / 1e6 as liquidated_usd,
    coalesce(sum(f.adl_micro) over up, 0) / 1e6 as adl_usd,
    coalesce(sum(e.beyond_micro) over up, 0) / 1e6 as adl_overshoot_usd,
    coalesce(sum(e.inversions) over up, 0)::bigint as adl_inversions,
    coalesce(p.open_interest_micro, 0) / 1e6 as open_interest_usd
from replay_path as p
inner join replay_contract as c on p.contract_no = c.contract_no
left join flows as f on p.contract_no = f.contract_no and p.step = f.step
left join beyond as e on p.contract_no = e.contract_no and p.step = e.step
window up as (partition by p.contract_no order by p.step)
order by c.venue, c.contract, p.step;
