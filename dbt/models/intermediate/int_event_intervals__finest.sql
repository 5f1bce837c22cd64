{{ config(meta={'rests_on_days_around_events': true}) }}
-- Within a bar of a day all phases would be one; with bars below a minute a window would be millions of rows.
select
    events.event_id,
    bars.venue,
    bars.venue_symbol,
    max(bars.base_asset) as base_asset,
    min(bars.interval_seconds) as interval_seconds
from {{ ref('int_bars__unioned') }} as bars
inner join {{ ref('dim_event') }} as events
    on bars.bar_start_at >= events.window_start_at
    and bars.bar_start_at < events.window_end_at
where bars.interval_seconds between 60 and 3600
group by events.event_id, bars.venue, bars.venue_symbol
