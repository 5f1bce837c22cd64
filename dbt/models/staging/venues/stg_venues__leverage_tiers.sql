-- Tiers change slowly: a set of tiers holds until the next one of the same contract. Bounds are known in what the venue
-- counts and where that alone tells: contracts of a linear contract are base assets, of an inverse one USD. USD of a
-- linear contract whose bounds are contracts, or of bounds in the base coin, would need a price and is left open.
{%- set fields = ['tier_floor', 'maintenance_amount'] %}
with units as ({{ units_of('leverage_tiers', fields) }}),

tiers as (
    select *
    from {{ source('raw', 'leverage_tiers') }}
    {{ keep_latest(
        ['venue_symbol', 'event_at', 'tier_number', 'venue', 'feed'], ['tier_floor', 'tier_cap', 'maintenance_rate']
    ) }}
),

validity as (
    select
        feed,
        venue,
        venue_symbol,
        event_at,
        lead(event_at) over (partition by feed, venue, venue_symbol order by event_at) as valid_to_at
    from (select distinct feed, venue, venue_symbol, event_at from tiers) as sets
)

select
    tiers.feed,
    tiers.product,
    tiers.venue,
    tiers.venue_symbol,
    instrument.base_asset,
    instrument.contract_type,
    tiers.event_at as valid_from_at,
    validity.valid_to_at,
    tiers.tier_number,
    {%- for bound in ['tier_floor', 'tier_cap'] %}
    case when units.tier_floor_counts = 'contracts' then tiers.{{ bound }} end as {{ bound }}_contracts,
    case
        when units.tier_floor_counts = 'base' then tiers.{{ bound }} * instrument.multiplier
        when units.tier_floor_counts = 'contracts' and instrument.contract_type = 'linear'
            then tiers.{{ bound }} * instrument.contract_value * instrument.multiplier
    end as {{ bound }}_base,
    case
        when units.tier_floor_counts = 'usd' or (units.tier_floor_counts = 'quote' and instrument.is_usd_quoted)
            then tiers.{{ bound }}
        when units.tier_floor_counts = 'contracts' and instrument.contract_type = 'inverse'
            then tiers.{{ bound }} * instrument.contract_value
    end as {{ bound }}_usd,
    {%- endfor %}
    tiers.maintenance_rate,
    {{ in_usd('tiers', ['maintenance_amount']) }} as maintenance_amount_usd,
    case
        when units.maintenance_amount_counts = 'base' then tiers.maintenance_amount * instrument.multiplier
    end as maintenance_amount_base,
    tiers.initial_rate,
    tiers.max_leverage,
    tiers.completeness,
    tiers.source_class,
    tiers.source,
    tiers.ingested_at,
    tiers.date as partition_date
from tiers
inner join validity
    on tiers.feed = validity.feed
    and tiers.venue = validity.venue
    and tiers.venue_symbol = validity.venue_symbol
    and tiers.event_at = validity.event_at
{{ join_instrument('tiers', 'tiers.event_at') }}
{{ join_units('tiers', 'tiers.event_at') }}
