{{ config(**by_day('basis_date', {
    'stg_venues__klines': [1, 1], 'int_bars__filled': [0, 0], 'stg_venues__reference_klines': [1, 1],
    'stg_files__klines': [0, 0], 'int_funding__daily': [0, 0],
}, terms='int_contracts__expiries')) }}
-- Closes of the contract and of its index, bar by bar, of the interval that covers most of the day and of those the
-- finest; beside it the funding of the day, which pays for the same gap.
with bars as (
    select
        bars.venue,
        bars.venue_symbol,
        bars.base_asset,
        bars.bar_date as basis_date,
        bars.bar_end_at,
        bars.interval_seconds,
        10000 * (bars.close_price / nullif(index_bars.close_price, 0) - 1) as basis_bps,
        {{ weakest_completeness(['bars.completeness', 'index_bars.completeness']) }} as completeness,
        {{ weakest_source_class(['bars.source_class', 'index_bars.source_class']) }} as source_class
    from {{ ref('int_bars__unioned') }} as bars
    inner join {{ ref('int_index_bars__unioned') }} as index_bars
        on bars.venue = index_bars.venue
        and bars.venue_symbol = index_bars.venue_symbol
        and bars.interval_seconds = index_bars.interval_seconds
        and bars.bar_start_at = index_bars.bar_start_at
    where
        bars.interval_seconds <= 86400
        and 86400 % bars.interval_seconds = 0
        and {{ times_made('bars.bar_start_at') }}
        and {{ times_made('index_bars.bar_start_at') }}
),

closes as (
    select
        *,
        row_number() over (
            partition by venue, venue_symbol, basis_date, interval_seconds order by bar_end_at desc
        ) as rank_from_close
    from bars
    where basis_bps is not null
),

per_interval as (
    select
        venue,
        venue_symbol,
        basis_date,
        interval_seconds,
        max(base_asset) as base_asset,
        count(*) as basis_bars,
        least(count(*) * interval_seconds, 86400) as covered_seconds,
        {{ exact_sum('basis_bps', 10) }} / count(*) as basis_mean_bps,
        {{ exact_median('basis_bps') }} as basis_median_bps,
        min(basis_bps) as basis_min_bps,
        max(basis_bps) as basis_max_bps,
        max(case when rank_from_close = 1 then basis_bps end) as basis_close_bps,
        max(bar_end_at) as basis_close_at,
        {{ weakest_completeness_agg('completeness') }} as completeness,
        {{ weakest_source_class_agg('source_class') }} as source_class
    from closes
    group by venue, venue_symbol, basis_date, interval_seconds
),

ranked as (
    select
        *,
        row_number() over (
            partition by venue, venue_symbol, basis_date order by covered_seconds desc, interval_seconds
        ) as preference
    from per_interval
),

basis as (
    select * from ranked
    where preference = 1
),

funding as (
    select * from {{ ref('int_funding__daily') }}
    where {{ days_made('funding_date') }}
),

joined as (
    select
        coalesce(basis.venue, funding.venue) as venue,
        coalesce(basis.venue_symbol, funding.venue_symbol) as venue_symbol,
        coalesce(basis.base_asset, funding.base_asset) as base_asset,
        coalesce(basis.basis_date, funding.funding_date) as basis_date,
        basis.interval_seconds as basis_interval_seconds,
        basis.basis_bars,
        basis.basis_mean_bps,
        basis.basis_median_bps,
        basis.basis_min_bps,
        basis.basis_max_bps,
        basis.basis_close_bps,
        basis.basis_close_at,
        funding.funding_settlements,
        funding.funding_rate_sum,
        funding.funding_interval_seconds,
        funding.funding_rate_annualised,
        {{ weakest_completeness([
            "case when basis.covered_seconds < 86400 then 'partial' else basis.completeness end",
            'funding.completeness',
        ]) }} as completeness,
        {{ weakest_source_class(['basis.source_class', 'funding.source_class']) }} as source_class
    from basis
    full outer join funding
        on basis.venue = funding.venue
        and basis.venue_symbol = funding.venue_symbol
        and basis.basis_date = funding.funding_date
),

expiring as (
    select
        joined.*,
        terms.is_perpetual,
        terms.expires_at,
        {{ seconds_between('joined.basis_close_at', 'terms.expires_at') }} as seconds_to_expiry
    from joined
    left join {{ ref('int_contracts__expiries') }} as terms
        on joined.venue = terms.venue
        and joined.venue_symbol = terms.venue_symbol
)

select
    venue,
    venue_symbol,
    base_asset,
    basis_date,
    is_perpetual,
    expires_at,
    cast(basis_interval_seconds as integer) as basis_interval_seconds,
    cast(basis_bars as integer) as basis_bars,
    basis_mean_bps,
    basis_median_bps,
    basis_min_bps,
    basis_max_bps,
    basis_close_bps,
    basis_close_at,
    -- Within the last day a cent of basis annualises to anything.
    case when seconds_to_expiry >= 86400 then basis_close_bps / 10000 * 31536000 / seconds_to_expiry end
        as basis_annualised,
    cast(funding_settlements as integer) as funding_settlements,
    funding_rate_sum,
    cast(funding_interval_seconds as integer) as funding_interval_seconds,
    funding_rate_annualised,
    completeness,
    source_class
from expiring
order by venue, venue_symbol, basis_date
