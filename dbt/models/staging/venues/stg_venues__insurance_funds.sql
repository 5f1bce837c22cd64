-- The balance is in the asset of the row. In USD it is the venue's own figure, else a stablecoin at par, else unknown.
{%- set fields = ['balance_usd'] %}
with units as ({{ units_of('insurance_funds', fields) }}),

balances as (
    select *
    from {{ source('raw', 'insurance_funds') }}
    {{ keep_latest(['venue_symbol', 'event_at', 'asset', 'product', 'venue', 'feed'], ['balance', 'balance_usd']) }}
)

select
    balances.feed,
    balances.product,
    balances.venue,
    balances.venue_symbol as pool,
    balances.asset,
    balances.event_at,
    balances.balance as balance_quantity,
    coalesce(
        case when units.balance_usd_counts = 'usd' then balances.balance_usd end,
        case when usd.asset is not null then balances.balance end
    ) as balance_usd,
    case
        when units.balance_usd_counts = 'usd' and balances.balance_usd is not null then 'reported'
        when usd.asset is not null then 'at_par'
    end as balance_basis,
    balances.covered_symbols,
    balances.completeness,
    balances.source_class,
    balances.source,
    balances.ingested_at,
    balances.date as partition_date
from balances
left join {{ ref('usd_par_assets') }} as usd on balances.asset = usd.asset
{{ join_units('balances', 'balances.event_at') }}
