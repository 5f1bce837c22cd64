{{ config(meta={'dagster': {'ref': {'name': 'dim_contract'}}}) }}
-- A venue's own feed names contracts by symbol only; without a seed row its units are unknown.
{%- set models = [
    'stg_binance__klines', 'stg_binance__index_klines', 'stg_binance__open_interest', 'stg_binance__funding',
    'stg_binance__book_depth', 'stg_binance__liquidations', 'stg_bybit__klines', 'stg_bybit__index_klines',
    'stg_bybit__open_interest', 'stg_bybit__funding', 'stg_bybit__liquidations',
] %}
{% for model in models %}
select distinct '{{ model }}' as model_name, venue, venue_symbol
from {{ ref(model) }}
where base_asset is null
{% if not loop.last %}union all{% endif %}
{% endfor %}
