{{ config(meta={'dagster': {'ref': {'name': 'fct_event_summary'}}}) }}
-- A roll-up has every contract of its venues once: what was liquidated and deleveraged adds up, over venues and over
-- tiers, to the market.
with contracts as (
    select
        event_id,
        count(*) as contracts_covered,
        sum(liquidated_usd) as liquidated_usd,
        sum(adl_usd) as adl_usd
    from {{ ref('fct_event_summary') }}
    where scope = 'contract' and venue <> 'market'
    group by event_id
),

rollups as (
    select
        event_id,
        scope,
        sum(contracts_covered) as contracts_covered,
        sum(liquidated_usd) as liquidated_usd,
        sum(adl_usd) as adl_usd
    from {{ ref('fct_event_summary') }}
    where scope <> 'contract'
    group by event_id, scope
)

select rollups.*
from rollups
left join contracts on rollups.event_id = contracts.event_id
where contracts.event_id is null
    or rollups.contracts_covered <> contracts.contracts_covered
    or abs(coalesce(rollups.liquidated_usd, 0) - coalesce(contracts.liquidated_usd, 0))
    > 0.01 + 1e-9 * coalesce(contracts.liquidated_usd, 0)
    or abs(coalesce(rollups.adl_usd, 0) - coalesce(contracts.adl_usd, 0))
    > 0.01 + 1e-9 * coalesce(contracts.adl_usd, 0)
