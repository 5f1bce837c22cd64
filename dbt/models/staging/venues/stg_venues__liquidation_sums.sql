{{ config(**by_day('partition_date', {'raw.liquidation_sums': [0, 0]}, terms='stg_reference__instruments')) }}
-- What aggregators add up, per period and side. Where they name an asset and not a contract, the asset is known from
-- the terms of any venue.
{%- set fields = ['amount'] %}
with units as ({{ units_of('liquidation_sums', fields) }}),

sums as (
    select *
    from {{ raw_rows('liquidation_sums') }}
    {{ keep_latest(
        ['venue_symbol', 'period_start', 'liquidated_side', 'period_seconds', 'venue', 'feed'], ['amount']
    ) }}
)

select
    sums.feed,
    sums.product,
    sums.venue,
    sums.venue_symbol,
    coalesce(instrument.base_asset, asset.base_asset) as base_asset,
    instrument.contract_type,
    sums.period_start as event_at,
    sums.period_seconds,
    sums.liquidated_side,
    {{ in_base('sums', fields) }} as base_quantity,
    {{ in_usd('sums', fields) }} as notional_usd,
    sums.completeness,
    sums.source_class,
    sums.source,
    sums.ingested_at,
    sums.date as partition_date
from sums
{{ join_instrument('sums', 'sums.period_start') }}
{{ join_asset('sums') }}
{{ join_units('sums', 'sums.period_start') }}
