-- On how many venues at once liquidations stand out. Each venue is measured against its own seven days before the
-- window, which the event cannot have touched.
with windows as (
    select * from {{ ref('dim_event') }}
),

bars as (
    select * from {{ ref('int_event_liquidations__by_venue_bar') }}
    where liquidated_usd > 0
),

-- From its first message on, a venue's feed is known to run, until its last.
spans as (
    select
        bars.event_id,
        bars.venue,
        max(bars.interval_seconds) as interval_seconds,
        min(bars.bar_start_at) as first_bar_at,
        max(bars.bar_start_at) as last_bar_at,
        max(windows.window_start_at) as window_start_at,
        {{ weakest_completeness_agg('bars.completeness') }} as completeness,
        {{ weakest_source_class_agg('bars.source_class') }} as source_class
    from bars
    inner join windows on bars.event_id = windows.event_id
    group by bars.event_id, bars.venue
),

-- Bars of the baseline, those without a liquidation included, and the rank from the top that the 99th percentile has:
-- the least value that 99 % of the bars do not exceed.
baselines as (
    select
        *,
        floor({{ seconds_between('first_bar_at', 'window_start_at') }} / interval_seconds) as baseline_bars
    from spans
    where {{ seconds_between('first_bar_at', 'window_start_at') }} >= 3 * 86400
),

ranked as (
    select
        bars.event_id,
        bars.venue,
        bars.liquidated_usd,
        row_number() over (
            partition by bars.event_id, bars.venue order by bars.liquidated_usd desc, bars.bar_start_at
        ) as rank_from_top
    from bars
    where not bars.is_in_window
),

thresholds as (
    select
        baselines.event_id,
        baselines.venue,
        baselines.interval_seconds,
        baselines.last_bar_at,
        baselines.completeness,
        baselines.source_class,
        -- Fewer bars with liquidations than the rank: the percentile is a bar without one.
        coalesce(ranked.liquidated_usd, 0) as threshold_usd
    from baselines
    left join ranked
        on baselines.event_id = ranked.event_id
        and baselines.venue = ranked.venue
        and ranked.rank_from_top = floor(baselines.baseline_bars / 100) + 1
),

intervals as (
    select event_id, max(interval_seconds) as interval_seconds from thresholds
    group by event_id
),

grid as (
    select
        windows.event_id,
        intervals.interval_seconds,
        {{ every_seconds(
            floor_to_seconds('windows.window_start_at', 'intervals.interval_seconds'), 'windows.window_end_at',
            'intervals.interval_seconds',
        ) }} as bar_start_at
    from windows
    inner join intervals on windows.event_id = intervals.event_id
),

venue_bars as (
    select
        grid.event_id,
        grid.bar_start_at,
        thresholds.venue,
        thresholds.completeness,
        thresholds.source_class,
        coalesce(bars.liquidated_usd, 0) as liquidated_usd,
        coalesce(bars.liquidated_usd, 0) > thresholds.threshold_usd as is_exceeding
    from grid
    inner join thresholds
        on grid.event_id = thresholds.event_id
        and grid.bar_start_at <= thresholds.last_bar_at
    left join bars
        on grid.event_id = bars.event_id
        and grid.bar_start_at = bars.bar_start_at
        and thresholds.venue = bars.venue
),

counted as (
    select
        event_id,
        bar_start_at,
        count(*) as venues_covered,
        sum(case when is_exceeding then 1 else 0 end) as venues_exceeding,
        {{ sorted_list('case when is_exceeding then venue end') }} as exceeding_venues,
        {{ usd_sum('liquidated_usd') }} as liquidated_usd,
        {{ weakest_completeness_agg('completeness') }} as completeness,
        {{ weakest_source_class_agg('source_class') }} as source_class
    from venue_bars
    group by event_id, bar_start_at
),

phase_ranks as (
    select
        grid.event_id,
        grid.bar_start_at,
        phases.phase,
        row_number() over (
            partition by grid.event_id, grid.bar_start_at order by phases.severity_rank
        ) as preference
    from grid
    inner join {{ ref('int_event_phases__unpivoted') }} as phases
        on grid.event_id = phases.event_id
        and grid.bar_start_at < phases.phase_end_at
        and {{ add_seconds('grid.bar_start_at', 'grid.interval_seconds') }} > phases.phase_start_at
)

select
    grid.event_id,
    grid.bar_start_at,
    cast(grid.interval_seconds as integer) as interval_seconds,
    phase_ranks.phase,
    cast(counted.venues_covered as integer) as venues_covered,
    cast(counted.venues_exceeding as integer) as venues_exceeding,
    -- One venue is not in step with anybody.
    case
        when counted.venues_covered >= 2
            then cast(counted.venues_exceeding as double) / counted.venues_covered
    end as exceeding_share,
    counted.exceeding_venues,
    counted.liquidated_usd,
    counted.completeness,
    counted.source_class
from grid
inner join counted
    on grid.event_id = counted.event_id
    and grid.bar_start_at = counted.bar_start_at
left join phase_ranks
    on grid.event_id = phase_ranks.event_id
    and grid.bar_start_at = phase_ranks.bar_start_at
    and phase_ranks.preference = 1
order by grid.event_id, grid.bar_start_at
