{{ config(**by_day(utc_date('event_at'), {
    'stg_venues__open_interest': [1, 1], 'stg_files__open_interest': [0, 0],
    'stg_venues__klines': [2, 1], 'int_bars__filled': [2, 0],
})) }}
-- One observation per contract and time. Other feeds than the venue's own count where it and the files are silent.
-- Where a feed reports base units only, USD is the quantity at the close of the last bar that ended at or before the
-- observation, at most a day old.
{%- set columns -%}
    venue, venue_symbol, base_asset, contract_type, event_at, period_seconds, base_quantity, notional_usd,
    completeness, source_class, source
{%- endset %}
with nearer as (
    select feed, product, {{ columns }}, 1 as preference from {{ ref('stg_venues__open_interest') }}
    where feed = venue and {{ times_made('event_at') }}
    union all
    select 'files' as feed, 'files' as product, {{ columns }}, 2 as preference
    from {{ ref('stg_files__open_interest') }}
    where {{ times_made('event_at') }}
),

others as (
    select feed, product, {{ columns }}, 3 as preference from {{ ref('stg_venues__open_interest') }}
    where feed <> venue and {{ times_made('event_at') }}
),

observations as (
    select * from nearer
    union all
    {{ where_nearer_is_silent('others', 'nearer') }}
),

ranked as (
    select
        *,
        row_number() over (
            partition by venue, venue_symbol, event_at
            order by preference, coalesce(period_seconds, 0), notional_usd, base_quantity, source
        ) as rank_in_time
    from observations
),

single as (
    select {{ columns }} from ranked
    where rank_in_time = 1
),

unpriced_contracts as (
    select distinct venue, venue_symbol from single
    where notional_usd is null or base_quantity is null
),

-- Of several bars that end in one second the shortest comes last, and is the one that the as-of join finds.
prices as (
    select
        bars.venue,
        bars.venue_symbol,
        bars.bar_end_at,
        {{ period_number('bars.bar_end_at', 1) }} * 10000000 + 9999999 - bars.interval_seconds as price_position,
        bars.close_price,
        bars.completeness as price_completeness,
        bars.source_class as price_source_class
    from {{ ref('int_bars__unioned') }} as bars
    inner join unpriced_contracts
        on bars.venue = unpriced_contracts.venue
        and bars.venue_symbol = unpriced_contracts.venue_symbol
    where {{ times_needed('stg_venues__klines', 'bars.bar_start_at') }}
),

placed as (
    select *, {{ period_number('event_at', 1) }} * 10000000 + 9999999 as event_position
    from single
),

priced as (
    {{ asof_join(
        'placed', 'prices', ['venue', 'venue_symbol'], 'event_position', 'price_position',
        {
            'price_at': 'bar_end_at', 'price': 'close_price', 'price_completeness': 'price_completeness',
            'price_source_class': 'price_source_class',
        },
    ) }}
),

recent as (
    select
        *,
        {{ seconds_between('price_at', 'event_at') }} <= 86400 and (notional_usd is null or base_quantity is null)
            as is_priced
    from priced
)

select
    venue,
    venue_symbol,
    base_asset,
    contract_type,
    event_at,
    coalesce(base_quantity, case when is_priced and price > 0 then notional_usd / price end) as base_quantity,
    coalesce(notional_usd, case when is_priced then base_quantity * price end) as notional_usd,
    case when notional_usd is not null then 'reported' when is_priced then 'last_close' end as notional_basis,
    {{ weakest_completeness(['completeness', 'case when is_priced then price_completeness end']) }} as completeness,
    {{ weakest_source_class(['source_class', 'case when is_priced then price_source_class end']) }} as source_class,
    source
from recent
