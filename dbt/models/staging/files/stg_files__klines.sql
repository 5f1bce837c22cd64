{{ config(**with_days(utc_date('bar_start_at'))) }}
-- Files without quote volume: USD volume is derived as base quantity x typical price (high + low + close) / 3, and
-- says so.
with klines as (
    select *
    from {{ source('raw', 'files_klines') }}
    {{ keep_latest(
        ['venue', 'venue_symbol', 'price_kind', 'interval_seconds', 'open_time'],
        ['close', 'base_quantity', 'notional_usd', 'base_asset', 'source'],
    ) }}
)

select
    venue,
    venue_symbol,
    base_asset,
    contract_type,
    price_kind,
    interval_seconds,
    'start' as period_label,
    open_time as bar_start_at,
    open as open_price,
    high as high_price,
    low as low_price,
    close as close_price,
    cast(null as double) as contracts,
    base_quantity,
    coalesce(notional_usd, base_quantity * (high + low + close) / 3) as notional_usd,
    case
        when notional_usd is not null then 'quote_reported'
        when base_quantity is not null then 'derived_from_base'
    end as volume_basis,
    completeness,
    source_class,
    source,
    ingested_at
from klines
