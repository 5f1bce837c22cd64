select
    dataset,
    venue,
    date,
    reason,
    count(*) as records,
    {{ weakest_source_class_agg('source_class') }} as source_class,
    'complete' as completeness
from {{ source('raw', 'quarantine') }}
group by dataset, venue, date, reason
order by dataset, venue, date, reason
