-- Grain of replay_held: one row per fund that holds positions: only such a one can call them although nothing happened.
create or replace temp table replay_held as
select u.unit_no
from replay_unit as u
semi join replay_leg as l on u.unit_no = l.unit_no
where u.kind = 'fund';
