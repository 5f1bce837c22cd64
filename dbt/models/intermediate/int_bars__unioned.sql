-- A venue's own candles win over a file's for the same contract, interval and start.
{%- set columns -%}
    venue, venue_symbol, base_asset, contract_type, interval_seconds, bar_start_at, open_price, high_price, low_price,
    close_price, base_quantity, notional_usd, volume_basis, completeness, source_class, source
{%- endset %}
with venue_bars as (
    select {{ columns }} from {{ ref('stg_binance__klines') }}
    union all
    select {{ columns }} from {{ ref('stg_bybit__klines') }}
),

file_bars as (
    select {{ columns }} from {{ ref('stg_files__klines') }}
    where price_kind = 'last'
),

bars as (
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
)

select
    *,
    {{ add_seconds('bar_start_at', 'interval_seconds') }} as bar_end_at,
    cast(bar_start_at as date) as bar_date
from bars
