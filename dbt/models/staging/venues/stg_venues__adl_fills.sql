-- Single auto-deleveraging fills, at the price at which the position was reduced. `closed_pnl` is what its owner had
-- made, which is not the profit lost by being closed early: that needs a price to compare with.
{%- set fields = ['quantity', 'closed_pnl'] %}
with units as ({{ units_of('adl_fills', fields) }}),

fills as (
    select *
    from {{ source('raw', 'adl_fills') }}
    {{ keep_latest(
        ['venue_symbol', 'event_key', 'side', 'account', 'venue', 'feed'], ['event_time', 'quantity', 'price']
    ) }}
),

measured as (
    select
        fills.*,
        instrument.base_asset,
        instrument.contract_type,
        instrument.is_usd_quoted,
        fills.price / instrument.multiplier as unit_price,
        {{ in_contracts('fills', ['quantity']) }} as contracts,
        {{ in_base('fills', ['quantity']) }} as counted_base,
        {{ in_usd('fills', ['quantity']) }} as counted_usd,
        {{ in_usd('fills', ['closed_pnl']) }} as closed_pnl_usd
    from fills
    {{ join_instrument('fills', 'fills.event_time') }}
    {{ join_units('fills', 'fills.event_time') }}
)

select
    feed,
    product,
    venue,
    venue_symbol,
    base_asset,
    contract_type,
    event_time as event_at,
    side as reduced_side,
    contracts,
    coalesce(counted_base, counted_usd / unit_price) as base_quantity,
    coalesce(counted_usd, case when is_usd_quoted then counted_base * unit_price end) as adl_usd,
    unit_price as price,
    closed_pnl_usd,
    account,
    event_key,
    completeness,
    source_class,
    source,
    ingested_at,
    date as partition_date
from measured
