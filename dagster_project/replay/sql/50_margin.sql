-- Grain of replay_leg_value: one row per leg of the units of replay_wanted, at the round's marks. Units: micro-USD; native in the
-- settle asset. Grain of replay_margin: one row per unit: equity (with and without the collateral's ratios), maintenance margin.
-- @when replay_wanted
create or replace temp table replay_leg_value as
with priced as (
    select
        l.unit_no,
        l.contract_no,
        l.lots,
        l.basis,
        q.is_inverse,
        q.asset_no,
        q.venue,
        native_value(q.is_inverse, l.lots, q.lot_size, q.contract_value, q.mark_price) as native,
        reference_notional(l.lots, q.lot_size, q.reference_price) as reference_micro,
        q.coin_price
    from replay_leg as l
    inner join replay_wanted as w on l.unit_no = w.unit_no
    inner join replay_quote as q on l.contract_no = q.contract_no
),

valued as (
    select
        *,
        if(is_inverse, coin_usd(native, coin_price), native) as value_micro,
        if(is_inverse, reference_micro, abs(native)) as notional_micro
    from priced
)

select
    v.*,
    greatest(0, round(v.notional_micro * t.rate - t.amount_micro)::bigint) as maintenance_micro
from valued as v
inner join replay_tier as t
    on v.contract_no = t.contract_no and v.notional_micro >= t.floor_micro and v.notional_micro < t.next_micro;

-- Grain of replay_worth: one row per unit with coins: what they are worth as margin and when they are sold.
-- @when replay_wanted and replay_coin_price
create or replace temp table replay_worth as
with coins as (
    select
        n.unit_no,
        n.asset_no,
        sum(n.amount)::bigint as net
    from (
        select k.unit_no, k.asset_no, k.amount
        from replay_coin as k
        inner join replay_wanted as w on k.unit_no = w.unit_no
        union all
        select unit_no, asset_no, native from replay_leg_value where is_inverse
    ) as n
    group by n.unit_no, n.asset_no
)

select
    k.unit_no,
    sum(round(if(k.net > 0, k.net * p.price * 1e-2 * p.ratio, k.net * p.price * 1e-2))::bigint) as margin_worth,
    sum(coin_usd(k.net, p.price)) as settle_worth
from coins as k
inner join replay_unit as u on k.unit_no = u.unit_no
inner join replay_coin_price as p on u.venue = p.venue and k.asset_no = p.asset_no
group by k.unit_no;

-- @when replay_wanted
create or replace temp table replay_margin as
with legs as (
    select
        unit_no,
        count(*) as legs,
        bool_or(is_inverse) as has_inverse,
        sum(if(is_inverse, 0, value_micro)) as linear_micro,
        sum(maintenance_micro)::bigint as maintenance,
        sum(notional_micro)::bigint as notional
    from replay_leg_value
    group by unit_no
)

select
    u.unit_no,
    u.kind,
    u.venue,
    coalesce(g.legs, 0) as legs,
    k.unit_no is not null as has_coins,
    (u.cash + coalesce(g.linear_micro, 0) + coalesce(k.margin_worth, 0))::bigint as equity,
    (u.cash + coalesce(g.linear_micro, 0) + coalesce(k.settle_worth, 0))::bigint as settle_equity,
    coalesce(g.maintenance, 0) as maintenance,
    coalesce(g.notional, 0) as notional
from replay_unit as u
inner join replay_wanted as w on u.unit_no = w.unit_no
left join legs as g on u.unit_no = g.unit_no
left join replay_worth as k on u.unit_no = k.unit_no;
