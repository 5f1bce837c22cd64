-- Circuit breakers, at the first marks of a step: a contract whose mark moved too far over the window is halted from now on.
update replay_book as b set halted_until = k.seconds + s.breaker_halt_seconds
from replay_mark as m, replay_contract as c, scenario_venue as s, scenario_run as r, replay_clock as k
where b.contract_no = m.contract_no
    and b.contract_no = c.contract_no
    and c.venue = s.venue
    and s.breaker_move is not null
    and k.seconds >= b.halted_until
    and abs(m.mark_tick - coalesce((
        select p.mark_tick from replay_path as p
        where p.contract_no = m.contract_no
            and p.step = k.step - round(s.breaker_window_seconds / r.step_seconds)::integer
    ), 0)) >= round(s.breaker_move * 1e12);
