-- Ratios and thresholds are the venue's own; a symbol that names a pool or group of contracts has no base asset.
with risks as (
    select *
    from {{ source('raw', 'adl_risk') }}
    {{ keep_latest(['venue_symbol', 'event_at', 'venue', 'feed'], ['risk_level', 'pnl_ratio', 'pool_balance']) }}
)

select
    risks.feed,
    risks.product,
    risks.venue,
    risks.venue_symbol,
    instrument.base_asset,
    risks.event_at,
    risks.risk_level,
    risks.pool_balance,
    risks.pnl_ratio,
    risks.insurance_pnl_ratio,
    risks.trigger_threshold,
    risks.stop_ratio,
    risks.completeness,
    risks.source_class,
    risks.source,
    risks.ingested_at,
    risks.date as partition_date
from risks
{{ join_instrument('risks', 'risks.event_at') }}
