-- Every contract that any dataset mentions, with the first and last day on which one did.
{%- set observed = [
    ('int_volume__daily', 'volume_date'),
    ('int_open_interest__daily', 'open_interest_date'),
    ('int_liquidations__daily', 'liquidation_date'),
    ('int_funding__unioned', utc_date('event_at')),
    ('int_depth__one_percent', utc_date('event_at')),
    ('int_adl__unioned', utc_date('event_at')),
    ('stg_files__leverage_tiers', utc_date('valid_from_at')),
] %}
with observations as (
    {% for model, day in observed %}
    select
        venue, venue_symbol, base_asset, {{ day }} as seen_date, completeness, source_class
    from {{ ref(model) }}
    {% if not loop.last %}union all{% endif %}
    {% endfor %}
)

select
    venue,
    venue_symbol,
    max(base_asset) as base_asset,
    min(seen_date) as first_seen_date,
    max(seen_date) as last_seen_date,
    {{ weakest_completeness_agg('completeness') }} as completeness,
    {{ weakest_source_class_agg('source_class') }} as source_class
from observations
group by venue, venue_symbol
