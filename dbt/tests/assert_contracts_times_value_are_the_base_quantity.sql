{{ config(meta={'dagster': {'ref': {'name': 'stg_venues__klines'}}}) }}
-- Where a feed reports contracts and base assets both, the contract's value ties them: a wrong value, or a multiplier
-- that was forgotten, is a factor. 2 % and one contract for what venues round.
{%- set models = [
    ('stg_venues__klines', 'bar_start_at', 'contracts', 'base_quantity'),
    ('stg_venues__open_interest', 'event_at', 'contracts', 'base_quantity'),
    ('stg_venues__tickers', 'event_at', 'volume_contracts', 'volume_base'),
] %}
with quantities as (
    {% for model, moment, contracts, base in models %}
    select
        '{{ model }}' as model_name,
        venue,
        venue_symbol,
        {{ moment }} as observed_at,
        {{ contracts }} as counted_contracts,
        {{ base }} as counted_base
    from {{ ref(model) }}
    where contract_type = 'linear'
    {% if not loop.last %}union all{% endif %}
    {% endfor %}
)

select
    quantities.*,
    quantities.counted_contracts * terms.contract_value * terms.multiplier as worked_out_base
from quantities
inner join {{ ref('stg_reference__instruments') }} as terms
    on quantities.venue = terms.venue
    and quantities.venue_symbol = terms.venue_symbol
    and quantities.observed_at >= terms.valid_from_at
    and quantities.observed_at < terms.valid_to_at
where abs(quantities.counted_base - quantities.counted_contracts * terms.contract_value * terms.multiplier)
    > 0.02 * quantities.counted_base + terms.contract_value * terms.multiplier
