-- The alarms of all legs at t0. The table is made anew: to update every row of it would take many times as long.
create or replace temp table replay_leg as
select l.* replace (alarm_tick(l.lots, m.mark_tick, s.is_watched, s.share, s.growth) as alarm)
from replay_leg as l
inner join replay_mark as m on l.contract_no = m.contract_no
left join replay_slack as s on l.unit_no = s.unit_no;

update replay_unit set is_watched = false;

update replay_unit as u set is_watched = s.is_watched from replay_slack as s where u.unit_no = s.unit_no;
