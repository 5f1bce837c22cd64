-- Grain of replay_slice: one row per winner that is deleveraged in a contract: lots (signed, as closed), haircut in micro-USD.
-- side is that of the source: 1 where longs of a bankrupt account or a fund close against shorts that win.
-- The margin of the candidates (50_margin.sql over replay_wanted) has to be there.
-- @when replay_call
create or replace temp table replay_need as
select
    k.contract_no,
    k.side,
    any_value(k.adl_policy) as policy,
    sum(k.wanted)::hugeint as wanted,
    sum(k.needed)::hugeint as needed,
    sum(k.short)::hugeint as short
from replay_call as k
group by k.contract_no, k.side
having sum(k.wanted) > 0;

-- all candidates, also those that nothing is taken from
-- @when replay_need and replay_margin
create or replace temp table replay_winner as
with candidate as (
    select
        n.contract_no,
        n.side,
        n.policy,
        n.wanted,
        n.short,
        v.unit_no,
        abs(v.lots)::hugeint as held,
        v.basis,
        v.native,
        v.is_inverse,
        v.asset_no,
        if(v.is_inverse, coin_usd(v.native - v.basis, v.coin_price), v.native - v.basis)::hugeint as profit,
        greatest(1, abs(if(v.is_inverse, coin_usd(v.basis, v.coin_price), v.basis))) as basis_micro,
        greatest(1, m.equity) as equity,
        m.maintenance,
        if(m.equity <= 0, 1000, least(1000, m.notional / greatest(1, m.equity)))::double as leverage,
        s.adl_score
    from replay_need as n
    inner join replay_leg_value as v on n.contract_no = v.contract_no and sign(v.lots) = -n.side
    inner join replay_margin as m on v.unit_no = m.unit_no and m.kind = 'trader'
    inner join scenario_venue as s on m.venue = s.venue
),

eligible as (
    select
        *,
        case
            when policy = 'queue' then case adl_score
                    when 'profit_leverage' then profit / basis_micro * leverage
                    when 'binance' then (profit / equity) * (maintenance / equity)
                    when 'bitget' then profit / basis_micro * (maintenance / equity)
                    -- mark over entry for a long, its inverse for a short; an inverse contract's native value is one over the price
                    else if(
                            (side = -1) != is_inverse,
                            abs(native) / greatest(1, abs(basis)),
                            greatest(1, abs(basis)) / greatest(1, abs(native))
                        ) * leverage
                end
        end as queue_score,
        case policy
            when 'pro_rata' then held
            when 'capped_pro_rata' then profit
            when 'risk_aware' then held * round(1000 * leverage)::hugeint
        end as weight
    from candidate
    where profit >= 0 and profit * wanted >= short * held
),

totals as (
    select
        contract_no,
        side,
        sum(weight) as weight,
        sum(held) as held
    from eligible
    group by contract_no, side
),

limits as (
    -- capped_pro_rata stops where the first position would be used up
    select
        e.contract_no,
        e.side,
        t.weight,
        least(e.wanted, t.held) as possible,
        least(
            least(e.wanted, t.held),
            coalesce(
                min((e.held * t.weight) // e.weight) filter (where e.policy = 'capped_pro_rata' and e.weight > 0),
                least(e.wanted, t.held)
            )
        ) as first_lots
    from eligible as e
    inner join totals as t on e.contract_no = t.contract_no and e.side = t.side
    group by e.contract_no, e.side, e.wanted, t.weight, t.held
),

queued as (
    select
        e.*,
        greatest(0, least(e.held, e.wanted - coalesce(sum(e.held) over (
            partition by e.contract_no, e.side
            order by e.queue_score desc, e.unit_no asc
            rows between unbounded preceding and 1 preceding
        ), 0))) as lots
    from eligible as e
    where e.policy = 'queue'
),

quota as (
    select
        e.*,
        i.possible,
        i.first_lots,
        coalesce((i.first_lots * e.weight) // nullif(i.weight, 0), 0) as whole,
        coalesce((i.first_lots * e.weight) % nullif(i.weight, 0), 0) as remainder,
        i.weight as weights
    from eligible as e
    inner join limits as i on e.contract_no = i.contract_no and e.side = i.side
    where e.policy != 'queue'
),

first as (
    select
        *,
        least(held, whole + if(
            weights > 0
            and row_number() over (partition by contract_no, side order by remainder desc, unit_no asc)
            <= first_lots - sum(whole) over (partition by contract_no, side),
            1, 0
        )) as first_slice
    from quota
),

left_over as (
    select
        *,
        held - first_slice as rest,
        possible - sum(first_slice) over (partition by contract_no, side) as missing,
        sum(held - first_slice) over (partition by contract_no, side) as rests
    from first
),

second as (
    select
        *,
        coalesce((missing * rest) // nullif(rests, 0), 0) as more,
        coalesce((missing * rest) % nullif(rests, 0), 0) as more_remainder
    from left_over
),

shared as (
    select
        *,
        first_slice + more + if(
            missing > 0
            and row_number() over (partition by contract_no, side order by more_remainder desc, unit_no asc)
            <= missing - sum(more) over (partition by contract_no, side),
            1, 0
        ) as lots
    from second
)

select
    contract_no,
    side,
    policy,
    wanted,
    short,
    unit_no,
    held,
    basis,
    is_inverse,
    asset_no,
    profit,
    queue_score as score,
    lots
from queued
union all
select
    contract_no, side, policy, wanted, short, unit_no, held, basis, is_inverse, asset_no, profit, weight::double, lots
from shared;

-- @when replay_winner
create or replace temp table replay_slice as
with ranked as (
    select
        *,
        row_number() over (
            partition by contract_no, side
            order by if(policy = 'queue', score, lots::double) desc, unit_no
        ) as rank,
        sum(lots) over (partition by contract_no, side) as closed
    from replay_winner
),

summed as (
    select
        *,
        (short * closed) // wanted as collected,
        sum(lots) over (partition by contract_no, side order by rank) as upto
    from ranked
)

select
    s.contract_no,
    s.side,
    s.policy,
    s.unit_no,
    s.rank,
    s.score,
    s.held,
    s.basis,
    s.is_inverse,
    s.asset_no,
    s.closed::bigint as closed,
    s.collected::bigint as collected,
    (-s.side * s.lots)::bigint as lots,
    native_value(s.is_inverse, -s.side * s.lots, c.lot_size, c.contract_value, m.mark_price) as native,
    ((s.collected * s.upto) // s.closed - (s.collected * (s.upto - s.lots)) // s.closed)::bigint as haircut,
    basis_cut(s.basis, s.lots::bigint, s.held::bigint) as cut,
    c.lot_size,
    c.contract_value,
    m.mark_price,
    -- what the slice brings its owner over what it cost, after the haircut
    if(s.is_inverse, coin_usd(native - cut, q.price), native - cut) - haircut as gain,
    -- what is rounded is the smallest unit of the coin in which the contract settles
    if(s.is_inverse, q.price * 1e-2, 0::double) as coin_unit_micro
from summed as s
inner join replay_contract as c on s.contract_no = c.contract_no
inner join replay_mark as m on s.contract_no = m.contract_no
left join replay_coin_price as q on c.is_inverse and c.venue = q.venue and c.asset_no = q.asset_no
where s.lots > 0;

-- what is closed beyond what is missing, and winners that end below one who had less: by more than the haircut of two lots, which
-- rounding alone can do
-- @when replay_slice
insert into replay_adl_flow
with kept as (
    select
        w.contract_no,
        w.side,
        w.profit,
        coalesce(s.haircut, 0)::hugeint as haircut,
        w.profit - coalesce(s.haircut, 0)::hugeint as kept,
        max(s.closed) over (partition by w.contract_no, w.side) as closed,
        max(s.collected) over (partition by w.contract_no, w.side) as collected
    from replay_winner as w
    left join replay_slice as s on w.contract_no = s.contract_no and w.side = s.side and w.unit_no = s.unit_no
),

compared as (
    select
        *,
        max(kept) over (
            partition by contract_no, side
            order by profit range between unbounded preceding and current row exclude group
        ) - kept as gap
    from kept
),

overtaken as (
    select
        contract_no,
        side,
        any_value(closed) as closed,
        count(*) filter (where haircut > 0 and gap > 2 * ((collected + closed - 1) // closed)) as inversions,
        coalesce(sum(gap) filter (where haircut > 0 and gap > 2 * ((collected + closed - 1) // closed)), 0) as inverted
    from compared
    group by contract_no, side
)

select
    k.step,
    k.round,
    o.contract_no,
    o.side,
    reference_notional(greatest(0, o.closed - n.needed), c.lot_size, c.reference_price) as beyond_micro,
    o.inversions,
    o.inverted::bigint
from overtaken as o
inner join replay_need as n on o.contract_no = n.contract_no and o.side = n.side
inner join replay_contract as c on o.contract_no = c.contract_no
cross join replay_clock as k;

-- who gives the lots: funds in order, then the counterparty; the last one takes what rounding leaves
-- @when replay_slice
create or replace temp table replay_given as
with totals as (
    select contract_no, side, any_value(closed) as closed, sum(native)::bigint as native
    from replay_slice
    group by contract_no, side
),

ordered as (
    select
        k.*,
        t.closed,
        t.native as native_all,
        greatest(0, least(k.wanted, t.closed - coalesce(sum(k.wanted) over (
            partition by k.contract_no, k.side
            order by k.is_held desc, k.source_no asc, k.pool_no asc
            rows between unbounded preceding and 1 preceding
        ), 0)))::bigint as lots,
        row_number() over (
            partition by k.contract_no, k.side order by k.is_held desc, k.source_no asc, k.pool_no asc
        ) as place
    from replay_call as k
    inner join totals as t on k.contract_no = t.contract_no and k.side = t.side
),

priced as (
    select
        o.*,
        c.is_inverse,
        c.asset_no,
        native_value(c.is_inverse, o.side * o.lots, c.lot_size, c.contract_value, m.mark_price) as native,
        max(o.place) over (partition by o.contract_no, o.side) as last_place
    from ordered as o
    inner join replay_contract as c on o.contract_no = c.contract_no
    inner join replay_mark as m on o.contract_no = m.contract_no
    where o.lots > 0
)

select
    p.* exclude (native),
    if(
        p.place = p.last_place,
        -p.native_all - coalesce(sum(p.native) over (
            partition by p.contract_no, p.side order by p.place rows between unbounded preceding and 1 preceding
        ), 0)::bigint,
        p.native
    ) as native,
    if(p.is_held, basis_cut(l.basis, p.lots, abs(l.lots)), 0) as cut
from priced as p
left join replay_leg as l on p.source_no = l.unit_no and p.contract_no = l.contract_no;

-- what the haircuts bring each pool
-- @when replay_slice
create or replace temp table replay_collected as
with totals as (
    select contract_no, side, any_value(collected) as collected from replay_slice group by contract_no, side
),

pools as (
    select
        k.contract_no,
        k.side,
        k.pool_no,
        sum(k.short)::hugeint as short,
        any_value(t.collected)::hugeint as collected
    from replay_call as k
    inner join totals as t on k.contract_no = t.contract_no and k.side = t.side
    group by k.contract_no, k.side, k.pool_no
    having sum(k.short) > 0
),

shared as (
    select
        *,
        collected * short // sum(short) over (partition by contract_no, side) as share,
        row_number() over (partition by contract_no, side order by pool_no) as place
    from pools
)

select
    pool_no,
    contract_no,
    (share + if(place = 1, collected - sum(share) over (partition by contract_no, side), 0))::bigint as haircut
from shared;

-- @when replay_slice
insert into replay_delta_leg
select unit_no, contract_no, -lots, -cut from replay_slice
union all
select source_no, contract_no, -side * lots, -cut from replay_given;

-- @when replay_slice
insert into replay_delta_balance
select unit_no, if(is_inverse, asset_no, 0), native from replay_slice
union all
select unit_no, 0, -haircut from replay_slice
union all
select source_no, if(is_inverse, asset_no, 0), native from replay_given
union all
select u.unit_no, 0, k.haircut
from replay_collected as k
inner join replay_unit as u on u.kind = 'fund' and k.pool_no = u.pool_no;

-- what the funds realise; coins are sold to the outside at once
-- @when replay_given
create or replace temp table replay_given_up as
select
    u.pool_no,
    g.source_no,
    g.is_inverse,
    g.asset_no,
    g.native - g.cut as native,
    if(g.is_inverse, coin_usd(g.native - g.cut, p.price), g.native - g.cut) as usd
from replay_given as g
inner join replay_unit as u on g.source_no = u.unit_no and u.kind = 'fund'
left join replay_coin_price as p on g.is_inverse and u.venue = p.venue and g.asset_no = p.asset_no
where g.is_held;

-- @when replay_given_up
insert into replay_realised select pool_no, usd, false from replay_given_up;

-- @when replay_given_up
insert into replay_delta_balance
select source_no, asset_no, -native from replay_given_up where is_inverse
union all
select source_no, 0, usd from replay_given_up where is_inverse;

-- @when replay_given_up
insert into replay_outside
select asset_no, native from replay_given_up where is_inverse
union all
select 0, -usd from replay_given_up where is_inverse;

-- @when replay_slice
insert into replay_event by name
select
    k.step,
    k.round,
    'adl' as kind,
    s.unit_no,
    s.contract_no,
    s.lots,
    reference_notional(s.lots, c.lot_size, c.reference_price) as reference_micro,
    -- against the winner: a short pays more than the mark, a long gets less
    s.mark_price
    + s.side
    * s.haircut
    / 1e6
    / (abs(s.lots) * c.lot_size * if(c.is_inverse, c.contract_value / s.mark_price, 1)) as price,
    s.native,
    if(s.is_inverse, coin_usd(s.native, q.price), s.native) as usd,
    s.haircut,
    s.score,
    s.rank,
    s.policy
from replay_slice as s
inner join replay_contract as c on s.contract_no = c.contract_no
left join replay_coin_price as q on c.is_inverse and c.venue = q.venue and c.asset_no = q.asset_no
cross join replay_clock as k;
