-- What a hedge that lost a leg carried over the step that ends now: time, and gain or loss of the naked delta with the index.
update replay_hedge as h set
    naked_micro_seconds = h.naked_micro_seconds + abs(h.naked_micro) * s.step_seconds,
    naked_pnl_usd = h.naked_pnl_usd + h.naked_micro * (exp(m.now / 1e12) - exp(m.before / 1e12)) / 1e6
from (
    select c.asset_no, arg_min(b.move, c.contract_no) as now, arg_min(t.move_before, c.contract_no) as before
    from replay_contract as c
    inner join replay_book as b on c.contract_no = b.contract_no
    inner join replay_step_start as t on c.contract_no = t.contract_no
    group by c.asset_no
) as m, scenario_run as s
where h.asset_no = m.asset_no and h.naked_micro != 0;
