{{ config(**by_day('partition_date', {'raw.reference_klines': [0, 0]}, terms='stg_reference__instruments')) }}
with klines as (
    select *
    from {{ raw_rows('reference_klines') }}
    {{ keep_latest(
        ['venue_symbol', 'open_time', 'price_kind', 'interval_seconds', 'venue', 'feed'], ['close', 'open']
    ) }}
)

select
    klines.feed,
    klines.product,
    klines.venue,
    klines.venue_symbol,
    instrument.base_asset,
    klines.price_kind,
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
    klines.ingested_at,
    klines.date as partition_date
from klines
{{ join_instrument('klines', 'klines.open_time') }}
