-- Grain of replay_order: one row per unit and leg that goes to the book in this round: lots (positive), side 1 closes a long.
-- A partial close takes the least fraction that restores the margin: equity less fees less maintenance is piecewise linear in the
-- fraction, with a break where a leg's notional crosses a tier; the zero lies between the last break below and the first above.
create or replace temp table replay_fraction as
with breaks as (
    select unit_no, 0::double as fraction from replay_breach where stage = 'book' and is_partial
    union
    select unit_no, 1::double from replay_breach where stage = 'book' and is_partial
    union
    select b.unit_no, 1 - t.floor_micro / v.notional_micro
    from replay_breach as b
    inner join replay_leg_value as v on b.unit_no = v.unit_no
    inner join
        replay_tier as t
        on v.contract_no = t.contract_no and t.floor_micro > 0 and v.notional_micro > t.floor_micro
    where b.stage = 'book' and b.is_partial
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
    inner join replay_breach as u on b.unit_no = u.unit_no
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
from replay_breach as b
left join z on b.unit_no = z.unit_no
where b.stage = 'book' and b.is_partial;

create or replace temp table replay_order as
select
    v.unit_no,
    v.contract_no,
    sign(v.lots)::tinyint as side,
    if(
        b.is_partial, greatest(1, least(abs(v.lots), ceil(f.fraction * abs(v.lots))::bigint)), abs(v.lots)
    ) as lots,
    true as is_forced,
    b.is_partial
from replay_breach as b
inner join replay_leg_value as v on b.unit_no = v.unit_no
left join replay_fraction as f on b.unit_no = f.unit_no
where b.stage = 'book';
