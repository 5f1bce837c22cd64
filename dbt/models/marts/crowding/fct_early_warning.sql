{{ config(**by_day('crowding_date', {'int_crowding__daily': [365, 0]})) }}
-- Each measure against the contract's own past, of strictly earlier days: what stands in a row was known by the end of
-- its day.
{%- set measures = [
    'funding_rate_annualised', 'funding_rate_annualised_7d', 'long_short_ratio', 'open_interest_to_volume',
    'open_interest_to_depth', 'leverage_estimate', 'open_interest_growth_7d',
] %}
{%- set series = ['venue', 'venue_symbol'] %}
{%- set history_days = 365 %}
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
