{{ config(meta={'dagster': {'ref': {'name': 'dim_venue'}}}) }}
-- A feed and product without rows in feed_units would have quantities of nothing, silently null.
{%- set entities = [
    'klines', 'open_interest', 'liquidations', 'liquidation_sums', 'depth', 'adl_fills', 'tickers',
] %}
{% for entity in entities %}
select distinct '{{ entity }}' as entity, staged.feed, staged.product
from {{ ref('stg_venues__' ~ entity) }} as staged
left join {{ ref('feed_units') }} as units
    on staged.feed = units.feed
    and {{ unit_product('staged.product') }} = units.product
    and units.entity = '{{ entity }}'
where units.feed is null
{% if not loop.last %}union all{% endif %}
{% endfor %}
