-- Grain: one row per sweep, run of it and parameter that it changes.
-- Units: value is text, JSON unless it is a name. Runs of one meaning share a run_id, by which the other tables join.
create or replace temp table stress_sweep as
select
    w.sweep_id,
    w.scenario,
    w.book_hash,
    w.source_class,
    r.run_no,
    r.run_id,
    r.scenario_hash,
    s.parameter,
    s.value,
    r.fault
from sweep_run as r
inner join sweep_setting as s on r.run_no = s.run_no
cross join sweep as w
order by r.run_no, s.parameter;
