-- Grain: one row per account and contract with a position that is not flat.
-- Units: threshold_tick is the distance from the index at t0 to the liquidation price, in ticks of 1e-12 log units,
-- counted in the direction that harms the position (down for a long, up for a short); <= 0 is a breach before any move;
-- null is a position that no price liquidates, or one that is never margin-checked (a maker).
-- Rounding to a tick makes equal thresholds equal whatever the size of the position, so ties fall together.
create or replace temp table replay_position as
select
    p.* exclude (reference_real), -- noqa: RF02
    case
        when not p.is_checked then null
        -- no debt against the long: it survives at price 0; a short with bound <= 0 is bankrupt at every price
        when -p.side * p.cash_micro <= 0 then case when p.side = 1 then null else -1000000000000000 end
        else round(
                greatest(
                    -1e15,
                    least(
                        1e15,
                        -p.side * ln(
                            (-p.side * p.cash_micro::double - p.side * t.amount_micro)
                            / (1 - p.side * t.rate) / p.reference_real
                        ) * 1e12
                    )
                )
            )
    end::bigint as threshold_tick
from replay_position_input as p
left join replay_tier as t
    on p.contract_no = t.contract_no
    and p.side = t.side
    and -p.side * p.cash_micro::double >= t.bound_from
    and -p.side * p.cash_micro::double < t.bound_to;
