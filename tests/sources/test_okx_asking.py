"""The OKX connector against the local venue server: what it fetches is, row for row, what that market did."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, time, timedelta
from pathlib import Path

import pytest
from asking import DAY_MS, Bench, at, bench_of, ms, raw_rows, value

from dagster_project.fetch.client import Client, StoppedError
from dagster_project.fetch.tasks import Terms, fetch
from dagster_project.lib.errors import DataError, UsageError
from dagster_project.sources import okx
from dagster_project.sources.feed import Ask, Contract
from dagster_project.sources.okx import api, files
from venue_server import World
from venue_server.contracts import Contract as Listed

HOUR_MS = 3_600_000
LINEAR, INVERSE = "BTC-USDT-SWAP", "BTC-USD-SWAP"


@pytest.fixture
def bench(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Bench]:
    with bench_of(okx.FEEDS, tmp_path, monkeypatch) as made:
        yield made


def swap(bench: Bench, symbol: str) -> Listed:
    return bench.world.contract("okx", "swap", symbol)


def prices(contract: Listed, bar: object) -> tuple[float, ...]:
    return tuple(float(contract.price(getattr(bar, name))) for name in ("open", "high", "low", "close"))


# --- bars ---


def test_trap_c8_newest_first_pages_overlap_without_loss(bench: Bench) -> None:
    start, end = bench.ago(21), bench.ago(1)
    bench.ask("klines", start, end)
    assert bench.server.requests.count("okx/api/v5/market/history-candles") > 2, "one page would prove nothing"
    rows = bench.rows("klines", start, end)
    for symbol in (LINEAR, INVERSE):
        contract = swap(bench, symbol)
        expected = {
            at(bar.time): (*prices(contract, bar), float(contract.quantity(bar.lots)))
            for bar in bench.world.candles(contract, ms(start), ms(end) + DAY_MS, HOUR_MS)
        }
        names = ("open", "high", "low", "close", "volume")
        found = {row["open_time"]: tuple(row[name] for name in names) for row in rows if row["venue_symbol"] == symbol}
        assert len(expected) == 21 * 24
        assert found == expected
    assert {row["source"] for row in rows} == {"okx rest"}


def test_klines_keep_contracts_base_and_quote_apart(bench: Bench) -> None:
    day = bench.ago(1)
    bench.ask("klines", day)
    rows = {(row["venue_symbol"], row["open_time"]): row for row in bench.rows("klines", day)}
    moment = datetime.combine(day, time(13), UTC)
    for symbol, usd in ((LINEAR, None), (INVERSE, 100)):
        contract = swap(bench, symbol)
        bar = bench.world.candle(contract, ms(moment), HOUR_MS)
        row = rows[symbol, moment]
        assert row["volume"] == float(contract.quantity(bar.lots))
        assert row["base_volume"] == value(bench.world.base_volume(contract, bar))
        quote = value(bench.world.turnover(contract, bar)) if usd is None else float(contract.quantity(bar.lots) * usd)
        assert row["turnover"] == quote


def test_trap_c8_bar_that_is_still_open_is_left_out(bench: Bench) -> None:
    bench.ask("klines", bench.today)
    rows = bench.rows("klines", bench.today)
    last = max(row["open_time"] for row in rows)
    assert last == bench.now.replace(minute=0, second=0, microsecond=0) - timedelta(hours=1)
    intake = bench.build("klines", bench.today)
    assert intake.excluded >= 2, "one bar of each contract was open"
    assert intake.records == len(rows) + intake.excluded


def test_day_bars_begin_at_midnight_utc(bench: Bench) -> None:
    start, end = bench.ago(5), bench.ago(1)
    bench.ask("klines", start, end, intervals=(86_400, 21_600))
    rows = [row for row in bench.rows("klines", start, end) if row["venue_symbol"] == LINEAR]
    assert {row["open_time"].hour for row in rows if row["interval_seconds"] == 86_400} == {0}
    assert {row["open_time"].hour for row in rows if row["interval_seconds"] == 21_600} == {0, 6, 12, 18}
    assert sum(row["interval_seconds"] == 86_400 for row in rows) == 5


def test_a_bar_length_that_okx_lacks_is_an_error_of_use(bench: Bench) -> None:
    with pytest.raises(UsageError, match="OKX has no bars of 28800 s"):
        bench.ask("klines", bench.ago(1), intervals=(28_800,))


def test_index_candles_are_asked_by_family_and_kept_under_the_contract(bench: Bench) -> None:
    start, end = bench.ago(6), bench.ago(1)
    bench.ask("reference_klines", start, end)
    rows = bench.rows("reference_klines", start, end)
    asked = {seen.query["instId"] for seen in bench.server.requests.all("okx/api/v5/market/history-index-candles")}
    assert asked == {"BTC-USDT", "BTC-USD"}
    for symbol in (LINEAR, INVERSE):
        contract = swap(bench, symbol)
        for kind in ("mark", "index"):
            found = {
                row["open_time"]: tuple(row[name] for name in ("open", "high", "low", "close"))
                for row in rows
                if (row["venue_symbol"], row["price_kind"]) == (symbol, kind)
            }
            candles = bench.world.candles(contract, ms(start), ms(end) + DAY_MS, HOUR_MS, kind)
            assert len(candles) == 144, "two pages of at most 100"
            assert found == {at(bar.time): prices(contract, bar) for bar in candles}


# --- funding ---


def test_trap_c7_funding_is_the_rate_that_was_paid_at_its_own_interval(bench: Bench) -> None:
    start, end = bench.ago(60), bench.ago(1)
    bench.ask("funding", start, end, bases="BTC,PEPE")
    rows = bench.rows("funding", start, end)
    for symbol, hours in ((LINEAR, 8), ("PEPE-USDT-SWAP", 4)):
        contract = swap(bench, symbol)
        expected = {
            at(moment): value((bench.world.funding_rate(contract, moment), 8))
            for moment in bench.world.funding_times(contract, ms(start), ms(end) + DAY_MS - 1)
        }
        assert len(expected) == 60 * 24 // hours, "more than one page of 100"
        assert {row["funding_time"]: row["funding_rate"] for row in rows if row["venue_symbol"] == symbol} == expected


def test_funding_beyond_three_months_comes_from_the_archive_alone(bench: Bench) -> None:
    day = bench.ago(200)
    assert bench.ask("funding", day).tasks == 0
    assert bench.ask("funding", day, origin="archive").files == 2
    rows = bench.rows("funding", day)
    expected = {
        (contract.symbol, at(moment), value((bench.world.funding_rate(contract, moment), 8)))
        for contract in bench.world.contracts("okx", "swap")
        for moment in bench.world.funding_times(contract, ms(day), ms(day) + DAY_MS - 1)
    }
    assert {(row["venue_symbol"], row["funding_time"], row["funding_rate"]) for row in rows} == expected
    assert {row["source"] for row in rows} == {"okx archive"}


# --- the dated files ---


def test_trap_c9_files_cut_at_utc8_land_on_their_utc_days(bench: Bench) -> None:
    start, end = bench.ago(9), bench.ago(8)
    bench.ask("klines", start, end, origin="archive")
    entries = {entry.path.rpartition("/")[2]: entry for entry in bench.landed("klines")}
    file = entries[f"{LINEAR}-candlesticks-{end}.zip"]
    assert (file.period_start, file.period_end) == (start, end), "16:00 UTC of the day before to 16:00 UTC"
    rows = bench.rows("klines", start, end)
    for symbol in (LINEAR, INVERSE):
        contract = swap(bench, symbol)
        found = {
            row["open_time"]: (row["open"], row["high"], row["low"], row["close"], row["volume"], row["base_volume"])
            for row in rows
            if row["venue_symbol"] == symbol
        }
        bars = bench.world.candles(contract, ms(start), ms(end) + DAY_MS, 60_000)
        assert len(bars) == 2 * 1440
        assert found == {
            at(bar.time): (
                *prices(contract, bar),
                float(contract.quantity(bar.lots)),
                value(bench.world.base_volume(contract, bar)),
            )
            for bar in bars
        }
    assert {row["date"] for row in rows} == {start, end}


def test_one_question_finds_the_files_of_ten_days_and_a_landed_file_is_not_fetched_again(bench: Bench) -> None:
    bench.ask("klines", bench.ago(12), bench.ago(10), origin="archive")
    first = bench.server.requests.count("okx_archive")
    assert first == 2 * 4, "three UTC days lie in four files of each contract"
    assert bench.server.requests.count("okx/api/v5/public/market-data-history") == 1
    bench.ask("klines", bench.ago(9), origin="archive")
    assert bench.server.requests.count("okx_archive") == first + 2, "the file of the day before was there"


def test_a_file_that_is_not_published_yet_is_listed_and_the_others_land(bench: Bench) -> None:
    fetched = bench.ask("klines", bench.ago(4), bench.ago(2), origin="archive")
    # A file is complete at 16:00 UTC of its day and comes two days later; it is 12:34 now.
    late = {f"candles-{symbol}-{bench.ago(days)}" for symbol in (LINEAR, INVERSE) for days in (2, 1)}
    assert set(fetched.missing) == late
    assert fetched.files == 4
    minutes = [row for row in bench.rows("klines", bench.ago(3)) if row["venue_symbol"] == LINEAR]
    assert len(minutes) == 16 * 60, "until the file that is not there yet"


def test_days_that_an_index_cut_short_are_asked_for_one_by_one(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    days = [bench.ago(back) for back in (12, 11, 10)]
    index = files._Index("3", ["ANY"], days)
    asked = []

    def cut(self: object, client: Client, families: list[str], wanted: list[object]) -> dict[str, str]:
        asked.append(list(wanted))
        return {f"allswap-fundingrates-{wanted[-1]}.zip": "https://static.okx.com/x"}

    monkeypatch.setattr(files._Index, "_ask", cut)
    with Client() as client:
        for day in days:
            assert index.url(client, f"allswap-fundingrates-{day}.zip", "ANY", day)
    assert asked == [days, [days[0]], [days[1]]]


def test_only_addresses_below_the_archive_are_followed(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DELEVER_URL_OKX_ARCHIVE", "https://static.okx.com")
    with pytest.raises(StoppedError, match=r"does not lie below https://static\.okx\.com"):
        bench.ask("funding", bench.ago(9), origin="archive")
    assert bench.server.requests.count("okx_archive") == 0


@pytest.mark.parametrize(
    "url",
    [
        "http://static.okx.com/cdn/x.zip",
        "https://static.okx.com.evil.example/cdn/x.zip",
        "https://user@static.okx.com/cdn/x.zip",
        "https://static.okx.com:8443/cdn/x.zip",
        "//static.okx.com/cdn/x.zip",
        "file:///etc/passwd",
        "ftp://static.okx.com/cdn/x.zip",
        "",
    ],
)
def test_address_elsewhere_is_a_clear_stop(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("DELEVER_URL_OKX_ARCHIVE", raising=False)
    with pytest.raises(StoppedError, match=r"does not lie below https://static\.okx\.com; it is not fetched"):
        files.path_below(api.ARCHIVE, url)


@pytest.mark.parametrize("path", ["/cdn/../x.zip", "/cdn/%2e%2e/x.zip", "/.hidden/x.zip", "//x.zip", "/a b.zip"])
def test_path_that_is_not_plain_is_not_fetched(path: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("DELEVER_URL_OKX_ARCHIVE", raising=False)
    with pytest.raises(DataError, match="not plain"):
        files.path_below(api.ARCHIVE, f"https://static.okx.com{path}")


def test_a_mirror_with_a_path_is_a_boundary_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DELEVER_URL_OKX_ARCHIVE", "https://mirror.example/okx")
    assert files.path_below(api.ARCHIVE, "https://mirror.example/okx/a/b.zip?v=999") == ("/a/b.zip", {"v": "999"})
    with pytest.raises(StoppedError):
        files.path_below(api.ARCHIVE, "https://mirror.example/okx-other/a/b.zip")


# --- open interest, ratios ---


def test_trap_c4_open_interest_in_contracts_base_and_usd(bench: Bench) -> None:
    start, end = bench.ago(9), bench.ago(1)
    bench.ask("open_interest", start, end)
    rows = bench.rows("open_interest", start, end)
    for symbol in (LINEAR, INVERSE):
        contract = swap(bench, symbol)
        found = {
            row["observed_at"]: (row["open_interest"], row["open_interest_base"], row["open_interest_value"])
            for row in rows
            if row["venue_symbol"] == symbol
        }
        moments = range(ms(start), ms(end) + DAY_MS, HOUR_MS)
        assert len(moments) == 216, "three pages of at most 100"
        assert found == {
            at(moment): (
                float(contract.quantity(bench.world.open_interest(contract, moment))),
                value(bench.world.open_interest_base(contract, moment)),
                value(bench.world.open_interest_usd(contract, moment)),
            )
            for moment in moments
        }
    assert {row["period_seconds"] for row in rows} == {3600}


def test_trap_c12_periods_that_the_venue_forgot_are_not_asked_for(bench: Bench) -> None:
    ask = Ask(
        bench.ago(10), bench.ago(9), bench.now, [Contract("swap", LINEAR, "BTC", "USDT", "linear", True)], (300, 3600)
    )
    names = [task.name for task in bench.feeds["open_interest"].origins["rest"](ask)]
    assert names == [f"swap-{LINEAR}-3600"], "of five minutes the venue keeps five days"


def test_open_interest_of_this_moment(bench: Bench) -> None:
    bench.ask("open_interest", origin="snapshot")
    rows = {row["venue_symbol"]: row for row in bench.rows("open_interest")}
    assert set(rows) == {contract.symbol for contract in bench.world.trading("okx", "swap")}
    contract = swap(bench, INVERSE)
    assert rows[INVERSE]["open_interest"] == float(
        contract.quantity(bench.world.open_interest(contract, bench.world.now))
    )
    assert rows[INVERSE]["observed_at"] == at(bench.world.now)
    assert rows[INVERSE]["period_seconds"] == 0
    assert not any(entry.is_final for entry in bench.landed("open_interest")), "the day's history is still to come"


def test_ratios_of_three_populations(bench: Bench) -> None:
    day = bench.ago(3)
    bench.ask("long_short_ratios", day)
    rows = bench.rows("long_short_ratios", day)
    contract = swap(bench, LINEAR)
    for population in ("accounts", "top_accounts", "top_positions"):
        found = {
            row["observed_at"]: row["long_short_ratio"]
            for row in rows
            if (row["venue_symbol"], row["population"]) == (LINEAR, population)
        }
        assert len(found) == 24
        for moment, ratio in found.items():
            share = bench.world.long_share(contract, ms(moment), population) / 10_000
            assert ratio == pytest.approx(share / (1 - share), abs=1e-4)


# --- instruments and the present ---


def test_trap_c3_a_contract_is_worth_its_value_times_its_multiplier(bench: Bench) -> None:
    bench.ask("instruments")
    rows = {row["venue_symbol"]: row for row in bench.rows("instruments")}
    pepe = rows["PEPE-USDT-SWAP"]
    assert (pepe["contract_value"], pepe["base_code"], pepe["contract_type"]) == (10_000_000.0, "PEPE", "linear")
    assert (rows[LINEAR]["contract_value"], rows[LINEAR]["quote_code"], rows[LINEAR]["is_perpetual"]) == (
        0.01,
        "USDT",
        True,
    )
    inverse = rows[INVERSE]
    assert (inverse["contract_value"], inverse["contract_type"], inverse["settle_code"]) == (100.0, "inverse", "BTC")
    assert inverse["listed_at"] == at(swap(bench, INVERSE).listed)
    asked = {seen.query["instType"] for seen in bench.server.requests.all("okx/api/v5/public/instruments")}
    assert asked == {"SWAP", "FUTURES"}


def test_trap_c3_ticker_volume_counts_contracts(bench: Bench) -> None:
    bench.ask("tickers")
    row = {row["venue_symbol"]: row for row in bench.rows("tickers")}["PEPE-USDT-SWAP"]
    contract = swap(bench, "PEPE-USDT-SWAP")
    bar = bench.world.day_bar(contract, bench.world.now)
    assert row["volume"] == float(contract.quantity(bar.lots))
    assert row["base_volume"] == row["volume"] * 10_000_000
    assert row["event_at"] == at(bench.world.now)


def test_trap_c3_tier_bounds_count_contracts_and_five_families_go_into_a_question(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with bench_of(okx.FEEDS, tmp_path, monkeypatch, World(symbols=6, delisted=False)) as bench:
        bench.ask("leverage_tiers", bases=None)
        asked = bench.server.requests.all("okx/api/v5/public/position-tiers")
        families = [seen.query["instFamily"].split(",") for seen in asked]
        assert sorted(len(some) for some in families) == [3, 5]
        assert {seen.query["tdMode"] for seen in asked} == {"cross"}
        rows = bench.rows("leverage_tiers")
    btc = sorted(
        (row["tier_number"], row["tier_floor"], row["tier_cap"]) for row in rows if row["venue_symbol"] == LINEAR
    )
    # A contract of 0.01 BTC at 67,000 is 670 USD: tiers up to 50,000 and 250,000 USD are 74 and 373 whole contracts.
    assert btc[:2] == [(1, 0.0, 74.0), (2, 75.0, 373.0)]
    first = next(row for row in rows if (row["venue_symbol"], row["tier_number"]) == (LINEAR, 1))
    assert (first["maintenance_rate"], first["initial_rate"], first["max_leverage"]) == (0.004, 0.008, 125.0)
    assert {row["venue_symbol"] for row in rows} == {contract.symbol for contract in bench.world.trading("okx", "swap")}


def test_depth_counts_contracts(bench: Bench) -> None:
    bench.ask("depth")
    rows = [row for row in bench.rows("depth") if row["venue_symbol"] == LINEAR]
    contract = swap(bench, LINEAR)
    bids, asks = bench.world.depth(contract, bench.world.now, 400)
    mid = (bids[0][0] + asks[0][0]) / 2
    within = [(ticks, lots) for ticks, lots in bids if ticks >= mid * 0.99]
    one_percent = next(row for row in rows if row["percentage"] == -1.0)
    assert 0 < len(within) < 400
    assert one_percent["quantity"] == pytest.approx(sum(float(contract.quantity(lots)) for _, lots in within))
    assert one_percent["best_price"] == float(contract.price(bids[0][0]))
    assert not one_percent["is_floor"]
    assert next(row for row in rows if row["percentage"] == -5.0)["is_floor"], "400 levels of 0.01 % end at 4 %"


def test_insurance_fund_of_each_family_a_snapshot_a_day(bench: Bench) -> None:
    start, end = bench.ago(20), bench.ago(1)
    bench.ask("insurance_funds", start, end)
    rows = bench.rows("insurance_funds", start, end)
    for pool, asset in (("BTC-USDT", "USDT"), ("BTC-USD", "BTC")):
        found = {row["event_at"]: (row["asset"], row["balance"]) for row in rows if row["venue_symbol"] == pool}
        moments = [ms(start) + back * DAY_MS + 8 * HOUR_MS for back in range(20)]
        assert found == {at(one): (asset, value((bench.world.insurance("okx", pool, one), 2))) for one in moments}


# --- liquidations ---


def poll(bench: Bench, moment: int) -> None:
    bench.server.set_now(moment)
    bench.ask("liquidations")


def test_trap_c1_polls_overlap_and_none_forgets_what_an_earlier_one_saw(bench: Bench) -> None:
    noon = ms(bench.ago(3)) + 12 * HOUR_MS
    bench.server.set_now(noon)
    day = bench.today
    for hour in (0, 5, 14):
        poll(bench, noon + hour * HOUR_MS)
    rows = bench.rows("liquidations", day)
    for symbol in (LINEAR, INVERSE):
        contract = swap(bench, symbol)
        # The last poll was at 02:00 of the next day, and what is younger than 80 minutes is not told yet.
        expected = {
            (at(event.time), event.position, float(contract.quantity(event.lots)), float(contract.price(event.ticks)))
            for event in bench.world.liquidations(contract, ms(day), ms(day) + DAY_MS)
        }
        own = [row for row in rows if row["venue_symbol"] == symbol]
        assert len(expected) > 50
        assert {(row["event_time"], row["side"], row["quantity"], row["price"]) for row in own} == expected
        assert len(own) > len(expected), "the polls must overlap for this to prove anything"
        assert len({row["event_key"] for row in own}) == len(expected), "one event is one key in every poll"
    assert {(row["completeness"], row["source"], row["product"]) for row in rows} == {
        ("polled_window", "okx rest", "swap")
    }


def test_a_poll_says_that_its_rows_reach_into_the_day_before(bench: Bench) -> None:
    bench.ask("liquidations")
    assert {(entry.period_start, entry.period_end) for entry in bench.landed("liquidations")} == {
        (bench.ago(1), bench.today)
    }
    assert bench.rows("liquidations", bench.ago(1)), "yesterday's evening came with today's poll"


# --- errors ---


def test_rate_error_inside_http_200_is_waited_for(bench: Bench) -> None:
    bench.server.faults.put("rate_limit", "okx/api/v5/public/instruments", on=(1, 2))
    fetched = bench.ask("instruments")
    assert fetched.files == 2
    # Swaps three times; futures twice, since an empty list is not believed at once.
    assert bench.server.requests.count("okx/api/v5/public/instruments") == 5


@pytest.mark.parametrize(
    ("code", "kind"),
    [
        ("50011", "rate"),
        ("50061", "rate"),
        ("50013", "retry"),
        ("50001", "retry"),
        ("51001", "absent"),
        ("51000", "stop"),
    ],
)
def test_errors_by_their_code(code: str, kind: str) -> None:
    found = api.refusal({"code": code, "msg": "words of the venue", "data": []})
    assert found is not None
    assert (found.kind, "words of the venue" in found.text) == (kind, True)


def test_an_answer_without_error_is_none() -> None:
    assert api.refusal({"code": "0", "msg": "", "data": []}) is None


def test_a_contract_that_is_gone_does_not_end_the_others(bench: Bench) -> None:
    contracts = [Contract("swap", name, "X", "USDT", "linear", True) for name in ("GONE-USDT-SWAP", LINEAR)]
    feed = bench.feeds["klines"]
    ask = Ask(bench.ago(1), bench.ago(1), bench.now, contracts)
    with Client(retry_seconds=0.002) as client:
        fetched = fetch(bench.home, Terms("okx", "klines", "x", "CC0"), feed.origins["rest"](ask), client)
    assert fetched.missing == ["swap-GONE-USDT-SWAP-klines-3600"]
    assert {row["venue_symbol"] for row in bench.rows("klines", bench.ago(1))} == {LINEAR}


def test_an_empty_page_is_not_the_end_until_it_is_empty_twice(bench: Bench) -> None:
    day = bench.ago(2)
    bench.ask("instruments")
    bench.build("instruments", bench.today)
    bench.server.faults.put("empty_page", "okx/api/v5/market/history-candles", on=1)
    bench.ask("klines", day)
    assert sum(row["venue_symbol"] == LINEAR for row in bench.rows("klines", day)) == 24


def test_one_address_moves_all_hosts_but_the_archive(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DELEVER_URL_OKX", "https://mirror.example/okx")
    monkeypatch.delenv("DELEVER_URL_OKX_ARCHIVE", raising=False)
    hosts = (api.REST, api.CANDLES, api.HISTORY, api.RATIOS)
    assert {host.base() for host in hosts} == {"https://mirror.example/okx"}
    assert api.ARCHIVE.base() == "https://static.okx.com"


def test_one_rate_tightens_the_limits_of_all_hosts_and_loosens_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("DELEVER_URL_OKX", raising=False)
    monkeypatch.setenv("DELEVER_RATE_OKX", "7/1")
    monkeypatch.setenv("DELEVER_RATE_OKX_RATIOS", "1/9")
    assert (api.REST.limits(), api.CANDLES.limits()) == (((7, 1.0),), ((7, 1.0),)), "eight a second otherwise"
    assert api.HISTORY.limits() == ((1, 0.25),), "four a second is what these endpoints bear"
    assert api.RATIOS.limits() == ((1, 9.0),), "a host's own word is taken"


def test_limits_of_endpoints_are_kept_apart_and_below_what_is_documented(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench.ask("instruments")
    bench.build("instruments", bench.today)
    monkeypatch.delenv("DELEVER_RATE_OKX")
    bench.ask("long_short_ratios", bench.ago(2))
    asked = "okx/api/v5/rubik/stat/contracts/long-short"
    assert bench.server.requests.count(asked) == 6
    assert bench.server.requests.most_within(2.0, asked) <= 5, "documented: 5 requests in 2 s"


def test_names_of_tasks_are_plain_whatever_a_contract_is_called(bench: Bench) -> None:
    contract = Contract("swap", "币安人生-USDT-SWAP", "币安人生", "USDT", "linear", True)
    ask = Ask(bench.ago(1), bench.ago(1), bench.now, [contract])
    tasks = [
        task for entity in ("klines", "funding", "open_interest") for task in bench.feeds[entity].origins["rest"](ask)
    ]
    tasks += bench.feeds["depth"].origins["rest"](replace(ask))
    assert all(task.name.isascii() and not set(task.name) & set("/\\: %") for task in tasks)
    assert tasks[0].context["venue_symbol"] == "币安人生-USDT-SWAP"


def test_raw_of_a_feed_that_was_never_asked_is_empty(bench: Bench) -> None:
    assert raw_rows(bench.home, bench.feeds["instruments"]) == []
