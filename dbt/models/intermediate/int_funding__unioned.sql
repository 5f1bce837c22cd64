{{ config(**with_days(utc_date('event_at'))) }}
-- The venue's own settlement wins over a file's for the same second; other feeds count where both are silent.
{%- set columns = 'venue, venue_symbol, base_asset, event_at, funding_rate, completeness, source_class, source' %}
with nearer as (
    select feed, product, {{ columns }}, 1 as preference from {{ ref('stg_venues__funding') }}
    where feed = venue
    union all
    select 'files' as feed, 'files' as product, {{ columns }}, 2 as preference from {{ ref('stg_files__funding') }}
),

others as (
    select feed, product, {{ columns }}, 3 as preference from {{ ref('stg_venues__funding') }}
    where feed <> venue
),

settlements as (
    select * from nearer
    union all
    {{ where_nearer_is_silent('others', 'nearer') }}
),

ranked as (
    select
        *,
        row_number() over (
            partition by venue, venue_symbol, event_at order by preference, source, funding_rate
        ) as rank_in_time
    from settlements
)

select {{ columns }} from ranked
where rank_in_time = 1
