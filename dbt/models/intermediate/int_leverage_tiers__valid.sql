-- The margin tiers that a venue applied at the moment of a map: of the contract itself (the venue's own answer, a file,
-- another feed), else, for linear contracts, of a file's contract on the same asset, since files name contracts their
-- own way: the one with the mildest terms (lowest first rate, highest leverage), as the main contract of an asset has.
with sets as (
    select
        feed,
        venue,
        venue_symbol,
        base_asset,
        valid_from_at,
        valid_to_at,
        tier_number,
        tier_floor_usd,
        tier_floor_base,
        maintenance_rate,
        maintenance_amount_usd,
        maintenance_amount_base,
        coalesce(max_leverage, 1 / nullif(initial_rate, 0)) as max_leverage,
        completeness,
        source_class
    from {{ ref('stg_venues__leverage_tiers') }}
    union all
    select
        'files' as feed,
        venue,
        venue_symbol,
        base_asset,
        valid_from_at,
        valid_to_at,
        tier_number,
        notional_floor_usd as tier_floor_usd,
        cast(null as double) as tier_floor_base,
        maintenance_rate,
        maintenance_amount_usd,
        cast(null as double) as maintenance_amount_base,
        max_leverage,
        completeness,
        source_class
    from {{ ref('stg_files__leverage_tiers') }}
),

candidates as (
    select
        moments.venue,
        moments.venue_symbol,
        moments.map_date,
        sets.feed,
        sets.venue_symbol as tier_symbol,
        sets.valid_from_at,
        sets.tier_number,
        sets.tier_floor_usd,
        sets.tier_floor_base,
        sets.maintenance_rate,
        sets.maintenance_amount_usd,
        sets.maintenance_amount_base,
        sets.max_leverage,
        sets.completeness,
        sets.source_class,
        case
            when moments.venue_symbol <> sets.venue_symbol then 4
            when sets.feed = sets.venue then 1
            when sets.feed = 'files' then 2
            else 3
        end as preference,
        min(sets.maintenance_rate) over (
            partition by moments.venue, moments.venue_symbol, moments.map_date, sets.feed, sets.venue_symbol
        ) as first_rate,
        max(sets.max_leverage) over (
            partition by moments.venue, moments.venue_symbol, moments.map_date, sets.feed, sets.venue_symbol
        ) as first_leverage
    from {{ ref('int_liquidation_map__moments') }} as moments
    inner join sets
        on moments.venue = sets.venue
        and moments.as_of_at >= sets.valid_from_at
        and (sets.valid_to_at is null or moments.as_of_at < sets.valid_to_at)
        and (
            moments.venue_symbol = sets.venue_symbol
            or (sets.feed = 'files' and moments.contract_type = 'linear' and moments.base_asset = sets.base_asset)
        )
),

ranked as (
    select
        *,
        dense_rank() over (
            partition by venue, venue_symbol, map_date
            order by preference, first_rate, coalesce(first_leverage, 0) desc, feed, tier_symbol
        ) as set_rank
    from candidates
)

select
    venue,
    venue_symbol,
    map_date,
    tier_symbol,
    valid_from_at,
    tier_number,
    tier_floor_usd,
    tier_floor_base,
    maintenance_rate,
    maintenance_amount_usd,
    maintenance_amount_base,
    max_leverage,
    completeness,
    source_class
from ranked
where set_rank = 1
