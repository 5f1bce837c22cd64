"""The Tardis connector: against the local venue server, and on files written here by hand."""

import gzip
import logging
from collections.abc import Iterator
from datetime import date, timedelta
from pathlib import Path

import pytest
from asking import DAY_MS, Bench, at, bench_of, land, ms, raw_rows, set_aside

from dagster_project.fetch.client import StoppedError
from dagster_project.lib.home import Home
from dagster_project.sources import tardis
from dagster_project.sources.dataset import build_raw
from venue_server import tardis as answers

FEEDS = {feed.entity: feed for feed in tardis.FEEDS}
FREE, PAID = date(2026, 11, 1), date(2026, 11, 10)
CRASH = date(2025, 10, 10)


@pytest.fixture
def bench(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Bench]:
    monkeypatch.delenv(tardis.KEY_VARIABLE, raising=False)
    with bench_of(tardis.FEEDS, tmp_path, monkeypatch) as made:
        yield made


def test_liquidations_have_the_side_of_the_order_on_every_exchange(bench: Bench) -> None:
    fetched = bench.ask("liquidations", FREE)
    rows = bench.rows("liquidations", FREE)
    expected = set()
    for product, venue, symbol in (
        ("binance_futures", "binance", "BTCUSDT"),
        ("binance_delivery", "binance", "BTCUSD_PERP"),
        ("bybit", "bybit", "BTCUSDT"),
        ("bybit", "bybit", "BTCUSD"),
        ("okex_swap", "okx", "BTC-USDT-SWAP"),
        ("okex_swap", "okx", "BTC-USD-SWAP"),
        ("hyperliquid", "hyperliquid", "BTC"),
    ):
        contract = next(one for one in bench.world.contracts(venue) if one.symbol == symbol)
        for event in bench.world.liquidations(contract, ms(FREE), ms(FREE) + DAY_MS):
            side = "sell" if event.position == "long" else "buy"
            amount, price = float(contract.quantity(event.lots)), float(contract.price(event.ticks))
            expected.add((product, venue, symbol, at(event.time), side, amount, price))
    names = ("product", "venue", "venue_symbol", "event_time", "side", "quantity", "price")
    assert {tuple(row[name] for name in names) for row in rows} == expected
    assert len(rows) == len(expected) > 300
    assert {(row["source"], row["completeness"]) for row in rows} == {("tardis archive", "sampled")}
    assert fetched.missing == [f"liquidations-bitget-futures-BTCUSDT-{FREE}"], "that server has none of Bitget"


def test_open_interest_and_tickers_come_of_one_file(bench: Bench) -> None:
    bench.ask("open_interest", FREE)
    asked = bench.server.requests.count("tardis")
    fetched = bench.ask("tickers", FREE)
    again = [seen for seen in bench.server.requests.all("tardis")[asked:] if seen.status == 200]
    assert again == [], "what has landed for one is not fetched for the other"
    assert fetched.files == 7
    interest, tickers = bench.rows("open_interest", FREE), bench.rows("tickers", FREE)
    contract = bench.world.contract("binance", "um", "BTCUSDT")
    moment = at(ms(FREE) + 777 * 60_000)
    (row,) = [one for one in interest if one["observed_at"] == moment and one["product"] == "binance_futures"]
    assert row["open_interest"] == float(contract.quantity(bench.world.open_interest(contract, ms(moment))))
    (row,) = [one for one in tickers if one["event_at"] == moment and one["product"] == "binance_futures"]
    assert row["mark_price"] == float(contract.price(bench.world.mark_price(contract, ms(moment))))
    assert row["index_price"] == float(contract.price(bench.world.index_price(contract, ms(moment))))
    assert len(interest) == len(tickers) == 7 * 1440


def test_names_in_capitals_become_the_exchanges_own(bench: Bench) -> None:
    bench.ask("liquidations", FREE, bases="PEPE")
    rows = bench.rows("liquidations", FREE)
    assert {row["venue_symbol"] for row in rows if row["venue"] == "hyperliquid"} == {"kPEPE"}
    assert {row["venue_symbol"] for row in rows if row["venue"] == "binance"} == {"1000PEPEUSDT"}
    assert bench.server.requests.count("tardis/v1/hyperliquid/liquidations/2026/11/01/KPEPE.csv.gz") == 1


def test_days_that_need_a_key_are_left_out_without_one(bench: Bench, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        fetched = bench.ask("liquidations", FREE, FREE + timedelta(days=2))
    assert {entry.period_start for entry in bench.landed("liquidations")} == {FREE}
    assert "2 of 3 days are left out" in caplog.text
    assert tardis.KEY_VARIABLE in caplog.text
    assert fetched.files == 7
    assert {seen.path.split("/")[6] for seen in bench.server.requests.all("tardis")} == {"01"}


def test_key_opens_the_other_days_and_is_not_shown(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(tardis.KEY_VARIABLE, answers.KEY)
    assert bench.ask("liquidations", PAID).files == 7
    for path in bench.home.landing.rglob("*"):
        assert not path.is_file() or answers.KEY.encode() not in path.read_bytes()
    monkeypatch.setenv(tardis.KEY_VARIABLE, "a-wrong-key-of-a-test")
    with pytest.raises(StoppedError) as refused:
        bench.ask("liquidations", PAID - timedelta(days=1))
    assert "a-wrong-key-of-a-test" not in str(refused.value)


# --- files written here, in the form of docs.tardis.dev/downloadable-csv-files ---

CONTEXT = {"product": "binance_futures", "venue": "binance", "venue_symbol": "BTCUSDT"}
HEADER = ",".join(tardis.LIQUIDATIONS)
TICKER_HEADER = ",".join(tardis.TICKERS)
MICROS = ms(CRASH) * 1000 + 76_500_000_000  # 21:15:00


def packed(*lines: str) -> bytes:
    return gzip.compress(("\n".join(lines) + "\n").encode())


def test_times_are_microseconds_and_ids_may_be_empty(home: Home) -> None:
    body = packed(
        HEADER,
        f"binance-futures,BTCUSDT,{MICROS + 123_456},{MICROS + 200_000},,sell,114494.1,0.014",
        f"binance-futures,BTCUSDT,{MICROS + 123_456},{MICROS + 200_000},77,buy,114494.1,0.5",
    )
    land(home, FEEDS["liquidations"], "archive_liquidations", {"a.csv.gz": body}, (CRASH, CRASH), **CONTEXT)
    build_raw(FEEDS["liquidations"].dataset, home, CRASH, CRASH)
    rows = raw_rows(home, FEEDS["liquidations"])
    assert {row["event_time"].isoformat() for row in rows} == {"2025-10-10T21:15:00.123456+00:00"}
    assert {(row["side"], row["quantity"], row["event_key"]) for row in rows} == {
        ("sell", 0.014, None),
        ("buy", 0.5, "77"),
    }


def test_trap_c9_times_in_two_units_set_the_file_aside(home: Home) -> None:
    body = packed(
        HEADER,
        f"binance-futures,BTCUSDT,{MICROS},{MICROS},,sell,114494.1,0.014",
        f"binance-futures,BTCUSDT,{MICROS // 1000},{MICROS},,sell,114494.1,0.014",
    )
    land(home, FEEDS["liquidations"], "archive_liquidations", {"a.csv.gz": body}, (CRASH, CRASH), **CONTEXT)
    build_raw(FEEDS["liquidations"].dataset, home, CRASH, CRASH)
    assert raw_rows(home, FEEDS["liquidations"]) == []
    assert "times in several units" in set_aside(home, FEEDS["liquidations"])[0]


def test_row_of_another_contract_is_set_aside(home: Home) -> None:
    body = packed(
        HEADER,
        f"binance-futures,BTCUSDT,{MICROS},{MICROS},,sell,1,1",
        f"binance-futures,ETHUSDT,{MICROS},{MICROS},,sell,1,1",
        f"bybit,BTCUSDT,{MICROS},{MICROS},,sell,1,1",
    )
    land(home, FEEDS["liquidations"], "archive_liquidations", {"a.csv.gz": body}, (CRASH, CRASH), **CONTEXT)
    build_raw(FEEDS["liquidations"].dataset, home, CRASH, CRASH)
    assert [row["venue_symbol"] for row in raw_rows(home, FEEDS["liquidations"])] == ["BTCUSDT"]
    assert set_aside(home, FEEDS["liquidations"]) == ["venue_symbol has no usable value"] * 2


def test_last_row_of_a_minute_is_kept_and_the_others_are_counted(home: Home) -> None:
    def line(offset: int, interest: str) -> str:
        return f"binance-futures,BTCUSDT,{MICROS + offset},{MICROS + offset},,0.0001,,{interest},1,2,3"

    body = packed(
        TICKER_HEADER,
        line(0, "100"),
        line(59_999_999, "101"),
        line(60_000_000, ""),
        line(60_000_001, "102"),
        line(120_000_000, ""),
    )
    land(home, FEEDS["open_interest"], "archive_derivative_ticker", {"a.csv.gz": body}, (CRASH, CRASH), **CONTEXT)
    intake = build_raw(FEEDS["open_interest"].dataset, home, CRASH, CRASH)
    assert [row["open_interest"] for row in raw_rows(home, FEEDS["open_interest"])] == [101.0, 102.0]
    assert (intake.records, intake.excluded, intake.quarantined) == (5, 3, 0)


def test_columns_in_another_order_set_the_file_aside(home: Home) -> None:
    body = packed("exchange,symbol,local_timestamp,timestamp,id,side,price,amount", "a,b,1,2,3,sell,4,5")
    land(home, FEEDS["liquidations"], "archive_liquidations", {"a.csv.gz": body}, (CRASH, CRASH), **CONTEXT)
    build_raw(FEEDS["liquidations"].dataset, home, CRASH, CRASH)
    (reason,) = set_aside(home, FEEDS["liquidations"])
    assert reason.startswith("columns are exchange,symbol,local_timestamp")
