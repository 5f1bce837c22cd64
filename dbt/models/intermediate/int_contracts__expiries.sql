-- An expiry is a term of the contract, not an observation: the first statement of it holds for all days.
with statements as (
    select
        venue,
        venue_symbol,
        is_perpetual,
        case when not is_perpetual then delisted_at end as expires_at,
        row_number() over (
            partition by venue, venue_symbol order by case when feed = venue then 1 else 2 end, event_at, feed
        ) as preference
    from {{ ref('stg_venues__instruments') }}
)

select venue, venue_symbol, is_perpetual, expires_at
from statements
where preference = 1
