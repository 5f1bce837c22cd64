-- Grain of replay_wanted: one row per margined unit that may be in breach: those that are watched, and those of which a leg's mark
-- has passed its alarm. Every other unit has lost less than its slack since it was looked at last.
create or replace temp table replay_wanted as
select unit_no from replay_unit where is_watched
union
select l.unit_no
from replay_leg as l
inner join replay_mark as m on l.contract_no = m.contract_no
where (l.lots > 0 and m.mark_tick <= l.alarm) or (l.lots < 0 and m.mark_tick >= l.alarm);
