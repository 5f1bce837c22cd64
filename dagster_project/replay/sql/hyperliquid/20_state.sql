-- Grain: one row per record (hl_record) and per position of a record (hl_leg), with what is wrong with it.
-- Needs hl_raw (record_no, place, address, state JSON, null where it is no JSON), hl_coin, hl_price_of_meta, hl_parameter.
create or replace temp table hl_leg as
with positions as (
    select
        record_no,
        unnest(json_extract(state, '$.assetPositions[*]')) -> '$.position' as position
    from hl_raw
    where json_type(state, '$.assetPositions') = 'ARRAY'
)

select
    record_no,
    position ->> '$.coin' as contract,
    try_cast(position ->> '$.szi' as double) as quantity,
    try_cast(position ->> '$.entryPx' as double) as entry_price,
    abs(try_cast(position ->> '$.positionValue' as double)) as notional_usd,
    position ->> '$.leverage.type' as margin_mode,
    try_cast(position ->> '$.leverage.rawUsd' as double) as raw_usd,
    coalesce(
        isfinite(quantity) and quantity != 0 and abs(quantity) <= 1e15
        and isfinite(entry_price) and entry_price > 0 and entry_price <= 1e12
        and isfinite(notional_usd) and notional_usd > 0 and notional_usd <= 1e12
        and margin_mode in ('cross', 'isolated')
        and (margin_mode = 'cross' or (isfinite(raw_usd) and abs(raw_usd) <= 1e12)),
        false
    ) as is_readable
from positions;

-- The book's price of a coin: the mark price beside the meta, else the middle of what the states were valued at.
create or replace temp table hl_price as
select
    c.contract,
    c.base_asset,
    c.size_decimals,
    c.open_interest,
    coalesce(
        if(isfinite(c.mark_price) and c.mark_price > 0, c.mark_price, null),
        median(l.notional_usd / abs(l.quantity)) filter (where l.is_readable)
    ) as index_price
from hl_coin as c
left join hl_leg as l on c.contract = l.contract
where
    regexp_full_match(c.contract, '[A-Za-z0-9@][A-Za-z0-9_.:+/@-]{0,99}')
    and c.size_decimals between 0 and 12
group by c.contract, c.base_asset, c.size_decimals, c.open_interest, c.mark_price;

create or replace temp table hl_record as
with legs as (
    select
        l.record_no,
        count(*) as positions,
        count(distinct l.contract) as contracts,
        bool_and(l.is_readable) as are_readable,
        bool_and(p.contract is not null) as are_listed,
        coalesce(bool_and(
            abs(l.quantity * pow(10.0, p.size_decimals) - round(l.quantity * pow(10.0, p.size_decimals))) <= 1e-6
            + 1e-12 * abs(l.quantity * pow(10.0, p.size_decimals))
        ), false) as are_in_lots,
        max(abs(l.notional_usd / abs(l.quantity) / p.index_price - 1)) as price_gap,
        sum(l.notional_usd) as gross_usd,
        sum(l.notional_usd * sign(l.quantity)) as signed_usd,
        coalesce(sum(l.notional_usd * sign(l.quantity)) filter (where l.margin_mode = 'cross'), 0) as cross_signed_usd,
        coalesce(sum(l.raw_usd) filter (where l.margin_mode = 'isolated'), 0) as isolated_raw_usd,
        coalesce(sum(l.quantity * l.entry_price) filter (where l.margin_mode = 'cross'), 0) as cross_entry_usd
    from hl_leg as l
    left join hl_price as p on l.contract = p.contract and p.index_price is not null
    group by l.record_no
),

summed as (
    select
        r.record_no,
        r.place,
        if(regexp_full_match(r.address, '0x[0-9a-fA-F]{40}'), lower(r.address), null) as address,
        r.state,
        try_cast(r.state ->> '$.time' as bigint) as time_ms,
        try_cast(r.state ->> '$.marginSummary.accountValue' as double) as account_value,
        try_cast(r.state ->> '$.marginSummary.totalRawUsd' as double) as raw_usd,
        try_cast(r.state ->> '$.crossMarginSummary.accountValue' as double) as cross_value,
        try_cast(r.state ->> '$.crossMarginSummary.totalRawUsd' as double) as cross_raw_usd,
        json_type(r.state, '$.assetPositions') as positions_type,
        coalesce(l.positions, 0) as positions,
        l.contracts,
        l.are_readable,
        l.are_listed,
        l.are_in_lots,
        l.price_gap,
        l.signed_usd,
        l.cross_signed_usd,
        l.isolated_raw_usd,
        l.cross_entry_usd,
        -- amounts are printed with six decimals, prices with five digits
        0.01 + 1e-6 * coalesce(l.gross_usd, 0) as rounding_usd,
        p.max_price_gap
    from hl_raw as r
    cross join hl_parameter as p
    left join legs as l on r.record_no = l.record_no
),

judged as (
    select
        *,
        case
            when state is null or json_type(state) != 'OBJECT' then 'no JSON object'
            when address is null then 'no user address (0x and 40 hexadecimal digits)'
            when coalesce(positions_type, '') != 'ARRAY' then 'assetPositions is no list'
            when
                not coalesce(
                    isfinite(account_value) and isfinite(raw_usd) and isfinite(cross_value) and isfinite(cross_raw_usd)
                    and greatest(abs(account_value), abs(raw_usd), abs(cross_value), abs(cross_raw_usd)) <= 1e12,
                    false
                )
                then 'marginSummary or crossMarginSummary lacks a number'
            when positions = 0 then null
            when not are_readable
                then 'a position lacks coin, szi, entryPx, positionValue or leverage, or one is no number'
            when not are_listed then 'a position in a coin that the meta does not list'
            when contracts < positions then 'two positions in one coin'
            when not are_in_lots then 'a position that is no multiple of the coin''s size step'
            when
                abs(account_value - raw_usd - signed_usd) > rounding_usd
                or abs(cross_value - cross_raw_usd - cross_signed_usd) > rounding_usd
                or abs(raw_usd - cross_raw_usd - isolated_raw_usd) > rounding_usd
                then 'account value, raw USD and positions do not add up'
            when price_gap > max_price_gap then 'valued at prices too far from the book''s: of another time'
        end as reason
    from summed
)

select
    * exclude (reason, state, max_price_gap),
    coalesce(
        reason,
        if(
            row_number() over (
                partition by address, reason is null order by time_ms desc nulls last, record_no desc
            ) > 1, 'an older state of a user who has a newer one', null
        )
    ) as reason
from judged;
