with klines as (
    select *, {{ interval_seconds('interval') }} as interval_seconds
    from {{ source('raw', 'binance_index_klines') }}
    {{ keep_latest(['venue', 'venue_symbol', 'interval', 'open_time'], ['close']) }}
)

select
    klines.venue,
    klines.venue_symbol,
    instrument.base_asset,
    klines.interval_seconds,
    'start' as period_label,
    klines.open_time as bar_start_at,
    klines.open / instrument.multiplier as open_price,
    klines.high / instrument.multiplier as high_price,
    klines.low / instrument.multiplier as low_price,
    klines.close / instrument.multiplier as close_price,
    klines.completeness,
    klines.source_class,
    klines.source,
    klines.ingested_at
from klines
{{ join_instrument('klines', 'klines.open_time') }}
