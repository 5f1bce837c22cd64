"""Binance's and Bybit's own formats, written here by hand from the venues' documentation, become typed raw rows."""

import json
import zipfile
from collections.abc import Mapping
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from dagster_project.lib.duck import connect
from dagster_project.lib.errors import DataError
from dagster_project.lib.home import Home
from dagster_project.lib.landing import Arrival, Landing
from dagster_project.lib.raw import RawStore
from dagster_project.sources import binance, bybit
from dagster_project.sources.dataset import build_raw

DAY = date(2025, 10, 10)
MS = 1760130000000  # 2025-10-10 21:00:00 UTC
DATASETS = {dataset.name: dataset for dataset in (*binance.DATASETS, *bybit.DATASETS)}


def ingest(home: Home, tmp_path: Path, name: str, contents: Mapping[str, bytes | str]) -> list[dict[str, Any]]:
    dataset = DATASETS[name]
    arrivals = []
    for file, content in contents.items():
        local = tmp_path / file
        if file.endswith(".zip"):
            with zipfile.ZipFile(local, "w") as archive:
                archive.writestr(file.replace(".zip", ".csv"), content)
        else:
            local.write_bytes(content if isinstance(content, bytes) else content.encode())
        arrivals.append(
            Arrival(
                local=local,
                name=file,
                origin=f"test:{file}",
                licence="CC0",
                source_class="measured",
                completeness="complete",
                period_start=DAY,
                period_end=DAY,
            )
        )
    Landing(home.landing).land(dataset.source, dataset.landed_as, "2025-10-10", arrivals)
    build_raw(dataset, home, DAY, DAY)
    with connect() as connection:
        relation = connection.sql(f"SELECT * FROM ({RawStore(home.raw, home.scratch).relation(name)}) ORDER BY ALL")
        return [dict(zip(relation.columns, row, strict=True)) for row in relation.fetchall()]


KLINE = f"{MS},10,12,9,11,1.5,{MS + 59999},16.5,7,1,11,0\n"
HEADER = "open_time,open,high,low,close,volume,close_time,quote_volume,count,taker_buy_volume,taker_buy_quote_volume,ignore\n"


@pytest.mark.parametrize("content", [HEADER + KLINE, KLINE], ids=["header era", "headerless era"])
def test_binance_klines_of_both_header_eras(home: Home, tmp_path: Path, content: str) -> None:
    (row,) = ingest(home, tmp_path, "binance_klines", {"1000PEPEUSDT-1m-2025-10-10.zip": content})
    assert (row["venue_symbol"], row["interval"], row["venue"], row["date"]) == ("1000PEPEUSDT", "1m", "binance", DAY)
    assert row["open_time"].isoformat() == "2025-10-10T21:00:00+00:00"
    assert (row["low"], row["volume"], row["quote_volume"], row["trade_count"]) == (9.0, 1.5, 16.5, 7)
    assert row["landing_path"] == "binance/klines/2025-10-10/1000PEPEUSDT-1m-2025-10-10.zip"


def test_rows_of_many_archives_keep_their_archive(home: Home, tmp_path: Path) -> None:
    contents = {f"{symbol}-1m-2025-10-10.zip": HEADER + KLINE for symbol in ("BTCUSDT", "ETHUSDT", "SOLUSDT_251226")}
    rows = ingest(home, tmp_path, "binance_klines", contents)
    assert {row["venue_symbol"] for row in rows} == {"BTCUSDT", "ETHUSDT", "SOLUSDT_251226"}
    assert all(row["venue_symbol"] in row["landing_path"] for row in rows)


def test_line_that_does_not_fit_is_named_with_its_file(home: Home, tmp_path: Path) -> None:
    contents = {
        "BTCUSDT-1m-2025-10-10.zip": HEADER + KLINE,
        "ETHUSDT-1m-2025-10-10.zip": KLINE.replace(",9,", ",oops,"),
    }
    with pytest.raises(DataError, match=r"ETHUSDT-1m-2025-10-10\.zip: .*oops"):
        ingest(home, tmp_path, "binance_klines", contents)


def test_binance_force_order_keeps_the_order_side(home: Home, tmp_path: Path) -> None:
    order = {"s": "BTCUSDT", "S": "SELL", "o": "LIMIT", "f": "IOC", "q": "2", "p": "100", "ap": "99.5", "X": "FILLED"}
    message = {"e": "forceOrder", "E": MS, "o": order | {"l": "1", "z": "2", "T": MS + 123}}
    lines = json.dumps(message) + "\n" + json.dumps({"e": "other", "o": {}}) + "\n"
    (row,) = ingest(home, tmp_path, "binance_liquidations", {"2025-10-10.jsonl": lines})
    assert (row["venue_symbol"], row["order_side"], row["average_price"]) == ("BTCUSDT", "SELL", 99.5)
    assert row["trade_time"].isoformat() == "2025-10-10T21:00:00.123000+00:00"


def test_binance_open_interest_page(home: Home, tmp_path: Path) -> None:
    page = [{"symbol": "BTCUSDT", "sumOpenInterest": "7", "sumOpenInterestValue": "700.5", "timestamp": MS}]
    (row,) = ingest(home, tmp_path, "binance_open_interest", {"BTCUSDT-5m-1.json": json.dumps(page)})
    assert (row["period"], row["sum_open_interest"], row["sum_open_interest_value"]) == ("5m", 7.0, 700.5)


def test_binance_funding_keeps_the_jitter(home: Home, tmp_path: Path) -> None:
    page = [{"symbol": "BTCUSDT", "fundingTime": MS + 1, "fundingRate": "-0.0001", "markPrice": "100"}]
    (row,) = ingest(home, tmp_path, "binance_funding", {"BTCUSDT-1.json": json.dumps(page)})
    assert row["funding_time"].isoformat() == "2025-10-10T21:00:00.001000+00:00"
    assert row["funding_rate"] == -0.0001


def test_binance_book_depth_bands(home: Home, tmp_path: Path) -> None:
    text = "timestamp,percentage,depth,notional\n2025-10-10 21:00:05,-1.00,3,300\n2025-10-10 21:00:05,0.2,1,100\n"
    rows = ingest(home, tmp_path, "binance_book_depth", {"BTCUSDT-bookDepth-2025-10-10.zip": text})
    assert {(row["percentage"], row["notional"]) for row in rows} == {(-1.0, 300.0), (0.2, 100.0)}


def bybit_page(items: list[Any], symbol: str = "BTCUSDT", code: int = 0) -> str:
    result = {"symbol": symbol, "category": "linear", "list": items}
    return json.dumps({"retCode": code, "retMsg": "OK" if code == 0 else "busy", "result": result, "time": MS})


def test_bybit_overlapping_pages_are_kept_as_received(home: Home, tmp_path: Path) -> None:
    newest, oldest = ([str(MS + step), "10", "12", "9", "11", "1.5", "16.5"] for step in (60_000, 0))
    pages = {"BTCUSDT-1-1.json": bybit_page([newest, oldest]), "BTCUSDT-1-2.json": bybit_page([oldest])}
    rows = ingest(home, tmp_path, "bybit_klines", pages)
    assert len(rows) == 3, "raw keeps what was received; staging removes the overlap"
    assert {row["interval"] for row in rows} == {"1"}


def test_bybit_error_inside_http_200_is_refused(home: Home, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"retCode 10006 \(busy\)"):
        ingest(home, tmp_path, "bybit_klines", {"BTCUSDT-1-1.json": bybit_page([], code=10006)})


def test_bybit_liquidations_keep_the_position_side(home: Home, tmp_path: Path) -> None:
    item = {"T": MS, "s": "BTCUSDT", "S": "Buy", "v": "0.5", "p": "100"}
    line = json.dumps(
        {"topic": "allLiquidation.BTCUSDT", "type": "snapshot", "ts": MS, "data": [item, item | {"S": "Sell"}]}
    )
    rows = ingest(home, tmp_path, "bybit_liquidations", {"2025-10-10.jsonl": line + "\n"})
    assert {(row["venue_symbol"], row["position_side"]) for row in rows} == {("BTCUSDT", "Buy"), ("BTCUSDT", "Sell")}


def test_bybit_open_interest_is_both_sides_as_received(home: Home, tmp_path: Path) -> None:
    page = bybit_page([{"openInterest": "200", "timestamp": str(MS)}])
    (row,) = ingest(home, tmp_path, "bybit_open_interest", {"BTCUSDT-5min-1.json": page})
    assert (row["open_interest"], row["interval"]) == (200.0, "5min")


def test_html_error_page_is_refused_by_name(home: Home, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="cannot be read"):
        ingest(home, tmp_path, "bybit_funding", {"BTCUSDT-1.json": "<html>451</html>"})


def test_rows_of_other_days_stay_out_of_the_partition(home: Home, tmp_path: Path) -> None:
    text = HEADER + KLINE + KLINE.replace(str(MS), str(MS + 86_400_000))
    assert len(ingest(home, tmp_path, "binance_klines", {"BTCUSDT-1h-2025-10-10.zip": text})) == 1
