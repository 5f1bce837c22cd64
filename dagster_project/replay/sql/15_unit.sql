-- Grain of replay_unit: one row per unit, what is margined together: a cross account, an account and contract of an isolated
-- account, and the fund of a pool. Numbered by (account_id, contract), funds after them by (venue, pool).
-- Units: cash in micro-USD. Cash and coins are what is left when every position is taken out at price 0: collateral less entry.
-- adl_trigger: what fires deleveraging; what the pool is says it where the scenario does not.
create or replace temp table replay_pool as
with f as (select venue from book_fund where contract is null),

pools as (
    select venue, pool, contract, balance, mode from book_fund
    union all
    -- what no pool covers is covered by an empty one
    select v.venue, '(none)', null, 0, 'cash_pool'
    from scenario_venue as v
    anti join f on v.venue = f.venue
)

select
    row_number() over (order by p.venue, p.pool)::integer as pool_no,
    p.venue,
    p.pool,
    p.contract,
    round(p.balance * v.fund_multiplier * 1e6)::bigint as balance_micro,
    coalesce(v.adl_trigger, if(coalesce(v.fund_mode, p.mode) = 'vault', 'vault_equity', 'balance')) as adl_trigger
from pools as p
inner join scenario_venue as v on p.venue = v.venue;

create or replace temp table replay_unit as
with makers as (
    select venue, min(account_id) as account_id from book_account where kind = 'maker' group by venue
),

accounts as (
    select account_id, owner_id, venue, if(kind = 'maker', 'maker', 'trader') as kind, margin_mode from book_account
    union all
    select '(book)', '(book)', v.venue, 'maker', 'cross'
    from scenario_venue as v
    anti join makers as m on v.venue = m.venue
),

isolated as (
    select a.account_id, a.venue, p.contract
    from accounts as a
    inner join book_position as p on a.account_id = p.account_id
    where a.margin_mode = 'isolated' and a.kind = 'trader' and p.quantity != 0
    union
    select a.account_id, a.venue, k.contract
    from accounts as a
    inner join book_collateral as k on a.account_id = k.account_id
    where a.margin_mode = 'isolated' and a.kind = 'trader' and k.contract is not null
),

units as (
    select a.account_id, a.owner_id, a.venue, a.kind, c.contract_no
    from accounts as a
    left join isolated as i on a.account_id = i.account_id
    left join replay_contract as c on i.venue = c.venue and i.contract = c.contract
),

numbered as (
    select *, row_number() over (order by account_id, contract_no nulls first, venue)::integer as unit_no from units
)

select
    n.unit_no,
    n.kind,
    n.account_id,
    n.owner_id,
    n.venue,
    n.contract_no,
    coalesce(own.pool_no, whole.pool_no) as pool_no,
    n.kind = 'maker' and coalesce(n.account_id = m.account_id, true) as is_counterparty,
    0::bigint as cash,
    0::integer as partial_closes,
    '-infinity'::double as last_partial_seconds,
    true as is_watched
from numbered as n
left join makers as m on n.venue = m.venue
left join replay_contract as c on n.contract_no = c.contract_no
left join replay_pool as own on n.venue = own.venue and c.contract = own.contract
left join replay_pool as whole on n.venue = whole.venue and whole.contract is null
union all
select
    (select coalesce(max(n.unit_no), 0) from numbered as n) + p.pool_no,
    'fund',
    p.pool,
    null,
    p.venue,
    null,
    p.pool_no,
    false,
    p.balance_micro,
    0,
    '-infinity'::double,
    false
from replay_pool as p;

-- Grain of replay_place: one row per venue: the unit that takes the other side of every book fill.
create or replace temp table replay_place as
select venue, unit_no as maker_no from replay_unit where is_counterparty;

-- Grain of replay_contract_pool: one row per contract: the fund's unit that fees go to.
create or replace temp table replay_contract_pool as
select c.contract_no, u.unit_no as fund_no, u.pool_no
from replay_contract as c
left join replay_pool as own on c.venue = own.venue and c.contract = own.contract
inner join replay_pool as whole on c.venue = whole.venue and whole.contract is null
inner join replay_unit as u on u.kind = 'fund' and u.pool_no = coalesce(own.pool_no, whole.pool_no);
