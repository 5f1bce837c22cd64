{{ config(**by_day('tax_date', {
    'int_liquidations__daily': [30, 0], 'int_asset_tiers__daily': [30, 0], 'int_volume__daily': [30, 0],
    'int_open_interest__daily': [30, 0],
})) }}
-- Liquidated USD per USD traded, in basis points, over matched coverage: a base asset counts on a day only if the
-- venue's liquidations AND its volume of that day are known. Liquidations of no venue (`market` files) are divided by
-- the volume of that asset over all venues whose volume of the day is complete.
with liquidations as (
    select
        venue as feed_venue,
        base_asset,
        liquidation_date as tax_date,
        {{ usd_sum('liquidated_long_usd') }} as liquidated_long_usd,
        {{ usd_sum('liquidated_short_usd') }} as liquidated_short_usd,
        {{ usd_sum('liquidated_usd') }} as liquidated_usd,
        {{ weakest_completeness_agg('completeness_left') }} as completeness,
        {{ weakest_source_class_agg('source_class') }} as source_class
    from {{ with_incidents(ref('int_liquidations__daily'), 'liquidations', 'days.liquidation_date') }} as daily
    where {{ days_needed('int_liquidations__daily', 'liquidation_date') }}
    group by venue, base_asset, liquidation_date
),

-- An asset that traded neither on the day nor on the day before has no tier of the day: the fixed list decides.
assets as (
    select
        liquidations.*,
        coalesce(tiers.tier, listed.tier, 'tail') as tier,
        coalesce(tiers.tier_basis, 'fixed_list') as tier_basis
    from liquidations
    left join {{ ref('int_asset_tiers__daily') }} as tiers
        on liquidations.base_asset = tiers.base_asset
        and liquidations.tax_date = tiers.tier_date
    left join {{ ref('asset_tiers') }} as listed on liquidations.base_asset = listed.base_asset
),

-- An asset's contracts with bars for only a part of the day do not make the day, but flag it.
volumes as (
    select
        venue as volume_venue,
        base_asset,
        volume_date,
        {{ usd_sum('case when is_day_covered then volume_usd end') }} as volume_usd,
        {{ combined_basis('case when is_day_covered then volume_basis end') }} as volume_basis,
        {{ weakest_completeness_agg('completeness_left') }} as volume_completeness,
        {{ weakest_source_class_agg('source_class') }} as volume_source_class
    from {{ with_incidents(ref('int_volume__daily'), 'klines', 'days.volume_date') }} as daily
    where venue <> 'market' and {{ days_needed('int_volume__daily', 'volume_date') }}
    group by venue, base_asset, volume_date
    having count(case when is_day_covered then volume_usd end) > 0
),

-- The market row sums the venues' own feeds; the unattributed feed stands in only on days on which none of them has
-- volume beside it, so that nothing is counted twice and a feed without candles does not hide the day.
market_bases as (
    select
        assets.tax_date,
        case
            when count(case when assets.feed_venue <> 'market' then volumes.volume_usd end) > 0 then 'venue_feeds'
            when max(case when assets.feed_venue = 'market' then 1 else 0 end) = 1 then 'unattributed_feed'
            else 'venue_feeds'
        end as liquidation_basis
    from assets
    left join volumes
        on assets.feed_venue = volumes.volume_venue
        and assets.base_asset = volumes.base_asset
        and assets.tax_date = volumes.volume_date
    group by assets.tax_date
),

scoped as (
    select assets.*, assets.feed_venue as venue, 'venue_feeds' as liquidation_basis
    from assets
    where assets.feed_venue <> 'market'
    union all
    select assets.*, 'market' as venue, market_bases.liquidation_basis
    from assets
    inner join market_bases on assets.tax_date = market_bases.tax_date
    where (assets.feed_venue = 'market') = (market_bases.liquidation_basis = 'unattributed_feed')
),

open_interest as (
    select
        venue as volume_venue,
        base_asset,
        open_interest_date,
        {{ usd_sum('open_interest_usd') }} as open_interest_usd,
        {{ weakest_completeness_agg('completeness_left') }} as open_interest_completeness,
        {{ weakest_source_class_agg('source_class') }} as open_interest_source_class
    from {{ with_incidents(ref('int_open_interest__daily'), 'open_interest', 'days.open_interest_date') }} as daily
    where venue <> 'market' and {{ days_needed('int_open_interest__daily', 'open_interest_date') }}
    group by venue, base_asset, open_interest_date
),

pairs as (
    select
        scoped.venue,
        scoped.feed_venue,
        scoped.tier,
        scoped.base_asset,
        scoped.tax_date,
        volumes.volume_venue,
        volumes.volume_usd,
        volumes.volume_basis,
        volumes.volume_completeness,
        volumes.volume_source_class,
        open_interest.open_interest_usd,
        open_interest.open_interest_completeness,
        open_interest.open_interest_source_class
    from scoped
    inner join volumes
        on scoped.base_asset = volumes.base_asset
        and scoped.tax_date = volumes.volume_date
        and (
            scoped.feed_venue = volumes.volume_venue
            or (scoped.liquidation_basis = 'unattributed_feed' and volumes.volume_completeness = 'complete')
        )
    left join open_interest
        on volumes.volume_venue = open_interest.volume_venue
        and volumes.base_asset = open_interest.base_asset
        and volumes.volume_date = open_interest.open_interest_date
),

denominators as (
    select
        venue,
        feed_venue,
        base_asset,
        tax_date,
        {{ usd_sum('volume_usd') }} as volume_usd,
        -- Open interest of some of the venues would not match the numerator.
        case when count(open_interest_usd) = count(*) then {{ usd_sum('open_interest_usd') }} end as open_interest_usd,
        {{ combined_basis('volume_basis') }} as volume_basis,
        {{ weakest_completeness_agg('volume_completeness') }} as volume_completeness,
        {{ weakest_source_class_agg('volume_source_class') }} as volume_source_class,
        case
            when count(open_interest_usd) = count(*)
                then {{ weakest_completeness_agg('open_interest_completeness') }}
        end as open_interest_completeness,
        case
            when count(open_interest_usd) = count(*)
                then {{ weakest_source_class_agg('open_interest_source_class') }}
        end as open_interest_source_class
    from pairs
    group by venue, feed_venue, base_asset, tax_date
),

matched as (
    select
        scoped.*,
        denominators.volume_usd,
        denominators.volume_basis,
        denominators.open_interest_usd,
        denominators.volume_usd is not null as is_matched,
        {{ weakest_completeness([
            'scoped.completeness', 'denominators.volume_completeness', 'denominators.open_interest_completeness',
        ]) }} as row_completeness,
        {{ weakest_source_class([
            'scoped.source_class', 'denominators.volume_source_class', 'denominators.open_interest_source_class',
        ]) }} as row_source_class
    from scoped
    left join denominators
        on scoped.venue = denominators.venue
        and scoped.feed_venue = denominators.feed_venue
        and scoped.base_asset = denominators.base_asset
        and scoped.tax_date = denominators.tax_date
),

tiered as (
    select matched.tier as tax_tier, matched.* from matched
    union all
    select 'all' as tax_tier, matched.* from matched
),

volume_venue_lists as (
    select venue, tax_tier, tax_date, {{ sorted_list('volume_venue') }} as volume_venues
    from (
        select venue, tier as tax_tier, tax_date, volume_venue from pairs
        union all
        select venue, 'all' as tax_tier, tax_date, volume_venue from pairs
    ) as tiered_pairs
    group by venue, tax_tier, tax_date
),

summed as (
    select
        venue,
        tax_tier as tier,
        tax_date,
        max(liquidation_basis) as liquidation_basis,
        {{ usd_sum('case when is_matched then liquidated_usd end') }} as liquidated_usd,
        {{ usd_sum('case when is_matched then liquidated_long_usd end') }} as liquidated_long_usd,
        {{ usd_sum('case when is_matched then liquidated_short_usd end') }} as liquidated_short_usd,
        {{ usd_sum('case when is_matched then 0 else liquidated_usd end') }} as unmatched_liquidated_usd,
        {{ usd_sum('case when is_matched then volume_usd end') }} as volume_usd,
        {{ usd_sum('case when is_matched then open_interest_usd end') }} as open_interest_usd,
        {{ usd_sum('case when is_matched and open_interest_usd is not null then liquidated_usd end') }}
            as liquidated_with_open_interest_usd,
        {{ combined_basis('case when is_matched then volume_basis end') }} as volume_basis,
        count(distinct case when is_matched then base_asset end) as base_assets_covered,
        count(distinct coalesce(base_asset, '?')) - count(distinct case when is_matched then base_asset end)
            as base_assets_unmatched,
        {{ combined_basis('tier_basis') }} as tier_basis,
        {{ weakest_completeness_agg('completeness') }} as liquidation_completeness,
        {{ weakest_completeness_agg('row_completeness') }} as completeness,
        {{ weakest_source_class_agg('row_source_class') }} as source_class
    from tiered
    group by venue, tax_tier, tax_date
),

taxed as (
    select
        summed.*,
        lists.volume_venues,
        10000 * summed.liquidated_usd / nullif(summed.volume_usd, 0) as tax_bps,
        10000 * summed.liquidated_with_open_interest_usd / nullif(summed.open_interest_usd, 0) as tax_oi_bps,
        summed.liquidated_long_usd / nullif(summed.liquidated_usd, 0) as long_share
    from summed
    left join volume_venue_lists as lists
        on summed.venue = lists.venue
        and summed.tier = lists.tax_tier
        and summed.tax_date = lists.tax_date
),

-- Only days of the same feed are comparable: a feed that becomes complete breaks the series.
history as (
    select
        taxed.venue,
        taxed.tier,
        taxed.tax_date,
        past.tax_bps as past_tax_bps
    from taxed
    inner join taxed as past
        on taxed.venue = past.venue
        and taxed.tier = past.tier
        and taxed.liquidation_basis = past.liquidation_basis
        and taxed.liquidation_completeness = past.liquidation_completeness
        and taxed.tax_date > past.tax_date
        and taxed.tax_date <= {{ add_days('past.tax_date', 30) }}
    where past.tax_bps is not null
),

medians as (
    select venue, tier, tax_date, count(*) as baseline_days, {{ exact_median('past_tax_bps') }} as median_tax_bps
    from history
    group by venue, tier, tax_date
    having count(*) >= 14
),

baselines as (
    select
        medians.venue,
        medians.tier,
        medians.tax_date,
        medians.baseline_days,
        medians.median_tax_bps,
        {{ exact_median('abs(history.past_tax_bps - medians.median_tax_bps)') }} as mad_tax_bps
    from medians
    inner join history
        on medians.venue = history.venue
        and medians.tier = history.tier
        and medians.tax_date = history.tax_date
    group by medians.venue, medians.tier, medians.tax_date, medians.baseline_days, medians.median_tax_bps
),

scored as (
    select
        taxed.*,
        baselines.baseline_days,
        baselines.median_tax_bps,
        baselines.mad_tax_bps,
        -- 1.4826 makes the MAD of a normal series its standard deviation; the floor of 5 % of the median keeps a
        -- nearly constant baseline from turning noise into stress.
        (taxed.tax_bps - baselines.median_tax_bps)
        / nullif(greatest(1.4826 * baselines.mad_tax_bps, 0.05 * baselines.median_tax_bps), 0) as robust_z
    from taxed
    left join baselines
        on taxed.venue = baselines.venue
        and taxed.tier = baselines.tier
        and taxed.tax_date = baselines.tax_date
)

select
    venue,
    tier,
    tax_date,
    liquidated_usd,
    liquidated_long_usd,
    liquidated_short_usd,
    unmatched_liquidated_usd,
    volume_usd,
    open_interest_usd,
    tax_bps,
    tax_oi_bps,
    long_share,
    median_tax_bps as routine_tax_bps,
    mad_tax_bps,
    cast(baseline_days as integer) as baseline_days,
    robust_z,
    case
        when robust_z >= 7 then 'stress'
        when robust_z >= 3.5 then 'elevated'
        when robust_z < 3.5 or tax_bps <= median_tax_bps then 'routine'
    end as regime,
    liquidated_usd - median_tax_bps * volume_usd / 10000 as excess_usd,
    cast(base_assets_covered as integer) as base_assets_covered,
    cast(base_assets_unmatched as integer) as base_assets_unmatched,
    volume_venues,
    volume_basis,
    liquidation_basis,
    tier_basis,
    liquidation_completeness <> 'complete' as is_floor,
    liquidation_completeness,
    completeness,
    source_class
from scored
where {{ days_made('tax_date') }}
order by tax_date, venue, tier
