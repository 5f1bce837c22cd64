"""OKX's answers and files, written here by hand as okx.com/docs-v5 describes them, as raw rows."""

import json
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import pytest
from asking import Row, land, ms, raw_rows, set_aside, zipped

from dagster_project.lib.duck import connect
from dagster_project.lib.home import Home
from dagster_project.sources import okx
from dagster_project.sources.dataset import Intake, build_raw

FEEDS = {feed.entity: feed for feed in okx.FEEDS}
DAY = date(2025, 10, 10)
MS = ms(datetime(2025, 10, 10, 21, tzinfo=UTC))
BAR = [str(MS), "10", "12", "9", "11", "150", "1.5", "16.5", "1"]
SWAP = {"product": "swap", "venue_symbol": "BTC-USDT-SWAP"}


def answer(rows: list[Any]) -> dict[str, Any]:
    return {"code": "0", "msg": "", "data": rows}


def read(home: Home, entity: str, reader: str, contents: dict[str, Any], **context: str) -> tuple[list[Row], Intake]:
    feed = FEEDS[entity]
    land(home, feed, reader, contents, (DAY, DAY), **context)
    intake = build_raw(feed.dataset, home, DAY, DAY)
    return raw_rows(home, feed), intake


def test_klines_of_nine_fields(home: Home) -> None:
    rows, intake = read(home, "klines", "klines", {"a.json": answer([BAR])}, **SWAP, interval_seconds="3600")
    (row,) = rows
    assert row["open_time"] == datetime(2025, 10, 10, 21, tzinfo=UTC)
    assert (row["open"], row["high"], row["low"], row["close"]) == (10.0, 12.0, 9.0, 11.0)
    assert (row["volume"], row["base_volume"], row["turnover"], row["interval_seconds"]) == (150.0, 1.5, 16.5, 3600)
    assert (row["product"], row["venue"], row["feed"], row["completeness"]) == ("swap", "okx", "okx", "complete")
    assert (intake.records, intake.quarantined, intake.excluded) == (1, 0, 0)


def test_trap_c8_bar_without_confirmation_is_excluded_with_its_reason(home: Home) -> None:
    open_bar = [str(MS + 3_600_000), *BAR[1:8], "0"]
    rows, intake = read(home, "klines", "klines", {"a.json": answer([open_bar, BAR])}, **SWAP, interval_seconds="3600")
    assert [row["open_time"].hour for row in rows] == [21]
    assert (intake.records, intake.excluded, intake.quarantined) == (2, 1, 0)


@pytest.mark.parametrize(
    ("bar", "reason"),
    [
        ([BAR[0], "oops", *BAR[2:]], "open is no number"),
        ([BAR[0], "13", *BAR[2:]], "low is above or high below another price"),
        (["", *BAR[1:]], "no usable time"),
        ([*BAR[:5], "", *BAR[6:]], "volume has no usable value"),
        (BAR[:3], "low has no usable value"),
    ],
)
def test_a_bar_that_cannot_be_right_is_set_aside_and_the_others_stay(home: Home, bar: list[str], reason: str) -> None:
    pages = {"a.json": answer([bar, BAR])}
    rows, intake = read(home, "klines", "klines", pages, **SWAP, interval_seconds="3600")
    assert (len(rows), intake.quarantined, list(intake.reasons)) == (1, 1, [reason])


def test_trap_c9_times_in_two_units_set_the_file_aside(home: Home) -> None:
    seconds = [str(MS // 1000), *BAR[1:]]
    pages = {"a.json": answer([BAR, seconds]), "b.json": answer([BAR])}
    rows, intake = read(home, "klines", "klines", pages, **SWAP, interval_seconds="3600")
    assert (len(rows), intake.quarantined) == (1, 1)
    assert "times in several units" in set_aside(home, FEEDS["klines"])[0]


def test_an_error_that_was_landed_as_a_page_is_set_aside_whole(home: Home) -> None:
    pages = {"a.json": {"code": "50011", "msg": "Too Many Requests"}, "b.json": b"<html>451</html>"}
    rows, intake = read(home, "klines", "klines", pages, **SWAP, interval_seconds="3600")
    assert (rows, intake.quarantined) == ([], 2)
    assert set_aside(home, FEEDS["klines"]) == ["no JSON, or cut short", "no list at $.data"]


def test_reference_bars_have_six_fields(home: Home) -> None:
    page = answer([[*BAR[:5], "1"], [str(MS + 60_000), *BAR[1:5], "0"]])
    context = {**SWAP, "interval_seconds": "60", "price_kind": "index"}
    rows, intake = read(home, "reference_klines", "reference_klines", {"a.json": page}, **context)
    assert [(row["price_kind"], row["close"], row["venue_symbol"]) for row in rows] == [
        ("index", 11.0, "BTC-USDT-SWAP")
    ]
    assert intake.excluded == 1


# --- the dated files ---

CANDLES = "instrument_name,open,high,low,close,vol,vol_ccy,vol_quote,open_time,confirm\n"
LINE = f"BTC-USDT-SWAP,10,12,9,11,150,1.5,16.5,{MS},1\n"


def read_candles(home: Home, text: str | bytes) -> tuple[list[Row], Intake]:
    contents = {"BTC-USDT-SWAP-candlesticks-2025-10-11.zip": zipped(text)}
    return read(home, "klines", "archive_candles", contents, **SWAP, interval_seconds="60")


def test_archived_candle(home: Home) -> None:
    (row,), _ = read_candles(home, CANDLES + LINE)
    assert (row["volume"], row["base_volume"], row["turnover"], row["interval_seconds"]) == (150.0, 1.5, 16.5, 60)
    assert (row["venue_symbol"], row["source"]) == ("BTC-USDT-SWAP", "okx archive")


def test_archived_candles_that_say_confirm_0_throughout_are_kept(home: Home) -> None:
    """Files of 2024 do; their bars had been over for two days."""
    rows, intake = read_candles(home, CANDLES + LINE.replace(",1\n", ",0\n"))
    assert (len(rows), intake.excluded) == (1, 0)


def test_trap_c9_archived_rows_of_two_utc_days_keep_to_their_own(home: Home) -> None:
    feed, nearly = FEEDS["klines"], ms(date(2025, 10, 11)) - 60_000
    text = CANDLES + LINE.replace(str(MS), str(nearly)) + LINE.replace(str(MS), str(nearly + 60_000))
    contents = {"BTC-USDT-SWAP-candlesticks-2025-10-11.zip": zipped(text)}
    land(home, feed, "archive_candles", contents, (DAY, date(2025, 10, 11)), **SWAP, interval_seconds="60")
    for day, clock in ((DAY, "23:59"), (date(2025, 10, 11), "00:00")):
        build_raw(feed.dataset, home, day, day)
        assert [f"{row['open_time']:%H:%M}" for row in raw_rows(home, feed) if row["date"] == day] == [clock]


def test_rows_whose_contract_begins_with_a_digit_or_a_letter_are_no_header(home: Home) -> None:
    text = CANDLES + LINE + LINE.replace("BTC-", "1INCH-")
    rows, _ = read_candles(home, text.replace("\n", "\r\n"))
    assert [row["venue_symbol"] for row in rows] == ["1INCH-USDT-SWAP", "BTC-USDT-SWAP"]


def test_a_byte_order_mark_is_no_part_of_the_header(home: Home) -> None:
    rows, intake = read_candles(home, b"\xef\xbb\xbf" + (CANDLES + LINE).encode())
    assert (len(rows), intake.quarantined) == (1, 0)


@pytest.mark.parametrize(
    "header", ["", "instrument_name,open_time,open,high,low,close,vol,vol_ccy,vol_quote,confirm\n"]
)
def test_a_file_of_other_columns_is_set_aside_and_not_guessed_at(home: Home, header: str) -> None:
    rows, intake = read_candles(home, header + LINE)
    assert (rows, intake.quarantined) == ([], 1)
    assert set_aside(home, FEEDS["klines"])[0].startswith("columns are ")


def test_lines_that_an_archive_repeats_stay_in_raw(home: Home) -> None:
    rows, intake = read_candles(home, CANDLES + LINE + LINE)
    assert (len(rows), intake.records) == (2, 2)


def test_archived_funding_keeps_its_second(home: Home) -> None:
    lines = ["instrument_name,funding_rate,funding_time", f"BTC-USDT-SWAP,-0.0001360076771935,{MS + 3000}"]
    text = "\n".join([*lines, f"1INCH-USDT-SWAP,0.0001,{MS}"])
    rows, _ = read(
        home, "funding", "archive_funding", {"allswap-fundingrates-2025-10-11.zip": zipped(text)}, product="swap"
    )
    assert [(row["venue_symbol"], row["funding_rate"], row["funding_time"].second) for row in rows] == [
        ("1INCH-USDT-SWAP", 0.0001, 0),
        ("BTC-USDT-SWAP", -0.0001360076771935, 3),
    ]


# --- funding, open interest, instruments ---


def test_funding_is_realized_and_not_predicted(home: Home) -> None:
    item = {"instId": "BTC-USDT-SWAP", "fundingRate": "0.5", "realizedRate": "-0.0001", "fundingTime": str(MS)}
    pages = {"a.json": answer([item, item | {"realizedRate": "", "fundingTime": str(MS - 1)}])}
    rows, intake = read(home, "funding", "funding", pages, **SWAP)
    assert [row["funding_rate"] for row in rows] == [-0.0001]
    assert intake.reasons == {"funding_rate has no usable value": 1}, "a prediction is no substitute"


def test_open_interest_in_three_units(home: Home) -> None:
    page = answer([[str(MS), "2500", "25", "2500000.5"]])
    rows, _ = read(home, "open_interest", "open_interest", {"a.json": page}, **SWAP, period_seconds="3600")
    (row,) = rows
    values = (row["open_interest"], row["open_interest_base"], row["open_interest_value"], row["single_open_interest"])
    assert values == (2500.0, 25.0, 2_500_000.5, None)


TERMS = {
    "instId": "BTC-USDT-SWAP", "instType": "SWAP", "uly": "BTC-USDT", "settleCcy": "USDT", "ctVal": "0.01", "ctMult": "1",
    "ctValCcy": "BTC", "ctType": "linear", "tickSz": "0.1", "lotSz": "0.01", "lever": "100", "state": "live",
    "listTime": "1573557408000", "expTime": "", "baseCcy": "", "quoteCcy": "",
}  # fmt: skip
INVERSE = TERMS | {
    "instId": "BTC-USD-251226", "instType": "FUTURES", "uly": "BTC-USD", "settleCcy": "BTC", "ctVal": "100",
    "ctValCcy": "USD", "ctType": "inverse", "expTime": str(MS),
}  # fmt: skip


def read_instruments(home: Home, *items: dict[str, str]) -> tuple[dict[str, Row], Intake]:
    rows, intake = read(
        home, "instruments", "instruments", {"a.json": answer(list(items))}, product="swap", asked_at_ms=str(MS)
    )
    return {row["venue_symbol"]: row for row in rows}, intake


def test_contract_value_is_value_times_multiplier_in_base_units_or_dollars(home: Home) -> None:
    rows, _ = read_instruments(home, TERMS | {"ctVal": "1000", "ctMult": "10"}, INVERSE)
    linear, inverse = rows["BTC-USDT-SWAP"], rows["BTC-USD-251226"]
    assert (linear["contract_value"], linear["contract_type"], linear["is_perpetual"]) == (10_000.0, "linear", True)
    assert (inverse["contract_value"], inverse["contract_type"], inverse["is_perpetual"]) == (100.0, "inverse", False)
    assert (linear["base_code"], linear["quote_code"], linear["settle_code"]) == ("BTC", "USDT", "USDT")
    assert (linear["delisted_at"], inverse["delisted_at"]) == (None, datetime(2025, 10, 10, 21, tzinfo=UTC))
    assert (linear["tick_size"], linear["quantity_step"], linear["max_leverage"]) == (0.1, 0.01, 100.0)


def test_a_contract_whose_value_counts_another_currency_is_set_aside(home: Home) -> None:
    rows, intake = read_instruments(home, TERMS | {"ctValCcy": "USDT"}, INVERSE | {"ctValCcy": "BTC"})
    assert (rows, intake.reasons) == ({}, {"contract_value has no usable value": 2})


def test_contracts_not_announced_and_test_contracts_are_excluded(home: Home) -> None:
    bare = TERMS | {"instId": "NEW-USDT-SWAP", "state": "preopen", "ctVal": "", "ctMult": "", "ctType": ""}
    rows, intake = read_instruments(home, TERMS, bare, TERMS | {"instId": "TEST-USDT-SWAP", "state": "test"})
    assert (list(rows), intake.excluded, intake.quarantined) == (["BTC-USDT-SWAP"], 2, 0)


def test_tiers_of_a_family_belong_to_its_perpetual(home: Home) -> None:
    tier = {
        "instFamily": "BTC-USDT", "uly": "BTC-USDT", "tier": "2", "minSz": "1000", "maxSz": "2000", "mmr": "0.005",
        "imr": "0.0133", "maxLever": "75", "instId": "",
    }  # fmt: skip
    pages = {"a.json": answer([tier, tier | {"instFamily": "", "uly": ""}])}
    rows, intake = read(home, "leverage_tiers", "leverage_tiers", pages, product="swap", asked_at_ms=str(MS))
    (row,) = rows
    assert (row["venue_symbol"], row["tier_number"], row["tier_floor"], row["tier_cap"]) == (
        "BTC-USDT-SWAP", 2, 1000.0, 2000.0,
    )  # fmt: skip
    assert (row["maintenance_rate"], row["initial_rate"], row["max_leverage"]) == (0.005, 0.0133, 75.0)
    assert intake.reasons == {"venue_symbol has no usable value": 1}


def test_ticker_of_a_contract_that_has_not_traded(home: Home) -> None:
    item = {"instId": "NEW-USDT-SWAP", "last": "", "vol24h": "0", "volCcy24h": "0", "askPx": "1"}
    rows, _ = read(home, "tickers", "tickers", {"a.json": answer([item])}, product="swap", asked_at_ms=str(MS))
    assert [(row["last_price"], row["volume"], row["base_volume"]) for row in rows] == [(None, 0.0, 0.0)]


def test_insurance_fund_per_family_and_not_the_total_of_all(home: Home) -> None:
    entry = {"balance": "100.5", "ccy": "USDT", "ts": str(MS), "type": "regular_update", "amt": ""}
    page = answer([{"total": "999", "instFamily": "BTC-USDT", "instType": "SWAP", "details": [entry]}])
    rows, intake = read(home, "insurance_funds", "insurance_funds", {"a.json": page}, product="swap")
    assert [(row["venue_symbol"], row["asset"], row["balance"], row["balance_usd"]) for row in rows] == [
        ("BTC-USDT", "USDT", 100.5, None)
    ]
    assert intake.quarantined == 0


def test_insurance_fund_without_details_does_not_vanish(home: Home) -> None:
    page = answer([{"total": "999", "instFamily": "BTC-USDT", "instType": "SWAP"}])
    rows, intake = read(home, "insurance_funds", "insurance_funds", {"a.json": page}, product="swap")
    assert (rows, intake.quarantined) == ([], 1)


def test_a_book_without_asks_is_set_aside_and_does_not_vanish(home: Home) -> None:
    book = {"bids": [["100", "5", "0", "1"]], "asks": [["100.1", "7", "0", "2"]], "ts": str(MS), "seqId": 1}
    pages = {"a.json": answer([book]), "b.json": answer([book | {"asks": []}]), "c.json": answer([{"unexpected": 1}])}
    rows, intake = read(home, "depth", "depth", pages, **SWAP)
    assert len(rows) == 12
    assert {(row["percentage"] < 0, row["quantity"]) for row in rows} == {(True, 5.0), (False, 7.0)}
    assert (intake.records, intake.quarantined) == (14, 2)


# --- liquidations ---

FILL = {
    "bkLoss": "0",
    "bkPx": "120000.1",
    "ccy": "",
    "posSide": "long",
    "side": "sell",
    "sz": "3",
    "ts": str(MS),
    "time": str(MS),
}


def liquidated(*details: dict[str, str]) -> list[dict[str, Any]]:
    return [
        {
            "instFamily": "BTC-USDT",
            "instId": "BTC-USDT-SWAP",
            "instType": "SWAP",
            "uly": "BTC-USDT",
            "details": list(details),
        }
    ]


@pytest.mark.parametrize(
    ("position", "order", "side"),
    [("long", "sell", "long"), ("short", "buy", "short"), ("net", "sell", "long"), ("net", "buy", "short")],
)
def test_trap_c2_side_is_the_positions(home: Home, position: str, order: str, side: str) -> None:
    page = answer(liquidated(FILL | {"posSide": position, "side": order}))
    rows, _ = read(home, "liquidations", "liquidations", {"a.json": page}, product="swap")
    (row,) = rows
    assert (row["side"], row["quantity"], row["price"], row["product"]) == (side, 3.0, 120000.1, "swap")
    assert (row["completeness"], row["source"]) == ("polled_window", "okx rest")


def test_a_liquidation_of_an_unknown_side_is_set_aside(home: Home) -> None:
    page = answer(liquidated(FILL | {"posSide": "", "side": ""}, FILL))
    rows, intake = read(home, "liquidations", "liquidations", {"a.json": page}, product="swap")
    assert (len(rows), intake.reasons) == (1, {"side has no usable value": 1})


def recorded(folder: Path, message: str) -> bytes:
    file = folder / "recorded.parquet"
    with connect() as connection:
        connection.execute(
            "COPY (SELECT TIMESTAMPTZ '2025-10-10 21:00:01+00' AS received_at, 'liquidation-orders/SWAP' AS topic, ? AS message) "
            f"TO '{file}' (FORMAT parquet)",
            [message],
        )
    return file.read_bytes()


def test_polled_pushed_and_recorded_by_others_an_event_has_one_key(home: Home, tmp_path: Path) -> None:
    feed = FEEDS["liquidations"]
    pushed = json.dumps({"arg": {"channel": "liquidation-orders", "instType": "SWAP"}, "data": liquidated(FILL)})
    ways = {
        "liquidations": {
            "a.json": answer(liquidated(FILL)),
            "again.json": answer(liquidated(FILL, FILL | {"sz": "4"})),
        },
        "stream_parquet": {"b.parquet": recorded(tmp_path, pushed)},
        "messages": {"c.json": pushed.encode()},
    }
    for reader, contents in ways.items():
        land(home, feed, reader, contents, (DAY, DAY), product="swap", venue="okx")
    intake = build_raw(feed.dataset, home, DAY, DAY)
    rows = raw_rows(home, feed)
    assert intake.quarantined == 0, intake.reasons
    assert (len(rows), len({row["event_key"] for row in rows})) == (5, 2)
    assert {row["source"] for row in rows} == {"okx rest", "okx stream"}


def test_rows_that_a_page_repeats_are_one_event(home: Home) -> None:
    rows, _ = read(home, "liquidations", "liquidations", {"a.json": answer(liquidated(FILL, FILL))}, product="swap")
    assert (len(rows), len({row["event_key"] for row in rows})) == (2, 1)


def test_a_poll_without_liquidations_has_no_rows(home: Home) -> None:
    rows, intake = read(home, "liquidations", "liquidations", {"a.json": answer([])}, product="swap")
    assert (rows, intake.records, intake.quarantined) == ([], 0, 0)
