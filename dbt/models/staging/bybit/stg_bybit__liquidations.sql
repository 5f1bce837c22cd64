-- `position_side` Buy means that a LONG was liquidated. The feed is complete, so two identical items of one delivery
-- are two liquidations, while the same item in two deliveries is an overlap: the n-th repeat within a delivery is kept
-- once.
with occurrences as (
    select
        *,
        row_number() over (
            partition by venue, venue_symbol, event_time, position_side, size, bankruptcy_price, landing_path
            order by ingested_at
        ) as occurrence
    from {{ source('raw', 'bybit_liquidations') }}
),

items as (
    select *
    from occurrences
    {{ keep_latest(
        ['venue', 'venue_symbol', 'event_time', 'position_side', 'size', 'bankruptcy_price', 'occurrence']
    ) }}
)

select
    items.venue,
    items.venue_symbol,
    instrument.base_asset,
    instrument.contract_type,
    items.event_time as event_at,
    row_number() over (
        partition by items.venue, items.venue_symbol, items.event_time
        order by items.position_side, items.size, items.bankruptcy_price, items.occurrence
    ) as event_index,
    0 as period_seconds,
    case items.position_side when 'Buy' then 'long' when 'Sell' then 'short' end as liquidated_side,
    items.size as contracts,
    case instrument.contract_type
        when 'linear' then items.size * instrument.contract_value * instrument.multiplier
        when 'inverse' then items.size * instrument.contract_value / items.bankruptcy_price
    end as base_quantity,
    case instrument.contract_type
        when 'linear' then items.size * instrument.contract_value * items.bankruptcy_price
        when 'inverse' then items.size * instrument.contract_value
    end as notional_usd,
    'bankruptcy' as price_basis,
    {{ weakest_completeness(["items.completeness", "coalesce(feed.value, 'sampled')"]) }} as completeness,
    items.source_class,
    items.source,
    items.ingested_at
from items
{{ join_instrument('items', 'items.event_time') }}
{{ join_feed('items', 'items.event_time', 'liquidations', 'completeness', 'feed') }}
