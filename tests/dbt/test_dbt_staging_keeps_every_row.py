"""Staging drops repeats of a natural key and nothing else: raw rows are staged rows and repeats, counted independently."""

from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import duckdb
import pytest
import yaml

from schemas.raw import DECLARED, ENTITIES

pytestmark = pytest.mark.xdist_group("dbt_staging_keeps_every_row")

MODELS = Path(__file__).resolve().parents[2] / "dbt" / "models" / "staging"
DAY = date(2025, 10, 10)


def at(hour: int, minute: int = 0) -> str:
    return f"timestamptz '{datetime(2025, 10, 10, hour, minute, tzinfo=UTC).isoformat()}'"


PRICES = {"open": 100.0, "high": 110.0, "low": 90.0, "close": 100.0}
BAR = {**PRICES, "interval_seconds": 3600, "open_time": at(1)}
LIQUIDATION = {"event_time": at(21), "side": "'buy'", "quantity": 1.0, "price": 100.0}

# One row of an entity, and what makes another row of it.
ROWS: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "instruments": (
        {
            "event_at": at(1),
            "base_code": "'BTC'",
            "quote_code": "'USDT'",
            "contract_type": "'linear'",
            "is_perpetual": "true",
            "contract_value": 1.0,
        },
        {"event_at": at(2)},
    ),
    "klines": ({**BAR, "volume": 1.0, "turnover": 100.0}, {"interval_seconds": 60}),
    "reference_klines": ({**BAR, "price_kind": "'mark'"}, {"price_kind": "'index'"}),
    "premium_klines": ({**BAR}, {"open_time": at(2)}),
    "funding": (
        {"funding_time": at(8), "funding_rate": 0.0001},
        {"funding_time": f"{at(8)} + interval 1 second"},
    ),
    "open_interest": (
        {"observed_at": at(8), "period_seconds": 300, "open_interest": 1.0},
        {"period_seconds": 3600},
    ),
    "liquidation_sums": (
        {"period_start": at(0), "period_seconds": 3600, "liquidated_side": "'long'", "amount": 1.0},
        {"liquidated_side": "'short'"},
    ),
    "depth": (
        {"observed_at": at(8), "percentage": -1.0, "quantity": 1.0, "notional": 100.0, "is_floor": "false"},
        {"percentage": 1.0},
    ),
    "insurance_funds": ({"event_at": at(8), "asset": "'USDT'", "balance": 1.0}, {"asset": "'BTC'"}),
    "adl_risk": ({"event_at": at(8), "risk_level": "'low'"}, {"event_at": at(9)}),
    "adl_fills": (
        {"event_time": at(21), "side": "'long'", "quantity": 1.0, "price": 100.0, "event_key": "'1'"},
        {"event_key": "'2'"},
    ),
    "leverage_tiers": (
        {"event_at": at(8), "tier_number": 1, "tier_floor": 0.0, "tier_cap": 1.0, "maintenance_rate": 0.01},
        {"tier_number": 2, "tier_floor": 1.0, "tier_cap": 2.0},
    ),
    "long_short_ratios": (
        {"observed_at": at(8), "period_seconds": 300, "population": "'accounts'", "long_short_ratio": 1.0},
        {"population": "'taker_volume'"},
    ),
    "tickers": ({"event_at": at(8), "mark_price": 100.0, "volume": 1.0}, {"event_at": at(9)}),
}


def put(world: Any, feed: str, entity: str, rows: list[dict[str, Any]], product: str) -> None:
    own = {"date": DAY, "venue_symbol": "'BTCUSDT'", "product": f"'{product}'"}
    world.add(f"{feed}__{entity}", [{**own, **row} for row in rows])


def put_liquidations(world: Any) -> None:
    """Bybit: two equal ones in a delivery, one again in the next. Binance: one order four times. Keys: one and another."""
    twice = [LIQUIDATION, LIQUIDATION]
    again = {**LIQUIDATION, "landing_path": "'fixture/page-2'"}
    put(world, "bybit", "liquidations", [*twice, again], "linear")
    put(world, "binance", "liquidations", [*twice, again, again], "um")
    keys = [{**LIQUIDATION, "event_key": "'1'"}, {**again, "event_key": "'1'"}, {**LIQUIDATION, "event_key": "'2'"}]
    put(world, "bybit", "liquidations", [{**row, "side": "'sell'"} for row in keys], "linear")


def put_metrics(world: Any) -> None:
    """00:00 of 2026-06-25 stands in two archives, for two observations; the second is also in a page of the venue."""
    row = {"period_seconds": 300, "observed_at": "timestamptz '2026-06-25 00:00:00+00'", "open_interest": 1.0}
    paths = ("BTCUSDT-metrics-2026-06-24.zip", "BTCUSDT-metrics-2026-06-25.zip", "openInterestHist/1.json")
    rows = [{**row, "date": date(2026, 6, 25), "landing_path": f"'{path}'"} for path in paths]
    put(world, "binance", "open_interest", rows, "um")


@pytest.fixture(scope="module")
def world(tmp_path_factory, raw_world):
    """Each entity in two feeds: a row, the same in a later page, and another one."""
    made = raw_world(tmp_path_factory.mktemp("staging") / "raw")
    for entity, (row, difference) in ROWS.items():
        rows = [row, {**row, "landing_path": "'fixture/page-2'"}, {**row, **difference}]
        put(made, "binance", entity, rows, "um")
        put(made, "bybit", entity, rows, "linear")
    put_liquidations(made)
    put_metrics(made)
    return made


@pytest.fixture(scope="module")
def warehouse(world, build_staging):
    """The staging layer, without its data tests: the rows are of one page and agree with no market."""
    return build_staging(world.root, world.root.parent)


def natural_key(model: str) -> list[str]:
    (path,) = MODELS.rglob(f"{model}.yml")
    (described,) = yaml.safe_load(path.read_text())["models"]
    return described["config"]["meta"]["natural_key"]


def distinct_keys(root: Path, dataset: str, key: list[str]) -> tuple[int, int]:
    """Raw rows of a dataset (a glob), and how many different keys they have."""
    with duckdb.connect() as connection:
        connection.execute("set TimeZone = 'UTC'")
        rows = f"read_parquet('{root}/{dataset}/*/*/*.parquet', hive_partitioning=true)"
        query = f"select (select count(*) from {rows}), (select count(*) from (select distinct {', '.join(key)} from {rows}))"
        found = connection.execute(query).fetchone()
    assert found is not None
    return found


@pytest.mark.parametrize(
    ("entity", "raw_rows", "staged_rows"),
    [(entity, 6, 4) for entity in ROWS if entity != "open_interest"]
    + [("open_interest", 6 + 3, 4 + 2), ("liquidations", 3 + 4 + 3, 2 + 1 + 2)],
)
def test_raw_rows_are_staged_rows_and_repeats(world, warehouse, entity, raw_rows, staged_rows):
    model = f"stg_venues__{entity}"
    staged = warehouse.row(f"select count(*) as row_count from staging.{model}")["row_count"]
    assert distinct_keys(world.root, f"*__{entity}", natural_key(model)) == (raw_rows, staged)
    assert staged == staged_rows


def test_every_entity_and_file_names_its_key():
    for entity in ENTITIES:
        assert natural_key(f"stg_venues__{entity}"), entity
    for dataset in DECLARED:
        assert natural_key(f"stg_{dataset.replace('_', '__', 1)}"), dataset


def test_repeated_files_are_told_by_their_key(tmp_path, raw_world):
    """A period's sum counts once whatever its value; equal single events of one delivery are two."""
    made = raw_world(tmp_path / "raw")
    row = {
        "date": DAY,
        "venue_symbol": "'BTC'",
        "base_asset": "'BTC'",
        "contract_type": "'linear'",
        "event_at": at(0),
        "liquidated_side": "'long'",
        "notional_usd": 5.0,
    }
    event, later = {**row, "period_seconds": 0}, {"landing_path": "'fixture/page-2'"}
    total = {**row, "period_seconds": 86400}
    rows = [event, event, {**event, **later}, total, {**total, **later, "notional_usd": 6.0}]
    made.add("files_liquidations", rows, venue="market")
    assert distinct_keys(made.root, "files_liquidations", natural_key("stg_files__liquidations")) == (5, 3)
