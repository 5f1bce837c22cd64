"""A negative price from a venue's page and from a declared file: set aside with its reason, counted, and in no model."""

import json
from datetime import date

import duckdb
import pytest
import yaml

from dagster_project.lib.landing import Arrival, Landing
from dagster_project.sources import files
from dagster_project.sources.dataset import build_raw
from dagster_project.sources.registry import FEEDS

pytestmark = pytest.mark.xdist_group("dbt_negative")

DAY = date(2025, 10, 10)
MIDNIGHT_MS = 1_760_054_400_000
PRICES = ("open", "high", "low", "close")
GOOD = {"open": 10, "high": 12, "low": 9, "close": 11}
BARS = [{**GOOD, name: -GOOD[name]} for name in PRICES] + [GOOD] * 6
"""Each price below zero once; a file with more bad rows than good ones would be refused whole."""
SPEC = {
    "dataset": "klines",
    "path": "bars.csv",
    "format": "csv",
    "source": "my bars",
    "licence": "CC0",
    "source_class": "measured",
    "completeness": "complete",
    "venue": {"value": "mine"},
    "time": {"column": "when", "unit": "ms"},
    "interval_seconds": 3600,
    "columns": {
        "venue_symbol": "pair",
        "base_asset": "pair",
        **{name: name for name in PRICES},
        "base_quantity": "volume",
    },
    "constants": {"contract_type": "linear", "price_kind": "last"},
}


def stamps():
    """Start of each hour of the day, in milliseconds."""
    return (MIDNIGHT_MS + 3_600_000 * hour for hour in range(24))


def land_page(home, folder):
    """A page of Bybit."""
    rows = [
        [str(stamp), *(str(bar[name]) for name in PRICES), "100", "1000"]
        for stamp, bar in zip(stamps(), BARS, strict=False)
    ]
    page = folder / "page.json"
    page.write_text(json.dumps({"retCode": 0, "result": {"list": rows}}))
    context = {"product": "linear", "venue_symbol": "BTCUSDT", "interval_seconds": "3600", "price_kind": "last"}
    arrival = Arrival(
        local=page, name=page.name, origin="venue", licence="l", source_class="measured", completeness="complete",
        period_start=DAY, period_end=DAY, reader="klines", context=context, task=page.name,
    )  # fmt: skip
    Landing(home.landing).land("bybit", "klines", "b", [arrival])
    return FEEDS["bybit", "klines"].dataset


def land_file(home, folder):
    """The same bars as a declared file."""
    (folder / "bars.delever.yaml").write_text(yaml.safe_dump(SPEC))
    lines = [
        ",".join(map(str, [stamp, "BTC", *(bar[name] for name in PRICES), 100]))
        for stamp, bar in zip(stamps(), BARS, strict=False)
    ]
    (folder / "bars.csv").write_text("\n".join([",".join(["when", "pair", *PRICES, "volume"]), *lines]) + "\n")
    for name, arrival in files.arrivals(folder):
        Landing(home.landing).land("declared", name, "files", [arrival])
    return next(item for item in files.DATASETS if item.name == "files_klines")


def test_negative_prices_are_set_aside_with_their_reason_and_reach_no_model(home, tmp_path, run_dbt):
    for name, land in (("page", land_page), ("file", land_file)):
        folder = tmp_path / name
        folder.mkdir()
        intake = build_raw(land(home, folder), home, DAY, DAY)
        assert (intake.records, intake.quarantined) == (10, 4), name
    models = ("+stg_venues__klines", "+stg_files__klines", "quarantine_summary")
    options = ("--exclude-resource-type", "test", "unit_test", "--select", *models)
    done = run_dbt(home.raw, tmp_path, "build", "--no-use-colors", *options)
    assert done.returncode == 0, done.stdout[-4000:]
    with duckdb.connect(str(tmp_path / "warehouse.duckdb"), read_only=True) as connection:
        aside = connection.execute(
            "select dataset, venue, date, reason, records, completeness from marts.quarantine_summary order by all"
        ).fetchall()
        prices = [
            connection.execute(f"select open_price, high_price, low_price, close_price from staging.{name}").fetchall()
            for name in ("stg_venues__klines", "stg_files__klines")
        ]
    assert aside == [
        (dataset, venue, DAY, f"{price} is not above 0", 1, "complete")
        for dataset, venue in (("bybit__klines", "bybit"), ("files_klines", "mine"))
        for price in sorted(PRICES)
    ]
    assert prices == [[(10.0, 12.0, 9.0, 11.0)] * 6] * 2
