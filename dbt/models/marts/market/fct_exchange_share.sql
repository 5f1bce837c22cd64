-- Rows are (venue, period); shares are over the venues that the warehouse covers in the period, never over `market`.
with days as (
    select
        venue,
        volume_date as day,
        {{ usd_sum('volume_usd') }} as volume_usd,
        count(*) as contract_count,
        {{ combined_basis('volume_basis') }} as volume_basis,
        {{ weakest_completeness_agg('completeness') }} as completeness,
        {{ weakest_source_class_agg('source_class') }} as source_class
    from {{ ref('int_volume__daily') }}
    where venue <> 'market' and volume_usd is not null
    group by venue, volume_date
),

open_interest_days as (
    select
        venue,
        open_interest_date as day,
        {{ usd_sum('open_interest_usd') }} as open_interest_usd,
        {{ weakest_completeness_agg('completeness') }} as completeness,
        {{ weakest_source_class_agg('source_class') }} as source_class
    from {{ ref('int_open_interest__daily') }}
    where venue <> 'market'
    group by venue, open_interest_date
),

contract_days as (
    select venue, venue_symbol, volume_date as day
    from {{ ref('int_volume__daily') }}
    where venue <> 'market' and volume_usd is not null
),

volumes as (
    {% for period_type in ['day', 'month', 'year'] %}
    select
        venue,
        '{{ period_type }}' as period_type,
        {{ period_start(period_type, 'day') }} as period_start,
        {{ usd_sum('volume_usd') }} as volume_usd,
        count(*) as days_covered,
        {{ combined_basis('volume_basis') }} as volume_basis,
        {{ weakest_completeness_agg('completeness') }} as completeness,
        {{ weakest_source_class_agg('source_class') }} as source_class
    from days
    group by venue, {{ period_start(period_type, 'day') }}
    {% if not loop.last %}union all{% endif %}
    {% endfor %}
),

contracts as (
    {% for period_type in ['day', 'month', 'year'] %}
    select
        venue,
        '{{ period_type }}' as period_type,
        {{ period_start(period_type, 'day') }} as period_start,
        count(distinct venue_symbol) as contracts_covered
    from contract_days
    group by venue, {{ period_start(period_type, 'day') }}
    {% if not loop.last %}union all{% endif %}
    {% endfor %}
),

-- One date for all venues: the last on which any venue was observed, so that the levels are comparable.
open_interest_ends as (
    {% for period_type in ['day', 'month', 'year'] %}
    select
        '{{ period_type }}' as period_type,
        {{ period_start(period_type, 'day') }} as period_start,
        max(day) as open_interest_date
    from open_interest_days
    group by {{ period_start(period_type, 'day') }}
    {% if not loop.last %}union all{% endif %}
    {% endfor %}
),

open_interest as (
    select
        ends.period_type,
        ends.period_start,
        ends.open_interest_date,
        days.venue,
        days.open_interest_usd,
        days.completeness,
        days.source_class
    from open_interest_ends as ends
    inner join open_interest_days as days on ends.open_interest_date = days.day
),

names as (
    select venue, period_type, period_start from volumes
    union distinct
    select venue, period_type, period_start from open_interest
),

joined as (
    select
        names.venue,
        names.period_type,
        names.period_start,
        volumes.volume_usd,
        open_interest.open_interest_usd,
        open_interest.open_interest_date,
        volumes.volume_basis,
        coalesce(volumes.days_covered, 0) as days_covered,
        case names.period_type
            when 'day' then 1
            when 'month' then day(last_day(names.period_start))
            when 'year' then {{ days_in_year('names.period_start') }}
        end as days_in_period,
        coalesce(contracts.contracts_covered, 0) as contracts_covered,
        volumes.completeness as volume_completeness,
        open_interest.completeness as open_interest_completeness,
        volumes.source_class as volume_source_class,
        open_interest.source_class as open_interest_source_class
    from names
    left join volumes
        on names.venue = volumes.venue
        and names.period_type = volumes.period_type
        and names.period_start = volumes.period_start
    left join open_interest
        on names.venue = open_interest.venue
        and names.period_type = open_interest.period_type
        and names.period_start = open_interest.period_start
    left join contracts
        on names.venue = contracts.venue
        and names.period_type = contracts.period_type
        and names.period_start = contracts.period_start
),

flagged as (
    select
        *,
        case
            when volume_usd is not null and days_covered < days_in_period then 'partial'
            else {{ weakest_completeness(['volume_completeness', 'open_interest_completeness']) }}
        end as venue_completeness,
        {{ weakest_source_class(['volume_source_class', 'open_interest_source_class']) }} as venue_source_class
    from joined
),

shared as (
    select
        *,
        volume_usd / nullif({{ usd_sum('volume_usd', 'over (partition by period_type, period_start)') }}, 0) as share,
        open_interest_usd
        / nullif({{ usd_sum('open_interest_usd', 'over (partition by period_type, period_start)') }}, 0)
            as open_interest_share,
        case
            when volume_usd is not null
                then
                    row_number() over (
                        partition by period_type, period_start order by volume_usd desc nulls last, venue
                    )
        end as rank,
        count(volume_usd) over (partition by period_type, period_start) as venues_covered,
        {{ weakest_completeness_agg('venue_completeness', 'over (partition by period_type, period_start)') }}
            as completeness,
        {{ weakest_source_class_agg('venue_source_class', 'over (partition by period_type, period_start)') }}
            as source_class
    from flagged
),

concentrated as (
    select
        period_type,
        period_start,
        {{ exact_sum('case when rank <= 4 then share end', 15) }} as cr4,
        {{ exact_sum('share * share', 15) }} as hhi
    from shared
    group by period_type, period_start
)

select
    shared.venue,
    shared.period_type,
    shared.period_start,
    shared.volume_usd,
    shared.share,
    cast(shared.rank as integer) as rank,
    concentrated.cr4,
    concentrated.hhi,
    1 / nullif(concentrated.hhi, 0) as effective_venues,
    shared.open_interest_usd,
    shared.open_interest_share,
    shared.open_interest_date,
    shared.volume_basis,
    cast(shared.days_covered as integer) as days_covered,
    cast(shared.days_in_period as integer) as days_in_period,
    cast(shared.contracts_covered as integer) as contracts_covered,
    cast(shared.venues_covered as integer) as venues_covered,
    shared.venue_completeness,
    shared.completeness,
    shared.source_class
from shared
inner join concentrated
    on shared.period_type = concentrated.period_type
    and shared.period_start = concentrated.period_start
order by shared.period_type, shared.period_start, shared.venue
