{{ config(meta={'dagster': {'ref': {'name': 'fct_exchange_share'}}}) }}
select *
from {{ ref('fct_exchange_share') }}
where venue = 'market'
