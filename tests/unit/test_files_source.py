"""Declared files: a spec that fits flows like a venue's own data; one that does not is refused with place and remedy."""

import json
from datetime import date
from pathlib import Path
from typing import Any

import pytest
import yaml

from dagster_project.lib.duck import connect
from dagster_project.lib.errors import DataError, UsageError
from dagster_project.lib.home import Home
from dagster_project.lib.landing import Landing
from dagster_project.lib.raw import RawStore
from dagster_project.sources import files
from dagster_project.sources.dataset import build_raw

CANDLES: dict[str, Any] = {
    "dataset": "klines",
    "path": "bars.csv",
    "format": "csv",
    "source": "my bars",
    "licence": "CC0",
    "source_class": "measured",
    "completeness": "complete",
    "venue": {"column": "exchange"},
    "time": {"column": "when", "unit": "ms"},
    "interval_seconds": 3600,
    "columns": {
        "venue_symbol": "pair",
        "base_asset": {"column": "pair", "before": "-"},
        "open": "o",
        "high": "h",
        "low": "l",
        "close": "c",
        "base_quantity": {"column": "vol_k", "scale": 1000},
    },
    "constants": {"contract_type": "linear", "price_kind": "last"},
}
HEADER = "when,exchange,pair,o,h,l,c,vol_k\n"
BAR = "1760130000000,Binance,BTC-USDT,10,12,9,11,1.5\n"  # 2025-10-10 21:00 UTC


def declare(folder: Path, spec: dict[str, Any], name: str = "bars", **content: str) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"{name}.delever.yaml").write_text(yaml.safe_dump(spec))
    for file, text in content.items():
        (folder / file.replace("__", ".")).write_text(text)
    return folder


def rows_of(home: Home, folder: Path, entity: str = "klines") -> list[dict[str, Any]]:
    landing = Landing(home.landing)
    for dataset, arrival in files.arrivals(folder):
        landing.land("declared", dataset, "files", [arrival])
    dataset = next(item for item in files.DATASETS if item.name == f"files_{entity}")
    build_raw(dataset, home, date(2025, 1, 1), date(2026, 12, 31))
    with connect() as connection:
        relation = connection.sql(RawStore(home.raw, home.scratch).relation(f"files_{entity}"))
        return [dict(zip(relation.columns, row, strict=True)) for row in relation.fetchall()]


def test_csv_becomes_canonical_rows(home: Home, tmp_path: Path) -> None:
    (row,) = rows_of(home, declare(tmp_path / "in", CANDLES, bars__csv=HEADER + BAR))
    assert (row["venue"], row["date"], row["open_time"].isoformat()) == (
        "binance",
        date(2025, 10, 10),
        "2025-10-10T21:00:00+00:00",
    )
    assert (row["base_asset"], row["base_quantity"], row["notional_usd"]) == ("BTC", 1500.0, None)
    assert (row["source"], row["source_class"], row["completeness"]) == ("my bars", "measured", "complete")


def test_zone_of_stamps_without_one_is_the_specs(home: Home, tmp_path: Path) -> None:
    spec = CANDLES | {"time": {"column": "when", "zone": "Asia/Hong_Kong"}}
    text = HEADER + BAR.replace("1760130000000", "2025-10-11 05:00:00")
    (row,) = rows_of(home, declare(tmp_path / "in", spec, bars__csv=text))
    assert row["open_time"].isoformat() == "2025-10-10T21:00:00+00:00"
    assert row["date"] == date(2025, 10, 10)


@pytest.mark.parametrize(("unit", "stamp"), [("s", 1760130000), ("us", 1760130000000000), ("ns", 1760130000000000000)])
def test_units_of_time(home: Home, tmp_path: Path, unit: str, stamp: int) -> None:
    spec = CANDLES | {"time": {"column": "when", "unit": unit}}
    (row,) = rows_of(home, declare(tmp_path / "in", spec, bars__csv=HEADER + BAR.replace("1760130000000", str(stamp))))
    assert row["open_time"].isoformat() == "2025-10-10T21:00:00+00:00"


def test_wide_sides_become_rows(home: Home, tmp_path: Path) -> None:
    spec = {
        "dataset": "liquidations",
        "path": "liq.csv",
        "format": "csv",
        "source": "liq",
        "licence": "CC0",
        "source_class": "measured",
        "venue": {"value": "market"},
        "time": {"column": "day"},
        "columns": {},
        "unpivot": {"key": "liquidated_side", "value": "notional_usd", "columns": {"long": "l", "short": "s"}},
        "constants": {"venue_symbol": "BTC", "base_asset": "BTC", "contract_type": "linear", "period_seconds": 86400},
    }
    rows = rows_of(home, declare(tmp_path / "in", spec, liq__csv="day,l,s\n2025-10-10,5,2\n"), "liquidations")
    assert {row["liquidated_side"]: row["notional_usd"] for row in rows} == {"long": 5.0, "short": 2.0}
    assert {row["completeness"] for row in rows} == {"partial"}


def test_parquet_and_completeness_by_venue(home: Home, tmp_path: Path) -> None:
    folder = tmp_path / "in"
    spec = CANDLES | {"path": "*.parquet", "format": "parquet", "time": {"column": "when"}, "completeness": "partial"}
    spec = spec | {"venue": {"column": "exchange", "completeness": {"binance": "complete"}}}
    declare(folder, spec)
    with connect() as connection:
        connection.execute(
            "COPY (SELECT TIMESTAMPTZ '2025-10-10 21:00:00+00' AS when, exchange, 'BTC-USDT' AS pair, 10.0 AS o, 12.0 AS h, "
            "9.0 AS l, 11.0 AS c, 1 AS vol_k FROM (VALUES ('Binance'), ('okx')) AS t(exchange)) "
            f"TO '{folder / 'bars.parquet'}' (FORMAT parquet)"
        )
    assert {row["venue"]: row["completeness"] for row in rows_of(home, folder)} == {
        "binance": "complete",
        "okx": "partial",
    }


def test_two_specs_may_share_a_file_by_venue(home: Home, tmp_path: Path) -> None:
    text = HEADER + BAR + BAR.replace("Binance", "OKX")
    columns = {key: value for key, value in CANDLES["columns"].items() if key != "base_quantity"}
    folder = declare(tmp_path / "in", CANDLES | {"venue": {"column": "exchange", "without": ["okx"]}}, bars__csv=text)
    declare(folder, CANDLES | {"venue": {"column": "exchange", "only": ["okx"]}, "columns": columns}, name="okx")
    rows = rows_of(home, folder)
    assert {row["venue"]: row["base_quantity"] for row in rows} == {"binance": 1500.0, "okx": None}


def test_shipped_specs_read_as_specs() -> None:
    found = [files.load_spec(path) for path in files.SHIPPED_SPECS.glob(f"*{files.SUFFIX}")]
    assert {spec.dataset for spec in found} >= {"klines", "funding", "liquidations", "adl", "leverage_tiers"}


def test_map_of_lists_with_the_date_in_the_name(home: Home, tmp_path: Path) -> None:
    spec = yaml.safe_load((files.SHIPPED_SPECS / "binance_leverage_tiers.leverage_tiers.delever.yaml").read_text())
    tier = {"tier": 1.0, "minNotional": 0.0, "maxNotional": 5000.0, "maintenanceMarginRate": 0.01, "maxLeverage": 75.0}
    content = json.dumps({"0G/USDT:USDT": [tier | {"info": {"cum": "3.5"}}]})
    folder = declare(tmp_path / "in", spec | {"path": "*.json"}, **{"2025-10-09__json": content})
    (row,) = rows_of(home, folder, "leverage_tiers")
    assert (row["base_asset"], row["maintenance_amount_usd"], row["date"]) == ("0G", 3.5, date(2025, 10, 9))


# --- what does not fit is refused, with the file, the column and the reason


def refused(folder: Path) -> str:
    with pytest.raises((DataError, UsageError)) as caught:
        list(files.arrivals(folder))
    return str(caught.value)


def test_column_that_is_not_there_is_named(tmp_path: Path) -> None:
    said = refused(declare(tmp_path, CANDLES, bars__csv="when,exchange,pair,o,h,low,c,vol_k\n" + BAR))
    assert "bars.csv" in said
    assert "column 'l' is not in the file" in said


def test_cell_that_is_no_number_is_counted_and_named(tmp_path: Path) -> None:
    said = refused(declare(tmp_path, CANDLES, bars__csv=HEADER + BAR + BAR.replace(",9,", ",oops,")))
    assert "column 'l' has 1 rows without a usable value" in said


def test_wrong_format_says_it_cannot_be_read(tmp_path: Path) -> None:
    said = refused(declare(tmp_path, CANDLES | {"format": "parquet"}, bars__csv=HEADER + BAR))
    assert "cannot be read as parquet" in said


def test_all_faults_of_a_spec_at_once(tmp_path: Path) -> None:
    spec = CANDLES | {"dataset": "klines", "surprise": 1, "format": "xls", "interval_seconds": -5}
    said = refused(declare(tmp_path, spec, bars__csv=HEADER + BAR))
    assert all(key in said for key in ("surprise", "format", "interval_seconds"))


def test_missing_and_unknown_canonical_columns_are_listed(tmp_path: Path) -> None:
    columns = {key: value for key, value in CANDLES["columns"].items() if key != "low"} | {"lowest": "l"}
    said = refused(declare(tmp_path, CANDLES | {"columns": columns}, bars__csv=HEADER + BAR))
    assert "'low' is missing" in said
    assert "'lowest' is not a column of klines" in said


@pytest.mark.parametrize("path", ["../bars.csv", "/etc/passwd", "a/../../b.csv"])
def test_path_that_leaves_the_folder_is_refused(tmp_path: Path, path: str) -> None:
    assert "must stay below the folder" in refused(declare(tmp_path / "in", CANDLES | {"path": path}))


def test_link_that_leaves_the_folder_is_not_followed(tmp_path: Path) -> None:
    outside = tmp_path / "outside.csv"
    outside.write_text(HEADER + BAR)
    folder = declare(tmp_path / "in", CANDLES)
    (folder / "bars.csv").symlink_to(outside)
    assert "no file matches" in refused(folder)


def test_sql_in_a_spec_stays_text(home: Home, tmp_path: Path) -> None:
    spec = CANDLES | {"constants": {"contract_type": "linear", "price_kind": "last'); DROP TABLE x; --"}}
    folder = declare(tmp_path / "in", spec, bars__csv=HEADER + BAR)
    (row,) = rows_of(home, folder)
    assert row["price_kind"] == "last'); DROP TABLE x; --"


def test_column_name_with_quotes_stays_a_name(tmp_path: Path) -> None:
    columns = CANDLES["columns"] | {"low": 'l" , version() as "x'}
    assert "is not in the file" in refused(declare(tmp_path, CANDLES | {"columns": columns}, bars__csv=HEADER + BAR))


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("a: [", "is not YAML"),
        ("a: &x [1]\nb: *x\n", "anchors and aliases"),
        ("- 1\n- 2\n", "does not declare a file"),
        ("!!python/object/apply:os.system ['true']", "is not YAML"),
        ("x" * 100_000, "larger than"),
    ],
)
def test_hostile_yaml_is_refused(tmp_path: Path, text: str, said: str) -> None:
    (tmp_path / "bars.delever.yaml").write_text(text)
    assert said in refused(tmp_path)


def test_empty_folder_and_missing_folder_say_what_to_do(tmp_path: Path) -> None:
    assert "put a *.delever.yaml beside your files" in refused(tmp_path)
    assert "is not a folder" in refused(tmp_path / "none")


def test_file_without_rows_is_refused(tmp_path: Path) -> None:
    assert "holds no rows" in refused(declare(tmp_path, CANDLES, bars__csv=HEADER))
