-- Grain: one row per step.
-- Units: lots, millionths of a USD, 1e-8 coins and counts. Every residual must be 0, or the run fails.
create or replace temp table stress_ledger as
select * from replay_ledger order by step;
