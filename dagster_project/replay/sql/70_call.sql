-- Grain of replay_call: one row per pool, source and contract whose lots have to be deleveraged: a fund's inventory, or parts of what
-- was owed. Units: micro-USD, lots. replay_purse and the margin of all funds have to be there. short: what the winners have to bring,
-- with what a fund loses at the mark on lots that it has held for longer: a fund that has to call lots has nothing to pay that from.
-- needed: the lots that carry what is really missing; an inventory is called whole, also where nothing or less is.
create or replace temp table replay_shortage as
select
    p.*,
    s.adl_policy,
    s.adl_price,
    greatest(0, -p.wallet) as uncovered,
    p.legs > 0 and (
        (k.adl_trigger = 'drawdown' and p.equity <= (1 - s.adl_drawdown) * k.peak)
        or (k.adl_trigger = 'vault_equity' and p.equity <= p.maintenance)
    ) as is_inventory_called,
    case
        when not is_inventory_called then uncovered
        when k.adl_trigger = 'drawdown' then greatest(p.deficit, -p.equity)
        else greatest(0, -p.equity)
    end as short,
    if(is_inventory_called, greatest(0, -p.equity), uncovered) as missing
from replay_purse as p
inner join scenario_venue as s on p.venue = s.venue
inner join replay_peak as k on p.pool_no = k.pool_no
where s.adl_policy != 'none' and (is_inventory_called or uncovered > 0);

-- @when replay_shortage
create or replace temp table replay_call as
with inventory as (
    select
        h.pool_no,
        h.fund_no as source_no,
        v.contract_no,
        v.lots,
        (
            h.short::hugeint * v.notional_micro // greatest(1, sum(v.notional_micro) over (partition by h.pool_no))
        )::bigint as share,
        h.short,
        h.missing,
        row_number() over (partition by h.pool_no order by v.contract_no) as place
    from replay_shortage as h
    inner join replay_leg_value as v on h.fund_no = v.unit_no
    where h.is_inventory_called
),

parts as (
    select
        h.pool_no,
        if(d.is_held, h.fund_no, place.maker_no) as source_no,
        d.contract_no,
        d.lots,
        d.deficit,
        d.is_held,
        (h.short::hugeint * d.deficit // sum(d.deficit) over (partition by h.pool_no))::bigint as share,
        h.short,
        row_number() over (partition by h.pool_no order by d.unit_no, d.contract_no) as place
    from replay_shortage as h
    inner join replay_deficit as d on h.pool_no = d.pool_no
    inner join replay_place as place on h.venue = place.venue
    where not h.is_inventory_called and h.short > 0
),

asked as (
    select
        pool_no,
        source_no,
        contract_no,
        lots as signed_lots,
        lots as signed_wanted,
        coalesce((abs(lots)::hugeint * missing + short - 1) // nullif(short, 0), 0)::bigint as needed,
        share + if(place = 1, short - (sum(share) over (partition by pool_no))::bigint, 0) as short,
        true as is_held
    from inventory
    union all
    select
        pool_no,
        source_no,
        contract_no,
        lots,
        (sign(lots) * least(abs(lots), (abs(lots)::hugeint * share_all + deficit - 1) // deficit))::bigint as wanted,
        abs(wanted),
        share_all,
        is_held
    from (
        select *, share + if(place = 1, short - (sum(share) over (partition by pool_no))::bigint, 0) as share_all
        from parts
    ) as shared
    where deficit > 0
),

summed as (
    select
        pool_no,
        source_no,
        contract_no,
        sign(signed_lots)::tinyint as side,
        bool_or(is_held) as is_held,
        sum(abs(signed_wanted))::bigint as wanted,
        sum(needed)::bigint as needed,
        sum(short)::bigint as short
    from asked
    group by pool_no, source_no, contract_no, sign(signed_lots)
),

bounded as (
    select
        a.*,
        h.adl_policy,
        h.adl_price,
        h.is_inventory_called,
        l.lots as held,
        l.basis,
        -- a fund gives at most what it holds on that side
        if(a.is_held, least(a.wanted, greatest(0, a.side * coalesce(l.lots, 0))), a.wanted) as given
    from summed as a
    inner join replay_shortage as h on a.pool_no = h.pool_no
    left join replay_leg as l on a.source_no = l.unit_no and a.contract_no = l.contract_no
),

realised as (
    select
        b.*,
        c.is_inverse,
        coalesce(q.price, 0::double) as coin_price,
        if(
            b.is_held and not b.is_inventory_called and b.given > 0,
            native_value(c.is_inverse, b.side * b.given, c.lot_size, c.contract_value, m.mark_price)
            - basis_cut(b.basis, b.given, abs(b.held)),
            0
        ) as native
    from bounded as b
    inner join replay_contract as c on b.contract_no = c.contract_no
    inner join replay_mark as m on b.contract_no = m.contract_no
    left join replay_coin_price as q on c.is_inverse and c.venue = q.venue and c.asset_no = q.asset_no
)

select
    pool_no,
    source_no,
    contract_no,
    side,
    given as wanted,
    least(needed, given) as needed,
    if(
        adl_price = 'mark', 0, short + greatest(0, -if(is_inverse, coin_usd(native, coin_price), native))
    )::bigint as short,
    is_held,
    adl_policy
from realised;
