-- Grain of replay_taken: one row per unit that its venue's fund takes over: backstop, or what the book did not fill.
-- Grain of replay_wanted: those, and units whose last position the book has just closed.
-- @when replay_breach or replay_order
create or replace temp table replay_taken as
select unit_no, 'backstop' as stage from replay_breach where stage = 'backstop'
union all
select o.unit_no, 'unfilled'
from replay_order as o
inner join replay_unit as u on o.unit_no = u.unit_no
inner join scenario_venue as s on u.venue = s.venue
left join replay_fill as f on o.unit_no = f.unit_no and o.contract_no = f.contract_no
where o.is_forced and s.unfilled = 'fund'
group by o.unit_no
having sum(o.lots) > sum(coalesce(f.got, 0));

-- @when replay_taken or replay_fill
create or replace temp table replay_wanted as
select unit_no from replay_taken
union
select f.unit_no
from (select distinct unit_no from replay_fill) as f
anti join replay_leg as l on f.unit_no = l.unit_no;
