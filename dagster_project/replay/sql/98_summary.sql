-- Grain: one row per run.
-- Units: USD at the t0 index; log moves in natural log. Troughs are the largest move away from t0 in a tier.
create or replace temp table stress_summary as
with tiers as (
    select
        arg_max(trough_log_move, abs(trough_log_move)) filter (where tier = 'major') as major,
        arg_max(trough_log_move, abs(trough_log_move)) filter (where tier = 'mid') as mid,
        arg_max(trough_log_move, abs(trough_log_move)) filter (where tier = 'tail') as tail
    from stress_outcome
),

-- what those are left with who meant to be neutral
hedges as (
    select
        count(distinct owner_id) as hedged_owners,
        count(*) filter (where leg_lost_to = 'liquidation') as hedges_lost_to_liquidation,
        count(*) filter (where leg_lost_to = 'adl') as hedges_lost_to_adl,
        coalesce(sum(abs(delta_after_usd - delta_before_usd) order by owner_id, base_asset), 0) as naked_after_usd,
        coalesce(sum(naked_usd_seconds order by owner_id, base_asset), 0) as naked_usd_seconds,
        coalesce(sum(naked_pnl_usd order by owner_id, base_asset), 0) as naked_pnl_usd
    from stress_owner
    where cohort = 'hedged'
)

select
    count(*) as contracts,
    (
        select count(*)
        from replay_leg_start as l
        inner join replay_unit as u on l.unit_no = u.unit_no and u.kind = 'trader'
    ) as positions,
    sum(o.liquidated_long_usd + o.liquidated_short_usd) as liquidated_usd,
    sum(o.liquidated_long_usd) as liquidated_long_usd,
    sum(o.liquidated_short_usd) as liquidated_short_usd,
    (
        select count(*)
        from (
            select distinct v.unit_no, v.contract_no
            from replay_event as v
            where v.kind in ('book', 'backstop', 'unfilled')
        ) as closed
    ) as liquidated_positions,
    (select count(distinct f.account_id) from replay_forced as f) as liquidated_accounts,
    (select coalesce(sum(f.deficit), 0) / 1e6 from replay_pool_flow as f) as deficit_usd,
    (
        select coalesce(sum(f.deficit + greatest(0, -f.realised) - f.haircut - f.socialised), 0) / 1e6
        from replay_pool_flow as f
    ) as fund_paid_usd,
    sum(o.adl_usd) as adl_usd,
    (
        select count(distinct u.account_id)
        from replay_event as v
        inner join replay_unit as u on v.unit_no = u.unit_no
        where v.kind = 'adl'
    ) as adl_accounts,
    (select coalesce(sum(f.haircut), 0) / 1e6 from replay_pool_flow as f) as adl_haircut_usd,
    sum(o.adl_overshoot_usd) as adl_overshoot_usd,
    (select coalesce(sum(f.overshoot), 0) / 1e6 from replay_pool_flow as f) as adl_haircut_overshoot_usd,
    sum(o.adl_inversions)::bigint as adl_inversions,
    sum(o.adl_inverted_usd) as adl_inverted_usd,
    (select coalesce(sum(f.socialised), 0) / 1e6 from replay_pool_flow as f) as socialised_usd,
    any_value(h.hedged_owners) as hedged_owners,
    any_value(h.hedges_lost_to_liquidation) as hedges_lost_to_liquidation,
    any_value(h.hedges_lost_to_adl) as hedges_lost_to_adl,
    any_value(h.naked_after_usd) as naked_after_usd,
    any_value(h.naked_usd_seconds) as naked_usd_seconds,
    any_value(h.naked_pnl_usd) as naked_pnl_usd,
    (select coalesce(sum(v.fee), 0) / 1e6 from replay_event as v) as fees_usd,
    (select sum(p.balance_micro) / 1e6 from replay_pool as p) as fund_before_usd,
    (select sum(p.wallet) / 1e6 from replay_purse as p) as fund_after_usd,
    any_value(t.major) as trough_major_log_move,
    any_value(t.mid) as trough_mid_log_move,
    any_value(t.tail) as trough_tail_log_move,
    max(o.rounds_max) as rounds_max,
    max(o.branching_ratio_max) as branching_ratio_max,
    sum(o.open_interest_before_usd) as open_interest_before_usd,
    sum(o.open_interest_after_usd) as open_interest_after_usd,
    sum(abs(o.balanced_usd)) as balanced_usd,
    (select max(r.radius) from replay_radius as r) as spectral_radius,
    (select avg(b.is_met::integer) from stress_score as b) as score
from stress_outcome as o, tiers as t, hedges as h;
