-- Grain: one row per base asset, venue of the long leg and venue of the short leg.
-- Needs infer_contract, infer_parameter.
-- Of each venue the linear contract with most open interest of an asset takes part. Longs and shorts of the venues lie
-- on one line each, in order of venue; the shorts' is turned by the largest venue's length, so that no stretch meets
-- its own venue. A venue with more than all others together is cut to what they can take.
create or replace temp table infer_hedged as
with main as (
    select
        c.venue,
        c.contract,
        c.base_asset,
        c.lot_size,
        c.open_lots * c.lot_size * p.hedged_share as wanted
    from infer_contract as c
    cross join infer_parameter as p
    where c.contract_type = 'linear' and p.hedged_share > 0
    qualify row_number() over (partition by c.venue, c.base_asset order by c.open_interest_usd desc, c.contract asc) = 1
),

cut as (
    select
        *,
        least(wanted, sum(wanted) over (partition by base_asset) - wanted) as base_quantity
    from main
),

line as (
    select
        *,
        coalesce(sum(base_quantity) over before, 0) as starts,
        sum(base_quantity) over (partition by base_asset) as length,
        max(base_quantity) over (partition by base_asset) as turn
    from cut
    where base_quantity > 0
    window before as (partition by base_asset order by venue rows between unbounded preceding and 1 preceding)
),

short_line as (
    -- a stretch that passes the end goes on at the beginning: it is laid twice
    select
        l.*,
        l.starts + l.turn - laps.lap * l.length as short_starts
    from line as l
    cross join (values (0), (1)) as laps (lap)
),

pair as (
    select
        a.base_asset,
        a.venue as long_venue,
        a.contract as long_contract,
        a.lot_size as long_lot,
        b.venue as short_venue,
        b.contract as short_contract,
        b.lot_size as short_lot,
        sum(
            least(a.starts + a.base_quantity, b.short_starts + b.base_quantity) - greatest(a.starts, b.short_starts)
        ) as base_quantity
    from line as a
    inner join short_line as b
        on a.base_asset = b.base_asset
        and a.venue != b.venue
        and a.starts < b.short_starts + b.base_quantity
        and b.short_starts < a.starts + a.base_quantity
    group by all
)

select
    *,
    cast(floor(base_quantity / long_lot) as hugeint) as long_lots,
    cast(floor(base_quantity / short_lot) as hugeint) as short_lots
from pair
where base_quantity >= greatest(long_lot, short_lot);
