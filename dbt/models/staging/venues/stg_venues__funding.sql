{{ config(**by_day('partition_date', {'raw.funding': [1, 0]}, terms='stg_reference__instruments')) }}
-- Settlement stamps carry a jitter of milliseconds (..001); the second is the natural key. Intervals change per
-- contract (1, 2, 4 and 8 hours) and some venues do not state them, so one that is not stated is the time since the
-- previous settlement. A longer time than 8 hours is a missing settlement and no interval.
with settlements as (
    select *, date_trunc('second', funding_time) as event_at
    from {{ raw_rows('funding') }}
    {{ keep_latest(
        ['venue_symbol', "date_trunc('second', funding_time)", 'venue', 'feed'], ['funding_time', 'funding_rate']
    ) }}
),

spaced as (
    select
        *,
        {{ seconds_between(
            'lag(event_at) over (partition by venue_symbol, venue, feed order by event_at)', 'event_at'
        ) }} as seconds_since_previous
    from settlements
),

timed as (
    select
        spaced.*,
        coalesce(instrument.base_asset, asset.base_asset) as base_asset,
        instrument.multiplier,
        coalesce(
            spaced.interval_seconds,
            case
                when spaced.seconds_since_previous <= 28800 then cast(round(spaced.seconds_since_previous) as bigint)
            end
        ) as funding_interval_seconds
    from spaced
    {{ join_instrument('spaced', 'spaced.event_at') }}
    {{ join_asset('spaced') }}
)

select
    feed,
    product,
    venue,
    venue_symbol,
    base_asset,
    event_at,
    funding_rate,
    funding_interval_seconds,
    case
        when interval_seconds is not null then 'reported'
        when funding_interval_seconds is not null then 'observed'
    end as interval_basis,
    funding_rate * 31536000 / funding_interval_seconds as funding_rate_annualised,
    mark_price / multiplier as mark_price,
    completeness,
    source_class,
    source,
    ingested_at,
    date as partition_date
from timed
where {{ days_made('date') }}
