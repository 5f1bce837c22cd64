-- Grain of replay_wanted: one row per margined unit with a position opposite to what is called.
-- @when replay_call
create or replace temp table replay_wanted as
with k as (select distinct contract_no, side from replay_call where wanted > 0)

select distinct l.unit_no
from replay_leg as l
inner join replay_unit as u on l.unit_no = u.unit_no and u.kind = 'trader'
inner join k
    on l.contract_no = k.contract_no and sign(l.lots) = -k.side;
