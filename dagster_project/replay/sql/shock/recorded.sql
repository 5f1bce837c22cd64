-- Grain: one row per base asset and end of a bar after pre_event_at: log move of the price against the last one before the event,
-- the median of the asset's contracts. Index prices where a contract of the asset has them, else prices of trades; the asset's finest
-- bars. Reads the published snapshot, shock_window (one row: event_id, seconds or null for the end of the aftershock) and shock_venue
-- (none: all).
with e as (
    select
        d.event_id,
        d.pre_event_at,
        least(
            coalesce(a.seconds, date_diff('second', d.pre_event_at, d.recovery_at)),
            date_diff('second', d.pre_event_at, d.window_end_at)
        ) as until_seconds
    from snapshot.marts.dim_event as d
    inner join shock_window as a on d.event_id = a.event_id
),

bars as (
    select
        w.base_asset,
        w.venue,
        w.venue_symbol,
        w.interval_seconds,
        date_diff('second', e.pre_event_at, w.bar_start_at) + w.interval_seconds as seconds,
        w.index_close,
        w.close_price,
        w.source_class,
        e.until_seconds
    from snapshot.marts.fct_event_window as w
    inner join e on w.event_id = e.event_id
    where w.base_asset is not null
        and (w.venue in (select v.venue from shock_venue as v) or not exists (select 1 from shock_venue))
),

prices as (
    select *, 'index' as kind, index_close as price from bars where index_close > 0
    union all
    select *, 'trade', close_price from bars where close_price > 0
),

before as (
    select base_asset, venue, venue_symbol, kind, arg_max(price, seconds) as price_before
    from prices
    where seconds between -3600 and 0
    group by all
),

moves as (
    select p.*, ln(p.price / b.price_before) as log_move
    from prices as p
    inner join before as b
        on p.base_asset = b.base_asset and p.venue = b.venue and p.venue_symbol = b.venue_symbol and p.kind = b.kind
    where p.seconds > 0 and p.seconds <= p.until_seconds
),

-- 'index' sorts before 'trade'
chosen as (
    select * from moves
    qualify kind = min(kind) over (partition by base_asset)
),

finest as (
    select * from chosen
    qualify interval_seconds = min(interval_seconds) over (partition by base_asset)
)

select
    base_asset,
    seconds,
    any_value(kind) as kind,
    any_value(interval_seconds) as interval_seconds,
    round(median(log_move), 6) as log_move,
    list_sort(list_distinct(list(source_class))) as source_classes
from finest
group by base_asset, seconds
order by base_asset, seconds;
