-- Grain: one row per venue and contract of the book.
-- Units: USD (notional at the t0 index, so open interest changes only by quantity closed), log moves in natural log.
-- The trough is the largest move of the book price away from t0 at the end of a step; overshoot = trough - shock at that time;
-- amplification = trough / shock, null without shock.
create or replace temp table replay_forced as
select
    v.contract_no,
    v.kind,
    u.account_id,
    v.step,
    v.round,
    v.lots,
    v.reference_micro
from replay_event as v
inner join replay_unit as u on v.unit_no = u.unit_no
where v.kind in ('book', 'backstop', 'unfilled');

create or replace temp table stress_outcome as
with trough as (
    select
        contract_no,
        arg_max(move - y, (abs(move - y)::bigint, -step)) as trough,
        arg_max(move, (abs(move - y)::bigint, -step)) as shock,
        arg_max(seconds, (abs(move - y)::bigint, -step)) as seconds,
        min(depth_micro) as depth_micro,
        arg_max(open_interest_micro, step) as open_interest_micro
    from replay_path
    group by contract_no
),

forced as (
    select
        contract_no,
        count(distinct account_id) as accounts,
        sum(reference_micro) filter (where lots > 0) as long_micro,
        sum(reference_micro) filter (where lots < 0) as short_micro,
        sum(reference_micro) filter (where kind = 'book') as book_micro,
        sum(reference_micro) filter (where kind = 'backstop') as backstop_micro,
        sum(reference_micro) filter (where kind = 'unfilled') as unfilled_micro
    from replay_forced
    group by contract_no
),

by_round as (
    select contract_no, step, round, sum(reference_micro) as reference_micro
    from replay_forced
    group by contract_no, step, round
),

growth as (
    select
        contract_no,
        step,
        round,
        reference_micro / lag(reference_micro) over (partition by contract_no, step order by round) as growth
    from by_round
),

rounds as (
    select contract_no, max(rounds) as rounds, max(branching) as branching
    from (
        select contract_no, step, count(*) as rounds, max(growth) as branching from growth group by contract_no, step
    ) as steps
    group by contract_no
),

-- A pool covers deficits of several contracts in one round: what it paid and what was socialised are shared by deficit, and summed
-- over decimals: a sum of doubles depends on the order in which threads bring them.
owed as (
    select
        v.contract_no,
        v.step,
        v.round,
        u.pool_no,
        sum(v.deficit) as deficit
    from replay_event as v
    inner join replay_unit as u on v.unit_no = u.unit_no
    where v.deficit > 0
    group by v.contract_no, v.step, v.round, u.pool_no
),

covered as (
    select
        o.contract_no,
        sum(o.deficit) as deficit,
        sum(
            (f.socialised * (o.deficit / (f.deficit + greatest(0, -f.realised))))::decimal(38, 6)
        )::double as socialised,
        sum(
            (f.haircut * (o.deficit / (f.deficit + greatest(0, -f.realised))))::decimal(38, 6)
        )::double as haircut
    from owed as o
    inner join replay_pool_flow as f on o.pool_no = f.pool_no and o.step = f.step and o.round = f.round
    group by o.contract_no
),

adl as (
    select
        v.contract_no,
        sum(v.reference_micro) as adl_micro,
        count(distinct u.account_id) as accounts,
        sum(v.haircut) as haircut
    from replay_event as v
    inner join replay_unit as u on v.unit_no = u.unit_no
    where v.kind = 'adl'
    group by v.contract_no
),

beyond as (
    select
        contract_no,
        sum(beyond_micro) as beyond_micro,
        sum(inversions)::bigint as inversions,
        sum(inverted) as inverted
    from replay_adl_flow
    group by contract_no
),

overshoot as (
    select contract_no, sum(overshoot) as haircut from replay_overshoot group by contract_no
),

before as (
    select contract_no, sum(greatest(lots, 0))::bigint as lots from replay_leg_start group by contract_no
)

select
    c.venue,
    c.contract,
    c.tier,
    t.shock / 1e12 as shock_only_log_move,
    t.trough / 1e12 as trough_log_move,
    (t.trough - t.shock) / 1e12 as overshoot,
    t.trough / nullif(t.shock, 0) as amplification,
    t.seconds as seconds_to_trough,
    coalesce(r.rounds, 0) as rounds_max,
    coalesce(r.branching, 0::double) as branching_ratio_max,
    t.depth_micro / 1e6 as depth_min,
    coalesce(f.long_micro, 0) / 1e6 as liquidated_long_usd,
    coalesce(f.short_micro, 0) / 1e6 as liquidated_short_usd,
    coalesce(f.accounts, 0) as liquidated_accounts,
    coalesce(f.book_micro, 0) / 1e6 as book_usd,
    coalesce(f.backstop_micro, 0) / 1e6 as backstop_usd,
    coalesce(f.unfilled_micro, 0) / 1e6 as unfilled_usd,
    coalesce(w.deficit, 0) / 1e6 as deficit_usd,
    (coalesce(w.deficit, 0) - coalesce(w.socialised, 0) - coalesce(w.haircut, 0)) / 1e6 as fund_paid_usd,
    coalesce(a.adl_micro, 0) / 1e6 as adl_usd,
    coalesce(a.accounts, 0) as adl_accounts,
    coalesce(a.haircut, 0) / 1e6 as adl_haircut_usd,
    coalesce(e.beyond_micro, 0) / 1e6 as adl_overshoot_usd,
    coalesce(h.haircut, 0) / 1e6 as adl_haircut_overshoot_usd,
    coalesce(e.inversions, 0) as adl_inversions,
    coalesce(e.inverted, 0) / 1e6 as adl_inverted_usd,
    coalesce(w.socialised, 0) / 1e6 as socialised_usd,
    coalesce(reference_notional(b.lots, c.lot_size, c.reference_price), 0) / 1e6 as open_interest_before_usd,
    coalesce(t.open_interest_micro, 0) / 1e6 as open_interest_after_usd,
    coalesce(n.balanced_micro, 0) / 1e6 as balanced_usd
from replay_contract as c
inner join trough as t on c.contract_no = t.contract_no
left join forced as f on c.contract_no = f.contract_no
left join rounds as r on c.contract_no = r.contract_no
left join covered as w on c.contract_no = w.contract_no
left join adl as a on c.contract_no = a.contract_no
left join beyond as e on c.contract_no = e.contract_no
left join overshoot as h on c.contract_no = h.contract_no
left join before as b on c.contract_no = b.contract_no
left join replay_balanced as n on c.contract_no = n.contract_no
order by c.venue, c.contract;
