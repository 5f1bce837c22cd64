-- Minutes, not fills: fills of one wave come in thousands, and files know only clusters; single fills stay in
-- stg_venues__adl_fills. What a file tells of deleveraging that fills tell too is not counted twice: only its haircut
-- and deficit are taken (int_adl__unioned).
with parts as (
    select
        venue,
        venue_symbol,
        base_asset,
        event_at,
        true as is_fill,
        reduced_side,
        account,
        adl_usd,
        base_quantity,
        closed_pnl_usd,
        cast(null as double) as adl_haircut_usd,
        cast(null as double) as deficit_usd,
        completeness,
        source_class
    from {{ ref('stg_venues__adl_fills') }}
    union all
    select
        venue,
        venue_symbol,
        base_asset,
        event_at,
        false as is_fill,
        cast(null as varchar) as reduced_side,
        cast(null as varchar) as account,
        adl_usd,
        cast(null as double) as base_quantity,
        cast(null as double) as closed_pnl_usd,
        adl_haircut_usd,
        deficit_usd,
        completeness,
        source_class
    from {{ ref('int_adl__unioned') }}
    where feed = 'files'
),

timed as (
    select *, {{ floor_to_seconds('event_at', 60) }} as bar_start_at from parts
),

summed as (
    select
        venue,
        venue_symbol,
        bar_start_at,
        max(base_asset) as base_asset,
        {{ usd_sum('adl_usd') }} as adl_usd,
        {{ usd_sum("case when reduced_side = 'long' then adl_usd when reduced_side = 'short' then 0 end") }}
            as sided_long_usd,
        {{ usd_sum("case when reduced_side = 'short' then adl_usd when reduced_side = 'long' then 0 end") }}
            as sided_short_usd,
        count(adl_usd) as valued_count,
        count(case when reduced_side is not null then adl_usd end) as sided_count,
        {{ base_sum('base_quantity') }} as base_quantity,
        count(case when is_fill then 1 end) as fills,
        count(case when not is_fill then 1 end) as clusters,
        count(account) as named_fills,
        count(distinct account) as accounts,
        count(closed_pnl_usd) as fills_with_pnl,
        {{ usd_sum('closed_pnl_usd') }} as closed_pnl_usd,
        {{ usd_sum('adl_haircut_usd') }} as adl_haircut_usd,
        max(deficit_usd) as largest_deficit_usd,
        {{ weakest_completeness_agg('completeness') }} as completeness,
        {{ weakest_source_class_agg('source_class') }} as source_class
    from timed
    group by venue, venue_symbol, bar_start_at
)

select
    venue,
    venue_symbol,
    bar_start_at,
    base_asset,
    adl_usd,
    case when sided_count = valued_count then sided_long_usd end as reduced_long_usd,
    case when sided_count = valued_count then sided_short_usd end as reduced_short_usd,
    base_quantity,
    cast(nullif(fills, 0) as integer) as fill_count,
    cast(nullif(clusters, 0) as integer) as cluster_count,
    -- A number of accounts that leaves out nameless fills would be no number of accounts.
    cast(case when named_fills = fills then nullif(accounts, 0) end as integer) as account_count,
    case when fills_with_pnl = fills then closed_pnl_usd end as closed_pnl_usd,
    adl_haircut_usd,
    largest_deficit_usd,
    completeness,
    source_class
from summed
order by bar_start_at, venue, venue_symbol
