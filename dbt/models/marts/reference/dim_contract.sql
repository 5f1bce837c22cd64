-- Seed terms of the last validity interval, joined with what was observed; a contract known to either has a row.
with terms as (
    select
        *,
        row_number() over (partition by venue, venue_symbol order by valid_from_at desc) as preference
    from {{ ref('stg_reference__instruments') }}
),

listed as (
    select * from terms
    where preference = 1
),

observed_types as (
    select venue, venue_symbol, max(contract_type) as contract_type
    from (
        select venue, venue_symbol, contract_type from {{ ref('int_volume__daily') }}
        union all
        select venue, venue_symbol, contract_type from {{ ref('int_open_interest__daily') }}
        union all
        select venue, venue_symbol, contract_type from {{ ref('int_liquidations__daily') }}
    ) as typed
    group by venue, venue_symbol
),

names as (
    select venue, venue_symbol from listed
    union distinct
    select venue, venue_symbol from {{ ref('int_contracts__observed') }}
)

select
    names.venue,
    names.venue_symbol,
    coalesce(observed.base_asset, listed.base_asset) as base_asset,
    coalesce(tiers.tier, 'tail') as tier,
    tiers.tier is null as is_tier_default,
    coalesce(observed_types.contract_type, listed.contract_type) as contract_type,
    coalesce(listed.multiplier, 1) as multiplier,
    listed.contract_value,
    listed.quote_asset,
    listed.venue is not null as is_listed,
    observed.first_seen_date,
    observed.last_seen_date,
    coalesce(observed.completeness, 'complete') as completeness,
    coalesce(observed.source_class, 'published') as source_class
from names
left join listed on names.venue = listed.venue and names.venue_symbol = listed.venue_symbol
left join {{ ref('int_contracts__observed') }} as observed
    on names.venue = observed.venue and names.venue_symbol = observed.venue_symbol
left join observed_types
    on names.venue = observed_types.venue and names.venue_symbol = observed_types.venue_symbol
left join {{ ref('asset_tiers') }} as tiers
    on coalesce(observed.base_asset, listed.base_asset) = tiers.base_asset
order by names.venue, names.venue_symbol
