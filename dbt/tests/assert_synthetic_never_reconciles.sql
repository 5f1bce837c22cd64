{{ config(meta={'dagster': {'ref': {'name': 'fct_reconciliation'}}}) }}
-- The sample was calibrated to the published figures, so its agreement with them is no evidence.
select *
from {{ ref('fct_reconciliation') }}
where source_class = 'synthetic' and status <> 'not_computable'
