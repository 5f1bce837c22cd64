-- Grain: one row per venue, contract, step and account that is deleveraged. Empty: adl policy `none`.
-- Units: quantity in base units, price and haircut in USD.
create or replace temp table stress_adl (
    venue varchar,
    contract varchar,
    step integer,
    account_id varchar,
    quantity double,
    price double,
    haircut_usd double,
    score double,
    rank bigint,
    policy varchar
);
