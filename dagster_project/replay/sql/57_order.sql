-- Grain of replay_order: one row per unit and leg that goes to the book in this round: lots (positive), side 1 closes a long.
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
