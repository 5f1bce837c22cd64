-- Grain of replay_maker: one row per venue: the account that takes the other side of every fill. With several maker
-- accounts it is the first by account_id; a balanced book may have none, then the venue's order book itself, '(book)'.
-- Grain of replay_balance: one row per contract whose positions do not sum to 0; the maker enters the rest at the index.
-- Grain of replay_maker_leg: one row per contract with fills: lots and cash that the fills give the maker.
-- Units: lots, integer micro-USD.
create or replace temp table replay_maker as
select
    c.venue,
    coalesce(min(a.account_id), '(book)') as account_id,
    coalesce(arg_min(a.owner_id, a.account_id), '(book)') as owner_id
from (select distinct venue from replay_contract) as c
left join book_account as a on c.venue = a.venue and a.kind = 'maker'
group by c.venue;

create or replace temp table replay_balance as
select
    p.contract_no,
    -sum(p.lots) as lots,
    -round(-sum(p.lots) * c.lot_size * c.index_price * 1e6)::hugeint as cash_micro
from replay_position as p
inner join replay_contract as c on p.contract_no = c.contract_no
group by p.contract_no, c.lot_size, c.index_price
having sum(p.lots) != 0;

create or replace temp table replay_maker_leg as
select
    contract_no,
    sum(lots) as lots,
    -sum(side * proceeds_micro) as cash_micro
from replay_fill
group by contract_no;
