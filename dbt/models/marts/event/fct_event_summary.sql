-- What an event did to a contract, and to the contracts of a tier, of a venue and of the market. Prices and moves are a
-- contract's own; sums, and medians and means of moves, are of the roll-ups.
with members as (
    select * from {{ ref('int_event_scopes__members') }}
),

moves as (
    select
        *,
        case when drawdown is not null then volume_usd end as drawdown_weight_usd,
        case when recovery_share is not null then volume_usd end as recovery_share_weight_usd,
        case when recovery_share is not null then time_to_half_recovery_seconds end as known_half_recovery_seconds
    from {{ ref('int_event_moves__after_shock') }}
),

-- Bars that should be there and are not make a row partial, as they do with a day.
flags as (
    select
        bars.event_id,
        bars.venue,
        bars.venue_symbol,
        {{ weakest_completeness_agg('bars.completeness') }} as completeness,
        {{ weakest_source_class_agg('bars.source_class') }} as source_class
    from {{ ref('fct_event_window') }} as bars
    group by bars.event_id, bars.venue, bars.venue_symbol
),

summed as (
    select
        members.scope_number,
        members.event_id,
        members.scope,
        members.scope_venue,
        members.scope_venue_symbol,
        members.scope_tier,
        max(members.scope_interval_seconds) as interval_seconds,
        count(*) as contracts_covered,
        sum(moves.bars_covered) as bars_covered,
        {% for column in [
            'base_asset', 'pre_event_price', 'trough_price', 'trough_at', 'drawdown', 'time_to_trough_seconds',
            'recovery_share', 'time_to_half_recovery_seconds', 'funding_rate_extreme', 'pre_event_open_interest_usd',
            'funding_rate_before', 'funding_rate_dislocation', 'funding_rate_dislocation_annualised',
            'basis_before_bps', 'basis_dislocation_bps',
        ] -%}
        case when members.scope = 'contract' then max(moves.{{ column }}) end as {{ column }},
        {% endfor -%}
        {% for column in [
            'drawdown', 'time_to_trough_seconds', 'recovery_share', 'funding_rate_dislocation_annualised',
            'basis_dislocation_bps',
        ] -%}
        case when members.scope <> 'contract' then {{ exact_median('moves.' ~ column) }} end as median_{{ column }},
        {% endfor -%}
        {% for column in ['drawdown', 'recovery_share'] -%}
        case
            when members.scope <> 'contract'
                then
                    {{ usd_sum('moves.' ~ column ~ ' * moves.volume_usd') }}
                    / nullif({{ usd_sum('moves.' ~ column ~ '_weight_usd') }}, 0)
        end as volume_weighted_{{ column }},
        {% endfor -%}
        case
            when members.scope <> 'contract'
                then
                    cast(count(moves.known_half_recovery_seconds) as double)
                    / nullif(count(moves.recovery_share), 0)
        end as half_recovered_share,
        {{ usd_sum('moves.volume_usd') }} as volume_usd,
        {{ usd_sum('moves.liquidated_long_usd') }} as liquidated_long_usd,
        {{ usd_sum('moves.liquidated_short_usd') }} as liquidated_short_usd,
        {{ usd_sum('moves.liquidated_long_usd + moves.liquidated_short_usd') }} as liquidated_usd,
        {{ usd_sum('moves.adl_usd') }} as adl_usd,
        {{ usd_sum('moves.adl_haircut_usd') }} as adl_haircut_usd,
        case
            when abs(min(moves.basis_extreme_bps)) >= abs(max(moves.basis_extreme_bps))
                then min(moves.basis_extreme_bps)
            else max(moves.basis_extreme_bps)
        end as basis_extreme_bps,
        {{ weakest_completeness_agg(
            "case when moves.bars_covered < moves.bars_expected then 'partial' else flags.completeness end"
        ) }} as completeness,
        {{ weakest_source_class_agg('flags.source_class') }} as source_class
    from members
    inner join flags
        on members.event_id = flags.event_id
        and members.venue = flags.venue
        and members.venue_symbol = flags.venue_symbol
    left join moves
        on members.event_id = moves.event_id
        and members.venue = moves.venue
        and members.venue_symbol = moves.venue_symbol
    group by
        members.scope_number, members.event_id, members.scope, members.scope_venue, members.scope_venue_symbol,
        members.scope_tier
),

joined as (
    select
        summed.*,
        coalesce(totals.open_interest_before_usd, summed.pre_event_open_interest_usd) as open_interest_before_usd,
        totals.open_interest_trough_usd,
        totals.depth_before_usd,
        totals.depth_trough_usd,
        peaks.first_liquidation_at,
        peaks.first_adl_at,
        peaks.liquidation_to_adl_seconds,
        peaks.peak_bar_at,
        peaks.peak_liquidated_usd
    from summed
    left join {{ ref('int_event_totals__by_scope') }} as totals on summed.scope_number = totals.scope_number
    left join {{ ref('int_event_peaks__by_scope') }} as peaks on summed.scope_number = peaks.scope_number
)

select
    event_id,
    scope,
    scope_venue as venue,
    scope_venue_symbol as venue_symbol,
    scope_tier as tier,
    base_asset,
    cast(contracts_covered as integer) as contracts_covered,
    cast(interval_seconds as integer) as interval_seconds,
    cast(coalesce(bars_covered, 0) as integer) as bars_covered,
    pre_event_price,
    trough_price,
    trough_at,
    drawdown,
    time_to_trough_seconds,
    recovery_share,
    time_to_half_recovery_seconds,
    median_drawdown,
    volume_weighted_drawdown,
    median_time_to_trough_seconds,
    median_recovery_share,
    volume_weighted_recovery_share,
    half_recovered_share,
    open_interest_before_usd as pre_event_open_interest_usd,
    open_interest_trough_usd,
    open_interest_before_usd - open_interest_trough_usd as open_interest_wiped_usd,
    1 - open_interest_trough_usd / nullif(open_interest_before_usd, 0) as open_interest_wiped_share,
    liquidated_long_usd,
    liquidated_short_usd,
    liquidated_usd,
    liquidated_long_usd / nullif(liquidated_usd, 0) as long_share,
    peak_bar_at,
    peak_liquidated_usd,
    peak_liquidated_usd / nullif(liquidated_usd, 0) as peak_liquidated_share,
    adl_usd,
    adl_haircut_usd,
    first_liquidation_at,
    first_adl_at,
    liquidation_to_adl_seconds,
    depth_before_usd,
    depth_trough_usd,
    1 - depth_trough_usd / nullif(depth_before_usd, 0) as depth_collapse,
    funding_rate_before,
    funding_rate_extreme,
    funding_rate_dislocation,
    funding_rate_dislocation_annualised,
    median_funding_rate_dislocation_annualised,
    basis_before_bps,
    basis_extreme_bps,
    basis_dislocation_bps,
    median_basis_dislocation_bps,
    volume_usd,
    completeness,
    source_class
from joined
order by event_id, scope, venue, venue_symbol, tier
