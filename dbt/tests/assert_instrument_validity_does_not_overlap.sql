{{ config(meta={'dagster': {'ref': {'name': 'stg_reference__instruments'}}}) }}
-- Overlapping terms would double the rows of a symbol.
select
    earlier.venue,
    earlier.venue_symbol
from {{ ref('stg_reference__instruments') }} as earlier
inner join {{ ref('stg_reference__instruments') }} as later
    on earlier.venue = later.venue
    and earlier.venue_symbol = later.venue_symbol
    and earlier.valid_from_at < later.valid_from_at
    and earlier.valid_to_at > later.valid_from_at
