-- Grain: one row per account and contract with a position that is not flat, with the margin that carries it.
-- Units: lots (signed integers); reference notional, entry and collateral in integer micro-USD, rounded once here.
-- side is 1 for a long and -1 for a short. Cash is what the account owns when the position is taken out at price 0:
-- equity at a price is cash + quantity * price, so cash = collateral - quantity * entry price.
-- Isolated collateral names its contract; collateral without a contract carries the account's only position. A maker's
-- collateral carries nothing: it is never margin-checked and may hold many positions.
create or replace temp view replay_position_input as
with amounts as (
    select
        account_id,
        contract,
        sum(round(amount * price * 1e6)::hugeint) as collateral_micro
    from book_collateral
    group by account_id, contract
),

amounts_named as (
    select * from amounts where contract is not null
),

amounts_whole as (
    select * from amounts where contract is null
)

select
    c.contract_no,
    p.account_id,
    a.owner_id,
    a.kind,
    a.kind != 'maker' as is_checked,
    case when p.quantity > 0 then 1 else -1 end::tinyint as side,
    round(p.quantity / c.lot_size)::bigint as lots,
    round(abs(round(p.quantity / c.lot_size)) * c.lot_size * c.index_price * 1e6)::bigint as reference_micro,
    abs(round(p.quantity / c.lot_size)) * c.lot_size * c.index_price * 1e6 as reference_real,
    if(a.kind = 'maker', 0, coalesce(named.collateral_micro, 0) + coalesce(whole.collateral_micro, 0))
    - round(round(p.quantity / c.lot_size) * c.lot_size * p.entry_price * 1e6)::hugeint as cash_micro
from book_position as p
inner join replay_contract as c on p.venue = c.venue and p.contract = c.contract
inner join book_account as a on p.account_id = a.account_id
left join amounts_named as named
    on p.account_id = named.account_id and p.contract = named.contract
left join amounts_whole as whole
    on p.account_id = whole.account_id
where round(p.quantity / c.lot_size) != 0;
