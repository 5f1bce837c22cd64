-- Open ends of the validity interval become far dates, so that every join is a plain half-open range.
select
    venue,
    venue_symbol,
    base_asset,
    cast(multiplier as double) as multiplier,
    contract_type,
    cast(coalesce(contract_value, 1) as double) as contract_value,
    quote_asset,
    cast(coalesce(valid_from, date '1970-01-01') as timestamptz) as valid_from_at,
    cast(coalesce(valid_to, date '2999-12-31') as timestamptz) as valid_to_at
from {{ ref('instruments') }}
