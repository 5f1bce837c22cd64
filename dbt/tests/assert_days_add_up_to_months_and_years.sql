{{ config(meta={'dagster': {'ref': {'name': 'fct_exchange_share'}}}) }}
-- The volume of a month or year is the volume of its days.
with days as (
    select
        venue,
        'month' as period_type,
        {{ period_start('month', 'period_start') }} as period_start,
        sum(volume_usd) as volume_usd
    from {{ ref('fct_exchange_share') }}
    where period_type = 'day'
    group by venue, {{ period_start('month', 'period_start') }}
    union all
    select
        venue,
        'year' as period_type,
        {{ period_start('year', 'period_start') }} as period_start,
        sum(volume_usd) as volume_usd
    from {{ ref('fct_exchange_share') }}
    where period_type = 'day'
    group by venue, {{ period_start('year', 'period_start') }}
)

select
    days.*,
    periods.volume_usd as period_volume_usd
from days
left join {{ ref('fct_exchange_share') }} as periods
    on days.venue = periods.venue
    and days.period_type = periods.period_type
    and days.period_start = periods.period_start
where abs(days.volume_usd - coalesce(periods.volume_usd, 0)) > 1e-9 * abs(days.volume_usd)
