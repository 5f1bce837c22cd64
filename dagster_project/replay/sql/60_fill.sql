-- Grain of replay_execution: one row per contract and side with orders: what the book takes in this round and its one price.
-- Grain of replay_fill: one row per order with lots filled (signed as the position), with proceeds in the settle asset.
-- @when replay_order
create or replace temp table replay_execution as
with asked as (
    select
        o.contract_no,
        o.side,
        sum(reference_notional(o.lots, q.lot_size, q.reference_price))::hugeint as asked_micro
    from replay_order as o
    inner join replay_quote as q on o.contract_no = q.contract_no
    group by o.contract_no, o.side
),

room as (
    select
        a.*,
        c.law,
        c.coefficient,
        c.index_price,
        b.depth_micro,
        b.move - m.y as book_tick,
        if(a.side = 1, b.sold_micro, b.bought_micro) as before_micro,
        if(a.side = 1, m.sold_tick, m.bought_tick) as before_tick,
        if(
            isfinite(c.displacement_limit), greatest(0, c.displacement_limit::bigint - a.side * m.y), null
        ) as room_tick
    from asked as a
    inner join replay_contract as c on a.contract_no = c.contract_no
    inner join replay_book as b on a.contract_no = b.contract_no
    inner join replay_mark as m on a.contract_no = m.contract_no
)

select
    r.*,
    q.is_inverse,
    q.asset_no,
    q.lot_size,
    q.contract_value,
    q.reference_price,
    q.coin_price,
    s.fee_rate,
    place.maker_no,
    fund.fund_no,
    case
        when push_tick(r.law, r.depth_micro, r.coefficient, r.before_micro + r.asked_micro) - r.before_tick
            <= coalesce(r.room_tick, 9000000000000000000)
            then r.asked_micro
        when r.law = 'linear' then (r.room_tick::hugeint * r.depth_micro) // 1000000000000::hugeint
        else greatest(
                0,
                floor(
                    ((r.before_tick + r.room_tick) / 1e12 / r.coefficient)
                    * ((r.before_tick + r.room_tick) / 1e12 / r.coefficient)
                    * 1e6
                )::hugeint
                - r.before_micro
            )
    end as room_micro
from room as r
inner join replay_quote as q on r.contract_no = q.contract_no
inner join scenario_venue as s on q.venue = s.venue
inner join replay_place as place on q.venue = place.venue
inner join replay_contract_pool as fund on r.contract_no = fund.contract_no;

-- @when replay_execution
create or replace temp table replay_fill as
with filled as (
    select
        o.unit_no,
        o.contract_no,
        o.side,
        o.is_forced,
        o.is_partial,
        o.lots as asked,
        if(e.room_micro < e.asked_micro, ((o.lots * e.room_micro) // e.asked_micro)::bigint, o.lots) as got,
        reference_notional(got, e.lot_size, e.reference_price) as reference_micro
    from replay_order as o
    inner join replay_execution as e on o.contract_no = e.contract_no and o.side = e.side
),

taken as (
    select contract_no, side, sum(reference_micro)::hugeint as taken_micro from filled group by contract_no, side
),

-- one price for what a contract's book takes on one side
priced as (
    select
        e.*,
        push_tick(e.law, e.depth_micro, e.coefficient, e.before_micro + t.taken_micro) as after_tick,
        e.index_price * exp((e.book_tick + e.side * e.before_tick) / 1e12)
        * average_factor(e.law, e.side, e.before_tick / 1e12, after_tick / 1e12) as price
    from replay_execution as e
    inner join taken as t on e.contract_no = t.contract_no and e.side = t.side
),

valued as (
    select
        f.*,
        p.is_inverse,
        p.asset_no,
        p.price,
        p.fee_rate,
        p.maker_no,
        p.fund_no,
        native_value(p.is_inverse, f.side * f.got, p.lot_size, p.contract_value, p.price) as native,
        if(p.is_inverse, coin_usd(native, p.coin_price), native) as usd
    from filled as f
    inner join priced as p on f.contract_no = p.contract_no and f.side = p.side
    where f.got > 0
)

select
    f.* exclude (f.fee_rate),
    l.lots as held,
    l.basis,
    if(f.is_forced, round(f.fee_rate * abs(f.usd))::bigint, 0) as fee
from valued as f
inner join replay_leg as l on f.unit_no = l.unit_no and f.contract_no = l.contract_no;

-- @when replay_fill
insert into replay_delta_leg
select unit_no, contract_no, -side * got, -basis_cut(basis, got, abs(held)) from replay_fill
union all
select maker_no, contract_no, side * got, 0 from replay_fill;

-- @when replay_fill
insert into replay_delta_balance
select unit_no, if(is_inverse, asset_no, 0), native from replay_fill
union all
select maker_no, if(is_inverse, asset_no, 0), -native from replay_fill
union all
select unit_no, 0, -fee from replay_fill
union all
select fund_no, 0, fee from replay_fill;

-- @when replay_fill
update replay_book as b set
    sold_micro = b.sold_micro + f.sold,
    bought_micro = b.bought_micro + f.bought
from (
    select
        contract_no,
        coalesce(sum(reference_micro) filter (where side = 1), 0)::hugeint as sold,
        coalesce(sum(reference_micro) filter (where side = -1), 0)::hugeint as bought
    from replay_fill
    group by contract_no
) as f
where b.contract_no = f.contract_no;

-- @when replay_fill
update replay_unit as u set
    partial_closes = u.partial_closes + 1,
    last_partial_seconds = (select seconds from replay_clock)
from (select distinct unit_no from replay_fill where is_partial) as f
where u.unit_no = f.unit_no;

-- @when replay_fill
insert into replay_event by name
select
    k.step,
    k.round,
    if(f.is_forced, 'book', 'rehedge') as kind,
    f.unit_no,
    f.contract_no,
    f.side * f.got as lots,
    f.reference_micro,
    f.price,
    f.native,
    f.usd,
    f.fee
from replay_fill as f, replay_clock as k;
