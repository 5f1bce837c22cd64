-- What a leverage cap cuts before step 0: of each margined unit above it the lots that it may not hold, closed against the
-- counterparty at the index. Fills replay_delta_* and replay_event; the margin of 50_margin.sql has to be there.
create or replace temp table replay_cut as
with gross as (
    select
        v.unit_no,
        sum(reference_notional(v.lots, c.lot_size, c.reference_price)) as reference_micro
    from replay_leg_value as v
    inner join replay_contract as c on v.contract_no = c.contract_no
    group by v.unit_no
)

select
    l.unit_no,
    l.contract_no,
    l.lots as held,
    l.basis,
    l.lots - case
        when m.equity <= 0 then 0
        else trunc(l.lots * (s.leverage_cap * m.equity / g.reference_micro))::bigint
    end as lots,
    place.maker_no
from replay_leg as l
inner join replay_margin as m on l.unit_no = m.unit_no
inner join gross as g on l.unit_no = g.unit_no
inner join replay_unit as u on l.unit_no = u.unit_no
inner join scenario_venue as s on u.venue = s.venue
inner join replay_place as place on u.venue = place.venue
where u.kind = 'trader' and s.leverage_cap is not null and g.reference_micro > s.leverage_cap * m.equity;

delete from replay_cut where lots = 0;

create or replace temp table replay_cut_flow as
select
    k.*,
    c.is_inverse,
    c.asset_no,
    native_value(c.is_inverse, k.lots, c.lot_size, c.contract_value, c.index_price) as native,
    basis_cut(k.basis, abs(k.lots), abs(k.held)) as cut
from replay_cut as k
inner join replay_contract as c on k.contract_no = c.contract_no;

insert into replay_delta_leg
select unit_no, contract_no, -lots, -cut from replay_cut_flow
union all
select maker_no, contract_no, lots, 0 from replay_cut_flow;

insert into replay_delta_balance
select unit_no, if(is_inverse, asset_no, 0), native from replay_cut_flow
union all
select maker_no, if(is_inverse, asset_no, 0), -native from replay_cut_flow;

insert into replay_event by name
select
    -1 as step,
    0 as round,
    'leverage_cap' as kind,
    f.unit_no,
    f.contract_no,
    f.lots,
    reference_notional(f.lots, c.lot_size, c.reference_price) as reference_micro,
    c.index_price as price,
    f.native
from replay_cut_flow as f
inner join replay_contract as c on f.contract_no = c.contract_no;
