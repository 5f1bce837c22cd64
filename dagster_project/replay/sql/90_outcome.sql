-- Grain: one row per venue and contract of the book.
-- Units: USD (notional at the t0 index, so open interest changes only by quantity closed), log moves in natural log.
-- overshoot = trough - shock (same sign as the forced flow's push); amplification = trough / shock, null without shock.
-- Zero by construction here: backstop (backstop_ratio null), unfilled (no band), ADL (policy none),
-- seconds_to_trough (steps 0).
create or replace temp table replay_after as
with rounds as (
    select
        contract_no,
        max(round_no) as rounds,
        max(displacement_after) as displacement,
        max(growth) as branching
    from (
        select
            *,
            notional_micro / lag(notional_micro) over (partition by contract_no order by round_no) as growth
        from replay_round
    ) as growing
    group by contract_no
),

fills as (
    select
        contract_no,
        count(*) as accounts,
        sum(reference_micro) filter (where side = 1) as long_micro,
        sum(reference_micro) filter (where side = -1) as short_micro
    from replay_fill
    group by contract_no
),

maker_before as (
    select
        p.contract_no,
        sum(p.lots) as lots
    from replay_position as p
    inner join replay_contract as c on p.contract_no = c.contract_no
    inner join replay_maker as m on c.venue = m.venue and p.account_id = m.account_id
    group by p.contract_no
),

others as (
    select
        p.contract_no,
        sum(greatest(p.lots, 0)) as long_lots
    from replay_position as p
    inner join replay_contract as c on p.contract_no = c.contract_no
    inner join replay_maker as m on c.venue = m.venue
    where p.account_id != m.account_id
    group by p.contract_no
),

closed as (
    select contract_no, sum(greatest(lots, 0)) as long_lots from replay_fill group by contract_no
)

select
    c.*,
    coalesce(d.side, if(c.log_move > 0, -1, 1)) as side,
    coalesce(r.rounds, 0) as rounds,
    coalesce(r.branching, 0::double) as branching,
    coalesce(r.displacement, 0::double) as displacement,
    c.log_move - coalesce(d.side, 1) * coalesce(r.displacement, 0::double) as trough,
    c.index_price * exp(c.log_move) as shocked_price,
    c.index_price * exp(c.log_move - coalesce(d.side, 1) * coalesce(r.displacement, 0.0)) as book_price,
    coalesce(f.accounts, 0) as accounts,
    coalesce(f.long_micro, 0) as long_micro,
    coalesce(f.short_micro, 0) as short_micro,
    coalesce(s.deficit_micro, 0) as deficit_micro,
    coalesce(s.fund_paid_micro, 0) as fund_paid_micro,
    coalesce(s.socialised_micro, 0) as socialised_micro,
    round(
        (coalesce(o.long_lots, 0) + greatest(0, coalesce(m.lots, 0) + coalesce(b.lots, 0)))
        * c.lot_size * c.index_price * 1e6
    )::hugeint as open_interest_before_micro,
    round(
        (
            coalesce(o.long_lots, 0) - coalesce(x.long_lots, 0)
            + greatest(0, coalesce(m.lots, 0) + coalesce(b.lots, 0) + coalesce(g.lots, 0))
        ) * c.lot_size * c.index_price * 1e6
    )::hugeint as open_interest_after_micro,
    round(coalesce(b.lots, 0) * c.lot_size * c.index_price * 1e6)::hugeint as balanced_micro
from replay_contract as c
left join replay_driven as d on c.contract_no = d.contract_no
left join rounds as r on c.contract_no = r.contract_no
left join fills as f on c.contract_no = f.contract_no
left join replay_settlement as s on c.contract_no = s.contract_no
left join replay_balance as b on c.contract_no = b.contract_no
left join maker_before as m on c.contract_no = m.contract_no
left join others as o on c.contract_no = o.contract_no
left join closed as x on c.contract_no = x.contract_no
left join replay_maker_leg as g on c.contract_no = g.contract_no;

create or replace temp table stress_outcome as
select
    venue,
    contract,
    tier,
    log_move as shock_only_log_move,
    trough as trough_log_move,
    trough - log_move as overshoot,
    trough / nullif(log_move, 0) as amplification,
    0::double as seconds_to_trough,
    rounds as rounds_max,
    branching as branching_ratio_max,
    depth_usd as depth_min,
    long_micro / 1e6 as liquidated_long_usd,
    short_micro / 1e6 as liquidated_short_usd,
    accounts as liquidated_accounts,
    (long_micro + short_micro) / 1e6 as book_usd,
    0::double as backstop_usd,
    0::double as unfilled_usd,
    deficit_micro / 1e6 as deficit_usd,
    fund_paid_micro / 1e6 as fund_paid_usd,
    0::double as adl_usd,
    0::bigint as adl_accounts,
    0::double as adl_haircut_usd,
    socialised_micro / 1e6 as socialised_usd,
    open_interest_before_micro / 1e6 as open_interest_before_usd,
    open_interest_after_micro / 1e6 as open_interest_after_usd,
    balanced_micro / 1e6 as balanced_usd
from replay_after
order by venue, contract;
