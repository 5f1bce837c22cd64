-- Grain of replay_breach: one row per margined unit in breach (E <= MM) that something is done with: stage backstop or book.
-- Units with a halted contract wait, and so do book units in cool-down.
-- @when replay_margin
create or replace temp table replay_breach as
select
    m.unit_no,
    m.equity,
    m.settle_equity,
    m.maintenance,
    m.notional,
    u.pool_no,
    u.partial_closes,
    s.fee_rate,
    s.min_fraction,
    if(m.equity < s.backstop_ratio * m.maintenance, 'backstop', 'book') as stage,
    s.close = 'partial'
    and m.notional > s.partial_above_micro
    and u.partial_closes < coalesce(s.partial_times, 2147483647) as is_partial
from replay_margin as m
inner join replay_unit as u on m.unit_no = u.unit_no
inner join scenario_venue as s on u.venue = s.venue
cross join replay_clock as k
where u.kind = 'trader'
    and m.legs > 0
    and m.equity <= m.maintenance
    and (
        coalesce(m.equity < s.backstop_ratio * m.maintenance, false)
        or k.seconds >= u.last_partial_seconds + s.cooldown_seconds
    )
    and not exists (
        select 1
        from replay_leg_value as v
        inner join replay_book as b on v.contract_no = b.contract_no
        where v.unit_no = m.unit_no and k.seconds < b.halted_until
    );
