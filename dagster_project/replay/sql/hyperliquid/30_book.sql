-- The tables of the book, as dagster_project/replay/book.py has them.
-- Needs hl_record, hl_leg, hl_price, hl_tier, hl_parameter, tier_parameter, tier_asset, asset_beta, vault, fund_address,
-- depth_given.
-- The balance of an account is its raw USD plus what its positions cost, so that equity at the marks of the snapshot is
-- the account value: raw + sum(quantity * mark) = balance + sum(quantity * (mark - entry)).
create or replace temp table hl_account as
select
    r.record_no,
    r.address,
    r.account_value,
    r.cross_raw_usd + r.cross_entry_usd as cross_balance,
    r.address in (select v.address from vault as v) as is_vault
from hl_record as r
where r.reason is null and r.positions > 0 and r.address not in (select f.address from fund_address as f);

create or replace temp table hl_held as
select
    a.address,
    a.is_vault,
    l.contract,
    l.quantity,
    l.entry_price,
    l.margin_mode,
    l.raw_usd + l.quantity * l.entry_price as isolated_balance,
    if(l.margin_mode = 'isolated', a.address || ' isolated', a.address) as account_id
from hl_leg as l
inner join hl_account as a on l.record_no = a.record_no;

-- One row per account: the cross account of every user, also one that holds cash alone, and the isolated one.
create or replace temp table hl_unit as
select address as account_id, address, is_vault, 'cross' as margin_mode, null as contract, cross_balance as balance
from hl_account
where cross_balance != 0 or address in (select h.address from hl_held as h where h.margin_mode = 'cross')
union all
select account_id, address, is_vault, 'isolated', contract, isolated_balance
from hl_held
where margin_mode = 'isolated';

create or replace temp table hl_contract as
with held as (
    select
        contract,
        greatest(
            sum(quantity) filter (where quantity > 0), -sum(quantity) filter (where quantity < 0)
        ) as base_quantity
    from hl_held
    group by contract
),

tiered as (
    select
        p.contract,
        p.base_asset,
        p.index_price,
        coalesce(t.tier, 'tail') as tier,
        cast('1e-' || p.size_decimals as double) as lot_size,
        p.index_price * coalesce(
            if(isfinite(p.open_interest) and p.open_interest > 0, p.open_interest, null), h.base_quantity
        ) as open_interest_usd
    from held as h
    inner join hl_price as p on h.contract = p.contract
    left join tier_asset as t on p.base_asset = t.asset
)

select
    c.*,
    coalesce(a.beta, b.beta) as beta,
    coalesce(g.depth_1pct_usd, b.depth_share * c.open_interest_usd) as depth_1pct_usd,
    g.depth_1pct_usd is null as is_depth_assumed
from tiered as c
inner join tier_parameter as b on c.tier = b.tier
left join asset_beta as a on c.base_asset = a.asset
left join depth_given as g on c.contract = g.contract;

create or replace temp table made_contract as
select
    'hyperliquid' as venue,
    contract,
    base_asset,
    'linear' as contract_type,
    cast(null as double) as contract_value,
    tier,
    lot_size,
    index_price,
    beta
from hl_contract
order by contract;

create or replace temp table made_account as
select distinct
    account_id,
    address as owner_id,
    'hyperliquid' as venue,
    if(is_vault, 'vault', 'trader') as kind,
    margin_mode
from hl_unit
union all
select 'hyperliquid maker', 'hyperliquid maker', 'hyperliquid', 'maker', 'cross'
order by account_id;

create or replace temp table made_collateral as
select account_id, 'USD' as asset, balance as amount, cast(1 as double) as price, contract
from hl_unit
order by account_id, contract;

create or replace temp table made_position as
select account_id, 'hyperliquid' as venue, contract, quantity, entry_price
from hl_held
order by account_id, contract;

create or replace temp table made_margin_tier as
select
    'hyperliquid' as venue,
    t.contract,
    t.notional_floor,
    t.notional_cap,
    t.maintenance_rate,
    t.maintenance_amount
from hl_tier as t
inner join hl_contract as c on t.contract = c.contract
order by t.contract, t.notional_floor;

-- Half of what lies within 1 % of mid moves a book by 0.01 log units, as of an inferred book.
create or replace temp table made_depth as
select
    'hyperliquid' as venue,
    c.contract,
    greatest(0.01, c.depth_1pct_usd / 2 / 0.01 * p.refill_multiple) as depth,
    p.recovery,
    p.floor
from hl_contract as c
cross join hl_parameter as p
order by c.contract;

create or replace temp table made_fund as
select
    'hyperliquid' as venue,
    'HLP' as pool,
    cast(null as varchar) as contract,
    coalesce(
        p.fund_usd,
        (
            select greatest(0, r.account_value)
            from hl_record as r
            inner join fund_address as f on r.address = f.address
            where r.reason is null
        ),
        0
    ) as balance,
    'vault' as mode
from hl_parameter as p;

create or replace temp table made_index_weight as
select cast(null as varchar) as base_asset, cast(null as varchar) as venue, cast(null as double) as weight
where false;
