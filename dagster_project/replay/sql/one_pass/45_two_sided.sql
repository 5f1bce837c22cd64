-- Grain: one row per contract whose longs and shorts are both in breach at the shocked price.
-- A one-sided window pass cannot say which side pushes the price first.
select c.venue || ' ' || c.contract as key
from replay_driven as d
inner join replay_contract as c on d.contract_no = c.contract_no
group by c.venue, c.contract
having count(*) > 1
order by key
