{{ config(materialized='view') }}
-- Bars that an event can have touched: those that end after the shock began.
select
    bars.event_id,
    bars.venue,
    bars.venue_symbol,
    bars.bar_start_at,
    {{ add_seconds('bars.bar_start_at', 'bars.interval_seconds') }} as bar_end_at,
    bars.low_price,
    bars.close_price,
    bars.open_interest_usd,
    bars.pre_event_open_interest_usd,
    bars.liquidated_long_usd,
    bars.liquidated_short_usd,
    bars.adl_usd,
    bars.adl_haircut_usd,
    bars.funding_rate,
    bars.basis_bps,
    bars.depth_1pct_usd,
    bars.volume_usd
from {{ ref('fct_event_window') }} as bars
inner join {{ ref('dim_event') }} as events
    on bars.event_id = events.event_id
    and {{ add_seconds('bars.bar_start_at', 'bars.interval_seconds') }} > events.shock_at
