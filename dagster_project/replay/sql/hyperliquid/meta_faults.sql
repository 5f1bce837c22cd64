-- One row per broken rule of the list of coins: rule, the first coins that break it, how many.
-- Needs hl_coin, hl_tier.
with broken as (
    select 'a coin is listed twice' as rule, contract from hl_coin group by contract having count(*) > 1
    union all
    select 'a margin tier has no lowerBound >= 0 or no maxLeverage from 1 to 1000', contract
    from hl_tier
    where
        not coalesce(
            isfinite(notional_floor) and notional_floor >= 0
            and isfinite(max_leverage) and max_leverage between 1 and 1000,
            false
        )
    union all
    select 'the first margin tier does not begin at lowerBound 0', contract
    from hl_tier
    group by contract
    having min(notional_floor) > 0
)

select rule, list_slice(list(contract order by contract), 1, 3) as contracts, count(*) as coins
from broken
group by rule
order by rule;
