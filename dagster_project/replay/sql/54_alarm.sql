-- Sets who is watched and the alarms of the legs of the units of replay_slack.
-- @when replay_slack
update replay_unit as u set is_watched = s.is_watched from replay_slack as s where u.unit_no = s.unit_no;

-- @when replay_margin
update replay_unit as u set is_watched = false
from replay_margin as m
where u.unit_no = m.unit_no and (m.legs = 0 or m.kind != 'trader');

-- @when replay_slack
update replay_leg as l set
    alarm = alarm_tick(l.lots, m.mark_tick, s.is_watched, s.share, s.growth)
from replay_slack as s, replay_mark as m
where l.unit_no = s.unit_no and l.contract_no = m.contract_no;
