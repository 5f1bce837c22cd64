{{ config(**by_day('partition_date', {'raw.liquidations': [0, 0]}, terms='stg_reference__instruments')) }}
-- Repeats. Where the venue (or the recorder of its stream) gives an event its own key, one key is one event. Without
-- one, equal messages of Binance are repeats of one order (its COIN-M archive writes every row twice), while two equal
-- items of one delivery of any other feed are two liquidations, and the same item in two deliveries is an overlap: the
-- n-th repeat within a delivery is kept once.
-- Value. What was closed so far, at the average price of its fills; before the first fill that price is 0 and the
-- order's stands in. Feeds that tell neither give the position's size at its bankruptcy price.
-- Side. `side_meaning` tells whose side a feed writes: the order's (sell closes a long) or the position's (buy is
-- long).
{%- set fields = ['quantity'] %}
{%- set moment = 'venue_symbol, event_time, venue, feed' %}
{%- set own_words = [
    'venue_symbol', 'event_time', 'side', 'event_key', 'venue', 'feed',
    'case when event_key is null then quantity end', 'case when event_key is null then price end',
    'case when event_key is null then filled_quantity end', 'case when event_key is null then average_price end',
    'case when event_key is null then order_status end',
] %}
with units as ({{ units_of('liquidations', fields) }}),

-- Sorting costs most, so only what repeats is sorted: hashes tell what does not.
repeated as (
    select hash({{ own_words | join(', ') }}) as words_hash
    from {{ raw_rows('liquidations') }}
    group by words_hash
    having count(*) > 1
),

occurrences as (
    select
        *,
        case
            when event_key is not null or venue = 'binance' then 1
            else row_number() over (partition by {{ own_words | join(', ') }}, landing_path order by ingested_at)
        end as occurrence
    from {{ raw_rows('liquidations') }}
    where hash({{ own_words | join(', ') }}) in (select repeated.words_hash from repeated)
),

single as (
    select *, 1 as occurrence from {{ raw_rows('liquidations') }}
    where hash({{ own_words | join(', ') }}) not in (select repeated.words_hash from repeated)
    union all
    select * from occurrences
    {{ keep_latest(
        own_words + ['occurrence'], ['quantity', 'price', 'filled_quantity', 'average_price', 'order_status']
    ) }}
),

shared_moments as (
    select hash({{ moment }}) as moment_hash
    from single
    group by moment_hash
    having count(*) > 1
),

indexed as (
    select *, 1 as event_index
    from single
    where hash({{ moment }}) not in (select shared_moments.moment_hash from shared_moments)
    union all
    select
        *,
        row_number() over (
            partition by {{ moment }}
            order by
                side, order_status, price, average_price, quantity, coalesce(filled_quantity, quantity), event_key,
                occurrence
        ) as event_index
    from single
    where hash({{ moment }}) in (select shared_moments.moment_hash from shared_moments)
),

messages as (
    select
        * replace (coalesce(filled_quantity, quantity) as quantity),
        coalesce(nullif(average_price, 0), price) as own_price
    from indexed
),

measured as (
    select
        messages.*,
        instrument.base_asset,
        instrument.contract_type,
        instrument.is_usd_quoted,
        messages.own_price / instrument.multiplier as unit_price,
        meaning.value as side_meaning,
        basis.value as price_basis,
        feed.value as feed_completeness,
        {{ in_contracts('messages', fields) }} as contracts,
        {{ in_base('messages', fields) }} as counted_base,
        {{ in_usd('messages', fields) }} as counted_usd
    from messages
    {{ join_instrument('messages', 'messages.event_time') }}
    {{ join_units('messages', 'messages.event_time') }}
    {{ join_feed('messages', 'messages.event_time', 'liquidations', 'side_meaning', 'meaning', speaker='feed') }}
    {{ join_feed('messages', 'messages.event_time', 'liquidations', 'price_basis', 'basis') }}
    {{ join_feed('messages', 'messages.event_time', 'liquidations', 'completeness', 'feed') }}
)

select
    feed,
    product,
    venue,
    venue_symbol,
    base_asset,
    contract_type,
    event_time as event_at,
    event_index,
    0 as period_seconds,
    case
        when side in ('long', 'short') then side
        when side_meaning = 'order' then case side when 'sell' then 'long' when 'buy' then 'short' end
        when side_meaning = 'position' then case side when 'buy' then 'long' when 'sell' then 'short' end
    end as liquidated_side,
    contracts,
    coalesce(counted_base, counted_usd / unit_price) as base_quantity,
    coalesce(counted_usd, case when is_usd_quoted then counted_base * unit_price end) as notional_usd,
    unit_price as price,
    price_basis,
    method,
    event_key,
    {{ weakest_completeness(["completeness", "coalesce(feed_completeness, 'sampled')"]) }} as completeness,
    source_class,
    source,
    ingested_at,
    date as partition_date
from measured
