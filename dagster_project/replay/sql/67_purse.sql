-- Grain of replay_purse: one row per pool: wallet (cash and what its linear positions cost) after deficits, equity and maintenance
-- at the round's marks, what it was asked for in the round. Units: micro-USD. The margin of all funds has to be there.
create or replace temp table replay_purse as
with bases as (
    select unit_no, sum(basis) as basis
    from replay_leg_value
    where not is_inverse
    group by unit_no
),

d as (select pool_no, sum(deficit) as deficit from replay_deficit group by pool_no)

select
    u.unit_no as fund_no,
    u.pool_no,
    u.venue,
    (u.cash + coalesce(b.basis, 0))::bigint as wallet,
    m.settle_equity as equity,
    m.maintenance,
    m.legs,
    coalesce(d.deficit, 0)::bigint as deficit
from replay_unit as u
inner join replay_margin as m on u.unit_no = m.unit_no
left join bases as b on u.unit_no = b.unit_no
left join d on u.pool_no = d.pool_no
where u.kind = 'fund';
