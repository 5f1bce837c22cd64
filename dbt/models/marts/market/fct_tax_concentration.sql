-- How a year's bill of liquidations is spread over its days. The bill is what fct_liquidation_tax divides: liquidated
-- USD of matched assets, tier `all`. Days without any are not days of zero: they are not covered.
with days as (
    select
        venue,
        tax_date,
        {{ period_start('year', 'tax_date') }} as year_start,
        liquidated_usd,
        unmatched_liquidated_usd,
        volume_usd,
        regime,
        least(liquidated_usd, routine_tax_bps * volume_usd / 10000) as routine_usd,
        liquidation_basis,
        is_floor,
        completeness,
        source_class
    from {{ ref('fct_liquidation_tax') }}
    where tier = 'all'
),

ranked as (
    select
        *,
        row_number() over (partition by venue, year_start order by liquidated_usd desc, tax_date) as place,
        {{ usd_sum('liquidated_usd', 'over (partition by venue, year_start)') }} as bill_usd,
        {{ usd_sum(
            'liquidated_usd',
            'over (partition by venue, year_start order by liquidated_usd desc, tax_date'
            ~ ' rows between unbounded preceding and current row)'
        ) }} as paid_usd
    from days
    where liquidated_usd is not null
),

covered as (
    select
        venue,
        year_start,
        count(*) as days_covered,
        {{ usd_sum('liquidated_usd') }} as liquidated_usd,
        {{ usd_sum('volume_usd') }} as volume_usd,
        max(case when place = 1 then tax_date end) as worst_date,
        max(case when place = 1 then paid_usd end) as worst_1_day_usd,
        max(case when place = 5 then paid_usd end) as worst_5_days_usd,
        max(case when place = 10 then paid_usd end) as worst_10_days_usd,
        -- From the largest day down, day i of n has place i, so the mean absolute difference is a sum over places.
        {{ exact_sum('place * liquidated_usd') }} as place_weighted_usd,
        min(case when bill_usd > 0 and 2 * paid_usd >= bill_usd then place end) as days_to_half,
        {{ usd_sum('case when regime is not null then routine_usd end') }} as routine_usd,
        {{ usd_sum('case when regime is not null then liquidated_usd - routine_usd end') }} as over_routine_usd,
        {{ usd_sum('case when regime is null then liquidated_usd else 0 end') }} as unclassified_usd,
        count(case when regime = 'routine' then 1 end) as routine_days,
        count(case when regime = 'elevated' then 1 end) as elevated_days,
        count(case when regime = 'stress' then 1 end) as stress_days,
        count(*) - count(regime) as unclassified_days
    from ranked
    group by venue, year_start
),

years as (
    select
        venue,
        year_start,
        {{ usd_sum('unmatched_liquidated_usd') }} as unmatched_liquidated_usd,
        {{ combined_basis('liquidation_basis') }} as liquidation_basis,
        max(case when is_floor then 1 else 0 end) = 1 as is_floor,
        {{ weakest_completeness_agg('completeness') }} as completeness,
        {{ weakest_source_class_agg('source_class') }} as source_class
    from days
    group by venue, year_start
)

select
    years.venue,
    cast(year(years.year_start) as integer) as tax_year,
    covered.liquidated_usd,
    years.unmatched_liquidated_usd,
    covered.volume_usd,
    10000 * covered.liquidated_usd / nullif(covered.volume_usd, 0) as tax_bps,
    cast(coalesce(covered.days_covered, 0) as integer) as days_covered,
    cast({{ days_in_year('years.year_start') }} as integer) as days_in_year,
    covered.worst_date,
    covered.worst_1_day_usd / nullif(covered.liquidated_usd, 0) as worst_1_day_share,
    covered.worst_5_days_usd / nullif(covered.liquidated_usd, 0) as worst_5_days_share,
    covered.worst_10_days_usd / nullif(covered.liquidated_usd, 0) as worst_10_days_share,
    cast(covered.days_to_half as integer) as days_to_half,
    case
        when covered.days_covered >= 2
            then
                (covered.days_covered + 1.0) / covered.days_covered
                - 2 * covered.place_weighted_usd / nullif(covered.days_covered * covered.liquidated_usd, 0)
    end as gini,
    covered.routine_usd,
    covered.over_routine_usd,
    covered.unclassified_usd,
    covered.over_routine_usd / nullif(covered.routine_usd + covered.over_routine_usd, 0) as over_routine_share,
    cast(coalesce(covered.routine_days, 0) as integer) as routine_days,
    cast(coalesce(covered.elevated_days, 0) as integer) as elevated_days,
    cast(coalesce(covered.stress_days, 0) as integer) as stress_days,
    cast(coalesce(covered.unclassified_days, 0) as integer) as unclassified_days,
    years.liquidation_basis,
    years.is_floor,
    case
        when coalesce(covered.days_covered, 0) < {{ days_in_year('years.year_start') }} then 'partial'
        else years.completeness
    end as completeness,
    years.source_class
from years
left join covered on years.venue = covered.venue and years.year_start = covered.year_start
order by years.venue, years.year_start
