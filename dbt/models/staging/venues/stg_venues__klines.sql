{{ config(**by_day('partition_date', {'raw.klines': [0, 0]}, terms='stg_reference__instruments')) }}
-- Without a quote volume USD is base quantity x typical price (high + low + close) / 3, and says so; inverse contracts
-- are worth USD each, whatever the price, so theirs is never derived.
{%- set fields = ['volume', 'base_volume', 'turnover'] %}
with units as ({{ units_of('klines', fields) }}),

klines as (
    {{ latest_rows(
        raw_rows('klines'),
        ['venue_symbol', 'open_time', 'interval_seconds', 'venue', 'feed'], ['close', 'volume', 'turnover'],
    ) }}
),

measured as (
    select
        klines.*,
        instrument.base_asset,
        instrument.contract_type,
        instrument.is_usd_quoted,
        instrument.multiplier,
        (klines.high + klines.low + klines.close) / 3 / instrument.multiplier as typical_price,
        {{ in_contracts('klines', fields) }} as contracts,
        {{ in_base('klines', fields) }} as counted_base,
        {{ in_usd('klines', fields) }} as counted_usd
    from klines
    {{ join_instrument('klines', 'klines.open_time') }}
    {{ join_units('klines', 'klines.open_time') }}
)

select
    feed,
    product,
    venue,
    venue_symbol,
    base_asset,
    contract_type,
    is_usd_quoted,
    interval_seconds,
    open_time as bar_start_at,
    open / multiplier as open_price,
    high / multiplier as high_price,
    low / multiplier as low_price,
    close / multiplier as close_price,
    contracts,
    coalesce(counted_base, counted_usd / typical_price) as base_quantity,
    coalesce(counted_usd, case when is_usd_quoted then counted_base * typical_price end) as notional_usd,
    case
        when counted_usd is not null then 'quote_reported'
        when is_usd_quoted and counted_base is not null then 'derived_from_base'
    end as volume_basis,
    completeness,
    source_class,
    ingested_at,
    date as partition_date
from measured
