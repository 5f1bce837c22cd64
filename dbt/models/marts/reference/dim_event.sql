select
    event_id,
    event_name,
    window_start_at,
    pre_event_at,
    shock_at,
    cascade_at,
    aftershock_at,
    recovery_at,
    window_end_at,
    shock_source,
    cascade_source,
    aftershock_source,
    recovery_source,
    is_user_defined,
    'complete' as completeness,
    source_class
from {{ ref('stg_reference__events') }}
order by event_id
