-- The end of a step: the path and the funds. replay_purse has to be as of now.
insert into replay_path
with o as (
    select contract_no, sum(lots)::bigint as lots
    from (
        select contract_no, greatest(lots, 0) as lots from replay_leg
        union all
        select contract_no, longs from replay_rest_lots
    ) as longs
    group by contract_no
)

select
    k.step,
    k.seconds,
    m.contract_no,
    b.move,
    m.y,
    m.mark_tick,
    m.index_now,
    m.book_price,
    m.mark_price,
    b.depth_micro,
    coalesce(reference_notional(o.lots, c.lot_size, c.reference_price), 0),
    k.round
from replay_mark as m
inner join replay_book as b on m.contract_no = b.contract_no
inner join replay_contract as c on m.contract_no = c.contract_no
left join o on m.contract_no = o.contract_no
cross join replay_clock as k;

insert into replay_fund_path
with v as (select unit_no, sum(notional_micro) as notional from replay_leg_value group by unit_no)

select
    k.step,
    p.pool_no,
    p.wallet,
    p.equity,
    coalesce(v.notional, 0),
    p.maintenance
from replay_purse as p
left join
    v
    on p.fund_no = v.unit_no
cross join replay_clock as k;

update replay_peak as k set peak = greatest(k.peak, p.equity) from replay_purse as p where k.pool_no = p.pool_no;
