"""Reading landed files: good records go on, bad ones are set aside with reason, place and text, and all are counted."""

import gzip
import json
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import duckdb
import pytest

from dagster_project.lib.duck import connect, literal
from dagster_project.lib.home import Home
from dagster_project.lib.landing import Arrival, Landing
from dagster_project.sources.batch import epoch
from dagster_project.sources.dataset import Intake, build_raw
from dagster_project.sources.registry import FEEDS

DAY = date(2025, 10, 10)
MS = 1_760_054_400_000
HOUR = 3_600_000
BARS = {"product": "linear", "venue_symbol": "BTCUSDT", "interval_seconds": "3600", "price_kind": "last"}
GOOD = ["10", "12", "9", "11", "100", "1100"]

Land = Callable[..., None]


@pytest.fixture
def land(home: Home, tmp_path: Path) -> Land:
    def put(name: str, body: Any, reader: str = "klines", context: dict[str, str] | None = None) -> None:
        file = tmp_path / name
        file.write_bytes(body if isinstance(body, bytes) else json.dumps(body).encode())
        arrival = Arrival(
            local=file, name=name, origin="venue", licence="l", source_class="measured", completeness="complete",
            period_start=DAY, period_end=DAY, reader=reader, context=context or BARS, task=name,
        )  # fmt: skip
        Landing(home.landing).land("bybit", "klines", "b", [arrival])

    return put


def page(*rows: list[str]) -> dict[str, Any]:
    return {"retCode": 0, "result": {"list": list(rows)}}


def build(home: Home) -> Intake:
    return build_raw(FEEDS["bybit", "klines"].dataset, home, DAY, DAY)


def table(home: Home, name: str) -> list[tuple[Any, ...]]:
    with duckdb.connect() as connection:
        files = f"{home.raw}/{name}/*/*/*.parquet"
        columns = {
            "bybit__klines": "venue_symbol, epoch_ms(open_time), open, high, low, close, volume, turnover",
            "quarantine": "landing_path.split('/')[-1], record, reason, payload",
            "intake": "dataset, venue, records_read, rows_kept, rows_quarantined, rows_excluded, excluded_reasons",
        }[name]
        return connection.execute(
            f"SELECT {columns} FROM read_parquet('{files}', hive_partitioning=true) "
            + ("WHERE dataset <> '_schema' " if name != "bybit__klines" else "")
            + "ORDER BY ALL"
        ).fetchall()


def test_good_rows_of_a_file_go_on_and_bad_ones_are_set_aside(home: Home, land: Land) -> None:
    rows = [
        [str(MS), *GOOD],
        [str(MS + HOUR), "10", "8", "9", "11", "100", "1100"],
        [str(MS + 2 * HOUR), "ten", "12", "9", "11", "100", "1100"],
        ["", *GOOD],
        [str(MS + 3 * HOUR), "10", "12", "9", "11", "-1", "1100"],
        [str(MS + 4 * HOUR), *GOOD],
    ]
    land("a.json", page(*rows))
    intake = build(home)
    assert (intake.records, intake.quarantined, intake.excluded) == (6, 4, 0)
    assert [row[1] for row in table(home, "bybit__klines")] == [MS, MS + 4 * HOUR]
    held = table(home, "quarantine")
    assert [(row[1], row[2]) for row in held] == [
        (2, "low is above or high below another price"),
        (3, "open is no number"),
        (4, "no usable time"),
        (5, "volume is below 0"),
    ]
    assert [json.loads(row[3])["item"] for row in held] == rows[1:5]


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (b'{"retCode":0,"result":{"list":[["1', "no JSON, or cut short"),
        (b"<html>Just a moment</html>", "no JSON, or cut short"),
        (b'{"retCode":0,"result":{}}', "no list at $.result.list"),
        (b"\xff\xfe\x00", "not UTF-8 text"),
    ],
)
def test_a_file_that_cannot_be_read_is_set_aside_whole_and_others_go_on(
    home: Home, land: Land, body: bytes, reason: str
) -> None:
    land("bad.json", body)
    land("good.json", page([str(MS), *GOOD]))
    intake = build(home)
    assert (intake.records, intake.quarantined) == (2, 1)
    assert [row[:3] for row in table(home, "quarantine")] == [("bad.json", None, reason)]
    assert len(table(home, "bybit__klines")) == 1


def test_times_in_several_units_within_a_file_set_it_aside(home: Home, land: Land) -> None:
    land("mixed.json", page([str(MS), *GOOD], [str((MS + HOUR) // 1000), *GOOD]))
    land("seconds.json", page([str((MS + 2 * HOUR) // 1000), *GOOD]))
    build(home)
    assert [row[1] for row in table(home, "bybit__klines")] == [MS + 2 * HOUR]
    ((file, record, reason, _),) = table(home, "quarantine")
    assert (file, record) == ("mixed.json", None)
    assert reason.startswith("times in several units")


def test_a_line_that_was_cut_short_is_set_aside_with_its_number(home: Home, land: Land) -> None:
    lines = [
        "timestamp,symbol,side,size,price,tickDirection,trdMatchID,grossValue,homeNotional,foreignNotional",
        "1760054400.1,BTCUSDT,Buy,1,10,x,a,1,1,10",
        "1760054401.5,BTCUSDT,Sell,2",
        "1760054402.5,BTCUSDT,Sell,2,11,x,b,1,2,22",
    ]
    land("t.csv.gz", gzip.compress("\n".join(lines).encode()), "archive_trades", BARS | {"interval_seconds": "60"})
    intake = build(home)
    assert table(home, "bybit__klines") == [("BTCUSDT", MS, 10, 11, 10, 11, 3, 32)]
    assert [row[1:3] for row in table(home, "quarantine")] == [(2, "a line with too few columns")]
    assert intake.quarantined == 1


def test_a_row_dated_after_its_receipt_is_set_aside(home: Home, land: Land) -> None:
    land("future.json", page([str(4_102_444_800_000), *GOOD]))
    intake = build_raw(FEEDS["bybit", "klines"].dataset, home, DAY, date(2100, 1, 1))
    assert intake.reasons == {"dated after its receipt": 1}


def test_after_a_fix_reading_again_brings_records_back_and_empties_quarantine(home: Home, land: Land) -> None:
    land("a.json", page([str(MS), *GOOD], [str(MS + HOUR), "10", "8", "9", "11", "100", "1100"]))
    assert build(home).quarantined == 1
    assert build(home).quarantined == 1
    assert len(table(home, "quarantine")) == 1
    # The venue answers again, now right: the newer bytes take the older file's place.
    land("a.json", page([str(MS), *GOOD], [str(MS + HOUR), *GOOD]))
    assert build(home).quarantined == 0
    assert table(home, "quarantine") == []
    assert len(table(home, "bybit__klines")) == 2


def test_the_intake_counts_what_was_read(home: Home, land: Land) -> None:
    land("a.json", page([str(MS), *GOOD], [str(MS + HOUR), "10", "8", "9", "11", "100", "1100"]))
    build(home)
    assert table(home, "intake") == [("bybit__klines", "bybit", 2, 1, 1, 0, None)]


def test_a_file_of_an_unknown_reader_is_an_error_with_the_remedy(home: Home, land: Land) -> None:
    land("a.json", page(), "of_another_version")
    with pytest.raises(Exception, match=r"unknown readers.*fetch them again"):
        build(home)


@pytest.mark.parametrize(
    ("stamp", "microseconds"),
    [
        *((str(MS * 10**power // 1000), 0) for power in (0, 3, 6, 9)),
        ("1760054400.25", 250_000),
        ("1760054400.123456", 123_456),
        ("1760054400123.456", 123_456),
        ("1760054400123456", 123_456),
        ("1760054400123456000", 123_456),
        ("1.7600544e9", 0),
        ("17600544e5", 0),
        (" 1760054400000 ", 0),
        ("+1760054400000", 0),
        ("001760054400000", 0),
        ("", None),
        ("soon", None),
        ("1e30", None),
        ("99999999999999999999999", None),
    ],
)
def test_a_stamp_means_one_moment_in_whatever_unit_and_form(stamp: str, microseconds: int | None) -> None:
    start = datetime(2025, 10, 10, tzinfo=UTC)
    wanted = None if microseconds is None else start + timedelta(microseconds=microseconds)
    with connect() as connection:
        query = f"SELECT {epoch('stamp')} FROM (VALUES ({literal(stamp)})) AS said(stamp)"
        assert connection.execute(query).fetchall() == [(wanted,)]
