-- Adds the re-hedges that are due to replay_order: legs with the sign of what is naked are reduced, in order of contract and unit.
insert into replay_order by name
with due as (
    select owner_id, asset_no, naked_micro
    from replay_hedge
    where due_seconds <= (select k.seconds from replay_clock as k) and naked_micro != 0
),

legs as (
    select
        l.unit_no,
        l.contract_no,
        l.lots,
        reference_notional(l.lots, c.lot_size, c.reference_price)::hugeint as reference_micro,
        abs(d.naked_micro) as wanted_micro,
        coalesce(sum(reference_notional(l.lots, c.lot_size, c.reference_price)) over (
            partition by d.owner_id, d.asset_no
            order by l.contract_no, l.unit_no
            rows between unbounded preceding and 1 preceding
        ), 0) as before_micro
    from due as d
    inner join replay_unit as u on d.owner_id = u.owner_id and u.kind = 'trader'
    inner join replay_leg as l on u.unit_no = l.unit_no and sign(l.lots) = sign(d.naked_micro)
    inner join replay_contract as c on l.contract_no = c.contract_no and d.asset_no = c.asset_no
)

select
    g.unit_no,
    g.contract_no,
    sign(g.lots)::tinyint as side,
    (
        abs(g.lots) * greatest(0, least(g.reference_micro, g.wanted_micro - g.before_micro)) // g.reference_micro
    )::bigint as lots,
    false as is_forced,
    false as is_partial
from legs as g
inner join replay_book as b on g.contract_no = b.contract_no
cross join replay_clock as k
anti join replay_order as o on g.unit_no = o.unit_no and g.contract_no = o.contract_no
where k.seconds >= b.halted_until
    and abs(g.lots) * greatest(0, least(g.reference_micro, g.wanted_micro - g.before_micro)) // g.reference_micro > 0;

update replay_hedge set due_seconds = null where due_seconds <= (select k.seconds from replay_clock as k);
