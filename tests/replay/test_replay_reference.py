"""The engine against a simulator with 60 digits, on random one-sided books of isolated accounts."""

from __future__ import annotations

import random
import tempfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from replay_books import Book, rules, scenario
from replay_reference import Market, simulate

from dagster_project.replay.engine import ReplayInputError, ReplayResult, run_replay

TIER_SETS = (
    ((0.0, None, 0.0, 0.0),),
    ((0.0, None, 0.05, 0.0),),
    ((0.0, 2000.0, 0.01, 0.0), (2000.0, 9000.0, 0.025, 30.0), (9000.0, 40000.0, 0.1, 705.0)),
    # a rate that falls with size is unusual but continuous, hence legal
    ((0.0, 3000.0, 0.04, 0.0), (3000.0, None, 0.02, -60.0)),
)


def random_book(seed: int) -> Book:
    """A book with two venues, several contracts, tiers, ties, both signs, makers, funds; all solvent at t0 or not."""
    rng = random.Random(seed)  # noqa: S311 - a sample, not a secret
    book = Book()
    number = 0
    for venue in ("alpha", "beta")[: rng.randint(1, 2)]:
        book.maker(venue)
        for contract in ("BTCUSDT", "ETHUSDT", "XUSDT")[: rng.randint(1, 3)]:
            index = rng.choice((1.0, 20.0, 250.0, 1234.5))
            book.contract(
                venue, contract, base=contract[:3], tier=rng.choice(("major", "mid", "tail")), lot=0.001, index=index,
                beta=rng.choice((1.0, 0.5, 1.7)), depth=rng.choice((5e3, 2e4, 1e5, 3.3e5)), tiers=rng.choice(TIER_SETS),
            )  # fmt: skip
            for _ in range(rng.randint(0, 14)):
                notional = rng.choice((150.0, 1000.0, 4000.0, 12000.0, 50000.0))
                quantity = round(notional / index, 3) * rng.choice((1, 1, -1))
                entry = round(index * rng.uniform(0.9, 1.1), 2)
                # enough to be solvent at t0 in most books, sometimes hardly
                gain = abs(quantity) * index * 0.13 + quantity * (entry - index)
                collateral = round(max(0.0, gain) + notional * rng.choice((0.001, 0.02, 0.05, 0.1, 0.3)), 2)
                for copy in range(rng.choice((1, 1, 1, 2, 3))):
                    number += 1
                    size = rng.choice((1, 2)) if copy else 1  # a copy of twice the size is a tie as well
                    book.trader(
                        f"t{number:03d}", round(quantity * size, 3), entry, round(collateral * size, 2), venue,
                        contract, mode="isolated", kind=rng.choice(("trader", "trader", "vault")),
                    )  # fmt: skip
        for pool, contract in (("wide", None), ("own", "BTCUSDT")):
            if rng.random() < 0.6:
                book.add(
                    "fund", venue=venue, pool=pool, contract=contract, balance=rng.choice((0.0, 5.0, 400.0, 1e6)),
                    mode="cash_pool",
                )  # fmt: skip
    if not book.rows["position"]:
        book.trader("t000", 1.0, 1.0, 1.0, "alpha", "BTCUSDT")
    return book


def replay(book: Book, content: dict[str, Any], **options: Any) -> ReplayResult:
    with tempfile.TemporaryDirectory() as folder:
        return run_replay(book.write(Path(folder) / "book"), content, **options)


def compare(book: Book, result: ReplayResult, markets: list[Market], balances: dict[tuple[str, str], int]) -> None:
    outcome = result.table("stress_outcome").to_pylist()
    assert [(row["venue"], row["contract"]) for row in outcome] == [(m.venue, m.contract) for m in markets]
    for row, market in zip(outcome, markets, strict=True):
        fallen = [h for h in market.holdings if not h.is_alive]
        slack = 1e-6 * (1 + len(fallen))
        assert row["liquidated_accounts"] == len(fallen)
        assert row["rounds_max"] == market.rounds
        assert row["liquidated_long_usd"] + row["liquidated_short_usd"] == pytest.approx(
            float(sum(market.sizes)), rel=1e-12, abs=slack
        )
        # A short squeezed by many log units ends at a price of which a double holds 16 digits only; what the fund pays is
        # the deficit, with the same digits.
        assert row["deficit_usd"] == pytest.approx(sum(h.deficit_micro for h in fallen) / 1e6, rel=1e-14, abs=slack)
        growth = [float(b / a) for a, b in zip(market.sizes, market.sizes[1:], strict=False)]
        assert row["branching_ratio_max"] == pytest.approx(max(growth, default=0.0))
    path = result.table("stress_path").to_pylist()
    for row, market in zip(path, markets, strict=True):
        assert row["book_price"] == pytest.approx(float(market.price), rel=1e-12)
        assert abs(row["displacement"]) == pytest.approx(float(market.displacement), rel=1e-9, abs=1e-12)

    owners = {
        (row["owner_id"], row["base_asset"]): row
        for row in result.table("stress_owner").to_pylist()
        if row["cohort"] != "maker"
    }
    expected = {(h.account, m.contract[:3]): (h, m) for m in markets for h in m.holdings}
    assert set(owners) == set(expected)
    for key, (holding, market) in expected.items():
        before = float(holding.collateral + holding.quantity * (market.index - holding.entry))
        if holding.is_alive:
            after = float(holding.collateral + holding.quantity * (market.price - holding.entry))
        else:
            after = max(0, holding.cash_micro) / 1e6
        assert (owners[key]["leg_lost_to"] == "liquidation") is not holding.is_alive
        assert owners[key]["equity_lost_usd"] == pytest.approx(before - after, rel=1e-13, abs=1.01e-6), key
    if any(h.fee_micro for market in markets for h in market.holdings if not h.is_alive):
        return  # the simulator's pools pay once, after all fees; the engine's pay round by round
    left = {(row["venue"], row["pool"]): row["balance_usd"] for row in result.table("stress_fund").to_pylist()}
    fills = sum(not h.is_alive for m in markets for h in m.holdings)
    for pool, balance in balances.items():
        assert left[pool] == pytest.approx(balance / 1e6, rel=0, abs=1e-6 * (1 + fills))


@settings(max_examples=30, deadline=None, database=None)
@given(
    seed=st.integers(0, 10**9),
    move=st.sampled_from((-0.3, -0.12, -0.05, 0.0, 0.04, 0.1, 0.25)),
    law=st.sampled_from((("linear", 0.0), ("sqrt", 0.0004))),
    fee_rate=st.sampled_from((0.0, 0.0005, 0.01)),
)
def test_random_books_agree_with_the_slow_reference(
    seed: int, move: float, law: tuple[str, float], fee_rate: float
) -> None:
    book = random_book(seed)
    impact: dict[str, Any] = {"law": law[0]}
    if law[0] == "sqrt":
        impact["coefficient"] = law[1]
    content = scenario(
        {"driver": book.rows["contract"][0]["base_asset"], "path": [[0, move]]}, impact=impact, venues=rules(fee_rate)
    )
    try:
        result = replay(book, content)
    except ReplayInputError as refused:
        markets, _ = simulate(book, move, law=law[0], k=law[1], fee_rate=fee_rate)
        if "25 log units" in str(refused):
            assert any(abs(market.move) + market.displacement > 24.9 for market in markets)
        else:
            assert "beyond 9e12 USD" in str(refused)
            # prices of which a billionth of the largest position is beyond what an amount may be
            assert any(market.displacement > 12 for market in markets)
        return
    try:
        wanted = simulate(book, move, law=law[0], k=law[1], fee_rate=fee_rate)
    except AssertionError as other:
        assert "one-sided" in str(other)
        return
    compare(book, result, *wanted)


def test_a_tie_is_one_atom_whatever_the_sizes(tmp_path: Path) -> None:
    # three thresholds at the same price: 1, 2 and 7 times the same position; the flow of one alone would not reach more
    book = Book()
    book.contract(depth=1000.0, index=100.0, lot=0.001)
    book.maker()
    for number, size in enumerate((1.0, 2.0, 7.0)):
        book.trader(f"a{number}", size, 100.0, 5.0 * size)
    book.trader("b", 1.0, 100.0, 70.0)  # falls only if all three were sold: 1000 USD in a depth of 1000
    result = run_replay(book.write(tmp_path / "b"), scenario(-0.0513))
    row = result.table("stress_outcome").to_pylist()[0]
    assert row["liquidated_accounts"] == 3
    assert row["rounds_max"] == 1
    result = run_replay(book.write(tmp_path / "b"), scenario(-0.3))
    assert result.table("stress_outcome").to_pylist()[0]["liquidated_accounts"] == 4
    assert result.table("stress_outcome").to_pylist()[0]["rounds_max"] == 2


def test_the_shared_pool_pays_earlier_rounds_first_and_one_round_in_proportion(tmp_path: Path) -> None:
    book = Book()
    book.maker()
    for contract in ("A", "B", "C"):
        book.contract(contract=contract, depth=1e9 if contract != "C" else 3000.0, index=100.0)
    book.trader("a", 10.0, 100.0, 100.0, contract="A")
    book.trader("b", 20.0, 100.0, 200.0, contract="B")  # the same distance as a, twice the deficit
    book.trader("c", 10.0, 100.0, 100.0, contract="C")
    book.trader("d", 1.0, 100.0, 40.0, contract="C")  # only falls after c was sold into its thin book
    book.add("fund", venue="v", pool="p", contract=None, balance=300.0, mode="cash_pool")
    result = run_replay(book.write(tmp_path / "b"), scenario(-0.3))
    owed = {
        row["account_id"]: row["deficit_usd"]
        for row in result.table("stress_event").to_pylist()
        if row["kind"] == "deficit"
    }
    rows = {row["contract"]: row for row in result.table("stress_outcome").to_pylist()}
    first = owed["a"] + owed["b"] + owed["c"]
    assert rows["C"]["rounds_max"] == 2
    assert owed["d"] > 0
    assert owed["b"] == pytest.approx(2 * owed["a"], rel=1e-4)
    for contract, account in (("A", "a"), ("B", "b"), ("C", "c")):
        assert rows[contract]["fund_paid_usd"] == pytest.approx(300.0 * owed[account] / first, abs=1e-5)
    assert rows["C"]["socialised_usd"] == pytest.approx(owed["c"] * (1 - 300.0 / first) + owed["d"], abs=1e-5)
