{{ config(meta={'dagster': {'ref': {'name': 'fct_reconciliation'}}}) }}
select *
from {{ ref('fct_reconciliation') }}
where (days_covered < days_needed or completeness = 'partial' or computed_value is null)
    and status <> 'not_computable'
