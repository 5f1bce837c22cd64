{{ config(**by_day('partition_date', {'raw.depth': [0, 0]}, terms='stg_reference__instruments')) }}
-- Cumulative depth from mid to the band; negative percentages are bids. `notional` is price x quantity as the book
-- counts quantities, so where it counts contracts it is multiplied by a contract's value. A band inside which the book
-- that was sent ends holds at least this much: it is partial.
{%- set fields = ['quantity', 'notional'] %}
with units as ({{ units_of('depth', fields) }}),

snapshots as (
    select *
    from {{ raw_rows('depth') }}
    {{ keep_latest(['venue_symbol', 'observed_at', 'percentage', 'venue', 'feed'], ['notional', 'quantity']) }}
)

select
    snapshots.feed,
    snapshots.product,
    snapshots.venue,
    snapshots.venue_symbol,
    instrument.base_asset,
    snapshots.observed_at as event_at,
    case when snapshots.percentage < 0 then 'bid' when snapshots.percentage > 0 then 'ask' end as side,
    round(abs(snapshots.percentage) * 100, 6) as band_bps,
    {{ in_base('snapshots', ['quantity']) }} as base_quantity,
    coalesce(
        case
            when
                units.notional_counts = 'contracts' and instrument.contract_type = 'linear' and instrument.is_usd_quoted
                then snapshots.notional * instrument.contract_value
        end,
        -- The quantity first: contracts of an inverse book are USD, and its price x contracts is nothing.
        {{ in_usd('snapshots', ['quantity', 'notional']) }}
    ) as depth_usd,
    snapshots.best_price / instrument.multiplier as best_price,
    snapshots.is_floor,
    {{ weakest_completeness(["snapshots.completeness", "case when snapshots.is_floor then 'partial' end"]) }}
        as completeness,
    snapshots.source_class,
    snapshots.source,
    snapshots.ingested_at,
    snapshots.date as partition_date
from snapshots
{{ join_instrument('snapshots', 'snapshots.observed_at') }}
{{ join_units('snapshots', 'snapshots.observed_at') }}
