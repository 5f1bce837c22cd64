"""Ten random cells of each table that describes or accounts for the data, recomputed by loops that share nothing with the models.

Flags rest on all days on which a venue was seen, so in the demo they are those of what no venue reported, which has two days.
"""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
import reference_cells
from choosing import compare, measures_of

from built_homes import Built

KEYS = {
    "dim_contract": ["venue", "venue_symbol"],
    "dim_venue": ["venue"],
    "dim_event": ["event_id"],
    "dim_incident": ["incident_id"],
    "dim_venue_feed": ["venue", "dataset", "product", "attribute", "valid_from_date"],
    "coverage_summary": ["table_name", "completeness", "source_class"],
    "data_gap": ["feed", "venue", "entity", "gap_from_at", "gap_to_at"],
    "collector_gap": ["feed", "venue", "topic", "gap_from_at", "gap_to_at"],
    "quarantine_summary": ["dataset", "venue", "date", "reason"],
}


def row_of_gap(mart: str) -> Callable[..., Mapping[str, Any]]:
    """How to recompute a row of a table of gaps."""

    def row(raw: Path, *key: object) -> Mapping[str, Any]:
        return reference_cells.gap_row(raw, mart, tuple(KEYS[mart]), key)

    return row


RECOMPUTED: dict[str, Callable[..., Mapping[str, Any]]] = {
    "dim_contract": reference_cells.dim_contract_row,
    "dim_venue": reference_cells.dim_venue_row,
    "dim_event": reference_cells.dim_event_row,
    "dim_incident": reference_cells.dim_incident_row,
    "dim_venue_feed": reference_cells.dim_venue_feed_row,
    "coverage_summary": reference_cells.coverage_summary_row,
    "data_gap": row_of_gap("data_gap"),
    "collector_gap": row_of_gap("collector_gap"),
    "quarantine_summary": reference_cells.quarantine_summary_row,
}


def check(built: Built, mart: str, **how: Any) -> None:
    """Compare cells of a home with what its raw files give, or for the coverage with what its published tables hold."""
    told = built.home.published if mart == "coverage_summary" else built.home.raw
    compare(built.home, mart, KEYS[mart], lambda key: RECOMPUTED[mart](told, *key.values()), **how)


@pytest.mark.xdist_group("demo")
@pytest.mark.slow
@pytest.mark.parametrize("mart", [mart for mart in KEYS if mart not in ("dim_contract", "dim_venue")])
def test_cells_of_the_demo(demo: Built, mart: str) -> None:
    check(demo, mart, may_be_empty=["data_gap", "collector_gap"])


@pytest.mark.xdist_group("demo")
@pytest.mark.slow
def test_cells_of_contracts_of_the_demo(demo: Built) -> None:
    columns = measures_of(demo.home, "dim_contract", but=[*KEYS["dim_contract"], "completeness", "source_class"])
    check(demo, "dim_contract", count=7, columns=columns)
    check(demo, "dim_contract", count=3, where={"venue": ["market"]})


@pytest.mark.xdist_group("demo")
@pytest.mark.slow
def test_cells_of_venues_of_the_demo(demo: Built) -> None:
    columns = measures_of(demo.home, "dim_venue", but=["venue", "contracts_covered", "completeness", "source_class"])
    check(demo, "dim_venue", count=7, columns=columns)
    check(demo, "dim_venue", count=3, where={"venue": ["market"]})


@pytest.mark.xdist_group("real")
@pytest.mark.real
@pytest.mark.parametrize("mart", KEYS)
def test_cells_of_the_real_files(real: Built, mart: str) -> None:
    check(real, mart, may_be_empty=["data_gap", "collector_gap", "quarantine_summary"])
