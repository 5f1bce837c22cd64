-- Applies what the phases gathered: legs change, appear and vanish, balances move; margined units that were touched are watched.
-- @when replay_delta_leg
create or replace temp table replay_change as
select unit_no, contract_no, sum(lots)::bigint as lots, sum(basis)::bigint as basis
from replay_delta_leg
group by unit_no, contract_no;

-- @when replay_delta_balance
create or replace temp table replay_balance_change as
select unit_no, asset_no, sum(amount)::bigint as amount from replay_delta_balance group by unit_no, asset_no;

-- @when replay_change
insert into replay_leg
select g.unit_no, g.contract_no, 0, 0, null
from replay_change as g
anti join replay_leg as l on g.unit_no = l.unit_no and g.contract_no = l.contract_no;

-- @when replay_change
update replay_leg as l set lots = l.lots + g.lots, basis = l.basis + g.basis
from replay_change as g
where l.unit_no = g.unit_no and l.contract_no = g.contract_no;

-- @when replay_change
delete from replay_leg as l using replay_change as g
where l.unit_no = g.unit_no and l.contract_no = g.contract_no and l.lots = 0;

-- @when replay_balance_change
update replay_unit as u set cash = u.cash + b.amount
from replay_balance_change as b
where u.unit_no = b.unit_no and b.asset_no = 0;

-- @when replay_balance_change and replay_coin_price
insert into replay_coin
select b.unit_no, b.asset_no, 0
from replay_balance_change as b
anti join replay_coin as k on b.unit_no = k.unit_no and b.asset_no = k.asset_no
where b.asset_no != 0;

-- @when replay_balance_change and replay_coin_price
update replay_coin as k set amount = k.amount + b.amount
from replay_balance_change as b
where k.unit_no = b.unit_no and k.asset_no = b.asset_no;

-- @when replay_change or replay_balance_change
update replay_unit as u set is_watched = true
from (
    select unit_no from replay_change
    union
    select unit_no from replay_balance_change
) as touched
where u.unit_no = touched.unit_no and u.kind = 'trader';

delete from replay_delta_leg;
delete from replay_delta_balance;
