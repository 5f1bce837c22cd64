{{ config(meta={'rests_on_days_around_events': true}) }}
-- Bars of one interval per contract, the finest that it has in the window, plus the minutes or bars in which something
-- happened without a candle, so that a coin known only by its liquidations or auto-deleveraging keeps its rows.
with contracts as (
    select * from {{ ref('int_event_contracts__described') }}
),

liquidations as (
    select * from {{ ref('int_event_liquidations__chosen') }}
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
    from liquidations
    group by event_id, venue
),

liquidation_bars as (
    select
        contracts.contract_number,
        liquidations.bar_start_at,
        {{ usd_sum("case when liquidated_side = 'long' then notional_usd else 0 end") }} as liquidated_long_usd,
        {{ usd_sum("case when liquidated_side = 'short' then notional_usd else 0 end") }} as liquidated_short_usd
    from liquidations
    inner join contracts
        on liquidations.event_id = contracts.event_id
        and liquidations.venue = contracts.venue
        and liquidations.venue_symbol = contracts.venue_symbol
    group by contracts.contract_number, liquidations.bar_start_at
),

adl_events as (
    select
        contracts.contract_number,
        {{ floor_to_seconds('adl.event_at', 'contracts.interval_seconds') }} as bar_start_at,
        adl.adl_usd,
        adl.adl_haircut_usd,
        adl.completeness,
        adl.source_class
    from {{ ref('int_adl__unioned') }} as adl
    inner join contracts
        on adl.venue = contracts.venue
        and adl.venue_symbol = contracts.venue_symbol
        and adl.event_at >= contracts.window_start_at
        and adl.event_at < contracts.window_end_at
),

adl_bars as (
    select
        contract_number,
        bar_start_at,
        {{ usd_sum('adl_usd') }} as adl_usd,
        {{ usd_sum('adl_haircut_usd') }} as adl_haircut_usd,
        {{ weakest_completeness_agg('completeness') }} as completeness,
        {{ weakest_source_class_agg('source_class') }} as source_class
    from adl_events
    group by contract_number, bar_start_at
),

candles as (
    select contracts.contract_number, contracts.event_id, bars.*
    from {{ ref('int_bars__unioned') }} as bars
    inner join contracts
        on bars.venue = contracts.venue
        and bars.venue_symbol = contracts.venue_symbol
        and bars.interval_seconds = contracts.interval_seconds
        and bars.bar_start_at >= contracts.window_start_at
        and bars.bar_start_at < contracts.window_end_at
),

happened as (
    select contract_number, bar_start_at from liquidation_bars
    union distinct
    select contract_number, bar_start_at from adl_bars
),

slots as (
    select
        contract_number,
        event_id,
        interval_seconds,
        bar_start_at,
        bar_end_at,
        open_price,
        high_price,
        low_price,
        close_price,
        base_quantity,
        notional_usd as volume_usd,
        volume_basis,
        completeness as bar_completeness,
        source_class as bar_source_class
    from candles
    union all
    select
        happened.contract_number,
        contracts.event_id,
        contracts.interval_seconds,
        happened.bar_start_at,
        {{ add_seconds('happened.bar_start_at', 'contracts.interval_seconds') }} as bar_end_at,
        {% for column in ['open_price', 'high_price', 'low_price', 'close_price', 'base_quantity', 'volume_usd'] -%}
        cast(null as double) as {{ column }},
        {% endfor -%}
        cast(null as varchar) as volume_basis,
        cast(null as varchar) as bar_completeness,
        cast(null as varchar) as bar_source_class
    from happened
    inner join contracts on happened.contract_number = contracts.contract_number
    left join candles
        on happened.contract_number = candles.contract_number
        and happened.bar_start_at = candles.bar_start_at
    where candles.contract_number is null
),

-- The joins in time sort what they join, so they carry keys alone.
keyed as (
    select contract_number, event_id, interval_seconds, bar_start_at, bar_end_at from slots
),

bar_shapes as (
    select distinct event_id, bar_start_at, interval_seconds, bar_end_at from keyed
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
        and shapes.bar_end_at > phases.phase_start_at
),

-- Of what is attached to bars, what is too old for the first bar of a window is left out before the joins.
{%- for name, model, value, seconds_before, seconds_after in [
    ('open_interest', 'int_open_interest__observed', 'notional_usd', 7200, 3600),
    ('funding', 'int_funding__unioned', 'funding_rate', 86400, 0),
    ('depth', 'int_depth__one_percent', 'depth_usd', 900, 3600),
] %}
{{ name }} as (
    select
        contracts.contract_number,
        observed.event_at,
        observed.{{ value }},
        observed.completeness,
        observed.source_class
    from {{ ref(model) }} as observed
    inner join contracts
        on observed.venue = contracts.venue
        and observed.venue_symbol = contracts.venue_symbol
        and observed.event_at >= {{ add_seconds('contracts.window_start_at', -seconds_before) }}
        and observed.event_at <= {{ add_seconds('contracts.window_end_at', seconds_after) }}
    where observed.{{ value }} is not null
),
{% endfor %}
with_open_interest as (
    {{ asof_join(
        'keyed', 'open_interest', ['contract_number'], 'bar_end_at', 'event_at',
        {
            'open_interest_at': 'event_at', 'last_open_interest_usd': 'notional_usd',
            'open_interest_completeness': 'completeness', 'open_interest_source_class': 'source_class',
        },
    ) }}
),

with_funding as (
    {{ asof_join(
        'with_open_interest', 'funding', ['contract_number'], 'bar_start_at', 'event_at',
        {
            'funding_at': 'event_at', 'last_funding_rate': 'funding_rate',
            'funding_completeness': 'completeness', 'funding_source_class': 'source_class',
        },
    ) }}
),

with_depth as (
    {{ asof_join(
        'with_funding', 'depth', ['contract_number'], 'bar_end_at', 'event_at',
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

-- What incidents say is missing or wrong, by the bars that they touch; most windows have none.
touched_contracts as (
    select
        contracts.contract_number,
        incidents.datasets,
        incidents.started_at,
        coalesce(incidents.ended_at, contracts.window_end_at) as ended_at
    from contracts
    inner join {{ ref('stg_reference__incidents') }} as incidents
        on contracts.venue = incidents.venue
        and contracts.window_end_at > incidents.started_at
        and (incidents.ended_at is null or contracts.window_start_at < incidents.ended_at)
    where
        incidents.is_weakening
        and (
            incidents.venue_symbols is null
            or {{ is_listed('contracts.venue_symbol', 'incidents.venue_symbols') }}
        )
),

touched_bars as (
    select
        {% for dataset in incident_datasets() -%}
        max(case when {{ is_listed("'" ~ dataset ~ "'", 'touched.datasets') }} then 'partial' end)
            as {{ dataset }}_incident,
        {% endfor -%}
        keyed.contract_number,
        keyed.bar_start_at
    from keyed
    inner join touched_contracts as touched
        on keyed.contract_number = touched.contract_number
        and keyed.bar_start_at < touched.ended_at
        and keyed.bar_end_at > touched.started_at
    group by keyed.contract_number, keyed.bar_start_at
),

index_bars as (
    select contracts.contract_number, bars.bar_start_at, bars.close_price, bars.completeness, bars.source_class
    from {{ ref('int_index_bars__unioned') }} as bars
    inner join contracts
        on bars.venue = contracts.venue
        and bars.venue_symbol = contracts.venue_symbol
        and bars.interval_seconds = contracts.interval_seconds
        and bars.bar_start_at >= contracts.window_start_at
        and bars.bar_start_at < contracts.window_end_at
),

feed_spans as (
    select contracts.contract_number, spans.first_bar_at, spans.last_at, spans.completeness, spans.source_class
    from contracts
    inner join liquidation_spans as spans
        on contracts.event_id = spans.event_id
        and contracts.venue = spans.venue
    where contracts.is_in_liquidation_feed
),

joined as (
    select
        fresh.*,
        slots.open_price,
        slots.high_price,
        slots.low_price,
        slots.close_price,
        slots.base_quantity,
        slots.volume_usd,
        slots.volume_basis,
        slots.bar_completeness,
        slots.bar_source_class,
        contracts.venue,
        contracts.venue_symbol,
        contracts.base_asset,
        contracts.tier,
        contracts.tier_basis,
        contracts.pre_event_price,
        contracts.price_completeness as pre_event_completeness,
        contracts.price_source_class as pre_event_source_class,
        contracts.pre_event_open_interest_usd,
        contracts.open_interest_completeness as pre_event_open_interest_completeness,
        contracts.open_interest_source_class as pre_event_open_interest_source_class,
        phases.phase,
        case when fresh.has_open_interest then fresh.last_open_interest_usd end as open_interest_usd,
        case when fresh.has_funding then fresh.last_funding_rate end as funding_rate,
        case when fresh.has_depth then fresh.last_depth_usd end as depth_1pct_usd,
        index_bars.close_price as index_close,
        index_bars.completeness as index_completeness,
        index_bars.source_class as index_source_class,
        spans.contract_number is not null as has_liquidations,
        liquidation_bars.liquidated_long_usd,
        liquidation_bars.liquidated_short_usd,
        spans.completeness as liquidation_completeness,
        spans.source_class as liquidation_source_class,
        adl_bars.adl_usd,
        adl_bars.adl_haircut_usd,
        adl_bars.completeness as adl_completeness,
        adl_bars.source_class as adl_source_class,
        touched_bars.klines_incident,
        touched_bars.open_interest_incident,
        touched_bars.liquidations_incident,
        touched_bars.funding_incident,
        touched_bars.depth_incident
    from fresh
    inner join slots
        on fresh.contract_number = slots.contract_number
        and fresh.bar_start_at = slots.bar_start_at
    inner join contracts on fresh.contract_number = contracts.contract_number
    left join phase_ranks as phases
        on fresh.event_id = phases.event_id
        and fresh.bar_start_at = phases.bar_start_at
        and fresh.interval_seconds = phases.interval_seconds
        and phases.preference = 1
    left join index_bars
        on fresh.contract_number = index_bars.contract_number
        and fresh.bar_start_at = index_bars.bar_start_at
    left join feed_spans as spans
        on fresh.contract_number = spans.contract_number
        and fresh.bar_start_at >= spans.first_bar_at
        and fresh.bar_start_at <= spans.last_at
    left join liquidation_bars
        on fresh.contract_number = liquidation_bars.contract_number
        and fresh.bar_start_at = liquidation_bars.bar_start_at
    left join adl_bars
        on fresh.contract_number = adl_bars.contract_number
        and fresh.bar_start_at = adl_bars.bar_start_at
    left join touched_bars
        on fresh.contract_number = touched_bars.contract_number
        and fresh.bar_start_at = touched_bars.bar_start_at
)

select
    event_id,
    venue,
    venue_symbol,
    base_asset,
    tier,
    tier_basis,
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
    pre_event_open_interest_usd,
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
        'case when close_price is not null then pre_event_completeness end',
        'case when has_open_interest then pre_event_open_interest_completeness end',
        'case when close_price is not null then klines_incident end',
        'case when has_open_interest then open_interest_incident end',
        'case when has_funding then funding_incident end', 'case when has_depth then depth_incident end',
        'case when has_liquidations then liquidations_incident end',
    ]) }} as completeness,
    {{ weakest_source_class([
        'bar_source_class', 'case when has_open_interest then open_interest_source_class end',
        'case when has_funding then funding_source_class end', 'case when has_depth then depth_source_class end',
        'index_source_class', 'liquidation_source_class', 'adl_source_class',
        'case when close_price is not null then pre_event_source_class end',
        'case when has_open_interest then pre_event_open_interest_source_class end',
    ]) }} as source_class
from joined
order by contract_number, bar_start_at
