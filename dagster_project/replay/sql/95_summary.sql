-- Grain: one row per run.
-- Units: USD at the t0 index; log moves in natural log. Troughs are the largest move away from t0 in a tier.
-- spectral_radius needs the density of thresholds over venues and score an event: null here.
create or replace temp table stress_summary as
select
    count(*) as contracts,
    (select count(*) from replay_position) as positions,
    sum(long_micro + short_micro) / 1e6 as liquidated_usd,
    sum(long_micro) / 1e6 as liquidated_long_usd,
    sum(short_micro) / 1e6 as liquidated_short_usd,
    sum(accounts)::bigint as liquidated_positions,
    (select count(distinct f.account_id) from replay_fill as f) as liquidated_accounts,
    sum(deficit_micro) / 1e6 as deficit_usd,
    sum(fund_paid_micro) / 1e6 as fund_paid_usd,
    0::double as adl_usd,
    0::bigint as adl_accounts,
    sum(socialised_micro) / 1e6 as socialised_usd,
    (select sum(p.received_micro) / 1e6 from replay_pool_after as p) as fees_usd,
    (select sum(p.balance_micro) / 1e6 from replay_pool_before as p) as fund_before_usd,
    (select sum(p.balance_micro) / 1e6 from replay_pool_after as p) as fund_after_usd,
    if(
        max(trough) filter (where tier = 'major') > -min(trough) filter (where tier = 'major'),
        max(trough) filter (where tier = 'major'),
        min(trough) filter (where tier = 'major')
    ) as trough_major_log_move,
    if(
        max(trough) filter (where tier = 'mid') > -min(trough) filter (where tier = 'mid'),
        max(trough) filter (where tier = 'mid'),
        min(trough) filter (where tier = 'mid')
    ) as trough_mid_log_move,
    if(
        max(trough) filter (where tier = 'tail') > -min(trough) filter (where tier = 'tail'),
        max(trough) filter (where tier = 'tail'),
        min(trough) filter (where tier = 'tail')
    ) as trough_tail_log_move,
    max(rounds) as rounds_max,
    max(branching) as branching_ratio_max,
    sum(open_interest_before_micro) / 1e6 as open_interest_before_usd,
    sum(open_interest_after_micro) / 1e6 as open_interest_after_usd,
    sum(abs(balanced_micro)) / 1e6 as balanced_usd,
    null::double as spectral_radius,
    null::double as score
from replay_after;
