"""The Coinalyze connector: against the local venue server, and on pages written here by hand."""

from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest
from asking import Bench, at, bench_of, land, ms, raw_rows, set_aside

from dagster_project.fetch.client import Client, StoppedError
from dagster_project.lib.errors import UsageError
from dagster_project.lib.home import Home
from dagster_project.sources import coinalyze
from dagster_project.sources.dataset import build_raw
from dagster_project.sources.feed import Ask, Contract
from venue_server import World, sums
from venue_server import coinalyze as answers

HOUR_MS = 3_600_000
FEEDS = {feed.entity: feed for feed in coinalyze.FEEDS}
DAY = date(2025, 10, 10)
BINANCE = "BTCUSDT_PERP.A"


@pytest.fixture
def bench(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Bench]:
    monkeypatch.setenv(coinalyze.KEY_VARIABLE, answers.KEY)
    with bench_of(coinalyze.FEEDS, tmp_path, monkeypatch) as made:
        yield made


def test_contracts_have_their_venue_and_assets(bench: Bench) -> None:
    bench.ask("instruments")
    rows = {row["venue_symbol"]: row for row in bench.rows("instruments")}
    linear, inverse = rows[BINANCE], rows["BTCUSD_PERP.A"]
    assert (linear["venue"], linear["base_code"], linear["quote_code"]) == ("binance", "BTC", "USDT")
    assert (linear["contract_type"], inverse["contract_type"]) == ("linear", "inverse")
    assert {row["venue"] for row in rows.values()} == {"binance", "bybit", "okx", "hyperliquid"}
    assert {row["product"] for row in rows.values()} == {"aggregate"}


def test_open_interest_is_in_usd_at_the_time_that_a_bar_opens(bench: Bench) -> None:
    day = bench.ago(1)
    bench.ask("open_interest", day)
    rows = bench.rows("open_interest", day)
    contract = bench.world.contract("binance", "um", "BTCUSDT")
    found = {row["observed_at"]: row["open_interest"] for row in rows if row["venue_symbol"] == BINANCE}
    expected = {
        at(ms(day) + hour * HOUR_MS): float(
            sums.open_interest(bench.world, contract, ms(day) + hour * HOUR_MS, HOUR_MS, usd=True).open
        )
        for hour in range(24)
    }
    assert found == expected
    assert {row["venue"] for row in rows if row["venue_symbol"].endswith(".6")} == {"bybit"}
    asked = bench.server.requests.all("coinalyze/v1/open-interest-history")
    assert {seen.query["convert_to_usd"] for seen in asked} == {"true"}
    assert {len(seen.query["from"]) for seen in asked} == {10}, "seconds"


def test_liquidations_are_summed_by_side(bench: Bench) -> None:
    day = bench.ago(1)
    bench.ask("liquidation_sums", day)
    rows = bench.rows("liquidation_sums", day)
    contract = bench.world.contract("okx", "swap", "BTC-USDT-SWAP")
    symbol = f"{answers.market_name(contract)}.3"
    found = {
        (row["period_start"], row["liquidated_side"]): row["amount"] for row in rows if row["venue_symbol"] == symbol
    }
    for hour in range(24):
        start = ms(day) + hour * HOUR_MS
        expected = sums.liquidations(bench.world, contract, start, HOUR_MS)
        assert found[at(start), "long"] == float(expected.long)
        assert found[at(start), "short"] == float(expected.short)
    assert {row["completeness"] for row in rows} == {"sampled"}


def test_funding_is_a_fraction_at_times_of_settlement(bench: Bench) -> None:
    day = bench.ago(1)
    bench.ask("funding", day)
    rows = [row for row in bench.rows("funding", day) if row["venue_symbol"] == BINANCE]
    contract = bench.world.contract("binance", "um", "BTCUSDT")
    expected = {
        at(ms(day) + hour * HOUR_MS): bench.world.funding_rate(
            contract, bench.world.next_funding(contract, ms(day) + hour * HOUR_MS)
        )
        / 1e8
        for hour in (0, 8, 16)
    }
    assert {row["funding_time"]: row["funding_rate"] for row in rows} == pytest.approx(expected, abs=1e-12)
    intake = bench.build("funding", day)
    assert intake.excluded == intake.records / 2, "bars of four hours: every other one lies between settlements"


def test_more_than_twenty_contracts_are_asked_in_groups(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(coinalyze.KEY_VARIABLE, answers.KEY)
    with bench_of(coinalyze.FEEDS, tmp_path, monkeypatch, World(symbols=9)) as bench:
        bench.ask("open_interest", bench.ago(1), bases=None)
        asked = [seen.query["symbols"].split(",") for seen in bench.server.requests.all("coinalyze/v1/open-interest-h")]
        assert len(asked) > 1
        assert max(len(symbols) for symbols in asked) == 20
        rows = bench.rows("open_interest", bench.ago(1))
        trading = {
            f"{answers.market_name(one)}.{letter}"
            for letter, venue in answers.EXCHANGES.items()
            for one in bench.world.trading(venue)
        }
        assert {row["venue_symbol"] for row in rows} == trading


def test_each_contract_of_a_request_counts() -> None:
    contracts = [Contract("aggregate", f"C{number}USDT_PERP.A", "C", "USDT", "linear", True) for number in range(27)]
    ask = Ask(DAY, DAY, datetime(2025, 11, 1, tzinfo=UTC), contracts)
    weights: list[int] = []

    class Asked(Client):
        def get(self, *_: object, weight: int = 1, **__: object) -> coinalyze.Page:
            weights.append(weight)
            return coinalyze.Page(b"[1]", "", [1])

    with Asked() as client:
        for task in FEEDS["open_interest"].origins["rest"](ask):
            list(task.pieces(client, Path()))
    assert weights == [20, 7]
    permits, seconds = coinalyze.HOST.rates[0]
    assert permits / seconds * 60 <= 40


def test_groups_of_other_contracts_are_other_questions() -> None:
    def names(*symbols: str) -> list[str]:
        contracts = [Contract("aggregate", symbol, "C", "USDT", "linear", True) for symbol in symbols]
        ask = Ask(DAY, DAY, datetime(2025, 11, 1, tzinfo=UTC), contracts)
        return [task.name for task in FEEDS["open_interest"].origins["rest"](ask)]

    assert names("A.A", "B.A", "C.A") != names("A.A", "X.A", "C.A")
    assert names("A.A", "B.A") == names("A.A", "B.A")


def test_exchange_that_is_not_known_here_is_left_out_of_the_contracts(home: Home) -> None:
    same = {"base_asset": "BTC", "quote_asset": "USDT", "margined": "STABLE"}
    markets = [
        {"symbol": "BTCUSDT_PERP.A", "exchange": "A", "is_perpetual": True, "expire_at": None} | same,
        {"symbol": "BTCUSDT.A", "exchange": "A", "is_perpetual": False, "expire_at": 1766736000} | same,
        {"symbol": "BTC_JPY.L", "exchange": "L", "is_perpetual": True, "expire_at": None} | same,
    ]
    context = {"product": "aggregate", "asked_at_ms": str(ms(DAY))}
    land(home, FEEDS["instruments"], "instruments", {"a.json": markets}, (DAY, DAY), **context)
    intake = build_raw(FEEDS["instruments"].dataset, home, DAY, DAY)
    assert [row["venue_symbol"] for row in raw_rows(home, FEEDS["instruments"])] == ["BTCUSDT_PERP.A"]
    assert (intake.excluded, intake.quarantined) == (2, 0)


def test_row_of_an_unknown_exchange_is_set_aside(home: Home) -> None:
    answer = [
        {"symbol": "BTCUSDT_PERP.A", "history": [{"t": ms(DAY) // 1000, "o": 5, "h": 6, "l": 4, "c": 5}]},
        {"symbol": "BTCUSDT_PERP.?", "history": [{"t": ms(DAY) // 1000, "o": 5, "h": 6, "l": 4, "c": 5}]},
    ]
    context = {"product": "aggregate", "period_seconds": "3600"}
    land(home, FEEDS["open_interest"], "open_interest", {"a.json": answer}, (DAY, DAY), **context)
    build_raw(FEEDS["open_interest"].dataset, home, DAY, DAY)
    assert [row["venue"] for row in raw_rows(home, FEEDS["open_interest"])] == ["binance"]
    assert set_aside(home, FEEDS["open_interest"]) == ["venue has no usable value"]


def test_answer_without_a_history_is_set_aside(home: Home) -> None:
    answer = [{"unexpected": 1}, {"symbol": "BTCUSDT_PERP.A"}, {"symbol": "ETHUSDT_PERP.A", "history": []}]
    context = {"product": "aggregate", "period_seconds": "3600"}
    land(home, FEEDS["open_interest"], "open_interest", {"a.json": answer}, (DAY, DAY), **context)
    build_raw(FEEDS["open_interest"].dataset, home, DAY, DAY)
    assert set_aside(home, FEEDS["open_interest"]) == ["no contract with its history"] * 2


def test_period_that_still_runs_is_left_out(home: Home) -> None:
    now = datetime.now(UTC)
    begun = now.replace(minute=0, second=0, microsecond=0)
    bars = [{"t": ms(begun - timedelta(hours=back)) // 1000, "l": 5.5, "s": 7} for back in (1, 0)]
    days = ((begun - timedelta(hours=1)).date(), now.date())
    context = {"product": "aggregate", "period_seconds": "3600"}
    feed = FEEDS["liquidation_sums"]
    land(home, feed, "liquidation_sums", {"a.json": [{"symbol": BINANCE, "history": bars}]}, days, **context)
    intake = build_raw(feed.dataset, home, *days)
    assert [(row["liquidated_side"], row["amount"]) for row in raw_rows(home, feed)] == [("long", 5.5), ("short", 7.0)]
    assert (intake.excluded, intake.quarantined) == (2, 0)


def test_wrong_key_stops_and_a_missing_one_is_named(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(coinalyze.KEY_VARIABLE, "a-wrong-key-of-a-test")
    with pytest.raises(StoppedError) as refused:
        bench.ask("instruments")
    assert "a-wrong-key-of-a-test" not in str(refused.value)
    monkeypatch.delenv(coinalyze.KEY_VARIABLE)
    with pytest.raises(UsageError, match=coinalyze.KEY_VARIABLE):
        bench.ask("instruments")
