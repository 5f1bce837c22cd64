{{ config(**by_day('crowding_date', {'int_crowding__daily': [365, 0]})) }}
-- Each measure against the contract's own past, of strictly earlier days: what stands in a row was known by the end of
-- its day.
{%- set measures = [
    'funding_rate_annualised', 'funding_rate_annualised_7d', 'long_short_ratio', 'open_interest_to_volume',
    'open_interest_to_depth', 'leverage_estimate', 'open_interest_growth_7d',
] %}
{%- set series = ['venue', 'venue_symbol'] %}
{%- set history_days = 365 %}
{#- Windows count for every row that is read, of which a run of few days keeps few: those are joined to their past. -#}
{%- set are_few = changed_days() is not none and run_query(
    'select count(distinct crowding_date) <= 16 from ' ~ ref('int_crowding__daily') ~ ' where ' ~ days_made('crowding_date')
).rows[0][0] -%}
{%- if are_few %}
with made as (
    select * from {{ ref('int_crowding__daily') }}
    where {{ days_made('crowding_date') }}
),

counts as (
    select
        {%- for measure in measures %}
        count(case when past.{{ measure }} < made.{{ measure }} then 1 end) as {{ measure }}_below,
        count(case when past.{{ measure }} > made.{{ measure }} then 1 end) as {{ measure }}_above,
        count(past.{{ measure }}) as {{ measure }}_days,
        {%- endfor %}
        made.venue as made_venue,
        made.venue_symbol as made_symbol,
        made.day_number as made_number
    from made
    left join {{ ref('int_crowding__daily') }} as past
        on made.venue = past.venue
        and made.venue_symbol = past.venue_symbol
        and made.day_number > past.day_number
        and made.day_number <= past.day_number + {{ history_days }}
    group by made.venue, made.venue_symbol, made.day_number
),

counted as (
    select made.*, counts.*
    from made
    inner join counts
        on made.venue = counts.made_venue
        and made.venue_symbol = counts.made_symbol
        and made.day_number = counts.made_number
),
{%- else %}
with counted as (
    select
        {%- for measure in measures %}
        {%- for side in ['below', 'above'] %}
        {{ past_count(side, measure, series, 'day_number', history_days) }} as {{ measure }}_{{ side }},
        {%- endfor %}
        count({{ measure }}) over {{ trailing(series, 'day_number', history_days) }} as {{ measure }}_days,
        {%- endfor %}
        *
    from {{ ref('int_crowding__daily') }}
    where {{ days_needed('int_crowding__daily', 'crowding_date') }}
),
{%- endif %}

ranked as (
    select
        {%- for measure in measures %}
        case
            when {{ measure }} is not null and {{ measure }}_days >= 30
                then {{ midrank_percentile(measure ~ '_days', measure ~ '_below', measure ~ '_above') }}
        end as {{ measure }}_percentile,
        {%- endfor %}
        *
    from counted
),

scored as (
    select
        *,
        {%- for measure in measures %}
        case when {{ measure }}_percentile is not null then 1 else 0 end +
        {%- endfor %}
        0 as score_parts,
        {%- for measure in measures %}
        coalesce({{ measure }}_percentile, 0) +
        {%- endfor %}
        0 as percentile_sum
    from ranked
)

select
    venue,
    venue_symbol,
    base_asset,
    crowding_date,
    open_interest_usd,
    depth_1pct_usd,
    {%- for measure in measures %}
    {{ measure }},
    {%- endfor %}
    {%- for measure in measures %}
    {{ measure }}_percentile,
    {%- endfor %}
    percentile_sum / nullif(score_parts, 0) as crowding_score,
    score_parts,
    completeness,
    source_class
from scored
where {{ days_made('crowding_date') }}
order by venue, venue_symbol, crowding_date
