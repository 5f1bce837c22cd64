-- USD-M reports base units and USD. COIN-M reports contracts and, under the name of a value, the BASE coin.
with observations as (
    select *, {{ interval_seconds('period') }} as period_seconds
    from {{ source('raw', 'binance_open_interest') }}
    {{ keep_latest(
        ['venue', 'venue_symbol', 'period', 'timestamp'], ['sum_open_interest', 'sum_open_interest_value']
    ) }}
)

select
    observations.venue,
    observations.venue_symbol,
    instrument.base_asset,
    instrument.contract_type,
    observations.timestamp as event_at,
    observations.period_seconds,
    coalesce(feed.value, 'end') as period_label,
    observations.sum_open_interest as contracts,
    case instrument.contract_type
        when 'linear' then observations.sum_open_interest * instrument.contract_value * instrument.multiplier
        when 'inverse' then observations.sum_open_interest_value
    end as base_quantity,
    case instrument.contract_type
        when 'linear' then observations.sum_open_interest_value
        when 'inverse' then observations.sum_open_interest * instrument.contract_value
    end as notional_usd,
    'one' as oi_sidedness,
    observations.completeness,
    observations.source_class,
    observations.source,
    observations.ingested_at
from observations
{{ join_instrument('observations', 'observations.timestamp') }}
{{ join_feed('observations', 'observations.timestamp', 'open_interest', 'period_label', 'feed') }}
