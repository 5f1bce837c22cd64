{{ config(materialized='view') }}
-- A venue's own candles win over another feed's, and those over a file's, for the same contract, interval and start.
-- Candles of contracts that are not quoted in USD stay in staging: their prices are no USD. A view: a copy of the
-- largest table would cost more than reading it in place.
{%- set columns -%}
    venue, venue_symbol, base_asset, contract_type, interval_seconds, bar_start_at, open_price, high_price, low_price,
    close_price, base_quantity, notional_usd, volume_basis, completeness, source_class
{%- endset %}
with bars as (
    select {{ columns }} from {{ ref('stg_venues__klines') }}
    where feed = venue and is_usd_quoted is distinct from false
    union all
    select {{ columns }} from {{ ref('int_bars__filled') }}
)

select
    *,
    {{ add_seconds('bar_start_at', 'interval_seconds') }} as bar_end_at,
    {{ utc_date('bar_start_at') }} as bar_date
from bars
