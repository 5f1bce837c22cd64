{{ config(meta={'dagster': {'ref': {'name': 'fct_liquidation_tax'}}}) }}
select *
from {{ ref('fct_liquidation_tax') }}
where abs(liquidated_long_usd + liquidated_short_usd - liquidated_usd) > 0.01 + 1e-9 * liquidated_usd
    or (liquidated_usd is null) <> (liquidated_long_usd is null)
    or (liquidated_usd is null) <> (volume_usd is null)
