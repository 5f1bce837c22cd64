-- What was observed, with the seed's terms of the last validity interval. The seed alone makes no row: it names
-- contracts of the sample too, some of them in a plain style that is not the venue's own.
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

-- The last tier that the asset's volume gave it: the day after it last traded, whatever contract it traded in.
tier_ranks as (
    select
        base_asset,
        tier,
        tier_basis,
        tier_date,
        row_number() over (partition by base_asset order by tier_date desc) as preference
    from {{ ref('int_asset_tiers__daily') }}
)

select
    observed.venue,
    observed.venue_symbol,
    observed.base_asset,
    coalesce(tiers.tier, listed_tiers.tier, 'tail') as tier,
    coalesce(tiers.tier_basis, 'fixed_list') as tier_basis,
    tiers.tier_date,
    coalesce(tiers.tier_basis, 'fixed_list') = 'fixed_list' and listed_tiers.tier is null as is_tier_default,
    coalesce(observed_types.contract_type, listed.contract_type) as contract_type,
    coalesce(listed.multiplier, 1) as multiplier,
    listed.contract_value,
    listed.quote_asset,
    listed.venue is not null as is_listed,
    observed.first_seen_date,
    observed.last_seen_date,
    observed.completeness,
    observed.source_class
from {{ ref('int_contracts__observed') }} as observed
left join listed on observed.venue = listed.venue and observed.venue_symbol = listed.venue_symbol
left join observed_types
    on observed.venue = observed_types.venue and observed.venue_symbol = observed_types.venue_symbol
left join tier_ranks as tiers
    on observed.base_asset = tiers.base_asset
    and tiers.preference = 1
left join {{ ref('asset_tiers') }} as listed_tiers on observed.base_asset = listed_tiers.base_asset
order by observed.venue, observed.venue_symbol
