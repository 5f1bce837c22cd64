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

-- A unit is watched while it is near or below its margin or holds what has another price than its contracts; of every other one each
-- leg gets the mark at which its equal share of the slack would be lost. 1,000 ticks and some micro-USD are kept for rounding.
-- @when replay_margin
create or replace temp table replay_slack as
with r as (select greatest(1, coalesce(top_up_below, 1))::double as ratio from scenario_run),

g as (select max(rate) as rate from replay_tier)

select
    m.unit_no,
    m.has_coins
    or m.equity <= r.ratio * m.maintenance + 4 * (m.legs + 1)
    or r.ratio * g.rate >= 1
    or m.notional = 0 as is_watched,
    (m.equity - r.ratio * m.maintenance - 4 * (m.legs + 1)) / m.notional as share,
    1 + r.ratio * g.rate as growth
from replay_margin as m
cross join r
cross join g
where m.kind = 'trader' and m.legs > 0;

-- @when replay_slack
update replay_unit as u set is_watched = s.is_watched from replay_slack as s where u.unit_no = s.unit_no;

-- @when replay_margin
update replay_unit as u set is_watched = false
from replay_margin as m
where u.unit_no = m.unit_no and (m.legs = 0 or m.kind != 'trader');

-- @when replay_slack
update replay_leg as l set
    alarm = case
        when s.is_watched then null
        when l.lots > 0 and s.share >= 1 then -9000000000000000000
        when l.lots > 0 then m.mark_tick + ceil(ln(1 - s.share) * 1e12)::bigint + 1000
        else m.mark_tick + floor(least(ln(1 + s.share / s.growth), 1000) * 1e12)::bigint - 1000
    end
from replay_slack as s, replay_mark as m
where l.unit_no = s.unit_no and l.contract_no = m.contract_no;
