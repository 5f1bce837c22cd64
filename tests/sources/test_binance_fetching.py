"""The Binance connector against a server that answers as Binance documents; what becomes raw is compared with that market."""

import re
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from binance_home import FEEDS, Row, build, rows

from dagster_project.fetch import paging
from dagster_project.fetch.client import Client, Page, StoppedError
from dagster_project.fetch.tasks import Fetched
from dagster_project.lib.errors import DataError, UsageError
from dagster_project.lib.home import Home
from dagster_project.lib.landing import Landing
from dagster_project.sources.acquire import Universe, acquire
from dagster_project.sources.binance import archive, hosts, rest
from dagster_project.sources.feed import Ask, Contract
from venue_server import Server
from venue_server import binance as documented
from venue_server.binance_archive import band_texts
from venue_server.contracts import Contract as Listed
from venue_server.text import DAY, HOUR, MINUTE, at, day_text
from venue_server.wire import Reply, Request

pytestmark = pytest.mark.xdist_group("binance_fetching")

NOW = datetime(2026, 11, 15, 12, 34, 56, 789000, UTC)
TODAY = NOW.date()
FIVE = 5 * MINUTE
ALL = Universe(None)


@pytest.fixture(scope="module")
def running() -> Iterator[Server]:
    with Server() as server:
        yield server


@pytest.fixture
def server(running: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Server:
    running.faults.clear()
    running.requests.clear()
    running.set_now(int(NOW.timestamp() * 1000))
    for name, value in running.environment().items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("DELEVER_LIMITS", str(tmp_path / "limits"))
    monkeypatch.setenv("DELEVER_RETRY_SECONDS", "0.01")
    for host in ("UM", "CM", "ARCHIVE"):
        monkeypatch.setenv(f"DELEVER_RATE_BINANCE_{host}", "100000/1")
    monkeypatch.setenv(hosts.KEY, documented.KEY)
    monkeypatch.setenv(hosts.SECRET, documented.SECRET)
    return running


@pytest.fixture
def known(home: Home, server: Server) -> Home:
    """A home in which the contracts are known."""
    fetched(home, "instruments", TODAY)
    build(home, "instruments", TODAY)
    server.requests.clear()
    return home


def fetched(
    home: Home,
    entity: str,
    start: date,
    end: date | None = None,
    *,
    symbols: tuple[str, ...] = (),
    hours: float = 1,
    **options: Any,
) -> Fetched:
    universe = Universe(None, frozenset(symbols), (int(hours * 3600),))
    return acquire(home, FEEDS[entity], start, end or start, universe, now=NOW, **options)


def ingested(home: Home, entity: str, start: date, end: date | None = None, **options: Any) -> list[Row]:
    fetched(home, entity, start, end, **options)
    build(home, entity, start, end)
    return rows(home, entity)


def listed(server: Server, product: str, symbol: str) -> Listed:
    return server.world.contract("binance", product, symbol)


def ms(moment: datetime | date) -> int:
    whole = moment if isinstance(moment, datetime) else datetime(moment.year, moment.month, moment.day, tzinfo=UTC)
    return int(whole.timestamp() * 1000)


def scaled(pair: tuple[int, int]) -> float:
    return float(Decimal(pair[0]).scaleb(-pair[1]))


def grid(start: date, days: int, step: int) -> list[int]:
    return list(range(ms(start), ms(start) + days * DAY, step))


# --- contracts ---


def test_instruments_are_the_markets(known: Home, server: Server) -> None:
    found = {(row["product"], row["venue_symbol"]): row for row in rows(known, "instruments")}
    # A contract that was delisted months ago is no longer listed.
    assert set(found) == {
        ("um", "BTCUSDT"),
        ("um", "ETHUSDT"),
        ("um", "1000PEPEUSDT"),
        ("cm", "BTCUSD_PERP"),
        ("cm", "ETHUSD_PERP"),
    }
    for (product, symbol), row in found.items():
        contract = listed(server, product, symbol)
        assert row["contract_value"] == float(contract.contract_value) if product == "cm" else 1
        assert (row["base_code"], row["quote_code"], row["settle_code"]) == (
            contract.code,
            contract.quote,
            contract.settle,
        )
        assert row["contract_type"] == ("inverse" if contract.inverse else "linear")
        assert (ms(row["listed_at"]), row["delisted_at"], row["is_perpetual"]) == (contract.listed, None, True)
        assert row["tick_size"] == float(contract.price(1))


# --- bars ---


def same_bar(server: Server, row: Row, contract: Listed, kind: Any = "trade") -> None:
    bar = server.world.candle(contract, ms(row["open_time"]), row["interval_seconds"] * 1000, kind)
    prices = [float(contract.price(ticks)) for ticks in (bar.open, bar.high, bar.low, bar.close)]
    assert [row["open"], row["high"], row["low"], row["close"]] == prices
    if kind == "trade":
        assert row["volume"] == float(contract.quantity(bar.lots))
        assert row["taker_buy_volume"] == float(contract.quantity(bar.taker_lots))
        assert row["turnover"] == scaled(server.world.turnover(contract, bar))
        assert row["taker_buy_turnover"] == scaled(server.world.turnover(contract, bar, taker=True))
        assert row["trade_count"] == bar.trades


@pytest.mark.parametrize("origin", ["archive", "rest"])
@pytest.mark.parametrize(("product", "symbol"), [("um", "1000PEPEUSDT"), ("cm", "BTCUSD_PERP")])
def test_bars_are_the_markets(known: Home, server: Server, origin: str, product: str, symbol: str) -> None:
    day = date(2026, 11, 13)
    found = ingested(known, "klines", day, day + timedelta(days=1), origin=origin, symbols=(symbol,))
    assert [ms(row["open_time"]) for row in found if row["date"] in (day, day + timedelta(days=1))] == grid(
        day, 2, HOUR
    )
    for row in found:
        same_bar(server, row, listed(server, product, symbol))
    assert {(row["product"], row["source"]) for row in found} == {(product, f"binance {origin}")}


def test_trap_headerless_files_before_may_2022(known: Home, server: Server) -> None:
    start = date(2022, 4, 30)
    found = ingested(known, "klines", start, date(2022, 5, 1), symbols=("BTCUSDT",))
    assert [ms(row["open_time"]) for row in found] == grid(start, 2, HOUR)
    for row in found:
        same_bar(server, row, listed(server, "um", "BTCUSDT"))


def test_trap_monthly_files_lack_a_day_that_is_there_by_day(known: Home) -> None:
    found = ingested(known, "klines", date(2022, 6, 14), date(2022, 6, 16), symbols=("BTCUSDT",))
    assert [ms(row["open_time"]) for row in found] == grid(date(2022, 6, 14), 3, HOUR)


@pytest.mark.parametrize("symbol", ["BTCUSDT", "BTCUSD_PERP"])
def test_trap_no_bar_is_lost_where_a_range_takes_several_pages(known: Home, server: Server, symbol: str) -> None:
    """USD-M cuts from the start, COIN-M keeps the latest before the end."""
    start, days = date(2026, 8, 1), 70
    found = ingested(known, "klines", start, start + timedelta(days=days - 1), origin="rest", symbols=(symbol,))
    assert sorted({ms(row["open_time"]) for row in found}) == grid(start, days, HOUR)
    asked = server.requests.all("binance_um/fapi/v1/klines") + server.requests.all("binance_cm/dapi/v1/klines")
    assert len(asked) == 4, "1680 bars at 499 and 498 a page"
    assert {one.query["limit"] for one in asked} == {"499"}


def test_trap_coin_m_answers_for_200_days_at_most(known: Home, server: Server) -> None:
    start, days = date(2024, 1, 1), 1000
    found = ingested(
        known, "klines", start, start + timedelta(days=days - 1), origin="rest", symbols=("BTCUSD_PERP",), hours=24
    )
    assert [ms(row["open_time"]) for row in found] == grid(start, days, DAY)
    spans = [int(one.query["endTime"]) - int(one.query["startTime"]) for one in server.requests.all("binance_cm")]
    assert max(spans) < 200 * DAY


def test_coin_m_bars_after_a_long_silence_are_found(known: Home) -> None:
    """The latest 200 days of a range may be empty and earlier ones not, as before a contract's listing or after its end."""
    start = date(2019, 1, 1)
    found = ingested(known, "klines", start, date(2020, 3, 1), origin="rest", symbols=("ETHUSD_PERP",), hours=24)
    assert [ms(row["open_time"]) for row in found] == grid(date(2019, 12, 31), 62, DAY)


def test_trap_the_open_bar_is_asked_for_and_left_out(known: Home) -> None:
    fetched(known, "klines", TODAY, origin="rest", symbols=("BTCUSDT",))
    intake = build(known, "klines", TODAY)
    assert [ms(row["open_time"]) for row in rows(known, "klines")] == grid(TODAY, 1, HOUR)[:12]
    assert (intake.excluded, intake.quarantined) == (1, 0)


def test_trap_mark_and_index_files_have_one_name_at_the_venue_and_do_not_overwrite_each_other(
    known: Home, server: Server
) -> None:
    day = date(2026, 11, 13)
    found = ingested(known, "reference_klines", day)
    kinds = {(row["product"], row["venue_symbol"], row["price_kind"]) for row in found}
    assert len(kinds) == 5 * 2
    assert len(found) == 5 * 2 * 24
    for row in found:
        same_bar(server, row, listed(server, row["product"], row["venue_symbol"]), row["price_kind"])
    folder = "binance_archive/data/futures/cm/daily/indexPriceKlines/BTCUSD/1h/BTCUSD-1h-2026-11-13.zip"
    assert server.requests.count(folder) == 2, "the file and its checksum, under the pair"


def test_reference_bars_over_rest(known: Home, server: Server) -> None:
    day = date(2026, 11, 13)
    found = ingested(known, "reference_klines", day, origin="rest", symbols=("ETHUSDT", "ETHUSD_PERP"))
    assert len(found) == 2 * 2 * 24
    for row in found:
        same_bar(server, row, listed(server, row["product"], row["venue_symbol"]), row["price_kind"])


@pytest.mark.parametrize("origin", ["archive", "rest"])
def test_premium_bars(known: Home, server: Server, origin: str) -> None:
    day = date(2026, 11, 13)
    found = ingested(known, "premium_klines", day, origin=origin, symbols=("BTCUSDT", "BTCUSD_PERP"))
    assert len(found) == 2 * 24
    for row in found:
        contract = listed(server, row["product"], row["venue_symbol"])
        bar = server.world.candle(contract, ms(row["open_time"]), HOUR, "premium")
        expected = [scaled((value, 8)) for value in (bar.open, bar.high, bar.low, bar.close)]
        assert [row["open"], row["high"], row["low"], row["close"]] == expected


def test_a_length_of_bar_that_binance_does_not_have_is_named(known: Home) -> None:
    with pytest.raises(UsageError, match="no bars of 600 s"):
        fetched(known, "klines", date(2026, 11, 13), hours=1 / 6)


def test_minutes_of_a_day_are_whole(known: Home) -> None:
    day = date(2026, 11, 13)
    for origin in ("archive", "rest"):
        found = ingested(known, "klines", day, origin=origin, symbols=("BTCUSD_PERP",), hours=1 / 60)
        assert sorted({ms(row["open_time"]) for row in found}) == grid(day, 1, MINUTE)


# --- funding ---


@pytest.mark.parametrize(("product", "symbol"), [("um", "BTCUSDT"), ("um", "1000PEPEUSDT"), ("cm", "BTCUSD_PERP")])
def test_trap_regular_rates_are_kept_and_special_ones_counted(
    known: Home, server: Server, product: str, symbol: str
) -> None:
    start, end = date(2026, 7, 1), date(2026, 9, 30)
    contract = listed(server, product, symbol)
    fetched(known, "funding", start, end, symbols=(symbol,))
    intake = build(known, "funding", start, end)
    found = {ms(row["funding_time"]) // HOUR * HOUR: row for row in rows(known, "funding")}
    expected = server.world.funding_times(contract, ms(start), ms(end) + DAY - 1)
    assert list(found) == expected
    for time, row in found.items():
        assert row["funding_rate"] == scaled((server.world.funding_rate(contract, time), 8))
        assert row["mark_price"] == float(contract.price(server.world.mark_price(contract, time)))
        assert ms(row["funding_time"]) - time == documented.funding_jitter(contract, time)
    assert intake.excluded == len(documented.special_fundings(contract, ms(start), ms(end) + DAY - 1))
    assert (intake.excluded > 0) == (symbol == "BTCUSDT")


def test_funding_files_tell_the_interval_that_changed(known: Home, server: Server) -> None:
    found = ingested(known, "funding", date(2026, 1, 30), date(2026, 2, 2), origin="archive", symbols=("1000PEPEUSDT",))
    assert {row["date"].isoformat(): row["interval_seconds"] for row in found} == {
        "2026-01-30": 28800, "2026-01-31": 28800, "2026-02-01": 14400, "2026-02-02": 14400,
    }  # fmt: skip
    contract = listed(server, "um", "1000PEPEUSDT")
    assert len(found) == 3 + 3 + 6 + 6
    for row in found:
        assert row["funding_rate"] == scaled((server.world.funding_rate(contract, ms(row["funding_time"])), 8))
    months = {one.path for one in server.requests.all("binance_archive")}
    assert months == {
        f"/data/futures/um/monthly/fundingRate/1000PEPEUSDT/1000PEPEUSDT-fundingRate-2026-{month}.zip{suffix}"
        for month in ("01", "02")
        for suffix in ("", ".CHECKSUM")
    }


def test_the_running_month_has_no_funding_file_and_is_not_asked_for(known: Home, server: Server) -> None:
    done = fetched(known, "funding", date(2026, 11, 1), date(2026, 11, 10), origin="archive")
    assert (done.tasks, server.requests.count("binance_archive")) == (0, 0)


# --- open interest and ratios ---


def test_trap_metrics_labels_flip_in_june_2026(known: Home, server: Server) -> None:
    """USD-M: up to 24 June the label ends the five minutes, so 00:00 of the 25th is there twice; COIN-M begins them always."""
    first, second = date(2026, 6, 24), date(2026, 6, 25)
    found = ingested(known, "open_interest", first, second, symbols=("BTCUSDT", "BTCUSD_PERP"))
    usd = [row for row in found if row["product"] == "um"]
    coin = [row for row in found if row["product"] == "cm"]
    labels = [ms(row["observed_at"]) for row in usd]
    flip = ms(second)
    assert labels == [*(time for time in grid(first, 1, FIVE)[1:]), flip, flip, *grid(second, 1, FIVE)[1:]]
    contract = listed(server, "um", "BTCUSDT")
    for row in usd:
        is_old = row["landing_path"].endswith("-2026-06-24.zip")
        taken = ms(row["observed_at"]) - (FIVE if is_old else 0)
        assert row["open_interest"] == float(contract.quantity(server.world.open_interest(contract, taken)))
        assert row["open_interest_value"] == scaled(server.world.open_interest_usd(contract, taken))
    assert [ms(row["observed_at"]) for row in coin] == grid(first, 2, FIVE)
    contract = listed(server, "cm", "BTCUSD_PERP")
    for row in coin:
        taken = ms(row["observed_at"])
        assert row["open_interest"] == float(contract.quantity(server.world.open_interest(contract, taken)))
        assert row["open_interest_value"] == scaled(server.world.open_interest_base(contract, taken))


@pytest.mark.parametrize("from_start", [False, True], ids=["the newest rows", "the oldest rows"])
def test_open_interest_is_whole_whichever_rows_a_full_page_keeps(
    known: Home, server: Server, monkeypatch: pytest.MonkeyPatch, from_start: bool
) -> None:
    for market in (server.app.hosts.binance_um, server.app.hosts.binance_cm):
        monkeypatch.setattr(market, "data_from_start", from_start)
    start, days = date(2026, 11, 3), 10
    symbols = ("BTCUSDT", "BTCUSD_PERP")
    found = ingested(known, "open_interest", start, start + timedelta(days=days - 1), origin="rest", symbols=symbols)
    for product, symbol in (("um", "BTCUSDT"), ("cm", "BTCUSD_PERP")):
        contract = listed(server, product, symbol)
        own = [row for row in found if row["product"] == product]
        assert [ms(row["observed_at"]) for row in own] == grid(start, days, FIVE)
        for row in own:
            lots = server.world.open_interest(contract, ms(row["observed_at"]))
            assert row["open_interest"] == float(contract.quantity(lots))
    values = {ms(row["observed_at"]): row["open_interest_value"] for row in found if row["product"] == "cm"}
    contract = listed(server, "cm", "BTCUSD_PERP")
    assert all(value == scaled(server.world.open_interest_base(contract, time)) for time, value in values.items())


def test_trap_open_interest_over_rest_reaches_back_30_days_and_no_further(known: Home) -> None:
    found = ingested(known, "open_interest", date(2026, 9, 1), TODAY, origin="rest", symbols=("BTCUSDT",))
    times = [ms(row["observed_at"]) for row in found]
    oldest = ms(NOW) - 30 * DAY
    assert oldest < times[0] < oldest + 3 * HOUR
    assert times == list(range(times[0], ms(NOW), FIVE))


def test_a_day_of_open_interest_that_the_venue_answers_in_part_is_asked_for_again(known: Home) -> None:
    edge = TODAY - timedelta(days=30)
    for _ in range(2):
        done = fetched(known, "open_interest", edge, edge, origin="rest", symbols=("BTCUSDT",))
        assert (done.tasks, done.skipped) == (1, 0)


@pytest.mark.parametrize("origin", ["archive", "rest"])
@pytest.mark.parametrize(("product", "symbol"), [("um", "BTCUSDT"), ("cm", "BTCUSD_PERP")])
def test_ratios_of_four_populations(known: Home, server: Server, origin: str, product: str, symbol: str) -> None:
    day = date(2026, 11, 13)
    contract = listed(server, product, symbol)
    found = ingested(known, "long_short_ratios", day, origin=origin, symbols=(symbol,))
    assert len(found) == 4 * 288
    digits = 8 if origin == "archive" else 4
    for row in found:
        time = ms(row["observed_at"])
        if row["population"] == "taker_volume":
            bar = server.world.candle(contract, time, FIVE)
            exact = Decimal(bar.taker_lots) / (bar.lots - bar.taker_lots)
        else:
            share = server.world.long_share(contract, time, row["population"])
            exact = Decimal(share) / (10_000 - share)
            assert row["long_share"] == (share / 10_000 if origin == "rest" else None)
        # The venue cuts after so many digits; COIN-M gives the volumes themselves.
        assert 0 <= exact - Decimal(row["long_short_ratio"]) < Decimal(10) ** -digits or row[
            "long_short_ratio"
        ] == float(exact)


# --- liquidations and books ---


def test_trap_coin_m_liquidations_come_twice_and_end_in_october_2024(known: Home, server: Server) -> None:
    start = date(2024, 10, 13)
    found = ingested(known, "liquidations", start, date(2024, 10, 20), symbols=("BTCUSD_PERP", "BTCUSDT"))
    contract = listed(server, "cm", "BTCUSD_PERP")
    expected = server.world.liquidations(contract, ms(start), ms(start) + 2 * DAY)
    assert len(expected) > 100
    assert len(found) == 2 * len(expected)
    assert len({row["event_key"] for row in found}) == len(expected)
    for row, event in zip(found[::2], expected, strict=True):
        assert ms(row["event_time"]) == event.time
        assert row["side"] == ("sell" if event.position == "long" else "buy")
        assert row["quantity"] == row["filled_quantity"] == float(contract.quantity(event.lots))
        assert (row["price"], row["average_price"]) == (
            float(contract.price(event.ticks)),
            float(contract.price(event.fill_ticks)),
        )
    assert {row["completeness"] for row in found} == {"sampled"}
    assert all("/cm/" in one.path and "2024-10-1" in one.path for one in server.requests.all("binance_archive"))


def test_nothing_is_asked_for_liquidations_of_days_without_files(known: Home, server: Server) -> None:
    assert fetched(known, "liquidations", date(2026, 11, 10), date(2026, 11, 13)).tasks == 0
    assert server.requests.count("binance_archive") == 0


def test_archived_depth_is_the_markets(known: Home, server: Server) -> None:
    day = date(2026, 11, 13)
    found = ingested(known, "depth", day, symbols=("ETHUSDT",))
    contract = listed(server, "um", "ETHUSDT")
    assert len(found) == 2880 * 12
    assert {row["percentage"] for row in found} == {sign * band for sign in (1, -1) for band in (0.2, 1, 2, 3, 4, 5)}
    for row in found[::997]:
        minute, within = divmod(ms(row["observed_at"]), MINUTE)
        depths, notionals = band_texts(server.world, contract, minute * MINUTE, 2, round(row["percentage"] * 100))
        half = within // (MINUTE // 2)
        assert (row["quantity"], row["notional"]) == (float(depths[half]), float(notionals[half]))


def test_the_book_of_now_is_an_origin_of_its_own(known: Home, server: Server) -> None:
    found = ingested(known, "depth", TODAY, origin="rest", symbols=("BTCUSD_PERP",))
    contract = listed(server, "cm", "BTCUSD_PERP")
    bids, asks = server.world.depth(contract, ms(NOW), 1000)
    mid = Decimal(bids[0][0] + asks[0][0]) / 2
    by_band = {row["percentage"]: row for row in found}
    for band in (1, 4):
        within = [lots for ticks, lots in bids if ticks >= mid * (100 - band) / 100]
        assert by_band[-band]["quantity"] == sum(within)
        assert len(within) < 1000
        assert not by_band[-band]["is_floor"]
    assert {row["source"] for row in found} == {"binance rest"}
    (asked,) = server.requests.all("binance_cm/dapi/v1/depth")
    assert asked.query == {"symbol": "BTCUSD_PERP", "limit": "1000"}


def test_the_book_of_now_is_no_answer_for_another_day(known: Home, server: Server) -> None:
    done = fetched(known, "depth", date(2026, 11, 10), date(2026, 11, 13), origin="rest")
    assert (done.tasks, server.requests.count()) == (0, 0)


# --- the present ---


def test_tickers_are_the_markets(known: Home, server: Server) -> None:
    found = ingested(known, "tickers", TODAY)
    assert len(found) == 5
    for row in found:
        contract = listed(server, row["product"], row["venue_symbol"])
        bar = server.world.day_bar(contract, ms(NOW))
        assert row["last_price"] == float(contract.price(bar.close))
        assert row["volume"] == float(contract.quantity(bar.lots))
        turnover = scaled(server.world.turnover(contract, bar))
        assert (row["turnover"], row["base_volume"]) == ((None, turnover) if contract.inverse else (turnover, None))


def test_each_asking_of_the_present_is_kept(known: Home) -> None:
    for minutes in (0, 15):
        later = NOW + timedelta(minutes=minutes)
        acquire(known, FEEDS["tickers"], TODAY, TODAY, ALL, now=later)
    build(known, "tickers", TODAY)
    assert {row["event_at"] for row in rows(known, "tickers")} == {
        moment.replace(microsecond=789000) for moment in (NOW, NOW + timedelta(minutes=15))
    }


def test_insurance_funds_are_the_markets(known: Home, server: Server) -> None:
    found = {row["asset"]: row for row in ingested(known, "insurance_funds", TODAY)}
    assert {asset: row["balance"] for asset, row in found.items()} == {
        asset: scaled((server.world.insurance("binance", asset, ms(TODAY)), 2)) for asset in ("USDT", "BNB")
    }
    assert {row["covered_symbols"] for row in found.values()} == {"1000PEPEUSDT,BTCUSDT,ETHUSDT"}


def test_adl_risk_is_the_markets(known: Home, server: Server) -> None:
    found = {row["venue_symbol"]: row["risk_level"] for row in ingested(known, "adl_risk", TODAY)}
    half = ms(NOW) // (30 * MINUTE)
    assert found == {
        symbol: documented.adl_level(listed(server, "um", symbol), half)
        for symbol in ("BTCUSDT", "ETHUSDT", "1000PEPEUSDT")
    }


def test_leverage_tiers_are_signed_for(known: Home, server: Server) -> None:
    found = {(row["venue_symbol"], row["tier_number"]): row for row in ingested(known, "leverage_tiers", TODAY)}
    for tier in server.world.tiers(listed(server, "um", "BTCUSDT")):
        row = found["BTCUSDT", tier.number]
        assert (row["tier_floor"], row["tier_cap"], row["max_leverage"]) == (tier.floor, tier.cap, tier.leverage)
        assert row["maintenance_rate"] == tier.maintenance / 10_000
        assert row["maintenance_amount"] == tier.deduction_e4 / 10_000
    assert ("BTCUSD_PERP", 1) in found
    assert {one.path for one in server.requests.all()} == {"/fapi/v1/leverageBracket", "/dapi/v2/leverageBracket"}


def test_trap_key_and_signature_are_nowhere_to_be_seen(
    known: Home, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    fetched(known, "leverage_tiers", TODAY)
    landed = "".join(path.read_text() for path in known.landing.rglob("*.json"))
    signatures = [one.query["signature"] for one in server.requests.all()]
    assert len(signatures) == 2
    for text in (documented.KEY, documented.SECRET, *signatures, "signature="):
        assert text not in landed
    monkeypatch.setenv(hosts.SECRET, "a-secret-of-someone-else")
    with pytest.raises(Exception, match="Signature for this request is not valid") as raised:
        acquire(known, FEEDS["leverage_tiers"], TODAY, TODAY, ALL, now=NOW + timedelta(minutes=1))
    assert "a-secret-of-someone-else" not in str(raised.value)
    monkeypatch.setenv(hosts.KEY, "a-key-of-someone-else")
    with pytest.raises(StoppedError, match="HTTP 401") as stopped:
        acquire(known, FEEDS["leverage_tiers"], TODAY, TODAY, ALL, now=NOW + timedelta(minutes=2))
    assert "a-key-of-someone-else" not in str(stopped.value)


def test_without_a_key_the_environment_is_named(known: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(hosts.SECRET)
    with pytest.raises(UsageError, match="DELEVER_BINANCE_SECRET"):
        fetched(known, "leverage_tiers", TODAY)


# --- what is not there, and what changes ---


def test_a_file_that_is_not_published_yet_is_named_and_asked_for_again(known: Home, server: Server) -> None:
    server.set_now("2026-11-15T02:00:00")
    yesterday = date(2026, 11, 14)
    early = datetime(2026, 11, 15, 2, tzinfo=UTC)
    universe = Universe(None, frozenset({"BTCUSD_PERP"}))
    done = acquire(known, FEEDS["klines"], yesterday, yesterday, universe, now=early)
    assert (done.missing, done.files) == (["cm-BTCUSD_PERP-klines-1h-2026-11-14"], 0)
    server.set_now(int(NOW.timestamp() * 1000))
    later = acquire(known, FEEDS["klines"], yesterday, yesterday, universe, now=NOW)
    assert (later.missing, later.files) == ([], 1)


def test_today_has_no_file_and_is_not_asked_for(known: Home, server: Server) -> None:
    assert fetched(known, "klines", TODAY).tasks == 0
    assert server.requests.count() == 0


def test_trap_files_of_a_settled_contract_are_found_under_its_other_name(
    known: Home, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept = server.app.hosts.answer

    def renamed(request: Request) -> Reply:
        """The archive after BTCUSDT was settled and its files were renamed."""
        if request.host != "binance_archive":
            return kept(request)
        if "BTCUSDTSETTLED" not in request.path:
            return Reply(404, b"")
        plain = request.path.replace("SETTLED", "")
        return kept(Request(request.host, request.method, plain, request.query, request.headers))

    monkeypatch.setattr(server.app.hosts, "answer", renamed)
    found = ingested(known, "klines", date(2026, 11, 13), symbols=("BTCUSDT",))
    assert {row["venue_symbol"] for row in found} == {"BTCUSDTSETTLED"}
    assert len(found) == 24


def test_a_republished_file_is_found_and_replaces_the_first(known: Home, server: Server) -> None:
    day = date(2026, 11, 13)
    fetched(known, "klines", day, symbols=("BTCUSD_PERP",))
    server.requests.clear()
    same = fetched(known, "klines", day, symbols=("BTCUSD_PERP",), again=True)
    assert (same.files, same.republished) == (0, [])
    assert [one.path.endswith(".CHECKSUM") for one in server.requests.all("binance_archive")] == [True]
    server.faults.put("republished", "binance_archive/*")
    changed = fetched(known, "klines", day, symbols=("BTCUSD_PERP",), again=True)
    assert len(changed.republished) == 1
    build(known, "klines", day)
    assert len(rows(known, "klines")) == 23, "the second edition is one row shorter"


def test_a_final_answer_is_not_asked_for_twice(known: Home, server: Server) -> None:
    for origin in ("archive", "rest"):
        fetched(known, "klines", date(2026, 11, 13), origin=origin)
    server.requests.clear()
    for origin in ("archive", "rest"):
        done = fetched(known, "klines", date(2026, 11, 13), origin=origin)
        assert (done.tasks, done.skipped) == (5, 5)
    assert server.requests.count() == 0


def test_a_contract_that_is_gone_does_not_end_the_others(known: Home, server: Server) -> None:
    kept = server.app.hosts.binance_um._world.contracts

    def without(venue: str, product: str | None = None) -> list[Listed]:
        return [one for one in kept(venue, product) if one.symbol != "ETHUSDT"]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(server.world, "contracts", without)
        done = fetched(known, "klines", date(2026, 11, 13), origin="rest", symbols=("BTCUSDT", "ETHUSDT"))
    assert (done.files, done.missing) == (1, ["um-ETHUSDT-last-3600"])


def test_an_empty_page_by_accident_loses_nothing(known: Home, server: Server) -> None:
    server.faults.put("empty_page", "binance_*/*/v1/klines", on=1)
    server.faults.put("empty_page", "binance_*/futures/data/openInterestHist", on=1)
    server.faults.put("empty_page", "binance_um/fapi/v1/ticker/24hr", on=1)
    day = date(2026, 11, 13)
    assert len(ingested(known, "klines", day, origin="rest", symbols=("BTCUSD_PERP",))) == 24
    assert len(ingested(known, "open_interest", day, origin="rest", symbols=("BTCUSDT",))) == 288
    assert len(ingested(known, "tickers", TODAY)) == 5


@pytest.mark.parametrize("fault", ["overlapping_page", "shuffled_page", "reversed_page"])
def test_trap_pages_in_any_order_and_with_repeats_lose_nothing(known: Home, server: Server, fault: str) -> None:
    server.faults.put(fault, "binance_*")
    start = date(2026, 11, 12)
    for entity, symbol, step in (
        ("klines", "BTCUSDT", HOUR),
        ("klines", "BTCUSD_PERP", HOUR),
        ("open_interest", "BTCUSDT", FIVE),
    ):
        found = ingested(known, entity, start, date(2026, 11, 13), origin="rest", symbols=(symbol,))
        at_all = {
            ms(row["open_time" if entity == "klines" else "observed_at"])
            for row in found
            if row["venue_symbol"] == symbol
        }
        assert sorted(at_all) == grid(start, 2, step)


def test_names_that_are_not_in_latin_letters(server: Server, tmp_path: Path) -> None:
    contract = Contract("um", "币安人生USDT", "币安人生", "USDT", "linear", True)
    ask = Ask(date(2026, 11, 13), date(2026, 11, 13), NOW, [contract])
    tasks = [*archive.klines(ask), *rest.klines(ask), *rest.funding(ask), *archive.metrics(ask), *rest.ratios(ask)]
    assert all(re.fullmatch(r"[A-Za-z0-9._-]+", task.name) for task in tasks)
    assert len({task.name for task in tasks}) == len(tasks)
    with Client() as client, pytest.raises(Exception, match="not published"):
        list(tasks[0].pieces(client, tmp_path))
    assert server.requests.all("binance_archive")[0].path == (
        "/data/futures/um/daily/klines/币安人生USDT/1h/币安人生USDT-1h-2026-11-13.zip.CHECKSUM"
    )


# --- limits ---


def test_a_full_page_where_less_was_asked_for_is_refused_and_not_taken_for_whole() -> None:
    """Should Binance answer more rows than the stretch can hold, some may be missing."""
    full = Page(b"", "https://fapi.binance.com/futures/data/x", [{"timestamp": place} for place in range(5)])
    with pytest.raises(DataError, match="5 rows or more"):
        list(paging.windows(lambda first, last: full, lambda page: page.document, 0, 99, 50, 5))


@pytest.mark.parametrize(
    ("host", "documented_rate"),
    [
        (hosts.UM, 2400 / 60),
        (hosts.CM, 2400 / 60),
        (hosts.UM_DATA, 1000 / 300),
        (hosts.UM_FUNDING, 500 / 300),
    ],
    ids=lambda value: getattr(value, "name", ""),
)
def test_rates_stay_below_what_is_documented(host: hosts.Host, documented_rate: float) -> None:
    assert all(permits / seconds < documented_rate for permits, seconds in host.rates)


@pytest.mark.parametrize(
    ("limit", "weight"), [(99, 1), (100, 2), (499, 2), (500, 5), (1000, 5), (1001, 10), (1500, 10)]
)
def test_weights_of_bars(limit: int, weight: int) -> None:
    assert hosts.bars_weight(limit) == weight


class Counter(Client):
    """A client that asks nobody and notes what each request would weigh."""

    def __init__(self) -> None:
        self.weights: list[tuple[str, int]] = []

    def get(self, host: Any, path: str, params: Any = None, *, weight: int = 1, secret: Any = None) -> Page:
        self.weights.append((path, weight))
        return Page(b"[]", path, [])


@pytest.mark.parametrize(
    ("tasks", "days", "weights"),
    [
        (rest.instruments, 0, {("/fapi/v1/exchangeInfo", 1), ("/dapi/v1/exchangeInfo", 1)}),
        (rest.tickers, 0, {("/fapi/v1/ticker/24hr", 40), ("/dapi/v1/ticker/24hr", 40)}),
        (rest.depth, 0, {("/fapi/v1/depth", 20)}),
        (rest.klines, 3, {("/fapi/v1/klines", 1)}),
        (rest.klines, 10, {("/fapi/v1/klines", 2)}),
        (rest.funding, 10, {("/fapi/v1/fundingRate", 1)}),
    ],
    ids=["instruments", "tickers", "depth", "72 bars", "240 bars", "funding"],
)
def test_requests_weigh_what_is_documented(
    tasks: Any, days: int, weights: set[tuple[str, int]], tmp_path: Path
) -> None:
    contract = Contract("um", "BTCUSDT", "BTC", "USDT", "linear", True)
    counter = Counter()
    for task in tasks(Ask(TODAY - timedelta(days=days), TODAY - timedelta(days=1), NOW, [contract])):
        list(task.pieces(counter, tmp_path))
    assert set(counter.weights) == weights


def test_a_day_of_hours_costs_one_request_of_the_least_weight(known: Home, server: Server) -> None:
    fetched(known, "klines", date(2026, 11, 13), origin="rest", symbols=("BTCUSDT", "BTCUSD_PERP"))
    assert [one.query["limit"] for one in server.requests.all()] == ["99", "99"]


def test_one_minute_of_history_names_its_task_alike_in_every_run(known: Home) -> None:
    day = date(2026, 11, 13)
    fetched(known, "klines", day, origin="rest", symbols=("BTCUSDT",))
    (entry,) = Landing(known.landing).files("binance", "klines")
    assert entry.task == "um-BTCUSDT-last-3600"
    assert entry.context == {
        "product": "um", "venue_symbol": "BTCUSDT", "interval_seconds": "3600", "price_kind": "last",
    }  # fmt: skip
    assert entry.origin.endswith(
        "/fapi/v1/klines?symbol=BTCUSDT&interval=1h&limit=99"
        f"&startTime={at(day_text(ms(day)))}&endTime={ms(day) + 23 * HOUR}"
    )
