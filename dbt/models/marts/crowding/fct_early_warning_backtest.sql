-- How crowded a contract was one, three and seven days before an event, among all days before that day. Nothing here is
-- fitted to the events: horizons, measures and their equal weights are the same for all.
with contract_days as (
    select
        venue,
        venue_symbol,
        base_asset,
        crowding_date,
        crowding_score,
        1 as contracts_scored,
        completeness,
        source_class
    from {{ ref('fct_early_warning') }}
    where crowding_score is not null
),

-- The market of a day is its median contract.
market_days as (
    select
        'market' as venue,
        'all' as venue_symbol,
        cast(null as varchar) as base_asset,
        crowding_date,
        {{ exact_median('crowding_score') }} as crowding_score,
        count(*) as contracts_scored,
        {{ weakest_completeness_agg('completeness') }} as completeness,
        {{ weakest_source_class_agg('source_class') }} as source_class
    from contract_days
    group by crowding_date
),

days as (
    select * from contract_days
    union all
    select * from market_days
),

spans as (
    select 1 as horizon_days
    union all
    select 3 as horizon_days
    union all
    select 7 as horizon_days
),

horizons as (
    select
        events.event_id,
        spans.horizon_days,
        {{ add_days('cast(events.pre_event_at as date)', '-spans.horizon_days') }} as score_date
    from {{ ref('dim_event') }} as events
    cross join spans
),

scores as (
    select
        horizons.event_id,
        horizons.horizon_days,
        horizons.score_date,
        days.venue,
        days.venue_symbol,
        days.base_asset,
        days.crowding_score,
        days.contracts_scored,
        days.completeness,
        days.source_class
    from horizons
    inner join days on horizons.score_date = days.crowding_date
),

compared as (
    select
        scores.event_id,
        scores.horizon_days,
        scores.venue,
        scores.venue_symbol,
        count(past.crowding_score) as days_compared,
        count(case when past.crowding_score < scores.crowding_score then 1 end) as days_below,
        count(case when past.crowding_score > scores.crowding_score then 1 end) as days_above
    from scores
    left join days as past
        on scores.venue = past.venue
        and scores.venue_symbol = past.venue_symbol
        and scores.score_date > past.crowding_date
    group by scores.event_id, scores.horizon_days, scores.venue, scores.venue_symbol
)

select
    scores.event_id,
    scores.venue,
    scores.venue_symbol,
    scores.base_asset,
    scores.horizon_days,
    scores.score_date,
    scores.crowding_score,
    cast(scores.contracts_scored as integer) as contracts_scored,
    cast(compared.days_above + 1 as integer) as score_rank,
    cast(compared.days_compared as integer) as days_compared,
    case
        when compared.days_compared >= 30
            then {{ midrank_percentile('compared.days_compared', 'compared.days_below', 'compared.days_above') }}
    end as score_percentile,
    scores.completeness,
    scores.source_class
from scores
inner join compared
    on scores.event_id = compared.event_id
    and scores.horizon_days = compared.horizon_days
    and scores.venue = compared.venue
    and scores.venue_symbol = compared.venue_symbol
order by scores.event_id, scores.horizon_days, scores.venue, scores.venue_symbol
