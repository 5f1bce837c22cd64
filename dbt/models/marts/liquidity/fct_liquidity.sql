{{ config(**by_day(utc_date('hour_start_at'), {'int_depth__banded': [30, 0]})) }}
-- Hours of the book against their own past: the median of the 30 days before the hour, never the hour itself.
{%- set names = ['20bps', '1pct', '2pct', '3pct', '4pct', '5pct'] %}
{%- set series = ['venue', 'venue_symbol'] %}
with hours as (
    select
        venue,
        venue_symbol,
        max(base_asset) as base_asset,
        {{ floor_to_seconds('event_at', 3600) }} as hour_start_at,
        count(*) as snapshots,
        {%- for name in names %}
        {{ exact_median('depth_' ~ name ~ '_usd') }} as depth_{{ name }}_usd,
        {%- endfor %}
        {{ exact_median('bid_depth_1pct_usd') }} as bid_depth_1pct_usd,
        {{ exact_median('ask_depth_1pct_usd') }} as ask_depth_1pct_usd,
        min(depth_1pct_usd) as lowest_depth_1pct_usd,
        {{ exact_median('spread_bps') }} as spread_bps,
        {{ weakest_completeness_agg('completeness_left') }} as completeness,
        {{ weakest_source_class_agg('source_class') }} as source_class
    from {{ with_incidents(ref('int_depth__banded'), 'depth', utc_date('days.event_at')) }} as books
    where {{ times_needed('int_depth__banded', 'event_at') }}
    group by venue, venue_symbol, {{ floor_to_seconds('event_at', 3600) }}
),

numbered as (
    select
        *,
        {{ period_number('hour_start_at', 3600) }} as hour_number
    from hours
),

compared as (
    select
        *,
        count(depth_1pct_usd) over {{ trailing(series, 'hour_number', 720) }} as baseline_hours,
        {{ exact_median('depth_1pct_usd') }} over {{ trailing(series, 'hour_number', 720) }} as median_depth_1pct_usd
    from numbered
),

baselines as (
    select
        *,
        case when baseline_hours >= 24 then median_depth_1pct_usd end as routine_depth_1pct_usd
    from compared
)

select
    venue,
    venue_symbol,
    base_asset,
    hour_start_at,
    cast(snapshots as integer) as snapshots,
    {%- for name in names %}
    depth_{{ name }}_usd,
    {%- endfor %}
    bid_depth_1pct_usd,
    ask_depth_1pct_usd,
    lowest_depth_1pct_usd,
    spread_bps,
    routine_depth_1pct_usd,
    cast(baseline_hours as integer) as baseline_hours,
    1 - depth_1pct_usd / nullif(routine_depth_1pct_usd, 0) as depth_1pct_collapse,
    1 - lowest_depth_1pct_usd / nullif(routine_depth_1pct_usd, 0) as deepest_depth_1pct_collapse,
    completeness,
    source_class
from baselines
where {{ times_made('hour_start_at') }}
order by venue, venue_symbol, hour_start_at
