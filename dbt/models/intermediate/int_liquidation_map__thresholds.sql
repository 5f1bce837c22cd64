-- Price at which an isolated position is liquidated, as a multiple of its entry price. With leverage l, maintenance
-- rate m and a = maintenance amount / position value, margin + profit = maintenance margin gives
--     linear  long (1 - 1/l - a) / (1 - m)    short (1 + 1/l + a) / (1 + m)
--     inverse long (1 + m) / (1 + 1/l + a)    short (1 - m) / (1 - 1/l - a)
-- The tier is the one that the assumed position value falls in; leverage is capped at what the tier allows.
with contracts as (
    select distinct
        steps.venue,
        steps.venue_symbol,
        steps.map_date,
        steps.reference_price,
        moments.contract_type
    from {{ ref('int_liquidation_map__steps') }} as steps
    inner join {{ ref('int_liquidation_map__moments') }} as moments
        on steps.venue = moments.venue
        and steps.venue_symbol = moments.venue_symbol
        and steps.map_date = moments.map_date
),

tiered as (
    select
        contracts.venue,
        contracts.venue_symbol,
        contracts.map_date,
        contracts.contract_type,
        mix.leverage as assumed_leverage,
        mix.share,
        mix.position_usd,
        tiers.tier_symbol,
        tiers.maintenance_rate,
        coalesce(
            tiers.maintenance_amount_usd, tiers.maintenance_amount_base * contracts.reference_price, 0
        ) / nullif(mix.position_usd, 0) as amount_ratio,
        -- A venue that states no highest leverage asks, like most, for at least twice the maintenance margin at the
        -- start.
        least(mix.leverage, coalesce(tiers.max_leverage, 0.5 / nullif(tiers.maintenance_rate, 0))) as leverage,
        tiers.completeness,
        tiers.source_class,
        row_number() over (
            partition by contracts.venue, contracts.venue_symbol, contracts.map_date, mix.leverage
            order by
                coalesce(tiers.tier_floor_usd, tiers.tier_floor_base * contracts.reference_price) desc,
                tiers.tier_number
        ) as preference
    from contracts
    inner join {{ ref('int_leverage_tiers__valid') }} as tiers
        on contracts.venue = tiers.venue
        and contracts.venue_symbol = tiers.venue_symbol
        and contracts.map_date = tiers.map_date
    cross join {{ ref('leverage_mix') }} as mix
    where mix.position_usd >= coalesce(tiers.tier_floor_usd, tiers.tier_floor_base * contracts.reference_price)
),

sides as (
    select 'long' as side
    union all
    select 'short' as side
),

sided as (
    select
        tiered.*,
        sides.side,
        1 / tiered.leverage as margin_ratio,
        case when sides.side = 'long' then -1 else 1 end as direction
    from tiered
    cross join sides
    where tiered.preference = 1
),

thresholds as (
    select
        *,
        case
            when contract_type = 'linear'
                then (1 + direction * (margin_ratio + amount_ratio)) / (1 + direction * maintenance_rate)
            else (1 - direction * maintenance_rate) / nullif(1 - direction * (margin_ratio + amount_ratio), 0)
        end as level_ratio
    from sided
)

select
    venue,
    venue_symbol,
    map_date,
    side,
    assumed_leverage,
    leverage,
    share,
    tier_symbol,
    maintenance_rate,
    level_ratio,
    completeness,
    source_class
from thresholds
-- A long without a level above zero, or a short without a finite one, cannot be liquidated; a level on the wrong side
-- of the entry means terms under which the position could not have been opened.
where (side = 'long' and level_ratio > 0 and level_ratio < 1) or (side = 'short' and level_ratio > 1)
