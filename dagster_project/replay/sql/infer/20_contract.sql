-- Grain: one row per contract of the book.
-- Needs infer_cohort, infer_parameter, tier_parameter, asset_beta, snapshot.marts.dim_contract, fct_event_summary.
-- The tier is that of the day before the event where the map is of one, else what the asset is now. A lot is the largest
-- power of ten of base units worth at most lot_usd; of an inverse contract of USD, for there a contract is 1 USD here.
create or replace temp table infer_contract as
with summed as (
    select
        venue,
        contract,
        max(base_asset) as base_asset,
        max(contract_type) as contract_type,
        max(event_id) as event_id,
        max(reference_price) as index_price,
        max(open_interest_usd) as open_interest_usd,
        sum(notional_usd * own_rate) / sum(notional_usd) as maintenance_rate
    from infer_cohort
    group by venue, contract
),

tiered as (
    select
        s.*,
        coalesce(e.tier, d.tier, 'tail') as tier,
        if(s.contract_type = 'inverse', 1, s.index_price) as unit_usd
    from summed as s
    left join snapshot.marts.dim_contract as d on s.venue = d.venue and s.contract = d.venue_symbol
    left join snapshot.marts.fct_event_summary as e
        on s.event_id = e.event_id and e.scope = 'contract' and s.venue = e.venue and s.contract = e.venue_symbol
),

sized as (
    select
        t.*,
        coalesce(a.beta, b.beta) as beta,
        b.depth_share,
        cast('1e' || cast(floor(log10(p.lot_usd / t.unit_usd)) as integer) as double) as lot_size
    from tiered as t
    cross join infer_parameter as p
    inner join tier_parameter as b on t.tier = b.tier
    left join asset_beta as a on t.base_asset = a.asset
)

select
    *,
    cast(round(open_interest_usd / unit_usd / lot_size) as hugeint) as open_lots,
    -- The replay takes a coin's price from the asset's first contract.
    first(index_price) over (partition by base_asset order by venue, contract) as coin_price
from sized;
