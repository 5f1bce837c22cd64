with clusters as (
    select *
    from {{ source('raw', 'files_adl') }}
    {{ keep_latest(
        ['venue', 'venue_symbol', 'event_at'], ['adl_usd', 'haircut_usd', 'deficit_usd', 'base_asset', 'source']
    ) }}
)

select
    venue,
    venue_symbol,
    base_asset,
    event_at,
    adl_usd,
    haircut_usd as adl_haircut_usd,
    deficit_usd,
    completeness,
    source_class,
    source,
    ingested_at
from clusters
