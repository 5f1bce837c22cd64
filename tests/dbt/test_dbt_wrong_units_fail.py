"""Each check on units fails on a number that a wrong unit would give, and lists the row."""

import json
from datetime import UTC, date, datetime
from typing import Any

import pytest

pytestmark = pytest.mark.xdist_group("dbt_wrong_units_fail")

DAY = date(2025, 10, 10)


def at(hour: int) -> str:
    return f"timestamptz '{datetime(2025, 10, 10, hour, tzinfo=UTC).isoformat()}'"


BAR = {"open_time": at(8), "interval_seconds": 3600, "open": 100.0, "high": 110.0, "low": 90.0, "close": 100.0}


def put(world: Any, feed: str, entity: str, product: str, symbol: str, **row: Any) -> None:
    own = {"date": DAY, "product": f"'{product}'", "venue_symbol": f"'{symbol}'"}
    world.add(f"{feed}__{entity}", [{**own, **row}])


@pytest.fixture(scope="module")
def failures(tmp_path_factory, raw_world, run_dbt):
    """Rows that each failing test of a build found, by the test's name; hours of Binance are right, the rest is not."""
    work = tmp_path_factory.mktemp("wrong")
    world = raw_world(work / "raw")
    put(world, "binance", "klines", "um", "BTCUSDT", **BAR, volume=10.0, turnover=1000.0)
    # A turnover that counts the base coin, as COIN-M's does.
    put(world, "bybit", "klines", "linear", "BTCUSDT", **BAR, volume=4800.0, turnover=4800.0)
    # 300 contracts of 0.01 BTC are 3 BTC and not 30.
    terms = {"base_code": "'BTC'", "quote_code": "'USDT'", "contract_type": "'linear'", "is_perpetual": "true"}
    put(world, "okx", "instruments", "swap", "BTC-USDT-SWAP", **terms, event_at=at(1), contract_value=0.01)
    put(world, "okx", "klines", "swap", "BTC-USDT-SWAP", **BAR, volume=300.0, base_volume=30.0, turnover=3000.0)
    # Both sides where one is meant: twice the value that the price allows.
    interest = {"period_seconds": 300, "observed_at": at(8)}
    put(world, "binance", "open_interest", "um", "BTCUSDT", **interest, open_interest=50.0, open_interest_value=1e4)
    # Contracts of 100 USD taken for coins.
    put(world, "binance", "tickers", "um", "BTCUSDT", event_at=at(8), mark_price=100.0, volume=100.0, turnover=1e6)
    # A price per 1000 units on a contract of one.
    event = {"event_time": at(8), "side": "'sell'", "quantity": 1.0, "price": 1e5}
    put(world, "binance", "liquidations", "um", "BTCUSDT", **event)
    # A feed that no seed knows.
    put(world, "newfeed", "klines", "perp", "BTCUSDT", **BAR, venue="binance", volume=1.0, turnover=100.0)
    done = run_dbt(
        world.root, work, "build", "--no-use-colors", "--exclude-resource-type", "unit_test", "--no-fail-fast"
    )
    assert done.returncode != 0
    results = json.loads((work / "target" / "run_results.json").read_text())["results"]
    assert not [one["unique_id"] for one in results if one["status"] == "error"]
    return {one["unique_id"].split(".")[2]: one["failures"] for one in results if one["status"] == "fail"}


def found_by(failures: dict[str, int], beginning: str) -> int:
    """Rows that the one failing test of that beginning lists."""
    (name,) = [name for name in failures if name.startswith(beginning)]
    return failures[name]


@pytest.mark.parametrize(
    ("beginning", "rows"),
    [
        ("usd_agrees_with_base_stg_venues__klines", 1),
        ("assert_contracts_times_value_are_the_base_quantity", 1),
        ("usd_agrees_with_base_stg_venues__open_interest", 1),
        ("usd_agrees_with_base_stg_venues__tickers_volume_base", 1),
        ("usd_agrees_with_base_stg_venues__liquidations", 1),
        ("assert_every_feed_has_units", 1),
        ("checks_stg_venues__klines", 1),
    ],
)
def test_check_finds_the_wrong_row_and_no_other(failures, beginning, rows):
    assert found_by(failures, beginning) == rows
