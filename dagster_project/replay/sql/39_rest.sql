-- Puts most units to rest. What happens to a unit that holds no coins and has slack left is decided by its alarms alone: until one
-- of them is passed, or deleveraging looks for winners, its rows need not be read, so they leave replay_unit and replay_leg.
-- 84_rise.sql brings back those that never woke. Owners of a hedge, and with top-ups those of several units, look at all their
-- units at any time: these never rest.
-- Grain of replay_rest: one row per unit at rest, as in 15_unit.sql, with its legs. Rows stay as they are; a unit that is in
-- replay_unit too has woken.
create or replace temp table replay_rest as
with several as (
    select u.owner_id
    from replay_unit as u
    cross join scenario_run as s
    where u.kind = 'trader' and s.top_up_below is not null
    group by u.owner_id
    having count(*) > 1
),

legs as (
    select unit_no, list(struct_pack(contract_no := contract_no, lots := lots, basis := basis)) as legs
    from replay_leg
    group by unit_no
)

select u.* exclude (u.is_watched), g.legs
from replay_unit as u
left join legs as g on u.unit_no = g.unit_no
anti join replay_hedge as h on u.owner_id = h.owner_id
anti join several as v on u.owner_id = v.owner_id
where u.kind = 'trader' and not u.is_watched;

create or replace temp table replay_rest_leg as
select l.* from replay_leg as l semi join replay_rest as r on l.unit_no = r.unit_no;

-- Grain of replay_alarm: one row per contract, side and 0.005 log units of distance: alarms of units at rest. distance: how far the
-- mark has to go against the side, in ticks (the alarm's mark, of a long with its sign turned), so that a larger one is further.
create or replace temp table replay_alarm as
with alarms as (
    select
        unit_no,
        contract_no,
        sign(lots)::tinyint as side,
        -sign(lots)::tinyint * alarm as distance
    from replay_rest_leg
)

select
    contract_no,
    side,
    min(distance) as nearest,
    max(distance) as farthest,
    list(struct_pack(distance := distance, unit_no := unit_no)) as alarms
from alarms
group by contract_no, side, distance // 5000000000;

-- Grain of replay_reach: one row per contract and side with alarms: how far the mark had gone when alarms were last looked for.
create or replace temp table replay_reach as
select distinct contract_no, side, -9223372036854775807::bigint as reach from replay_alarm;

-- Grain of replay_rest_lots: what the units at rest hold, by contract: a row for all of them, and rows to take off for those that
-- woke. Grain of replay_rest_cash: their cash in micro-USD, likewise.
create or replace temp table replay_rest_lots as
select contract_no, sum(lots)::hugeint as lots, sum(greatest(lots, 0))::hugeint as longs
from replay_rest_leg
group by contract_no;

create or replace temp table replay_rest_cash as select coalesce(sum(cash), 0)::hugeint as cash from replay_rest;

create or replace temp table replay_leg as
select l.* from replay_leg as l anti join replay_rest as r on l.unit_no = r.unit_no;

create or replace temp table replay_unit as
select u.* from replay_unit as u anti join replay_rest as r on u.unit_no = r.unit_no;

drop table replay_rest_leg;
