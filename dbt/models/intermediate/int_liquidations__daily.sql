{{ config(**by_day('liquidation_date', {
    'stg_venues__liquidations': [1, 1], 'stg_venues__liquidation_sums': [1, 1], 'stg_files__liquidations': [0, 0],
})) }}
-- A venue may be described twice (its own stream and a file of daily sums). Per venue, base asset and day one feed is
-- used: the more complete, then the finer one. Sums over more than a day have no day and stay in staging.
with liquidations as (
    select
        *,
        {{ utc_date('event_at') }} as liquidation_date,
        {{ flag_rank('completeness', completeness_levels()) }} as completeness_rank
    from {{ ref('int_liquidations__unioned') }}
    where period_seconds <= 86400 and {{ times_made('event_at') }}
),

feeds as (
    select
        venue,
        base_asset,
        liquidation_date,
        feed,
        period_seconds,
        row_number() over (
            partition by venue, base_asset, liquidation_date
            order by max(completeness_rank), period_seconds, feed
        ) as preference
    from liquidations
    group by venue, base_asset, liquidation_date, feed, period_seconds
)

select
    liquidations.venue,
    liquidations.venue_symbol,
    liquidations.base_asset,
    max(liquidations.contract_type) as contract_type,
    liquidations.liquidation_date,
    max(liquidations.feed) as feed,
    max(liquidations.period_seconds) as period_seconds,
    count(*) as liquidation_count,
    {{ usd_sum("case when liquidated_side = 'long' then notional_usd else 0 end") }} as liquidated_long_usd,
    {{ usd_sum("case when liquidated_side = 'short' then notional_usd else 0 end") }} as liquidated_short_usd,
    {{ usd_sum('notional_usd') }} as liquidated_usd,
    case
        when min(liquidations.price_basis) = max(liquidations.price_basis) then min(liquidations.price_basis)
    end as price_basis,
    {{ weakest_completeness_agg('completeness') }} as completeness,
    {{ weakest_source_class_agg('source_class') }} as source_class
from liquidations
inner join feeds
    on liquidations.venue = feeds.venue
    and liquidations.base_asset is not distinct from feeds.base_asset
    and liquidations.liquidation_date = feeds.liquidation_date
    and liquidations.feed = feeds.feed
    and liquidations.period_seconds = feeds.period_seconds
where feeds.preference = 1
group by
    liquidations.venue, liquidations.venue_symbol, liquidations.base_asset, liquidations.liquidation_date
