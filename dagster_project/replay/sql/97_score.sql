-- Grain: one row per band of the event that the scenario names; none where it names no event.
-- Units: as the metric says: fractions, counts or seconds. A band is met where low <= value <= high; what the run cannot say (null) is
-- not met.
create or replace temp table stress_score as
with forced as (
    select
        c.venue,
        f.account_id,
        greatest(0, f.step) * s.step_seconds as seconds,
        f.lots > 0 as is_long,
        f.reference_micro::double as micro
    from replay_forced as f
    inner join replay_contract as c on f.contract_no = c.contract_no
    cross join scenario_run as s
),

total as (select sum(f.micro) as micro from forced as f),

adl as (
    select c.venue, c.base_asset, u.account_id, v.step * s.step_seconds as seconds, v.reference_micro::double as micro
    from replay_event as v
    inner join replay_unit as u on v.unit_no = u.unit_no
    inner join replay_contract as c on v.contract_no = c.contract_no
    cross join scenario_run as s
    where v.kind = 'adl'
),

adl_account as (
    select venue, account_id, sum(micro) as micro from adl group by venue, account_id
),

adl_venue as (select venue, sum(micro) as micro, min(seconds) as seconds from adl group by venue),

forced_venue as (select venue, sum(micro) as micro, min(seconds) as seconds from forced group by venue),

adl_ranked as (
    select
        venue,
        micro,
        row_number() over (partition by venue order by micro desc, account_id asc) as place
    from adl_account
),

minutes as (
    select sum(micro) as micro from forced group by floor(seconds / 60)
),

troughs as (
    select c.venue, c.base_asset, o.tier, exp(o.trough_log_move) - 1 as trough
    from stress_outcome as o
    inner join replay_contract as c on o.venue = c.venue and o.contract = c.contract
),

interest as (
    select
        o.venue,
        sum(o.open_interest_before_usd) as before_usd,
        sum(o.open_interest_after_usd) as after_usd
    from stress_outcome as o
    group by o.venue
),

fund_step as (select venue, step, sum(balance_usd) as balance_usd from stress_fund group by venue, step),

fund as (select venue, arg_max(balance_usd, step) as after_usd from fund_step group by venue),

fund_before as (
    select venue, sum(balance_micro) / 1e6 as before_usd from replay_pool group by venue
),

metric as (
    select 'long_share' as metric, 'all' as subject, sum(micro) filter (where is_long) / sum(micro) as value from forced
    union all
    select 'liquidated_share', f.venue, sum(f.micro) / any_value(t.micro)
    from forced as f, total as t
    group by f.venue
    union all
    select 'trough', base_asset, median(trough) from troughs group by base_asset
    union all
    select 'tier_median_trough', tier, median(trough) from troughs group by tier
    union all
    select 'assets_below', b.subject, count(distinct t.base_asset)
    from scenario_band as b
    left join troughs as t on t.trough < b.subject::double
    where b.metric = 'assets_below'
    group by b.subject
    union all
    select 'open_interest_change', venue, after_usd / nullif(before_usd, 0) - 1 from interest
    union all
    select 'open_interest_change', 'all', sum(after_usd) / nullif(sum(before_usd), 0) - 1 from interest
    union all
    select 'peak_minute_share', 'all', max(m.micro) / any_value(t.micro) from minutes as m, total as t
    union all
    select
        'share_before', b.subject, coalesce(sum(f.micro) filter (where f.seconds < b.subject::double), 0) / sum(f.micro)
    from scenario_band as b, forced as f
    where b.metric = 'share_before'
    group by b.subject
    union all
    select
        'share_from', b.subject, coalesce(sum(f.micro) filter (where f.seconds >= b.subject::double), 0) / sum(f.micro)
    from scenario_band as b, forced as f
    where b.metric = 'share_from'
    group by b.subject
    union all
    select 'adl_to_liquidated', f.venue, coalesce(a.micro, 0) / f.micro
    from forced_venue as f
    left join adl_venue as a on f.venue = a.venue
    union all
    select 'seconds_to_first_adl', a.venue, a.seconds - f.seconds
    from adl_venue as a
    inner join forced_venue as f on a.venue = f.venue
    union all
    select 'adl_assets', venue, count(distinct base_asset) from adl group by venue
    union all
    select 'adl_share_of_top_10', venue, sum(micro) filter (where place <= 10) / sum(micro)
    from adl_ranked
    group by venue
    union all
    select 'fund_change', f.venue, f.after_usd / nullif(b.before_usd, 0) - 1
    from fund as f
    inner join fund_before as b on f.venue = b.venue
)

select
    b.event,
    b.metric,
    b.subject,
    m.value,
    b.low,
    b.high,
    coalesce(m.value between b.low and b.high, false) as is_met,
    b.source
from scenario_band as b
left join metric as m on b.metric = m.metric and b.subject = m.subject
order by b.band_no;
