{{ config(materialized='view') }}
-- Liquidations and period sums of all sources. Aggregators inherit the throttled feeds of the venues, so theirs count
-- only for a venue, asset and day of which the venue's own feed and the files say nothing.
{%- set columns -%}
    venue, venue_symbol, base_asset, contract_type, event_at, event_index, period_seconds, liquidated_side,
    base_quantity, notional_usd, price_basis, completeness, source_class, source
{%- endset %}
with nearer as (
    select feed, product, {{ columns }} from {{ ref('stg_venues__liquidations') }}
    where feed = venue
    union all
    select 'files' as feed, 'files' as product, {{ columns }} from {{ ref('stg_files__liquidations') }}
),

others as (
    select feed, product, {{ columns }} from {{ ref('stg_venues__liquidations') }}
    where feed <> venue
    union all
    select
        feed, product, venue, venue_symbol, base_asset, contract_type, event_at,
        case liquidated_side when 'long' then 1 else 2 end as event_index, period_seconds, liquidated_side,
        base_quantity, notional_usd, cast(null as varchar) as price_basis, completeness, source_class, source
    from {{ ref('stg_venues__liquidation_sums') }}
),

unspoken as (
    {{ where_nearer_is_silent('others', 'nearer') }}
)

select feed, {{ columns }} from nearer
union all
select feed, {{ columns }} from unspoken
