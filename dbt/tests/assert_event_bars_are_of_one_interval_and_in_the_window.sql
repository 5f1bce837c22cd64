{{ config(meta={'dagster': {'ref': {'name': 'fct_event_window'}}}) }}
select
    bars.event_id,
    bars.venue,
    bars.venue_symbol
from {{ ref('fct_event_window') }} as bars
inner join {{ ref('dim_event') }} as events on bars.event_id = events.event_id
group by bars.event_id, bars.venue, bars.venue_symbol
having min(bars.interval_seconds) <> max(bars.interval_seconds)
    or max(case when bars.bar_start_at >= events.window_end_at then 1 else 0 end) = 1
