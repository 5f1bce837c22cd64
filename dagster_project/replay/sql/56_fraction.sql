-- Grain of replay_partial, replay_fraction: one row per unit that closes a part; the fraction of each of its legs that it closes.
-- A partial close takes the least fraction that restores the margin: equity less fees less maintenance is piecewise linear in the
-- fraction, with a break where a leg's notional crosses a tier; the zero lies between the last break below and the first above.
create or replace temp table replay_partial as
select * from replay_breach where stage = 'book' and is_partial;

-- @when replay_partial
create or replace temp table replay_fraction as
with breaks as (
    select unit_no, 0::double as fraction from replay_partial
    union
    select unit_no, 1::double from replay_partial
    union
    select b.unit_no, 1 - t.floor_micro / v.notional_micro
    from replay_partial as b
    inner join replay_leg_value as v on b.unit_no = v.unit_no
    inner join
        replay_tier as t
        on v.contract_no = t.contract_no and t.floor_micro > 0 and v.notional_micro > t.floor_micro
),

surplus as (
    select
        b.unit_no,
        b.fraction,
        u.equity
        - u.fee_rate * b.fraction * u.notional
        - sum(
            greatest(0, (1 - b.fraction) * v.notional_micro * t.rate - t.amount_micro) order by v.contract_no
        ) as surplus
    from breaks as b
    inner join replay_partial as u on b.unit_no = u.unit_no
    inner join replay_leg_value as v on b.unit_no = v.unit_no
    inner join replay_tier as t
        on v.contract_no = t.contract_no
        and t.floor_micro <= (1 - b.fraction) * v.notional_micro
        and t.next_micro > (1 - b.fraction) * v.notional_micro
    group by b.unit_no, b.fraction, u.equity, u.fee_rate, u.notional
),

stepped as (
    select
        *,
        lag(fraction) over up as fraction_before,
        lag(surplus) over up as surplus_before
    from surplus
    window up as (partition by unit_no order by fraction)
),

z as (
    select * from stepped where fraction > 0 and surplus >= 0
    qualify row_number() over (partition by unit_no order by fraction) = 1
)

select
    b.unit_no,
    -- no fraction restores it: all of it (greatest() would pass over the null)
    if(
        z.unit_no is null,
        1,
        greatest(
            b.min_fraction,
            -- nothing is missing already at 0, as where equity equals maintenance
            if(
                z.surplus_before >= 0,
                0,
                z.fraction_before
                + (z.fraction - z.fraction_before) * (-z.surplus_before) / (z.surplus - z.surplus_before)
            )
        )
    ) as fraction
from replay_partial as b
left join z on b.unit_no = z.unit_no;
