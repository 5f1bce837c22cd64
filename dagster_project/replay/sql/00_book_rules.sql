-- Rules that a whole book must keep. One block per rule: the marker line says table | needed tables | rule | remedy,
-- the query returns one row per offending key, in the column `key`. Every block is read-only and stands alone.

-- @rule contract | contract | two rows of one key (venue, contract) | keep one row per key
select venue || ' ' || contract as key from book_contract group by venue, contract having count(*) > 1;

-- @rule contract | contract | an inverse contract needs contract_value, USD per contract, > 0 | fill contract_value
select venue || ' ' || contract as key from book_contract
where contract_type = 'inverse' and coalesce(contract_value, 0) <= 0;

-- @rule contract | contract,margin_tier | no margin_tier row for the contract | add its tiers, the first with notional_floor 0
select c.venue || ' ' || c.contract as key
from book_contract as c
anti join book_margin_tier as t on c.venue = t.venue and c.contract = t.contract;

-- @rule contract | contract,depth | no depth row for the contract | add its depth
select c.venue || ' ' || c.contract as key
from book_contract as c
anti join book_depth as d on c.venue = d.venue and c.contract = d.contract;

-- @rule account | account | two rows of one key (account_id) | keep one row per key
select account_id as key from book_account group by account_id having count(*) > 1;

-- @rule collateral | collateral | two rows of one key (account_id, asset; per contract if isolated) | keep one row per key
select account_id || ' ' || asset as key from book_collateral
group by account_id, asset, contract
having count(*) > 1;

-- @rule collateral | collateral,account | collateral without account | add the account or drop the row
select k.account_id || ' ' || k.asset as key
from book_collateral as k
anti join book_account as a on k.account_id = a.account_id;

-- @rule collateral | collateral,account | a contract is named for an account that is not isolated | leave contract empty or set margin_mode isolated
select k.account_id || ' ' || k.asset as key
from book_collateral as k
inner join book_account as a on k.account_id = a.account_id
where k.contract is not null and a.margin_mode != 'isolated';

-- @rule collateral | collateral,account,contract | isolated collateral names a contract that its venue does not have | correct contract
select k.account_id || ' ' || k.contract as key
from book_collateral as k
inner join book_account as a on k.account_id = a.account_id
anti join book_contract as c on a.venue = c.venue and k.contract = c.contract
where k.contract is not null and a.margin_mode = 'isolated';

-- @rule collateral | collateral,account,position | isolated collateral without contract, where the account has several positions | name the contract it carries
with several as (
    select account_id from book_position where quantity != 0 group by account_id having count(*) > 1
)

select distinct k.account_id as key
from book_collateral as k
inner join book_account as a on k.account_id = a.account_id
inner join several as p on k.account_id = p.account_id
where k.contract is null and a.margin_mode = 'isolated' and a.kind != 'maker';

-- @rule collateral | collateral | an amount beyond 1e12 USD (amount * price) or, of a coin, beyond 9e10 | check the unit
select account_id || ' ' || asset as key from book_collateral
where abs(amount) * price > 1e12 or (price != 1 and abs(amount) > 9e10);

-- @rule collateral | collateral,account | an asset has several prices at one venue | give it one price
select a.venue || ' ' || k.asset as key
from book_collateral as k
inner join book_account as a on k.account_id = a.account_id
group by a.venue, k.asset
having min(k.price) != max(k.price);

-- @rule collateral | collateral,contract | the price of a base asset is more than 1 % off its index (index_price of its first contract by venue, contract) | correct price (USD a coin) or index_price
with firsts as (
    select base_asset, first(index_price order by venue, contract) as index_price from book_contract group by base_asset
)

select k.account_id || ' ' || k.asset as key
from book_collateral as k
inner join firsts as f on k.asset = f.base_asset
where f.index_price > 0 and not abs(k.price / f.index_price - 1) <= 0.01;

-- @rule position | position | two rows of one key (account_id, contract) | keep one row per key
select account_id || ' ' || contract as key from book_position group by account_id, contract having count(*) > 1;

-- @rule position | position,account | position without account | add the account or drop the position
select p.account_id || ' ' || p.contract as key
from book_position as p
anti join book_account as a on p.account_id = a.account_id;

-- @rule position | position,account | the position's venue is not its account's venue | correct venue
select p.account_id || ' ' || p.contract as key
from book_position as p
inner join book_account as a on p.account_id = a.account_id
where p.venue != a.venue;

-- @rule position | position,contract | position in a contract that its venue does not have | add the contract or correct the name
select p.account_id || ' ' || p.venue || ' ' || p.contract as key
from book_position as p
anti join book_contract as c on p.venue = c.venue and p.contract = c.contract;

-- @rule position | position,contract | quantity is not a multiple of the contract's lot_size | correct quantity or lot_size
select p.account_id || ' ' || p.contract as key
from book_position as p
inner join book_contract as c on p.venue = c.venue and p.contract = c.contract
where c.lot_size > 0
    and abs(p.quantity / c.lot_size - round(p.quantity / c.lot_size)) > 1e-6 + 1e-12 * abs(p.quantity / c.lot_size);

-- @rule position | position,contract | a position beyond 1e12 USD of notional (inverse: abs(quantity) * contract_value), 9e15 lots or, inverse, 9e10 coins | check the unit
select p.account_id || ' ' || p.contract as key
from book_position as p
inner join book_contract as c on p.venue = c.venue and p.contract = c.contract
where abs(p.quantity) > 9e15 * c.lot_size
    or case
        when c.contract_type = 'inverse'
            then abs(p.quantity) * c.contract_value > least(1e12, 9e10 * least(c.index_price, p.entry_price))
        else abs(p.quantity) * greatest(c.index_price, p.entry_price) > 1e12
    end;

-- @rule position | position,contract,account | quantities of a contract do not sum to 0 and its venue has no maker account | add a maker account to the venue or the missing side
with makers as (
    select venue from book_account where kind = 'maker'
)

select p.venue || ' ' || p.contract as key
from book_position as p
inner join book_contract as c on p.venue = c.venue and p.contract = c.contract
anti join makers as m on p.venue = m.venue
where c.lot_size > 0 and abs(p.quantity / c.lot_size) < 9e18
group by p.venue, p.contract, c.lot_size
having sum(round(p.quantity / c.lot_size)::hugeint) != 0;

-- @rule margin_tier | margin_tier | two rows of one key (venue, contract, notional_floor) | keep one row per key
select venue || ' ' || contract || ' ' || notional_floor as key from book_margin_tier
group by venue, contract, notional_floor
having count(*) > 1;

-- @rule margin_tier | margin_tier,contract | a tier of a contract that the book does not have | add the contract or drop the row
select distinct t.venue || ' ' || t.contract as key
from book_margin_tier as t
anti join book_contract as c on t.venue = c.venue and t.contract = c.contract;

-- @rule margin_tier | margin_tier | the first tier must start at notional_floor 0 | correct notional_floor
select venue || ' ' || contract as key from book_margin_tier group by venue, contract having min(notional_floor) != 0;

-- @rule margin_tier | margin_tier | notional_cap must be above notional_floor | correct the bounds
select venue || ' ' || contract || ' ' || notional_floor as key from book_margin_tier
where notional_cap <= notional_floor;

-- @rule margin_tier | margin_tier | notional_cap must be the next tier's notional_floor (only the top tier may leave it empty) | close the gap or overlap
select venue || ' ' || contract || ' ' || notional_floor as key
from (
    select
        *,
        lead(notional_floor) over (partition by venue, contract order by notional_floor) as next_floor
    from book_margin_tier
) as tiers
where next_floor is not null and notional_cap is distinct from next_floor;

-- @rule margin_tier | margin_tier | maintenance margin is not continuous at notional_floor (at floor 0 it must be 0) | correct maintenance_amount: floor * (rate - rate below) + amount below
select venue || ' ' || contract || ' ' || notional_floor as key
from (
    select
        *,
        notional_floor * maintenance_rate - maintenance_amount as margin_here,
        coalesce(
            notional_floor * lag(maintenance_rate) over below - lag(maintenance_amount) over below, 0
        ) as margin_below
    from book_margin_tier
    window below as (partition by venue, contract order by notional_floor)
) as tiers
where abs(margin_here - margin_below) > 1e-6 + 1e-9 * abs(notional_floor);

-- @rule depth | depth | two rows of one key (venue, contract) | keep one row per key
select venue || ' ' || contract as key from book_depth group by venue, contract having count(*) > 1;

-- @rule depth | depth,contract | depth of a contract that the book does not have | add the contract or drop the row
select d.venue || ' ' || d.contract as key
from book_depth as d
anti join book_contract as c on d.venue = c.venue and d.contract = c.contract;

-- @rule fund | fund | two rows of one key (venue, pool) | keep one row per key
select venue || ' ' || pool as key from book_fund group by venue, pool having count(*) > 1;

-- @rule fund | fund | two pools of one venue cover the same contract (or every contract) | keep one pool per contract and one for the rest
select venue || ' ' || coalesce(contract, '(every contract)') as key from book_fund
group by venue, contract
having count(*) > 1 and count(distinct pool) > 1;

-- @rule fund | fund,contract | fund of a venue or contract that the book does not have | correct venue or contract
select f.venue || ' ' || f.pool as key
from book_fund as f
anti join book_contract as c on f.venue = c.venue and (f.contract is null or f.contract = c.contract);

-- @rule index_weight | index_weight | two rows of one key (base_asset, venue) | keep one row per key
select base_asset || ' ' || venue as key from book_index_weight group by base_asset, venue having count(*) > 1;

-- @rule index_weight | index_weight | the weights of a base_asset do not sum to 1 | correct weight
select base_asset as key from book_index_weight group by base_asset having not abs(sum(weight) - 1) <= 1e-9;
