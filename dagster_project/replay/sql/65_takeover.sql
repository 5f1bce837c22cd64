-- Takes over the units of replay_taken at the round's marks and settles units that are flat and owe. What a unit owes is its
-- venue's pool's from here on: the parts are in replay_deficit. is_held: the fund holds the lots, not the counterparty.
-- @when replay_margin
create or replace temp table replay_leaving as
select
    m.unit_no,
    t.stage,
    m.settle_equity,
    u.cash,
    fund.unit_no as fund_no,
    fund.pool_no
from replay_margin as m
inner join replay_unit as u on m.unit_no = u.unit_no
inner join replay_unit as fund on fund.kind = 'fund' and u.pool_no = fund.pool_no
left join replay_taken as t on m.unit_no = t.unit_no
where t.unit_no is not null or (u.kind = 'trader' and m.legs = 0 and m.settle_equity < 0);

-- shares of what is owed or left, by notional of the legs taken over, by reference notional of the fills of a flat unit
-- @when replay_leaving
create or replace temp table replay_part as
with parts as (
    select
        g.unit_no,
        g.pool_no,
        g.stage,
        g.settle_equity,
        v.contract_no,
        v.lots,
        v.notional_micro::hugeint as weight,
        true as is_held,
        v.native, v.value_micro, v.reference_micro
    from replay_leaving as g
    inner join replay_leg_value as v on g.unit_no = v.unit_no
    where g.stage is not null
    union all
    select
        g.unit_no, g.pool_no, g.stage, g.settle_equity, f.contract_no, f.side * f.got, f.reference_micro, false, 0, 0, 0
    from replay_leaving as g
    inner join replay_fill as f on g.unit_no = f.unit_no
    where g.stage is null
),

shared as (
    select
        *,
        row_number() over (partition by unit_no order by contract_no) as place,
        (abs(settle_equity)::hugeint * weight // sum(weight) over (partition by unit_no))::bigint as share
    from parts
)

select
    *,
    share + if(place = 1, abs(settle_equity) - (sum(share) over (partition by unit_no))::bigint, 0) as amount
from shared;

-- @when replay_part
insert into replay_deficit
select pool_no, unit_no, contract_no, lots, amount, is_held from replay_part where settle_equity < 0;

-- the fund's legs: what joins, what nets and what turns them
-- @when replay_leaving
create or replace temp table replay_joining as
with joining as (
    select
        g.fund_no,
        v.contract_no,
        sum(v.lots)::bigint as lots,
        sum(v.native)::bigint as native
    from replay_leaving as g
    inner join replay_leg_value as v on g.unit_no = v.unit_no
    where g.stage is not null
    group by g.fund_no, v.contract_no
)

select
    j.fund_no,
    j.contract_no,
    j.lots,
    j.native,
    c.is_inverse,
    case
        when j.lots = 0 then 0
        when coalesce(l.lots, 0) = 0 or sign(l.lots) = sign(j.lots) then j.native
        when abs(j.lots) <= abs(l.lots) then -basis_cut(l.basis, abs(j.lots), abs(l.lots))
        else native_value(c.is_inverse, l.lots + j.lots, c.lot_size, c.contract_value, m.mark_price) - l.basis
    end as basis
from joining as j
inner join replay_contract as c on j.contract_no = c.contract_no
inner join replay_mark as m on j.contract_no = m.contract_no
left join replay_leg as l on j.fund_no = l.unit_no and j.contract_no = l.contract_no;

-- what netting realises: coins are sold to the outside at once, so that a fund holds no coins but those that its legs stand for
-- @when replay_joining
create or replace temp table replay_netted as
select
    u.pool_no,
    j.fund_no,
    j.is_inverse,
    c.asset_no,
    j.basis - j.native as native,
    if(j.is_inverse, coin_usd(j.basis - j.native, p.price), j.basis - j.native) as usd
from replay_joining as j
inner join replay_unit as u on j.fund_no = u.unit_no
inner join replay_contract as c on j.contract_no = c.contract_no
left join replay_coin_price as p on c.is_inverse and c.venue = p.venue and c.asset_no = p.asset_no
where j.basis != j.native;

-- @when replay_netted
insert into replay_realised select pool_no, usd, true from replay_netted;

-- @when replay_netted
insert into replay_delta_balance
select fund_no, asset_no, -native from replay_netted where is_inverse
union all
select fund_no, 0, usd from replay_netted where is_inverse;

-- @when replay_netted
insert into replay_outside
select asset_no, native from replay_netted where is_inverse
union all
select 0, -usd from replay_netted where is_inverse;

-- @when replay_leaving
insert into replay_delta_leg
select v.unit_no, v.contract_no, -v.lots, -v.basis
from replay_leaving as g
inner join replay_leg_value as v on g.unit_no = v.unit_no
where g.stage is not null
union all
select fund_no, contract_no, lots, basis from replay_joining;

-- @when replay_leaving
insert into replay_delta_balance
select unit_no, 0, -cash from replay_leaving
union all
select k.unit_no, k.asset_no, -k.amount
from replay_leaving as g
inner join replay_coin as k on g.unit_no = k.unit_no
union all
select g.fund_no, 0, g.settle_equity from replay_leaving as g
union all
select g.fund_no, if(v.is_inverse, v.asset_no, 0), -v.native
from replay_leaving as g
inner join replay_leg_value as v on g.unit_no = v.unit_no
where g.stage is not null;

-- coins that nobody carries any more are sold to the outside at their price
-- @when replay_leaving
insert into replay_outside
with sold as (
    select n.unit_no, n.asset_no, sum(n.amount)::bigint as amount
    from (
        select k.unit_no, k.asset_no, k.amount
        from replay_leaving as g
        inner join replay_coin as k on g.unit_no = k.unit_no
        union all
        select v.unit_no, v.asset_no, v.native
        from replay_leaving as g
        inner join replay_leg_value as v on g.unit_no = v.unit_no
        where g.stage is not null and v.is_inverse
    ) as n
    group by n.unit_no, n.asset_no
)

select s.asset_no, s.amount from sold as s
union all
select 0, -coin_usd(s.amount, p.price)
from sold as s
inner join replay_unit as u on s.unit_no = u.unit_no
inner join replay_coin_price as p on u.venue = p.venue and s.asset_no = p.asset_no;

-- @when replay_part
insert into replay_event by name
select
    k.step,
    k.round,
    p.stage as kind,
    p.unit_no,
    p.contract_no,
    p.lots,
    p.reference_micro,
    m.mark_price as price,
    p.native,
    p.value_micro as usd,
    if(p.settle_equity < 0, p.amount, 0) as deficit,
    if(p.settle_equity > 0, p.amount, 0) as gain
from replay_part as p
inner join replay_mark as m on p.contract_no = m.contract_no
cross join replay_clock as k
where p.is_held;

-- @when replay_part
insert into replay_event by name
select
    k.step,
    k.round,
    'deficit' as kind,
    p.unit_no,
    p.contract_no,
    0 as lots,
    0 as reference_micro,
    p.amount as deficit
from replay_part as p
cross join replay_clock as k
where not p.is_held;
