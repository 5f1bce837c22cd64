-- Level and fall of insurance funds, by the day. All observations of a day count for its lowest balance and for the
-- peak, since a fund is drained within minutes; the day itself is its last observation.
{%- set fund = 'venue, product, pool, asset' %}
with ranked_feeds as (
    select
        *,
        row_number() over (
            partition by {{ fund }}, event_at order by case when feed = venue then 0 else 1 end, feed
        ) as preference
    from {{ ref('stg_venues__insurance_funds') }}
),

observations as (
    select
        venue,
        product,
        pool,
        asset,
        event_at,
        balance_quantity,
        balance_usd,
        balance_basis,
        covered_symbols,
        completeness,
        source_class
    from ranked_feeds
    where preference = 1
),

-- A balance in coins that the venue does not value is worth the last close of that venue's contracts on the coin.
coins as (
    select distinct venue, asset from observations
    where balance_usd is null
),

closes as (
    select
        bars.venue,
        bars.base_asset as asset,
        bars.bar_end_at,
        {{ exact_median('bars.close_price') }} as close_price,
        {{ weakest_completeness_agg('bars.completeness') }} as price_completeness,
        {{ weakest_source_class_agg('bars.source_class') }} as price_source_class
    from {{ ref('int_bars__unioned') }} as bars
    inner join coins on bars.venue = coins.venue and bars.base_asset = coins.asset
    group by bars.venue, bars.base_asset, bars.bar_end_at
),

priced as (
    {{ asof_join(
        'observations', 'closes', ['venue', 'asset'], 'event_at', 'bar_end_at',
        {
            'price_at': 'bar_end_at', 'close_price': 'close_price', 'price_completeness': 'price_completeness',
            'price_source_class': 'price_source_class',
        },
    ) }}
),

marked as (
    select
        *,
        balance_usd is null and close_price is not null and {{ seconds_between('price_at', 'event_at') }} <= 86400
            as is_priced
    from priced
),

valued as (
    select
        venue,
        product,
        pool,
        asset,
        event_at,
        {{ utc_date('event_at') }} as fund_date,
        covered_symbols,
        balance_quantity,
        case when is_priced then balance_quantity * close_price else balance_usd end as balance_usd,
        case when is_priced then 'last_close' else balance_basis end as balance_basis,
        {{ weakest_completeness(['completeness', 'case when is_priced then price_completeness end']) }} as completeness,
        {{ weakest_source_class(['source_class', 'case when is_priced then price_source_class end']) }} as source_class
    from marked
),

peaked as (
    select
        *,
        max(balance_quantity) over (
            partition by {{ fund }} order by event_at rows between unbounded preceding and current row
        ) as peak_balance_quantity,
        max(balance_usd) over (
            partition by {{ fund }} order by event_at rows between unbounded preceding and current row
        ) as peak_balance_usd,
        min(balance_quantity) over (partition by {{ fund }}, fund_date) as lowest_balance_quantity,
        min(balance_usd) over (partition by {{ fund }}, fund_date) as lowest_balance_usd,
        count(*) over (partition by {{ fund }}, fund_date) as observation_count,
        row_number() over (partition by {{ fund }}, fund_date order by event_at desc) as rank_from_end,
        {{ weakest_completeness_agg('completeness', over='over (partition by ' ~ fund ~ ', fund_date)') }}
            as day_completeness,
        {{ weakest_source_class_agg('source_class', over='over (partition by ' ~ fund ~ ', fund_date)') }}
            as day_source_class
    from valued
),

days as (
    select
        *,
        lag(fund_date) over (partition by {{ fund }} order by fund_date) as previous_fund_date,
        lag(balance_quantity) over (partition by {{ fund }} order by fund_date) as previous_balance_quantity,
        lag(balance_usd) over (partition by {{ fund }} order by fund_date) as previous_balance_usd
    from peaked
    where rank_from_end = 1
)

select
    venue,
    product,
    pool,
    asset,
    covered_symbols,
    fund_date,
    event_at as observed_at,
    cast(observation_count as integer) as observation_count,
    balance_quantity,
    balance_usd,
    balance_basis,
    previous_fund_date,
    balance_quantity - previous_balance_quantity as change_quantity,
    balance_usd - previous_balance_usd as change_usd,
    lowest_balance_quantity,
    lowest_balance_usd,
    peak_balance_quantity,
    peak_balance_usd,
    -- A fund that was never above zero has no peak to fall from.
    case when peak_balance_quantity > 0 then balance_quantity / peak_balance_quantity - 1 end as drawdown,
    case when peak_balance_usd > 0 then balance_usd / peak_balance_usd - 1 end as usd_drawdown,
    day_completeness as completeness,
    day_source_class as source_class
from days
order by fund_date, venue, product, pool, asset
