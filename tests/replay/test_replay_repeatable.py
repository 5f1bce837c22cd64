"""Laws over random worlds with all features on: the same output whatever the order and the machine (I7), money scaled (I8)."""

from __future__ import annotations

import copy
import itertools
import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest
from random_worlds import random_world
from replay_books import Book, scenario
from tampered_sql import tamper

from dagster_project.replay.engine import ReplayResult, run_replay

SEEDS = (0, 3, 7, 8, 9, 12, 13, 16, 17, 18, 26, 29)
"""Worlds of at most three steps, with every policy, both laws of impact and one to three venues."""

LOW_MEMORY = "96MB"
"""A world with all features has so many small tables, of which each takes whole blocks, that some do not finish within 64 MB."""


def replay(book: Book, content: dict[str, Any], form: str = "parquet", **options: Any) -> ReplayResult:
    with tempfile.TemporaryDirectory() as folder:
        return run_replay(book.write(Path(folder) / "book", form), content, **options)


def changed(book: Book, content: dict[str, Any], variants: Iterable[dict[str, Any]]) -> list[str]:
    """I7: result tables that are not those of one thread, row for row, when rows are shuffled and options vary."""
    plain = replay(book, content, threads=1)
    faults = []
    for number, options in enumerate(variants):
        other = replay(book.shuffled(number), content, **options)
        assert (other.run_id, other.tables) == (plain.run_id, plain.tables)
        faults += [f"{name}: {options}" for name in plain.tables if not other.table(name).equals(plain.table(name))]
    return faults


@pytest.mark.parametrize("seed", SEEDS)
def test_i7_a_world_is_the_same_for_any_row_order_threads_and_memory(seed: int) -> None:
    book, content = random_world(seed)
    variants = ({"threads": 4, "form": "csv"}, {"threads": 2, "memory_limit": LOW_MEMORY})
    assert changed(book, content, variants) == []


def test_i7_notices_what_goes_by_the_order_of_rows(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two equal winners, of whom one gives the only lot: who comes first by name, not who stands first in the file."""
    book = Book()
    book.contract(index=100.0, lot=0.1, depth=1e9)
    book.maker()
    book.trader("bankrupt", 0.1, 100.0, 1.0)
    for name in ("w1", "w2", "w3", "w4"):
        book.trader(name, -0.1, 100.0, 50.0)
    venues = {"default": {"liquidation": {"backstop_ratio": 0}, "adl": {"policy": "pro_rata"}}}
    content = scenario(-0.16, venues=venues)
    variants = [{"threads": 1}] * 2
    assert changed(book, content, variants) == []
    tamper(
        monkeypatch, "15_unit",
        "row_number() over (order by account_id, contract_no nulls first, venue)", "row_number() over ()",
    )  # fmt: skip
    assert any(fault.startswith("stress_adl") for fault in changed(book, content, variants))


MONEY = {"naked_usd_seconds", "depth_min", "depth"}
"""Columns of money whose names do not end in _usd."""


def scaled(seed: int, root: int) -> tuple[Book, dict[str, Any]]:
    """Return a world with root * root times the money: lots, contracts and prices stay as they are.

    `root` is a power of two: its square, and what the square root of notional makes of it, then scale doubles exactly.
    """
    book, content = random_world(seed)
    book, content, factor = copy.deepcopy(book), copy.deepcopy(content), float(root * root)
    inverse = {(row["venue"], row["contract"]) for row in book.rows["contract"] if row["contract_type"] == "inverse"}
    for row in book.rows["contract"]:
        # an inverse contract is worth more USD; of a linear one a lot is more
        row["contract_value" if row["contract_type"] == "inverse" else "lot_size"] *= factor
    for row in book.rows["position"]:
        if (row["venue"], row["contract"]) not in inverse:
            row["quantity"] *= factor
    columns = {
        "collateral": ("amount",), "depth": ("depth",), "fund": ("balance",),
        "margin_tier": ("notional_floor", "notional_cap", "maintenance_amount"),
    }  # fmt: skip
    for table, names in columns.items():
        for row, name in itertools.product(book.rows[table], names):
            if row[name] is not None:
                row[name] *= factor
    impact = content["impact"]
    impact |= {"coefficient": impact["coefficient"] / root} if "coefficient" in impact else {}
    for market in impact.get("markets", {}).values():
        market["adv_usd"] *= factor
    for rules in (venue["liquidation"] for venue in content["venues"].values()):
        rules |= {"partial_above_usd": rules.get("partial_above_usd", 0) * factor}
    return book, content


LARGE, LARGER = 2**8, 2**9
"""Worlds of some 10,000 USD made 65,536 and 262,144 times as large: a micro-USD is then 1e-15 of them."""


def not_in_proportion(seed: int) -> list[str]:
    """I8: columns of result tables that are not the same, or in proportion where they are money."""
    plain, more = (replay(*scaled(seed, root), threads=1) for root in (LARGE, LARGER))
    factor = (LARGER / LARGE) ** 2
    linear = {
        (row["venue"], row["contract"])
        for row in random_world(seed)[0].rows["contract"] if row["contract_type"] == "linear"
    }  # fmt: skip
    # a micro-USD a rounding, and an event has a handful
    rounding = 1e-5 * (1 + plain.table("stress_event").num_rows) * factor
    faults = []
    for name in plain.tables:
        rows, others = plain.table(name).to_pylist(), more.table(name).to_pylist()
        if len(rows) != len(others):
            faults.append(f"{name}: rows")
            continue
        for row, other in zip(rows, others, strict=True):
            for column, value in row.items():
                if column in {"run_id", "scenario_hash", "book_hash"}:
                    continue
                is_quantity = column == "quantity" and (row["venue"], row["contract"]) in linear
                # the score of this policy is the profit by which it shares
                is_profit = column == "score" and row.get("policy") == "capped_pro_rata"
                is_money = column.endswith("_usd") or column in MONEY or is_quantity or is_profit
                if isinstance(value, float):
                    wanted, slack = (value * factor, rounding) if is_money else (value, 1e-11)
                    same = other[column] == pytest.approx(wanted, rel=1e-9, abs=slack)
                else:
                    same = other[column] == value
                if not same:
                    faults.append(f"{name}.{column}: {value} {other[column]}")
    return faults


@pytest.mark.parametrize("seed", (9, 22, 26, 33))
def test_i8_a_world_with_more_money_is_the_same_world(seed: int) -> None:
    assert not_in_proportion(seed) == []


def test_i8_notices_a_fee_of_a_fixed_amount(monkeypatch: pytest.MonkeyPatch) -> None:
    tamper(monkeypatch, "60_fill", "round(f.fee_rate * abs(f.usd))::bigint", "least(1000000000, abs(f.usd))::bigint")
    assert any(fault.startswith("stress_event.fee_usd") for fault in not_in_proportion(33))
