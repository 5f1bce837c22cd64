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
    is_weakening,
    source,
    note,
    'complete' as completeness,
    'published' as source_class
from {{ ref('stg_reference__incidents') }}
order by incident_id
