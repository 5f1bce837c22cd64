-- Candidates for every published figure: from data (one per source class, never mixed) and from published values alone.
-- `is_partial` marks a sum over less than the figure covers; such a sum can never match.
{%- set event = '2025_10_10' %}
with listed as (
    select venue, count(distinct venue_symbol) as contracts_listed, count(distinct base_asset) as assets_listed
    from {{ ref('stg_reference__instruments') }}
    where is_own_name
    group by venue
),

days as (
    select * from {{ ref('int_volume__daily') }}
    where venue <> 'market' and volume_usd is not null
),

-- Volumes of periods: sums over the venues that the warehouse covers.
volume_periods as (
    select
        case
            when volume_date between date '2025-01-01' and date '2025-03-31' then 'tokeninsight_top_ten_q1_2025'
            when volume_date between date '2025-04-01' and date '2025-06-30' then 'tokeninsight_top_ten_q2_2025'
            when volume_date between date '2025-08-01' and date '2025-08-31' then 'coindesk_volume_2025_08'
            when volume_date between date '2025-09-01' and date '2025-09-30' then 'coindesk_volume_2025_09'
            when volume_date between date '2025-10-01' and date '2025-10-31' then 'coindesk_volume_2025_10'
        end as figure_id,
        *
    from days
    union all
    select 'volume_2025' as figure_id, * from days
    where volume_date between date '2025-01-01' and date '2025-12-31'
),

market_volumes as (
    select
        figure_id,
        {{ usd_sum('volume_usd') }} as computed_value,
        max(volume_date) as computed_date,
        count(distinct volume_date) as days_covered,
        case figure_id
            when 'volume_2025' then 365
            when 'tokeninsight_top_ten_q1_2025' then 90
            when 'tokeninsight_top_ten_q2_2025' then 91
            when 'coindesk_volume_2025_09' then 30
            else 31
        end as days_needed,
        true as is_partial,
        'partial sum over ' || cast(count(distinct venue) as varchar) || ' covered venues' as note,
        {{ weakest_completeness_agg('completeness') }} as completeness,
        source_class
    from volume_periods
    where figure_id is not null
    group by figure_id, source_class
),

venue_volumes as (
    select
        days.venue || '_volume_2025' as figure_id,
        {{ usd_sum('days.volume_usd') }} as computed_value,
        max(days.volume_date) as computed_date,
        count(distinct days.volume_date) as days_covered,
        365 as days_needed,
        coalesce(count(distinct days.venue_symbol) < max(listed.contracts_listed), true) as is_partial,
        cast(count(distinct days.venue_symbol) as varchar) || ' of '
        || coalesce(cast(max(listed.contracts_listed) as varchar), 'an unknown number of')
        || ' contracts covered' as note,
        {{ weakest_completeness_agg('days.completeness') }} as completeness,
        days.source_class
    from days
    left join listed on days.venue = listed.venue
    where days.volume_date between date '2025-01-01' and date '2025-12-31'
    group by days.venue, days.source_class
),

daily_totals as (
    select
        volume_date,
        source_class,
        count(distinct venue) as venues,
        {{ usd_sum('volume_usd') }} as volume_usd,
        {{ weakest_completeness_agg('completeness') }} as completeness
    from days
    where volume_date between date '2025-01-01' and date '2025-12-31'
    group by volume_date, source_class
),

ranked_totals as (
    select
        *,
        count(*) over (partition by source_class) as days_covered,
        row_number() over (partition by source_class order by volume_usd desc, volume_date) as preference
    from daily_totals
),

peak_volume as (
    select
        figures.figure_id,
        case figures.figure_id
            when 'peak_daily_volume_2025' then totals.volume_usd
            else cast(extract(doy from totals.volume_date) as double)
        end as computed_value,
        totals.volume_date as computed_date,
        totals.days_covered,
        365 as days_needed,
        true as is_partial,
        'partial sum over ' || cast(totals.venues as varchar) || ' covered venues' as note,
        totals.completeness,
        totals.source_class
    from ranked_totals as totals
    inner join {{ ref('stg_reference__published_figures') }} as figures
        on figures.figure_id in ('peak_daily_volume_2025', 'peak_daily_volume_2025_date')
    where totals.preference = 1
),

open_interest_totals as (
    select
        open_interest_date,
        source_class,
        count(distinct venue) as venues,
        {{ usd_sum('open_interest_usd') }} as open_interest_usd,
        {{ weakest_completeness_agg('completeness') }} as completeness
    from {{ ref('int_open_interest__daily') }}
    where venue <> 'market' and open_interest_date between date '2025-01-01' and date '2025-12-31'
    group by open_interest_date, source_class
),

open_interest_ranks as (
    select
        *,
        count(*) over (partition by source_class) as days_covered,
        row_number() over (partition by source_class order by open_interest_usd desc, open_interest_date) as from_top,
        row_number() over (partition by source_class order by open_interest_usd, open_interest_date) as from_bottom
    from open_interest_totals
),

open_interest as (
    select
        figures.figure_id,
        case figures.figure_id
            when 'open_interest_peak_2025_date' then cast(extract(doy from ranks.open_interest_date) as double)
            else ranks.open_interest_usd
        end as computed_value,
        ranks.open_interest_date as computed_date,
        case when figures.figure_id = 'open_interest_year_end_2025' then 1 else ranks.days_covered end as days_covered,
        case when figures.figure_id = 'open_interest_year_end_2025' then 1 else 365 end as days_needed,
        true as is_partial,
        'partial sum over ' || cast(ranks.venues as varchar) || ' covered venues' as note,
        ranks.completeness,
        ranks.source_class
    from open_interest_ranks as ranks
    inner join {{ ref('stg_reference__published_figures') }} as figures
        on (figures.figure_id in ('open_interest_peak_2025', 'open_interest_peak_2025_date') and ranks.from_top = 1)
        or (figures.figure_id = 'open_interest_low_2025' and ranks.from_bottom = 1)
        or (
            figures.figure_id = 'open_interest_year_end_2025'
            and ranks.open_interest_date = date '2025-12-31'
        )
),

-- The publishers' 24 hours end at a snapshot whose time is not known; these are the UTC day, whose last three hours
-- hold nearly all of it.
event_day as (
    select * from {{ ref('int_liquidations__daily') }}
    where liquidation_date = date '2025-10-10'
),

event_totals as (
    {% for figure, column in [
        ('liquidated_24h', 'liquidated_usd'),
        ('liquidated_24h_long', 'liquidated_long_usd'),
        ('liquidated_24h_short', 'liquidated_short_usd'),
    ] %}
    select
        '{{ figure }}' as figure_id,
        venue,
        liquidation_date,
        {{ column }} as amount_usd,
        completeness,
        source_class
    from event_day
    union all
    {% endfor %}
    select
        'liquidated_24h_' || lower(base_asset) as figure_id,
        venue,
        liquidation_date,
        liquidated_usd as amount_usd,
        completeness,
        source_class
    from event_day
    where base_asset in ('BTC', 'ETH', 'SOL')
    union all
    select
        figures.figure_id,
        daily.venue,
        daily.liquidation_date,
        daily.liquidated_usd as amount_usd,
        daily.completeness,
        daily.source_class
    from {{ ref('int_liquidations__daily') }} as daily
    inner join {{ ref('stg_reference__published_figures') }} as figures
        on figures.figure_id in ('liquidations_2025', 'liquidations_2025_headline')
    where daily.liquidation_date between date '2025-01-01' and date '2025-12-31'
),

-- Unattributed totals would count the venues' own liquidations again: one basis per figure and class.
event_bases as (
    select figure_id, source_class, count(case when venue <> 'market' then 1 end) > 0 as has_venue_feeds
    from event_totals
    group by figure_id, source_class
),

liquidations as (
    select
        totals.figure_id,
        {{ usd_sum('totals.amount_usd') }} as computed_value,
        case when totals.figure_id not like 'liquidations#_%' escape '#' then date '2025-10-10' end as computed_date,
        count(distinct totals.liquidation_date) as days_covered,
        case when totals.figure_id like 'liquidations#_%' escape '#' then 365 else 1 end as days_needed,
        true as is_partial,
        case
            when max(cast(bases.has_venue_feeds as integer)) = 1
                then 'partial sum over the feeds of ' || cast(count(distinct totals.venue) as varchar) || ' venues'
            else 'partial sum of a feed without venues'
        end
        || case
            when totals.figure_id like 'liquidated#_24h%' escape '#' then ', over the UTC day of 10 October'
            else ''
        end as note,
        {{ weakest_completeness_agg('totals.completeness') }} as completeness,
        totals.source_class
    from event_totals as totals
    inner join event_bases as bases
        on totals.figure_id = bases.figure_id
        and totals.source_class = bases.source_class
    where (totals.venue = 'market') <> bases.has_venue_feeds
    group by totals.figure_id, totals.source_class
),

venue_amounts as (
    select
        'liquidated_24h_' || venue as figure_id,
        venue,
        base_asset,
        liquidated_usd as amount_usd,
        completeness,
        source_class
    from event_day
    union all
    select
        'liquidated_24h_binance_long' as figure_id,
        venue,
        base_asset,
        liquidated_long_usd,
        completeness,
        source_class
    from event_day
    where venue = 'binance'
    union all
    select
        'liquidated_24h_binance_short' as figure_id,
        venue,
        base_asset,
        liquidated_short_usd,
        completeness,
        source_class
    from event_day
    where venue = 'binance'
),

venue_liquidations as (
    select
        amounts.figure_id,
        {{ usd_sum('amounts.amount_usd') }} as computed_value,
        date '2025-10-10' as computed_date,
        1 as days_covered,
        1 as days_needed,
        max({{ flag_rank('amounts.completeness', completeness_levels()) }}) > 1
        or coalesce(count(distinct amounts.base_asset) < 0.5 * max(listed.assets_listed), true) as is_partial,
        cast(count(distinct amounts.base_asset) as varchar) || ' coins of '
        || coalesce(cast(max(listed.assets_listed) as varchar), 'an unknown number') || ' in a '
        || {{ weakest_completeness_agg('amounts.completeness') }} || ' feed, over the UTC day of 10 October'
            as note,
        {{ weakest_completeness_agg('amounts.completeness') }} as completeness,
        amounts.source_class
    from venue_amounts as amounts
    left join listed on amounts.venue = listed.venue
    group by amounts.figure_id, amounts.source_class
),

btc_days as (
    select
        source_class,
        venue,
        volume_date,
        high_price,
        completeness,
        row_number() over (partition by source_class order by high_price desc, volume_date, venue) as preference
    from {{ ref('int_volume__daily') }}
    where base_asset = 'BTC'
        and completeness = 'complete'
        and volume_date between date '2025-01-01' and date '2025-12-31'
),

btc_coverage as (
    select
        source_class,
        count(distinct volume_date) as days_covered,
        max(case when volume_date = date '2025-10-06' then 1 else 0 end) as is_high_day_covered
    from btc_days
    group by source_class
),

btc_highs as (
    select
        figures.figure_id,
        case figures.figure_id
            when 'btc_high_2025' then btc_days.high_price
            else cast(extract(doy from btc_days.volume_date) as double)
        end as computed_value,
        btc_days.volume_date as computed_date,
        coverage.is_high_day_covered as days_covered,
        1 as days_needed,
        false as is_partial,
        'highest of ' || cast(coverage.days_covered as varchar) || ' covered days of 2025, on '
        || btc_days.venue as note,
        btc_days.completeness,
        btc_days.source_class
    from btc_days
    inner join btc_coverage as coverage on btc_days.source_class = coverage.source_class
    inner join {{ ref('stg_reference__published_figures') }} as figures
        on figures.figure_id = 'btc_high_2025'
        -- The day of the high is known only if the published high itself was found.
        or (figures.figure_id = 'btc_high_2025_date' and btc_days.high_price >= 126000 * 0.995)
    where btc_days.preference = 1
),

-- The tail is whoever was tail on the day before: no publisher lists its coins.
moves as (
    select
        moves.*,
        coalesce(tiers.tier, listed_tiers.tier, 'tail') as tier
    from {{ ref('int_event_moves__by_contract') }} as moves
    left join {{ ref('int_event_tiers__by_asset') }} as tiers
        on moves.event_id = tiers.event_id
        and moves.base_asset = tiers.base_asset
    left join {{ ref('asset_tiers') }} as listed_tiers on moves.base_asset = listed_tiers.base_asset
    where moves.event_id = '{{ event }}' and moves.low_move_from_pre_event is not null
),

-- The venue with the largest volume in the window stands for the market; the one that fell deepest is named beside it.
covering_moves as (
    select
        *,
        row_number() over (
            partition by base_asset, source_class order by volume_usd desc nulls last, venue, venue_symbol
        ) as preference,
        row_number() over (
            partition by base_asset, source_class order by low_move_from_pre_event, venue, venue_symbol
        ) as depth_rank
    from moves
    where base_asset in ('BTC', 'ETH') and completeness = 'complete' and covered_seconds >= 172800
),

reference_moves as (
    select
        chosen.*,
        'the deepest fall of all venues whose candles cover the window: ' || deepest.venue || ', to '
        || cast(deepest.low_price as varchar) || ', '
        || cast(round(100 * deepest.low_move_from_pre_event, 1) as varchar) || ' %' as deepest_note
    from covering_moves as chosen
    inner join covering_moves as deepest
        on chosen.base_asset = deepest.base_asset
        and chosen.source_class = deepest.source_class
        and deepest.depth_rank = 1
    where chosen.preference = 1
),

lows as (
    select
        figures.figure_id,
        case
            when figures.figure_id like '%#_low' escape '#' then reference_moves.low_price
            else reference_moves.low_move_from_pre_event
        end as computed_value,
        date '2025-10-10' as computed_date,
        2 as days_covered,
        2 as days_needed,
        false as is_partial,
        -- A mean of prices is lowest at or above the mean of their lows: a composite hides what single venues saw. That
        -- explains a lower low only while the fall itself is the published one.
        case
            when figures.figure_id like '%#_low' escape '#'
                and reference_moves.low_price < coalesce(figures.published_low, figures.published_value)
                and reference_moves.low_move_from_pre_event between falls.published_low and falls.published_high
                then 'the published low is a composite, which lies above the lows of single venues; the fall on '
                    || reference_moves.venue || ', '
                    || cast(round(100 * reference_moves.low_move_from_pre_event, 1) as varchar)
                    || ' %, is within the published one; its low is ' || cast(reference_moves.low_price as varchar)
                    || '; ' || reference_moves.deepest_note
        end as explanation,
        'low on ' || reference_moves.venue || ', the venue with the largest volume: '
        || cast(reference_moves.low_price as varchar) || ', '
        || cast(round(100 * reference_moves.low_move_from_pre_event, 1) as varchar) || ' %; '
        || reference_moves.deepest_note as note,
        reference_moves.completeness,
        reference_moves.source_class
    from reference_moves
    inner join {{ ref('stg_reference__published_figures') }} as figures
        on figures.figure_id in (
            lower(reference_moves.base_asset) || '_fall', lower(reference_moves.base_asset) || '_low'
        )
    inner join {{ ref('stg_reference__published_figures') }} as falls
        on falls.figure_id = lower(reference_moves.base_asset) || '_fall'
),

tail_assets as (
    select
        base_asset,
        source_class,
        {{ exact_median('low_move_from_pre_event') }} as low_move,
        {{ weakest_completeness_agg('completeness') }} as completeness
    from moves
    where tier = 'tail'
    group by base_asset, source_class
),

tail_falls as (
    select
        'long_tail_fall' as figure_id,
        {{ exact_sum('low_move', 10) }} / count(*) as computed_value,
        date '2025-10-10' as computed_date,
        2 as days_covered,
        2 as days_needed,
        count(*) < 50 as is_partial,
        'mean over ' || cast(count(*) as varchar) || ' tail assets' as note,
        {{ weakest_completeness_agg('completeness') }} as completeness,
        source_class
    from tail_assets
    group by source_class
),

binance_falls as (
    select
        figures.figure_id,
        case figures.figure_id
            when 'average_token_fall_binance' then {{ exact_sum('moves.low_move_from_pre_event', 10) }} / count(*)
            else cast(count(case when moves.low_move_from_pre_event < -0.8 then 1 end) as double)
        end as computed_value,
        date '2025-10-10' as computed_date,
        2 as days_covered,
        2 as days_needed,
        coalesce(count(*) < max(listed.contracts_listed), true) as is_partial,
        cast(count(*) as varchar) || ' of ' || coalesce(cast(max(listed.contracts_listed) as varchar), 'unknown')
        || ' Binance contracts' as note,
        {{ weakest_completeness_agg('moves.completeness') }} as completeness,
        moves.source_class
    from moves
    left join listed on moves.venue = listed.venue
    inner join {{ ref('stg_reference__published_figures') }} as figures
        on figures.figure_id in ('average_token_fall_binance', 'coins_below_80_percent')
    where moves.venue = 'binance'
    group by figures.figure_id, moves.source_class
),

-- The deepest book of a venue, as a mean over the hour before the event.
depth_before as (
    select
        depth.venue,
        depth.venue_symbol,
        depth.source_class,
        {{ usd_sum('depth.depth_usd') }} / count(*) as depth_usd,
        count(*) as snapshots,
        {{ weakest_completeness_agg('depth.completeness') }} as completeness
    from {{ ref('int_depth__one_percent') }} as depth
    inner join {{ ref('stg_reference__events') }} as events
        on depth.event_at >= {{ add_seconds('events.pre_event_at', -3600) }}
        and depth.event_at < events.pre_event_at
    where events.event_id = '{{ event }}' and depth.base_asset = 'BTC' and depth.depth_usd is not null
    group by depth.venue, depth.venue_symbol, depth.source_class
),

depth_ranks as (
    select
        *,
        row_number() over (
            partition by source_class order by depth_usd desc, venue, venue_symbol
        ) as preference
    from depth_before
),

depth as (
    select
        'btc_depth_before' as figure_id,
        depth_usd as computed_value,
        date '2025-10-10' as computed_date,
        1 as days_covered,
        1 as days_needed,
        false as is_partial,
        'mean of ' || cast(snapshots as varchar) || ' snapshots of ' || venue || ' ' || venue_symbol as note,
        completeness,
        source_class
    from depth_ranks
    where preference = 1
),

-- The wave of the published sums is 21:15 to 21:27; the first and the last are of the day.
adl as (
    select
        *,
        event_at >= timestamptz '2025-10-10 21:15:00+00'
        and event_at < timestamptz '2025-10-10 21:27:00+00' as is_in_wave
    from {{ ref('int_adl__unioned') }}
    where venue = 'hyperliquid'
        and not is_told_by_fills
        and event_at >= timestamptz '2025-10-10 00:00:00+00'
        and event_at < timestamptz '2025-10-11 00:00:00+00'
),

{%- set wave_usd -%}
    case
        when count(case when is_in_wave then adl_usd end) = count(case when is_in_wave then 1 end)
            then {{ usd_sum('case when is_in_wave then adl_usd end') }}
    end
{%- endset %}

adl_figures as (
    {% for figure, formula in [
        ('hyperliquid_adl_coins', 'cast(count(distinct case when is_in_wave then base_asset end) as double)'),
        ('hyperliquid_first_adl', 'min(' ~ second_of_day('event_at') ~ ')'),
        ('hyperliquid_last_adl', 'max(' ~ second_of_day('event_at') ~ ')'),
        ('hyperliquid_adl', wave_usd),
    ] %}
    select
        '{{ figure }}' as figure_id,
        {{ formula }} as computed_value,
        date '2025-10-10' as computed_date,
        1 as days_covered,
        1 as days_needed,
        max({{ flag_rank('completeness', completeness_levels()) }}) > 1 as is_partial,
        cast(count(*) as varchar) || ' ADL events of the day' as note,
        {{ weakest_completeness_agg('completeness') }} as completeness,
        source_class
    from adl
    group by source_class
    union all
    {% endfor %}
    select
        'hyperliquid_adl_' || lower(base_asset) as figure_id,
        {{ wave_usd }} as computed_value,
        date '2025-10-10' as computed_date,
        1 as days_covered,
        1 as days_needed,
        max({{ flag_rank('completeness', completeness_levels()) }}) > 1 as is_partial,
        cast(count(*) as varchar) || ' ADL events of the coin' as note,
        {{ weakest_completeness_agg('completeness') }} as completeness,
        source_class
    from adl
    group by base_asset, source_class
),

cascade_fills as (
    select
        *,
        {{ flag_rank('completeness', completeness_levels()) }} as completeness_rank
    from {{ ref('int_liquidations__unioned') }}
    where venue = 'hyperliquid'
        and period_seconds = 0
        and event_at >= timestamptz '2025-10-10 21:15:00+00'
        and event_at < timestamptz '2025-10-10 21:27:00+00'
),

fill_figures as (
    {% for figure, formula in [
        ('hyperliquid_liquidated', usd_sum('notional_usd')),
        ('hyperliquid_liquidation_fills', 'cast(count(*) as double)'),
        ('hyperliquid_first_liquidation', 'min(' ~ second_of_day('event_at') ~ ')'),
    ] %}
    select
        '{{ figure }}' as figure_id,
        {{ formula }} as computed_value,
        date '2025-10-10' as computed_date,
        1 as days_covered,
        1 as days_needed,
        max(completeness_rank) > 1 or count(distinct base_asset) < 100 as is_partial,
        cast(count(*) as varchar) || ' fills in ' || cast(count(distinct base_asset) as varchar) || ' coins' as note,
        {{ weakest_completeness_agg('completeness') }} as completeness,
        source_class
    from cascade_fills
    group by source_class
    {% if not loop.last %}union all{% endif %}
    {% endfor %}
)

select
    figure_id,
    computed_value,
    computed_date,
    cast(null as integer) as days_covered,
    cast(null as integer) as days_needed,
    false as is_partial,
    explanation,
    note,
    'complete' as completeness,
    'published' as source_class
from {{ ref('int_reconciliation__arithmetic') }}
union all
select
    figure_id,
    computed_value,
    computed_date,
    1 as days_covered,
    1 as days_needed,
    is_partial,
    cast(null as varchar) as explanation,
    note,
    completeness,
    source_class
from {{ ref('int_reconciliation__event') }}
where computed_value is not null
{% for candidates in [
    'market_volumes', 'venue_volumes', 'peak_volume', 'open_interest', 'liquidations', 'venue_liquidations',
    'btc_highs', 'lows', 'tail_falls', 'binance_falls', 'depth', 'adl_figures', 'fill_figures',
] %}
union all
select
    figure_id,
    computed_value,
    computed_date,
    cast(days_covered as integer) as days_covered,
    cast(days_needed as integer) as days_needed,
    is_partial,
    {{ 'explanation' if candidates == 'lows' else 'cast(null as varchar) as explanation' }},
    note,
    completeness,
    source_class
from {{ candidates }}
where computed_value is not null
{% endfor %}
