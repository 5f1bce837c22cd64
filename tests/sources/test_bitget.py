"""The Bitget connector against the local venue server, row for row, and with answers by hand as bitget.com/api-doc has them."""

from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from asking import DAY_MS, Bench, Row, at, bench_of, land, ms, raw_rows, set_aside, value

from dagster_project.fetch.client import Client, Page, StoppedError
from dagster_project.fetch.tasks import Terms, fetch
from dagster_project.lib.errors import DataError, UsageError
from dagster_project.lib.home import Home
from dagster_project.sources import bitget
from dagster_project.sources.dataset import Intake, build_raw
from dagster_project.sources.feed import Ask, Contract
from venue_server import World
from venue_server.contracts import Contract as Listed

HOUR_MS = 3_600_000
SYMBOLS = {"usdt_futures": "BTCUSDT", "coin_futures": "BTCUSD", "usdc_futures": "BTCPERP"}
FEEDS = {feed.entity: feed for feed in bitget.FEEDS}


@pytest.fixture
def bench(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Bench]:
    with bench_of(bitget.FEEDS, tmp_path, monkeypatch) as made:
        yield made


def listed(bench: Bench, product: str) -> Listed:
    return bench.world.contract("bitget", product, SYMBOLS[product])


def prices(contract: Listed, bar: object) -> tuple[float, ...]:
    return tuple(float(contract.price(getattr(bar, name))) for name in ("open", "high", "low", "close"))


# --- against the server ---


def test_trap_c8_pages_of_two_hundred_bars_overlap_without_loss(bench: Bench) -> None:
    start, end = bench.ago(21), bench.ago(1)
    bench.ask("klines", start, end)
    asked = bench.server.requests.all("bitget/api/v2/mix/market/history-candles")
    assert len(asked) == 3 * 3, "504 bars of three contracts"
    assert {seen.query["productType"] for seen in asked} == {"USDT-FUTURES", "COIN-FUTURES", "USDC-FUTURES"}
    rows = bench.rows("klines", start, end)
    for product in SYMBOLS:
        contract = listed(bench, product)
        bars = bench.world.candles(contract, ms(start), ms(end) + DAY_MS, HOUR_MS)
        assert len(bars) == 21 * 24
        found = {
            row["open_time"]: (row["open"], row["high"], row["low"], row["close"])
            for row in rows
            if row["product"] == product
        }
        assert found == {at(bar.time): prices(contract, bar) for bar in bars}


def test_volumes_count_the_base_coin_in_all_three_products(bench: Bench) -> None:
    day = bench.ago(1)
    bench.ask("klines", day)
    rows = {(row["product"], row["open_time"]): row for row in bench.rows("klines", day)}
    moment = datetime(day.year, day.month, day.day, 7, tzinfo=UTC)
    for product in SYMBOLS:
        contract = listed(bench, product)
        bar = bench.world.candle(contract, ms(moment), HOUR_MS)
        row = rows[product, moment]
        assert row["volume"] == value(bench.world.base_volume(contract, bar))
        dollars = float(contract.quantity(bar.lots)) if contract.inverse else value(bench.world.turnover(contract, bar))
        assert row["turnover"] == dollars


def test_trap_c8_today_ends_with_the_last_bar_that_is_over(bench: Bench) -> None:
    bench.ask("klines", bench.today)
    last = max(row["open_time"] for row in bench.rows("klines"))
    assert last == bench.now.replace(minute=0, second=0, microsecond=0) - timedelta(hours=1)


def test_day_bars_begin_at_midnight_utc(bench: Bench) -> None:
    start, end = bench.ago(4), bench.ago(1)
    bench.ask("klines", start, end, intervals=(86_400,))
    found = [row["open_time"] for row in bench.rows("klines", start, end) if row["product"] == "usdt_futures"]
    assert found == [at(ms(start) + back * DAY_MS) for back in range(4)]


def test_a_bar_length_that_bitget_lacks_is_an_error_of_use(bench: Bench) -> None:
    with pytest.raises(UsageError, match="Bitget has no bars of 7200 s"):
        bench.ask("klines", bench.ago(1), intervals=(7200,))


def test_mark_and_index_bars(bench: Bench) -> None:
    start, end = bench.ago(10), bench.ago(1)
    bench.ask("reference_klines", start, end)
    rows = bench.rows("reference_klines", start, end)
    for product in SYMBOLS:
        contract = listed(bench, product)
        for kind in ("mark", "index"):
            found = {
                row["open_time"]: tuple(row[name] for name in ("open", "high", "low", "close"))
                for row in rows
                if (row["product"], row["price_kind"]) == (product, kind)
            }
            candles = bench.world.candles(contract, ms(start), ms(end) + DAY_MS, HOUR_MS, kind)
            assert found == {at(bar.time): prices(contract, bar) for bar in candles}


def test_trap_c7_numbered_pages_of_funding_reach_the_first_day(bench: Bench) -> None:
    start, end = bench.ago(80), bench.ago(50)
    bench.ask("funding", start, end)
    rows = bench.rows("funding", start, end)
    asked = bench.server.requests.all("bitget/api/v2/mix/market/history-fund-rate")
    assert {int(seen.query["pageNo"]) for seen in asked} == {1, 2, 3}, "240 rates are newer than the first wanted one"
    for product in SYMBOLS:
        contract = listed(bench, product)
        times = bench.world.funding_times(contract, ms(start), ms(end) + DAY_MS - 1)
        assert len(times) == 31 * 3
        found = {row["funding_time"]: row["funding_rate"] for row in rows if row["product"] == product}
        assert found == {at(one): value((bench.world.funding_rate(contract, one), 8)) for one in times}


@pytest.mark.parametrize(
    ("entity", "path"), [("funding", "history-fund-rate"), ("long_short_ratios", "account-long-short")]
)
def test_rows_of_another_shape_are_an_error_that_says_where(bench: Bench, entity: str, path: str) -> None:
    bench.server.faults.put("wrong_shape", f"bitget/api/v2/mix/market/{path}")
    with pytest.raises(DataError, match=rf"{path}.*a row has no time where it is documented"):
        bench.ask(entity)


def test_open_interest_is_of_now_and_in_base_coin(bench: Bench) -> None:
    bench.ask("open_interest")
    rows = {row["product"]: row for row in bench.rows("open_interest")}
    for product, symbol in SYMBOLS.items():
        expected = value(bench.world.open_interest_base(listed(bench, product), bench.world.now))
        row = rows[product]
        assert (row["venue_symbol"], row["open_interest"], row["period_seconds"]) == (symbol, expected, 0)
        assert row["observed_at"] == at(bench.world.now)


def test_a_day_that_is_over_is_not_answered_with_the_present(bench: Bench) -> None:
    bench.ask("instruments")
    assert bench.ask("open_interest", bench.ago(1)).tasks == 0


def test_instruments_of_three_products(bench: Bench) -> None:
    bench.ask("instruments")
    rows = {(row["product"], row["venue_symbol"]): row for row in bench.rows("instruments")}
    usdt, coin, usdc = (rows[product, symbol] for product, symbol in SYMBOLS.items())
    assert (usdt["contract_type"], usdt["settle_code"], usdt["contract_value"]) == ("linear", "USDT", 1.0)
    assert (coin["contract_type"], coin["settle_code"], coin["base_code"]) == ("inverse", "BTC", "BTC")
    assert (usdc["contract_type"], usdc["settle_code"], usdc["is_perpetual"]) == ("linear", "USDC", True)
    assert usdt["funding_interval_seconds"] == 8 * 3600
    assert rows["usdt_futures", "PEPEUSDT"]["funding_interval_seconds"] == 4 * 3600
    assert usdt["tick_size"] == float(listed(bench, "usdt_futures").price(1))
    gone = rows["usdt_futures", "OLDXUSDT"]
    assert (gone["status"], gone["delisted_at"]) == ("off", datetime(2026, 3, 2, tzinfo=UTC))


def test_tickers(bench: Bench) -> None:
    bench.ask("tickers")
    bench.build("tickers", bench.today)
    rows = {(row["product"], row["venue_symbol"]): row for row in raw_rows(bench.home, FEEDS["tickers"])}
    for product, symbol in SYMBOLS.items():
        contract, now = listed(bench, product), bench.world.now
        row, bar = rows[product, symbol], bench.world.day_bar(contract, bench.world.now)
        assert row["volume"] == value(bench.world.base_volume(contract, bar))
        assert row["open_interest"] == value(bench.world.open_interest_base(contract, now))
        assert row["mark_price"] == float(contract.price(bench.world.mark_price(contract, now)))
        assert row["index_price"] == float(contract.price(bench.world.index_price(contract, now)))


def test_tiers_of_each_contract(bench: Bench) -> None:
    bench.ask("leverage_tiers")
    rows = sorted(
        (row["tier_number"], row["tier_floor"], row["tier_cap"], row["maintenance_rate"], row["max_leverage"])
        for row in bench.rows("leverage_tiers")
        if row["product"] == "usdt_futures"
    )
    assert rows[:2] == [(1, 0.0, 50_000.0, 0.004, 125.0), (2, 50_000.0, 250_000.0, 0.005, 100.0)]


def test_depth_of_levels_that_are_numbers(bench: Bench) -> None:
    bench.ask("depth")
    rows = [row for row in bench.rows("depth") if row["product"] == "usdt_futures"]
    contract = listed(bench, "usdt_futures")
    bids, asks = bench.world.depth(contract, bench.world.now, 200)
    mid = (bids[0][0] + asks[0][0]) / 2
    within = [(ticks, lots) for ticks, lots in asks if ticks <= mid * 1.01]
    one_percent = next(row for row in rows if row["percentage"] == 1.0)
    assert 0 < len(within) < 200
    assert one_percent["quantity"] == pytest.approx(sum(float(contract.quantity(lots)) for _, lots in within))
    worth = sum(float(contract.quantity(lots) * contract.price(ticks)) for ticks, lots in within)
    assert one_percent["notional"] == pytest.approx(worth)
    assert next(row for row in rows if row["percentage"] == 5.0)["is_floor"]


def test_risk_reserves_are_pools_of_a_coin(bench: Bench) -> None:
    bench.ask("insurance_funds")
    rows = {row["product"]: row for row in bench.rows("insurance_funds") if "BTC" in row["covered_symbols"]}
    usdt = rows["usdt_futures"]
    assert (usdt["asset"], usdt["venue_symbol"]) == ("USDT", "USDT:shared")
    assert usdt["balance"] == value((bench.world.insurance("bitget", "USDT", bench.world.now), 2))
    assert rows["coin_futures"]["asset"] == "BTC"


def test_account_ratios_of_usdt_futures(bench: Bench) -> None:
    bench.ask("long_short_ratios")
    rows = bench.rows("long_short_ratios")
    contract = listed(bench, "usdt_futures")
    assert {(row["product"], row["venue_symbol"], row["population"]) for row in rows} == {
        ("usdt_futures", "BTCUSDT", "accounts")
    }
    assert {row["period_seconds"] for row in rows} == {3600}
    for row in rows:
        share = bench.world.long_share(contract, ms(row["observed_at"])) / 10_000
        assert row["long_share"] == pytest.approx(share, abs=1e-4)
        assert row["long_short_ratio"] == pytest.approx(share / (1 - share), abs=1e-3)
    assert {entry.period_start for entry in bench.landed("long_short_ratios")} == {bench.ago(2)}


def test_trap_c1_and_c2_liquidations_of_three_days_by_position_side(bench: Bench) -> None:
    bench.ask("liquidations")
    assert bench.server.requests.count("bitget/api/v3/market/liquidations") > 3 * 5, "several pages of each"
    assert {(entry.period_start, entry.period_end) for entry in bench.landed("liquidations")} == {
        (bench.ago(3), bench.today)
    }
    day = bench.ago(1)
    rows = bench.rows("liquidations", day)
    for product in ("usdt_futures", "usdc_futures"):
        contract = listed(bench, product)
        expected = {
            (
                at(event.time),
                "buy" if event.position == "long" else "sell",
                float(contract.quantity(event.lots)),
                float(contract.price(event.ticks)),
            )
            for event in bench.world.liquidations(contract, ms(day), ms(day) + DAY_MS)
        }
        found = {
            (row["event_time"], row["side"], row["quantity"], row["price"]) for row in rows if row["product"] == product
        }
        assert len(expected) > 100
        assert found == expected
    assert {(row["completeness"], row["event_key"]) for row in rows} == {("polled_window", None)}


def test_trap_c12_a_later_poll_does_not_take_away_what_an_earlier_one_saw(bench: Bench) -> None:
    day = bench.ago(2)
    bench.ask("liquidations")
    before = {(row["event_time"], row["venue_symbol"]) for row in bench.rows("liquidations", day)}
    bench.server.set_now(bench.world.now + 4 * DAY_MS)
    bench.ask("liquidations")
    after = {(row["event_time"], row["venue_symbol"]) for row in bench.rows("liquidations", day)}
    assert before
    assert after == before, "the venue itself has forgotten that day by now"


def test_all_hosts_move_together_and_keep_documented_limits(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    bench.ask("instruments")
    bench.build("instruments", bench.today)
    monkeypatch.delenv("DELEVER_RATE_BITGET")
    bench.ask("liquidations")
    path = "bitget/api/v3/market/liquidations"
    assert bench.server.requests.count(path) > 10
    assert bench.server.requests.most_within(2.0, path) <= 10, "documented: 5 requests a second"


def test_rate_limit_is_waited_for(bench: Bench) -> None:
    bench.server.faults.put("rate_limit", "bitget/*", on=(1, 2))
    assert bench.ask("instruments").files == 3


def test_a_contract_that_is_gone_does_not_end_the_others(bench: Bench) -> None:
    contracts = [Contract("usdt_futures", name, "X", "USDT", "linear", True) for name in ("GONEUSDT", "BTCUSDT")]
    ask = Ask(bench.ago(1), bench.ago(1), bench.now, contracts)
    with Client(retry_seconds=0.002) as client:
        terms = Terms("bitget", "klines", "x", "CC0")
        fetched = fetch(bench.home, terms, FEEDS["klines"].origins["rest"](ask), client)
    assert fetched.missing == ["usdt_futures-GONEUSDT-last-3600"]
    assert {row["venue_symbol"] for row in bench.rows("klines", bench.ago(1))} == {"BTCUSDT"}


def test_a_wrong_parameter_is_an_error_in_the_venues_words(bench: Bench) -> None:
    with Client(retry_seconds=0.002) as client, pytest.raises(DataError, match="Parameter verification failed"):
        client.get(bitget.REST, "/api/v2/mix/market/contracts", {"productType": "futures"})


@pytest.mark.parametrize(
    ("code", "kind"), [("429", "rate"), ("40725", "retry"), ("40034", "absent"), ("40309", "absent"), ("40017", "stop")]
)
def test_errors_by_their_code(code: str, kind: str) -> None:
    found = bitget.REST.refusal({"code": code, "msg": "words of the venue", "data": None})
    assert found is not None
    assert (found.kind, "words of the venue" in found.text) == (kind, True)


# --- paging of liquidations ---


class Pages:
    """A client that answers with pages by hand."""

    def __init__(self, *documents: dict[str, Any]) -> None:
        self.documents = list(documents)
        self.cursors: list[str | None] = []

    def get(self, _: object, __: str, params: dict[str, Any]) -> Page:
        self.cursors.append(params["cursor"])
        return Page(b"{}", "test:liquidations", {"code": "00000", "data": self.documents.pop(0)})


def event(moment: int) -> dict[str, str]:
    return {"symbol": "BTCUSDT", "side": "buy", "price": "1", "amount": "2", "ts": str(moment)}


def follow(oldest: int, *documents: dict[str, Any]) -> list[str | None]:
    client = Pages(*documents)
    list(bitget._Liquidations({"limit": 100}, oldest)(client))  # type: ignore[arg-type]
    return client.cursors


FULL = [event(moment) for moment in range(200, 100, -1)]


def test_a_last_page_that_names_itself_ends_the_range() -> None:
    assert follow(0, {"list": FULL, "cursor": "a"}, {"list": FULL[:3], "cursor": "a"}) == [None, "a"]


def test_pages_end_where_the_venue_promises_no_more() -> None:
    assert follow(150, {"list": FULL, "cursor": "a"}) == [None]


def test_a_full_page_that_names_itself_is_an_error_and_not_the_end() -> None:
    with pytest.raises(DataError, match="names a next page that was read already"):
        follow(0, {"list": FULL, "cursor": "a"}, {"list": FULL, "cursor": "a"})


def test_an_answer_of_another_shape_is_an_error() -> None:
    with pytest.raises(DataError, match="another shape"):
        follow(0, {"rows": FULL})


# --- answers by hand ---

DAY = date(2025, 10, 10)
MS = ms(datetime(2025, 10, 10, 21, tzinfo=UTC))


def read(home: Home, entity: str, contents: dict[str, Any], **context: str) -> tuple[list[Row], Intake]:
    feed = FEEDS[entity]
    land(home, feed, entity, contents, (DAY, DAY), **{"product": "usdt_futures", "asked_at_ms": str(MS)} | context)
    intake = build_raw(feed.dataset, home, DAY, DAY)
    return raw_rows(home, feed), intake


def answer(data: Any) -> dict[str, Any]:
    return {"code": "00000", "msg": "success", "requestTime": MS, "data": data}


def test_side_is_kept_as_the_venue_writes_it_in_lower_case(home: Home) -> None:
    page = answer(
        {"list": [event(MS), event(MS - 1) | {"side": "SELL"}, event(MS - 2) | {"side": "?"}], "cursor": None}
    )
    rows, intake = read(home, "liquidations", {"a.json": page})
    assert sorted(row["side"] for row in rows) == ["buy", "sell"]
    assert intake.reasons == {"side is none of the known values": 1}


def test_risk_reserves_in_a_list_of_their_own_or_bare(home: Home) -> None:
    pool = {"symbols": ["ETHUSDT", "BTCUSDT"], "coin": "USDT", "balance": "500000.25"}
    pages = {
        "a.json": answer({"list": [pool]}),
        "b.json": answer([pool | {"symbols": ["PEPEUSDT"]}]),
        "c.json": answer({}),
    }
    rows, intake = read(home, "insurance_funds", pages)
    assert {(row["venue_symbol"], row["covered_symbols"], row["balance"]) for row in rows} == {
        ("USDT:shared", "BTCUSDT,ETHUSDT", 500000.25),
        ("USDT:PEPEUSDT", "PEPEUSDT", 500000.25),
    }
    assert intake.quarantined == 1, "an answer without pools does not vanish"


def test_a_price_of_zero_is_none(home: Home) -> None:
    item = {
        "symbol": "NEWUSDT",
        "lastPr": "0",
        "markPrice": "1.5",
        "indexPrice": None,
        "baseVolume": "0",
        "quoteVolume": "0",
    }
    rows, _ = read(home, "tickers", {"a.json": answer([item])})
    assert [(row["last_price"], row["mark_price"], row["index_price"]) for row in rows] == [(None, 1.5, None)]


def test_open_interest_takes_its_time_from_beside_the_list(home: Home) -> None:
    page = answer({"openInterestList": [{"symbol": "BTCUSDT", "size": "34278.06"}], "ts": str(MS)})
    rows, intake = read(home, "open_interest", {"a.json": page, "b.json": answer({"ts": str(MS)})})
    assert [(row["open_interest"], row["observed_at"]) for row in rows] == [(34278.06, at(MS))]
    assert intake.quarantined == 1


def test_tiers_as_documented(home: Home) -> None:
    tier = {
        "symbol": "BTCUSDT",
        "level": "1",
        "startUnit": "0",
        "endUnit": "50000",
        "leverage": "125",
        "keepMarginRate": "0.004",
    }
    rows, _ = read(home, "leverage_tiers", {"a.json": answer([tier])})
    assert [(row["tier_cap"], row["maintenance_rate"], row["initial_rate"]) for row in rows] == [
        (50_000.0, 0.004, None)
    ]


def test_a_delivery_contract(home: Home) -> None:
    item = {
        "symbol": "ETHUSD_231229", "baseCoin": "ETH", "quoteCoin": "USD", "priceEndStep": "5", "pricePlace": "2",
        "sizeMultiplier": "0.01", "symbolType": "delivery", "symbolStatus": "normal", "offTime": "-1", "maxLever": "125",
        "deliveryTime": str(MS), "launchTime": "", "fundInterval": "",
    }  # fmt: skip
    (row,), _ = read(home, "instruments", {"a.json": answer([item])}, product="coin_futures")
    assert (row["is_perpetual"], row["delisted_at"], row["listed_at"]) == (False, at(MS), None)
    assert (row["tick_size"], row["funding_interval_seconds"], row["settle_code"]) == (0.05, None, "ETH")


def test_a_bar_that_had_not_ended_when_it_came_is_excluded(home: Home) -> None:
    start = int(datetime.now(UTC).timestamp()) // 3600 * 3_600_000
    bar = [str(start), "1", "1", "1", "1", "0", "0"]
    feed, today = FEEDS["klines"], at(start).date()
    context = {"product": "usdt_futures", "venue_symbol": "BTCUSDT", "interval_seconds": "3600", "price_kind": "last"}
    land(home, feed, "klines", {"a.json": answer([bar])}, (today, today), **context)
    intake = build_raw(feed.dataset, home, today, today)
    assert (intake.records, intake.excluded, intake.quarantined) == (1, 1, 0)


def test_trap_c9_times_in_two_units_set_the_file_aside(home: Home) -> None:
    bar = [str(MS), "1", "1", "1", "1", "0", "0"]
    context = {"venue_symbol": "BTCUSDT", "interval_seconds": "3600", "price_kind": "last"}
    rows, _ = read(home, "klines", {"a.json": answer([bar, [str(MS // 1000), *bar[1:]]])}, **context)
    assert rows == []
    assert "times in several units" in set_aside(home, FEEDS["klines"])[0]


def test_a_book_without_bids_is_set_aside_and_does_not_vanish(home: Home) -> None:
    book = {"asks": [[101.5, 0.25]], "bids": [[100.5, 2]], "ts": str(MS), "scale": "0.1", "precision": "scale0"}
    pages = {"a.json": answer(book), "b.json": answer(book | {"bids": []})}
    rows, intake = read(home, "depth", pages, venue_symbol="BTCUSDT")
    assert {
        (row["percentage"] > 0, row["quantity"], row["notional"]) for row in rows if abs(row["percentage"]) >= 1
    } == {
        (True, 0.25, 25.375),
        (False, 2.0, 201.0),
    }
    assert intake.quarantined == 1


def test_a_redirect_is_not_followed(bench: Bench) -> None:
    bench.server.faults.put("redirect_host", "bitget/*")
    with pytest.raises(StoppedError, match="follows no redirect"):
        bench.ask("instruments")


def test_the_server_of_these_tests_has_three_products() -> None:
    assert {contract.product for contract in World().contracts("bitget")} == set(SYMBOLS)
