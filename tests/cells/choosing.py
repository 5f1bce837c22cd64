"""Which cells of a mart are recomputed, and when two values are the same. A cell is a row and a measure of it.

The draw is the same in every run; ``DELEVER_CELLS_SEED`` makes another one, and every failure names the seed that it had.
"""

import functools
import math
import os
import random
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest

from dagster_project.lib.home import Home

DEFAULT_SEED = 20251010
"""The day of the event, so that nobody looked for a seed that passes."""

Key = dict[str, Any]


@dataclass(frozen=True)
class Cell:
    """One value of a published mart, and the grain key of its row."""

    mart: str
    key: Key
    column: str
    value: object


def cells_seed() -> int:
    """Seed of the draw."""
    return int(os.environ.get("DELEVER_CELLS_SEED") or DEFAULT_SEED)


def choose_cells(
    home: Home,
    mart: str,
    keys: Sequence[str],
    count: int = 10,
    *,
    columns: Collection[str] = (),
    where: Mapping[str, Collection[object]] | None = None,
    seed: int | None = None,
) -> list[Cell]:
    """Cells of a published mart, drawn at random; at least half of them hold a value as long as the mart has any.

    Args:
        home: A home with a published snapshot.
        mart: Name of the table.
        keys: Columns of the grain, which are no measures.
        count: How many cells.
        columns: The measures to draw from; all but the keys if empty.
        where: Values that columns may have; rows with others are not drawn.
        seed: Of the random numbers; that of ``cells_seed`` if None.

    Returns:
        The cells, fewer only where the mart has no row.
    """
    path = home.published / "parquet" / f"{mart}.parquet"
    drawn = random.Random(f"{cells_seed() if seed is None else seed} {mart}")  # noqa: S311 - no secret is made of it
    measures = [name for name in pq.read_schema(path).names if name not in keys and (not columns or name in columns)]
    table = pq.read_table(path, columns=sorted({*keys, *(where or {})}))
    allowed = pa.array([True] * table.num_rows, pa.bool_())
    for column, values in (where or {}).items():
        allowed = pc.and_(allowed, pc.is_in(table[column], pa.array(list(values))))
    table = table.filter(allowed)

    @functools.cache
    def values_of(measure: str) -> pa.ChunkedArray:
        return pq.read_table(path, columns=[measure])[measure].filter(allowed)

    if not table.num_rows:
        return []
    places = [(drawn.randrange(table.num_rows), drawn.choice(measures)) for _ in range(count - count // 2)]
    empty: set[str] = set()
    while len(places) < count and len(empty) < len(measures):
        measure = drawn.choice(measures)
        known = pc.indices_nonzero(pc.is_valid(values_of(measure)))
        if len(known):
            places.append((known[drawn.randrange(len(known))].as_py(), measure))
        else:
            empty.add(measure)
    return [
        Cell(mart, {column: table[column][row].as_py() for column in keys}, measure, values_of(measure)[row].as_py())
        for row, measure in places
    ]


def is_same(published: object, computed: object, tolerance: float = 1e-9) -> bool:
    """Whether two values are the same: null is null, doubles are as near as `tolerance`, and the rest is equal."""
    if published is None or computed is None:
        return published is computed
    if isinstance(published, float) and isinstance(computed, int | float):
        return math.isclose(published, computed, rel_tol=tolerance, abs_tol=0.0)
    return published == computed


def check_cells(
    cells: Sequence[Cell], recompute: Callable[[Key], Mapping[str, object]], tolerance: float = 1e-9
) -> None:
    """Compare cells with an independent computation of their rows.

    Args:
        cells: As published.
        recompute: Measures of the row with that grain key.
        tolerance: Relative, for doubles.

    Raises:
        AssertionError: A value differs; the message names every one of them, and the seed.
    """
    differences = []
    for cell in cells:
        computed = recompute(cell.key)[cell.column]
        if not is_same(cell.value, computed, tolerance):
            differences.append(f"{cell.mart} {cell.key} {cell.column}: published {cell.value!r}, computed {computed!r}")
    seed = f"DELEVER_CELLS_SEED={cells_seed()}"
    assert not differences, f"{len(differences)} of {len(cells)} cells differ ({seed}):\n" + "\n".join(differences)


def compare(
    home: Home,
    mart: str,
    keys: Sequence[str],
    recompute: Callable[[Key], Mapping[str, object]],
    *,
    count: int = 10,
    columns: Collection[str] = (),
    where: Mapping[str, Collection[object]] | None = None,
    tolerance: float = 1e-9,
    may_be_empty: Collection[str] = (),
) -> None:
    """Draw cells of a mart of a home and compare them, as ``choose_cells`` and ``check_cells`` do.

    A mart without a row skips the test if the home is known to have none of it, and fails it otherwise.
    """
    cells = choose_cells(home, mart, keys, count, columns=columns, where=where)
    if not cells and mart in may_be_empty:
        pytest.skip(f"{mart} has no row in this home")
    assert cells, f"{mart} has no row"
    check_cells(cells, recompute, tolerance)


def draw_values(home: Home, mart: str, column: str, count: int, but: Collection[object] = ()) -> list[Any]:
    """Values of a column of a published mart, drawn at random: what a test reads instead of everything."""
    values = sorted(
        set(pq.read_table(home.published / "parquet" / f"{mart}.parquet", columns=[column])[column].to_pylist())
        - set(but)
    )
    drawn = random.Random(f"{cells_seed()} {mart} {column}")  # noqa: S311 - no secret is made of it
    return drawn.sample(values, min(count, len(values)))


def measures_of(home: Home, mart: str, but: Collection[str]) -> list[str]:
    """Columns of a published mart without some."""
    return [name for name in pq.read_schema(home.published / "parquet" / f"{mart}.parquet").names if name not in but]
