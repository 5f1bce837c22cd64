-- The tables of the book, as dagster_project/replay/book.py has them.
-- Needs infer_contract, infer_position, infer_depth, infer_fund, infer_parameter, vault.
create or replace temp table made_contract as
select
    venue,
    contract,
    base_asset,
    contract_type,
    if(contract_type = 'inverse', cast(1 as double), null) as contract_value,
    tier,
    lot_size,
    index_price,
    beta
from infer_contract
order by venue, contract;

create or replace temp table made_account as
select account_id, owner_id, venue, 'trader' as kind, margin_mode from infer_position
union all
select distinct venue || ' maker', venue || ' maker', venue, 'maker', 'cross' from infer_contract
order by account_id;

create or replace temp table made_collateral as
select
    account_id,
    asset,
    margin as amount,
    asset_price as price,
    if(margin_mode = 'isolated', contract, null) as contract
from infer_position
order by account_id;

create or replace temp table made_position as
select account_id, venue, contract, quantity, entry_price from infer_position order by account_id;

create or replace temp table made_margin_tier as
select
    venue,
    contract,
    cast(0 as double) as notional_floor,
    cast(null as double) as notional_cap,
    maintenance_rate,
    cast(0 as double) as maintenance_amount
from infer_contract
order by venue, contract;

create or replace temp table made_depth as
select d.venue, d.contract, d.depth, p.recovery, p.floor
from infer_depth as d
cross join infer_parameter as p
order by d.venue, d.contract;

create or replace temp table made_fund as
select
    venue,
    coalesce(contract, 'shared') as pool,
    contract,
    balance,
    if(venue in (select v.venue from vault as v), 'vault', 'cash_pool') as mode
from infer_fund
order by venue, pool;

create or replace temp table made_index_weight as
select
    base_asset,
    venue,
    sum(open_interest_usd) / sum(sum(open_interest_usd)) over (partition by base_asset) as weight
from infer_contract
group by base_asset, venue
order by base_asset, venue;
