"""The comparison of cells itself: what it takes for the same, and that one changed value is noticed."""

from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from choosing import Cell, Key, check_cells, choose_cells, is_same

from dagster_project.lib.home import Home

DAYS = [date(2025, 10, day) for day in range(1, 31)]


def amount(day: date) -> float | None:
    """What the table holds for a day; every third day nothing."""
    return None if day.day % 3 == 0 else day.day / 7


@pytest.fixture
def cells(tmp_path: Path) -> list[Cell]:
    """Ten cells of a table of thirty days."""
    made = Home(tmp_path / "home")
    folder = made.published / "parquet"
    folder.mkdir(parents=True)
    pq.write_table(pa.table({"day": DAYS, "amount": [amount(day) for day in DAYS]}), folder / "fct_made.parquet")
    return choose_cells(made, "fct_made", ["day"])


def recompute(key: Key) -> dict[str, Any]:
    return {"amount": amount(key["day"])}


def test_cells_that_are_the_same_pass(cells: list[Cell]) -> None:
    assert len(cells) == 10
    assert sum(cell.value is not None for cell in cells) >= 5
    check_cells(cells, recompute)


@pytest.mark.parametrize("changed", [0, 9])
def test_one_changed_value_is_noticed(cells: list[Cell], changed: int) -> None:
    value = cells[changed].value
    cells[changed] = replace(cells[changed], value=1.0 if value is None else value * (1 + 1e-8))  # type: ignore[operator]
    with pytest.raises(AssertionError, match=r"1 of 10 cells differ \(DELEVER_CELLS_SEED=\d+\)"):
        check_cells(cells, recompute)


@pytest.mark.parametrize(
    ("published", "computed", "same"),
    [
        (0.1 + 0.2, 0.3, True),
        (1.0, 1.0 + 1e-8, False),
        (None, None, True),
        (None, 0.0, False),
        (0.0, None, False),
        (3, 4, False),
        ("complete", "partial", False),
        (date(2025, 10, 10), date(2025, 10, 10), True),
    ],
)
def test_unknown_is_no_zero_and_doubles_may_differ_by_a_billionth(
    published: object, computed: object, same: bool
) -> None:
    assert is_same(published, computed) is same
