-- Calm ends with the first move of an index or of collateral.
update
    replay_calm set is_calm = is_calm
and not exists (select 1 from replay_book where move != 0)
and not exists (select 1 from replay_coin_price where price != price_at_start);
