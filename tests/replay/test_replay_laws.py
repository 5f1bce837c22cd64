"""Closed forms of time, several venues, deleveraging and hedges (T4 to T7), and laws of deleveraging and of the backstop."""

from __future__ import annotations

import itertools
import math
import random
from pathlib import Path
from typing import Any

import pytest
from replay_books import Book, only, scenario

from dagster_project.replay.engine import ReplayResult, run_replay


def play(book: Book, folder: Path, shock: Any, **sections: Any) -> ReplayResult:
    return run_replay(book.write(folder), scenario(shock, **sections))


@pytest.mark.parametrize("step_seconds", [1.0, 0.25])
def test_t4_a_constant_flow_meets_resilience(step_seconds: float, tmp_path: Path) -> None:
    # The mark is the index (own_book_weight 0, no composite), so the fall of one account a step is not fed back.
    kappa, depth, notional, steps = 0.3, 1e6, 1000.0, 20
    book = Book()
    book.contract(depth=depth)
    book.maker()
    for number in range(steps):
        distance = 0.001 * (number + 0.5)
        book.trader(f"a{number:03d}", notional, 1.0, -notional * math.expm1(-distance))
    path = [[0, 0], [steps * step_seconds, -0.001 * steps]]
    result = play(
        book, tmp_path / "b", {"all": path}, clock={"step_seconds": step_seconds, "steps": steps},
        impact={"decay_per_second": kappa}, mark={"own_book_weight": 0},
    )  # fmt: skip
    kept = math.exp(-kappa * step_seconds)
    flow = notional / step_seconds
    for row in result.table("stress_path").to_pylist()[1:]:
        step = row["step"]
        assert row["displacement"] == pytest.approx(notional / depth * (1 - kept**step) / (1 - kept), abs=1e-10)
        # the continuous form is met to first order in the step: a step's flow comes at once, at its end
        continuous = flow * (1 - math.exp(-kappa * row["seconds"])) / (kappa * depth)
        assert abs(row["displacement"] / continuous - 1) <= kappa * step_seconds


VENUES = (("a", 0.5, 0.5), ("b", 1.4, 0.3), ("c", 0.3, 0.2))


def marks(shock: float, theta: float, start: float) -> dict[str, float]:
    """T5: u = s + K (u - a), by iteration."""
    u = dict.fromkeys("abc", 0.0)
    for _ in range(5000):
        pushed = {venue: rho * max(0.0, u[venue] - start) for venue, rho, _ in VENUES}
        index = sum(weight * pushed[venue] for venue, _, weight in VENUES)
        u = {venue: shock + (1 - theta) * pushed[venue] + theta * index for venue, _, _ in VENUES}
    return u


@pytest.mark.parametrize(("theta", "shock", "radius"), [(0.5, 0.005, 0.966), (1.0, 0.02, 0.73)])
def test_t5_venues_tied_by_a_common_index(theta: float, shock: float, radius: float, tmp_path: Path) -> None:
    count, width = 400, 0.4
    cell = width / count
    book = Book()
    for venue, rho, weight in VENUES:
        book.contract(venue=venue, contract=f"C{venue}", base="X", depth=1e6, lot=0.01)
        book.maker(venue)
        quantity = round(rho * 1e6 * cell, 2)
        for number in range(count):
            collateral = -quantity * math.expm1(-cell * (number + 0.5))
            book.trader(f"{venue}{number:04d}", quantity, 1.0, collateral, venue=venue, contract=f"C{venue}")
        book.add("index_weight", base_asset="X", venue=venue, weight=weight)
    result = play(book, tmp_path / "b", -shock, mark={"own_book_weight": 1 - theta})
    low, high = marks(shock, theta, cell / 2 + 1e-8), marks(shock, theta, -cell / 2 - 1e-8)
    for row in result.table("stress_path").to_pylist():
        assert low[row["venue"]] - 1e-8 <= -math.log(row["mark_price"]) <= high[row["venue"]] + 1e-8
    # the secant of uniform thresholds from 0 is their slope, to a cell over the distance
    assert result.summary["spectral_radius"] == pytest.approx(radius, abs=1e-3 + radius * cell / min(low.values()))


def deleveraged(
    tmp_path: Path, policy: str, shorts: dict[str, tuple[float, float]], wanted: float, **adl: Any
) -> dict[str, float]:
    """Quantities deleveraged where a bankrupt long of `wanted` has no fund; shorts: name to (quantity, collateral)."""
    book = Book()
    book.contract(index=100.0, lot=0.1, depth=1e9)
    book.maker()
    book.trader("bankrupt", wanted, 100.0, wanted * 100 * 0.1)
    for name, (quantity, collateral) in shorts.items():
        book.trader(name, -quantity, 100.0, collateral)
    rules = {"default": {"liquidation": {"backstop_ratio": 0}, "adl": {"policy": policy, **adl}}}
    result = play(book, tmp_path / policy, math.log(0.85), venues=rules)
    row = only(result)
    assert row["deficit_usd"] == pytest.approx(wanted * 5, abs=1e-6)
    assert row["adl_haircut_usd"] + row["socialised_usd"] == pytest.approx(row["deficit_usd"], abs=1e-6)
    return {row["account_id"]: -row["quantity"] for row in result.table("stress_adl").to_pylist()}


@pytest.mark.parametrize(
    ("policy", "taken"), [("queue", {"w1": 3.5, "w2": 4.0}), ("pro_rata", {"w1": 4.8, "w2": 2.4, "w3": 0.3})]
)
def test_t6_who_is_deleveraged(policy: str, taken: dict[str, float], tmp_path: Path) -> None:
    # profits in proportion to 8, 4 and 0.5; leverage puts the second first and the third last
    shorts = {"w1": (8.0, 400.0), "w2": (4.0, 40.0), "w3": (0.5, 500.0)}
    assert deleveraged(tmp_path, policy, shorts, 7.5) == pytest.approx(taken)


@pytest.mark.parametrize("policy", ["queue", "pro_rata", "capped_pro_rata", "risk_aware"])
def test_what_winners_lack_is_socialised(policy: str, tmp_path: Path) -> None:
    shorts = {"w1": (2.0, 400.0), "w2": (1.0, 40.0)}
    assert deleveraged(tmp_path, policy, shorts, 7.5) == pytest.approx({"w1": 2.0, "w2": 1.0})


@pytest.mark.parametrize("seed", range(4))
def test_i9_pro_rata_does_not_see_how_an_account_is_split(seed: int, tmp_path: Path) -> None:
    draw = random.Random(seed)  # noqa: S311 - a sample, not a secret
    shorts = {f"w{i}": (draw.randint(10, 90) / 10, 400.0) for i in range(5)}
    first, collateral = shorts["w0"]
    part = draw.randint(1, int(first * 10) - 1) / 10
    halves = {"w0": (part, collateral * part / first), "w0b": (round(first - part, 1), collateral * (1 - part / first))}
    whole = deleveraged(tmp_path / "whole", "pro_rata", shorts, 7.5)
    parts = deleveraged(tmp_path / "parts", "pro_rata", {**shorts, **halves}, 7.5)
    assert parts.get("w0", 0) + parts.get("w0b", 0) == pytest.approx(whole["w0"], abs=0.1 + 1e-9)
    for name in ("w1", "w2", "w3", "w4"):
        assert parts[name] == pytest.approx(whole[name], abs=0.1 + 1e-9)


@pytest.mark.parametrize("seed", range(4))
def test_i10_capped_pro_rata_keeps_the_order_of_winners(seed: int, tmp_path: Path) -> None:
    draw = random.Random(seed)  # noqa: S311 - a sample, not a secret
    book = Book()
    book.contract(index=100.0, lot=0.001, depth=1e9)
    book.maker()
    book.trader("bankrupt", 5.0, 100.0, 50.0)
    profits: dict[str, float] = {}
    for number in range(8):
        quantity, entry = draw.randint(1000, 9000) / 1000, 100.0 + draw.randint(0, 80)
        book.trader(f"w{number}", -quantity, entry, 1000.0)
        profits[f"w{number}"] = quantity * (entry - 85)
    rules = {"default": {"liquidation": {"backstop_ratio": 0}, "adl": {"policy": "capped_pro_rata"}}}
    result = play(book, tmp_path / "b", math.log(0.85), venues=rules)
    rows = {row["account_id"]: row for row in result.table("stress_adl").to_pylist()}
    assert -sum(row["quantity"] for row in rows.values()) == pytest.approx(5.0)
    after = {name: profit - (rows[name]["haircut_usd"] if name in rows else 0) for name, profit in profits.items()}
    order = sorted(profits, key=profits.__getitem__)
    # up to the haircut of one lot, in which shares are rounded
    assert only(result)["adl_inversions"] == 0
    slack = 2 * 0.001 * 5.0
    assert all(after[low] <= after[high] + slack for low, high in itertools.pairwise(order))


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


@pytest.mark.parametrize(("spare", "survives"), [(2, True), (-2, False)])
def test_t7_a_hedge_survives_if_the_transfer_is_faster_than_the_fall(
    spare: int, survives: bool, tmp_path: Path
) -> None:
    leverage, rate, speed, below = 10.0, 0.01, 0.002, 4.0
    liquidated = (1 / leverage - rate) / (1 - rate)
    asked = (1 / leverage - below * rate) / (1 - below * rate)
    delay = math.floor((liquidated - asked) / speed) - spare
    book = Book()
    for venue in ("a", "b"):
        book.contract(venue=venue, contract="C", base="X", depth=1e12, lot=0.001, tiers=((0.0, None, rate, 0.0),))
        book.maker(venue)
    book.trader("long", 1000.0, 1.0, 1000.0 / leverage, venue="a", owner="fund")
    book.trader("short", -1000.0, 1.0, 1000.0, venue="b", owner="fund")
    # the relative price falls by `speed` a second, past the liquidation price but not past what a transfer carries
    end = math.ceil(liquidated / speed) + 5
    path = [[second, math.log(1 - speed * second)] for second in range(end + 1)]
    result = play(
        book, tmp_path / "b", {"all": path}, clock={"step_seconds": 1, "steps": end + 5},
        owners={"top_up_below": below, "top_up_to": 2 * below, "transfer_seconds": delay},
    )  # fmt: skip
    (row,) = (row for row in result.table("stress_owner").to_pylist() if row["owner_id"] == "fund")
    assert (row["leg_lost_to"] is None) == survives
    assert row["transfers_late"] == (0 if survives else 1)
    assert (row["naked_usd_seconds"] > 0) != survives


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
