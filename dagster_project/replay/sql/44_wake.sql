-- Moves the units of replay_waking to those that every phase reads. They are watched: the next look sets their alarms anew.
-- @when replay_waking
create or replace temp table replay_woken as
select r.* from replay_rest as r semi join replay_waking as w on r.unit_no = w.unit_no;

-- @when replay_woken
insert into replay_unit by name select * exclude (legs), true as is_watched from replay_woken;

-- @when replay_woken
create or replace temp table replay_woken_leg as
select w.unit_no, w.leg.contract_no, w.leg.lots, w.leg.basis
from (select unit_no, unnest(legs) as leg from replay_woken) as w;

-- @when replay_woken_leg
insert into replay_leg by name select * from replay_woken_leg;

-- @when replay_woken_leg
insert into replay_rest_lots
select contract_no, -sum(lots), -sum(greatest(lots, 0)) from replay_woken_leg group by contract_no;

-- @when replay_woken
insert into replay_rest_cash select -sum(cash) from replay_woken;
