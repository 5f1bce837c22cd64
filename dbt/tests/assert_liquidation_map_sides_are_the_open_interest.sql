{{ config(meta={'dagster': {'ref': {'name': 'fct_liquidation_map'}}}) }}
-- Every contract of a map has as many longs as shorts, and of each no more than its open interest, to a thousandth of a
-- basis point. Less is possible only where a leverage of the mix has no level on that side.
with sides as (
    select
        venue,
        venue_symbol,
        map_date,
        max(open_interest_usd) as open_interest_usd,
        sum(case when side = 'long' then notional_usd else 0 end) as long_usd,
        sum(case when side = 'short' then notional_usd else 0 end) as short_usd
    from {{ ref('fct_liquidation_map') }}
    group by venue, venue_symbol, map_date
)

select *
from sides
where long_usd > open_interest_usd * (1 + 1e-7) + 0.01
    or short_usd > open_interest_usd * (1 + 1e-7) + 0.01
    or abs(long_usd - short_usd) > open_interest_usd * 1e-7 + 0.01
