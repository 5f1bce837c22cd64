{{ config(**by_day('open_interest_date', {'int_open_interest__observed': [0, 0]})) }}
-- The last observation of the day, not an average: open interest is a level.
with ranked as (
    select
        *,
        row_number() over (
            partition by venue, venue_symbol, {{ utc_date('event_at') }} order by event_at desc
        ) as preference
    from {{ ref('int_open_interest__observed') }}
    where notional_usd is not null and {{ times_made('event_at') }}
)

select
    venue,
    venue_symbol,
    base_asset,
    contract_type,
    {{ utc_date('event_at') }} as open_interest_date,
    event_at as observed_at,
    base_quantity,
    notional_usd as open_interest_usd,
    notional_basis,
    completeness,
    source_class
from ranked
where preference = 1
