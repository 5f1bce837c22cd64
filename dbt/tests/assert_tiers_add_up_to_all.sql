{{ config(meta={'dagster': {'ref': {'name': 'fct_liquidation_tax'}}}) }}
-- Tier `all` is the sum of the tiers, in the numerator and in the denominator.
select
    venue,
    tax_date
from {{ ref('fct_liquidation_tax') }}
group by venue, tax_date
having
    abs(
        coalesce(sum(case when tier = 'all' then liquidated_usd end), 0)
        - coalesce(sum(case when tier <> 'all' then liquidated_usd end), 0)
    ) > 0.01 + 1e-9 * sum(liquidated_usd)
    or abs(
        coalesce(sum(case when tier = 'all' then volume_usd end), 0)
        - coalesce(sum(case when tier <> 'all' then volume_usd end), 0)
    ) > 0.01 + 1e-9 * sum(volume_usd)
