-- Which contracts make up a row of the event summary. Contracts of no venue (`market`) repeat what the venues report,
-- so they stand for themselves and are in no sum.
{%- set scopes = [
    ('contract', 'venue', 'venue_symbol', 'tier'),
    ('venue_tier', 'venue', "'all'", 'tier'),
    ('venue', 'venue', "'all'", "'all'"),
    ('tier', "'market'", "'all'", 'tier'),
    ('market', "'market'", "'all'", "'all'"),
] %}
with contracts as (
    select event_id, venue, venue_symbol, tier, interval_seconds from {{ ref('int_event_contracts__described') }}
),

members as (
    {% for scope, venue, venue_symbol, tier in scopes -%}
    select
        event_id,
        '{{ scope }}' as scope,
        {{ venue }} as scope_venue,
        {{ venue_symbol }} as scope_venue_symbol,
        {{ tier }} as scope_tier,
        venue,
        venue_symbol,
        interval_seconds
    from contracts
    {% if scope != 'contract' -%}
    where venue <> 'market'
    {% endif -%}
    {{ 'union all' if not loop.last }}
    {% endfor %}
)

select
    dense_rank() over (order by event_id, scope, scope_venue, scope_venue_symbol, scope_tier) as scope_number,
    event_id,
    scope,
    scope_venue,
    scope_venue_symbol,
    scope_tier,
    venue,
    venue_symbol,
    max(interval_seconds) over (
        partition by event_id, scope, scope_venue, scope_venue_symbol, scope_tier
    ) as scope_interval_seconds
from members
