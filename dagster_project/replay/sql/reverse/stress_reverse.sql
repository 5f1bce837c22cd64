-- Grain: one row per reverse stress test and value that was tried.
-- Units: value of the outcome as unit says; the multiplier is a number. bracket: below and beyond mark the two tried values between
-- which the outcome first goes beyond its limit.
create or replace temp table stress_reverse as
select
    w.reverse_id,
    w.scenario,
    w.book_hash,
    w.source_class,
    w.outcome,
    w.unit,
    w.outcome_limit,
    t.multiplier,
    t.multiplier * w.largest_log_move as shock_log_move,
    t.value,
    t.value > w.outcome_limit as is_beyond,
    case t.multiplier when w.below then 'below' when w.beyond then 'beyond' end as bracket,
    t.run_id,
    t.scenario_hash,
    t.fault
from reverse_trial as t
cross join reverse as w
order by t.multiplier;
