-- Grain: one row per venue, contract and step; step 0 is the state at the fixpoint of the shock.
-- Units: prices in USD, displacement in natural log (book = index * exp(-displacement), so negative in a squeeze).
create or replace temp table stress_path as
select
    venue,
    contract,
    0 as step,
    0::double as seconds,
    shocked_price as index_price,
    book_price,
    book_price as mark_price, -- own_book_weight 1
    log_move - trough as displacement,
    depth_usd as depth,
    (long_micro + short_micro) / 1e6 as liquidated_usd,
    0::double as adl_usd,
    open_interest_after_micro / 1e6 as open_interest_usd
from replay_after
order by venue, contract;
