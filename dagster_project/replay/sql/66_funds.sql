-- Grain of replay_wanted: one row per fund.
create or replace temp table replay_wanted as
select unit_no from replay_unit where kind = 'fund';
