{{ config(**by_day(utc_date('event_at'), {'stg_venues__depth': [1, 1], 'stg_files__depth': [0, 0]})) }}
-- USD resting within 1 % of mid, both sides of one snapshot; a snapshot with one side only has no total.
{%- set columns = 'venue, venue_symbol, base_asset, event_at, side, depth_usd, completeness, source_class' %}
with sides as (
    select {{ columns }}, case when feed = venue then 1 else 2 end as preference from {{ ref('stg_venues__depth') }}
    where band_bps = 100 and {{ times_made('event_at') }}
    union all
    select {{ columns }}, 3 as preference from {{ ref('stg_files__depth') }}
    where band_bps = 100 and {{ times_made('event_at') }}
),

ranked as (
    select
        *,
        row_number() over (
            partition by venue, venue_symbol, event_at, side order by preference, depth_usd
        ) as rank_in_time
    from sides
)

select
    venue,
    venue_symbol,
    max(base_asset) as base_asset,
    event_at,
    max(case when side = 'bid' then depth_usd end) as bid_depth_usd,
    max(case when side = 'ask' then depth_usd end) as ask_depth_usd,
    max(case when side = 'bid' then depth_usd end) + max(case when side = 'ask' then depth_usd end) as depth_usd,
    {{ weakest_completeness_agg('completeness') }} as completeness,
    {{ weakest_source_class_agg('source_class') }} as source_class
from ranked
where rank_in_time = 1
group by venue, venue_symbol, event_at
