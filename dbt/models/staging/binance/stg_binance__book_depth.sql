-- Cumulative depth from mid to the band; negative percentages are bids. Bands are kept as basis points of distance.
with snapshots as (
    select *
    from {{ source('raw', 'binance_book_depth') }}
    where percentage <> 0
    {{ keep_latest(['venue', 'venue_symbol', 'timestamp', 'percentage'], ['notional', 'depth']) }}
)

select
    snapshots.venue,
    snapshots.venue_symbol,
    instrument.base_asset,
    snapshots.timestamp as event_at,
    case when snapshots.percentage < 0 then 'bid' else 'ask' end as side,
    round(abs(snapshots.percentage) * 100, 6) as band_bps,
    case instrument.contract_type
        when 'linear' then snapshots.notional
        when 'inverse' then snapshots.depth * instrument.contract_value
    end as depth_usd,
    snapshots.completeness,
    snapshots.source_class,
    snapshots.source,
    snapshots.ingested_at
from snapshots
{{ join_instrument('snapshots', 'snapshots.timestamp') }}
