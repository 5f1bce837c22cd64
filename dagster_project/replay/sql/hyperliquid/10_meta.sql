-- Grain: one row per coin of the universe (hl_coin), and per margin tier of a coin (hl_tier). Coins are contracts.
-- Needs hl_meta: one row, meta (JSON) and contexts (JSON array in the order of the universe, or null).
-- Maintenance is half of the initial margin at the tier's highest leverage, and continuous at the floors.
create or replace temp table hl_coin as
with listed as (
    select
        unnest(json_extract(meta, '$.universe[*]')) as coin,
        generate_subscripts(json_extract(meta, '$.universe[*]'), 1) as place,
        contexts
    from hl_meta
)

select
    coin ->> '$.name' as contract,
    regexp_replace(coin ->> '$.name', '^k([A-Z0-9]{2,})$', '\1') as base_asset,
    place,
    try_cast(coin ->> '$.szDecimals' as integer) as size_decimals,
    try_cast(coin ->> '$.maxLeverage' as double) as max_leverage,
    coin ->> '$.marginTableId' as margin_table,
    try_cast(json_extract_string(contexts, '$[' || (place - 1) || '].markPx') as double) as mark_price,
    try_cast(json_extract_string(contexts, '$[' || (place - 1) || '].openInterest') as double) as open_interest
from listed;

create or replace temp table hl_tier as
with tables as (
    select unnest(json_extract(meta, '$.marginTables[*]')) as entry from hl_meta
),

stated as (
    select
        entry ->> '$[0]' as margin_table,
        unnest(json_extract(entry, '$[1].marginTiers[*]')) as tier
    from tables
),

-- A coin without a table has one tier.
tiers as (
    select
        c.contract,
        if(s.tier is null, 0, try_cast(s.tier ->> '$.lowerBound' as double)) as notional_floor,
        if(s.tier is null, c.max_leverage, try_cast(s.tier ->> '$.maxLeverage' as double)) as max_leverage
    from hl_coin as c
    left join stated as s on c.margin_table = s.margin_table
),

rated as (
    select
        *,
        1 / (2 * max_leverage) as maintenance_rate
    from tiers
)

select
    contract,
    notional_floor,
    max_leverage,
    maintenance_rate,
    lead(notional_floor) over below as notional_cap,
    sum(notional_floor * (maintenance_rate - rate_below)) over below as maintenance_amount
from (
    select
        *,
        coalesce(lag(maintenance_rate) over (partition by contract order by notional_floor), 0) as rate_below
    from rated
) as stepped
window below as (partition by contract order by notional_floor);
