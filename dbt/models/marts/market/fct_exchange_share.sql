-- Shares are over the venues that the warehouse covers in the period, never over `market`; what a published total has
-- beyond them is a row of its own, `uncovered`, which has no share and no rank.
with days as (
    select
        venue,
        volume_date as day,
        {{ usd_sum('volume_usd') }} as volume_usd,
        count(*) as contract_count,
        {{ combined_basis('volume_basis') }} as volume_basis,
        {{ weakest_completeness_agg('completeness_left') }} as completeness,
        {{ weakest_source_class_agg('source_class') }} as source_class
    from {{ with_incidents(ref('int_volume__daily'), 'klines', 'days.volume_date') }} as daily
    where venue <> 'market' and volume_usd is not null
    group by venue, volume_date
),

open_interest_days as (
    select
        venue,
        open_interest_date as day,
        {{ usd_sum('open_interest_usd') }} as open_interest_usd,
        {{ weakest_completeness_agg('completeness_left') }} as completeness,
        {{ weakest_source_class_agg('source_class') }} as source_class
    from {{ with_incidents(ref('int_open_interest__daily'), 'open_interest', 'days.open_interest_date') }} as daily
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
),

-- The period before is the calendar's: a venue that was not covered in it has no change.
compared as (
    select
        shared.*,
        previous.rank - shared.rank as rank_change,
        shared.share - previous.share as share_change
    from shared
    left join shared as previous
        on shared.venue = previous.venue
        and shared.period_type = previous.period_type
        and previous.period_start = case shared.period_type
            when 'day' then {{ add_days('shared.period_start', -1) }}
            when 'month' then {{ period_start('month', add_days('shared.period_start', -1)) }}
            when 'year' then {{ period_start('year', add_days('shared.period_start', -1)) }}
        end
),

published as (
    select
        'year' as period_type,
        {{ period_start('year', 'published_date') }} as period_start,
        published_value as published_total_usd
    from {{ ref('stg_reference__published_figures') }}
    where figure_id = 'volume_2025'
),

-- What the published total has beyond the covered volume, of periods in which anything is covered.
uncovered as (
    select
        'uncovered' as venue,
        published.period_type,
        published.period_start,
        published.published_total_usd,
        published.published_total_usd - {{ usd_sum('shared.volume_usd') }} as rest_usd,
        max(shared.days_in_period) as days_in_period,
        max(shared.venues_covered) as venues_covered,
        {{ weakest_source_class(["'published'", "max(shared.source_class)"]) }} as source_class
    from published
    inner join shared
        on published.period_type = shared.period_type
        and published.period_start = shared.period_start
    group by published.period_type, published.period_start, published.published_total_usd
    having count(shared.volume_usd) > 0
),

combined as (
    select
        compared.venue,
        compared.period_type,
        compared.period_start,
        compared.volume_usd,
        compared.share,
        compared.share_change,
        compared.rank,
        compared.rank_change,
        concentrated.cr4,
        concentrated.hhi,
        published.published_total_usd,
        compared.volume_usd / nullif(published.published_total_usd, 0) as share_of_published,
        compared.open_interest_usd,
        compared.open_interest_share,
        compared.open_interest_date,
        compared.volume_basis,
        compared.days_covered,
        compared.days_in_period,
        compared.contracts_covered,
        compared.venues_covered,
        compared.venue_completeness,
        compared.completeness,
        compared.source_class
    from compared
    inner join concentrated
        on compared.period_type = concentrated.period_type
        and compared.period_start = concentrated.period_start
    left join published
        on compared.period_type = published.period_type
        and compared.period_start = published.period_start
    union all
    select
        venue,
        period_type,
        period_start,
        case when rest_usd > 0 then rest_usd end as volume_usd,
        null as share,
        null as share_change,
        null as rank,
        null as rank_change,
        null as cr4,
        null as hhi,
        published_total_usd,
        case when rest_usd > 0 then rest_usd end / nullif(published_total_usd, 0) as share_of_published,
        null as open_interest_usd,
        null as open_interest_share,
        null as open_interest_date,
        null as volume_basis,
        0 as days_covered,
        days_in_period,
        0 as contracts_covered,
        venues_covered,
        'partial' as venue_completeness,
        'partial' as completeness,
        source_class
    from uncovered
)

select
    venue,
    period_type,
    period_start,
    volume_usd,
    share,
    share_change,
    cast(rank as integer) as rank,
    cast(rank_change as integer) as rank_change,
    cr4,
    hhi,
    1 / nullif(hhi, 0) as effective_venues,
    published_total_usd,
    share_of_published,
    open_interest_usd,
    open_interest_share,
    open_interest_date,
    volume_basis,
    cast(days_covered as integer) as days_covered,
    cast(days_in_period as integer) as days_in_period,
    cast(contracts_covered as integer) as contracts_covered,
    cast(venues_covered as integer) as venues_covered,
    venue_completeness,
    completeness,
    source_class
from combined
order by period_type, period_start, venue
