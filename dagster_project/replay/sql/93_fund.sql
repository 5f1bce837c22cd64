-- Grain: one row per venue, pool and step: the state after the step's last round.
-- Units: USD. balance is the wallet: cash and what the warehoused positions cost; warehoused is their notional at the mark.
-- paid: deficits and losses of closed inventory, less what deleveraging and socialising covered. received: fees, and what was
-- left of accounts taken over.
create or replace temp table stress_fund as
with flows as (
    select
        pool_no,
        step,
        sum(paid) as paid,
        sum(received) as received,
        sum(haircut) as haircut,
        sum(overshoot) as overshoot
    from (
        select
            pool_no,
            step,
            deficit + greatest(0, -realised) - haircut - socialised as paid,
            greatest(0, realised) as received,
            haircut,
            overshoot
        from replay_pool_flow
        union all
        select c.pool_no, v.step, 0, v.fee, 0, 0
        from replay_event as v
        inner join replay_contract_pool as c on v.contract_no = c.contract_no
        where v.kind = 'book'
        union all
        select u.pool_no, v.step, 0, v.gain, 0, 0
        from replay_event as v
        inner join replay_unit as u on v.unit_no = u.unit_no
        where v.kind in ('backstop', 'unfilled')
        union all
        select pool_no, step, greatest(0, -netted), greatest(0, netted), 0, 0 from replay_pool_flow
    ) as parts
    group by pool_no, step
)

select
    p.venue,
    p.pool,
    f.step,
    f.wallet / 1e6 as balance_usd,
    coalesce(w.paid, 0) / 1e6 as paid_usd,
    coalesce(w.received, 0) / 1e6 as received_usd,
    coalesce(w.haircut, 0) / 1e6 as adl_haircut_usd,
    coalesce(w.overshoot, 0) / 1e6 as adl_haircut_overshoot_usd,
    f.inventory_micro / 1e6 as warehoused_usd
from replay_fund_path as f
inner join replay_pool as p on f.pool_no = p.pool_no
left join flows as w on f.pool_no = w.pool_no and f.step = w.step
where p.pool != '(none)' or f.wallet != 0 or w.pool_no is not null
    or exists (select 1 from replay_contract_pool as c where c.pool_no = p.pool_no)
order by p.venue, p.pool, f.step;
