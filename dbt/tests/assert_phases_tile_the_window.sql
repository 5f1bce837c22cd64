{{ config(meta={'dagster': {'ref': {'name': 'dim_event'}}}) }}
-- Phases follow each other without gap or overlap from the start of the window to its end.
with phases as (
    select
        event_id,
        phase_start_at,
        phase_end_at,
        lag(phase_end_at) over (partition by event_id order by phase_start_at) as previous_end_at
    from {{ ref('int_event_phases__unpivoted') }}
),

bounds as (
    select
        event_id,
        min(phase_start_at) as first_start_at,
        max(phase_end_at) as last_end_at
    from phases
    group by event_id
)

select
    phases.event_id,
    phases.phase_start_at
from phases
inner join bounds on phases.event_id = bounds.event_id
inner join {{ ref('dim_event') }} as events on phases.event_id = events.event_id
where phases.phase_end_at <= phases.phase_start_at
    or (phases.previous_end_at is not null and phases.phase_start_at <> phases.previous_end_at)
    or bounds.first_start_at <> events.window_start_at
    or bounds.last_end_at <> events.window_end_at
    or events.pre_event_at > events.shock_at
