{{ config(**with_days(utc_date('event_at'))) }}
-- Both-sided files are halved, as every venue's feed is.
with observations as (
    select *, case oi_sidedness when 'both' then 2 else 1 end as sides
    from {{ source('raw', 'files_open_interest') }}
    {{ keep_latest(['venue', 'venue_symbol', 'event_at'], ['notional_usd', 'base_asset', 'source']) }}
)

select
    venue,
    venue_symbol,
    base_asset,
    contract_type,
    event_at,
    cast(null as bigint) as period_seconds,
    'end' as period_label,
    cast(null as double) as contracts,
    base_quantity / sides as base_quantity,
    notional_usd / sides as notional_usd,
    oi_sidedness,
    completeness,
    source_class,
    source,
    ingested_at
from observations
