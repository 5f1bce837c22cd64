-- Grain of replay_branching: one row per base asset and venue: rho, the forced notional of the book per unit of the mark's move,
-- over the depth, as a secant over the whole run (0 where nothing was forced); theta: weight of the composite in the mark.
-- Grain of replay_radius: one row per base asset: spectral radius of K_vu = ((1 - theta) [v = u] + theta w_u) rho_u, the root
-- of theta sum w_u rho_u / (x - (1 - theta) rho_u) = 1 above (1 - theta) max rho, by bisection.
create or replace temp table replay_branching as
with forced as (
    select contract_no, sum(reference_micro) as reference_micro
    from replay_event
    where kind = 'book'
    group by contract_no
),

reach as (
    select contract_no, max(abs(mark_tick)) / 1e12 as reach, min(depth_micro) as depth_micro
    from replay_path
    group by contract_no
)

select
    c.asset_no,
    c.venue,
    coalesce(any_value(w.weight), 0) as weight,
    coalesce(sum(f.reference_micro / nullif(r.reach * r.depth_micro, 0) order by c.contract_no), 0) as rho,
    1 - any_value(s.own_book_weight) as theta
from replay_contract as c
cross join scenario_run as s
inner join reach as r on c.contract_no = r.contract_no
left join forced as f on c.contract_no = f.contract_no
left join replay_weight as w on c.asset_no = w.asset_no and c.venue = w.venue
group by c.asset_no, c.venue;

create or replace temp table replay_radius as
with recursive bracket as (
    select asset_no, max((1 - theta) * rho) as low, max(rho) as high, 0 as turn
    from replay_branching
    group by asset_no
    union all
    select
        b.asset_no,
        if(
            any_value(b.theta)
            * sum(b.weight * b.rho / nullif((k.low + k.high) / 2 - (1 - b.theta) * b.rho, 0) order by b.venue)
            >= 1,
            (k.low + k.high) / 2, k.low
        ),
        if(
            any_value(b.theta)
            * sum(b.weight * b.rho / nullif((k.low + k.high) / 2 - (1 - b.theta) * b.rho, 0) order by b.venue)
            >= 1,
            k.high, (k.low + k.high) / 2
        ),
        k.turn + 1
    from bracket as k
    inner join replay_branching as b on k.asset_no = b.asset_no
    where k.turn < 60
    group by b.asset_no, k.low, k.high, k.turn
)

select asset_no, (low + high) / 2 as radius from bracket where turn = 60;
