{{ config(materialized='view') }}
{%- set columns -%}
    venue, venue_symbol, base_asset, contract_type, event_at, event_index, period_seconds, liquidated_side,
    base_quantity, notional_usd, price_basis, completeness, source_class, source
{%- endset %}
select 'binance' as feed, {{ columns }} from {{ ref('stg_binance__liquidations') }}
union all
select 'bybit' as feed, {{ columns }} from {{ ref('stg_bybit__liquidations') }}
union all
select 'files' as feed, {{ columns }} from {{ ref('stg_files__liquidations') }}
