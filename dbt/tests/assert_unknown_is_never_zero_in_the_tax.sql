{{ config(meta={'dagster': {'ref': {'name': 'fct_liquidation_tax'}}}) }}
-- Without volume there is no tax, and without open interest there is no tax on it.
select *
from {{ ref('fct_liquidation_tax') }}
where (coalesce(volume_usd, 0) = 0 and tax_bps is not null)
    or (coalesce(open_interest_usd, 0) = 0 and tax_oi_bps is not null)
    or (base_assets_covered = 0 and liquidated_usd is not null)
    or (routine_tax_bps is null and regime is not null)
