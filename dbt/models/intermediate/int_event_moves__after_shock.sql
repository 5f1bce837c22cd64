{{ config(meta={'rests_on_days_around_events': true}) }}
-- Trough, way back and what happened in the bars after the shock, per contract.
with after_shock as (
    select * from {{ ref('int_event_bars__after_shock') }}
),

-- Funding and basis as they stood: the median of an hour, which one odd close does not move.
levels_before as (
    select
        bars.event_id,
        bars.venue,
        bars.venue_symbol,
        {{ exact_median('bars.funding_rate') }} as funding_rate_before,
        {{ exact_median('bars.basis_bps') }} as basis_before_bps
    from {{ ref('fct_event_window') }} as bars
    inner join {{ ref('dim_event') }} as events
        on bars.event_id = events.event_id
        and {{ add_seconds('bars.bar_start_at', 'bars.interval_seconds') }} <= events.pre_event_at
        and {{ add_seconds('bars.bar_start_at', 'bars.interval_seconds + 3600') }} > events.pre_event_at
    group by bars.event_id, bars.venue, bars.venue_symbol
),

bars as (
    select
        after_shock.*,
        levels_before.funding_rate_before,
        levels_before.basis_before_bps,
        after_shock.funding_rate - levels_before.funding_rate_before as funding_rate_distance,
        after_shock.basis_bps - levels_before.basis_before_bps as basis_distance_bps
    from after_shock
    left join levels_before
        on after_shock.event_id = levels_before.event_id
        and after_shock.venue = levels_before.venue
        and after_shock.venue_symbol = levels_before.venue_symbol
),

sums as (
    select
        event_id,
        venue,
        venue_symbol,
        count(close_price) as bars_covered,
        min(low_price) as trough_price,
        max(case when close_price is not null then bar_end_at end) as last_bar_end_at,
        {{ usd_sum('volume_usd') }} as volume_usd,
        {{ usd_sum('liquidated_long_usd') }} as liquidated_long_usd,
        {{ usd_sum('liquidated_short_usd') }} as liquidated_short_usd,
        {{ usd_sum('adl_usd') }} as adl_usd,
        {{ usd_sum('adl_haircut_usd') }} as adl_haircut_usd,
        case
            when abs(min(funding_rate)) >= abs(max(funding_rate)) then min(funding_rate)
            else max(funding_rate)
        end as funding_rate_extreme,
        case when abs(min(basis_bps)) >= abs(max(basis_bps)) then min(basis_bps) else max(basis_bps) end
            as basis_extreme_bps,
        max(funding_rate_before) as funding_rate_before,
        max(basis_before_bps) as basis_before_bps,
        case
            when abs(min(funding_rate_distance)) >= abs(max(funding_rate_distance)) then min(funding_rate_distance)
            else max(funding_rate_distance)
        end as funding_rate_dislocation,
        case
            when abs(min(basis_distance_bps)) >= abs(max(basis_distance_bps)) then min(basis_distance_bps)
            else max(basis_distance_bps)
        end as basis_dislocation_bps
    from bars
    group by event_id, venue, venue_symbol
),

troughs as (
    select
        sums.event_id,
        sums.venue,
        sums.venue_symbol,
        min(case when bars.low_price = sums.trough_price then bars.bar_start_at end) as trough_at,
        max(case when bars.bar_end_at = sums.last_bar_end_at then bars.close_price end) as last_close_price
    from sums
    inner join bars
        on sums.event_id = bars.event_id
        and sums.venue = bars.venue
        and sums.venue_symbol = bars.venue_symbol
    group by sums.event_id, sums.venue, sums.venue_symbol
),

falls as (
    select
        sums.*,
        contracts.base_asset,
        contracts.interval_seconds,
        contracts.pre_event_price,
        contracts.pre_event_open_interest_usd,
        troughs.trough_at,
        troughs.last_close_price,
        contracts.pre_event_price - sums.trough_price as fall,
        events.shock_at,
        events.pre_event_at,
        {{ floor_to_seconds('events.shock_at', 'contracts.interval_seconds') }} as first_bar_at,
        events.window_end_at
    from sums
    inner join troughs
        on sums.event_id = troughs.event_id
        and sums.venue = troughs.venue
        and sums.venue_symbol = troughs.venue_symbol
    inner join {{ ref('int_event_contracts__described') }} as contracts
        on sums.event_id = contracts.event_id
        and sums.venue = contracts.venue
        and sums.venue_symbol = contracts.venue_symbol
    inner join {{ ref('dim_event') }} as events on sums.event_id = events.event_id
),

-- The low comes before the close of its own bar, so the way back may end where it began.
halves as (
    select falls.event_id, falls.venue, falls.venue_symbol, min(bars.bar_start_at) as half_recovery_at
    from falls
    inner join bars
        on falls.event_id = bars.event_id
        and falls.venue = bars.venue
        and falls.venue_symbol = bars.venue_symbol
        and falls.trough_at <= bars.bar_start_at
    where falls.fall > 0 and bars.close_price >= falls.trough_price + falls.fall / 2
    group by falls.event_id, falls.venue, falls.venue_symbol
)

select
    falls.event_id,
    falls.venue,
    falls.venue_symbol,
    falls.base_asset,
    falls.interval_seconds,
    falls.bars_covered,
    case
        when falls.bars_covered > 0
            then ceil({{ seconds_between('falls.first_bar_at', 'falls.window_end_at') }} / falls.interval_seconds)
    end as bars_expected,
    falls.volume_usd,
    falls.pre_event_price,
    falls.trough_price,
    falls.trough_at,
    falls.trough_price / falls.pre_event_price - 1 as drawdown,
    -- greatest() would make a trough that is not known one of no time.
    case
        when falls.pre_event_price is not null and falls.trough_at is not null
            then greatest({{ seconds_between('falls.shock_at', 'falls.trough_at') }}, 0)
    end as time_to_trough_seconds,
    -- A contract whose bars end long before the window does has an unknown end, and not its last price.
    case
        when falls.fall > 0 and {{ seconds_between('falls.last_bar_end_at', 'falls.window_end_at') }} <= 3600
            then (falls.last_close_price - falls.trough_price) / falls.fall
    end as recovery_share,
    {{ seconds_between('falls.trough_at', 'halves.half_recovery_at') }} as time_to_half_recovery_seconds,
    falls.pre_event_open_interest_usd,
    falls.liquidated_long_usd,
    falls.liquidated_short_usd,
    falls.adl_usd,
    falls.adl_haircut_usd,
    falls.funding_rate_extreme,
    falls.basis_extreme_bps,
    falls.funding_rate_before,
    falls.funding_rate_dislocation,
    -- The interval is that of the day before: settlements of the event itself may be what is out of the ordinary.
    falls.funding_rate_dislocation * 31536000 / funding.funding_interval_seconds as funding_rate_dislocation_annualised,
    falls.basis_before_bps,
    falls.basis_dislocation_bps
from falls
left join halves
    on falls.event_id = halves.event_id
    and falls.venue = halves.venue
    and falls.venue_symbol = halves.venue_symbol
left join {{ ref('int_funding__daily') }} as funding
    on falls.venue = funding.venue
    and falls.venue_symbol = funding.venue_symbol
    and funding.funding_date = {{ add_days(utc_date('falls.pre_event_at'), -1) }}
