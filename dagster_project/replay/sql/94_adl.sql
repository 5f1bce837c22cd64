-- Grain: one row per venue, contract, step and account that is deleveraged in it; the rounds are in stress_event.
-- Units: quantity in base units (contracts of an inverse contract), signed as the position; price and haircut in USD. price is what
-- the rounds' closes come to together: of an inverse contract the mean of what a coin cost, not of prices. score, rank and policy
-- are those of the first round.
create or replace temp table stress_adl as
select
    c.venue,
    c.contract,
    v.step,
    u.account_id,
    sum(v.lots) * any_value(c.lot_size) as quantity,
    if(
        any_value(c.is_inverse),
        sum(v.lots) / sum(v.lots / v.price order by v.round),
        sum(v.lots * v.price order by v.round) / sum(v.lots)
    ) as price,
    sum(v.haircut) / 1e6 as haircut_usd,
    arg_min(v.score, v.round) as score,
    arg_min(v.rank, v.round) as rank,
    any_value(v.policy) as policy,
    count(*) as rounds
from replay_event as v
inner join replay_unit as u on v.unit_no = u.unit_no
inner join replay_contract as c on v.contract_no = c.contract_no
where v.kind = 'adl'
group by c.venue, c.contract, v.step, u.account_id
order by c.venue, c.contract, v.step, min(v.round), rank, u.account_id;
