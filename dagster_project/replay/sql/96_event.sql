-- Grain: one row per event of an account: what was closed, taken over, deleveraged, traded back or sent, in the order in which it happened.
-- Units: quantity in base units (contracts of an inverse contract), signed as the position that was closed; prices and amounts in USD.
create or replace temp table stress_event as
select
    row_number() over (
        order by v.step, v.round, case v.kind
            when 'transfer_in' then 0 when 'book' then 1 when 'rehedge' then 2 when 'backstop' then 3 when
                'unfilled'
                then 4
            when 'deficit' then 5 when 'adl' then 6 else 7
        end, v.unit_no, v.contract_no, v.rank
    ) as event_no,
    v.step,
    greatest(0, v.step) * s.step_seconds as seconds,
    v.round,
    v.kind,
    u.venue,
    c.contract,
    u.account_id,
    u.owner_id,
    v.lots * c.lot_size as quantity,
    v.reference_micro / 1e6 as notional_usd,
    v.price,
    v.usd / 1e6 as value_usd,
    v.fee / 1e6 as fee_usd,
    v.haircut / 1e6 as haircut_usd,
    v.deficit / 1e6 as deficit_usd,
    v.gain / 1e6 as left_to_fund_usd,
    v.policy
from replay_event as v
inner join replay_unit as u on v.unit_no = u.unit_no
left join replay_contract as c on v.contract_no = c.contract_no
cross join scenario_run as s
order by event_no;
