-- What a round moves, gathered by its phases and applied by 62_apply.sql: lots and basis by leg, amounts by unit and asset
-- (asset 0 is cash in micro-USD, others in units of 1e-8 coins), and what leaves to or comes from the outside.
create or replace temp table replay_delta_leg (unit_no integer, contract_no integer, lots bigint, basis bigint);
create or replace temp table replay_delta_balance (unit_no integer, asset_no integer, amount bigint);
create or replace temp table replay_deficit (
    pool_no integer, unit_no integer, contract_no integer, lots bigint, deficit bigint, is_held boolean
);
create or replace temp table replay_realised (pool_no integer, realised bigint, is_netted boolean);
create or replace temp table replay_fill (
    unit_no integer, contract_no integer, side tinyint, is_forced boolean, asked bigint, got bigint, held bigint,
    reference_micro bigint
);
create or replace temp table replay_taken (unit_no integer, stage varchar);
create or replace temp table replay_slice (
    contract_no integer,
    side tinyint,
    unit_no integer,
    lots bigint,
    held bigint,
    closed bigint,
    haircut bigint,
    gain bigint,
    coin_unit_micro double
);
create or replace temp table replay_collected (pool_no integer, contract_no integer, haircut bigint);
create or replace temp table replay_call (
    pool_no integer, contract_no integer, side tinyint, wanted bigint, short bigint
);
create or replace temp table replay_breach (unit_no integer, stage varchar);
create or replace temp table replay_order (
    unit_no integer, contract_no integer, side tinyint, lots bigint, is_forced boolean, is_partial boolean
);
