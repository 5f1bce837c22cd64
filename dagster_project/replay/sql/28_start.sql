-- What a run remembers: events in order, flows of the pools by round, checks by round, what left to or came from the outside, and
-- totals at t0 to compare with. Money in micro-USD, coins in 1e-8.
create or replace temp table replay_event (
    step integer,
    round integer,
    kind varchar,
    unit_no integer,
    contract_no integer,
    lots bigint,
    reference_micro bigint default 0,
    price double,
    native bigint default 0,
    usd bigint default 0,
    fee bigint default 0,
    haircut bigint default 0,
    deficit bigint default 0,
    gain bigint default 0,
    score double,
    rank bigint,
    policy varchar
);
create or replace temp table replay_pool_flow (
    step integer,
    round integer,
    pool_no integer,
    deficit bigint,
    haircut bigint,
    realised bigint,
    netted bigint,
    socialised bigint,
    overshoot bigint
);
-- what deleveraging did beyond its purpose, by contract and side of the source, and its haircuts beyond what was missing,
-- by contract
create or replace temp table replay_adl_flow (
    step integer,
    round integer,
    contract_no integer,
    side tinyint,
    beyond_micro bigint,
    inversions bigint,
    inverted bigint
);
create or replace temp table replay_overshoot (step integer, round integer, contract_no integer, overshoot bigint);
create or replace temp table replay_round_check (
    step integer, round integer, i3_needless bigint, i4_slices bigint, i5_fills bigint
);
create or replace temp table replay_outside (asset_no integer, amount bigint);
create or replace temp table replay_peak as
select pool_no, balance_micro::bigint as peak, adl_trigger from replay_pool;
create or replace temp table replay_transit (
    source_no integer, target_no integer, contract_no integer, amount bigint, sent_seconds double, due_seconds double,
    arrived_seconds double, is_late boolean
);
create or replace temp table replay_total_before as
select asset_no, sum(amount)::hugeint as amount
from (
    select 0 as asset_no, cash::hugeint as amount from replay_unit
    union all
    select asset_no, amount from replay_coin
) as parts
group by asset_no;
create or replace temp table replay_mark (contract_no integer, asset_no integer, y bigint, z bigint);
create or replace temp table replay_path (
    step integer,
    seconds double,
    contract_no integer,
    move bigint,
    y bigint,
    mark_tick bigint,
    index_price double,
    book_price double,
    mark_price double, depth_micro hugeint, open_interest_micro hugeint, rounds integer
);
create or replace temp table replay_fund_path (
    step integer, pool_no integer, wallet bigint, equity bigint, inventory_micro hugeint, maintenance bigint
);
create or replace temp table replay_ledger (
    step integer,
    i1_lots bigint,
    i2_cash_micro_usd bigint,
    i2_coin_units bigint,
    i3_deficit_micro_usd bigint,
    i3_needless bigint,
    i4_slices bigint, i5_fills bigint, i6_fills bigint
);
