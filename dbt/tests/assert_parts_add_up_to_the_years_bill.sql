{{ config(meta={'dagster': {'ref': {'name': 'fct_tax_concentration'}}}) }}
-- What is routine, above routine and unclassified is the bill, and the days of the regimes are the days covered.
select *
from {{ ref('fct_tax_concentration') }}
where abs(coalesce(routine_usd, 0) + coalesce(over_routine_usd, 0) + unclassified_usd - liquidated_usd)
    > 0.01 + 1e-9 * liquidated_usd
    or routine_days + elevated_days + stress_days + unclassified_days <> days_covered
