{{ config(**with_days(utc_date('event_at'))) }}
with settlements as (
    select * replace (date_trunc('second', event_at) as event_at)
    from {{ source('raw', 'files_funding') }}
    {{ keep_latest(
        ['venue', 'venue_symbol', "date_trunc('second', event_at)"], ['event_at', 'funding_rate', 'source']
    ) }}
)

select
    venue,
    venue_symbol,
    base_asset,
    event_at,
    funding_rate,
    completeness,
    source_class,
    source,
    ingested_at
from settlements
