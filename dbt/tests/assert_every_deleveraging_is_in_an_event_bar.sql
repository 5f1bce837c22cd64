{{ config(meta={'dagster': {'ref': {'name': 'fct_event_window'}}}) }}
-- Every single auto-deleveraging of the window is in a bar, with or without a candle.
with bars as (
    select
        venue,
        sum(adl_usd) as adl_usd,
        sum(adl_haircut_usd) as adl_haircut_usd
    from {{ ref('fct_event_window') }}
    group by venue
),

clusters as (
    select
        adl.venue,
        sum(adl.adl_usd) as adl_usd,
        sum(adl.adl_haircut_usd) as adl_haircut_usd
    from {{ ref('int_adl__unioned') }} as adl
    inner join {{ ref('dim_event') }} as events
        on adl.event_at >= events.window_start_at
        and adl.event_at < events.window_end_at
    group by adl.venue
)

select clusters.*
from clusters
left join bars on clusters.venue = bars.venue
where abs(coalesce(clusters.adl_usd, 0) - coalesce(bars.adl_usd, 0)) > 0.01 + 1e-9 * coalesce(clusters.adl_usd, 0)
    or abs(coalesce(clusters.adl_haircut_usd, 0) - coalesce(bars.adl_haircut_usd, 0))
    > 0.01 + 1e-9 * coalesce(clusters.adl_haircut_usd, 0)
