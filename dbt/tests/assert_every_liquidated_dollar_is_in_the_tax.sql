{{ config(meta={'dagster': {'ref': {'name': 'fct_liquidation_tax'}}}) }}
-- Matched and unmatched liquidations of a venue and day are all its liquidations: nothing vanishes for want of volume.
with tax as (
    select
        venue,
        tax_date,
        coalesce(liquidated_usd, 0) + unmatched_liquidated_usd as liquidated_usd
    from {{ ref('fct_liquidation_tax') }}
    where tier = 'all' and venue <> 'market'
),

liquidations as (
    select
        venue,
        liquidation_date,
        sum(liquidated_usd) as liquidated_usd
    from {{ ref('int_liquidations__daily') }}
    where venue <> 'market'
    group by venue, liquidation_date
)

select liquidations.*
from liquidations
left join tax
    on liquidations.venue = tax.venue
    and liquidations.liquidation_date = tax.tax_date
where abs(liquidations.liquidated_usd - coalesce(tax.liquidated_usd, -1)) > 0.01 + 1e-9 * liquidations.liquidated_usd
