{{ config(meta={'dagster': {'ref': {'name': 'fct_liquidation_map'}}}) }}
-- Longs are liquidated below the price and shorts above it; a row's mean level lies in its bin.
select *
from {{ ref('fct_liquidation_map') }}
where (side = 'long' and liquidation_price >= reference_price)
    or (side = 'short' and liquidation_price <= reference_price)
    or liquidation_price < bin_low_price * (1 - 1e-9)
    or liquidation_price > bin_high_price * (1 + 1e-9)
