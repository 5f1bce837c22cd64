-- Contracts whose book or mark is more than 25 log units away from t0.
select c.venue || ' ' || c.contract as key
from replay_mark as m
inner join replay_contract as c on m.contract_no = c.contract_no
inner join replay_book as b on m.contract_no = b.contract_no
where abs(b.move - m.y) > 25000000000000 or abs(m.mark_tick) > 25000000000000
order by m.contract_no;
