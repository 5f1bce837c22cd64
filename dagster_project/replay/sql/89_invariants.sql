-- The account of the invariants at the end of a step: residuals that must be 0. Lots by contract; USD and coins against t0; the pools'
-- wallets against what is written of them; what the rounds found wrong in calls, slices and fills; events although all was calm.
-- What is at rest enters by its sums (39_rest.sql); in the last step nothing is at rest any more.
insert into replay_ledger
with lots as (
    select sum(abs(lots)) as residual
    from (
        select contract_no, sum(lots) as lots
        from (
            select contract_no, lots from replay_leg
            union all
            select contract_no, lots from replay_rest_lots
        ) as held
        group by contract_no
    ) as sums
),

amounts as (
    select
        asset_no,
        sum(amount) as residual
    from (
        select 0 as asset_no, cash::hugeint as amount from replay_unit
        union all
        select 0, cash from replay_rest_cash
        union all
        select asset_no, amount from replay_coin
        union all
        select asset_no, amount from replay_outside
        union all
        select 0, amount from replay_transit where arrived_seconds is null
        union all
        select 0, -socialised from replay_pool_flow
        union all
        select asset_no, -amount from replay_total_before
    ) as parts
    group by asset_no
),

f as (
    select
        pool_no,
        sum(haircut + realised + netted + socialised - deficit) as flow,
        count(*) filter (where haircut < 0 or socialised < 0 or deficit < 0) as negative
    from replay_pool_flow
    group by pool_no
),

e as (
    select pool_no, sum(flow) as flow
    from (
        select c.pool_no, v.fee as flow
        from replay_event as v
        inner join replay_contract_pool as c on v.contract_no = c.contract_no
        where v.kind = 'book'
        union all
        select u.pool_no, v.gain
        from replay_event as v
        inner join replay_unit as u on v.unit_no = u.unit_no
        where v.kind in ('backstop', 'unfilled')
    ) as flows
    group by pool_no
),

wallets as (
    select
        p.pool_no,
        p.wallet - w.balance_micro - coalesce(f.flow, 0) - coalesce(e.flow, 0) as residual,
        coalesce(f.negative, 0) as negative
    from replay_purse as p
    inner join replay_pool as w on p.pool_no = w.pool_no
    left join f on p.pool_no = f.pool_no
    left join e on p.pool_no = e.pool_no
),

checks as (
    select
        coalesce(sum(c.i3_needless), 0) as needless,
        coalesce(sum(c.i4_slices), 0) as slices,
        coalesce(sum(c.i5_fills), 0) as fills
    from replay_round_check as c
    inner join replay_clock as k on c.step = k.step
)

select
    k.step,
    coalesce((select l.residual from lots as l), 0)::bigint,
    coalesce((select a.residual from amounts as a where a.asset_no = 0), 0)::bigint,
    coalesce((select sum(abs(a.residual)) from amounts as a where a.asset_no != 0), 0)::bigint,
    coalesce((select sum(abs(w.residual) + w.negative) from wallets as w), 0)::bigint,
    c.needless::bigint,
    c.slices::bigint,
    c.fills::bigint,
    if(
        (select r.is_calm from replay_calm as r),
        (select count(*) from replay_event as v where v.step >= 0 and v.kind not like 'transfer%'),
        0
    )::bigint
from replay_clock as k, checks as c;
