"""Closed forms of the cascade (design of the replay, section 7: T1, T2, T3, T8, T9) and conservation by scale.

A book of N accounts holds the continuous density only up to a step. With thresholds at the middles of N equal cells of
width h, the number of thresholds up to any x differs from the continuous count by at most half an account; so the flow
of the book lies between the flows of the densities moved right and left by h / 2. Fixpoints are monotone in the flow,
hence u*(a + h/2) <= u*(book) <= u*(a - h/2): that is the bound of every test below, with 1e-8 more for collateral in
whole micro-USD on positions of about 1000 USD.
"""

from __future__ import annotations

import math
import tempfile
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st
from replay_books import Book, ladder, only, scenario

from dagster_project.replay.engine import run_replay

ROUNDING = 1e-8
N = 240


def outcome(book: Book, content: dict[str, Any]) -> dict[str, Any]:
    with tempfile.TemporaryDirectory() as folder:
        return only(run_replay(book.write(Path(folder) / "book"), content))


def uniform(s: float, a: float, b: float, rho: float) -> float:
    """T1."""
    if s < a:
        return s
    if rho < 1:
        return min((s - rho * a) / (1 - rho), s + rho * (b - a))
    return s + rho * (b - a)


def cells(a: float, b: float) -> tuple[list[float], float]:
    width = (b - a) / N
    return [a + (i + 0.5) * width for i in range(N)], width


@settings(max_examples=25, deadline=None, database=None)
@given(
    s=st.floats(0.0, 0.3),
    a=st.floats(0.005, 0.2),
    width=st.floats(0.02, 0.6),
    rho=st.one_of(st.floats(0.01, 0.97), st.floats(1.0, 3.0)),
    side=st.sampled_from((1, -1)),
)
@example(s=0.06, a=0.03, width=0.47, rho=0.8, side=1)
@example(s=0.06, a=0.03, width=0.17, rho=1.2, side=1)
@example(s=0.06, a=0.03, width=0.17, rho=1.0, side=-1)  # the critical depth
@example(s=0.2, a=0.03, width=0.1, rho=0.5, side=1)  # saturated below the critical depth
@example(s=0.02, a=0.03, width=0.1, rho=2.0, side=1)  # nothing is reached
def test_t1_uniform_thresholds_linear_impact(s: float, a: float, width: float, rho: float, side: int) -> None:
    b = a + width
    thresholds, h = cells(a, b)
    total = 1000.0 * N
    row = outcome(ladder(thresholds, 1000.0, total / width / rho, side=side, index=40.0), scenario(-side * s))
    reached = -side * row["trough_log_move"]
    edge = h / 2 + ROUNDING
    assert uniform(s, a + edge, b + edge, rho) - ROUNDING <= reached <= uniform(s, a - edge, b - edge, rho) + ROUNDING


@pytest.mark.parametrize(("b", "rho", "printed"), [(0.5, 0.8, 0.18), (0.2, 1.2, 0.264)])
def test_t1_printed_numbers(b: float, rho: float, printed: float) -> None:
    count = 4000
    width = (b - 0.03) / count
    book = ladder([0.03 + (i + 0.5) * width for i in range(count)], 1000.0, 1000.0 * count / (b - 0.03) / rho)
    reached = -outcome(book, scenario(-0.06))["trough_log_move"]
    # slope of u* in a, times half a cell: rho / (1 - rho) below the critical depth, saturated (exact) above it
    assert reached == pytest.approx(printed, abs=(4 * width / 2 if rho < 1 else 0) + 10 * ROUNDING)


def square_root(s: float, a: float, length: float, k: float) -> float:
    """T2, L without end."""
    if s < a:
        return s
    x = (k * math.sqrt(length) + math.sqrt(k * k * length + 4 * (s - a))) / 2
    return a + x * x


@settings(max_examples=20, deadline=None, database=None)
@given(
    s=st.floats(0.0, 0.25),
    a=st.floats(0.01, 0.2),
    jump=st.floats(0.01, 0.3),
    side=st.sampled_from((1, -1)),
)
@example(s=0.05, a=0.05, jump=0.1, side=1)  # the jump by k^2 L at s = a
@example(s=0.049, a=0.05, jump=0.1, side=1)
def test_t2_square_root_impact(s: float, a: float, jump: float, side: int) -> None:
    width = 1.2
    length = 1000.0 * N / width
    k = math.sqrt(jump / length)
    thresholds, h = cells(a, a + width)
    content = scenario(-side * s, impact={"law": "sqrt", "coefficient": k})
    reached = -side * outcome(ladder(thresholds, 1000.0, 1.0, side=side), content)["trough_log_move"]
    edge = h / 2 + ROUNDING
    low, high = square_root(s, a + edge, length, k), square_root(s, a - edge, length, k)
    assume(high < a + width)  # beyond, the book is saturated: next test
    assert low - ROUNDING <= reached <= high + ROUNDING


def test_t2_saturated() -> None:
    thresholds, _ = cells(0.05, 0.1)
    row = outcome(
        ladder(thresholds, 1000.0, 1.0), scenario(-0.06, impact={"law": "sqrt", "coefficient": 0.5 / math.sqrt(240000)})
    )
    assert row["liquidated_accounts"] == N
    assert -row["trough_log_move"] == pytest.approx(0.56, abs=1e-9)


def count_of_ladder(s: Fraction, a1: Fraction, d: Fraction, step: Fraction, accounts: int) -> int:
    """T3, with step = q / D."""
    if s < a1:
        return 0
    if step >= d:
        return accounts
    return min(accounts, math.floor((s - a1) / (d - step)) + 1)


MILLIONTH = Fraction(1, 10**6)
# depths of whole micro-USD, so that q / D is a whole number of millionths and equality can be hit exactly
STEPS = (1000, 2000, 2500, 4000, 5000, 8000, 10000, 12500, 16000, 20000)


@settings(max_examples=25, deadline=None, database=None)
@given(
    s=st.integers(0, 150),
    a1=st.integers(0, 120),
    d=st.sampled_from((500, 1000, 2000, 3000, 5000, 7500, 10000)),
    step=st.sampled_from(STEPS),
    accounts=st.integers(1, 40),
    side=st.sampled_from((1, -1)),
)
@example(s=10, a1=10, d=5000, step=5000, accounts=30, side=1)  # q / D = d exactly: all fall
@example(s=20, a1=10, d=3000, step=2000, accounts=30, side=1)  # the eleventh is reached exactly
@example(s=10, a1=10, d=10000, step=1000, accounts=5, side=-1)  # the first is reached exactly
def test_t3_ladder_is_exact(s: int, a1: int, d: int, step: int, accounts: int, side: int) -> None:
    # 1e9 USD each: micro-USD are then finer than a tick of 1e-12 (1e-3 USD), and a tenth of a tick decides equality
    first, gap = Fraction(a1, 1000), d * MILLIONTH
    depth = float(Fraction(10**9) / (step * MILLIONTH))
    book = ladder([float(first + i * gap) for i in range(accounts)], 1e9, depth, side=side, nearer=1e-4)
    row = outcome(book, scenario(-side * s / 1000))
    expected = count_of_ladder(Fraction(s, 1000), first, gap, step * MILLIONTH, accounts)
    assert row["liquidated_accounts"] == expected
    reached = Fraction(s, 1000) + expected * step * MILLIONTH
    assert -side * row["trough_log_move"] == pytest.approx(float(reached), abs=1e-12)


@settings(max_examples=12, deadline=None, database=None)
@given(
    above=st.integers(-5, 900),
    d=st.sampled_from((2, 5, 20, 50)),
    step=st.sampled_from((1, 2, 4, 5, 10, 16, 20, 40)),
    accounts=st.integers(1, 60),
)
@example(above=0, d=20, step=16, accounts=60)
@example(above=90, d=20, step=10, accounts=60)
def test_t3_holds_inside_and_across_the_buckets_of_the_window_pass(
    above: int, d: int, step: int, accounts: int
) -> None:
    # the pass sums thresholds in buckets of 100 millionths first; these ladders start in the middle of one
    first, gap = Fraction(30_050, 10**6), d * MILLIONTH
    shock = first + above * MILLIONTH
    thresholds = [float(first + i * gap) for i in range(accounts)]
    depth = float(Fraction(10**9) / (step * MILLIONTH))
    row = outcome(ladder(thresholds, 1e9, depth, nearer=1e-4), scenario(-float(shock)))
    assert row["liquidated_accounts"] == count_of_ladder(shock, first, gap, step * MILLIONTH, accounts)


def test_t8_slippage_is_the_makers_gain(tmp_path: Path) -> None:
    thresholds = [0.02 + 0.001 * i for i in range(100)]
    result = run_replay(ladder(thresholds, 1000.0, 800000.0).write(tmp_path / "b"), scenario(-0.05))
    row = only(result)
    sold = row["liquidated_long_usd"] / 1000 * 1000
    # the makers pay the average along the path and hold what they bought at the end of it
    y = sold / 800000.0
    cells_of_path = 20000
    paid = math.fsum(math.exp(-0.05 - y * (i + 0.5) / cells_of_path) for i in range(cells_of_path)) / cells_of_path
    bought = sold * (math.exp(-0.05 - y) - paid)
    # the balancing short of the maker (the whole open interest at entry 1) gains from the fall to the final price
    short = 100 * 1000.0 * (1 - math.exp(-0.05 - y))
    maker = next(r for r in result.table("stress_owner").to_pylist() if r["cohort"] == "maker")
    assert -maker["equity_lost_usd"] == pytest.approx(bought + short, abs=1e-3)


def test_t9_bad_debt_is_notional_times_the_distance_past_bankruptcy(tmp_path: Path) -> None:
    # one account of 1000 USD that is bankrupt at 0.9, sold into a deep book at 0.7: 1000 * (0.3 - 0.1)
    book = Book()
    book.contract(depth=1e17)
    book.maker()
    book.trader("a", 1000.0, 1.0, 100.0)
    row = only(run_replay(book.write(tmp_path / "b"), scenario(math.log(0.7))))
    assert row["deficit_usd"] == pytest.approx(200.0, abs=1e-6)
    assert row["socialised_usd"] == row["deficit_usd"]


@settings(max_examples=8, deadline=None, database=None)
@given(
    s=st.floats(0.02, 0.2),
    depth=st.floats(2e4, 5e5),
    factor=st.sampled_from((2, 10, 1000)),
    side=st.sampled_from((1, -1)),
)
def test_i8_money_scaled_scales_outcomes_not_prices(s: float, depth: float, factor: int, side: int) -> None:
    thresholds = [0.01 + 0.004 * i for i in range(60)]
    plain, scaled = (
        outcome(ladder(thresholds, 1000.0 * by, depth * by, side=side), scenario(-side * s)) for by in (1, factor)
    )
    assert scaled["trough_log_move"] == pytest.approx(plain["trough_log_move"], abs=1e-9)
    assert scaled["liquidated_accounts"] == plain["liquidated_accounts"]
    for name in ("liquidated_long_usd", "liquidated_short_usd", "deficit_usd", "socialised_usd"):
        assert scaled[name] == pytest.approx(factor * plain[name], rel=1e-9, abs=1e-6 * factor * 60)


def test_i11_monotone_in_shock_and_depth(tmp_path: Path) -> None:
    thresholds = [0.01 + 0.004 * i for i in range(60)]
    path = ladder(thresholds, 1000.0, 1e6).write(tmp_path / "b")
    by_shock = [only(run_replay(path, scenario(-0.01 * i)))["liquidated_accounts"] for i in range(0, 25, 3)]
    assert by_shock == sorted(by_shock)
    by_depth = [
        only(run_replay(path, scenario(-0.05, depth={"multiplier": factor})))["liquidated_accounts"]
        for factor in (0.1, 0.2, 0.24, 0.26, 0.5, 1.0, 10.0)
    ]
    assert by_depth == sorted(by_depth, reverse=True)
    assert by_depth[0] == 60
