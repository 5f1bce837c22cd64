-- Open interest as a cycle: peak so far, fall from it, recovery since. A venue or contract that comes or goes moves
-- the level without anybody opening or closing a position, so the cycle is that of an index which compares like with
-- like: each contract with its own last observation, at most seven days older.
with contracts as (
    select
        venue,
        venue_symbol,
        open_interest_date,
        open_interest_usd,
        lag(open_interest_date) over contract_days as previous_date,
        lag(open_interest_usd) over contract_days as previous_usd,
        completeness_left as completeness,
        source_class
    from {{ with_incidents(ref('int_open_interest__daily'), 'open_interest', 'days.open_interest_date') }} as daily
    where venue <> 'market'
    window contract_days as (partition by venue, venue_symbol order by open_interest_date)
),

compared as (
    select
        *,
        coalesce(open_interest_date <= {{ add_days('previous_date', 7) }}, false) as is_compared
    from contracts
),

scoped as (
    select compared.*, compared.venue as scope from compared
    union all
    select compared.*, 'market' as scope from compared
),

levels as (
    select
        scope as venue,
        open_interest_date,
        {{ usd_sum('open_interest_usd') }} as open_interest_usd,
        {{ usd_sum('case when is_compared then open_interest_usd end') }}
        / nullif({{ usd_sum('case when is_compared then previous_usd end') }}, 0) as growth,
        count(*) as contracts_covered,
        count(case when is_compared then 1 end) as contracts_compared,
        count(distinct venue) as venues_covered,
        {{ weakest_completeness_agg('completeness') }} as completeness,
        {{ weakest_source_class_agg('source_class') }} as source_class
    from scoped
    group by scope, open_interest_date
),

venue_days as (
    select distinct venue, open_interest_date from contracts
),

market_days as (
    select distinct open_interest_date from contracts
),

-- Venues that were there within the seven days before: the market without one of them is partial.
expectations as (
    select
        market_days.open_interest_date,
        count(distinct venue_days.venue) as venues_expected
    from market_days
    inner join venue_days
        on market_days.open_interest_date >= venue_days.open_interest_date
        and market_days.open_interest_date <= {{ add_days('venue_days.open_interest_date', 7) }}
    group by market_days.open_interest_date
),

flagged as (
    select
        levels.venue,
        levels.open_interest_date,
        levels.open_interest_usd,
        levels.growth,
        levels.contracts_covered,
        levels.contracts_compared,
        levels.venues_covered,
        levels.source_class,
        case
            when levels.venue = 'market' and levels.venues_covered < expectations.venues_expected then 'partial'
            else levels.completeness
        end as completeness,
        lag(levels.growth) over (partition by levels.venue order by levels.open_interest_date) as previous_growth
    from levels
    inner join expectations on levels.open_interest_date = expectations.open_interest_date
),

-- Where nothing can be compared, or nothing was left to grow from, a new series begins.
series as (
    select
        *,
        case
            when growth is null or previous_growth = 0 then null
            else growth
        end as chained_growth,
        sum(case when growth is null or previous_growth = 0 then 1 else 0 end) over (
            partition by venue order by open_interest_date rows between unbounded preceding and current row
        ) as series_number
    from flagged
),

chained as (
    select
        *,
        min(open_interest_date) over (partition by venue, series_number) as series_start_date,
        coalesce(
            {{ exact_sum(
                'ln(nullif(chained_growth, 0))', 15,
                'over (partition by venue, series_number order by open_interest_date'
                ~ ' rows between unbounded preceding and current row)'
            ) }}, 0
        ) as log_index
    from series
),

-- Logarithms add up exactly as decimals; rounding takes their last digits off, so that equal levels are equal peaks.
-- A series cannot begin at nothing.
indexed as (
    select
        *,
        case
            when chained_growth = 0 then 0
            when chained_growth is not null or open_interest_usd > 0 then round(exp(log_index), 12)
        end as open_interest_index
    from chained
),

-- Of equal peaks the first counts.
peaks as (
    select
        *,
        sum(case when open_interest_index > coalesce(earlier_peak, -1) then 1 else 0 end) over (
            partition by venue, series_number order by open_interest_date
            rows between unbounded preceding and current row
        ) as cycle_number
    from (
        select
            *,
            max(open_interest_index) over (
                partition by venue, series_number order by open_interest_date
                rows between unbounded preceding and 1 preceding
            ) as earlier_peak
        from indexed
    ) as preceded
),

-- The first row of a cycle is its peak.
cycles as (
    select
        *,
        first_value(open_interest_index) over cycle_so_far as peak_index,
        first_value(open_interest_date) over cycle_so_far as peak_date,
        first_value(open_interest_usd) over cycle_so_far as peak_open_interest_usd,
        min(open_interest_index) over cycle_so_far as trough_index,
        min(open_interest_index) over (
            partition by venue, series_number, cycle_number order by open_interest_date
            rows between unbounded preceding and 1 preceding
        ) as earlier_trough,
        {{ weakest_completeness_agg('completeness', 'over cycle_so_far') }} as cycle_completeness,
        {{ weakest_source_class_agg('source_class', 'over cycle_so_far') }} as cycle_source_class
    from peaks
    window cycle_so_far as (
        partition by venue, series_number, cycle_number order by open_interest_date
        rows between unbounded preceding and current row
    )
),

troughs as (
    select
        *,
        max(
            case when earlier_trough is null or open_interest_index < earlier_trough then open_interest_date end
        ) over (
            partition by venue, series_number, cycle_number order by open_interest_date
            rows between unbounded preceding and current row
        ) as trough_date
    from cycles
)

select
    venue,
    open_interest_date,
    open_interest_usd,
    chained_growth - 1 as open_interest_change,
    open_interest_index,
    series_start_date,
    peak_date,
    peak_open_interest_usd,
    open_interest_index / nullif(peak_index, 0) - 1 as drawdown,
    cast(
        {{ seconds_between('cast(peak_date as timestamp)', 'cast(open_interest_date as timestamp)') }} / 86400
        as integer
    ) as days_since_peak,
    trough_date,
    trough_index / nullif(peak_index, 0) - 1 as trough_drawdown,
    (open_interest_index - trough_index) / nullif(peak_index - trough_index, 0) as recovery_share,
    cast(contracts_covered as integer) as contracts_covered,
    cast(contracts_compared as integer) as contracts_compared,
    cast(venues_covered as integer) as venues_covered,
    cycle_completeness as completeness,
    cycle_source_class as source_class
from troughs
order by open_interest_date, venue
