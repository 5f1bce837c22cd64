-- Grain: one row per owner and base asset with a position before or after.
-- Units: USD. Deltas are valued at the t0 index; equity before at the t0 index, after at the book price (the mark).
-- hedged: the owner holds longs and shorts of the asset, over all accounts; maker: any leg belongs to a maker account.
-- Zero by construction: naked seconds and their gain or loss (no time passes in steps 0), late transfers.
create or replace temp table stress_owner as
with legs as (
    select
        p.contract_no,
        p.owner_id,
        p.kind = 'maker' as is_maker,
        p.lots as lots_before,
        if(f.account_id is null, p.lots, 0) as lots_after,
        p.cash_micro as cash_before_micro,
        if(f.account_id is null, p.cash_micro, f.cash_after_micro + f.deficit_micro) as cash_after_micro,
        f.account_id is not null as is_lost
    from replay_position as p
    left join replay_fill as f on p.contract_no = f.contract_no and p.account_id = f.account_id
    union all
    select
        b.contract_no,
        m.owner_id,
        true,
        b.lots,
        b.lots,
        b.cash_micro,
        b.cash_micro,
        false
    from replay_balance as b
    inner join replay_contract as c on b.contract_no = c.contract_no
    inner join replay_maker as m on c.venue = m.venue
    union all
    select
        g.contract_no,
        m.owner_id,
        true,
        0,
        g.lots,
        0,
        g.cash_micro,
        false
    from replay_maker_leg as g
    inner join replay_contract as c on g.contract_no = c.contract_no
    inner join replay_maker as m on c.venue = m.venue
),

valued as (
    select
        l.owner_id,
        a.base_asset,
        l.is_maker,
        l.is_lost,
        sign(l.lots_before) as side_before,
        round(l.lots_before * a.lot_size * a.index_price * 1e6)::hugeint as delta_before_micro,
        round(l.lots_after * a.lot_size * a.index_price * 1e6)::hugeint as delta_after_micro,
        l.cash_before_micro + round(l.lots_before * a.lot_size * a.index_price * 1e6)::hugeint
        - l.cash_after_micro - round(l.lots_after * a.lot_size * a.book_price * 1e6)::hugeint as lost_micro
    from legs as l
    inner join replay_after as a on l.contract_no = a.contract_no
)

select
    owner_id,
    base_asset,
    sum(delta_before_micro) / 1e6 as delta_before_usd,
    sum(delta_after_micro) / 1e6 as delta_after_usd,
    0::double as naked_usd_seconds,
    0::double as naked_pnl_usd,
    if(bool_or(is_lost), 'liquidation', null) as leg_lost_to,
    sum(lost_micro) / 1e6 as equity_lost_usd,
    case
        when bool_or(is_maker) then 'maker'
        when min(side_before) = -1 and max(side_before) = 1 then 'hedged'
        else 'directional'
    end as cohort,
    0::bigint as transfers_late
from valued
group by owner_id, base_asset
order by owner_id, base_asset;
