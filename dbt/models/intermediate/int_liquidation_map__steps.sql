{{ config(**by_day('map_date', {
    'int_liquidation_map__moments': [0, 0], 'stg_venues__klines': [32, 1], 'int_bars__filled': [32, 0],
    'int_open_interest__observed': [31, 0],
})) }}
-- Price range and open interest of a contract in steps, each of which ends with a new observation of open interest.
-- What a step adds entered in it; what it takes away left pro rata over all that was open, so an entry keeps the
-- product of the later ratios, and the remaining quantities sum to the last open interest. Bars without an observation
-- (a missing hour) belong to the step that the next observation ends; those after the last one are a step that adds
-- nothing.
{#- A number stands for contract and day in the windows over a million bars, which sort text several times slower. -#}
{%- set contract = 'moment_number' %}
with moments as (
    select *, row_number() over (order by venue, venue_symbol, map_date) as moment_number
    from {{ ref('int_liquidation_map__moments') }}
    where {{ days_made('map_date') }}
),

parameters as (
    select max(case when parameter = 'step_seconds' then value end) as step_seconds
    from {{ ref('liquidation_map_parameters') }}
),

bars as (
    select
        moments.moment_number,
        moments.venue,
        moments.venue_symbol,
        moments.map_date,
        bars.bar_start_at,
        bars.bar_end_at,
        bars.bar_date,
        bars.interval_seconds,
        bars.high_price,
        bars.low_price,
        bars.close_price,
        bars.completeness,
        bars.source_class
    from moments
    inner join {{ ref('int_bars__unioned') }} as bars
        on moments.venue = bars.venue
        and moments.venue_symbol = bars.venue_symbol
        and moments.window_start_at <= bars.bar_start_at
        and moments.as_of_at >= bars.bar_end_at
    where
        bars.low_price > 0
        and bars.high_price > 0
        and bars.close_price > 0
        and bars.interval_seconds <= 86400
        and {{ times_needed('stg_venues__klines', 'bars.bar_start_at') }}
),

finest as (
    select moment_number, bar_date, min(interval_seconds) as finest_seconds
    from bars
    group by moment_number, bar_date
),

-- A bar longer than a step counts only on days without finer ones: its low would reach back before entries of its day.
stepped as (
    select
        bars.*,
        case
            when finest.finest_seconds <= parameters.step_seconds
                then {{ floor_to_seconds('bars.bar_start_at', 'parameters.step_seconds') }}
            else bars.bar_start_at
        end as step_start_at
    from bars
    inner join finest
        on bars.moment_number = finest.moment_number
        and bars.bar_date = finest.bar_date
    cross join parameters
    where bars.interval_seconds = finest.finest_seconds or bars.interval_seconds <= parameters.step_seconds
),

-- Bars of one length and one grid that fill their time leave no gap; only the others are put in order to find theirs.
-- Off the grid two could overlap by as much as is missing elsewhere.
uneven as (
    select moment_number
    from stepped
    group by moment_number
    having
        min(interval_seconds) <> max(interval_seconds)
        or count(*) * min(interval_seconds) <> {{ seconds_between('min(bar_start_at)', 'max(bar_end_at)') }}
        or count(case when bar_start_at <> {{ floor_to_seconds('bar_start_at', 'interval_seconds') }} then 1 end) > 0
),

gaps as (
    select distinct moment_number, step_start_at
    from (
        select
            moment_number,
            step_start_at,
            bar_start_at,
            max(bar_end_at) over (
                partition by moment_number
                order by bar_start_at, bar_end_at rows between unbounded preceding and 1 preceding
            ) as covered_to_at
        from stepped
        where moment_number in (select uneven.moment_number from uneven)
    ) as covered
    where bar_start_at > covered_to_at
),

price_steps as (
    select
        moment_number,
        venue,
        venue_symbol,
        map_date,
        step_start_at,
        max(bar_end_at) as step_end_at,
        max(high_price) as high_price,
        min(low_price) as low_price,
        -- The close of the bar that ends last, of several the shortest.
        max_by(
            close_price, {{ period_number('bar_end_at', 1) }} * 10000000 + 9999999 - interval_seconds
        ) as close_price,
        {{ weakest_completeness_agg('completeness') }} as price_completeness,
        {{ weakest_source_class_agg('source_class') }} as price_source_class
    from stepped
    group by moment_number, venue, venue_symbol, map_date, step_start_at
),

bounded_steps as (
    select
        price_steps.*,
        case when gaps.moment_number is null then 0 else 1 end as is_after_gap
    from price_steps
    left join gaps
        on price_steps.moment_number = gaps.moment_number
        and price_steps.step_start_at = gaps.step_start_at
),

observations as (
    select
        moments.venue,
        moments.venue_symbol,
        moments.map_date,
        interest.event_at,
        case
            when moments.contract_type = 'inverse' then interest.notional_usd
            else interest.base_quantity
        end as quantity,
        interest.completeness,
        interest.source_class
    from moments
    inner join {{ ref('int_open_interest__observed') }} as interest
        on moments.venue = interest.venue
        and moments.venue_symbol = interest.venue_symbol
        and moments.window_start_at <= interest.event_at
        and moments.as_of_at >= interest.event_at
        and moments.map_date >= {{ utc_date('interest.event_at') }}
),

known_observations as (
    select * from observations
    where quantity is not null
),

observed as (
    {{ asof_join(
        'bounded_steps', 'known_observations', ['venue', 'venue_symbol', 'map_date'], 'step_end_at', 'event_at',
        {
            'observed_at': 'event_at', 'quantity': 'quantity', 'interest_completeness': 'completeness',
            'interest_source_class': 'source_class',
        },
    ) }}
),

marked as (
    select
        *,
        case
            when observed_at = lag(observed_at) over (partition by {{ contract }} order by step_start_at) then 0
            else 1
        end as is_new
    from observed
    where observed_at is not null
),

grouped as (
    select
        *,
        sum(is_new) over (
            partition by {{ contract }} order by step_start_at desc rows between unbounded preceding and current row
        ) as step_group
    from marked
),

ranked as (
    select
        *,
        row_number() over (partition by {{ contract }}, step_group order by step_start_at desc) as rank_from_end
    from grouped
),

merged as (
    select
        {{ contract }},
        step_group,
        min(step_start_at) as step_start_at,
        max(step_end_at) as step_end_at,
        max(high_price) as high_price,
        min(low_price) as low_price,
        max(case when rank_from_end = 1 then close_price end) as close_price,
        max(case when rank_from_end = 1 then quantity end) as quantity,
        max(is_after_gap) as has_gap,
        {{ weakest_completeness_agg(
            weakest_completeness(['price_completeness', 'interest_completeness'])
        ) }} as completeness,
        {{ weakest_source_class_agg(
            weakest_source_class(['price_source_class', 'interest_source_class'])
        ) }} as source_class
    from ranked
    group by {{ contract }}, step_group
),

-- Whatever was open before open interest was nothing is gone.
alive as (
    select *
    from (
        select
            *,
            sum(case when quantity > 0 then 0 else 1 end) over (
                partition by {{ contract }} order by step_start_at desc rows between unbounded preceding and current row
            ) as empty_steps
        from merged
    ) as counted
    where empty_steps = 0
),

changed as (
    select
        *,
        row_number() over (partition by {{ contract }} order by step_start_at) as step_number,
        count(*) over (partition by {{ contract }}) as steps,
        quantity - coalesce(lag(quantity) over (partition by {{ contract }} order by step_start_at), 0) as added,
        ln(least(
            1, quantity / coalesce(lag(quantity) over (partition by {{ contract }} order by step_start_at), quantity)
        )) as log_kept
    from alive
),

kept as (
    select
        *,
        {{ exact_sum('log_kept', 15, 'over (partition by ' ~ contract ~ ' order by step_start_at'
            ~ ' rows between unbounded preceding and current row)') }} as log_kept_so_far,
        {{ exact_sum('log_kept', 15, 'over (partition by ' ~ contract ~ ')') }} as log_kept_in_all,
        max(case when step_number = steps then close_price end) over (partition by {{ contract }}) as reference_price,
        max(case when step_number = steps then quantity end) over (partition by {{ contract }}) as open_quantity,
        max(step_end_at) over (partition by {{ contract }}) as reference_at
    from changed
)

select
    moments.venue,
    moments.venue_symbol,
    moments.map_date,
    cast(kept.step_number as integer) as step_number,
    kept.step_start_at,
    kept.step_end_at,
    kept.high_price,
    kept.low_price,
    kept.close_price,
    (kept.high_price + kept.low_price + kept.close_price) / 3 as entry_price,
    kept.quantity,
    greatest(kept.added, 0) as entered_quantity,
    -- Rounded to what sums of quantities keep: logarithms are not exact.
    round(greatest(kept.added, 0) * exp(kept.log_kept_in_all - kept.log_kept_so_far), 10) as remaining_quantity,
    kept.open_quantity,
    kept.reference_price,
    -- Levels that were passed while nothing was recorded are not known to be gone.
    case
        when kept.has_gap = 1 or {{ seconds_between('kept.step_start_at', 'kept.step_end_at') }} > 86400 then 'partial'
        else kept.completeness
    end as completeness,
    kept.source_class
from kept
inner join moments on kept.moment_number = moments.moment_number
-- Without a price of the last day nothing can be said of distances.
where {{ seconds_between('kept.reference_at', 'moments.as_of_at') }} <= 86400
