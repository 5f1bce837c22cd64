-- A venue's own candles win over another feed's, and those over a file's, for the same contract, interval and start.
-- Candles of contracts that are not quoted in USD stay in staging: their prices are no USD.
{%- set columns -%}
    venue, venue_symbol, base_asset, contract_type, interval_seconds, bar_start_at, open_price, high_price, low_price,
    close_price, base_quantity, notional_usd, volume_basis, completeness, source_class, source
{%- endset %}
{%- set same_bar -%}
    on further.venue = nearer.venue
    and further.venue_symbol = nearer.venue_symbol
    and further.interval_seconds = nearer.interval_seconds
    and further.bar_start_at = nearer.bar_start_at
{%- endset %}
with own_bars as (
    select {{ columns }} from {{ ref('stg_venues__klines') }}
    where feed = venue and is_usd_quoted is distinct from false
),

other_bars as (
    select {{ columns }} from {{ ref('stg_venues__klines') }}
    where feed <> venue and is_usd_quoted is distinct from false
),

file_bars as (
    select {{ columns }} from {{ ref('stg_files__klines') }}
    where price_kind = 'last'
),

venue_bars as (
    select * from own_bars
    union all
    select further.*
    from other_bars as further
    left join own_bars as nearer
        {{ same_bar }}
    where nearer.venue is null
),

bars as (
    select * from venue_bars
    union all
    select further.*
    from file_bars as further
    left join venue_bars as nearer
        {{ same_bar }}
    where nearer.venue is null
)

select
    *,
    {{ add_seconds('bar_start_at', 'interval_seconds') }} as bar_end_at,
    cast(bar_start_at as date) as bar_date
from bars
