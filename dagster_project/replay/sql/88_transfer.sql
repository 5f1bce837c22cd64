-- Sends what is asked for: the owner's unit with the largest free equity gives; one request a source and step, the first by unit.
-- @when replay_asking
create or replace temp table replay_sending as
with free as (
    select
        m.unit_no,
        u.owner_id,
        floor(m.equity - s.top_up_to * m.maintenance)::bigint as free
    from replay_margin as m
    inner join replay_unit as u on m.unit_no = u.unit_no
    cross join scenario_run as s
),

chosen as (
    select
        a.unit_no as target_no,
        f.unit_no as source_no,
        f.free,
        ceil(s.top_up_to * m.maintenance - m.equity)::bigint as need
    from replay_asking as a
    inner join replay_margin as m on a.unit_no = m.unit_no
    inner join free as f on a.owner_id = f.owner_id and a.unit_no != f.unit_no and f.free > 0
    cross join scenario_run as s
    qualify row_number() over (partition by a.unit_no order by f.free desc, f.unit_no asc) = 1
)

select *, least(need, free) as amount
from chosen
where least(need, free) > 0
qualify row_number() over (partition by source_no order by target_no) = 1;

-- @when replay_sending
insert into replay_transit
select
    p.source_no,
    p.target_no,
    (select min(l.contract_no) from replay_leg as l where l.unit_no = p.target_no) as contract_no,
    p.amount,
    k.seconds as sent_seconds,
    k.seconds + t.seconds + coalesce((
        select sum(w.extra_seconds)
        from scenario_slowdown as w
        where w.from_seconds <= k.seconds and k.seconds < w.to_seconds and w.venue in ('all', u.venue, v.venue)
    ), 0) as due_seconds,
    null as arrived_seconds,
    null as is_late
from replay_sending as p
inner join replay_unit as u on p.source_no = u.unit_no
inner join replay_unit as v on p.target_no = v.unit_no
inner join scenario_transfer as t on u.venue = t.source_venue and v.venue = t.target_venue
cross join replay_clock as k;

-- @when replay_sending
insert into replay_delta_balance select source_no, 0, -amount from replay_sending;

-- @when replay_sending
insert into replay_event by name
select k.step, k.round, 'transfer_out' as kind, p.source_no as unit_no, p.amount as usd
from replay_sending as p, replay_clock as k;
