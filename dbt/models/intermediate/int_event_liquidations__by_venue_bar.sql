{{ config(meta={'rests_on_days_around_events': true}) }}
-- What each venue liquidated in bars of one length for all, over the seven days before the window and the window. Of
-- two descriptions of one asset and day the one that days are summed over is taken. A venue that is known only by sums
-- over more than an hour has no bars, and contracts of no venue repeat what the venues report.
with liquidations as (
    select
        events.event_id,
        events.window_start_at,
        liquidations.venue,
        liquidations.event_at,
        liquidations.period_seconds,
        liquidations.notional_usd,
        liquidations.completeness,
        liquidations.source_class
    from {{ ref('int_liquidations__unioned') }} as liquidations
    inner join {{ ref('dim_event') }} as events
        on liquidations.event_at >= {{ add_seconds('events.window_start_at', -604800) }}
        and liquidations.event_at < events.window_end_at
    inner join {{ ref('int_liquidations__daily') }} as days
        on liquidations.venue = days.venue
        and liquidations.venue_symbol = days.venue_symbol
        and liquidations.base_asset is not distinct from days.base_asset
        and cast(liquidations.event_at as date) = days.liquidation_date
        and liquidations.feed = days.feed
        and liquidations.period_seconds = days.period_seconds
    where liquidations.venue <> 'market' and liquidations.period_seconds <= 3600
),

intervals as (
    select event_id, greatest(max(period_seconds), 60) as interval_seconds
    from liquidations
    group by event_id
),

barred as (
    select
        liquidations.*,
        intervals.interval_seconds,
        {{ floor_to_seconds('liquidations.event_at', 'intervals.interval_seconds') }} as bar_start_at
    from liquidations
    inner join intervals on liquidations.event_id = intervals.event_id
)

select
    event_id,
    venue,
    bar_start_at,
    interval_seconds,
    bar_start_at >= window_start_at as is_in_window,
    {{ usd_sum('notional_usd') }} as liquidated_usd,
    {{ weakest_completeness_agg('completeness') }} as completeness,
    {{ weakest_source_class_agg('source_class') }} as source_class
from barred
group by event_id, venue, bar_start_at, interval_seconds, bar_start_at >= window_start_at
