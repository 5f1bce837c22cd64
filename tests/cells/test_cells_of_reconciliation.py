"""Ten random computed figures and the verdicts of ten, recomputed from the raw files by loops that share nothing with the models.

A figure of all venues of the demo's year or of all its minutes takes half a minute here: those are drawn when a seed is asked
for (``DELEVER_CELLS_SEED``), and always from the real files, which are fewer.
"""

import os
from collections.abc import Collection

import pyarrow.parquet as pq
import pytest
import reconciliation_cells
from choosing import Key, check_cells, choose_cells

from built_homes import Built

WHOLE_MARKET = {
    *reconciliation_cells.PERIODS,
    *(name for name in reconciliation_cells.figures() if name.startswith(("peak_daily_volume", "btc_high"))),
    *reconciliation_cells.VENUE_VOLUMES,
    *(name for name in reconciliation_cells.figures() if name.startswith("open_interest_") and "2025" in name),
    "liquidations_2025",
    "liquidations_2025_headline",
    "long_tail_fall",
    "timeline_altcoin_lows",
    "open_interest_before_event",
    "open_interest_after_event",
}


def check(built: Built, column: str, left_out: Collection[str] = ()) -> None:
    """Compare a column of ten figures, all of them computed where the column is the computed value."""
    path = built.home.published / "parquet" / "fct_reconciliation.parquet"
    figures = {
        row["figure_id"]
        for row in pq.read_table(path).to_pylist()
        if row["figure_id"] not in left_out and (column != "computed_value" or row["computed_value"] is not None)
    }

    def recompute(key: Key) -> dict[str, object]:
        return reconciliation_cells.reconciliation_row(built.home.raw, key["figure_id"])

    where = {"figure_id": sorted(figures)}
    cells = choose_cells(built.home, "fct_reconciliation", ["figure_id"], columns=[column], where=where)
    check_cells(cells, recompute)


COLUMNS = ["computed_value", "ratio", "status", "coverage", "completeness"]


@pytest.mark.xdist_group("demo")
@pytest.mark.slow
@pytest.mark.parametrize("column", COLUMNS)
def test_figures_of_the_demo(demo: Built, column: str) -> None:
    check(demo, column, () if os.environ.get("DELEVER_CELLS_SEED") else WHOLE_MARKET)


@pytest.mark.xdist_group("real")
@pytest.mark.real
@pytest.mark.parametrize("column", COLUMNS)
def test_figures_of_the_real_files(real: Built, column: str) -> None:
    check(real, column)
