-- Grain: one row per venue, contract, side, leverage and price bin of the chosen maps.
-- Needs snapshot.marts.fct_liquidation_map, infer_choice (venue, map_date).
-- own_rate is the maintenance margin of an assumed position over its value at its level: the rate r with which
--     linear  level (1 -+ r) = entry (1 -+ 1/leverage)
--     inverse level (1 +- 1/leverage) = entry (1 +- r)
-- upper signs for longs. It holds the maintenance amount of the position's tier, which the map's own rate does not.
create or replace temp table infer_cohort as
with chosen as (
    select m.*
    from snapshot.marts.fct_liquidation_map as m
    inner join infer_choice as c on m.venue = c.venue and m.map_date = c.map_date
),

signed as (
    select
        *,
        if(side = 'long', 1, -1) as sign,
        liquidation_price / entry_price as level_ratio
    from chosen
)

select
    venue,
    venue_symbol as contract,
    base_asset,
    contract_type,
    event_id,
    side,
    sign,
    leverage,
    price_bin,
    entry_price,
    liquidation_price,
    reference_price,
    open_interest_usd,
    cast(notional_usd as decimal(28, 6)) as notional_usd,
    greatest(0, least(0.5, if(
        contract_type = 'inverse',
        sign * (level_ratio * (1 + sign / leverage) - 1),
        sign * (1 - (1 - sign / leverage) / level_ratio)
    ))) as own_rate,
    completeness,
    source_class
from signed;
