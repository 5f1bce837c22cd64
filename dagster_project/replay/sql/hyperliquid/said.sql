-- One row: what became of the records. A margin unit in breach has equity at or below its maintenance at the book's prices.
-- Needs hl_record, hl_account, hl_held, hl_contract, hl_tier.
with part as (
    select
        h.account_id,
        h.address,
        if(h.margin_mode = 'isolated', h.contract, '') as isolated_contract,
        any_value(u.balance) + sum(h.quantity * (c.index_price - h.entry_price)) as equity_usd,
        sum(abs(h.quantity) * c.index_price * t.maintenance_rate - t.maintenance_amount) as maintenance_usd
    from hl_held as h
    inner join hl_unit as u
        on h.account_id = u.account_id and (u.margin_mode = 'cross' or h.contract = u.contract)
    inner join hl_contract as c on h.contract = c.contract
    inner join hl_tier as t
        on h.contract = t.contract
        and abs(h.quantity) * c.index_price >= t.notional_floor
        and (t.notional_cap is null or abs(h.quantity) * c.index_price < t.notional_cap)
    group by all
),

-- times of this century; another is no time of a snapshot
stamped as (
    select time_ms from hl_record where reason is null and time_ms between 946684800000 and 4102444800000
)

select
    (select count(*) from hl_account) as users,
    (select count(*) from hl_record as r where r.reason is null and r.positions = 0) as idle,
    (select count(*) from hl_record) as records,
    (select count(distinct p.address) from part as p where p.equity_usd <= p.maintenance_usd) as breached,
    (select count(*) from hl_contract as c where c.is_depth_assumed) as depth_assumed,
    (select min(s.time_ms) from stamped as s) as first_ms,
    (select max(s.time_ms) from stamped as s) as last_ms;
