{{ config(meta={'dagster': {'ref': {'name': 'int_bars__unioned'}}}) }}
-- A stamp later than its receipt is a wrong time unit or zone, or a bar that was still open. Five seconds of clock
-- difference are allowed. Of a period it is the stamp as the venue gave it, whichever end that marks.
{%- set observed = [
    ('stg_venues__klines', add_seconds('bar_start_at', 'interval_seconds')),
    ('stg_files__klines', add_seconds('bar_start_at', 'interval_seconds')),
    ('stg_venues__liquidations', 'event_at'),
    ('stg_files__liquidations', 'event_at'),
    (
        'stg_venues__open_interest',
        add_seconds('event_at', "case when period_label = 'start' then -period_seconds else 0 end"),
    ),
    ('stg_files__open_interest', 'event_at'),
] %}
{% for model, moment in observed %}
select '{{ model }}' as model_name, count(*) as future_rows
from {{ ref(model) }}
where {{ moment }} > {{ add_seconds('ingested_at', 5) }}
having count(*) > 0
{% if not loop.last %}union all{% endif %}
{% endfor %}
