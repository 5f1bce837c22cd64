{{ config(materialized='view') }}
{%- set columns =
    'venue, venue_symbol, base_asset, interval_seconds, bar_start_at, close_price, completeness, source_class, source'
%}
with venue_bars as (
    select {{ columns }} from {{ ref('stg_venues__reference_klines') }}
    where price_kind = 'index' and feed = venue
),

file_bars as (
    select {{ columns }} from {{ ref('stg_files__klines') }}
    where price_kind = 'index'
)

select * from venue_bars
union all
select file_bars.*
from file_bars
left join venue_bars
    on file_bars.venue = venue_bars.venue
    and file_bars.venue_symbol = venue_bars.venue_symbol
    and file_bars.interval_seconds = venue_bars.interval_seconds
    and file_bars.bar_start_at = venue_bars.bar_start_at
where venue_bars.venue is null
