{{ config(meta={'rests_on_days_around_events': true}) }}
-- What is known of a contract for the whole window. Its number stands for event, venue and symbol in the joins of a
-- million bars, which compare text several times slower.
with parts as (
    select event_id, venue, venue_symbol, base_asset, interval_seconds
    from {{ ref('int_event_intervals__finest') }}
    union distinct
    select distinct event_id, venue, venue_symbol, base_asset, interval_seconds
    from {{ ref('int_event_liquidations__chosen') }}
    union distinct
    select events.event_id, adl.venue, adl.venue_symbol, adl.base_asset, cast(null as bigint) as interval_seconds
    from {{ ref('int_adl__unioned') }} as adl
    inner join {{ ref('dim_event') }} as events
        on adl.event_at >= events.window_start_at
        and adl.event_at < events.window_end_at
),

contracts as (
    select
        event_id,
        venue,
        venue_symbol,
        row_number() over (order by event_id, venue, venue_symbol) as contract_number,
        max(base_asset) as base_asset,
        coalesce(max(interval_seconds), 60) as interval_seconds
    from parts
    group by event_id, venue, venue_symbol
),

pre_event_price_ranks as (
    select
        contracts.contract_number,
        bars.close_price,
        bars.completeness,
        bars.source_class,
        row_number() over (
            partition by contracts.contract_number order by bars.bar_end_at desc, bars.interval_seconds
        ) as preference
    from {{ ref('int_bars__unioned') }} as bars
    inner join {{ ref('dim_event') }} as events
        on bars.bar_end_at <= events.pre_event_at
        and bars.bar_end_at > {{ add_seconds('events.pre_event_at', -86400) }}
    inner join contracts
        on events.event_id = contracts.event_id
        and bars.venue = contracts.venue
        and bars.venue_symbol = contracts.venue_symbol
),

pre_event_open_interest_ranks as (
    select
        contracts.contract_number,
        observed.notional_usd,
        observed.completeness,
        observed.source_class,
        row_number() over (partition by contracts.contract_number order by observed.event_at desc) as preference
    from {{ ref('int_open_interest__observed') }} as observed
    inner join {{ ref('dim_event') }} as events
        on observed.event_at <= events.pre_event_at
        and observed.event_at > {{ add_seconds('events.pre_event_at', -86400) }}
    inner join contracts
        on events.event_id = contracts.event_id
        and observed.venue = contracts.venue
        and observed.venue_symbol = contracts.venue_symbol
    where observed.notional_usd is not null
),

liquidation_contracts as (
    select distinct event_id, venue, venue_symbol from {{ ref('int_event_liquidations__chosen') }}
)

select
    contracts.event_id,
    contracts.venue,
    contracts.venue_symbol,
    contracts.contract_number,
    contracts.base_asset,
    contracts.interval_seconds,
    events.window_start_at,
    events.window_end_at,
    -- An asset without a tier of that day is as the fixed list says, and tail where that does not name it.
    coalesce(tiers.tier, listed.tier, 'tail') as tier,
    coalesce(tiers.tier_basis, 'fixed_list') as tier_basis,
    prices.close_price as pre_event_price,
    prices.completeness as price_completeness,
    prices.source_class as price_source_class,
    open_interest.notional_usd as pre_event_open_interest_usd,
    open_interest.completeness as open_interest_completeness,
    open_interest.source_class as open_interest_source_class,
    liquidation_contracts.venue is not null as is_in_liquidation_feed
from contracts
inner join {{ ref('dim_event') }} as events on contracts.event_id = events.event_id
left join {{ ref('int_event_tiers__by_asset') }} as tiers
    on contracts.event_id = tiers.event_id
    and contracts.base_asset = tiers.base_asset
left join {{ ref('asset_tiers') }} as listed on contracts.base_asset = listed.base_asset
left join pre_event_price_ranks as prices
    on contracts.contract_number = prices.contract_number
    and prices.preference = 1
left join pre_event_open_interest_ranks as open_interest
    on contracts.contract_number = open_interest.contract_number
    and open_interest.preference = 1
left join liquidation_contracts
    on contracts.event_id = liquidation_contracts.event_id
    and contracts.venue = liquidation_contracts.venue
    and contracts.venue_symbol = liquidation_contracts.venue_symbol
