-- Tiers change slowly: a set of tiers holds until the next one of the same contract.
with tiers as (
    select *
    from {{ source('raw', 'files_leverage_tiers') }}
    {{ keep_latest(
        ['venue', 'venue_symbol', 'event_at', 'tier_number'],
        ['notional_floor_usd', 'notional_cap_usd', 'maintenance_rate', 'base_asset', 'source'],
    ) }}
),

validity as (
    select
        venue,
        venue_symbol,
        event_at,
        lead(event_at) over (partition by venue, venue_symbol order by event_at) as valid_to_at
    from (select distinct venue, venue_symbol, event_at from tiers) as sets
)

select
    tiers.venue,
    tiers.venue_symbol,
    tiers.base_asset,
    tiers.event_at as valid_from_at,
    validity.valid_to_at,
    tiers.tier_number,
    tiers.notional_floor_usd,
    tiers.notional_cap_usd,
    tiers.maintenance_rate,
    tiers.maintenance_amount_usd,
    tiers.max_leverage,
    tiers.completeness,
    tiers.source_class,
    tiers.source,
    tiers.ingested_at
from tiers
inner join validity
    on tiers.venue = validity.venue
    and tiers.venue_symbol = validity.venue_symbol
    and tiers.event_at = validity.event_at
