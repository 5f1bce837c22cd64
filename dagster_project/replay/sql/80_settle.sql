-- Funds pay the deficits once, after the last round; what they cannot pay is socialised (adl policy `none`).
-- Units: integer micro-USD, ticks of 1e-12 log units.
-- Grain of replay_pool: one row per venue and pool; a venue with a contract that no pool covers has an empty
-- '(none)' pool. Fees of the run are received before deficits are paid.
-- Grain of replay_settlement: one row per contract with a deficit.
create or replace temp table replay_contract_pool as
with pools as (
    select venue, pool, contract, round(balance * 1e6)::hugeint as balance_micro from book_fund
)

select
    c.contract_no,
    c.venue,
    coalesce(own.pool, wide.pool, '(none)') as pool,
    coalesce(own.balance_micro, wide.balance_micro, 0::hugeint) as balance_micro
from replay_contract as c
left join pools as own on c.venue = own.venue and c.contract = own.contract
left join pools as wide on c.venue = wide.venue and wide.contract is null;

create or replace temp table replay_pool_before as
select venue, pool, round(balance * 1e6)::hugeint as balance_micro from book_fund
union
select venue, pool, balance_micro from replay_contract_pool where pool = '(none)';

-- A pool that serves several contracts pays in the order of threshold distance, aggregated. Deficits of different
-- contracts at one and the same distance share what is left in proportion, to the micro-USD by largest remainder
-- (then contract number), so the split cannot depend on row order.
create or replace temp table replay_settlement as
with received as (
    select
        k.venue,
        k.pool,
        sum(f.fee_micro) as fee_micro
    from replay_fill as f
    inner join replay_contract_pool as k on f.contract_no = k.contract_no
    group by k.venue, k.pool
),

owed as (
    select
        k.venue,
        k.pool,
        f.threshold_tick,
        f.contract_no,
        sum(f.deficit_micro) as deficit_micro
    from replay_fill as f
    inner join replay_contract_pool as k on f.contract_no = k.contract_no
    where f.deficit_micro > 0
    group by k.venue, k.pool, f.threshold_tick, f.contract_no
),

queued as (
    select
        venue,
        pool,
        threshold_tick,
        sum(deficit_micro) as tie_micro,
        sum(sum(deficit_micro)) over (
            partition by venue, pool order by threshold_tick rows unbounded preceding
        ) as cumulative_micro
    from owed
    group by venue, pool, threshold_tick
),

paid as (
    select
        q.*,
        greatest(0::hugeint, least(
            q.tie_micro,
            b.balance_micro + coalesce(r.fee_micro, 0) - (q.cumulative_micro - q.tie_micro)
        )) as paid_micro
    from queued as q
    inner join replay_pool_before as b on q.venue = b.venue and q.pool = b.pool
    left join received as r on q.venue = r.venue and q.pool = r.pool
),

shared as (
    select
        o.contract_no,
        o.deficit_micro,
        o.deficit_micro * p.paid_micro // p.tie_micro as whole_micro,
        p.paid_micro - sum(o.deficit_micro * p.paid_micro // p.tie_micro) over tied as left_micro,
        row_number() over (
            partition by o.venue, o.pool, o.threshold_tick
            order by o.deficit_micro * p.paid_micro % p.tie_micro desc, o.contract_no
        ) as remainder_rank
    from owed as o
    inner join paid as p on o.venue = p.venue and o.pool = p.pool and o.threshold_tick = p.threshold_tick
    window tied as (partition by o.venue, o.pool, o.threshold_tick)
),

totals as (
    select
        contract_no,
        sum(deficit_micro) as deficit_micro,
        sum(whole_micro + (remainder_rank <= left_micro)::int) as fund_paid_micro
    from shared
    group by contract_no
)

select
    contract_no,
    deficit_micro,
    fund_paid_micro,
    deficit_micro - fund_paid_micro as socialised_micro
from totals;

create or replace temp table replay_pool_after as
with fees as (
    select contract_no, sum(fee_micro) as fee_micro from replay_fill group by contract_no
),

flows as (
    select
        k.venue,
        k.pool,
        sum(coalesce(f.fee_micro, 0)) as received_micro,
        sum(coalesce(s.fund_paid_micro, 0)) as paid_micro
    from replay_contract_pool as k
    left join fees as f on k.contract_no = f.contract_no
    left join replay_settlement as s on k.contract_no = s.contract_no
    group by k.venue, k.pool
)

select
    b.venue,
    b.pool,
    b.balance_micro + coalesce(f.received_micro, 0) - coalesce(f.paid_micro, 0) as balance_micro,
    coalesce(f.paid_micro, 0) as paid_micro,
    coalesce(f.received_micro, 0) as received_micro
from replay_pool_before as b
left join flows as f on b.venue = f.venue and b.pool = f.pool;
