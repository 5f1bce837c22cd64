-- What a round moves, gathered by its phases and applied by 62_apply.sql: lots and basis by leg, amounts by unit and asset
-- (asset 0 is cash in micro-USD, others in units of 1e-8 coins), what is owed to the pools, and what they realise.
create or replace temp table replay_delta_leg (unit_no integer, contract_no integer, lots bigint, basis bigint);
create or replace temp table replay_delta_balance (unit_no integer, asset_no integer, amount bigint);
create or replace temp table replay_deficit (
    pool_no integer, unit_no integer, contract_no integer, lots bigint, deficit bigint, is_held boolean
);
create or replace temp table replay_realised (pool_no integer, realised bigint, is_netted boolean);
