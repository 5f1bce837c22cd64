-- Grain of replay_leg: one row per unit and contract with lots; basis in units of the settle asset (micro-USD, of an inverse
-- contract 1e-8 coins). alarm: the mark tick at which a margined unit has to be looked at again (54_alarm.sql).
-- Grain of replay_coin: one row per unit and asset that is not cash.
create or replace temp table replay_leg as
with legs as (
    select
        u.unit_no,
        c.contract_no,
        round(p.quantity / c.lot_size)::bigint as lots,
        native_value(c.is_inverse, round(p.quantity / c.lot_size), c.lot_size, c.contract_value, p.entry_price) as basis
    from book_position as p
    inner join replay_contract as c on p.venue = c.venue and p.contract = c.contract
    inner join replay_unit as u on p.account_id = u.account_id and u.kind != 'fund'
    where round(p.quantity / c.lot_size) != 0 and (u.contract_no is null or u.contract_no = c.contract_no)
),

-- a contract whose lots do not sum to 0 is balanced at the index by the venue's counterparty
imbalance as (
    select contract_no, -sum(lots)::bigint as lots from legs group by contract_no having sum(lots) != 0
),

balanced as (
    select
        place.maker_no as unit_no,
        i.contract_no,
        i.lots,
        native_value(c.is_inverse, i.lots, c.lot_size, c.contract_value, c.index_price) as basis
    from imbalance as i
    inner join replay_contract as c on i.contract_no = c.contract_no
    inner join replay_place as place on c.venue = place.venue
)

select unit_no, contract_no, sum(lots)::bigint as lots, sum(basis)::bigint as basis, null::bigint as alarm
from (
    select * from legs
    union all
    select * from balanced
) as every_leg
group by unit_no, contract_no;

create or replace temp table replay_balanced as
select
    c.contract_no,
    -- what the counterparty took before the shock, signed, in micro-USD of reference notional
    sign(sums.lots) * reference_notional(sums.lots, c.lot_size, c.reference_price) as balanced_micro
from (
    select
        t.contract_no,
        -sum(round(p.quantity / t.lot_size)::bigint)::bigint as lots
    from book_position as p
    inner join replay_contract as t on p.venue = t.venue and p.contract = t.contract
    group by t.contract_no
) as sums
inner join replay_contract as c on sums.contract_no = c.contract_no;

-- collateral, less the entry value of the positions
create or replace temp view replay_collateral_input as
select
    u.unit_no,
    a.asset_no,
    k.amount,
    k.price,
    k.price = 1
    and not exists (select 1 from book_contract as b where b.base_asset = k.asset)
    and s.asset is null
    and not exists (select 1 from scenario_asset_path as p where p.asset = k.asset) as is_cash
from book_collateral as k
inner join replay_unit as u on k.account_id = u.account_id and u.kind != 'fund'
inner join replay_asset as a on k.asset = a.asset
left join replay_contract as c on u.contract_no = c.contract_no
left join scenario_collateral as s on u.venue = s.venue and k.asset = s.asset and (s.ratio < 1 or s.has_own_book)
where k.contract is null or u.contract_no is null or c.contract = k.contract;

update replay_unit set cash = replay_unit.cash + coalesce(k.cash, 0) - coalesce(l.basis, 0)
from replay_unit as u
left join (
    select unit_no, sum(round(amount * price * 1e6)::bigint) as cash
    from replay_collateral_input
    where is_cash
    group by unit_no
) as k on u.unit_no = k.unit_no
left join (
    select g.unit_no, sum(g.basis) as basis
    from replay_leg as g
    inner join replay_contract as c on g.contract_no = c.contract_no
    where not c.is_inverse
    group by g.unit_no
) as l on u.unit_no = l.unit_no
where replay_unit.unit_no = u.unit_no;

create or replace temp table replay_coin as
select unit_no, asset_no, sum(amount)::bigint as amount
from (
    select unit_no, asset_no, round(amount * 1e8)::bigint as amount from replay_collateral_input where not is_cash
    union all
    select g.unit_no, c.asset_no, -g.basis
    from replay_leg as g
    inner join replay_contract as c on g.contract_no = c.contract_no
    where c.is_inverse
) as parts
group by unit_no, asset_no;

-- Grain of replay_coin_price: one row per venue and asset that is held there; price in USD at t0 and now.
create or replace temp table replay_coin_price as
with first_contract as (
    select asset_no, min(contract_no) as contract_no, arg_min(index_price, contract_no) as index_price
    from replay_contract
    group by asset_no
),

own as (
    select venue, asset_no, min(contract_no) as contract_no
    from replay_contract
    where not is_inverse
    group by venue, asset_no
)

select
    h.venue,
    h.asset_no,
    coalesce(first_contract.index_price, h.price) as price_at_start,
    first_contract.contract_no as index_contract_no,
    own.contract_no as own_contract_no,
    coalesce(s.ratio, 1::double) as ratio,
    a.asset,
    0::double as price
from (
    select u.venue, k.asset_no, any_value(k.price) as price
    from replay_collateral_input as k
    inner join replay_unit as u on k.unit_no = u.unit_no
    where not k.is_cash
    group by u.venue, k.asset_no
    union
    select c.venue, c.asset_no, c.index_price
    from replay_contract as c
    anti join (
        select u.venue, k.asset_no
        from replay_collateral_input as k
        inner join replay_unit as u on k.unit_no = u.unit_no
        where not k.is_cash
    ) as held on c.venue = held.venue and c.asset_no = held.asset_no
    where c.is_inverse
) as h
inner join replay_asset as a on h.asset_no = a.asset_no
left join first_contract on h.asset_no = first_contract.asset_no
left join own on h.venue = own.venue and h.asset_no = own.asset_no
left join scenario_collateral as s on h.venue = s.venue and a.asset = s.asset;
