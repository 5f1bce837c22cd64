{{ config(**by_day('partition_date', {'raw.premium_klines': [0, 0]}, terms='stg_reference__instruments')) }}
-- A fraction, so neither the multiplier nor a unit applies.
with klines as (
    select *
    from {{ raw_rows('premium_klines') }}
    {{ keep_latest(['venue_symbol', 'open_time', 'interval_seconds', 'venue', 'feed'], ['close', 'open']) }}
)

select
    klines.feed,
    klines.product,
    klines.venue,
    klines.venue_symbol,
    instrument.base_asset,
    klines.interval_seconds,
    'start' as period_label,
    klines.open_time as bar_start_at,
    klines.open as open_premium,
    klines.high as high_premium,
    klines.low as low_premium,
    klines.close as close_premium,
    klines.completeness,
    klines.source_class,
    klines.source,
    klines.ingested_at,
    klines.date as partition_date
from klines
{{ join_instrument('klines', 'klines.open_time') }}
