-- Grain: one row per step (the first piece has step 0 only). Every column is a residual that must be 0.
-- Units: i1 lots, i2 and i3 micro-USD, i5 lots, i6 fills. i4 and the other ADL columns do not exist: policy `none`.
--   i1: per contract, positions + balance + maker's fills - lots closed = 0 (absolute values summed)
--   i2: cash of all positions, makers and funds, less socialised losses, is what it was
--   i3: deficit = fund + socialised, both >= 0
--   i5: no account closes more lots than it held, on the side it held
--   i6: no move in any index and every checked account solvent at t0 (E > MM, by more than one tick of price and one
--       micro-USD, the resolution of a threshold): no fills
create or replace temp table replay_ledger as
with lots as (
    select contract_no, lots from replay_position
    union all
    select contract_no, lots from replay_balance
    union all
    select contract_no, -lots from replay_fill
    union all
    select contract_no, lots from replay_maker_leg
),

imbalance as (
    select sum(abs(lots)) as residual
    from (select sum(lots) as lots from lots group by contract_no) as contracts
),

cash_before as (
    select sum(cash_micro) as cash_micro
    from (
        select cash_micro from replay_position
        union all
        select cash_micro from replay_balance
        union all
        select balance_micro from replay_pool_before
    ) as purses
),

cash_after as (
    select sum(cash_micro) as cash_micro
    from (
        select p.cash_micro
        from replay_position as p
        anti join replay_fill as f on p.contract_no = f.contract_no and p.account_id = f.account_id
        union all
        -- an account that cannot pay ends with nothing: the fund or everybody pays its deficit
        select cash_after_micro + deficit_micro from replay_fill
        union all
        select cash_micro from replay_balance
        union all
        select cash_micro from replay_maker_leg
        union all
        select balance_micro from replay_pool_after
        union all
        select -socialised_micro from replay_settlement
    ) as purses
),

deficits as (
    select contract_no, sum(deficit_micro) as deficit_micro from replay_fill group by contract_no
),

cover as (
    select
        sum(
            abs(coalesce(d.deficit_micro, 0) - coalesce(s.fund_paid_micro, 0) - coalesce(s.socialised_micro, 0))
            + greatest(0, -coalesce(s.fund_paid_micro, 0)) + greatest(0, -coalesce(s.socialised_micro, 0))
        ) as residual
    from deficits as d
    full join replay_settlement as s on d.contract_no = s.contract_no
),

excess as (
    select
        sum(
            greatest(0, abs(f.lots) - coalesce(abs(p.lots), 0)) + if(sign(f.lots) = sign(p.lots), 0, abs(f.lots))
        ) as residual
    from (
        select contract_no, account_id, sum(lots) as lots from replay_fill group by contract_no, account_id
    ) as f
    left join replay_position as p on f.contract_no = p.contract_no and f.account_id = p.account_id
),

-- the top tier has no upper end
tiers as (
    select
        *,
        coalesce(
            lead(notional_floor) over (partition by venue, contract order by notional_floor), 'infinity'::double
        ) as notional_to
    from book_margin_tier
),

calm as (
    select
        not exists (select 1 from replay_contract where log_move != 0)
        and not exists (
            select 1
            from replay_position as p
            inner join replay_contract as c on p.contract_no = c.contract_no
            inner join tiers as t
                on c.venue = t.venue
                and c.contract = t.contract
                and p.reference_micro >= t.notional_floor * 1e6
                and p.reference_micro < t.notional_to * 1e6
            where p.is_checked
                and p.cash_micro + p.side * p.reference_micro
                - (p.reference_micro * t.maintenance_rate - t.maintenance_amount * 1e6)
                <= 1 + 2e-12 * p.reference_micro
        ) as is_calm
),

balances as (
    select sum(greatest(0, -balance_micro)) as residual from replay_pool_after
)

select
    0 as step,
    coalesce(i.residual, 0)::bigint as i1_lots,
    (coalesce(a.cash_micro, 0) - coalesce(b.cash_micro, 0))::bigint as i2_cash_micro_usd,
    (coalesce(v.residual, 0) + coalesce(n.residual, 0))::bigint as i3_deficit_micro_usd,
    coalesce(x.residual, 0)::bigint as i5_lots,
    if(k.is_calm, (select count(*) from replay_fill), 0)::bigint as i6_fills
from imbalance as i, cash_after as a, cash_before as b, cover as v, balances as n, excess as x, calm as k;
