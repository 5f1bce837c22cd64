"""Ten random cells of each structure mart, recomputed from the raw files by loops that share nothing with the models."""

from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
import structure_cells
from choosing import choose_cells, compare

from built_homes import Built

KEYS = {
    "fct_adl": ["venue", "venue_symbol", "bar_start_at"],
    "fct_insurance_fund": ["venue", "product", "pool", "asset", "fund_date"],
    "fct_liquidation_map": ["venue", "venue_symbol", "map_date", "price_bin", "side", "leverage"],
}


# A level a few thousandths from the price has a distance with three digits less than the level, of whose parts the marts keep
# ten places of the quantity and six of the dollar.
TOLERANCES = {"fct_liquidation_map": 1e-8}


def row_of_map(raw: Path, venue: str, symbol: str, map_date: date, *place: Any) -> dict[str, Any]:
    """A row of fct_liquidation_map by its key."""
    return structure_cells.liquidation_map(raw, venue, symbol, map_date)[place]


RECOMPUTED: dict[str, Callable[..., dict[str, Any]]] = {
    "fct_adl": structure_cells.adl_row,
    "fct_insurance_fund": structure_cells.insurance_fund_row,
    "fct_liquidation_map": row_of_map,
}


def check(built: Built, mart: str, **how: Any) -> None:
    """Compare cells of a home with what its raw files give."""
    raw, tolerance = built.home.raw, TOLERANCES.get(mart, 1e-9)
    compare(built.home, mart, KEYS[mart], lambda key: RECOMPUTED[mart](raw, *key.values()), tolerance=tolerance, **how)


@pytest.mark.xdist_group("demo")
@pytest.mark.slow
@pytest.mark.parametrize("mart", KEYS)
def test_cells_of_the_demo(demo: Built, mart: str) -> None:
    check(demo, mart)


@pytest.mark.xdist_group("real")
@pytest.mark.real
@pytest.mark.parametrize("mart", KEYS)
def test_cells_of_the_real_files(real: Built, mart: str) -> None:
    check(real, mart, may_be_empty=["fct_insurance_fund", "fct_liquidation_map"])


@pytest.mark.xdist_group("demo")
@pytest.mark.slow
def test_a_liquidation_map_of_the_demo_has_these_rows_and_no_other(demo: Built) -> None:
    mart, names = "fct_liquidation_map", KEYS["fct_liquidation_map"]
    rows = pq.read_table(demo.home.published / "parquet" / f"{mart}.parquet", columns=names).to_pylist()
    for cell in choose_cells(demo.home, mart, names, 3, columns=["notional_usd"]):
        contract = [cell.key[name] for name in names[:3]]
        published = {
            tuple(row[name] for name in names[3:]) for row in rows if [row[name] for name in names[:3]] == contract
        }
        assert published == structure_cells.liquidation_map(demo.home.raw, *contract).keys(), contract
