-- The linter has no rule for the indentation of a macro's body:
-- noqa: disable=LT02

-- Displacement of a price by forced flow, as the reach of a cascade.
--
-- reach_tick(...) = shock plus displacement, in ticks of 1e-12 log units, after `cumulative_micro` micro-USD of
-- reference notional (quantity times the index at t0) went to the book. A position whose threshold tick is at most
-- the reach is in breach (a breach is E <= MM, so equality counts).
--   linear: y = V / D            exact in integers: floor(V * 1e12 / D), V and D in micro-USD
--   sqrt:   y = k * sqrt(V)      V in USD; a function of one exact integer, so it cannot depend on row order
create or replace temp macro reach_tick(law, shock_tick, depth_micro, coefficient, cumulative_micro) as
    case law
        when 'linear'
            then shock_tick + (cumulative_micro::hugeint * 1000000000000::hugeint) // depth_micro
        else shock_tick + floor(coefficient * sqrt(cumulative_micro::double / 1e6) * 1e12)::hugeint
    end;

-- The same displacement in log units, not rounded to ticks; prices are made from this one.
create or replace temp macro displacement(law, depth_micro, coefficient, cumulative_micro) as
    case law
        when 'linear' then cumulative_micro::double / depth_micro::double
        else coefficient * sqrt(cumulative_micro::double / 1e6)
    end;

-- h * cosh(h) - sinh(h), by its series where the difference would cancel.
create or replace temp macro cosh_excess(h) as
    case
        when h < 0.1 then h * h * h / 3 * (1 + h * h / 10 * (1 + h * h / 28 * (1 + h * h / 54)))
        else h * cosh(h) - sinh(h)
    end;

-- Exact average of exp(-side * y) over the notional executed while the displacement runs from y0 to y1 (y1 > y0 >= 0),
-- written with the middle m = (y0 + y1) / 2 and the half width h = (y1 - y0) / 2 because the textbook difference of
-- two exponentials loses all digits for a small fill.
--   linear: notional is uniform in y:      exp(-side m) * sinh(h) / h
--   sqrt:   notional grows with y squared: exp(-side m) * (sinh(h) / h - side * (h cosh h - sinh h) / (m h))
create or replace temp macro average_factor(law, side, y0, y1) as
    exp(-side * (y0 + y1) / 2)
    * case
        when y1 <= y0 then 1
        when law = 'linear' then sinh((y1 - y0) / 2) / ((y1 - y0) / 2)
        else sinh((y1 - y0) / 2) / ((y1 - y0) / 2)
            - side * cosh_excess((y1 - y0) / 2) / ((y0 + y1) / 2 * (y1 - y0) / 2)
    end;

-- Displacement in ticks of 1e-12 log units after `forced_micro` micro-USD of forced reference notional in one direction.
create or replace temp macro push_tick(law, depth_micro, coefficient, forced_micro) as
    case law
        -- at 100 log units nothing has a price any more: the next round is refused at 25 (42_too_far.sql)
        when 'linear' then least(
            (forced_micro::hugeint * 1000000000000::hugeint) // depth_micro, 100000000000000
        )::bigint
        else least(floor(coefficient * sqrt(forced_micro::double / 1e6) * 1e12), 1e14)::bigint
    end;

-- Reference notional of lots in micro-USD, never negative; `reference_price` is the t0 index, of an inverse contract its value.
create or replace temp macro reference_notional(lots, lot_size, reference_price) as
    round(abs(lots) * lot_size * reference_price * 1e6)::bigint;

-- What signed lots are worth at a price, in the settle asset: micro-USD, of an inverse contract units of 1e-8 coins.
create or replace temp macro native_value(is_inverse, lots, lot_size, contract_value, price) as
    case when is_inverse
        then -(round(lots * lot_size * contract_value / price * 1e8)::bigint)
        else round(lots * lot_size * price * 1e6)::bigint
    end;

-- Micro-USD of an amount in units of 1e-8 coins.
create or replace temp macro coin_usd(units, price) as round(units * price * 1e-2)::bigint;

-- Part of a basis that leaves with `closed` of `held` lots (both positive).
create or replace temp macro basis_cut(basis, closed, held) as
    (sign(basis)::hugeint * ((abs(basis)::hugeint * closed) // held))::bigint;

-- Mark in ticks at which a leg of signed lots has lost its share of what its unit can lose: below it for a long, above it for a
-- short, null where the unit is watched anyway. 1,000 ticks are kept for rounding.
create or replace temp macro alarm_tick(lots, mark_tick, is_watched, share, growth) as
    case
        when is_watched then null
        when lots > 0 and share >= 1 then -9000000000000000000
        when lots > 0 then mark_tick + ceil(ln(1 - share) * 1e12)::bigint + 1000
        else mark_tick + floor(least(ln(1 + share / growth), 1000) * 1e12)::bigint - 1000
    end;
