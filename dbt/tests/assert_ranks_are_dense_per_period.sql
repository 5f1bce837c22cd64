{{ config(meta={'dagster': {'ref': {'name': 'fct_exchange_share'}}}) }}
-- Ranks run from 1 to the number of covered venues, each once.
select
    period_type,
    period_start
from {{ ref('fct_exchange_share') }}
where rank is not null
group by period_type, period_start
having min(rank) <> 1 or max(rank) <> count(*) or count(distinct rank) <> count(*) or max(venues_covered) <> count(*)
