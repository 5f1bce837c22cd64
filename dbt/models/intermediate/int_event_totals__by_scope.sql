-- The least sum of open interest and of depth that a scope's contracts had at one time. Each contract counts with its
-- last known value, from the one before the event on; a contract without a value before, or without one after, is left
-- out, so that the same contracts are compared.
{%- set measures = [
    ('open_interest', 'open_interest_usd', 'pre_event_open_interest_usd'),
    ('depth', 'depth_1pct_usd', 'depth_before_usd'),
] %}
with depth_before as (
    -- One snapshot may be any; an hour's mean is what was there.
    select
        bars.event_id,
        bars.venue,
        bars.venue_symbol,
        {{ usd_sum('bars.depth_1pct_usd') }} / count(bars.depth_1pct_usd) as depth_before_usd
    from {{ ref('fct_event_window') }} as bars
    inner join {{ ref('dim_event') }} as events
        on bars.event_id = events.event_id
        and {{ add_seconds('bars.bar_start_at', 'bars.interval_seconds') }} <= events.pre_event_at
        and {{ add_seconds('bars.bar_start_at', 'bars.interval_seconds + 3600') }} > events.pre_event_at
    where bars.depth_1pct_usd is not null
    group by bars.event_id, bars.venue, bars.venue_symbol
),

bars as (
    select
        bars.*,
        depth_before.depth_before_usd
    from {{ ref('int_event_bars__after_shock') }} as bars
    left join depth_before
        on bars.event_id = depth_before.event_id
        and bars.venue = depth_before.venue
        and bars.venue_symbol = depth_before.venue_symbol
),

members as (
    select scope_number, event_id, venue, venue_symbol from {{ ref('int_event_scopes__members') }}
),
{% for measure, value, before in measures %}
{{ measure }}_steps as (
    select
        event_id,
        venue,
        venue_symbol,
        bar_end_at,
        cast({{ before }} as decimal(38, 6)) as before_usd,
        cast({{ value }} as decimal(38, 6)) - coalesce(
            lag(cast({{ value }} as decimal(38, 6))) over (
                partition by event_id, venue, venue_symbol order by bar_end_at
            ),
            cast({{ before }} as decimal(38, 6))
        ) as step_usd,
        row_number() over (partition by event_id, venue, venue_symbol order by bar_end_at) as step_number
    from bars
    where {{ value }} is not null and {{ before }} is not null
),

{{ measure }}_times as (
    select
        members.scope_number,
        steps.bar_end_at,
        sum(case when steps.step_number = 1 then steps.before_usd else 0 end) as before_usd,
        sum(case when steps.step_number = 1 then 1 else 0 end) as contracts_covered,
        sum(steps.step_usd) as step_usd
    from {{ measure }}_steps as steps
    inner join members
        on steps.event_id = members.event_id
        and steps.venue = members.venue
        and steps.venue_symbol = members.venue_symbol
    where steps.step_number = 1 or steps.step_usd <> 0
    group by members.scope_number, steps.bar_end_at
),

{{ measure }}_levels as (
    select
        scope_number,
        before_usd,
        contracts_covered,
        sum(step_usd) over (partition by scope_number order by bar_end_at) as change_usd
    from {{ measure }}_times
),

{{ measure }}_troughs as (
    select
        scope_number,
        sum(contracts_covered) as contracts_covered,
        cast(sum(before_usd) as double) as before_usd,
        cast(sum(before_usd) + min(change_usd) as double) as trough_usd
    from {{ measure }}_levels
    group by scope_number
),
{% endfor %}
scopes as (
    select distinct scope_number from members
)

select
    scopes.scope_number,
    open_interest_troughs.contracts_covered as open_interest_contracts,
    open_interest_troughs.before_usd as open_interest_before_usd,
    open_interest_troughs.trough_usd as open_interest_trough_usd,
    depth_troughs.contracts_covered as depth_contracts,
    depth_troughs.before_usd as depth_before_usd,
    depth_troughs.trough_usd as depth_trough_usd
from scopes
left join open_interest_troughs on scopes.scope_number = open_interest_troughs.scope_number
left join depth_troughs on scopes.scope_number = depth_troughs.scope_number
