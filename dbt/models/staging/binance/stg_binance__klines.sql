-- USD-M: volume counts contract units (1000PEPE, ...) and quote_volume is quote currency.
-- COIN-M: volume counts contracts and the column headed quote_volume is the BASE coin (binance-public-data issue 267).
with klines as (
    select *, {{ interval_seconds('interval') }} as interval_seconds
    from {{ source('raw', 'binance_klines') }}
    {{ keep_latest(['venue', 'venue_symbol', 'interval', 'open_time'], ['close', 'volume', 'quote_volume']) }}
)

select
    klines.venue,
    klines.venue_symbol,
    instrument.base_asset,
    instrument.contract_type,
    klines.interval_seconds,
    'start' as period_label,
    klines.open_time as bar_start_at,
    klines.open / instrument.multiplier as open_price,
    klines.high / instrument.multiplier as high_price,
    klines.low / instrument.multiplier as low_price,
    klines.close / instrument.multiplier as close_price,
    klines.volume as contracts,
    case instrument.contract_type
        when 'linear' then klines.volume * instrument.contract_value * instrument.multiplier
        when 'inverse' then klines.quote_volume
    end as base_quantity,
    case instrument.contract_type
        when 'linear' then klines.quote_volume
        when 'inverse' then klines.volume * instrument.contract_value
    end as notional_usd,
    'quote_reported' as volume_basis,
    klines.completeness,
    klines.source_class,
    klines.source,
    klines.ingested_at
from klines
{{ join_instrument('klines', 'klines.open_time') }}
