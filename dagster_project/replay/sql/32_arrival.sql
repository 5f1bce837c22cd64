-- Transfers that are due arrive; late is one whose unit has no position left.
create or replace temp table replay_arriving as
select t.rowid as transfer_row, t.target_no, t.amount
from replay_transit as t
where t.arrived_seconds is null and t.due_seconds <= (select k.seconds from replay_clock as k);

-- @when replay_arriving
update replay_transit as t set
    arrived_seconds = (select k.seconds from replay_clock as k),
    is_late = not exists (select 1 from replay_leg as l where l.unit_no = t.target_no)
where t.arrived_seconds is null and t.due_seconds <= (select k.seconds from replay_clock as k);

-- @when replay_arriving
insert into replay_delta_balance select target_no, 0, amount from replay_arriving;

-- @when replay_arriving
insert into replay_event by name
select k.step, 0 as round, 'transfer_in' as kind, a.target_no as unit_no, a.amount as usd
from replay_arriving as a, replay_clock as k;
