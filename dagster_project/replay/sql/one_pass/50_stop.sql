-- The whole cascade of an isolated one-sided book as one window pass: where it stops.
-- Grain: one row per driven contract. Units: stop_tick in ticks of 1e-12 log units; every threshold below it falls, the
-- greatest BIGINT where all do.
-- The rule: order by threshold, sum the notional before each (equal thresholds are one atom), and stop at the first that
-- shock plus displacement of everything before it does not reach. All sums are integers, so no thread count and no row
-- order can change them.
-- Sorting millions of thresholds for that is waste, so they are first summed exactly in buckets of 1e-4 log units:
--   what precedes a bucket reaches its last tick        -> the whole bucket falls, whatever its inside
--   what precedes a bucket does not reach its first tick -> the cascade ends there at the latest
--   otherwise the bucket is open, and only its own thresholds are sorted and judged one by one.
create or replace temp table replay_stop as
with placed as (
    select
        d.contract_no,
        p.threshold_tick,
        p.reference_micro,
        -- thresholds are at least -1e15, so the division rounds down
        (p.threshold_tick + 1000000000000000) // 100000000 as bucket
    from replay_position as p
    inner join replay_driven as d
        on p.contract_no = d.contract_no
        and p.side = d.side
        and p.threshold_tick <= d.reach_limit_tick
),

buckets as (
    select
        contract_no,
        bucket,
        sum(reference_micro) as notional_micro
    from placed
    group by contract_no, bucket
),

running as (
    select
        contract_no,
        bucket,
        bucket * 100000000 - 1000000000000000 as first_tick,
        sum(notional_micro) over (partition by contract_no order by bucket rows unbounded preceding)
        - notional_micro as before_micro
    from buckets
),

judged as (
    select
        r.*,
        reach_tick(d.law, d.shock_tick, d.depth_micro, d.coefficient, r.before_micro) as reach
    from running as r
    inner join replay_driven as d on r.contract_no = d.contract_no
),

ends as (
    select
        contract_no,
        min(first_tick) as stop_tick
    from judged
    where reach < first_tick
    group by contract_no
),

open_buckets as (
    select j.contract_no, j.bucket, j.before_micro
    from judged as j
    left join ends as e on j.contract_no = e.contract_no
    where j.reach >= j.first_tick
        and j.reach < j.first_tick + 99999999
        and j.first_tick < coalesce(e.stop_tick, 9223372036854775807)
),

open_atoms as (
    select
        o.contract_no,
        o.bucket,
        o.before_micro,
        p.threshold_tick,
        sum(p.reference_micro) as notional_micro
    from placed as p
    inner join open_buckets as o on p.contract_no = o.contract_no and p.bucket = o.bucket
    group by o.contract_no, o.bucket, o.before_micro, p.threshold_tick
),

open_running as (
    select
        contract_no,
        threshold_tick,
        before_micro + sum(notional_micro) over (
            partition by contract_no, bucket order by threshold_tick rows unbounded preceding
        ) - notional_micro as before_micro
    from open_atoms
),

open_ends as (
    select
        r.contract_no,
        min(r.threshold_tick) as stop_tick
    from open_running as r
    inner join replay_driven as d on r.contract_no = d.contract_no
    where reach_tick(d.law, d.shock_tick, d.depth_micro, d.coefficient, r.before_micro) < r.threshold_tick
    group by r.contract_no
)

select
    d.contract_no,
    least(
        coalesce(e.stop_tick, 9223372036854775807), coalesce(o.stop_tick, 9223372036854775807)
    ) as stop_tick
from replay_driven as d
left join ends as e on d.contract_no = e.contract_no
left join open_ends as o on d.contract_no = o.contract_no;
