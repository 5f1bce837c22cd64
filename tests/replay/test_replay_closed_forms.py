"""Closed forms of the cascade (design of the replay, section 7: T1, T2, T3, T8, T9), money scaled (I8), monotony (I11).

T1 and T2 are laws of a continuum. A book of N accounts has a fixpoint of its own, which cascades.py computes in 50 digits
from what the book says: the engine and the one-pass window must come to rest there, to 1e-9. The continuum bounds that from
both sides: with thresholds at the middles of N equal cells of width h, the number of thresholds up to any x differs from the
continuous count by at most half an account; so the flow of the book lies between the flows of the densities moved right and
left by h / 2. Fixpoints are monotone in the flow, hence u*(a + h/2) <= u*(book) <= u*(a - h/2).

Every example is a book of several independent contracts: a replay costs much the same for one as for ten.
"""

from __future__ import annotations

import itertools
import math
import tempfile
from collections.abc import Sequence
from decimal import ROUND_HALF_UP, Decimal, localcontext
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest
from cascades import DIGITS, Ladder, Rest, book_of, come_to_rest, fixpoint, rounds_of
from hypothesis import Phase, example, given, settings
from hypothesis import strategies as st
from replay_books import Book, scenario
from tampered_sql import tamper

from dagster_project.replay.engine import ReplayResult, played, results, run_replay
from dagster_project.replay.one_pass import run_one_pass

N = 50
USD = 10**8
"""USD of an account: micro-USD are then 1e-14 of it, so that rounding does not reach the ninth digit."""
NEARER = 1e-3
"""USD: what is met exactly is met, by 1e-11; less than the closed forms are held to, more than a tick of 1e-12."""
HUNDRED_THOUSANDTH = 1e-5
SIDES = st.sampled_from((1, -1))
FEW = settings(max_examples=3, deadline=None, database=None, derandomize=True, phases=(Phase.explicit, Phase.generate))
"""An example is a whole book, which takes seconds: without shrinking a failure tells its case at once, not after minutes."""


def play(book: Book, content: dict[str, Any]) -> ReplayResult:
    with tempfile.TemporaryDirectory() as folder:
        return run_replay(book.write(Path(folder) / "book"), content)


def at_rest_where_the_book_is(
    ladders: Sequence[Ladder], coefficient: float | None = None, **sections: Any
) -> list[Rest]:
    """Assert that both engines come to rest at the fixpoint of each ladder, and return it."""
    expected = [fixpoint(ladder, coefficient) for ladder in ladders]
    for found in come_to_rest(ladders, **sections):
        for rest, wanted in zip(found, expected, strict=True):
            assert (rest.fallen, rest.rounds) == (wanted.fallen, wanted.rounds)
            assert rest.reached == pytest.approx(wanted.reached, rel=1e-9, abs=0)
    return expected


def uniform(s: float, a: float, b: float, rho: float) -> float:
    """T1."""
    if s < a:
        return s
    if rho < 1:
        return min((s - rho * a) / (1 - rho), s + rho * (b - a))
    return s + rho * (b - a)


def cells(a: float, width: float, count: int = N) -> tuple[float, ...]:
    return tuple(a + (i + 0.5) * width / count for i in range(count))


@FEW
@given(
    cases=st.lists(
        st.tuples(
            st.integers(1, 30_000), st.integers(500, 20_000), st.integers(2_000, 60_000),
            st.one_of(st.floats(0.01, 0.97), st.floats(1.0, 3.0)), SIDES,
        ),
        min_size=6, max_size=10,
    )
)  # fmt: skip
@example(
    cases=[
        (6000, 3000, 47000, 0.8, 1),
        (6000, 3000, 17000, 1.2, 1),
        (6000, 3000, 17000, 1.0, -1),  # the critical depth
        (20000, 3000, 10000, 0.5, 1),  # saturated below the critical depth
        (2000, 3000, 10000, 2.0, 1),  # nothing is reached
        (3099, 3000, 10000, 1.0, 1),  # the critical depth, just before the first threshold and at it
        (3100, 3000, 10000, 1.0, 1),
    ]
)
def test_t1_uniform_thresholds_linear_impact(cases: list[tuple[int, int, int, float, int]]) -> None:
    ladders, forms = [], []
    for shock, start, cell, rho, side in cases:
        s, a, width = (value * HUNDRED_THOUSANDTH for value in (round(shock, 5), start, cell))
        depth = float(round(USD * N / width / rho))
        ladders.append(Ladder(cells(a, width), USD, round(s, 5), depth, side, NEARER))
        forms.append((s, a, width, USD * N / width / depth))
    for rest, (s, a, width, rho) in zip(at_rest_where_the_book_is(ladders), forms, strict=True):
        edge = width / N / 2 + 1e-10
        low, high = (uniform(s, a + move, a + width + move, rho) for move in (edge, -edge))
        assert low - 1e-9 <= rest.reached <= high + 1e-9


def test_t1_printed_numbers() -> None:
    count = 4000
    ladders = [
        Ladder(cells(0.03, b - 0.03, count), USD, 0.06, USD * count / (b - 0.03) / rho)
        for b, rho in ((0.5, 0.8), (0.2, 1.2))
    ]
    below, above = (rest.reached for rest in at_rest_where_the_book_is(ladders))
    # slope of u* in a, times half a cell: rho / (1 - rho) = 4 below the critical depth; saturated (exact) above it
    assert below == pytest.approx(0.18, abs=4 * 0.47 / count / 2 + 1e-9)
    assert above == pytest.approx(0.264, rel=1e-9)


def square_root(s: float, a: float, length: float, k: float) -> float:
    """T2, L without end."""
    if s < a:
        return s
    x = (k * math.sqrt(length) + math.sqrt(k * k * length + 4 * (s - a))) / 2
    return a + x * x


@FEW
@given(
    cases=st.lists(
        st.tuples(
            st.integers(1, 25_000), st.integers(1_000, 20_000), st.integers(1, 30), st.sampled_from((0.05, 1.2)), SIDES
        ),
        min_size=6, max_size=10,
    )
)  # fmt: skip
@example(
    cases=[
        (5000, 5000, 10, 1.2, 1),  # the jump by k^2 L at s = a: the first threshold is half a cell away
        (6200, 5000, 10, 1.2, 1),
        (4900, 5000, 10, 1.2, 1),
        (6000, 5000, 30, 0.05, -1),  # saturated
    ]
)
def test_t2_square_root_impact(cases: list[tuple[int, int, int, float, int]]) -> None:
    k = 1e-5
    ladders = []
    for shock, start, jump, width, side in cases:
        # k^2 L is the jump: L = jump / k^2 USD per unit of log price
        notional = round(jump / 100 / k**2 * width / N)
        thresholds = cells(start * HUNDRED_THOUSANDTH, width)
        ladders.append(Ladder(thresholds, notional, round(shock * 1e-5, 5), 1.0, side, notional * 1e-11))
    impact = {"law": "sqrt", "coefficient": k}
    for rest, ladder, case in zip(at_rest_where_the_book_is(ladders, k, impact=impact), ladders, cases, strict=True):
        s, a, width, total = ladder.shock, case[1] * HUNDRED_THOUSANDTH, case[3], ladder.notional * N
        if rest.fallen == N:
            assert rest.reached == pytest.approx(s + k * math.sqrt(total), rel=1e-9)
            continue
        edge = width / N / 2 + 1e-10
        low, high = (square_root(s, a + move, total / width, k) for move in (edge, -edge))
        assert low - 1e-9 <= rest.reached <= high + 1e-9


def count_of_ladder(s: Fraction, a1: Fraction, d: Fraction, step: Fraction, accounts: int) -> int:
    """T3, with step = q / D."""
    if s < a1:
        return 0
    if step >= d:
        return accounts
    return min(accounts, math.floor((s - a1) / (d - step)) + 1)


MILLIONTH = Fraction(1, 10**6)


def counted(cases: Sequence[tuple[int, int, int, int, int, int]]) -> None:
    """Assert T3 in both engines; shock, a1, d and q / D in millionths, then the number of accounts and the side."""
    ladders = [
        # 1e9 USD each: micro-USD are then finer than a tick of 1e-12 (1e-3 USD), and a tenth of a tick decides equality;
        # depths of whole micro-USD, so that q / D is a whole number of millionths and equality can be hit exactly
        Ladder(
            tuple(float((a1 + i * d) * MILLIONTH) for i in range(accounts)), 10**9, float(s * MILLIONTH),
            float(Fraction(10**9) / (step * MILLIONTH)), side, 1e-4,
        )
        for s, a1, d, step, accounts, side in cases
    ]  # fmt: skip
    for found in come_to_rest(ladders):
        for rest, (s, a1, d, step, accounts, _) in zip(found, cases, strict=True):
            expected = count_of_ladder(*(value * MILLIONTH for value in (s, a1, d, step)), accounts)
            assert rest.fallen == expected
            assert rest.reached == pytest.approx(float((s + expected * step) * MILLIONTH), rel=1e-12, abs=1e-12)


STEPS = (1000, 2000, 2500, 4000, 5000, 8000, 10000, 12500, 16000, 20000)


@FEW
@given(
    cases=st.lists(
        st.tuples(
            st.integers(0, 150).map(lambda s: s * 1000), st.integers(0, 120).map(lambda a: a * 1000),
            st.sampled_from((500, 1000, 2000, 3000, 5000, 7500, 10000)), st.sampled_from(STEPS), st.integers(1, 40), SIDES,
        ),
        min_size=8, max_size=14,
    )
)  # fmt: skip
@example(
    cases=[
        (10_000, 10_000, 5000, 5000, 30, 1),  # q / D = d exactly: all fall
        (20_000, 10_000, 3000, 2000, 30, 1),  # the eleventh is reached exactly
        (10_000, 10_000, 10_000, 1000, 5, -1),  # the first is reached exactly
    ]
)
def test_t3_ladder_is_exact(cases: list[tuple[int, int, int, int, int, int]]) -> None:
    counted(cases)


@FEW
@given(
    cases=st.lists(
        st.tuples(
            st.integers(-5, 900), st.sampled_from((2, 5, 20, 50)), st.sampled_from((1, 2, 4, 5, 10, 16, 20, 40)),
            st.integers(1, 60),
        ),
        min_size=8, max_size=14,
    )
)  # fmt: skip
@example(cases=[(0, 20, 16, 60), (90, 20, 10, 60)])
def test_t3_holds_inside_and_across_the_buckets_of_the_window_pass(cases: list[tuple[int, int, int, int]]) -> None:
    # the pass sums thresholds in buckets of 100 millionths first; these ladders start in the middle of one
    counted([(30_050 + above, 30_050, d, step, accounts, 1) for above, d, step, accounts in cases])


@pytest.mark.parametrize(
    ("healthy", "broken", "wrong"),
    [
        (
            "r.before_micro) < r.threshold_tick",
            "r.before_micro) <= r.threshold_tick",
            10,
        ),  # the 11th, met exactly, stands
        ("where reach < first_tick\n", "where reach < first_tick + 50000000\n", 8),  # half a bucket short
    ],
)
def test_t3_notices_a_window_pass_that_stops_too_soon(
    healthy: str, broken: str, wrong: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    tamper(monkeypatch, "one_pass/50_stop", healthy, broken)
    with pytest.raises(AssertionError, match=f"fallen={wrong},"):
        counted([(30_150, 30_050, 20, 10, 30, 1)])


def micro(usd: Decimal) -> int:
    return int((usd * 10**6).quantize(Decimal(1), rounding=ROUND_HALF_UP))


@FEW
@given(
    cases=st.lists(
        st.tuples(
            st.integers(10, 150), st.integers(5, 100), st.sampled_from((1000, 3000, 5000)), st.sampled_from(STEPS),
            st.integers(1, 25), SIDES,
        ),
        min_size=5, max_size=8,
    )
)  # fmt: skip
@example(cases=[(50, 20, 1000, 1000, 40, 1), (50, 20, 1000, 1000, 40, -1), (60, 20, 5000, 20000, 1, 1)])
def test_t8_slippage_is_the_makers_gain(cases: list[tuple[int, int, int, int, int, int]]) -> None:
    """What sellers lose against the shocked price is the makers' gain once the book has recovered.

    V sold into a linear book costs p0 * (V - D * (1 - exp(-V / D))) in all, in however many rounds. Other traders hold the other
    side, so that the makers have nothing but what they took; after a second their books are back at the index.
    """
    ladders = [
        Ladder(
            tuple((a1 * 1000 + i * d) / 1e6 for i in range(accounts)), 10**5, s / 1000,
            float(Fraction(10**5) / (step * MILLIONTH)), side, 1e-6,
        )
        for s, a1, d, step, accounts, side in cases
    ]  # fmt: skip
    book, shock = book_of(ladders)
    for number, ladder in enumerate(ladders):
        total = float(-ladder.side * ladder.notional * len(ladder.thresholds))
        book.trader(f"other{number:02d}", total, 1.0, 1e11, contract=f"C{number:02d}", mode="cross")
    # exp(-60) of a displacement of a unit is less than a tick
    result = play(book, scenario(shock, clock={"step_seconds": 1, "steps": 1}, impact={"decay_per_second": 60}))
    lost = {
        row["base_asset"]: row["equity_lost_usd"]
        for row in result.table("stress_owner").to_pylist()
        if row["cohort"] == "maker"
    }
    sold = 0
    for number, ladder in enumerate(ladders):
        fallen, _ = rounds_of(ladder)
        if not fallen:
            assert f"B{number:02d}" not in lost
            continue
        sold += 1
        gain = -round(lost[f"B{number:02d}"] * 1e6)
        with localcontext() as context:
            context.prec = DIGITS
            side, depth, notional = ladder.side, Decimal(ladder.depth), Decimal(ladder.notional)
            shocked = (-side * Decimal(str(ladder.shock))).exp()
            paid = 0
            for before, after in itertools.pairwise([0, *fallen]):
                near, far = (-side * before * notional / depth, -side * after * notional / depth)
                average = shocked * (far.exp() - near.exp()) / (far - near)
                # one rounding to micro-USD a fill, and all fills of a round have one price
                paid += (after - before) * micro(notional * average)
            volume = fallen[-1] * notional
            assert gain == side * (micro(volume * shocked) - paid)
            slippage = side * shocked * (volume - depth * side * (1 - (-side * volume / depth).exp()))
        # the closed form, but for half a micro-USD for each fill and for what the makers hold
        assert abs(gain - slippage * 10**6) <= Decimal(fallen[-1] + 1) / 2
    assert sold or not any(s >= a1 for s, a1, *_ in cases)


@FEW
@given(
    cases=st.lists(
        st.tuples(
            st.integers(1, 999_999), st.integers(2, 100), st.integers(1, 500), st.sampled_from((0, 1, *STEPS)), SIDES
        ),
        min_size=8, max_size=14,
    )
)  # fmt: skip
# 1000 USD that are bankrupt at .9, sold at exp(-.356675) = .7 into a deep book; the other way round; enough margin
@example(cases=[(1000, 10, 357, 0, 1), (1000, 10, 357, 0, -1), (1000, 2, 100, 0, 1), (77, 10, 100, 20000, 1)])
def test_t9_bad_debt_is_notional_times_the_distance_past_bankruptcy(
    cases: list[tuple[int, int, int, int, int]],
) -> None:
    """Deficit = notional * (u_x - u_bankruptcy), relative prices, with the book's own push in u_x, rounded once."""
    book = Book()
    book.maker()
    shock: dict[str, Any] = {}
    expected: dict[str, int] = {}
    for number, (notional, leverage, move, step, side) in enumerate(cases):
        contract, base = f"C{number:02d}", f"B{number:02d}"
        # a book so deep that no fill moves it by a tick of 1e-12, or one in which this fill moves it by whole millionths
        depth = 1e18 if step == 0 else float(Fraction(notional) / (step * MILLIONTH))
        book.contract(contract=contract, base=base, depth=depth)
        shock[base] = [[0, -side * move / 1000]]
        collateral = round(notional / leverage, 6)
        book.trader(f"a{number:02d}", float(side * notional), 1.0, collateral, contract=contract)
        with localcontext() as context:
            context.prec = DIGITS
            moved, pushed = Decimal(move) / 1000, Decimal(step) / 10**6
            average = (1 - (-side * pushed).exp()) / (side * pushed) if step else Decimal(1)
            exit_distance = side * (1 - (-side * moved).exp() * average)
            bankruptcy = Decimal(str(collateral)) / notional
            if side * (1 - (-side * moved).exp()) >= bankruptcy:
                expected[contract] = micro(notional * (exit_distance - bankruptcy))
    with (
        tempfile.TemporaryDirectory() as folder,
        played(book.write(Path(folder) / "book"), scenario(shock), threads=1) as run,
    ):
        summary = results(run.con, run.book, run.scenario).summary
        stepwise = run.con.execute(
            "select contract, round(deficit_usd * 1e6)::bigint from stress_outcome where liquidated_accounts > 0"
        ).fetchall()
        run_one_pass(run.con)
        window = run.con.execute(
            "select contract, deficit_micro::bigint from replay_fill inner join replay_contract using (contract_no)"
        ).fetchall()
    assert dict(stepwise) == dict(window) == expected
    assert summary["socialised_usd"] == pytest.approx(sum(expected.values()) / 1e6, rel=1e-12, abs=1e-9)


MONEY = ("liquidated_long_usd", "liquidated_short_usd", "deficit_usd", "socialised_usd", "open_interest_after_usd")


def unscaled(cases: Sequence[tuple[int, int, int]]) -> list[str]:
    """I8: what of a ladder and of the same with 2, 10 and 1000 times the money is not the same but for the money."""
    factors = (1, 2, 10, 1000)
    thresholds = tuple(0.01 + 0.004 * i for i in range(60))
    ladders = [
        Ladder(thresholds, 1000 * factor, s / 1000, float(depth * factor), side)
        for s, depth, side in cases
        for factor in factors
    ]
    book, shock = book_of(ladders)
    rows = play(book, scenario(shock, venues={"default": {"liquidation": {"fee_rate": 0.001}}}))
    outcomes = rows.table("stress_outcome").to_pylist()
    faults = []
    for number, case in enumerate(cases):
        group = outcomes[number * len(factors) : (number + 1) * len(factors)]
        plain = group[0]
        for factor, scaled in zip(factors, group, strict=True):
            if scaled["liquidated_accounts"] != plain["liquidated_accounts"]:
                faults.append(f"{case} x {factor}: accounts")
            # displacements are cut to ticks of 1e-12 a side
            if scaled["trough_log_move"] != pytest.approx(plain["trough_log_move"], rel=1e-9, abs=0):
                faults.append(f"{case} x {factor}: trough")
            # a fill and its fee are rounded to micro-USD in the plain book, and that is scaled with it
            rounding = 1e-6 * (factor + 1) * plain["liquidated_accounts"]
            faults += [
                f"{case} x {factor}: {name}"
                for name in MONEY
                if scaled[name] != pytest.approx(factor * plain[name], rel=1e-9, abs=rounding)
            ]
    return faults


@FEW
@given(
    cases=st.lists(
        st.tuples(st.integers(20, 200), st.integers(20_000, 500_000), SIDES), min_size=3, max_size=4, unique=True
    )
)
def test_i8_money_scaled_scales_outcomes_not_prices(cases: list[tuple[int, int, int]]) -> None:
    assert unscaled(cases) == []


def test_i8_notices_a_fee_of_a_fixed_amount(monkeypatch: pytest.MonkeyPatch) -> None:
    tamper(monkeypatch, "60_fill", "round(f.fee_rate * abs(f.usd))::bigint", "least(50000, abs(f.usd))::bigint")
    assert any("deficit" in fault for fault in unscaled([(50, 100_000, 1)]))


def not_monotone(thresholds: Sequence[int], shocks: Sequence[int], depths: Sequence[int], side: int) -> list[str]:
    """I11: pairs of shocks and depths of which the worse liquidates less, in either engine."""
    levels = tuple(threshold / 1000 for threshold in sorted(thresholds))
    grid = [(s, depth) for s in sorted(shocks) for depth in sorted(depths, reverse=True)]
    ladders = [Ladder(levels, USD, s / 1000, float(depth * USD), side) for s, depth in grid]
    faults = []
    for name, found in zip(("stepwise", "one pass"), come_to_rest(ladders), strict=True):
        rest = dict(zip(grid, found, strict=True))
        for better, worse in itertools.permutations(grid, 2):
            if better[0] <= worse[0] and better[1] >= worse[1]:
                if rest[better].fallen > rest[worse].fallen:
                    faults.append(f"{name}: {better} liquidates more than {worse}")
                if rest[better].reached > rest[worse].reached:
                    faults.append(f"{name}: {better} goes further than {worse}")
    return faults


@FEW
@given(
    thresholds=st.lists(st.integers(5, 300), min_size=10, max_size=40),
    shocks=st.lists(st.integers(1, 250), min_size=3, max_size=4, unique=True),
    depths=st.lists(st.integers(5, 2000), min_size=3, max_size=4, unique=True),
    side=SIDES,
)
@example(
    thresholds=[10 + 4 * i for i in range(60)],
    shocks=[10, 50, 120, 240],
    depths=[100, 200, 240, 260, 500, 1000],
    side=1,
)
def test_i11_monotone_in_shock_and_depth(
    thresholds: list[int], shocks: list[int], depths: list[int], side: int
) -> None:
    assert not_monotone(thresholds, shocks, depths, side) == []


def test_i11_sees_more_than_nothing_and_less_than_all() -> None:
    ladders = [
        Ladder(tuple(0.01 + 0.004 * i for i in range(60)), USD, 0.05, depth * USD, 1, NEARER)
        for depth in (10000.0, 100.0)
    ]
    few, all_of_them = (rest.fallen for rest in at_rest_where_the_book_is(ladders))
    assert 0 < few < all_of_them == 60


def test_i11_notices_accounts_that_are_passed_over_where_they_are_far_under_water(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    tamper(
        monkeypatch, "55_breach", "and m.equity <= m.maintenance\n",
        "and m.equity <= m.maintenance and m.equity >= -m.notional / 20\n",
    )  # fmt: skip
    faults = not_monotone([10, 60, 100], [20, 150], [1000, 2000], 1)
    assert any(fault.startswith("stepwise") for fault in faults)
