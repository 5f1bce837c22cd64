-- Grain of replay_waking: one row per unit at rest that may have to give lots: a position opposite to what is called.
-- @when replay_call and replay_rest
create or replace temp table replay_waking as
with k as (select distinct contract_no, side from replay_call where wanted > 0),

opposite as (
    select unnest(a.alarms) as alarm
    from replay_alarm as a
    inner join k on a.contract_no = k.contract_no and a.side = -k.side
)

select distinct opposite.alarm.unit_no
from opposite
anti join replay_unit as u on opposite.alarm.unit_no = u.unit_no;
