-- Grain: one row per venue, contract, step, account and round in which it is deleveraged.
-- Units: quantity in base units (contracts of an inverse contract), signed as the position; price and haircut in USD.
create or replace temp table stress_adl as
select
    c.venue,
    c.contract,
    v.step,
    u.account_id,
    v.lots * c.lot_size as quantity,
    v.price,
    v.haircut / 1e6 as haircut_usd,
    v.score,
    v.rank,
    v.policy,
    v.round
from replay_event as v
inner join replay_unit as u on v.unit_no = u.unit_no
inner join replay_contract as c on v.contract_no = c.contract_no
where v.kind = 'adl'
order by c.venue, c.contract, v.step, v.round, v.rank, u.account_id;
