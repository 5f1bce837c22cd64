-- Grain of replay_waking: one row per unit at rest of which a leg's mark has passed its alarm since alarms were last looked for.
create or replace temp table replay_waking as
with reached as (
    select r.contract_no, r.side, r.reach, -r.side * m.mark_tick as now
    from replay_reach as r
    inner join replay_mark as m on r.contract_no = m.contract_no
    where -r.side * m.mark_tick > r.reach
),

passed as (
    select unnest(a.alarms) as alarm, r.reach, r.now
    from replay_alarm as a
    inner join reached as r on a.contract_no = r.contract_no and a.side = r.side
    where a.nearest <= r.now and a.farthest > r.reach
)

select distinct p.alarm.unit_no
from passed as p
anti join replay_unit as u on p.alarm.unit_no = u.unit_no
where p.alarm.distance > p.reach and p.alarm.distance <= p.now;

-- @when replay_waking
update replay_reach as r set reach = greatest(r.reach, -r.side * m.mark_tick)
from replay_mark as m
where r.contract_no = m.contract_no;
