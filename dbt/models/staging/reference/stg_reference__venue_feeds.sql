-- The seed dates each change; a value holds until the next change of the same attribute.
select
    venue,
    dataset,
    product,
    attribute,
    value,
    cast(valid_from as timestamptz) as valid_from_at,
    cast(
        coalesce(
            lead(valid_from) over (partition by venue, dataset, product, attribute order by valid_from),
            date '2999-12-31'
        ) as timestamptz
    ) as valid_to_at,
    source,
    note
from {{ ref('venue_feed_changes') }}
