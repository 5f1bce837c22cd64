-- An order that SELLs closes a long. Filled value is accumulated quantity x average price; before the first fill the
-- average price is 0 and the order price stands in. Identical messages are repeats of one order.
with messages as (
    select *, case when average_price > 0 then average_price else price end as fill_price
    from {{ source('raw', 'binance_liquidations') }}
    {{ keep_latest([
        'venue', 'venue_symbol', 'trade_time', 'order_side', 'order_status', 'original_quantity',
        'accumulated_quantity', 'price', 'average_price',
    ]) }}
)

select
    messages.venue,
    messages.venue_symbol,
    instrument.base_asset,
    instrument.contract_type,
    messages.trade_time as event_at,
    row_number() over (
        partition by messages.venue, messages.venue_symbol, messages.trade_time
        order by
            messages.order_side, messages.order_status, messages.price, messages.average_price,
            messages.original_quantity, messages.accumulated_quantity
    ) as event_index,
    0 as period_seconds,
    case messages.order_side when 'SELL' then 'long' when 'BUY' then 'short' end as liquidated_side,
    messages.accumulated_quantity as contracts,
    case instrument.contract_type
        when 'linear' then messages.accumulated_quantity * instrument.contract_value * instrument.multiplier
        when 'inverse' then messages.accumulated_quantity * instrument.contract_value / messages.fill_price
    end as base_quantity,
    case instrument.contract_type
        when 'linear' then messages.accumulated_quantity * instrument.contract_value * messages.fill_price
        when 'inverse' then messages.accumulated_quantity * instrument.contract_value
    end as notional_usd,
    'fill' as price_basis,
    {{ weakest_completeness(["messages.completeness", "coalesce(feed.value, 'sampled')"]) }} as completeness,
    messages.source_class,
    messages.source,
    messages.ingested_at
from messages
{{ join_instrument('messages', 'messages.trade_time') }}
{{ join_feed('messages', 'messages.trade_time', 'liquidations', 'completeness', 'feed') }}
