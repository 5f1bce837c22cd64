-- What can go wrong in a run, each as one number; it happens where the number is above the limit.
-- The heads say: name | unit | default limit, empty where one has to be said | what it is.

-- @outcome first_adl | USD | 0 | positions deleveraged, at the t0 index
select adl_usd from stress_summary;

-- @outcome fund_empty | count | 0 | pools that had money and at the end of some step have none
select count(distinct f.venue || ' ' || f.pool)
from stress_fund as f
inner join replay_pool as p on f.venue = p.venue and f.pool = p.pool
where p.balance_micro > 0 and f.balance_usd <= 0;

-- @outcome fund_drawdown | fraction | | largest part of its balance that any pool has lost at the end of a step
select coalesce(max(1 - f.balance_usd * 1e6 / p.balance_micro), 0)
from stress_fund as f
inner join replay_pool as p on f.venue = p.venue and f.pool = p.pool
where p.balance_micro > 0;

-- @outcome tail_trough | fraction | | fall from t0 of the median contract of tier tail at its trough
select coalesce(1 - exp(median(o.trough_log_move)), 0) from stress_outcome as o where o.tier = 'tail';

-- @outcome major_trough | fraction | | fall from t0 of the median contract of tier major at its trough
select coalesce(1 - exp(median(o.trough_log_move)), 0) from stress_outcome as o where o.tier = 'major';

-- @outcome socialised | USD | 0 | deficits that neither fund nor deleveraging covered
select socialised_usd from stress_summary;

-- @outcome liquidated | USD | 0 | positions closed by force, at the t0 index
select liquidated_usd from stress_summary;

-- @outcome open_interest_lost | fraction | | part of the open interest that is gone at the end
select coalesce(1 - open_interest_after_usd / nullif(open_interest_before_usd, 0), 0) from stress_summary;
