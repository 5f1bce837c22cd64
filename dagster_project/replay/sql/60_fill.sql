-- Grain of replay_execution: one row per contract and side with orders: what the book takes in this round and its one price.
-- Grain of replay_fill: one row per order with lots filled (signed as the position), with proceeds in the settle asset.
create or replace temp table replay_execution as
with asked as (
    select
        o.contract_no,
        o.side,
        sum(reference_notional(o.lots, c.lot_size, c.reference_price))::hugeint as asked_micro
    from replay_order as o
    inner join replay_contract as c on o.contract_no = c.contract_no
    group by o.contract_no, o.side
),

room as (
    select
        a.*,
        c.law,
        c.coefficient,
        b.depth_micro,
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
    *,
    case
        when push_tick(law, depth_micro, coefficient, before_micro + asked_micro) - before_tick
            <= coalesce(room_tick, 9000000000000000000)
            then asked_micro
        when law = 'linear' then (room_tick::hugeint * depth_micro) // 1000000000000::hugeint
        else greatest(
                0,
                floor(
                    ((before_tick + room_tick) / 1e12 / coefficient)
                    * ((before_tick + room_tick) / 1e12 / coefficient)
                    * 1e6
                )::hugeint
                - before_micro
            )
    end as room_micro
from room;

create or replace temp table replay_fill as
with filled as (
    select
        o.*,
        o.lots as asked,
        if(e.room_micro < e.asked_micro, ((o.lots * e.room_micro) // e.asked_micro)::bigint, o.lots) as got
    from replay_order as o
    inner join replay_execution as e on o.contract_no = e.contract_no and o.side = e.side
),

priced as (
    select
        f.contract_no,
        f.side,
        c.index_price * exp((any_value(b.move) - any_value(m.y) + f.side * any_value(e.before_tick)) / 1e12)
        * average_factor(
            any_value(c.law),
            f.side,
            any_value(e.before_tick) / 1e12,
            push_tick(
                any_value(c.law),
                any_value(b.depth_micro),
                any_value(c.coefficient),
                any_value(e.before_micro) + sum(reference_notional(f.got, c.lot_size, c.reference_price))::hugeint
            ) / 1e12
        ) as price
    from filled as f
    inner join replay_contract as c on f.contract_no = c.contract_no
    inner join replay_book as b on f.contract_no = b.contract_no
    inner join replay_mark as m on f.contract_no = m.contract_no
    inner join replay_execution as e on f.contract_no = e.contract_no and f.side = e.side
    where f.got > 0
    group by f.contract_no, f.side, c.index_price
)

select
    f.unit_no,
    f.contract_no,
    f.side,
    f.is_forced,
    f.is_partial,
    f.asked,
    f.got,
    c.is_inverse,
    c.asset_no,
    p.price,
    l.lots as held,
    l.basis,
    reference_notional(f.got, c.lot_size, c.reference_price) as reference_micro,
    native_value(c.is_inverse, f.side * f.got, c.lot_size, c.contract_value, p.price) as native,
    if(
        c.is_inverse,
        coin_usd(native_value(c.is_inverse, f.side * f.got, c.lot_size, c.contract_value, p.price), q.price),
        native_value(c.is_inverse, f.side * f.got, c.lot_size, c.contract_value, p.price)
    ) as usd,
    if(f.is_forced, round(s.fee_rate * abs(if(
        c.is_inverse,
        coin_usd(native_value(c.is_inverse, f.side * f.got, c.lot_size, c.contract_value, p.price), q.price),
        native_value(c.is_inverse, f.side * f.got, c.lot_size, c.contract_value, p.price)
    )))::bigint, 0) as fee,
    place.maker_no,
    fund.fund_no
from filled as f
inner join priced as p on f.contract_no = p.contract_no and f.side = p.side
inner join replay_contract as c on f.contract_no = c.contract_no
inner join scenario_venue as s on c.venue = s.venue
inner join replay_place as place on c.venue = place.venue
inner join replay_contract_pool as fund on f.contract_no = fund.contract_no
inner join replay_leg as l on f.unit_no = l.unit_no and f.contract_no = l.contract_no
left join replay_coin_price as q on c.is_inverse and c.venue = q.venue and c.asset_no = q.asset_no
where f.got > 0;

insert into replay_delta_leg
select unit_no, contract_no, -side * got, -basis_cut(basis, got, abs(held)) from replay_fill
union all
select maker_no, contract_no, side * got, 0 from replay_fill;

insert into replay_delta_balance
select unit_no, if(is_inverse, asset_no, 0), native from replay_fill
union all
select maker_no, if(is_inverse, asset_no, 0), -native from replay_fill
union all
select unit_no, 0, -fee from replay_fill
union all
select fund_no, 0, fee from replay_fill;

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

update replay_unit as u set
    partial_closes = u.partial_closes + 1,
    last_partial_seconds = (select seconds from replay_clock)
from (select distinct unit_no from replay_fill where is_partial) as f
where u.unit_no = f.unit_no;

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
