"""Closed forms of time, several venues, deleveraging and hedges (T4 to T7), and laws of deleveraging and of the backstop.

Closed forms hold over random parameters: an example is a book of several cases that do not meet, each of its own assets or
venues, because a replay costs much the same for one case as for ten.
"""

from __future__ import annotations

import itertools
import math
import random
import tempfile
from bisect import bisect_right
from collections.abc import Sequence
from decimal import Decimal
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest
from cascades import Ladder
from hypothesis import Phase, assume, example, given, settings
from hypothesis import strategies as st
from replay_books import Book, only, scenario
from tampered_sql import tamper

from dagster_project.replay.engine import ReplayResult, run_replay

FEW = settings(max_examples=3, deadline=None, database=None, derandomize=True, phases=(Phase.explicit, Phase.generate))
"""An example is a whole book, which takes seconds: without shrinking a failure tells its case at once, not after minutes."""


def play(book: Book, folder: Path, shock: Any, **sections: Any) -> ReplayResult:
    return run_replay(book.write(folder), scenario(shock, **sections))


def replay(book: Book, shock: Any, **sections: Any) -> ReplayResult:
    with tempfile.TemporaryDirectory() as folder:
        return play(book, Path(folder) / "b", shock, **sections)


@FEW
@given(
    kappa=st.integers(5, 900).map(lambda kappa: kappa / 1000),
    step_seconds=st.sampled_from((1.0, 0.25)),
    cases=st.lists(st.tuples(st.integers(1, 500), st.integers(2, 50)), min_size=3, max_size=6),
)
@example(kappa=0.3, step_seconds=1.0, cases=[(1, 10)])
def test_t4_a_constant_flow_meets_resilience(kappa: float, step_seconds: float, cases: list[tuple[int, int]]) -> None:
    """Contracts of their own notional (thousands of USD) and of their own push (thousandths) a step."""
    # The mark is the index (own_book_weight 0, no composite), so the fall of one account a step is not fed back.
    steps = 10
    book = Book()
    book.maker()
    for number, (thousands, push) in enumerate(cases):
        contract, notional = f"C{number:02d}", 1000.0 * thousands
        book.contract(contract=contract, depth=notional / (push / 1000))
        for step in range(steps):
            collateral = -notional * math.expm1(-0.001 * (step + 0.5))
            book.trader(f"{contract}{step:03d}", notional, 1.0, collateral, contract=contract)
    path = [[0, 0], [steps * step_seconds, -0.001 * steps]]
    result = replay(
        book, {"all": path}, clock={"step_seconds": step_seconds, "steps": steps},
        impact={"decay_per_second": kappa}, mark={"own_book_weight": 0},
    )  # fmt: skip
    kept = math.exp(-kappa * step_seconds)
    for row in result.table("stress_path").to_pylist():
        step, seconds = row["step"], row["seconds"]
        if step == 0:
            continue
        thousands, push = cases[int(row["contract"][1:])]
        # what decays is rounded to a tick of 1e-12 a step, on pushes of at least 2e-3: 5e-10 of them
        form = push / 1000 * (1 - kept**step) / (1 - kept)
        assert row["displacement"] == pytest.approx(form, rel=1e-9, abs=0)
        # the continuous form is met to first order in the step: a step's flow comes at once, at its end
        depth = 1000.0 * thousands / (push / 1000)
        flow = 1000.0 * thousands / step_seconds
        continuous = flow * (1 - math.exp(-kappa * seconds)) / (kappa * depth)
        assert abs(row["displacement"] / continuous - 1) <= kappa * step_seconds


COUNT, WIDTH, DEPTH = 60, 0.4, 10**10
CELL = WIDTH / COUNT
Venues = tuple[tuple[int, int, int], tuple[int, int, int], int]


def marks(rhos: Sequence[float], weights: Sequence[float], theta: float, s: float, start: float) -> list[float]:
    """T5: u = s + K (u - a) where no venue is saturated, by iteration from below; a venue has no more than WIDTH to give."""
    u = [0.0] * len(rhos)
    for _ in range(5000):
        pushed = [rho * min(max(0.0, v - start), WIDTH) for rho, v in zip(rhos, u, strict=True)]
        index = sum(weight * y for weight, y in zip(weights, pushed, strict=True))
        u = [s + (1 - theta) * y + theta * index for y in pushed]
    return u


def at_rest(ladders: Sequence[Ladder], weights: Sequence[float], own_weight: float) -> tuple[list[int], list[float]]:
    """Return how many fall on each venue, and where each mark stops, by scanning thresholds in decimals."""
    own = Decimal(str(own_weight))
    levels = [
        sorted(-(1 - Decimal(round(usd * 1e6)) / 10**6 / ladder.notional).ln() for usd in ladder.collaterals())
        for ladder in ladders
    ]
    fallen = [0] * len(ladders)
    while True:
        pushed = [Decimal(n * ladder.notional) / DEPTH for n, ladder in zip(fallen, ladders, strict=True)]
        index = sum(Decimal(str(weight)) * y for weight, y in zip(weights, pushed, strict=True))
        u = [
            Decimal(str(ladder.shock)) + own * y + (1 - own) * index for y, ladder in zip(pushed, ladders, strict=True)
        ]
        more = [bisect_right(level, mark) for level, mark in zip(levels, u, strict=True)]
        if more == fallen:
            return fallen, [float(mark) for mark in u]
        fallen = more


def radius_of(rhos: Sequence[float], weights: Sequence[float], theta: float) -> float:
    """Spectral radius of K, by powers of a positive matrix."""
    vector, radius = [1.0] * 3, 0.0
    for _ in range(3000):
        index = sum(w * rho * x for w, rho, x in zip(weights, rhos, vector, strict=True))
        after = [(1 - theta) * rho * x + theta * index for rho, x in zip(rhos, vector, strict=True)]
        radius = max(after)
        vector = [x / radius for x in after]
    return radius


@FEW
@given(
    own_weight=st.integers(0, 20).map(lambda weight: weight / 20),
    groups=st.lists(
        st.tuples(
            st.tuples(*[st.integers(5, 170)] * 3),
            st.tuples(st.integers(1, 49), st.integers(1, 49)),
            st.integers(2, 80),
        ),
        min_size=2, max_size=4,
    ),
)  # fmt: skip
# theta 0: the second venue stands alone with 1.4, and all of it falls, though no other venue does more than it would alone
@example(own_weight=1.0, groups=[((50, 140, 30), (50, 30), 5)])
@example(own_weight=0.5, groups=[((50, 140, 30), (50, 30), 5)])
@example(own_weight=0.0, groups=[((50, 140, 30), (50, 30), 20)])
def test_t5_venues_tied_by_a_common_index(own_weight: float, groups: list[Venues]) -> None:
    """Groups of three venues: rho and weights in hundredths, the shock in thousandths."""
    theta = 1 - own_weight
    book = Book()
    for venue in "abc":
        book.maker(venue)
    shock: dict[str, Any] = {}
    cases = []
    for number, (hundredths, (first, second), thousandths) in enumerate(groups):
        base = f"X{number}"
        weights = [first / 100, second / 100, round(1 - (first + second) / 100, 2)]
        s = thousandths / 1000
        ladders = []
        for venue, rho, weight in zip("abc", hundredths, weights, strict=True):
            contract = f"{base}{venue}"
            thresholds = tuple(CELL * (i + 0.5) for i in range(COUNT))
            ladder = Ladder(thresholds, round(rho / 100 * DEPTH * CELL), s, DEPTH, 1, 1e-4)
            ladders.append(ladder)
            book.contract(venue=venue, contract=contract, base=base, depth=float(DEPTH))
            for place, collateral in enumerate(ladder.collaterals()):
                book.trader(
                    f"{contract}{place:03d}", float(ladder.notional), 1.0, collateral, venue=venue, contract=contract
                )
            book.add("index_weight", base_asset=base, venue=venue, weight=weight)
        shock[base] = [[0, -s]]
        # as the book has it: its accounts are of whole USD
        cases.append((ladders, [ladder.notional / (DEPTH * CELL) for ladder in ladders], weights, s))
    result = replay(book, shock, mark={"own_book_weight": own_weight})
    path = {(row["venue"], row["contract"]): row for row in result.table("stress_path").to_pylist()}
    outcome = {(row["venue"], row["contract"]): row for row in result.table("stress_outcome").to_pylist()}
    secants = []
    for number, (ladders, rhos, weights, s) in enumerate(cases):
        fallen, reached = at_rest(ladders, weights, own_weight)
        low, high = marks(rhos, weights, theta, s, CELL / 2 + 1e-9), marks(rhos, weights, theta, s, -CELL / 2 - 1e-9)
        for place, venue in enumerate("abc"):
            key = (venue, f"X{number}{venue}")
            mark = -math.log(path[key]["mark_price"])
            assert outcome[key]["liquidated_accounts"] == fallen[place]
            assert mark == pytest.approx(reached[place], rel=1e-9, abs=0)
            assert low[place] - 1e-9 <= mark <= high[place] + 1e-9
        # explosive: whoever is reached at all is used up where the radius is at least 1 for the venue alone
        if own_weight == 1:
            assert all(n == COUNT for n, rho in zip(fallen, rhos, strict=True) if rho > 1 and s > CELL / 2)
        pushes = [n * ladder.notional / DEPTH / u for n, ladder, u in zip(fallen, ladders, reached, strict=True)]
        secants.append(radius_of(pushes, weights, theta) if any(fallen) else 0.0)
    # the secant over the whole run, of what was forced into each book
    assert result.summary["spectral_radius"] == pytest.approx(max(secants), rel=1e-6)


@pytest.mark.parametrize(("theta", "shock", "radius"), [(0.0, 0.005, 1.4), (0.5, 0.005, 0.966), (1.0, 0.02, 0.73)])
def test_t5_printed_radii(theta: float, shock: float, radius: float) -> None:
    rhos, weights = (0.5, 1.4, 0.3), (0.5, 0.3, 0.2)
    assert radius_of(rhos, weights, theta) == pytest.approx(radius, abs=5e-4)
    reached = marks(rhos, weights, theta, shock, 0.0)
    if radius < 1:
        # (I - K) u = s 1: each row of u = s + K u, with no venue saturated
        index = sum(weight * rho * u for weight, rho, u in zip(weights, rhos, reached, strict=True))
        for rho, u in zip(rhos, reached, strict=True):
            assert u == pytest.approx(shock + (1 - theta) * rho * u + theta * index, rel=1e-9)
            assert u < WIDTH
    else:
        assert reached[1] == pytest.approx(shock + 1.4 * WIDTH, rel=1e-9)


Winners = tuple[str, int, tuple[tuple[int, int, int], ...]]


def taken_by(cases: Sequence[Winners]) -> list[dict[str, int]]:
    """Return the lots deleveraged of each winner, for each case at a venue of its own.

    A case is a policy, the lots (of a tenth) of a long that is bankrupt at 90, and winners (lots, entry in tenths, collateral).
    The index falls from 100 to 85.
    """
    book = Book()
    venues: dict[str, Any] = {}
    for number, (policy, wanted, winners) in enumerate(cases):
        venue = f"v{number:02d}"
        book.contract(venue=venue, base=f"B{number:02d}", index=100.0, lot=0.1, depth=1e12)
        book.maker(venue)
        book.trader(f"{venue} bankrupt", wanted / 10, 100.0, float(wanted), venue=venue)
        for place, (lots, entry, collateral) in enumerate(winners):
            book.trader(f"{venue} w{place}", -lots / 10, entry / 10, float(collateral), venue=venue)
        venues[venue] = {"liquidation": {"backstop_ratio": 0}, "adl": {"policy": policy}}
    result = replay(book, {"all": [[0, math.log(0.85)]]}, venues=venues)
    taken: list[dict[str, int]] = [{} for _ in cases]
    for row in result.table("stress_adl").to_pylist():
        taken[int(row["venue"][1:])][row["account_id"].split()[1]] = round(-row["quantity"] * 10)
    for row, (_, wanted, _) in zip(result.table("stress_outcome").to_pylist(), cases, strict=True):
        assert row["deficit_usd"] == pytest.approx(wanted / 2, abs=1e-6)
        assert row["adl_haircut_usd"] + row["socialised_usd"] == pytest.approx(row["deficit_usd"], abs=1e-6)
    return taken


def oracle(policy: str, wanted: int, winners: Sequence[tuple[int, int, int]]) -> dict[str, int] | None:
    """T6 in integers and fractions: who gives how many lots. None: two scores are too close for doubles to tell.

    A winner can give if it keeps nothing less than nothing at the bankruptcy price of 90.
    """
    able = {place: winner for place, winner in enumerate(winners) if winner[1] >= 900}
    given: dict[int, int] = {}
    if policy == "queue":
        scores = {}
        for place, (lots, entry, collateral) in able.items():
            # in USD: profit over cost, times notional over equity
            profit = Fraction(lots, 10) * (Fraction(entry, 10) - 85)
            leverage = Fraction(lots, 10) * 85 / max(Fraction(1, 10**6), collateral + profit)
            scores[place] = profit / (Fraction(lots, 10) * Fraction(entry, 10)) * leverage
        distinct = sorted(set(scores.values()))
        if any(high - low < high * Fraction(1, 10**9) for low, high in itertools.pairwise(distinct)):
            return None
        left = wanted
        for place in sorted(able, key=lambda place: (-scores[place], place)):
            given[place] = min(left, able[place][0])
            left -= given[place]
    else:
        total = sum(lots for lots, _, _ in able.values())
        wanted = min(wanted, total)
        given = {place: wanted * lots // total for place, (lots, _, _) in able.items()}
        rest = wanted - sum(given.values())
        for place in sorted(able, key=lambda place: (-(wanted * able[place][0] % total), place))[:rest]:
            given[place] += 1
    return {f"w{place}": lots for place, lots in given.items() if lots}


@FEW
@given(
    cases=st.lists(
        st.tuples(
            st.sampled_from(("queue", "pro_rata")),
            st.integers(1, 300),
            # entries of 85 to 130, and some that would lose at 90; equal winners go by name
            st.lists(
                st.tuples(st.integers(1, 90), st.integers(860, 1300).filter(lambda e: e != 900), st.integers(20, 900)),
                min_size=1, max_size=7,
            ).map(tuple),
        ),
        min_size=6, max_size=10,
    )
)  # fmt: skip
@example(
    cases=[
        # PNL in proportion to 8, 4 and .5; leverage puts the second first and the third last: (3.5, 4, 0), (4.8, 2.4, .3)
        ("queue", 75, ((80, 1000, 400), (40, 1000, 40), (5, 1000, 500))),
        ("pro_rata", 75, ((80, 1000, 400), (40, 1000, 40), (5, 1000, 500))),
        ("queue", 75, ((50, 1000, 100), (50, 1000, 100), (50, 1000, 100))),  # equals go by name
        ("pro_rata", 2, ((50, 1000, 100), (50, 1000, 100), (50, 1000, 100))),
        ("pro_rata", 75, ((50, 890, 100), (10, 1000, 100))),  # one cannot, one has too little
    ]
)
def test_t6_who_is_deleveraged(cases: list[Winners]) -> None:
    expected = [oracle(*case) for case in cases]
    assume(None not in expected)
    assert taken_by(cases) == expected


def test_t6_printed_numbers() -> None:
    winners = ((80, 1000, 400), (40, 1000, 40), (5, 1000, 500))
    assert taken_by([("queue", 75, winners), ("pro_rata", 75, winners)]) == [
        {"w0": 35, "w1": 40},
        {"w0": 48, "w1": 24, "w2": 3},
    ]


def test_what_winners_lack_is_socialised() -> None:
    policies = ("queue", "pro_rata", "capped_pro_rata", "risk_aware")
    cases = [(policy, 75, ((20, 1000, 400), (10, 1000, 40))) for policy in policies]
    assert taken_by(cases) == [{"w0": 20, "w1": 10}] * 4


def split_differently(seeds: Sequence[int]) -> list[str]:
    """I9: winners of whom more than a lot more or less is taken when one of them is split into two accounts."""
    cases: list[Winners] = []
    for seed in seeds:
        draw = random.Random(seed)  # noqa: S311 - a sample, not a secret
        first, *others = ((draw.randint(10, 90), 1000, 400) for _ in range(5))
        part = draw.randint(1, first[0] - 1)
        halves = ((part, 1000, 400), (first[0] - part, 1000, 400))
        cases += [("pro_rata", 75, (*others, first)), ("pro_rata", 75, (*others, *halves))]
    taken = taken_by(cases)
    faults = []
    for number, seed in enumerate(seeds):
        whole, parts = taken[2 * number], taken[2 * number + 1]
        merged = {**parts, "w4": parts.get("w4", 0) + parts.get("w5", 0)}
        faults += [f"{seed} {name}" for name in whole if abs(whole[name] - merged.get(name, 0)) > 1]
    return faults


def test_i9_pro_rata_does_not_see_how_an_account_is_split() -> None:
    assert split_differently(range(8)) == []


def test_i9_notices_shares_by_head(monkeypatch: pytest.MonkeyPatch) -> None:
    tamper(monkeypatch, "75_deleverage", "when 'pro_rata' then held", "when 'pro_rata' then 1")
    assert split_differently(range(8)) != []


def order_reversed(seeds: Sequence[int]) -> list[str]:
    """I10: pairs of winners of whom the one who had less is left with more, by more than the haircut of two lots."""
    book = Book()
    profits: dict[str, dict[str, float]] = {}
    for seed in seeds:
        draw = random.Random(seed)  # noqa: S311 - a sample, not a secret
        venue = f"v{seed}"
        book.contract(venue=venue, base=f"B{seed}", index=100.0, lot=0.001, depth=1e12)
        book.maker(venue)
        book.trader(f"{venue} bankrupt", 12.0, 100.0, 120.0, venue=venue)
        profits[venue] = {}
        for number in range(8):
            name, quantity, entry = f"{venue} w{number}", draw.randint(1000, 9000) / 1000, 100.0 + draw.randint(0, 80)
            book.trader(name, -quantity, entry, 1000.0, venue=venue)
            profits[venue][name] = quantity * (entry - 70)
    rules = {"default": {"liquidation": {"backstop_ratio": 0}, "adl": {"policy": "capped_pro_rata"}}}
    result = replay(book, math.log(0.7), venues=rules)
    haircuts: dict[str, float] = {}
    closed = dict.fromkeys(profits, 0.0)
    for row in result.table("stress_adl").to_pylist():
        haircuts[row["account_id"]] = row["haircut_usd"]
        closed[row["venue"]] -= row["quantity"]
    assert closed == pytest.approx(dict.fromkeys(profits, 12.0))
    # it is 20 USD a unit from the mark of 70 to the bankruptcy price of 90; shares are rounded to lots
    slack = 2 * 0.001 * 20.0
    faults = []
    for before in profits.values():
        after = {name: profit - haircuts.get(name, 0) for name, profit in before.items()}
        faults += [
            f"{low} {high}"
            for low, high in itertools.permutations(before, 2)
            if before[low] <= before[high] and after[low] > after[high] + slack
        ]
    told = {row["venue"] for row in result.table("stress_outcome").to_pylist() if row["adl_inversions"]}
    assert told == {fault.split()[0] for fault in faults}
    return faults


def test_i10_capped_pro_rata_keeps_the_order_of_winners() -> None:
    assert order_reversed(range(8)) == []


def test_i10_notices_shares_that_profit_does_not_cap(monkeypatch: pytest.MonkeyPatch) -> None:
    tamper(monkeypatch, "75_deleverage", "when 'capped_pro_rata' then profit", "when 'capped_pro_rata' then held")
    assert order_reversed(range(8)) != []


JUDGED = ("adl_usd", "adl_overshoot_usd", "adl_haircut_usd", "adl_haircut_overshoot_usd")


def judged(folder: Path, balance: float, rate: float = 0.0, **adl: Any) -> list[float]:
    """`JUDGED` of 75 lots of 10 USD that a fund takes over at 85, 37.5 USD below nothing: 5 USD a base unit."""
    book = Book()
    book.contract(index=100.0, lot=0.1, depth=1e9, tiers=[(0.0, None, rate, 0.0)])
    book.maker()
    book.trader("bankrupt", 7.5, 100.0, 75.0)
    book.trader("w1", -5.0, 100.0, 1000.0)
    book.trader("w2", -2.5, 100.0, 1000.0)
    book.add("fund", venue="v", pool="p", contract=None, balance=balance, mode="cash_pool")
    rules = {"default": {"liquidation": {"backstop_ratio": 0}, "adl": adl}}
    result = play(book, folder, math.log(0.85), venues=rules)
    row, summary, path = only(result), result.summary, only(result, "stress_path")
    (fund,) = (row for row in result.table("stress_fund").to_pylist() if row["pool"] == "p")
    assert row["adl_inversions"] == summary["adl_inversions"] == path["adl_inversions"] == 0
    assert path["adl_overshoot_usd"] == row["adl_overshoot_usd"]
    for name in JUDGED:
        assert summary[name] == row[name], name
        assert fund.get(name, row[name]) == row[name], name
    paid = row["deficit_usd"] - row["adl_haircut_usd"] - row["socialised_usd"]
    assert fund["balance_usd"] == pytest.approx(balance - paid, abs=2e-6)
    return [row[name] for name in JUDGED]


@pytest.mark.parametrize("policy", ["queue", "pro_rata", "capped_pro_rata", "risk_aware"])
@pytest.mark.parametrize(
    ("adl", "balance", "rate", "expected"),
    [
        # 20 of 37.5 are there: the lots that carry 17.5 are ceil(75 * 17.5 / 37.5) = 35, and no more are asked for
        ({"trigger": "balance"}, 20, 0, [350, 0, 17.5, 0]),
        ({"trigger": "balance"}, 40, 0, [0, 0, 0, 0]),
        # 62.5 of 100 are left, below 70 %: all lots go and winners bring the whole deficit, though the fund had it
        ({"trigger": "drawdown"}, 100, 0, [750, 750, 37.5, 37.5]),
        # 17.5 are missing; winners bring 37.5, and give 75 lots where 35 carry what is missing
        ({"trigger": "drawdown"}, 20, 0, [750, 400, 37.5, 20]),
        ({"trigger": "drawdown"}, 0, 0, [750, 0, 37.5, 0]),
        ({"trigger": "drawdown"}, 1000, 0, [0, 0, 0, 0]),
        # equity 2.5 is below the margin of 6.375: the inventory goes, and nothing is missing
        ({"trigger": "vault_equity"}, 40, 0.01, [750, 750, 0, 0]),
        ({"trigger": "vault_equity"}, 20, 0.01, [750, 0, 17.5, 0]),
        # at the mark nothing is collected; the lots are as many
        ({"trigger": "drawdown", "price": "mark"}, 100, 0, [750, 750, 0, 0]),
    ],
)
def test_overshoot_is_what_was_taken_beyond_what_was_missing(
    adl: dict[str, Any], balance: float, rate: float, expected: list[float], policy: str, tmp_path: Path
) -> None:
    assert judged(tmp_path / "b", balance, rate, policy=policy, **adl) == pytest.approx(expected, abs=2e-6)


def test_nothing_overshoots_without_a_policy(tmp_path: Path) -> None:
    assert judged(tmp_path / "b", 20, policy="none") == [0, 0, 0, 0]


def test_winners_who_bring_what_a_fund_gains_on_older_lots_are_asked_for_too_much(tmp_path: Path) -> None:
    """A fund holds 100 A at .5 that are at .8 when `late` falls, with 100 A and 100 B, and lacks 10 USD.

    10 USD over notionals of 80 and 50: 6.153846 and 3.846154. The fund gives 100 A that cost (50 + 80) / 2 = 65 for 80: it
    gains 15 when winners have brought 10. So all 10 are overshoot; the lots are those that carry the deficit.
    """
    book = Book()
    for name in ("A", "B"):
        book.contract(contract=name, depth=1e12)
    book.maker()
    book.trader("early", 100, 1.0, 49.0, contract="A")
    book.trader("late", 100, 1.0, 60.0, contract="A", mode="cross")
    book.add("position", account_id="late", venue="v", contract="B", quantity=100.0, entry_price=1.0)
    book.trader("w1", -200, 1.2, 300.0, contract="A")
    book.trader("w2", -100, 1.2, 300.0, contract="B")
    book.add("fund", venue="v", pool="p", contract=None, balance=1.0, mode="cash_pool")
    rules = {"default": {"liquidation": {"backstop_ratio": 0}, "adl": {"policy": "pro_rata"}}}
    path = {"A": [[0, 0], [1, math.log(0.5)], [2, math.log(0.8)]], "B": [[0, 0], [1, 0], [2, math.log(0.5)]]}
    result = play(book, tmp_path / "b", path, clock={"step_seconds": 1, "steps": 2}, venues=rules)
    first, second = result.table("stress_outcome").to_pylist()
    assert [row["adl_haircut_overshoot_usd"] for row in (first, second)] == pytest.approx(
        [6.153846, 3.846154], abs=3e-6
    )
    assert [row["adl_overshoot_usd"] for row in (first, second)] == [0, 0]
    assert [row["adl_usd"] for row in (first, second)] == [100, 100]
    funds = [row for row in result.table("stress_fund").to_pylist() if row["pool"] == "p"]
    assert [row["adl_haircut_overshoot_usd"] for row in funds] == pytest.approx([0, 0, 10], abs=3e-6)
    assert funds[-1]["balance_usd"] == pytest.approx(15, abs=3e-6)


@pytest.mark.parametrize(
    ("policy", "winners", "wanted", "inversions", "inverted"),
    [
        # haircuts are 5 USD a unit. The queue takes 4 of w1: of 60 USD 40 are left, and w2 keeps its 52.5
        ("queue", {"w1": (4.0, 100.0, 50.0), "w2": (3.5, 100.0, 5000.0)}, 4.0, 1, 12.5),
        ("pro_rata", {"w1": (4.0, 100.0, 50.0), "w2": (3.5, 100.0, 5000.0)}, 4.0, 0, 0),
        # by size w1 pays 20 of its 48 and w2 5 of its 40: 28 and 35 are left
        ("pro_rata", {"w1": (8.0, 91.0, 900.0), "w2": (2.0, 105.0, 900.0)}, 5.0, 1, 7),
        # by profit: w2 is used up at 4.4 of the 5, 2.4 and 2 units; the rest is w1's: 15 and 10, so 33 and 30 are left
        ("capped_pro_rata", {"w1": (8.0, 91.0, 900.0), "w2": (2.0, 105.0, 900.0)}, 5.0, 0, 0),
        # of two equals one pays all: nobody had less
        ("queue", {"w1": (4.0, 100.0, 50.0), "w2": (4.0, 100.0, 5000.0)}, 4.0, 0, 0),
        # two of three are overtaken by the third, who had least: 60 and 57 fall to 40 and 38 of his 52.5
        ("queue", {"w1": (4.0, 100.0, 50.0), "w2": (3.8, 100.0, 60.0), "w3": (3.5, 100.0, 5000.0)}, 7.8, 2, 27),
        # one lot is taken of two equals but for a cent: so much rounding can do
        ("pro_rata", {"w1": (0.1, 100.1, 50.0), "w2": (0.1, 100.0, 50.0)}, 0.1, 0, 0),
    ],
)
def test_an_inversion_is_a_winner_left_with_less_than_one_who_had_less(
    policy: str,
    winners: dict[str, tuple[float, float, float]],
    wanted: float,
    inversions: int,
    inverted: float,
    tmp_path: Path,
) -> None:
    book = Book()
    book.contract(index=100.0, lot=0.1, depth=1e9)
    book.maker()
    book.trader("bankrupt", wanted, 100.0, wanted * 10)
    for name, (quantity, entry, collateral) in winners.items():
        book.trader(name, -quantity, entry, collateral)
    for price, factor in (("bankruptcy", 1), ("mark", 0)):
        rules = {"default": {"liquidation": {"backstop_ratio": 0}, "adl": {"policy": policy, "price": price}}}
        result = play(book, tmp_path / price, math.log(0.85), venues=rules)
        row = only(result)
        assert row["adl_usd"] == pytest.approx(wanted * 100)
        assert (row["adl_inversions"], row["adl_inverted_usd"]) == (
            factor * inversions,
            pytest.approx(factor * inverted, abs=5e-6),
        )
        assert result.summary["adl_inverted_usd"] == row["adl_inverted_usd"]


Hedges = tuple[int, int, int, int]


def first_steps(leverage: int, rate: Fraction, speed: Fraction, below: Fraction) -> tuple[int, int, Fraction]:
    """Return the steps at which a long asks for money and at which it breaches, and how near equality it came to either."""
    asked, near = None, Fraction(1)
    for step in itertools.count():
        price = 1 - speed * step
        equity, margin = Fraction(1, leverage) - speed * step, rate * price
        near = min(near, abs(equity - margin), abs(equity - below * margin))
        if asked is None and equity < below * margin:
            asked = step
        if equity <= margin:
            assert asked is not None
            return asked, step, near
    raise AssertionError


@FEW
@given(
    below=st.integers(2, 5),
    cases=st.lists(
        st.tuples(st.integers(8, 20), st.integers(4, 12), st.integers(30, 80), st.integers(-3, 3)),
        min_size=5,
        max_size=8,
    ),
)
@example(below=4, cases=[(10, 10, 40, -2), (10, 10, 40, 0), (10, 10, 40, 1), (10, 10, 40, 2)])
def test_t7_a_hedge_survives_if_the_transfer_is_faster_than_the_fall(below: int, cases: list[Hedges]) -> None:
    """Leverage, maintenance rate in thousandths, fall a second in ten thousandths, and how much later than in time money comes.

    Money that is asked for at the end of step k arrives before the margin of step k + delay is looked at: the leg survives
    iff that is not after the step at which it breaches. In continuous time: iff g tau < u_liq - u_r.
    """
    book = Book()
    seconds: dict[str, float] = {"default": 1}
    shock: dict[str, Any] = {}
    survives: list[bool] = []
    last = 0
    for number, (leverage, thousandths, speed_of, spare) in enumerate(cases):
        rate, speed = Fraction(thousandths, 1000), Fraction(speed_of, 10_000)
        asked, breach, near = first_steps(leverage, rate, speed, Fraction(below))
        # what arrives carries the leg past the last step only if it is more than a second's fall
        assume(near > Fraction(1, 10**9) and asked > 0 and below * rate > 2 * speed)
        delay = breach - asked + spare
        assume(delay > 0)
        base, here, there = f"X{number}", f"a{number}", f"b{number}"
        for venue in (here, there):
            book.contract(
                venue=venue, contract="C", base=base, depth=1e15, lot=0.001, tiers=((0.0, None, float(rate), 0.0),)
            )
            book.maker(venue)
        book.trader(f"long{number}", 1000.0, 1.0, 1000.0 / leverage, venue=here, owner=f"fund{number}")
        book.trader(f"short{number}", -1000.0, 1.0, 3000.0, venue=there, owner=f"fund{number}")
        seconds[f"{there}>{here}"] = delay
        # the relative price falls by `speed` a second to the step at which the leg breaches, and stays there
        shock[base] = [[second, math.log(1 - speed * second)] for second in range(breach + 1)]
        survives.append(spare <= 0)
        last = max(last, breach + 4)
        # the design's closed form, to the second in which a step is looked at
        u_liq = (Fraction(1, leverage) - rate) / (1 - rate)
        u_r = (Fraction(1, leverage) - below * rate) / (1 - below * rate)
        if survives[-1]:
            assert speed * (delay - 1) < u_liq - u_r
        else:
            assert speed * (delay + 1) > u_liq - u_r
    result = replay(
        book, shock, clock={"step_seconds": 1, "steps": last},
        owners={"top_up_below": below, "top_up_to": 2 * below, "transfer_seconds": seconds},
    )  # fmt: skip
    rows = {row["owner_id"]: row for row in result.table("stress_owner").to_pylist()}
    for number, survived in enumerate(survives):
        row = rows[f"fund{number}"]
        assert (row["leg_lost_to"] is None) == survived
        assert row["transfers_late"] == (0 if survived else 1)
        assert (row["naked_usd_seconds"] > 0) != survived


@pytest.mark.parametrize(("shock", "fallen"), [(0.10, 2), (0.108, 1)])
def test_with_a_backstop_a_larger_shock_may_liquidate_fewer(shock: float, fallen: int, tmp_path: Path) -> None:
    # A breaches at 0.10 and is taken over at 0.1067; B breaches at 0.145; each is worth 0.05 of the depth
    rate, first, second = 0.02, math.exp(-0.10 + 1e-9), math.exp(-0.145)
    taken = math.exp(-0.1067)
    ratio = (rate * first - (first - taken)) / (rate * taken)
    book = Book()
    book.contract(depth=1e7, tiers=((0.0, None, rate, 0.0),))
    book.maker()
    for name, breach in (("A", first), ("B", second)):
        book.trader(name, 5e5, 1.0, 5e5 * (1 - breach) + rate * 5e5 * breach)
    result = play(book, tmp_path / "b", -shock, venues={"default": {"liquidation": {"backstop_ratio": ratio}}})
    row = only(result)
    assert row["liquidated_accounts"] == fallen
    assert row["backstop_usd"] == (0 if fallen == 2 else 5e5)


def test_winners_also_bring_what_a_fund_loses_on_older_lots(tmp_path: Path) -> None:
    """A fund holds 100 lots at .8 and is asked for 100 of its 200 after 100 more came at .5, with 20 USD missing.

    What it gives cost (80 + 50) / 2 = 65 USD and is worth 50: that loss is somebody's, and there are winners. So they bring
    20 + 15 USD, and nobody else pays; the fund is left with 100 lots that cost 65.
    """
    book = Book()
    book.contract(depth=1e12)
    book.trader("early", 100, 1.0, 19.0)
    book.trader("late", 100, 1.0, 30.0)
    book.trader("w1", -150, 1.2, 300.0)
    book.trader("w2", -50, 1.3, 300.0)
    book.add("fund", venue="v", pool="p", contract=None, balance=1.0, mode="cash_pool")
    rules = {"default": {"liquidation": {"backstop_ratio": 0}, "adl": {"policy": "pro_rata"}}}
    path = {"all": [[0, 0], [1, math.log(0.8)], [2, math.log(0.5)]]}
    result = play(book, tmp_path / "b", path, clock={"step_seconds": 1, "steps": 2}, venues=rules)
    row = only(result)
    assert row["deficit_usd"] == pytest.approx(1 + 20, abs=2e-6)
    assert row["fund_paid_usd"] == pytest.approx(1, abs=2e-6)
    assert row["adl_haircut_usd"] == pytest.approx(20 + 15, abs=2e-6)
    assert row["socialised_usd"] <= 2e-6
    assert sum(row["quantity"] for row in result.table("stress_adl").to_pylist()) == -100


@pytest.mark.parametrize(
    ("price", "mark", "quantity", "entry"),
    [("bankruptcy", 81_230, 1001.0, 82_000.0), ("mark", 123_110, -1001.0, 123_109.5)],
)
def test_coins_are_rounded_to_their_own_unit(
    price: str, mark: float, quantity: float, entry: float, tmp_path: Path
) -> None:
    """A unit of 1e-8 BTC is 812.3 micro-USD at 81,230 USD: half of it is no winner's loss, nor money that nobody called."""
    book = Book()
    book.inverse("BTC", 1e5)
    book.maker()

    def account(name: str, lots: float, bought_at: float, coins: float) -> None:
        book.add("account", account_id=name, owner_id=name, venue="v", kind="trader", margin_mode="isolated")
        book.add("collateral", account_id=name, asset="BTC", amount=coins, price=1e5, contract="I")
        book.add("position", account_id=name, venue="v", contract="I", quantity=lots, entry_price=bought_at)

    # what the loser loses in coins, and 1e-5 of a coin is missing
    account("bankrupt", quantity, 1e5, quantity / mark - quantity / 1e5 - 1e-5)
    for number in range(31):
        account(f"w{number}", -math.copysign(101.0 + 2 * number, quantity), entry, 1.0)
    rules = {"default": {"liquidation": {"backstop_ratio": 0}, "adl": {"policy": "pro_rata", "price": price}}}
    result = play(book, tmp_path / "b", math.log(mark / 1e5), venues=rules)
    assert result.table("stress_adl").num_rows
    assert not any(result.residuals.values())
