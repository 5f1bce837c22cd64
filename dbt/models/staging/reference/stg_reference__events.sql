-- The project's own events and the user's. An id that a later release takes for itself is the release's: two rows of
-- one event would count it twice.
{%- set columns -%}
    event_id, event_name, window_start_at, pre_event_at, shock_at, cascade_at, aftershock_at, recovery_at,
    window_end_at, shock_source, cascade_source, aftershock_source, recovery_source
{%- endset %}
with listed as (
    select {{ columns }}, false as is_user_defined, 'published' as source_class from {{ ref('events') }}
),

user_defined as (
    select {{ columns }}, true as is_user_defined, 'estimated' as source_class from {{ source('raw', 'user_events') }}
)

select * from listed
union all
select user_defined.*
from user_defined
left join listed on user_defined.event_id = listed.event_id
where listed.event_id is null
