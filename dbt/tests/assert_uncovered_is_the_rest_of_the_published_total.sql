{{ config(meta={'dagster': {'ref': {'name': 'fct_exchange_share'}}}) }}
-- The covered venues and the rest are the published total, and each covered period with one has exactly one rest.
select
    period_type,
    period_start
from {{ ref('fct_exchange_share') }}
where published_total_usd is not null
group by period_type, period_start
having count(case when venue <> 'uncovered' then volume_usd end) > 0
    and (
        sum(case when venue = 'uncovered' then 1 else 0 end) <> 1
        or (
            count(case when venue = 'uncovered' then volume_usd end) = 1
            and abs(sum(volume_usd) - max(published_total_usd)) > 1e-9 * max(published_total_usd)
        )
    )
