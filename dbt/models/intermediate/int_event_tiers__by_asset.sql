{{ config(meta={'rests_on_days_around_events': true}) }}
-- The tier of the day before the event began: the event's own volume cannot make an asset large. The day before is the
-- last one that a tier may rest on, so a tier of a later day is never looked at.
with ranked as (
    select
        events.event_id,
        tiers.base_asset,
        tiers.tier,
        tiers.tier_basis,
        tiers.tier_date,
        row_number() over (partition by events.event_id, tiers.base_asset order by tiers.tier_date desc) as preference
    from {{ ref('int_asset_tiers__daily') }} as tiers
    inner join {{ ref('stg_reference__events') }} as events
        on tiers.tier_date < cast(events.shock_at as date)
        and tiers.tier_date >= {{ add_days('cast(events.shock_at as date)', -90) }}
)

select
    event_id,
    base_asset,
    tier,
    tier_basis,
    tier_date
from ranked
where preference = 1
