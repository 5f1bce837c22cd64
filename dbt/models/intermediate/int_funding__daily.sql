{{ config(**with_days('funding_date')) }}
-- A settlement is of the minute next to its stamp: venues stamp it up to some seconds off, and a file may repeat the
-- venue's own. Rates of one day are annualised by the interval that was observed: the median time between settlements
-- of that day and the two before, so that a missing settlement does not double it and a new interval counts within two
-- days.
with stamped as (
    select
        *,
        {{ floor_to_seconds(add_seconds('event_at', 30), 60) }} as settled_at
    from {{ ref('int_funding__unioned') }}
    where funding_rate is not null
),

ranked as (
    select
        *,
        row_number() over (
            partition by venue, venue_symbol, settled_at
            order by
                {{ flag_rank('source_class', source_class_levels()) }},
                {{ flag_rank('completeness', completeness_levels()) }},
                event_at,
                funding_rate
        ) as preference
    from stamped
),

settlements as (
    select
        *,
        {{ period_number('settled_at', 86400) }} as day_number,
        {{ seconds_between(
            'lag(settled_at) over (partition by venue, venue_symbol order by settled_at)', 'settled_at'
        ) }} as gap_seconds
    from ranked
    where preference = 1
),

spaced as (
    select
        *,
        {{ exact_median('gap_seconds') }} over {{ trailing(['venue', 'venue_symbol'], 'day_number', 2, current=true) }}
            as interval_seconds,
        count(gap_seconds) over {{ trailing(['venue', 'venue_symbol'], 'day_number', 2, current=true) }} as gaps
    from settlements
),

days as (
    select
        venue,
        venue_symbol,
        max(base_asset) as base_asset,
        {{ utc_date('settled_at') }} as funding_date,
        day_number,
        count(*) as funding_settlements,
        {{ exact_sum('funding_rate', 18) }} as funding_rate_sum,
        max(case when gaps >= 3 then interval_seconds end) as funding_interval_seconds,
        {{ weakest_completeness_agg('completeness') }} as completeness,
        {{ weakest_source_class_agg('source_class') }} as source_class
    from spaced
    group by venue, venue_symbol, {{ utc_date('settled_at') }}, day_number
)

select
    venue,
    venue_symbol,
    base_asset,
    funding_date,
    day_number,
    funding_settlements,
    funding_rate_sum,
    funding_interval_seconds,
    funding_rate_sum / funding_settlements * 31536000 / funding_interval_seconds as funding_rate_annualised,
    case
        when funding_settlements < floor(86400 / funding_interval_seconds) then 'partial' else completeness
    end as completeness,
    source_class
from days
