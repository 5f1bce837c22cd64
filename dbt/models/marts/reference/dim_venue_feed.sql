-- dim_venue says what a venue's liquidation feed is today; here is every dated change of every feed.
select
    venue,
    dataset,
    coalesce(product, 'all') as product,
    attribute,
    value,
    {{ utc_date('valid_from_at') }} as valid_from_date,
    case
        when valid_to_at < timestamptz '2999-12-31 00:00:00+00' then {{ utc_date('valid_to_at') }}
    end as valid_to_date,
    valid_to_at >= timestamptz '2999-12-31 00:00:00+00' as is_current,
    source,
    note,
    'complete' as completeness,
    'published' as source_class
from {{ ref('stg_reference__venue_feeds') }}
order by venue, dataset, attribute, product, valid_from_date
