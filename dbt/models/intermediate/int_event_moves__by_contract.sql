{{ config(meta={'rests_on_days_around_events': true}) }}
-- How far each contract fell: the low after the event began against the last close before it, over the finest interval
-- of the contract in the window.
with window_bars as (
    select
        events.event_id,
        events.shock_at,
        bars.*,
        min(bars.interval_seconds) over (partition by events.event_id, bars.venue, bars.venue_symbol) as finest_seconds
    from {{ ref('int_bars__unioned') }} as bars
    inner join {{ ref('stg_reference__events') }} as events
        on bars.bar_start_at >= events.window_start_at
        and bars.bar_start_at < events.window_end_at
    where bars.interval_seconds <= 86400
),

lows as (
    select
        event_id,
        venue,
        venue_symbol,
        max(base_asset) as base_asset,
        max(interval_seconds) as interval_seconds,
        min(case when bar_end_at > shock_at then low_price end) as low_price,
        count(*) * max(interval_seconds) as covered_seconds,
        {{ usd_sum('notional_usd') }} as volume_usd,
        {{ weakest_completeness_agg('completeness') }} as completeness,
        {{ weakest_source_class_agg('source_class') }} as source_class
    from window_bars
    where interval_seconds = finest_seconds
    group by event_id, venue, venue_symbol
),

pre_event_ranks as (
    select
        events.event_id,
        bars.venue,
        bars.venue_symbol,
        bars.close_price,
        bars.bar_end_at,
        row_number() over (
            partition by events.event_id, bars.venue, bars.venue_symbol
            order by bars.bar_end_at desc, bars.interval_seconds
        ) as preference
    from {{ ref('int_bars__unioned') }} as bars
    inner join {{ ref('stg_reference__events') }} as events
        on bars.bar_end_at <= events.pre_event_at
        and bars.bar_end_at > {{ add_seconds('events.pre_event_at', -86400) }}
)

select
    lows.event_id,
    lows.venue,
    lows.venue_symbol,
    lows.base_asset,
    lows.interval_seconds,
    pre_event.close_price as pre_event_price,
    pre_event.bar_end_at as pre_event_price_at,
    lows.low_price,
    lows.low_price / pre_event.close_price - 1 as low_move_from_pre_event,
    lows.covered_seconds,
    lows.volume_usd,
    lows.completeness,
    lows.source_class
from lows
left join pre_event_ranks as pre_event
    on lows.event_id = pre_event.event_id
    and lows.venue = pre_event.venue
    and lows.venue_symbol = pre_event.venue_symbol
    and pre_event.preference = 1
