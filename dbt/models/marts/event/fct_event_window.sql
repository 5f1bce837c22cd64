-- Bars of one interval per contract, the finest that it has in the window, plus the minutes or bars in which something
-- happened without a candle, so that a coin known only by its liquidations or auto-deleveraging keeps its rows.
with windows as (
    select * from {{ ref('dim_event') }}
),

window_bars as (
    select
        windows.event_id,
        bars.*,
        min(bars.interval_seconds) over (
            partition by windows.event_id, bars.venue, bars.venue_symbol
        ) as finest_seconds
    from {{ ref('int_bars__unioned') }} as bars
    inner join windows
        on bars.bar_start_at >= windows.window_start_at
        and bars.bar_start_at < windows.window_end_at
    where bars.interval_seconds <= 86400
),

bars as (
    select * from window_bars
    where interval_seconds = finest_seconds
),

contract_intervals as (
    select distinct event_id, venue, venue_symbol, interval_seconds from bars
),

-- Period sums are usable only where a period is no longer than the bar that it falls into.
liquidations as (
    select
        windows.event_id,
        liquidations.*,
        coalesce(intervals.interval_seconds, 60) as bar_seconds
    from {{ ref('int_liquidations__unioned') }} as liquidations
    inner join windows
        on liquidations.event_at >= windows.window_start_at
        and liquidations.event_at < windows.window_end_at
    left join contract_intervals as intervals
        on windows.event_id = intervals.event_id
        and liquidations.venue = intervals.venue
        and liquidations.venue_symbol = intervals.venue_symbol
    where liquidations.period_seconds <= coalesce(intervals.interval_seconds, 60)
),

-- As for days: of two descriptions of one venue's contract the more complete, then the finer one.
liquidation_feeds as (
    select
        event_id,
        venue,
        venue_symbol,
        feed,
        period_seconds,
        row_number() over (
            partition by event_id, venue, venue_symbol
            order by max({{ flag_rank('completeness', completeness_levels()) }}), period_seconds, feed
        ) as preference
    from liquidations
    group by event_id, venue, venue_symbol, feed, period_seconds
),

chosen_liquidations as (
    select
        liquidations.*,
        {{ floor_to_seconds('liquidations.event_at', 'liquidations.bar_seconds') }} as bar_start_at
    from liquidations
    inner join liquidation_feeds as feeds
        on liquidations.event_id = feeds.event_id
        and liquidations.venue = feeds.venue
        and liquidations.venue_symbol = feeds.venue_symbol
        and liquidations.feed = feeds.feed
        and liquidations.period_seconds = feeds.period_seconds
    where feeds.preference = 1
),

liquidation_bars as (
    select
        event_id,
        venue,
        venue_symbol,
        bar_start_at,
        max(bar_seconds) as bar_seconds,
        max(base_asset) as base_asset,
        {{ usd_sum("case when liquidated_side = 'long' then notional_usd else 0 end") }} as liquidated_long_usd,
        {{ usd_sum("case when liquidated_side = 'short' then notional_usd else 0 end") }} as liquidated_short_usd
    from chosen_liquidations
    group by event_id, venue, venue_symbol, bar_start_at
),

-- Between a venue's first and last message in the window its feed ran: for a contract that the feed knows, no message
-- is a zero there, and unknown outside.
liquidation_spans as (
    select
        event_id,
        venue,
        min(bar_start_at) as first_bar_at,
        max({{ add_seconds('event_at', 'period_seconds') }}) as last_at,
        {{ weakest_completeness_agg('completeness') }} as completeness,
        {{ weakest_source_class_agg('source_class') }} as source_class
    from chosen_liquidations
    group by event_id, venue
),

adl_events as (
    select
        windows.event_id,
        adl.*,
        coalesce(intervals.interval_seconds, 60) as bar_seconds,
        {{ floor_to_seconds('adl.event_at', 'coalesce(intervals.interval_seconds, 60)') }} as bar_start_at
    from {{ ref('int_adl__unioned') }} as adl
    inner join windows
        on adl.event_at >= windows.window_start_at
        and adl.event_at < windows.window_end_at
    left join contract_intervals as intervals
        on windows.event_id = intervals.event_id
        and adl.venue = intervals.venue
        and adl.venue_symbol = intervals.venue_symbol
),

adl_bars as (
    select
        event_id,
        venue,
        venue_symbol,
        bar_start_at,
        max(bar_seconds) as bar_seconds,
        max(base_asset) as base_asset,
        {{ usd_sum('adl_usd') }} as adl_usd,
        {{ usd_sum('adl_haircut_usd') }} as adl_haircut_usd,
        {{ weakest_completeness_agg('completeness') }} as completeness,
        {{ weakest_source_class_agg('source_class') }} as source_class
    from adl_events
    group by event_id, venue, venue_symbol, bar_start_at
),

liquidation_contracts as (
    select distinct event_id, venue, venue_symbol from chosen_liquidations
),

slots as (
    select event_id, venue, venue_symbol, max(base_asset) as base_asset, bar_start_at, interval_seconds
    from (
        select event_id, venue, venue_symbol, base_asset, bar_start_at, interval_seconds from bars
        union all
        select event_id, venue, venue_symbol, base_asset, bar_start_at, bar_seconds from liquidation_bars
        union all
        select event_id, venue, venue_symbol, base_asset, bar_start_at, bar_seconds from adl_bars
    ) as parts
    group by event_id, venue, venue_symbol, bar_start_at, interval_seconds
),

bar_shapes as (
    select distinct event_id, bar_start_at, interval_seconds from slots
),

phase_ranks as (
    select
        shapes.event_id,
        shapes.bar_start_at,
        shapes.interval_seconds,
        phases.phase,
        row_number() over (
            partition by shapes.event_id, shapes.bar_start_at, shapes.interval_seconds
            order by phases.severity_rank
        ) as preference
    from bar_shapes as shapes
    inner join {{ ref('int_event_phases__unpivoted') }} as phases
        on shapes.event_id = phases.event_id
        and shapes.bar_start_at < phases.phase_end_at
        and {{ add_seconds('shapes.bar_start_at', 'shapes.interval_seconds') }} > phases.phase_start_at
),

pre_event_ranks as (
    select
        windows.event_id,
        bars.venue,
        bars.venue_symbol,
        bars.close_price,
        row_number() over (
            partition by windows.event_id, bars.venue, bars.venue_symbol
            order by bars.bar_end_at desc, bars.interval_seconds
        ) as preference
    from {{ ref('int_bars__unioned') }} as bars
    inner join windows
        on bars.bar_end_at <= windows.pre_event_at
        and bars.bar_end_at > {{ add_seconds('windows.pre_event_at', -86400) }}
),

pre_event_open_interest_ranks as (
    select
        windows.event_id,
        observed.venue,
        observed.venue_symbol,
        observed.notional_usd,
        row_number() over (
            partition by windows.event_id, observed.venue, observed.venue_symbol
            order by observed.event_at desc
        ) as preference
    from {{ ref('int_open_interest__observed') }} as observed
    inner join windows
        on observed.event_at <= windows.pre_event_at
        and observed.event_at > {{ add_seconds('windows.pre_event_at', -86400) }}
    where observed.notional_usd is not null
),

keyed as (
    select
        event_id,
        venue,
        venue_symbol,
        base_asset,
        bar_start_at,
        interval_seconds,
        {{ add_seconds('bar_start_at', 'interval_seconds') }} as bar_end_at
    from slots
),

observed_open_interest as (
    select * from {{ ref('int_open_interest__observed') }}
    where notional_usd is not null
),

funding as (
    select * from {{ ref('int_funding__unioned') }}
),

depth as (
    select * from {{ ref('int_depth__one_percent') }}
    where depth_usd is not null
),

with_open_interest as (
    {{ asof_join(
        'keyed', 'observed_open_interest', ['venue', 'venue_symbol'], 'bar_end_at', 'event_at',
        {
            'open_interest_at': 'event_at', 'last_open_interest_usd': 'notional_usd',
            'open_interest_completeness': 'completeness', 'open_interest_source_class': 'source_class',
        },
    ) }}
),

with_funding as (
    {{ asof_join(
        'with_open_interest', 'funding', ['venue', 'venue_symbol'], 'bar_start_at', 'event_at',
        {
            'funding_at': 'event_at', 'last_funding_rate': 'funding_rate',
            'funding_completeness': 'completeness', 'funding_source_class': 'source_class',
        },
    ) }}
),

with_depth as (
    {{ asof_join(
        'with_funding', 'depth', ['venue', 'venue_symbol'], 'bar_end_at', 'event_at',
        {
            'depth_at': 'event_at', 'last_depth_usd': 'depth_usd',
            'depth_completeness': 'completeness', 'depth_source_class': 'source_class',
        },
    ) }}
),

fresh as (
    select
        *,
        {{ seconds_between('open_interest_at', 'bar_end_at') }} <= 3600 + interval_seconds as has_open_interest,
        {{ seconds_between('funding_at', 'bar_start_at') }} <= 86400 as has_funding,
        {{ seconds_between('depth_at', 'bar_end_at') }} <= 900 as has_depth
    from with_depth
),

joined as (
    select
        fresh.*,
        phases.phase,
        bars.open_price,
        bars.high_price,
        bars.low_price,
        bars.close_price,
        bars.base_quantity,
        bars.notional_usd as volume_usd,
        bars.volume_basis,
        bars.completeness as bar_completeness,
        bars.source_class as bar_source_class,
        pre_event.close_price as pre_event_price,
        pre_event_open_interest.notional_usd as pre_event_open_interest_usd,
        case when fresh.has_open_interest then fresh.last_open_interest_usd end as open_interest_usd,
        case when fresh.has_funding then fresh.last_funding_rate end as funding_rate,
        case when fresh.has_depth then fresh.last_depth_usd end as depth_1pct_usd,
        index_bars.close_price as index_close,
        index_bars.completeness as index_completeness,
        index_bars.source_class as index_source_class,
        spans.venue is not null and feed_contracts.venue is not null as has_liquidations,
        liquidation_bars.liquidated_long_usd,
        liquidation_bars.liquidated_short_usd,
        case when feed_contracts.venue is not null then spans.completeness end as liquidation_completeness,
        case when feed_contracts.venue is not null then spans.source_class end as liquidation_source_class,
        adl_bars.adl_usd,
        adl_bars.adl_haircut_usd,
        adl_bars.completeness as adl_completeness,
        adl_bars.source_class as adl_source_class
    from fresh
    left join bars
        on fresh.event_id = bars.event_id
        and fresh.venue = bars.venue
        and fresh.venue_symbol = bars.venue_symbol
        and fresh.bar_start_at = bars.bar_start_at
    left join phase_ranks as phases
        on fresh.event_id = phases.event_id
        and fresh.bar_start_at = phases.bar_start_at
        and fresh.interval_seconds = phases.interval_seconds
        and phases.preference = 1
    left join pre_event_ranks as pre_event
        on fresh.event_id = pre_event.event_id
        and fresh.venue = pre_event.venue
        and fresh.venue_symbol = pre_event.venue_symbol
        and pre_event.preference = 1
    left join pre_event_open_interest_ranks as pre_event_open_interest
        on fresh.event_id = pre_event_open_interest.event_id
        and fresh.venue = pre_event_open_interest.venue
        and fresh.venue_symbol = pre_event_open_interest.venue_symbol
        and pre_event_open_interest.preference = 1
    left join {{ ref('int_index_bars__unioned') }} as index_bars
        on fresh.venue = index_bars.venue
        and fresh.venue_symbol = index_bars.venue_symbol
        and fresh.interval_seconds = index_bars.interval_seconds
        and fresh.bar_start_at = index_bars.bar_start_at
    left join liquidation_spans as spans
        on fresh.event_id = spans.event_id
        and fresh.venue = spans.venue
        and fresh.bar_start_at >= spans.first_bar_at
        and fresh.bar_start_at <= spans.last_at
    left join liquidation_contracts as feed_contracts
        on fresh.event_id = feed_contracts.event_id
        and fresh.venue = feed_contracts.venue
        and fresh.venue_symbol = feed_contracts.venue_symbol
    left join liquidation_bars
        on fresh.event_id = liquidation_bars.event_id
        and fresh.venue = liquidation_bars.venue
        and fresh.venue_symbol = liquidation_bars.venue_symbol
        and fresh.bar_start_at = liquidation_bars.bar_start_at
    left join adl_bars
        on fresh.event_id = adl_bars.event_id
        and fresh.venue = adl_bars.venue
        and fresh.venue_symbol = adl_bars.venue_symbol
        and fresh.bar_start_at = adl_bars.bar_start_at
)

select
    event_id,
    venue,
    venue_symbol,
    base_asset,
    bar_start_at,
    cast(interval_seconds as integer) as interval_seconds,
    phase,
    open_price,
    high_price,
    low_price,
    close_price,
    pre_event_price,
    close_price / pre_event_price - 1 as move_from_pre_event,
    low_price / pre_event_price - 1 as low_move_from_pre_event,
    open_interest_usd,
    open_interest_usd - pre_event_open_interest_usd as open_interest_change_usd,
    open_interest_usd / nullif(pre_event_open_interest_usd, 0) - 1 as open_interest_change,
    case when has_liquidations then coalesce(liquidated_long_usd, 0) end as liquidated_long_usd,
    case when has_liquidations then coalesce(liquidated_short_usd, 0) end as liquidated_short_usd,
    adl_usd,
    adl_haircut_usd,
    funding_rate,
    index_close,
    10000 * (close_price / index_close - 1) as basis_bps,
    depth_1pct_usd,
    base_quantity,
    volume_usd,
    volume_basis,
    {{ weakest_completeness([
        'bar_completeness', 'case when has_open_interest then open_interest_completeness end',
        'case when has_funding then funding_completeness end', 'case when has_depth then depth_completeness end',
        'index_completeness', 'liquidation_completeness', 'adl_completeness',
    ]) }} as completeness,
    {{ weakest_source_class([
        'bar_source_class', 'case when has_open_interest then open_interest_source_class end',
        'case when has_funding then funding_source_class end', 'case when has_depth then depth_source_class end',
        'index_source_class', 'liquidation_source_class', 'adl_source_class',
    ]) }} as source_class
from joined
order by event_id, venue, venue_symbol, bar_start_at
