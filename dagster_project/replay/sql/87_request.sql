-- Units that ask their owner for a transfer, and of whom: replay_wanted for the margin of all units of these owners.
-- @when replay_margin
create or replace temp table replay_asking as
with t as (select target_no from replay_transit where arrived_seconds is null)

select
    m.unit_no,
    u.owner_id
from replay_margin as m
inner join replay_unit as u on m.unit_no = u.unit_no
cross join scenario_run as s
anti join t on m.unit_no = t.target_no
where u.kind = 'trader' and m.legs > 0 and m.equity < s.top_up_below * m.maintenance;

-- @when replay_asking
create or replace temp table replay_wanted as
select u.unit_no
from replay_unit as u
where u.kind = 'trader' and u.owner_id in (select a.owner_id from replay_asking as a);
