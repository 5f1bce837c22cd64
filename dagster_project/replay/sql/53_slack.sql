-- Grain of replay_slack: one row per margined unit with positions that was looked at: what it can lose before it has to be looked at
-- again. A unit is watched while it is near or below its margin or holds what has another price than its contracts; of every other
-- one each leg gets the mark at which its equal share of the slack would be lost. Some micro-USD are kept for rounding.
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
