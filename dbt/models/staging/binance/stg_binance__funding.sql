-- Settlement stamps carry a jitter of milliseconds (..001); the second is the natural key.
with settlements as (
    select *, date_trunc('second', funding_time) as event_at
    from {{ source('raw', 'binance_funding') }}
    {{ keep_latest(['venue', 'venue_symbol', "date_trunc('second', funding_time)"], ['funding_time', 'funding_rate']) }}
)

select
    settlements.venue,
    settlements.venue_symbol,
    instrument.base_asset,
    settlements.event_at,
    settlements.funding_rate,
    settlements.mark_price / instrument.multiplier as mark_price,
    settlements.completeness,
    settlements.source_class,
    settlements.source,
    settlements.ingested_at
from settlements
{{ join_instrument('settlements', 'settlements.event_at') }}
