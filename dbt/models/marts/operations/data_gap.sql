with gaps as (
    select
        *,
        row_number() over (
            partition by feed, venue, entity, gap_from_at, gap_to_at order by ingested_at desc, cause, note
        ) as preference
    from {{ source('raw', 'data_gap') }}
)

select
    feed,
    venue,
    entity,
    gap_from_at,
    gap_to_at,
    cause,
    is_permanent,
    note,
    'measured' as source_class,
    'complete' as completeness
from gaps
where preference = 1
order by feed, venue, entity, gap_from_at, gap_to_at
