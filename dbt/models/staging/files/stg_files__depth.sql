{{ config(**with_days(utc_date('event_at'))) }}
with snapshots as (
    select *
    from {{ source('raw', 'files_depth') }}
    {{ keep_latest(['venue', 'venue_symbol', 'event_at', 'side', 'band_bps'], ['depth_usd', 'base_asset', 'source']) }}
)

select
    venue,
    venue_symbol,
    base_asset,
    event_at,
    side,
    band_bps,
    depth_usd,
    completeness,
    source_class,
    source,
    ingested_at
from snapshots
