with gaps as (
    select
        *,
        row_number() over (
            partition by feed, venue, topic, gap_from_at, gap_to_at order by ingested_at desc, cause, note
        ) as preference
    from {{ source('raw', 'collector_gap') }}
)

select
    feed,
    venue,
    topic,
    gap_from_at,
    gap_to_at,
    cause,
    note,
    'measured' as source_class,
    'complete' as completeness
from gaps
where preference = 1
order by feed, venue, topic, gap_from_at, gap_to_at
