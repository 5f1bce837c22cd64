-- Estimated liquidation levels: the open positions of int_liquidation_map__positions in price bins. Value is at the
-- reference price, so that a side's levels sum to the open interest.
with parameters as (
    select
        max(case when parameter = 'lookback_days' then value end) as lookback_days,
        max(case when parameter = 'step_seconds' then value end) as step_seconds,
        max(case when parameter = 'bin_width_bps' then value end) as bin_width_bps
    from {{ ref('liquidation_map_parameters') }}
),

contracts as (
    select
        venue,
        venue_symbol,
        map_date,
        max(reference_price) as reference_price,
        max(open_quantity) as open_quantity,
        {{ weakest_completeness_agg('completeness') }} as completeness,
        {{ weakest_source_class_agg('source_class') }} as source_class
    from {{ ref('int_liquidation_map__steps') }}
    group by venue, venue_symbol, map_date
),

terms as (
    select
        venue,
        venue_symbol,
        map_date,
        side,
        leverage,
        max(tier_symbol) as tier_symbol,
        {{ exact_sum('share', 10) }} as leverage_share,
        {{ weakest_completeness_agg('completeness') }} as completeness,
        {{ weakest_source_class_agg('source_class') }} as source_class
    from {{ ref('int_liquidation_map__thresholds') }}
    group by venue, venue_symbol, map_date, side, leverage
),

priced as (
    select
        positions.*,
        moments.base_asset,
        moments.contract_type,
        moments.event_id,
        moments.as_of_at,
        contracts.reference_price,
        contracts.completeness,
        contracts.source_class,
        parameters.lookback_days,
        parameters.step_seconds,
        parameters.bin_width_bps,
        1 + parameters.bin_width_bps / 10000.0 as bin_ratio,
        case when moments.contract_type = 'inverse' then 1 else contracts.reference_price end as usd_per_unit,
        contracts.open_quantity
    from {{ ref('int_liquidation_map__positions') }} as positions
    inner join contracts
        on positions.venue = contracts.venue
        and positions.venue_symbol = contracts.venue_symbol
        and positions.map_date = contracts.map_date
    inner join {{ ref('int_liquidation_map__moments') }} as moments
        on positions.venue = moments.venue
        and positions.venue_symbol = moments.venue_symbol
        and positions.map_date = moments.map_date
    cross join parameters
),

binned as (
    select
        *,
        cast(floor(ln(level_price) / ln(bin_ratio)) as integer) as price_bin,
        quantity * usd_per_unit as notional_usd
    from priced
),

summed as (
    select
        venue,
        venue_symbol,
        map_date,
        price_bin,
        side,
        leverage,
        max(base_asset) as base_asset,
        max(contract_type) as contract_type,
        max(event_id) as event_id,
        max(as_of_at) as as_of_at,
        max(reference_price) as reference_price,
        max(bin_ratio) as bin_ratio,
        {{ exact_sum('notional_usd * level_price', 15) }} / nullif({{ usd_sum('notional_usd') }}, 0) as mean_level,
        min(level_price) as least_level,
        max(level_price) as largest_level,
        {{ exact_sum('notional_usd * entry_price', 15) }} / nullif({{ usd_sum('notional_usd') }}, 0) as mean_entry,
        min(entry_price) as least_entry,
        max(entry_price) as largest_entry,
        {{ usd_sum('notional_usd') }} as notional_usd,
        {{ usd_sum('opening_quantity * usd_per_unit') }} as opening_usd,
        {{ usd_sum('reentered_quantity * usd_per_unit') }} as reentered_usd,
        {{ exact_sum('notional_usd * maintenance_rate', 15) }} / nullif({{ usd_sum('notional_usd') }}, 0) as mean_rate,
        min(maintenance_rate) as least_rate,
        max(maintenance_rate) as largest_rate,
        max(open_quantity * usd_per_unit) as open_interest_usd,
        max(lookback_days) as lookback_days,
        max(step_seconds) as step_seconds,
        max(bin_width_bps) as bin_width_bps,
        {{ weakest_completeness_agg('completeness') }} as completeness,
        {{ weakest_source_class_agg('source_class') }} as source_class
    from binned
    group by venue, venue_symbol, map_date, price_bin, side, leverage
),

levelled as (
    select
        *,
        -- A mean of rounded parts may leave their range.
        least(greatest(mean_level, least_level), largest_level) as liquidation_price,
        least(greatest(mean_entry, least_entry), largest_entry) as entry_price,
        least(greatest(mean_rate, least_rate), largest_rate) as maintenance_rate
    from summed
    -- Less than a millionth of a dollar is nothing.
    where notional_usd > 0
)

select
    levelled.venue,
    levelled.venue_symbol,
    levelled.map_date,
    levelled.price_bin,
    levelled.side,
    levelled.leverage,
    levelled.base_asset,
    levelled.contract_type,
    levelled.event_id,
    levelled.as_of_at,
    power(levelled.bin_ratio, levelled.price_bin) as bin_low_price,
    power(levelled.bin_ratio, levelled.price_bin + 1) as bin_high_price,
    levelled.entry_price,
    levelled.liquidation_price,
    levelled.reference_price,
    levelled.liquidation_price / levelled.reference_price - 1 as move_to_liquidation,
    levelled.notional_usd,
    levelled.opening_usd,
    levelled.reentered_usd,
    levelled.open_interest_usd,
    levelled.maintenance_rate,
    terms.tier_symbol,
    terms.leverage_share,
    levelled.lookback_days,
    levelled.step_seconds,
    levelled.bin_width_bps,
    {{ weakest_completeness(['levelled.completeness', 'terms.completeness']) }} as completeness,
    {{ weakest_source_class(["'estimated'", 'levelled.source_class', 'terms.source_class']) }} as source_class
from levelled
inner join terms
    on levelled.venue = terms.venue
    and levelled.venue_symbol = terms.venue_symbol
    and levelled.map_date = terms.map_date
    and levelled.side = terms.side
    and levelled.leverage = terms.leverage
order by levelled.map_date, levelled.venue, levelled.venue_symbol, levelled.side, levelled.price_bin, levelled.leverage
