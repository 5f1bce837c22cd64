-- Grain of replay_hedge: one row per owner and base asset with a long and a short at the start. delta in micro-USD of reference
-- notional, signed; naked: delta now less delta at the start.
create or replace temp table replay_hedge as
select
    u.owner_id,
    c.asset_no,
    sum(sign(l.lots) * reference_notional(l.lots, c.lot_size, c.reference_price))::hugeint as delta_before,
    0::hugeint as naked_micro,
    null::double as due_seconds,
    0::double as naked_micro_seconds,
    0::double as naked_pnl_usd
from replay_leg as l
inner join replay_unit as u on l.unit_no = u.unit_no
inner join replay_contract as c on l.contract_no = c.contract_no
where u.kind = 'trader'
group by u.owner_id, c.asset_no
having min(sign(l.lots)) = -1 and max(sign(l.lots)) = 1;

-- Grain of replay_leg_start: legs as they are when the clock starts, for the owners' and contracts' results.
create or replace temp table replay_leg_start as
select unit_no, contract_no, lots from replay_leg;
