"""Ten random cells of each market mart, recomputed from the raw files by loops that share nothing with the models.

Tiers rest on the 90 days before of all venues, a cycle on all days since the first, and a year's bill on its every day. So that
no test reads a year of every venue, cells of the demo are of venues drawn at random or of the first weeks; the real files are
few enough for all.
"""

from collections.abc import Callable, Mapping
from datetime import date, timedelta
from typing import Any

import cycle_cells
import pytest
import share_cells
import tax_cells
from choosing import compare, draw_values, measures_of

from built_homes import Built

KEYS = {
    "fct_exchange_share": ["venue", "period_type", "period_start"],
    "fct_liquidation_tax": ["venue", "tier", "tax_date"],
    "fct_tax_concentration": ["venue", "tax_year"],
    "fct_open_interest_cycle": ["venue", "open_interest_date"],
}
RECOMPUTED: dict[str, Callable[..., Mapping[str, Any]]] = {
    "fct_exchange_share": share_cells.exchange_share_row,
    "fct_liquidation_tax": tax_cells.liquidation_tax_row,
    "fct_tax_concentration": tax_cells.tax_concentration_row,
    "fct_open_interest_cycle": cycle_cells.open_interest_cycle_row,
}
FIRST_WEEKS = [date(2025, 1, 1) + timedelta(days=number) for number in range(45)]
"""Days of the demo on which assets have the listed tier, and then the ranked one."""


def check(built: Built, mart: str, **how: Any) -> None:
    """Compare cells of a home with what its raw files give."""
    raw = built.home.raw
    compare(built.home, mart, KEYS[mart], lambda key: RECOMPUTED[mart](raw, *key.values()), **how)


@pytest.mark.xdist_group("demo")
@pytest.mark.slow
def test_cells_of_shares_of_the_demo(demo: Built) -> None:
    check(demo, "fct_exchange_share", where={"period_type": ["day", "month"]})


@pytest.mark.xdist_group("demo")
@pytest.mark.slow
def test_cells_of_the_tax_of_venues_of_the_demo(demo: Built) -> None:
    venues = draw_values(demo.home, "fct_liquidation_tax", "venue", 3, but=["market"])
    columns = measures_of(demo.home, "fct_liquidation_tax", but=["venue", "tier", "tax_date", "tier_basis"])
    check(demo, "fct_liquidation_tax", count=5, where={"venue": venues, "tier": ["all"]}, columns=columns)


@pytest.mark.xdist_group("demo")
@pytest.mark.slow
def test_cells_of_the_tax_of_tiers_of_the_demo(demo: Built) -> None:
    check(demo, "fct_liquidation_tax", count=10, where={"tax_date": FIRST_WEEKS})


@pytest.mark.xdist_group("demo")
@pytest.mark.slow
def test_cells_of_a_year_of_tax_of_the_demo(demo: Built) -> None:
    venues = draw_values(demo.home, "fct_tax_concentration", "venue", 1, but=["market"])
    check(demo, "fct_tax_concentration", where={"venue": venues})


@pytest.mark.xdist_group("demo")
@pytest.mark.slow
def test_cells_of_cycles_of_the_demo(demo: Built) -> None:
    venues = draw_values(demo.home, "fct_open_interest_cycle", "venue", 1, but=["market"])
    check(demo, "fct_open_interest_cycle", count=7, where={"venue": venues})
    check(demo, "fct_open_interest_cycle", count=3, where={"venue": ["market"], "open_interest_date": FIRST_WEEKS})


@pytest.mark.xdist_group("real")
@pytest.mark.real
@pytest.mark.parametrize("mart", KEYS)
def test_cells_of_the_real_files(real: Built, mart: str) -> None:
    check(real, mart, may_be_empty=["fct_open_interest_cycle"])
