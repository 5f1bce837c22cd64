-- Hedges after a step: what is naked now, and when it is to be traded back.
update replay_hedge as h set
    naked_micro = d.delta - h.delta_before,
    due_seconds = if(
        d.delta != h.delta_before and h.due_seconds is null and s.rehedge_seconds is not null,
        k.seconds + s.rehedge_seconds,
        h.due_seconds
    )
from (
    with x as (
        select
            u.owner_id,
            c.asset_no,
            sign(l.lots) * reference_notional(l.lots, c.lot_size, c.reference_price) as delta
        from replay_leg as l
        inner join replay_unit as u on l.unit_no = u.unit_no and u.kind = 'trader'
        inner join replay_contract as c on l.contract_no = c.contract_no
    )

    select
        g.owner_id,
        g.asset_no,
        coalesce(sum(x.delta), 0)::hugeint as delta
    from replay_hedge as g
    left join x on g.owner_id = x.owner_id and g.asset_no = x.asset_no
    group by g.owner_id, g.asset_no
) as d, scenario_run as s, replay_clock as k
where h.owner_id = d.owner_id and h.asset_no = d.asset_no;
