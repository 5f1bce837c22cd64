-- One doubling of the chain of rounds: with jumps of 2^j rounds, the ends known so far (the first 2^j) give the next
-- 2^j, then the jumps are squared. Python repeats this until no end is new, so R rounds take log2(R) passes, where a
-- loop over rounds would take R.
create or replace temp table replay_round_end as
select contract_no, atom_no from replay_round_end
union
select
    e.contract_no,
    j.next_no as atom_no
from replay_round_end as e
inner join replay_jump as j on e.contract_no = j.contract_no and e.atom_no = j.atom_no;

create or replace temp table replay_jump as
select
    j.contract_no,
    j.atom_no,
    k.next_no
from replay_jump as j
inner join replay_jump as k on j.contract_no = k.contract_no and j.next_no = k.atom_no;
