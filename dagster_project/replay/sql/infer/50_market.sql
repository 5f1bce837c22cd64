-- Depth and funds, each with where it comes from. Nothing later than the moment of the map is used.
-- Needs infer_contract, infer_choice, infer_parameter, fund_given, vault, snapshot.marts.fct_liquidity, fct_insurance_fund.
-- Depth: V USD move a book by V / depth log units, and half of what lies within 1 % of mid (bids and asks together)
-- moves it by 0.01: depth = depth_1pct / 2 / 0.01, times the refill.
create or replace temp table infer_depth as
with latest as (
    select l.venue, l.venue_symbol, l.depth_1pct_usd, l.source_class
    from snapshot.marts.fct_liquidity as l
    inner join infer_choice as c on l.venue = c.venue
    cross join infer_parameter as p
    where
        l.depth_1pct_usd > 0
        and l.hour_start_at + interval 1 hour <= c.as_of_at
        and l.hour_start_at + interval 1 hour >= c.as_of_at - p.max_depth_age_hours * interval 1 hour
    qualify row_number() over (partition by l.venue, l.venue_symbol order by l.hour_start_at desc) = 1
)

select
    c.venue,
    c.contract,
    coalesce(l.depth_1pct_usd, c.depth_share * c.open_interest_usd) / 2 / 0.01 * p.refill_multiple as depth,
    l.source_class
from infer_contract as c
cross join infer_parameter as p
left join latest as l on c.venue = l.venue and c.contract = l.venue_symbol;

create or replace temp table infer_fund as
with latest as (
    select f.*
    from snapshot.marts.fct_insurance_fund as f
    inner join infer_choice as c on f.venue = c.venue
    cross join infer_parameter as p
    where
        f.balance_usd is not null
        and f.observed_at <= c.as_of_at
        and f.observed_at >= c.as_of_at - p.max_fund_age_days * interval 1 day
        and f.venue not in (select g.venue from fund_given as g)
    qualify row_number() over (partition by f.venue, f.product, f.pool, f.asset order by f.fund_date desc) = 1
),

-- A pool of one contract stays its own; a book has one pool for the rest of a venue.
known as (
    select
        l.venue,
        c.contract,
        greatest(0, sum(l.balance_usd)) as balance,
        if(bool_or(l.source_class = 'synthetic'), 'synthetic', 'estimated') as source_class
    from latest as l
    left join infer_contract as c on l.venue = c.venue and l.covered_symbols = c.contract
    group by l.venue, c.contract
),

venues as (
    select venue, sum(open_interest_usd) as open_interest_usd from infer_contract group by venue
)

select venue, contract, balance, source_class from known
union all
select v.venue, null, coalesce(g.balance, p.fund_share * v.open_interest_usd), null
from venues as v
cross join infer_parameter as p
left join fund_given as g on v.venue = g.venue
where v.venue not in (select known.venue from known);
