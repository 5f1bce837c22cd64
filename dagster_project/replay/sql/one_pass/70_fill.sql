-- Grain: one row per account and contract that is liquidated (full close).
-- Units: lots; money in integer micro-USD; price in USD.
-- proceeds_micro = quantity * price of the round, rounded once; the maker books the same integer, so nothing is lost
-- between the legs. A long receives it, a short pays it. The fee is charged on it in full, also to a bankrupt account:
-- the fund gets the fee and covers the deficit, so the two cancel. deficit_micro is what the account cannot pay.
create or replace temp table replay_fill as
with executed as (
    select
        p.contract_no,
        p.account_id,
        p.side,
        p.lots,
        p.reference_micro,
        p.threshold_tick,
        p.cash_micro,
        r.round_no,
        r.price,
        round(abs(p.lots) * c.lot_size * r.price * 1e6)::hugeint as proceeds_micro,
        c.fee_rate
    from (select * from replay_position where threshold_tick is not null) as p
    asof join replay_round as r
        on p.contract_no = r.contract_no and p.side = r.side and p.threshold_tick <= r.last_tick
    inner join replay_contract as c on p.contract_no = c.contract_no
),

charged as (
    select
        *,
        round(fee_rate * proceeds_micro)::hugeint as fee_micro
    from executed
)

select
    * exclude (fee_rate, cash_micro),
    cash_micro + side * proceeds_micro - fee_micro as cash_after_micro,
    greatest(0::hugeint, -(cash_micro + side * proceeds_micro - fee_micro)) as deficit_micro
from charged;
