-- Grain: one row per contract whose price the cascade moves further than any price can follow (25 log units, a factor
-- of 7e10): the depth does not fit the book.
-- Units: ticks of 1e-12 log units.
select distinct c.venue || ' ' || c.contract as key
from replay_driven as d
inner join replay_contract as c on d.contract_no = c.contract_no
inner join replay_atom as a on d.contract_no = a.contract_no
where abs(reach_tick(d.law, d.shock_tick, d.depth_micro, d.coefficient, a.cumulative_micro)) > 25000000000000
order by key
