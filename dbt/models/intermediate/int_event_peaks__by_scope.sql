-- The bar with most liquidations, over bars of the coarsest interval of the scope's contracts, and who came first:
-- liquidation or auto-deleveraging, from the cascade on. A routine liquidation of the morning is not the first of it.
with members as (
    select * from {{ ref('int_event_scopes__members') }}
),

scope_bars as (
    select
        members.scope_number,
        {{ floor_to_seconds('bars.bar_start_at', 'members.scope_interval_seconds') }} as peak_bar_at,
        bars.liquidated_long_usd + bars.liquidated_short_usd as liquidated_usd
    from {{ ref('int_event_bars__after_shock') }} as bars
    inner join members
        on bars.event_id = members.event_id
        and bars.venue = members.venue
        and bars.venue_symbol = members.venue_symbol
    where bars.liquidated_long_usd + bars.liquidated_short_usd > 0
),

amounts as (
    select scope_number, peak_bar_at, {{ usd_sum('liquidated_usd') }} as peak_liquidated_usd
    from scope_bars
    group by scope_number, peak_bar_at
),

peaks as (
    select
        *,
        row_number() over (partition by scope_number order by peak_liquidated_usd desc, peak_bar_at) as preference
    from amounts
),

-- A sum over a period does not say when its first liquidation was.
first_liquidations as (
    select
        liquidations.event_id,
        liquidations.venue,
        liquidations.venue_symbol,
        min(liquidations.event_at) as first_liquidation_at
    from {{ ref('int_event_liquidations__chosen') }} as liquidations
    inner join {{ ref('dim_event') }} as events
        on liquidations.event_id = events.event_id
        and liquidations.event_at >= events.cascade_at
    where liquidations.period_seconds = 0
    group by liquidations.event_id, liquidations.venue, liquidations.venue_symbol
),

first_deleveragings as (
    select
        events.event_id,
        adl.venue,
        adl.venue_symbol,
        min(adl.event_at) as first_adl_at
    from {{ ref('int_adl__unioned') }} as adl
    inner join {{ ref('dim_event') }} as events
        on adl.event_at >= events.cascade_at
        and adl.event_at < events.window_end_at
    group by events.event_id, adl.venue, adl.venue_symbol
),

firsts as (
    select
        members.scope_number,
        min(first_liquidations.first_liquidation_at) as first_liquidation_at,
        min(first_deleveragings.first_adl_at) as first_adl_at
    from members
    left join first_liquidations
        on members.event_id = first_liquidations.event_id
        and members.venue = first_liquidations.venue
        and members.venue_symbol = first_liquidations.venue_symbol
    left join first_deleveragings
        on members.event_id = first_deleveragings.event_id
        and members.venue = first_deleveragings.venue
        and members.venue_symbol = first_deleveragings.venue_symbol
    group by members.scope_number
)

select
    firsts.scope_number,
    firsts.first_liquidation_at,
    firsts.first_adl_at,
    {{ seconds_between('firsts.first_liquidation_at', 'firsts.first_adl_at') }} as liquidation_to_adl_seconds,
    peaks.peak_bar_at,
    peaks.peak_liquidated_usd
from firsts
left join peaks
    on firsts.scope_number = peaks.scope_number
    and peaks.preference = 1
