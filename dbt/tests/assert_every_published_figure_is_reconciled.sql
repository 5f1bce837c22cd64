{{ config(meta={'dagster': {'ref': {'name': 'fct_reconciliation'}}}) }}
-- Each figure of the seed has a verdict.
select figures.figure_id
from {{ ref('published_figures') }} as figures
left join {{ ref('fct_reconciliation') }} as reconciled on figures.figure_id = reconciled.figure_id
where reconciled.status is null
