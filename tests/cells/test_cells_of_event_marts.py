"""Ten random cells of each event mart, recomputed from the raw files by loops that share nothing with the models.

A row of the summary that adds contracts up needs all bars of all of them. In the demo, which has a million, those rows are
of the two major assets of a venue; the real files are few enough for all.
"""

from collections.abc import Callable
from typing import Any

import event_cells
import pytest
from choosing import compare

from built_homes import Built

KEYS = {
    "fct_event_window": ["event_id", "venue", "venue_symbol", "bar_start_at"],
    "fct_event_summary": ["event_id", "scope", "venue", "venue_symbol", "tier"],
    "fct_event_synchrony": ["event_id", "bar_start_at"],
}
RECOMPUTED: dict[str, Callable[..., event_cells.Row]] = {
    "fct_event_window": event_cells.event_window_row,
    "fct_event_summary": event_cells.event_summary_row,
    "fct_event_synchrony": event_cells.event_synchrony_row,
}


def check(built: Built, mart: str, **how: Any) -> None:
    """Compare cells of a home with what its raw files give."""
    raw = built.home.raw
    compare(built.home, mart, KEYS[mart], lambda key: RECOMPUTED[mart](raw, *key.values()), **how)


@pytest.mark.xdist_group("demo")
@pytest.mark.slow
@pytest.mark.parametrize("mart", ["fct_event_window", "fct_event_synchrony"])
def test_cells_of_the_demo(demo: Built, mart: str) -> None:
    check(demo, mart)


@pytest.mark.xdist_group("demo")
@pytest.mark.slow
def test_cells_of_contracts_in_the_summary_of_the_demo(demo: Built) -> None:
    check(demo, "fct_event_summary", count=7, where={"scope": ["contract"]})


@pytest.mark.xdist_group("demo")
@pytest.mark.slow
def test_cells_of_sums_in_the_summary_of_the_demo(demo: Built) -> None:
    check(demo, "fct_event_summary", count=3, where={"scope": ["venue_tier"], "tier": ["major"]})


@pytest.mark.xdist_group("real")
@pytest.mark.real
@pytest.mark.parametrize("mart", KEYS)
def test_cells_of_the_real_files(real: Built, mart: str) -> None:
    check(real, mart, may_be_empty=["fct_event_synchrony"])


@pytest.mark.xdist_group("real")
@pytest.mark.real
def test_cells_of_sums_in_the_summary_of_the_real_files(real: Built) -> None:
    check(real, "fct_event_summary", where={"scope": ["venue_tier", "venue", "tier", "market"]})
