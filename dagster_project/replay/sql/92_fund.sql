-- Grain: one row per venue, pool and step (step 0: after fees came in and deficits were paid).
-- Units: USD. Nothing is warehoused: every breach goes to the book.
create or replace temp table stress_fund as
select
    venue,
    pool,
    0 as step,
    balance_micro / 1e6 as balance_usd,
    paid_micro / 1e6 as paid_usd,
    received_micro / 1e6 as received_usd,
    0::double as warehoused_usd
from replay_pool_after
order by venue, pool;
