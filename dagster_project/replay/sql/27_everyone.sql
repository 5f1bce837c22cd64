-- Grain of replay_wanted: one row per margined unit with a position.
create or replace temp table replay_wanted as
select distinct l.unit_no
from replay_leg as l
inner join replay_unit as u on l.unit_no = u.unit_no
where u.kind = 'trader';
