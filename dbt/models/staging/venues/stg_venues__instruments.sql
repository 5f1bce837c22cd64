-- Codes such as 1000PEPE are mapped by a list and never by a pattern: 1INCH and 0G begin with a digit and are whole.
with terms as (
    select *
    from {{ source('raw', 'instruments') }}
    {{ keep_latest(['venue_symbol', 'event_at', 'venue', 'feed'], ['contract_value', 'base_code', 'quote_code']) }}
),

codes as (
    select
        venue,
        asset_code,
        base_asset,
        multiplier,
        cast(valid_from as timestamptz) as valid_from_at,
        cast(
            coalesce(
                lead(valid_from) over (partition by venue, asset_code order by valid_from), date '2999-12-31'
            ) as timestamptz
        ) as valid_to_at
    from {{ ref('asset_codes') }}
)

select
    terms.feed,
    terms.product,
    terms.venue,
    terms.venue_symbol,
    terms.event_at,
    terms.base_code,
    coalesce(codes.base_asset, terms.base_code) as base_asset,
    coalesce(codes.multiplier, 1) as multiplier,
    terms.contract_type,
    terms.contract_value,
    terms.quote_code as quote_asset,
    terms.settle_code as settle_asset,
    terms.is_perpetual,
    terms.tick_size / coalesce(codes.multiplier, 1) as tick_size,
    terms.quantity_step as contract_step,
    terms.max_leverage,
    terms.funding_interval_seconds,
    terms.status,
    terms.listed_at,
    terms.delisted_at,
    terms.completeness,
    terms.source_class,
    terms.source,
    terms.ingested_at,
    terms.date as partition_date
from terms
left join codes
    on terms.venue = codes.venue
    and terms.base_code = codes.asset_code
    and terms.event_at >= codes.valid_from_at
    and terms.event_at < codes.valid_to_at
