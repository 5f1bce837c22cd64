{{ config(materialized='view') }}
-- A view, so that the models by day that rest on it rest on the seed, which is the project's (macros/days.sql).
select
    incident_id,
    event_id,
    venue,
    affected,
    datasets,
    venue_symbols,
    started_at,
    ended_at,
    severity,
    severity in ('missing_data', 'wrong_data') and datasets is not null as is_weakening,
    source,
    note
from {{ ref('known_incidents') }}
