-- Grain: one row per contract, side and margin tier.
-- Units: micro-USD.
-- A position breaches where E = MM, that is where N - side * MM(N) = bound, with N its notional and
-- bound = -side * cash. The left side grows with N, so each tier owns one interval [bound_from, bound_to) of the bound,
-- and inside it N = (bound - side * amount) / (1 - side * rate). The top tier has no upper end.
create or replace temp table replay_tier as
with sided as (
    select
        c.contract_no,
        side.side,
        t.maintenance_rate as rate,
        t.maintenance_amount * 1e6 as amount_micro,
        t.notional_floor,
        (
            t.notional_floor
            - side.side * (t.notional_floor * t.maintenance_rate - t.maintenance_amount)
        ) * 1e6 as bound_from
    from book_margin_tier as t
    inner join replay_contract as c on t.venue = c.venue and t.contract = c.contract
    cross join (values (1::tinyint), (-1::tinyint)) as side (side)
)

select
    contract_no,
    side,
    rate,
    amount_micro,
    bound_from,
    coalesce(
        lead(bound_from) over (partition by contract_no, side order by notional_floor), 'infinity'::double
    ) as bound_to
from sided;
