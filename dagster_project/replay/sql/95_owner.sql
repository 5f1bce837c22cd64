-- Grain: one row per owner and base asset with a position before or after.
-- Units: USD. Deltas are reference notional (t0 index). equity_lost: value of the positions at the t0 index, less their value at the
-- last mark and what closing them brought, with fees and haircuts; what a pool paid for the owner counts against it.
-- hedged: the owner holds longs and shorts of the asset, over all accounts; maker: any leg belongs to a maker account.
create or replace temp table stress_owner as
with legs as (
    select
        coalesce(s.unit_no, l.unit_no) as unit_no,
        coalesce(s.contract_no, l.contract_no) as contract_no,
        coalesce(s.lots, 0) as lots_before,
        coalesce(l.lots, 0) as lots_after
    from replay_leg_start as s
    full join replay_leg as l on s.unit_no = l.unit_no and s.contract_no = l.contract_no
),

brought as (
    select
        unit_no,
        contract_no,
        sum(native)::bigint as native,
        sum(deficit - fee - haircut - gain)::hugeint as kept,
        bool_or(kind in ('book', 'backstop', 'unfilled')) as is_liquidated,
        bool_or(kind = 'adl') as is_deleveraged,
        arg_min(if(kind = 'adl', 'adl', 'liquidation'), step::bigint * 100000 + round)
        filter (where kind in ('book', 'backstop', 'unfilled', 'adl')) as first_lost_to
    from replay_event
    where step >= 0 and contract_no is not null
    group by unit_no, contract_no
),

-- the counterparty takes the other side of every fill and of what it gives in deleveraging
taken as (
    select place.maker_no as unit_no, v.contract_no, -sum(v.native)::bigint as native
    from replay_event as v
    inner join replay_contract as c on v.contract_no = c.contract_no
    inner join replay_place as place on c.venue = place.venue
    where v.step >= 0 and v.kind in ('book', 'rehedge')
    group by place.maker_no, v.contract_no
),

valued as (
    select
        u.owner_id,
        c.base_asset,
        c.asset_no,
        u.kind = 'maker' as is_maker,
        sign(g.lots_before) as side_before,
        sign(g.lots_before) * reference_notional(g.lots_before, c.lot_size, c.reference_price) as delta_before_micro,
        sign(g.lots_after) * reference_notional(g.lots_after, c.lot_size, c.reference_price) as delta_after_micro,
        if(
            c.is_inverse,
            coin_usd(
                native_value(true, g.lots_before, c.lot_size, c.contract_value, c.index_price)
                - native_value(true, g.lots_after, c.lot_size, c.contract_value, m.mark_price)
                - coalesce(b.native, 0) - coalesce(t.native, 0),
                q.price
            ),
            native_value(false, g.lots_before, c.lot_size, 0, c.index_price)
            - native_value(false, g.lots_after, c.lot_size, 0, m.mark_price)
            - coalesce(b.native, 0) - coalesce(t.native, 0)
        ) - coalesce(b.kept, 0) as lost_micro,
        b.first_lost_to
    from legs as g
    inner join replay_unit as u on g.unit_no = u.unit_no and u.kind != 'fund'
    inner join replay_contract as c on g.contract_no = c.contract_no
    inner join replay_mark as m on g.contract_no = m.contract_no
    left join brought as b on g.unit_no = b.unit_no and g.contract_no = b.contract_no
    left join taken as t on g.unit_no = t.unit_no and g.contract_no = t.contract_no
    left join replay_coin_price as q on c.is_inverse and c.venue = q.venue and c.asset_no = q.asset_no
),

late as (
    select u.owner_id, c.base_asset, count(*) as late
    from replay_transit as t
    inner join replay_unit as u on t.target_no = u.unit_no
    inner join replay_contract as c on t.contract_no = c.contract_no
    where t.is_late
    group by u.owner_id, c.base_asset
)

select
    v.owner_id,
    v.base_asset,
    sum(v.delta_before_micro) / 1e6 as delta_before_usd,
    sum(v.delta_after_micro) / 1e6 as delta_after_usd,
    coalesce(any_value(h.naked_micro_seconds), 0) / 1e6 as naked_usd_seconds,
    coalesce(any_value(h.naked_pnl_usd), 0) as naked_pnl_usd,
    case
        when bool_or(v.first_lost_to = 'liquidation') then 'liquidation'
        when bool_or(v.first_lost_to = 'adl') then 'adl'
    end as leg_lost_to,
    sum(v.lost_micro) / 1e6 as equity_lost_usd,
    case
        when bool_or(v.is_maker) then 'maker'
        when min(v.side_before) = -1 and max(v.side_before) = 1 then 'hedged'
        else 'directional'
    end as cohort,
    coalesce(any_value(l.late), 0) as transfers_late
from valued as v
left join replay_hedge as h on v.owner_id = h.owner_id and v.asset_no = h.asset_no
left join late as l on v.owner_id = l.owner_id and v.base_asset = l.base_asset
group by v.owner_id, v.base_asset
order by v.owner_id, v.base_asset;
