-- Brings back the units that never woke, so that the last step's account and the results are of all rows and not of remembered sums.
insert into replay_leg by name
select w.unit_no, w.leg.contract_no, w.leg.lots, w.leg.basis
from (
    select r.unit_no, unnest(r.legs) as leg
    from replay_rest as r
    anti join replay_unit as u on r.unit_no = u.unit_no
) as w;

insert into replay_unit by name
select r.* exclude (r.legs), false as is_watched
from replay_rest as r
anti join replay_unit as u on r.unit_no = u.unit_no;

delete from replay_rest;
delete from replay_alarm;
delete from replay_rest_lots;
delete from replay_rest_cash;
