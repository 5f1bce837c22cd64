-- Grain of replay_mark: one row per contract: prices at the start of a round. Displacements y (book), z (composite of the asset)
-- and mark in ticks of 1e-12 log units, prices in USD; coin_price of an inverse contract: its base asset at the venue.
create or replace temp table replay_push as
select
    b.contract_no,
    push_tick(c.law, b.depth_micro, c.coefficient, b.sold_micro) as sold_tick,
    push_tick(c.law, b.depth_micro, c.coefficient, b.bought_micro) as bought_tick,
    b.y_base + sold_tick - bought_tick as y
from replay_book as b
inner join replay_contract as c on b.contract_no = c.contract_no;

create or replace temp table replay_mark as
with r as (
    select
        case
            when s.composite_lag_seconds = 0 then 0
            when k.step = 0 then 1
            else exp(-s.step_seconds / s.composite_lag_seconds)
        end::double as lag_keeps
    from scenario_run as s, replay_clock as k
),

t as (
    select w.asset_no, sum(w.weight * p.y order by w.venue) as target
    from replay_weight as w
    inner join replay_push as p on w.contract_no = p.contract_no
    group by w.asset_no
),

composite as (
    select
        z.asset_no,
        round(
            r.lag_keeps * z.z
            + (1 - r.lag_keeps) * coalesce(round(t.target), 0)
        )::bigint as z
    from replay_composite as z
    cross join r
    left join t on z.asset_no = t.asset_no
)

select
    c.contract_no,
    c.asset_no,
    c.venue,
    p.sold_tick,
    p.bought_tick,
    p.y,
    z.z,
    b.move - round(s.own_book_weight * p.y + (1 - s.own_book_weight) * z.z)::bigint as mark_tick,
    c.index_price * exp(b.move / 1e12) as index_now,
    c.index_price * exp((b.move - p.y) / 1e12) as book_price,
    c.index_price * exp(mark_tick / 1e12) as mark_price
from replay_contract as c
cross join scenario_run as s
inner join replay_book as b on c.contract_no = b.contract_no
inner join replay_push as p on c.contract_no = p.contract_no
inner join composite as z on c.asset_no = z.asset_no;

-- what collateral is worth: at its index, or as the venue's own book has it
-- @when replay_coin_price
update replay_coin_price as q set
    price = q.price_at_start * exp((
        case
            when v.price = 'own_book'
                then coalesce(
                        round(o.log_move * 1e12),
                        own_book.move - own_mark.y,
                        index_book.move,
                        round(a.log_move * 1e12),
                        0
                    )
            else coalesce(index_book.move, round(a.log_move * 1e12), 0)
        end
    ) / 1e12)
from replay_coin_price as h
inner join scenario_collateral_price as v on h.venue = v.venue
left join replay_book as index_book on h.index_contract_no = index_book.contract_no
left join replay_book as own_book on h.own_contract_no = own_book.contract_no
left join replay_mark as own_mark on h.own_contract_no = own_mark.contract_no
left join scenario_own_book as o on h.venue = o.venue and h.asset = o.asset
left join scenario_shock as a on a.scope = 'name' and h.asset = a.name
where q.venue = h.venue and q.asset_no = h.asset_no;

-- Grain of replay_quote: one row per contract: its terms and what it and the coin that it settles in are worth now, in one place,
-- since every phase values lots by them. coin_price: 0 where a contract settles in USD.
create or replace temp table replay_quote as
select
    c.contract_no,
    c.venue,
    c.asset_no,
    c.is_inverse,
    c.lot_size,
    c.contract_value,
    c.reference_price,
    m.mark_price,
    coalesce(p.price, 0::double) as coin_price
from replay_contract as c
inner join replay_mark as m on c.contract_no = m.contract_no
left join replay_coin_price as p on c.venue = p.venue and if(c.is_inverse, c.asset_no, null) = p.asset_no;
