-- The end of a round for the pools: what is still owed is socialised, and the round's account is written to replay_pool_flow.
-- replay_purse has to be there as it was before deleveraging; wallet as it is now is that, plus haircuts and what was realised.
insert into replay_pool_flow
with h as (select pool_no, sum(haircut) as haircut from replay_collected group by pool_no),

r as (
    select
        pool_no,
        sum(realised) filter (where not is_netted) as realised,
        sum(realised) filter (where is_netted) as netted
    from replay_realised
    group by pool_no
),

now as (
    select
        p.pool_no,
        p.fund_no,
        p.deficit,
        p.wallet,
        coalesce(h.haircut, 0)::bigint as haircut,
        coalesce(r.realised, 0)::bigint as realised,
        coalesce(r.netted, 0)::bigint as netted,
        -- what its trigger looks at, after the haircuts: a called inventory by its equity, whatever of it is left, else the wallet
        if(s.is_inventory_called, p.equity, p.wallet + coalesce(r.realised, 0)) + coalesce(h.haircut, 0) as left_over
    from replay_purse as p
    left join replay_shortage as s on p.pool_no = s.pool_no
    left join
        h
        on p.pool_no = h.pool_no
    left join r on p.pool_no = r.pool_no
)

select
    k.step,
    k.round,
    n.pool_no,
    n.deficit,
    n.haircut,
    n.realised,
    n.netted,
    greatest(0, -(n.wallet + n.haircut + n.realised))::bigint as socialised,
    greatest(0, least(n.haircut, n.left_over))::bigint as overshoot
from now as n
cross join replay_clock as k
where n.deficit != 0 or n.haircut != 0 or n.realised != 0 or n.netted != 0 or n.wallet < 0;

-- haircuts beyond what was missing, by contract: by what was taken there, what is left to the first
-- @when replay_collected
insert into replay_overshoot
with taken as (
    select pool_no, contract_no, sum(haircut)::hugeint as haircut
    from replay_collected
    group by pool_no, contract_no
),

shared as (
    select
        k.step,
        k.round,
        t.contract_no,
        f.overshoot,
        f.overshoot * t.haircut // sum(t.haircut) over pool as share,
        row_number() over (partition by t.pool_no order by t.contract_no) as place,
        t.pool_no
    from taken as t
    cross join replay_clock as k
    inner join replay_pool_flow as f on t.pool_no = f.pool_no and k.step = f.step and k.round = f.round
    where f.overshoot > 0
    window pool as (partition by t.pool_no)
)

select
    step,
    round,
    contract_no,
    (share + if(place = 1, overshoot - sum(share) over (partition by pool_no), 0))::bigint
from shared;

-- what deleveraging may not do
-- @when replay_pool_flow or replay_slice
insert into replay_round_check
select
    k.step,
    k.round,
    -- i3: more was socialised than the rounding of the slices, although every call was served; a pool that owes nothing to anybody
    -- and is below 0 by what netting realised has no lots to call
    (
        select count(*)
        from replay_pool_flow as f
        inner join replay_pool as p on f.pool_no = p.pool_no
        inner join scenario_venue as s on p.venue = s.venue
        where f.step = k.step and f.round = k.round
            and f.socialised > (select count(*) + 1 + coalesce(sum(l.coin_unit_micro), 0) from replay_slice as l)
            and s.adl_policy != 'none' and s.adl_price = 'bankruptcy'
            and (f.deficit > 0 or exists (select 1 from replay_call as w where w.pool_no = f.pool_no))
            and not exists (
                select 1
                from replay_call as w
                left join (
                    select contract_no, side, any_value(closed) as closed from replay_slice group by contract_no, side
                ) as c on w.contract_no = c.contract_no and w.side = c.side
                where w.pool_no = f.pool_no and w.short > 0 and (w.wanted = 0 or coalesce(c.closed, 0) < (
                        select sum(x.wanted)
                        from replay_call as x
                        where x.contract_no = w.contract_no and x.side = w.side
                    ))
            )
    ) as i3_needless,
    (
        select count(*)
        from replay_slice as l
        where abs(l.lots) > l.held or sign(l.lots) != -l.side or l.haircut < 0 or l.gain < -3 - 2 * l.coin_unit_micro
    ) + (
        select count(*)
        from (
            select w.contract_no, w.side, sum(w.wanted) as wanted, any_value(c.closed) as closed
            from replay_call as w
            inner join (
                select contract_no, side, sum(abs(lots)) as closed from replay_slice group by contract_no, side
            ) as c on w.contract_no = c.contract_no and w.side = c.side
            group by w.contract_no, w.side
        ) as served
        where served.closed > served.wanted
    ) as i4_slices,
    0 as i5_fills
from replay_clock as k;

-- @when replay_pool_flow
insert into replay_delta_balance
select u.unit_no, 0, f.socialised
from replay_pool_flow as f
inner join replay_clock as k on f.step = k.step and f.round = k.round
inner join replay_unit as u on u.kind = 'fund' and f.pool_no = u.pool_no
where f.socialised > 0;
