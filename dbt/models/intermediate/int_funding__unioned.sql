-- The venue's own settlement wins over a file's for the same second.
{%- set columns = 'venue, venue_symbol, base_asset, event_at, funding_rate, completeness, source_class, source' %}
with settlements as (
    select {{ columns }}, 1 as preference from {{ ref('stg_binance__funding') }}
    union all
    select {{ columns }}, 1 as preference from {{ ref('stg_bybit__funding') }}
    union all
    select {{ columns }}, 2 as preference from {{ ref('stg_files__funding') }}
),

ranked as (
    select
        *,
        row_number() over (partition by venue, venue_symbol, event_at order by preference) as rank_in_time
    from settlements
)

select {{ columns }} from ranked
where rank_in_time = 1
