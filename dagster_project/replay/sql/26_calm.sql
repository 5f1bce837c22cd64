-- Grain of replay_calm: one row: whether nobody is in breach before the shock. While nothing moves, nothing may happen then.
create or replace temp table replay_calm as
select not exists (
    select 1 from replay_margin where kind = 'trader' and legs > 0 and equity <= maintenance
) as is_calm;
