{{ config(meta={'dagster': {'ref': {'name': 'dim_contract'}}}) }}
-- A feed names contracts by symbol only; without terms (seed, or the venue's own instruments) its units are unknown.
-- What names no contract is left out: pools and groups of contracts, and totals of a whole venue. So are answers for
-- all contracts of a venue at once (tickers, tiers), which may name some before or after its list of contracts does.
{%- set models = [
    'stg_venues__klines', 'stg_venues__reference_klines', 'stg_venues__premium_klines', 'stg_venues__open_interest',
    'stg_venues__funding', 'stg_venues__depth', 'stg_venues__liquidations', 'stg_venues__liquidation_sums',
    'stg_venues__adl_fills', 'stg_venues__long_short_ratios',
] %}
{% for model in models %}
select distinct '{{ model }}' as model_name, venue, venue_symbol
from {{ ref(model) }}
where base_asset is null and feed <> 'defillama'
{% if not loop.last %}union all{% endif %}
{% endfor %}
