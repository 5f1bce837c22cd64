"""Declared files: a spec that fits flows like a venue's own data; one that does not is refused with place and remedy."""

import json
from datetime import date
from pathlib import Path

import pytest
import yaml
from declared import BAR, CANDLES, FUNDING, HEADER, LIQUIDATIONS, declare, quarantine_of, refused, rows_of

from dagster_project.lib.duck import connect
from dagster_project.lib.home import Home
from dagster_project.sources import files


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
    rows = rows_of(home, declare(tmp_path / "in", LIQUIDATIONS, liq__csv="day,l,s\n2025-10-10,5,2\n"), "liquidations")
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


def test_column_that_is_not_there_is_named(tmp_path: Path) -> None:
    said = refused(declare(tmp_path, CANDLES, bars__csv="when,exchange,pair,o,h,low,c,vol_k\n" + BAR))
    assert "bars.csv" in said
    assert "column 'l' is not in the file" in said


def test_bad_values_are_set_aside_with_place_and_payload_and_the_rest_is_kept(home: Home, tmp_path: Path) -> None:
    text = HEADER + BAR + BAR.replace(",9,", ",oops,") + BAR.replace("1760130000000", "1760133600000")
    folder = declare(tmp_path / "in", CANDLES, bars__csv=text)
    assert len(rows_of(home, folder)) == 2
    (aside,) = quarantine_of(home)
    assert (aside["record"], aside["reason"]) == (2, "low has no usable value")
    assert json.loads(aside["payload"])["l"] == "oops"


def test_more_than_half_unusable_is_refused_with_the_value_and_its_place(tmp_path: Path) -> None:
    bad = BAR.replace(",9,", ",oops,")
    half = HEADER + BAR + bad
    assert files.check(next(files.declared_files(declare(tmp_path / "half", CANDLES, bars__csv=half)))) == (
        date(2025, 10, 10),
        date(2025, 10, 10),
    )
    said = refused(declare(tmp_path / "more", CANDLES, bars__csv=half + bad))
    assert "2 of 3 rows are unusable, more than half" in said
    assert "low has no usable value: 2 rows, first 'oops' (column 'l', record 2)" in said


def test_no_usable_row_is_refused(tmp_path: Path) -> None:
    said = refused(declare(tmp_path, CANDLES, bars__csv=HEADER + BAR.replace("1760130000000", "soon")))
    assert "no row is usable" in said
    assert "no usable time: 1 rows, first 'soon' (column 'when', record 1)" in said


def test_every_file_that_does_not_fit_is_named(tmp_path: Path) -> None:
    declare(tmp_path, CANDLES, bars__csv=HEADER + BAR.replace("1760130000000", "soon"))
    declare(
        tmp_path,
        FUNDING | {"time": {"column": "time"}},
        name="rates",
        rates__csv="at,symbol,rate\n2025-10-10,BTC,0.1\n",
    )
    said = refused(tmp_path)
    assert "bars.csv does not fit bars.delever.yaml" in said
    assert "rates.csv does not fit rates.delever.yaml" in said
    assert "column 'time' is not in the file" in said


def test_rows_dated_after_their_receipt_are_unusable(tmp_path: Path) -> None:
    text = "at,symbol,rate\n2025-10-10 08:00:00,BTC,0.1\n2090-01-01 08:00:00,BTC,0.1\n"
    (declared,) = files.declared_files(declare(tmp_path / "in", FUNDING, rates__csv=text))
    assert files.examine(declared) == files.Checked(date(2025, 10, 10), date(2025, 10, 10), rows=2, unusable=1)


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


def test_empty_folder_and_missing_folder_say_what_to_do(tmp_path: Path) -> None:
    assert "put a *.delever.yaml beside your files" in refused(tmp_path)
    assert "is not a folder" in refused(tmp_path / "none")


def test_file_without_rows_is_refused(tmp_path: Path) -> None:
    assert "holds no rows" in refused(declare(tmp_path, CANDLES, bars__csv=HEADER))
