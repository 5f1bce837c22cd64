"""Ten random cells of each crowding and liquidity mart, recomputed from raw files by loops that share nothing with the models.

A percentile rests on a year of its contract, and the market's score on a year of all. In the demo, which has four hundred
contracts, cells are of one venue drawn at random; the real files are few enough for all.
"""

from collections.abc import Callable, Mapping
from typing import Any

import crowding_cells
import liquidity_cells
import pytest
from choosing import compare, draw_values

from built_homes import Built

KEYS = {
    "fct_basis": ["venue", "venue_symbol", "basis_date"],
    "fct_early_warning": ["venue", "venue_symbol", "crowding_date"],
    "fct_early_warning_backtest": ["event_id", "venue", "venue_symbol", "horizon_days"],
    "fct_liquidity": ["venue", "venue_symbol", "hour_start_at"],
}
RECOMPUTED: dict[str, Callable[..., Mapping[str, Any]]] = {
    "fct_basis": crowding_cells.basis_row,
    "fct_early_warning": crowding_cells.early_warning_row,
    "fct_early_warning_backtest": crowding_cells.backtest_row,
    "fct_liquidity": liquidity_cells.liquidity_row,
}


def check(built: Built, mart: str, **how: Any) -> None:
    """Compare cells of a home with what its raw files give."""
    raw = built.home.raw
    compare(built.home, mart, KEYS[mart], lambda key: RECOMPUTED[mart](raw, *key.values()), **how)


@pytest.mark.xdist_group("demo")
@pytest.mark.slow
@pytest.mark.parametrize("mart", ["fct_basis", "fct_liquidity"])
def test_cells_of_the_demo(demo: Built, mart: str) -> None:
    check(demo, mart)


@pytest.mark.xdist_group("demo")
@pytest.mark.slow
@pytest.mark.parametrize("mart", ["fct_early_warning", "fct_early_warning_backtest"])
def test_cells_of_a_venue_of_the_demo(demo: Built, mart: str) -> None:
    check(demo, mart, where={"venue": draw_values(demo.home, "fct_early_warning", "venue", 1)})


@pytest.mark.xdist_group("real")
@pytest.mark.real
@pytest.mark.parametrize("mart", KEYS)
def test_cells_of_the_real_files(real: Built, mart: str) -> None:
    check(real, mart, may_be_empty=["fct_liquidity"])
