{{ config(**by_day('crowding_date', {
    'int_funding__daily': [6, 0], 'int_open_interest__daily': [7, 0], 'int_volume__daily': [29, 0],
    'stg_venues__long_short_ratios': [1, 1], 'int_depth__one_percent': [0, 0],
})) }}
-- What was known of a contract by the end of each day. Means of the last seven days take the days that are known, at
-- least four of them; growth is over exactly seven days. Open interest grows in base assets: in USD it grows with the
-- price. Leverage is the highest with which a long could have sat through each of the last 30 days: whoever holds the
-- risk of a position constant takes more leverage in calm times (Adrian and Shin 2010).
{%- set series = ['venue', 'venue_symbol'] %}
{%- set week = trailing(series, 'day_number', 6, current=true) %}
{%- set month = trailing(series, 'day_number', 29, current=true) %}
with funding as (
    select
        venue,
        venue_symbol,
        base_asset,
        funding_date as crowding_date,
        funding_rate_annualised,
        completeness,
        source_class
    from {{ ref('int_funding__daily') }}
    where {{ days_needed('int_funding__daily', 'funding_date') }}
),

ratios as (
    select
        *,
        {{ utc_date('event_at') }} as crowding_date,
        row_number() over (
            partition by venue, venue_symbol, {{ utc_date('event_at') }}
            order by event_at desc, case when feed = venue then 1 else 2 end, period_seconds, feed, long_short_ratio
        ) as preference
    from {{ ref('stg_venues__long_short_ratios') }}
    where population = 'accounts' and long_short_ratio is not null and {{ times_made('event_at') }}
),

long_short as (
    select * from ratios
    where preference = 1
),

open_interest as (
    select *, open_interest_date as crowding_date from {{ ref('int_open_interest__daily') }}
    where {{ days_needed('int_open_interest__daily', 'open_interest_date') }}
),

volume as (
    select * from {{ ref('int_volume__daily') }}
    where is_day_covered and {{ days_needed('int_volume__daily', 'volume_date') }}
),

spine as (
    select venue, venue_symbol, crowding_date, max(base_asset) as base_asset
    from (
        select venue, venue_symbol, crowding_date, base_asset from funding
        union all
        select venue, venue_symbol, crowding_date, base_asset from long_short
        union all
        select venue, venue_symbol, crowding_date, base_asset from open_interest
        union all
        select venue, venue_symbol, volume_date, base_asset from volume
    ) as known
    -- Figures of no venue are no contract's.
    where venue <> 'market'
    group by venue, venue_symbol, crowding_date
),

depth as (
    select
        venue,
        venue_symbol,
        {{ utc_date('event_at') }} as depth_date,
        {{ exact_median('depth_usd') }} as depth_1pct_usd,
        {{ weakest_completeness_agg('completeness') }} as completeness,
        {{ weakest_source_class_agg('source_class') }} as source_class
    from {{ ref('int_depth__one_percent') }}
    where depth_usd is not null and {{ times_made('event_at') }}
    group by venue, venue_symbol, {{ utc_date('event_at') }}
),

week_before as (
    select
        venue,
        venue_symbol,
        {{ add_days('open_interest_date', 7) }} as crowding_date,
        base_quantity,
        completeness,
        source_class
    from {{ ref('int_open_interest__daily') }}
    where {{ days_needed('int_open_interest__daily', 'open_interest_date') }}
),

joined as (
    select
        spine.venue,
        spine.venue_symbol,
        spine.base_asset,
        spine.crowding_date,
        {{ period_number('cast(spine.crowding_date as timestamptz)', 86400) }} as day_number,
        funding.funding_rate_annualised,
        long_short.long_short_ratio,
        open_interest.open_interest_usd,
        open_interest.base_quantity / nullif(week_before.base_quantity, 0) - 1 as open_interest_growth_7d,
        volume.volume_usd,
        depth.depth_1pct_usd,
        1 - volume.low_price / nullif(volume.high_price, 0) as fall_within_day,
        funding.completeness as funding_completeness,
        funding.source_class as funding_source_class,
        volume.completeness as volume_completeness,
        volume.source_class as volume_source_class,
        {{ weakest_completeness([
            'long_short.completeness', 'open_interest.completeness', 'week_before.completeness', 'depth.completeness',
        ]) }} as completeness,
        {{ weakest_source_class([
            'long_short.source_class', 'open_interest.source_class', 'week_before.source_class', 'depth.source_class',
        ]) }} as source_class
    from spine
    left join funding
        on spine.venue = funding.venue
        and spine.venue_symbol = funding.venue_symbol
        and spine.crowding_date = funding.crowding_date
    left join long_short
        on spine.venue = long_short.venue
        and spine.venue_symbol = long_short.venue_symbol
        and spine.crowding_date = long_short.crowding_date
    left join open_interest
        on spine.venue = open_interest.venue
        and spine.venue_symbol = open_interest.venue_symbol
        and spine.crowding_date = open_interest.crowding_date
    left join volume
        on spine.venue = volume.venue
        and spine.venue_symbol = volume.venue_symbol
        and spine.crowding_date = volume.volume_date
    left join depth
        on spine.venue = depth.venue
        and spine.venue_symbol = depth.venue_symbol
        and spine.crowding_date = depth.depth_date
    left join week_before
        on spine.venue = week_before.venue
        and spine.venue_symbol = week_before.venue_symbol
        and spine.crowding_date = week_before.crowding_date
),

trailed as (
    select
        *,
        {%- for part in ['funding', 'volume'] %}
        {{ weakest_completeness_agg(part ~ '_completeness', over='over ' ~ week) }} as {{ part }}_week_completeness,
        {{ weakest_source_class_agg(part ~ '_source_class', over='over ' ~ week) }} as {{ part }}_week_source_class,
        {%- endfor %}
        count(funding_rate_annualised) over {{ week }} as funding_days,
        {{ exact_sum('funding_rate_annualised', 12, over='over ' ~ week) }} as funding_week_sum,
        count(volume_usd) over {{ week }} as volume_days,
        {{ usd_sum('volume_usd', over='over ' ~ week) }} as volume_week_usd,
        count(fall_within_day) over {{ month }} as month_days,
        max(fall_within_day) over {{ month }} as deepest_fall_within_day,
        {{ weakest_completeness_agg('volume_completeness', over='over ' ~ month) }} as month_completeness,
        {{ weakest_source_class_agg('volume_source_class', over='over ' ~ month) }} as month_source_class
    from joined
),

measures as (
    select
        *,
        case when funding_days >= 4 then funding_week_sum / funding_days end as funding_rate_annualised_7d,
        case when volume_days >= 4 then open_interest_usd / nullif(volume_week_usd / volume_days, 0) end
            as open_interest_to_volume,
        open_interest_usd / nullif(depth_1pct_usd, 0) as open_interest_to_depth,
        case when month_days >= 20 then 1 / nullif(deepest_fall_within_day, 0) end as leverage_estimate
    from trailed
)

select
    venue,
    venue_symbol,
    base_asset,
    crowding_date,
    day_number,
    open_interest_usd,
    depth_1pct_usd,
    funding_rate_annualised,
    funding_rate_annualised_7d,
    long_short_ratio,
    open_interest_to_volume,
    open_interest_to_depth,
    leverage_estimate,
    open_interest_growth_7d,
    {{ weakest_completeness([
        'completeness', 'funding_completeness',
        'case when funding_rate_annualised_7d is not null then funding_week_completeness end',
        "case when funding_rate_annualised_7d is not null and funding_days < 7 then 'partial' end",
        'case when open_interest_to_volume is not null then volume_week_completeness end',
        "case when open_interest_to_volume is not null and volume_days < 7 then 'partial' end",
        'case when leverage_estimate is not null then month_completeness end',
        "case when leverage_estimate is not null and month_days < 30 then 'partial' end",
    ]) }} as completeness,
    {{ weakest_source_class([
        'source_class', 'funding_source_class',
        'case when funding_rate_annualised_7d is not null then funding_week_source_class end',
        'case when open_interest_to_volume is not null then volume_week_source_class end',
        'case when leverage_estimate is not null then month_source_class end',
        "case when leverage_estimate is not null then 'estimated' end",
    ]) }} as source_class
from measures
where
    coalesce(funding_rate_annualised, funding_rate_annualised_7d, long_short_ratio, open_interest_usd) is not null
    and {{ days_made('crowding_date') }}
