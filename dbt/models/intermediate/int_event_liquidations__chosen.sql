{{ config(meta={'rests_on_days_around_events': true}) }}
-- Liquidations of event windows, of one feed per contract, with the bar that each falls into. Period sums are usable
-- only where a period is no longer than the bar.
with intervals as (
    select * from {{ ref('int_event_intervals__finest') }}
),

liquidations as (
    select
        events.event_id,
        liquidations.feed,
        liquidations.venue,
        liquidations.venue_symbol,
        liquidations.base_asset,
        liquidations.event_at,
        liquidations.period_seconds,
        liquidations.liquidated_side,
        liquidations.notional_usd,
        liquidations.completeness,
        liquidations.source_class,
        coalesce(intervals.interval_seconds, 60) as interval_seconds
    from {{ ref('int_liquidations__unioned') }} as liquidations
    inner join {{ ref('dim_event') }} as events
        on liquidations.event_at >= events.window_start_at
        and liquidations.event_at < events.window_end_at
    left join intervals
        on events.event_id = intervals.event_id
        and liquidations.venue = intervals.venue
        and liquidations.venue_symbol = intervals.venue_symbol
    where liquidations.period_seconds <= coalesce(intervals.interval_seconds, 60)
),

-- As for days: of two descriptions of one venue's contract the more complete, then the finer one.
feeds as (
    select
        event_id,
        venue,
        venue_symbol,
        feed,
        period_seconds,
        row_number() over (
            partition by event_id, venue, venue_symbol
            order by max({{ flag_rank('completeness', completeness_levels()) }}), period_seconds, feed
        ) as preference
    from liquidations
    group by event_id, venue, venue_symbol, feed, period_seconds
)

select
    liquidations.*,
    {{ floor_to_seconds('liquidations.event_at', 'liquidations.interval_seconds') }} as bar_start_at
from liquidations
inner join feeds
    on liquidations.event_id = feeds.event_id
    and liquidations.venue = feeds.venue
    and liquidations.venue_symbol = feeds.venue_symbol
    and liquidations.feed = feeds.feed
    and liquidations.period_seconds = feeds.period_seconds
where feeds.preference = 1
