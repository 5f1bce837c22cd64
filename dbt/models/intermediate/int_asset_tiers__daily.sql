{{ config(**by_day('tier_date', {'int_volume__daily': [90, 0]})) }}
-- A tier is known before the day begins: it rests on the volumes of the 90 days before it and on nothing later, so that
-- an asset is not called large because of what happened to it afterwards. All assets of the window are ranked, whether
-- or not they trade on the day.
with volumes as (
    select
        base_asset,
        volume_date,
        {{ usd_sum('volume_usd') }} as volume_usd,
        {{ weakest_completeness_agg('completeness') }} as completeness,
        {{ weakest_source_class_agg('source_class') }} as source_class
    from {{ ref('int_volume__daily') }}
    where
        venue <> 'market'
        and base_asset is not null
        and volume_usd is not null
        and {{ days_needed('int_volume__daily', 'volume_date') }}
    group by base_asset, volume_date
),

asset_dates as (
    select base_asset, volume_date as tier_date from volumes
    union distinct
    select base_asset, {{ add_days('volume_date', 1) }} as tier_date from volumes
),

days as (
    select
        volume_date,
        {{ weakest_completeness_agg('completeness') }} as completeness,
        {{ weakest_source_class_agg('source_class') }} as source_class
    from volumes
    group by volume_date
),

histories as (
    select
        dates.tier_date,
        count(days.volume_date) as history_days,
        {{ weakest_completeness_agg('days.completeness') }} as completeness,
        {{ weakest_source_class_agg('days.source_class') }} as source_class
    from (select distinct tier_date from asset_dates) as dates
    left join days
        on dates.tier_date > days.volume_date
        and dates.tier_date <= {{ add_days('days.volume_date', 90) }}
    group by dates.tier_date
),

volume_sums as (
    select
        histories.tier_date,
        volumes.base_asset,
        {{ usd_sum('volumes.volume_usd') }} as trailing_volume_usd
    from histories
    inner join volumes
        on histories.tier_date > volumes.volume_date
        and histories.tier_date <= {{ add_days('volumes.volume_date', 90) }}
    where histories.history_days >= 30
    group by histories.tier_date, volumes.base_asset
),

ranked as (
    select
        tier_date,
        base_asset,
        row_number() over (partition by tier_date order by trailing_volume_usd desc, base_asset) as tier_rank
    from volume_sums
)

select
    asset_dates.base_asset,
    asset_dates.tier_date,
    case
        when ranked.tier_rank <= 2 then 'major'
        when ranked.tier_rank <= 20 then 'mid'
        when ranked.tier_rank > 20 then 'tail'
        else coalesce(listed.tier, 'tail')
    end as tier,
    cast(ranked.tier_rank as integer) as tier_rank,
    case when ranked.tier_rank is null then 'fixed_list' else 'trailing_volume' end as tier_basis,
    cast(histories.history_days as integer) as history_days,
    coalesce(histories.completeness, 'partial') as completeness,
    case
        when ranked.tier_rank is null then {{ weakest_source_class(["'estimated'", 'histories.source_class']) }}
        else histories.source_class
    end as source_class
from asset_dates
inner join histories on asset_dates.tier_date = histories.tier_date
left join ranked
    on asset_dates.tier_date = ranked.tier_date
    and asset_dates.base_asset = ranked.base_asset
left join {{ ref('asset_tiers') }} as listed on asset_dates.base_asset = listed.base_asset
where {{ days_made('asset_dates.tier_date') }}
