{{ config(**with_days('map_date')) }}
-- A map is made where it is read: before each event, and for each venue's last day of data. One for every day of a year
-- would be four hundred times as large, and each would repeat nearly all of the one before.
-- A day has one map: on an event's day it is that of the moment before the event.
with parameters as (
    select max(case when parameter = 'lookback_days' then value end) as lookback_days
    from {{ ref('liquidation_map_parameters') }}
),

observed as (
    select
        venue,
        venue_symbol,
        base_asset,
        contract_type,
        event_at,
        {{ utc_date('event_at') }} as observed_date,
        case when contract_type = 'inverse' then notional_usd else base_quantity end as quantity
    from {{ ref('int_open_interest__observed') }}
    where venue <> 'market' and contract_type is not null
),

venues as (
    select venue, max(observed_date) as last_date from observed
    where quantity is not null
    group by venue
),

event_moments as (
    select event_id, map_date, as_of_at
    from (
        select
            event_id,
            {{ utc_date('pre_event_at') }} as map_date,
            pre_event_at as as_of_at,
            row_number() over (
                partition by {{ utc_date('pre_event_at') }} order by pre_event_at, event_id
            ) as preference
        from {{ ref('stg_reference__events') }}
    ) as ranked
    where preference = 1
),

moments as (
    select venues.venue, event_moments.event_id, event_moments.map_date, event_moments.as_of_at
    from venues
    cross join event_moments
    union all
    select
        venues.venue,
        cast(null as varchar) as event_id,
        venues.last_date as map_date,
        cast({{ add_days('venues.last_date', 1) }} as timestamptz) as as_of_at
    from venues
    left join event_moments on venues.last_date = event_moments.map_date
    where event_moments.map_date is null
),

windows as (
    select
        moments.*,
        cast({{ add_days('moments.map_date', '-parameters.lookback_days') }} as timestamptz) as window_start_at
    from moments
    cross join parameters
),

ranked as (
    select
        observed.venue,
        observed.venue_symbol,
        observed.base_asset,
        observed.contract_type,
        observed.event_at,
        observed.quantity,
        windows.map_date,
        windows.as_of_at,
        windows.window_start_at,
        windows.event_id,
        row_number() over (
            partition by observed.venue, observed.venue_symbol, windows.map_date order by observed.event_at desc
        ) as preference
    from observed
    inner join windows
        on observed.venue = windows.venue
        and observed.observed_date <= windows.map_date
        and observed.event_at <= windows.as_of_at
        and observed.event_at >= windows.window_start_at
    where observed.quantity is not null
)

-- A contract that was not seen for a day is no longer traded, or not known well enough.
select venue, venue_symbol, base_asset, contract_type, map_date, as_of_at, window_start_at, event_id
from ranked
where preference = 1 and quantity > 0 and {{ seconds_between('event_at', 'as_of_at') }} <= 86400
