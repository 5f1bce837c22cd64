-- Severity orders the phases for bars that overlap several: the most severe one names the bar.
{%- set phases = [
    ('baseline', 5, 'window_start_at', 'shock_at'),
    ('shock', 3, 'shock_at', 'cascade_at'),
    ('cascade', 1, 'cascade_at', 'aftershock_at'),
    ('aftershock', 2, 'aftershock_at', 'recovery_at'),
    ('recovery', 4, 'recovery_at', 'window_end_at'),
] %}
{% for phase, severity, starts, ends in phases %}
select
    event_id,
    '{{ phase }}' as phase,
    {{ severity }} as severity_rank,
    {{ starts }} as phase_start_at,
    {{ ends }} as phase_end_at
from {{ ref('stg_reference__events') }}
{% if not loop.last %}union all{% endif %}
{% endfor %}
