{{ config(meta={'dagster': {'ref': {'name': 'fct_exchange_share'}}}) }}
-- Over the covered venues of a period, shares of volume and of open interest each add up to 1.
select
    period_type,
    period_start,
    sum(share) as share_sum,
    sum(open_interest_share) as open_interest_share_sum
from {{ ref('fct_exchange_share') }}
group by period_type, period_start
having abs(sum(share) - 1) > 1e-9 or abs(sum(open_interest_share) - 1) > 1e-9
