{{ config(**by_day('volume_date', {'stg_venues__klines': [1, 1], 'int_bars__filled': [0, 0]})) }}
-- Bars of two intervals describe the same trades, so a day is summed over one interval only: the coarsest whose bars
-- cover the day, else the one that covers most of it (and the day is `partial`).
with per_interval as (
    select
        venue,
        venue_symbol,
        bar_date as volume_date,
        interval_seconds,
        max(base_asset) as base_asset,
        max(contract_type) as contract_type,
        count(notional_usd) as bars_covered,
        least(count(notional_usd) * interval_seconds, 86400) as covered_seconds,
        {{ base_sum('base_quantity') }} as base_quantity,
        {{ usd_sum('notional_usd') }} as volume_usd,
        max(high_price) as high_price,
        min(low_price) as low_price,
        {{ combined_basis('volume_basis') }} as volume_basis,
        {{ weakest_completeness_agg('completeness') }} as completeness,
        {{ weakest_source_class_agg('source_class') }} as source_class
    from {{ ref('int_bars__unioned') }}
    where
        interval_seconds <= 86400
        and 86400 % interval_seconds = 0
        and {{ times_made('bar_start_at') }}
    group by venue, venue_symbol, bar_date, interval_seconds
),

ranked as (
    select
        *,
        row_number() over (
            partition by venue, venue_symbol, volume_date
            order by covered_seconds desc, interval_seconds desc
        ) as preference
    from per_interval
)

select
    venue,
    venue_symbol,
    base_asset,
    contract_type,
    volume_date,
    interval_seconds,
    bars_covered,
    covered_seconds,
    covered_seconds = 86400 as is_day_covered,
    base_quantity,
    volume_usd,
    high_price,
    low_price,
    volume_basis,
    case when covered_seconds < 86400 then 'partial' else completeness end as completeness,
    source_class
from ranked
where preference = 1
