-- The venue sums both sides of every position, so the value is halved. Linear reports base units (no USD: the price is
-- joined in int_open_interest__observed), inverse reports USD.
with observations as (
    select *, {{ interval_seconds('interval') }} as period_seconds, open_interest / 2 as one_sided
    from {{ source('raw', 'bybit_open_interest') }}
    {{ keep_latest(['venue', 'venue_symbol', 'interval', 'timestamp'], ['open_interest']) }}
)

select
    observations.venue,
    observations.venue_symbol,
    instrument.base_asset,
    instrument.contract_type,
    observations.timestamp as event_at,
    observations.period_seconds,
    coalesce(feed.value, 'end') as period_label,
    observations.one_sided as contracts,
    case instrument.contract_type
        when 'linear' then observations.one_sided * instrument.contract_value * instrument.multiplier
    end as base_quantity,
    case instrument.contract_type
        when 'inverse' then observations.one_sided * instrument.contract_value
    end as notional_usd,
    'both' as oi_sidedness,
    observations.completeness,
    observations.source_class,
    observations.source,
    observations.ingested_at
from observations
{{ join_instrument('observations', 'observations.timestamp') }}
{{ join_feed('observations', 'observations.timestamp', 'open_interest', 'period_label', 'feed') }}
