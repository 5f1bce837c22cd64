{{ config(meta={'dagster': {'ref': {'name': 'dim_venue'}}}) }}
-- A period without a row of period_label would be dated by a guess. Moments (no period) need none.
{% for entity in ['open_interest', 'long_short_ratios'] %}
select distinct '{{ entity }}' as entity, staged.feed, staged.product
from {{ ref('stg_venues__' ~ entity) }} as staged
left join {{ ref('venue_feed_changes') }} as labels
    on staged.feed = labels.venue
    and staged.product = labels.product
    and labels.dataset = '{{ entity }}'
    and labels.attribute = 'period_label'
where staged.period_seconds > 0 and labels.venue is null
{% if not loop.last %}union all{% endif %}
{% endfor %}
