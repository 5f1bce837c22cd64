-- One row: what a checked book holds, in whole lots as the replay takes them.
-- Needs the tables book_contract, book_account, book_position, book_fund of load_book.
with leg as (
    -- reference notional: lots at the index, of an inverse contract lots of its USD value
    select
        p.venue,
        p.contract,
        round(p.quantity / c.lot_size) * c.lot_size
        * if(c.contract_type = 'inverse', c.contract_value, c.index_price) as signed_usd
    from book_position as p
    inner join book_contract as c
        on p.venue = c.venue and p.contract = c.contract
),

per_contract as (
    select
        leg.venue,
        leg.contract,
        sum(leg.signed_usd) filter (where leg.signed_usd > 0) as long_usd,
        -sum(leg.signed_usd) filter (where leg.signed_usd < 0) as short_usd
    from leg
    group by leg.venue, leg.contract
)

select
    (select count(*) from book_account) as accounts_count,
    (select count(*) from book_position) as positions_count,
    (select count(*) from book_contract) as contracts_count,
    (select count(distinct c.venue) from book_contract as c) as venues_count,
    (select coalesce(sum(f.balance), 0) from book_fund as f) as funds_usd,
    coalesce(sum(per_contract.long_usd), 0) as long_usd,
    coalesce(sum(per_contract.short_usd), 0) as short_usd,
    -- a balanced contract has as much long as short: its open interest is the larger side
    coalesce(sum(greatest(per_contract.long_usd, per_contract.short_usd)), 0) as open_interest_usd,
    coalesce(sum(abs(coalesce(per_contract.long_usd, 0) - coalesce(per_contract.short_usd, 0))), 0)
        as taken_by_makers_usd
from per_contract
