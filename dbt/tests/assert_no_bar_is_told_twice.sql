{{ config(meta={'dagster': {'ref': {'name': 'int_bars__filled'}}}) }}
-- With the keys of both parts, that the parts share no bar makes a bar of int_bars__unioned unique.
select filled.venue, filled.venue_symbol, filled.interval_seconds, filled.bar_start_at
from {{ ref('int_bars__filled') }} as filled
inner join {{ ref('stg_venues__klines') }} as own
    on filled.venue = own.venue
    and filled.venue_symbol = own.venue_symbol
    and filled.interval_seconds = own.interval_seconds
    and filled.bar_start_at = own.bar_start_at
where own.feed = own.venue and own.is_usd_quoted is distinct from false
