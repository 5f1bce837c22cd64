-- Grain: one row per position: a cohort (isolated), or a leg of a hedged owner (cross).
-- Needs infer_cohort, infer_contract, infer_hedged, infer_parameter.
-- Lots of a side are differences of a rounded running sum, so they add up to the open interest less what is hedged.
-- The margin is what makes the account breach at its level, with r the contract's rate and k = coin price / index:
--     linear   quantity * (entry - level (1 - r)) long, (level (1 + r) - entry) short, USD
--     inverse  USD * ((1 + r/k) / level - 1 / entry) long, (1 / entry - (1 - r/k) / level) short, coins
-- It is notional / leverage at the entry where the cohort's own rate is the contract's.
create or replace temp table infer_position as
with held as (
    select long_venue as venue, long_contract as contract, 1 as sign, long_lots as lots from infer_hedged
    union all
    select short_venue, short_contract, -1, short_lots from infer_hedged
),

hedged_sides as (
    select venue, contract, sign, sum(lots) as lots from held group by venue, contract, sign
),

running as (
    select
        h.*,
        c.lot_size,
        c.maintenance_rate as rate,
        c.coin_price,
        c.coin_price / c.index_price as coin_ratio,
        cast(greatest(0, c.open_lots - coalesce(s.lots, 0)) as double) as side_lots,
        sum(h.notional_usd) over side / sum(h.notional_usd) over (partition by h.venue, h.contract, h.side) as upto,
        coalesce(sum(h.notional_usd) over before, 0)
        / sum(h.notional_usd) over (partition by h.venue, h.contract, h.side) as downto
    from infer_cohort as h
    inner join infer_contract as c on h.venue = c.venue and h.contract = c.contract
    left join hedged_sides as s on h.venue = s.venue and h.contract = s.contract and h.sign = s.sign
    window
        side as (
            partition by h.venue, h.contract, h.side order by h.price_bin, h.leverage
            rows between unbounded preceding and current row
        ),
        before as (
            partition by h.venue, h.contract, h.side order by h.price_bin, h.leverage
            rows between unbounded preceding and 1 preceding
        )
),

cohort as (
    select
        *,
        (round(side_lots * upto) - round(side_lots * downto)) * lot_size as size
    from running
),

leg as (
    select
        h.base_asset,
        h.long_venue as venue,
        h.long_contract as contract,
        h.long_venue,
        h.short_venue,
        1 as sign,
        h.long_lots * h.long_lot as size
    from infer_hedged as h
    union all
    select h.base_asset, h.short_venue, h.short_contract, h.long_venue, h.short_venue, -1, h.short_lots * h.short_lot
    from infer_hedged as h
)

select
    printf('%s %s %s %gx %d', venue, contract, side, leverage, price_bin) as account_id,
    account_id as owner_id,
    'isolated' as margin_mode,
    venue,
    contract,
    sign * size as quantity,
    entry_price,
    liquidation_price,
    if(contract_type = 'inverse', base_asset, 'USD') as asset,
    if(contract_type = 'inverse', coin_price, 1) as asset_price,
    size * if(
        contract_type = 'inverse',
        sign * ((1 + sign * rate / coin_ratio) / liquidation_price - 1 / entry_price),
        sign * (entry_price - liquidation_price * (1 - sign * rate))
    ) as margin
from cohort
where size > 0
union all
select
    printf('hedged %s %s %s %s', l.base_asset, l.long_venue, l.short_venue, if(l.sign > 0, 'long', 'short')),
    printf('hedged %s %s %s', l.base_asset, l.long_venue, l.short_venue),
    'cross',
    l.venue,
    l.contract,
    l.sign * l.size,
    c.index_price,
    null,
    'USD',
    1,
    l.size * c.index_price / least(p.hedged_leverage, 0.5 / nullif(c.maintenance_rate, 0))
from leg as l
inner join infer_contract as c on l.venue = c.venue and l.contract = c.contract
cross join infer_parameter as p;
