{{ config(**by_day(utc_date('event_at'), {'stg_venues__depth': [1, 1], 'stg_files__depth': [0, 0]})) }}
-- Every snapshot with its bands side by side; both sides of one snapshot make a depth, one side alone makes none. Best
-- prices of one answer make a spread; a crossed book is none.
{%- set bands = {20: '20bps', 100: '1pct', 200: '2pct', 300: '3pct', 400: '4pct', 500: '5pct'} %}
{%- set columns = 'venue, venue_symbol, base_asset, event_at, side, band_bps, depth_usd, completeness, source_class' %}
with sides as (
    select
        {{ columns }}, best_price, case when feed = venue then 1 else 2 end as preference
    from {{ ref('stg_venues__depth') }}
    where {{ times_made('event_at') }}
    union all
    select
        {{ columns }}, cast(null as double) as best_price, 3 as preference
    from {{ ref('stg_files__depth') }}
    where {{ times_made('event_at') }}
),

ranked as (
    select
        *,
        row_number() over (
            partition by venue, venue_symbol, event_at, side, band_bps order by preference, depth_usd, best_price
        ) as rank_in_time
    from sides
    where band_bps in ({{ bands.keys() | join(', ') }})
),

snapshots as (
    select
        venue,
        venue_symbol,
        max(base_asset) as base_asset,
        event_at,
        {%- for band, name in bands.items() %}
        max(case when side = 'bid' and band_bps = {{ band }} then depth_usd end) as bid_depth_{{ name }}_usd,
        max(case when side = 'ask' and band_bps = {{ band }} then depth_usd end) as ask_depth_{{ name }}_usd,
        {%- endfor %}
        max(case when side = 'bid' then best_price end) as best_bid,
        min(case when side = 'ask' then best_price end) as best_ask,
        {{ weakest_completeness_agg('completeness') }} as completeness,
        {{ weakest_source_class_agg('source_class') }} as source_class
    from ranked
    where rank_in_time = 1
    group by venue, venue_symbol, event_at
)

select
    venue,
    venue_symbol,
    base_asset,
    event_at,
    {%- for name in bands.values() %}
    bid_depth_{{ name }}_usd,
    ask_depth_{{ name }}_usd,
    bid_depth_{{ name }}_usd + ask_depth_{{ name }}_usd as depth_{{ name }}_usd,
    {%- endfor %}
    case
        when best_ask >= best_bid then 10000 * (best_ask - best_bid) / nullif((best_ask + best_bid) / 2, 0)
    end as spread_bps,
    completeness,
    source_class
from snapshots
