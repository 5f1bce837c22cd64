-- What the book may not do: close more than there is, or the other side.
-- @when replay_fill
insert into replay_round_check
select
    k.step,
    k.round,
    0 as i3_needless,
    0 as i4_slices,
    (select count(*) from replay_fill as f where f.got > abs(f.held) or sign(f.held) != f.side) as i5_fills
from replay_clock as k;
