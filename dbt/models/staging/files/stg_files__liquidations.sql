{{ config(**with_days(utc_date('event_at'))) }}
-- Period sums: the latest received value of a period replaces earlier ones. Single events: the n-th repeat within a
-- delivery is kept once. The feed a venue is known to have caps what a file of its liquidations may claim.
with occurrences as (
    select
        *,
        case when period_seconds = 0 then notional_usd end as event_notional_usd,
        case when period_seconds = 0 then base_quantity end as event_base_quantity,
        case
            when period_seconds = 0
                then
                    row_number() over (
                        partition by
                            venue, venue_symbol, event_at, period_seconds, liquidated_side, notional_usd,
                            base_quantity, landing_path
                        order by ingested_at
                    )
            else 1
        end as occurrence
    from {{ source('raw', 'files_liquidations') }}
),

liquidations as (
    select *
    from occurrences
    {{ keep_latest(
        [
            'venue', 'venue_symbol', 'event_at', 'period_seconds', 'liquidated_side', 'event_notional_usd',
            'event_base_quantity', 'occurrence',
        ],
        ['notional_usd', 'base_quantity', 'source'],
    ) }}
)

select
    liquidations.venue,
    liquidations.venue_symbol,
    liquidations.base_asset,
    liquidations.contract_type,
    liquidations.event_at,
    row_number() over (
        partition by liquidations.venue, liquidations.venue_symbol, liquidations.event_at
        order by
            liquidations.period_seconds, liquidations.liquidated_side, liquidations.notional_usd,
            liquidations.base_quantity, liquidations.occurrence
    ) as event_index,
    liquidations.period_seconds,
    liquidations.liquidated_side,
    cast(null as double) as contracts,
    liquidations.base_quantity,
    liquidations.notional_usd,
    coalesce(liquidations.price_basis, basis.value) as price_basis,
    {{ weakest_completeness(['liquidations.completeness', 'feed.value']) }} as completeness,
    liquidations.source_class,
    liquidations.source,
    liquidations.ingested_at
from liquidations
{{ join_feed('liquidations', 'liquidations.event_at', 'liquidations', 'completeness', 'feed') }}
{{ join_feed('liquidations', 'liquidations.event_at', 'liquidations', 'price_basis', 'basis') }}
