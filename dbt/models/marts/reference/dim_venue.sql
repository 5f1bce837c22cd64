with observed as (
    select
        venue,
        min(first_seen_date) as first_covered_date,
        max(last_seen_date) as last_covered_date,
        count(*) as contracts_covered,
        {{ weakest_completeness_agg('completeness') }} as completeness,
        {{ weakest_source_class_agg('source_class') }} as source_class
    from {{ ref('int_contracts__observed') }}
    group by venue
),

feeds as (
    select
        venue,
        max(case when attribute = 'completeness' then value end) as liquidation_completeness,
        max(case when attribute = 'completeness' then {{ utc_date('valid_from_at') }} end)
            as liquidation_completeness_since,
        max(case when attribute = 'price_basis' then value end) as liquidation_price_basis
    from {{ ref('stg_reference__venue_feeds') }}
    where dataset = 'liquidations' and valid_to_at >= timestamp '2999-12-31 00:00:00'
    group by venue
),

names as (
    select venue from {{ ref('venues') }}
    union distinct
    select venue from observed
)

select
    names.venue,
    coalesce(venues.venue_name, names.venue) as venue_name,
    coalesce(venues.venue_type, 'unlisted') as venue_type,
    feeds.liquidation_completeness,
    feeds.liquidation_completeness_since,
    feeds.liquidation_price_basis,
    observed.first_covered_date,
    observed.last_covered_date,
    coalesce(observed.contracts_covered, 0) as contracts_covered,
    coalesce(observed.completeness, 'complete') as completeness,
    coalesce(observed.source_class, 'published') as source_class
from names
left join {{ ref('venues') }} as venues on names.venue = venues.venue
left join feeds on names.venue = feeds.venue
left join observed on names.venue = observed.venue
order by names.venue
