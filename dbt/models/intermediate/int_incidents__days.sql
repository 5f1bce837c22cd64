{{ config(materialized='view') }}
-- Days that an incident touches, one row per venue, dataset and day, so that a join to it repeats nothing. One that
-- lasts reaches as far as the days of int_days__spine. A view, for the reason given in stg_reference__incidents.
with days as (
    {% for dataset in incident_datasets() %}
    select
        venue,
        '{{ dataset }}' as dataset,
        venue_symbols,
        {{ every_seconds(
            floor_to_seconds('started_at', 86400), "coalesce(ended_at, timestamptz '2046-01-01 00:00:00+00')", 86400
        ) }} as day_start_at
    from {{ ref('stg_reference__incidents') }}
    where is_weakening and {{ is_listed("'" ~ dataset ~ "'", 'datasets') }}
    {{ 'union all' if not loop.last }}
    {% endfor %}
)

select
    venue,
    dataset,
    {{ utc_date('day_start_at') }} as incident_date,
    max(case when venue_symbols is null then 1 else 0 end) = 1 as is_of_all_contracts,
    {{ sorted_list('venue_symbols') }} as venue_symbols
from days
group by venue, dataset, {{ utc_date('day_start_at') }}
