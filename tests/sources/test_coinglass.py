"""The CoinGlass connector: against the local venue server, and on pages written here by hand."""

from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest
from asking import DAY_MS, Bench, at, bench_of, land, ms, raw_rows

from dagster_project.fetch.client import StoppedError
from dagster_project.lib.errors import DataError, UsageError
from dagster_project.lib.home import Home
from dagster_project.sources import coinglass
from dagster_project.sources.dataset import build_raw
from venue_server import coinglass as answers
from venue_server import sums
from venue_server.contracts import Contract as Listed

HOUR_MS = 3_600_000
FEEDS = {feed.entity: feed for feed in coinglass.FEEDS}
DAY = date(2025, 10, 10)


@pytest.fixture
def bench(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Bench]:
    monkeypatch.setenv(coinglass.KEY_VARIABLE, answers.KEY)
    with bench_of(coinglass.FEEDS, tmp_path, monkeypatch) as made:
        yield made


def listed(bench: Bench, base: str = "BTC") -> list[Listed]:
    venues = ("binance", "bybit", "okx", "bitget", "hyperliquid")
    return [one for venue in venues for one in bench.world.contracts(venue) if one.asset == base]


def test_open_interest_is_the_value_at_the_time_that_a_bar_opens(bench: Bench) -> None:
    day = bench.ago(1)
    bench.ask("open_interest", day)
    rows = bench.rows("open_interest", day)
    moment = datetime(day.year, day.month, day.day, 7, tzinfo=UTC)
    found = {(row["venue"], row["venue_symbol"]): row for row in rows if row["observed_at"] == moment}
    expected = {
        (one.venue, one.symbol): float(sums.open_interest(bench.world, one, ms(moment), HOUR_MS, usd=True).open)
        for one in listed(bench)
        if one.venue != "bitget"
    }
    assert {key: row["open_interest"] for key, row in found.items() if key[0] != "market"} == pytest.approx(
        expected, abs=1e-4
    ), "USD, with four decimals"
    market = found["market", "BTC"]
    total = sum(
        float(sums.open_interest(bench.world, one, ms(moment), HOUR_MS, usd=True).open) for one in listed(bench)
    )
    assert market["open_interest"] == pytest.approx(total, abs=1e-3)
    assert market["completeness"] == "partial"
    assert {row["completeness"] for key, row in found.items() if key[0] != "market"} == {"complete"}
    assert {(row["feed"], row["product"], row["period_seconds"]) for row in rows} == {("coinglass", "aggregate", 3600)}


def test_liquidations_are_summed_by_venue_and_for_the_market(bench: Bench) -> None:
    day = bench.ago(1)
    bench.ask("liquidation_sums", day)
    rows = bench.rows("liquidation_sums", day)
    found = {
        (row["venue"], row["period_start"], row["liquidated_side"]): row["amount"]
        for row in rows
        if row["venue_symbol"] == "BTC"
    }
    for venue in ("binance", "okx", "market"):
        for hour in range(24):
            start = ms(day) + hour * HOUR_MS
            parts = [
                sums.liquidations(bench.world, one, start, HOUR_MS)
                for one in listed(bench)
                if venue in (one.venue, "market")
            ]
            assert found[venue, at(start), "long"] == pytest.approx(float(sum(part.long for part in parts)))
            assert found[venue, at(start), "short"] == pytest.approx(float(sum(part.short for part in parts)))
    assert {row["completeness"] for row in rows} == {"sampled"}, "sums of throttled streams"
    assert any(amount > 0 for amount in found.values())


def test_funding_is_a_fraction_at_times_of_settlement(bench: Bench) -> None:
    day = bench.ago(1)
    bench.ask("funding", day)
    rows = bench.rows("funding", day)
    contract = bench.world.contract("binance", "um", "BTCUSDT")
    found = {
        row["funding_time"]: row["funding_rate"]
        for row in rows
        if (row["venue"], row["venue_symbol"]) == ("binance", "BTCUSDT")
    }
    expected = {
        # The server writes the rate of the interval that begins, in per cent with six decimals.
        at(ms(day) + hour * HOUR_MS): bench.world.funding_rate(
            contract, bench.world.next_funding(contract, ms(day) + hour * HOUR_MS)
        )
        / 1e8
        for hour in (0, 8, 16)
    }
    assert found == pytest.approx(expected, abs=1e-12)
    assert {row["venue"] for row in rows} == {"binance", "okx", "bybit"}, "not those that settle every hour"


def test_long_ranges_are_asked_in_stretches_that_fit_a_page(bench: Bench) -> None:
    start, end = bench.ago(16), bench.ago(1)
    bench.ask("open_interest", start, end, intervals=(900,))
    asked = bench.server.requests.all("coinglass/api/futures/open-interest/aggregated-history")
    assert len(asked) == 2, "1,536 bars, of which 999 fit"
    rows = bench.rows("open_interest", start, end)
    times = [row["observed_at"] for row in rows if row["venue"] == "market"]
    assert sorted(times) == [at(ms(start) + number * 900_000) for number in range(16 * 96)]


def test_pair_that_an_exchange_does_not_have_is_passed_over(bench: Bench) -> None:
    fetched = bench.ask("open_interest", bench.ago(1), bases="BTC,ZZZ")
    assert "binance-ZZZUSDT-3600" in fetched.missing
    assert not [name for name in fetched.missing if "BTC" in name]
    assert {row["venue_symbol"] for row in bench.rows("open_interest", bench.ago(1))} >= {"BTC", "BTCUSDT"}


def test_code_in_thousands_is_asked_by_the_venues_own_name(bench: Bench) -> None:
    fetched = bench.ask("open_interest", bench.ago(1), bases="PEPE")
    rows = bench.rows("open_interest", bench.ago(1))
    assert {row["venue_symbol"] for row in rows} == {"PEPE", "1000PEPEUSDT", "PEPE-USDT-SWAP", "kPEPE"}
    assert not [name for name in fetched.missing if "USDT-" in name], "linear pairs were all found"


def test_interval_beyond_the_plan_stops_and_says_what_to_do(bench: Bench) -> None:
    bench.server.app.hosts.coinglass.plan = "hobbyist"
    with pytest.raises(StoppedError, match="Upgrade plan") as refused:
        bench.ask("open_interest", bench.ago(1))
    assert "DELEVER_INTERVALS" in str(refused.value)
    assert bench.ask("open_interest", bench.ago(1), intervals=(14400,)).files > 0


def test_wrong_key_stops_and_is_not_shown(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(coinglass.KEY_VARIABLE, "a-wrong-key-of-a-test")
    with pytest.raises(StoppedError) as refused:
        bench.ask("funding", bench.ago(1))
    assert "a-wrong-key-of-a-test" not in str(refused.value)
    monkeypatch.delenv(coinglass.KEY_VARIABLE)
    with pytest.raises(UsageError, match=coinglass.KEY_VARIABLE):
        bench.ask("funding", bench.ago(1))


def test_key_is_in_no_landed_file(bench: Bench) -> None:
    bench.ask("funding", bench.ago(1))
    assert bench.landed("funding")
    for path in bench.home.landing.rglob("*"):
        assert not path.is_file() or answers.KEY.encode() not in path.read_bytes()


def test_rate_error_inside_http_200_is_waited_for(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    bench.server.faults.put("rate_limit", "coinglass/*", on=1)
    bench.ask("funding", bench.ago(1))
    assert len(bench.rows("funding", bench.ago(1))) > 0


def test_answer_to_other_times_than_asked_is_an_error(bench: Bench) -> None:
    # What an API does that does not know the names of its parameters: it answers with the newest rows.
    with pytest.raises(DataError, match="other times than it was asked for"):
        coinglass._within(page([{"time": ms(DAY), "open": "1"}]), ms(DAY) + DAY_MS, ms(DAY) + 2 * DAY_MS)
    with pytest.raises(DataError, match="another shape"):
        coinglass._within(page([{"t": 1}]), 0, 1)


def page(rows: list[object]) -> coinglass.Page:
    return coinglass.Page(b"", "https://coinglass.example/api", {"code": "0", "data": rows})


def test_period_that_still_runs_is_left_out(home: Home) -> None:
    now = datetime.now(UTC)
    begun = now.replace(minute=0, second=0, microsecond=0)
    rows = [
        {
            "time": ms(begun - timedelta(hours=back)),
            "aggregated_long_liquidation_usd": 5.5,
            "aggregated_short_liquidation_usd": "7",
        }
        for back in (1, 0)
    ]
    days = ((begun - timedelta(hours=1)).date(), now.date())
    context = {"product": "aggregate", "venue": "binance", "venue_symbol": "BTC", "period_seconds": "3600"}
    feed = FEEDS["liquidation_sums"]
    land(home, feed, "liquidation_sums", {"a.json": {"code": "0", "data": rows}}, days, **context)
    intake = build_raw(feed.dataset, home, *days)
    assert [(row["liquidated_side"], row["amount"]) for row in raw_rows(home, feed)] == [("long", 5.5), ("short", 7.0)]
    assert (intake.excluded, intake.quarantined) == (2, 0)


def test_words_of_the_documentation_are_read(home: Home) -> None:
    """The sample of docs.coinglass.com, funding rate history: per cent as text."""
    answer = {
        "code": "0",
        "msg": "success",
        "data": [
            {"time": 1658880000000, "open": "0.004603", "high": "0.009388", "low": "-0.005063", "close": "0.009229"},
            {"time": 1658966400000, "open": "0.009229", "high": "0.01", "low": "0.007794", "close": "0.01"},
        ],
    }
    days = (date(2022, 7, 27), date(2022, 7, 28))
    context = {"product": "aggregate", "venue": "binance", "venue_symbol": "BTCUSDT", "period_seconds": "28800"}
    land(home, FEEDS["funding"], "funding", {"a.json": answer}, days, **context)
    build_raw(FEEDS["funding"].dataset, home, *days)
    assert [row["funding_rate"] for row in raw_rows(home, FEEDS["funding"])] == pytest.approx([4.603e-05, 9.229e-05])
