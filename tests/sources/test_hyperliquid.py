"""The Hyperliquid connector: against the local venue server, row for row, and on pages written here by hand."""

import json
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path
from typing import Any

import lz4.frame
import pytest
from asking import DAY_MS, Bench, Row, at, bench_of, land, ms, raw_rows, set_aside

from dagster_project.fetch import s3
from dagster_project.fetch.client import StoppedError
from dagster_project.lib.errors import DataError, UsageError
from dagster_project.lib.home import Home
from dagster_project.sources import hyperliquid
from dagster_project.sources.dataset import build_raw
from dagster_project.sources.feed import Ask
from dagster_project.sources.hyperliquid import archive, rest
from venue_server import hyperliquid_s3 as buckets
from venue_server.contracts import Contract as Listed

HOUR_MS = 3_600_000
FEEDS = {feed.entity: feed for feed in hyperliquid.FEEDS}
CRASH = date(2025, 10, 10)
CAP = archive.CAP_VARIABLE


@pytest.fixture
def bench(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Bench]:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIDOFATESTABCD")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret-of-a-test")
    monkeypatch.setenv("DELEVER_RETRY_SECONDS", "0.002")
    monkeypatch.setenv(CAP, "5")
    with bench_of(hyperliquid.FEEDS, tmp_path, monkeypatch) as made:
        yield made


def perp(bench: Bench, coin: str = "BTC") -> Listed:
    return bench.world.contract(
        "hyperliquid", f"perp_{coin.split(':', maxsplit=1)[0]}" if ":" in coin else "perp", coin
    )


def quantity(contract: Listed, lots: int) -> float:
    return float(contract.quantity(lots))


def price(contract: Listed, ticks: int) -> float:
    return float(contract.price(ticks))


# --- contracts ---


def test_contracts_of_the_venue_and_of_the_exchanges_on_it(bench: Bench) -> None:
    bench.ask("instruments", bases=None)
    rows = {row["venue_symbol"]: row for row in bench.rows("instruments")}
    listed = {contract.symbol: contract for contract in bench.world.contracts("hyperliquid")}
    assert rows.keys() == listed.keys()
    assert {name: row["product"] for name, row in rows.items()} == {name: one.product for name, one in listed.items()}
    thousand, foreign = rows["kPEPE"], rows["xyz:TSLA"]
    assert (thousand["base_code"], thousand["contract_type"], thousand["contract_value"]) == ("kPEPE", "linear", 1.0)
    assert (foreign["base_code"], foreign["product"], foreign["settle_code"]) == ("TSLA", "perp_xyz", None)
    assert rows["BTC"]["quantity_step"] == 10.0 ** -listed["BTC"].quantity_decimals
    assert rows["OLDX"]["status"] == "delisted"
    assert rows["BTC"]["status"] == "trading"


def test_tiers_are_bounds_in_usd_and_maintenance_is_half_of_initial(bench: Bench) -> None:
    bench.ask("leverage_tiers")
    rows = [row for row in bench.rows("leverage_tiers") if row["venue_symbol"] == "BTC"]
    assert [(row["tier_number"], row["tier_floor"], row["tier_cap"], row["max_leverage"]) for row in rows] == [
        (1, 0.0, 150_000_000.0, 40.0),
        (2, 150_000_000.0, None, 20.0),
    ]
    # The venue's documentation: at 40x the maintenance margin is 1.25 per cent.
    assert [row["maintenance_rate"] for row in rows] == [0.0125, 0.025]
    assert [row["initial_rate"] for row in rows] == [0.025, 0.05]
    assert {row["maintenance_amount"] for row in rows} == {None}, "not among what the venue answers"


def test_contract_without_a_listed_margin_table_has_one_tier(home: Home) -> None:
    meta = {
        "universe": [
            {"name": "AAA", "szDecimals": 1, "maxLeverage": 3, "marginTableId": 3},
            {"name": "BBB", "szDecimals": 1, "maxLeverage": 10, "marginTableId": 52},
        ],
        "marginTables": [[52, {"description": "", "marginTiers": [{"lowerBound": "0.0", "maxLeverage": 10}]}]],
    }
    feed = FEEDS["leverage_tiers"]
    land(home, feed, "leverage_tiers", {"meta.json": meta}, (CRASH, CRASH), asked_at_ms=str(ms(CRASH)))
    build_raw(feed.dataset, home, CRASH, CRASH)
    rows = {row["venue_symbol"]: row for row in raw_rows(home, feed)}
    assert {name: (row["tier_floor"], row["tier_cap"], row["max_leverage"]) for name, row in rows.items()} == {
        "AAA": (0.0, None, 3.0),
        "BBB": (0.0, None, 10.0),
    }


# --- the present ---


def test_open_interest_and_tickers_are_those_of_their_contracts(bench: Bench) -> None:
    for entity in ("open_interest", "tickers"):
        bench.ask(entity)
    interest = {row["venue_symbol"]: row for row in bench.rows("open_interest")}
    tickers = {row["venue_symbol"]: row for row in bench.rows("tickers")}
    trading = {contract.symbol: contract for contract in bench.world.trading("hyperliquid")}
    assert interest.keys() == tickers.keys() == trading.keys(), "a delisted contract has no present"
    now = bench.world.now
    for coin, contract in trading.items():
        expected = quantity(contract, bench.world.open_interest(contract, now))
        assert interest[coin]["open_interest"] == tickers[coin]["open_interest"] == expected
        assert interest[coin]["period_seconds"] == 0
        assert tickers[coin]["mark_price"] == price(contract, bench.world.mark_price(contract, now))
        assert tickers[coin]["index_price"] == price(contract, bench.world.index_price(contract, now))
        day = bench.world.day_bar(contract, now)
        assert tickers[coin]["volume"] == quantity(contract, day.lots), "coins"
    assert {row["observed_at"].replace(microsecond=0) for row in interest.values()} == {
        bench.now.replace(microsecond=0)
    }
    assert bench.build("tickers", bench.today).excluded == 1


def test_contexts_that_do_not_match_their_contracts_are_set_aside(home: Home) -> None:
    feed = FEEDS["tickers"]
    uneven = [{"universe": [{"name": "BTC"}, {"name": "ETH"}]}, [{"markPx": "1.5"}]]
    other = {"unexpected": True}
    files = {"a.json": uneven, "b.json": other}
    land(home, feed, "tickers", files, (CRASH, CRASH), asked_at_ms=str(ms(CRASH)))
    build_raw(feed.dataset, home, CRASH, CRASH)
    assert raw_rows(home, feed) == []
    assert set_aside(home, feed) == ["0 contracts and 0 contexts", "2 contracts and 1 contexts"]


def test_depth_ends_where_twenty_levels_end(bench: Bench) -> None:
    bench.ask("depth")
    rows = [row for row in bench.rows("depth") if row["venue_symbol"] == "BTC"]
    contract = perp(bench)
    bids, _ = bench.world.depth(contract, bench.world.now, 20)
    nearest = next(row for row in rows if row["percentage"] == -0.2)
    widest = next(row for row in rows if row["percentage"] == -5.0)
    # A level of that market is 0.01 per cent wide: twenty of them end at 0.2 per cent, far inside 5.
    assert widest["quantity"] == pytest.approx(quantity(contract, sum(lots for _, lots in bids)), rel=1e-12)
    assert widest["is_floor"] is True
    assert 0 < nearest["quantity"] <= widest["quantity"]
    assert nearest["best_price"] == price(contract, bids[0][0])


def test_coin_without_a_book_is_no_fault_and_an_unreadable_book_is(home: Home) -> None:
    books = {
        "a.json": None,
        "b.json": {"coin": "X", "time": ms(CRASH), "levels": [[], []]},
        "c.json": {"coin": "X", "time": ms(CRASH), "levels": [[{"unexpected": 1}], [{"unexpected": 1}]]},
    }
    feed = FEEDS["depth"]
    land(home, feed, "depth", books, (CRASH, CRASH), product="perp", venue_symbol="X")
    build_raw(feed.dataset, home, CRASH, CRASH)
    assert raw_rows(home, feed) == []
    assert len(set_aside(home, feed)) == 1


def test_request_weights_stay_below_the_documented_limit() -> None:
    permits, seconds = rest.HOST.rates[0]
    assert permits / seconds * 60 <= 1200
    # 20 a call and one per 60 candles: the heaviest call must fit into the limit at all.
    assert permits >= rest.CALL_WEIGHT + -(-rest.KEPT_CANDLES // rest.CANDLES_PER_WEIGHT)


# --- history ---


def test_funding_pages_of_500_lose_no_hour(bench: Bench) -> None:
    start, end = bench.ago(60), bench.ago(1)
    bench.ask("funding", start, end)
    asked = bench.server.requests.all("hyperliquid/info")
    rows = bench.rows("funding", start, end)
    contract = perp(bench)
    times = bench.world.funding_times(contract, ms(start), ms(end) + DAY_MS - 1)
    assert len(times) == 60 * 24
    assert len(asked) > 3, "one page would prove nothing"
    found = {row["funding_time"].replace(minute=0, second=0, microsecond=0): row["funding_rate"] for row in rows}
    assert found == {at(moment): bench.world.funding_rate(contract, moment) / 1e8 for moment in times}
    assert any(row["funding_time"].microsecond for row in rows), "stamps are a few ms late, and are kept as they are"


def test_candles_reach_back_by_their_number(bench: Bench) -> None:
    start = bench.ago(260)
    bench.ask("klines", start, bench.ago(1), intervals=(3600, 86400))
    rows = bench.rows("klines", start, bench.ago(1))
    contract = perp(bench)
    hours = [row for row in rows if row["interval_seconds"] == 3600]
    days = [row for row in rows if row["interval_seconds"] == 86400]
    assert len(days) == 260, "5,000 days reach further than hours do"
    assert min(row["open_time"] for row in days) == datetime.combine(start, time(), UTC)
    oldest = bench.now.replace(minute=0, second=0, microsecond=0) - timedelta(hours=rest.KEPT_CANDLES - 1)
    assert min(row["open_time"] for row in hours) == oldest
    expected = {
        at(bar.time): (price(contract, bar.open), price(contract, bar.close), quantity(contract, bar.lots), bar.trades)
        for bar in bench.world.candles(contract, ms(oldest), ms(bench.ago(1)) + DAY_MS, HOUR_MS)
    }
    found = {row["open_time"]: (row["open"], row["close"], row["volume"], row["trade_count"]) for row in hours}
    assert found == expected


def test_minutes_beyond_their_reach_are_not_asked_for(bench: Bench) -> None:
    bench.ask("klines", bench.ago(10), bench.ago(9), intervals=(60,))
    assert bench.landed("klines") == []


def test_trap_c8_bar_that_is_still_open_is_left_out(home: Home) -> None:
    now = datetime.now(UTC)
    opened = [int(now.timestamp() // 60 - back) * 60_000 for back in (10, 0)]
    bars = [{"t": t, "o": "2", "h": "3", "l": "1", "c": "2", "v": "5", "n": 4} for t in opened]
    context = {"product": "perp", "venue_symbol": "BTC", "interval_seconds": "60"}
    feed, days = FEEDS["klines"], (at(opened[0]).date(), now.date())
    land(home, feed, "klines", {"bars.json": bars}, days, **context)
    intake = build_raw(feed.dataset, home, *days)
    assert [row["open_time"] for row in raw_rows(home, feed)] == [at(opened[0])]
    assert (intake.records, intake.excluded, intake.quarantined) == (2, 1, 0)


def test_coin_of_another_exchange_is_asked_by_its_full_name(bench: Bench) -> None:
    bench.ask("klines", bench.ago(2), bench.ago(1), bases="TSLA")
    rows = bench.rows("klines", bench.ago(2), bench.ago(1))
    assert {(row["product"], row["venue_symbol"]) for row in rows} == {("perp_xyz", "xyz:TSLA")}
    assert len(rows) == 48


# --- the paid archive ---


def fills(bench: Bench, day: date) -> list[tuple[Listed, Any]]:
    return [
        (contract, event)
        for contract in bench.world.contracts("hyperliquid")
        for event in bench.world.liquidations(contract, ms(day), ms(day) + DAY_MS)
    ]


def test_liquidations_are_the_legs_of_liquidated_accounts(bench: Bench) -> None:
    bench.ask("liquidations", CRASH)
    rows = bench.rows("liquidations", CRASH)
    expected = {
        (
            contract.symbol,
            at(event.time),
            event.position,
            quantity(contract, event.lots),
            "backstop" if buckets.liquidation_kind(event) == "backstop" else "market",
            str(buckets.trade_id(contract, event.number, forced=True)),
        )
        for contract, event in fills(bench, CRASH)
    }
    names = ("venue_symbol", "event_time", "side", "quantity", "method", "event_key")
    assert len(rows) == len(expected) > 100, "each trade is in the files twice and counted once"
    assert {tuple(row[name] for name in names) for row in rows} == expected
    assert {(row["source"], row["completeness"]) for row in rows} == {("hyperliquid archive", "complete")}
    intake = bench.build("liquidations", CRASH)
    assert intake.records == len(rows) + intake.excluded
    assert intake.excluded > len(rows), "other legs, and fills of no liquidation"


def test_adl_is_the_leg_of_the_account_that_won(bench: Bench) -> None:
    bench.ask("adl_fills", CRASH)
    rows = bench.rows("adl_fills", CRASH)
    expected = {
        (
            contract.symbol,
            at(event.time),
            "short" if event.position == "long" else "long",
            quantity(contract, event.lots),
            buckets.account(contract, event.number, "other"),
        )
        for contract, event in fills(bench, CRASH)
        if buckets.liquidation_kind(event) == "adl"
    }
    assert len(expected) > 10
    names = ("venue_symbol", "event_time", "side", "quantity", "account")
    assert {tuple(row[name] for name in names) for row in rows} == expected
    assert all(row["closed_pnl"] > 0 for row in rows)
    assert all(row["event_key"].endswith(row["account"]) for row in rows)


def test_fills_are_bought_once_for_both_entities(bench: Bench) -> None:
    bench.ask("liquidations", CRASH)
    bought = [seen for seen in bench.server.requests.all("hyperliquid_s3") if seen.method == "GET"]
    assert len(bought) == 25, "24 hours and the first of the next day"
    bench.ask("adl_fills", CRASH)
    bench.ask("liquidations", CRASH)
    # Another stretch of days is another folder in landing, but no other file.
    bench.ask("liquidations", CRASH, CRASH + timedelta(days=1))
    again = [seen for seen in bench.server.requests.all("hyperliquid_s3") if seen.method == "GET"]
    assert len(again) == 25 + 24, "the hours of the second day that were not bought yet, and the first of the third"
    origins = {entry.task: entry.origin for entry in bench.landed("adl_fills")}
    assert origins["fills-20251010-21"] == "s3://hl-mainnet-node-data/node_fills_by_block/hourly/20251010/21.lz4"


def test_nothing_is_bought_without_a_cap(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(CAP)
    with pytest.raises(UsageError) as refused:
        bench.ask("liquidations", CRASH)
    told = str(refused.value)
    assert "25 objects" in told
    assert "GiB" in told
    assert "0.01 USD" in told, "what it would cost, rounded up to a cent"
    assert f"{CAP} allows 0 USD" in told
    assert "Set it to 0.01" in told
    assert {seen.method for seen in bench.server.requests.all("hyperliquid_s3")} == {"HEAD"}
    assert bench.landed("liquidations") == []


def test_hours_that_are_not_published_are_listed(bench: Bench) -> None:
    yesterday = bench.ago(1)
    fetched = bench.ask("liquidations", yesterday, bench.today)
    # The server's clock shows 12:34 and a file is there an hour after its end; tomorrow's first hour is not.
    assert sorted(fetched.missing) == [f"fills-{bench.today:%Y%m%d}-{hour:02}" for hour in range(11, 24)] + [
        f"fills-{bench.today + timedelta(days=1):%Y%m%d}-00"
    ]
    assert fetched.files == 24 + 11


def test_keys_are_needed_and_never_shown(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    bench.server.faults.put("403", "hyperliquid_s3*")
    with pytest.raises(StoppedError) as refused:
        bench.ask("liquidations", CRASH)
    assert "secret-of-a-test" not in str(refused.value)
    assert "AKIDOFATESTABCD" not in str(refused.value)
    assert bench.server.requests.count("hyperliquid_s3") == 1, "no second try with keys that are not accepted"
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    with pytest.raises(UsageError, match="AWS_SECRET_ACCESS_KEY"):
        bench.ask("liquidations", CRASH)


def test_open_interest_of_the_past_is_there_by_the_minute(bench: Bench) -> None:
    bench.ask("open_interest", CRASH, origin="archive")
    rows = bench.rows("open_interest", CRASH)
    contract = perp(bench)
    found = {row["observed_at"]: row["open_interest"] for row in rows if row["venue_symbol"] == "BTC"}
    start = ms(CRASH)
    expected = {
        at(start + minute * 60_000): quantity(contract, bench.world.open_interest(contract, start + minute * 60_000))
        for minute in range(1440)
    }
    assert found == expected
    assert {row["source"] for row in rows} == {"hyperliquid archive"}
    assert {seen.path.split("/")[1] for seen in bench.server.requests.all("hyperliquid_s3")} == {"hyperliquid-archive"}


def test_form_of_the_fills_is_chosen_by_date(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []

    def find(bucket: s3.Bucket, keys: list[str]) -> dict[str, s3.StoredObject]:
        asked.extend(keys)
        return {}

    monkeypatch.setattr(archive, "find", find)
    ask = Ask(date(2025, 7, 20), date(2025, 7, 20), datetime(2026, 1, 1, tzinfo=UTC))
    list(archive.fills_tasks("liquidations")(ask))
    assert {key.split("/")[0] for key in asked} == {"node_fills"}
    assert asked[0] == "node_fills/hourly/20250720/0.lz4", "hours are not padded"
    asked.clear()
    list(archive.fills_tasks("liquidations")(replace(ask, start=CRASH, end=CRASH)))
    assert {key.split("/")[0] for key in asked} == {"node_fills_by_block"}
    asked.clear()
    handover = date(2025, 7, 27)
    list(archive.fills_tasks("liquidations")(replace(ask, start=handover, end=handover)))
    assert {key.split("/")[0] for key in asked} == {"node_fills", "node_fills_by_block"}, "whichever has the hour"


def test_last_fills_of_a_day_come_from_the_next_days_first_file(home: Home) -> None:
    late = ms(CRASH) + DAY_MS - 40
    feed = FEEDS["liquidations"]
    days = (CRASH, CRASH + timedelta(days=1))
    land(
        home,
        feed,
        "archive_node_fills",
        {"fills-20251011-00.lz4": packed(block(leg("0xaa", liquidated="0xaa", time=late)))},
        days,
    )
    build_raw(feed.dataset, home, CRASH, CRASH)
    assert [row["event_time"] for row in raw_rows(home, feed)] == [at(late)]


# --- the form of the fills, as documented: github.com/ConejoCapital/HyperMultiAssetedADL shows a line ---

CRASH_MS = 1760130964831


def leg(account: str, *, liquidated: str | None = None, time: int = CRASH_MS, **changes: Any) -> list[Any]:
    fill: Row = {
        "coin": "AVAX",
        "px": "22.075",
        "sz": "28.53",
        "side": "B",
        "time": time,
        "startPosition": "-28.53",
        "dir": "Close Short",
        "closedPnl": "194.275035",
        "hash": "0x00",
        "oid": 194018286846,
        "crossed": True,
        "fee": "0.0",
        "tid": 771334864158847,
        "feeToken": "USDC",
        "twapId": None,
    }
    if liquidated is not None:
        fill["liquidation"] = {"liquidatedUser": liquidated, "markPx": "22.025", "method": "backstop"}
    return [account, fill | changes]


def block(*legs: list[Any]) -> Row:
    return {
        "local_time": "2025-10-10T21:16:04.9",
        "block_time": "2025-10-10T21:16:04.831874000",
        "block_number": 758800641,
        "events": list(legs),
    }


def packed(*lines: Any) -> bytes:
    text = "\n".join(line if isinstance(line, str) else json.dumps(line) for line in lines)
    return bytes(lz4.frame.compress((text + "\n").encode()))


def read(home: Home, entity: str, *lines: Any) -> tuple[list[Row], Any]:
    feed = FEEDS[entity]
    land(home, feed, "archive_node_fills", {"fills-20251010-21.lz4": packed(*lines)}, (CRASH, CRASH))
    intake = build_raw(feed.dataset, home, CRASH, CRASH)
    return raw_rows(home, feed), intake


def test_fill_a_line_and_block_a_line_read_alike(home: Home) -> None:
    rows, intake = read(
        home,
        "liquidations",
        block(leg("0xAA", liquidated="0xaa", tid=1), leg("0xbb", liquidated="0xaa", tid=1, side="A")),
        leg("0xcc", liquidated="0xcc", tid=2, side="A", coin="xyz:TSLA"),
        leg("0xdd", liquidated="0xcc", tid=2),
        leg("0xee", tid=3),
    )
    assert [(row["product"], row["venue_symbol"], row["side"], row["event_key"]) for row in rows] == [
        ("perp", "AVAX", "short", "1"),
        ("perp_xyz", "xyz:TSLA", "long", "2"),
    ]
    assert (rows[0]["quantity"], rows[0]["price"], rows[0]["method"]) == (28.53, 22.075, "backstop")
    assert rows[0]["event_time"].isoformat() == "2025-10-10T21:16:04.831000+00:00"
    assert (intake.records, intake.excluded, intake.quarantined) == (5, 3, 0)


def test_adl_leg_is_no_liquidation_and_a_liquidation_no_adl(home: Home) -> None:
    adl = leg("0xe92d", liquidated="0x2e3d", dir="Auto-Deleveraging")
    covered = leg("0x2e3d", liquidated="0x2e3d", dir="Liquidated Cross Long", side="A", closedPnl="-500.0")
    liquidations, _ = read(home, "liquidations", block(adl, covered))
    adls, intake = read(home, "adl_fills", block(adl, covered))
    assert [(row["side"], row["event_key"]) for row in liquidations] == [("long", "771334864158847")]
    (row,) = adls
    assert (row["side"], row["account"], row["closed_pnl"]) == ("short", "0xe92d", 194.275035)
    assert row["event_key"] == "771334864158847:0xe92d"
    assert (intake.records, intake.excluded) == (2, 1)


def test_spot_fills_are_left_out(home: Home) -> None:
    spot = [leg("0xaa", liquidated="0xaa", coin=coin) for coin in ("@107", "PURR/USDC")]
    rows, intake = read(home, "liquidations", block(*spot))
    assert rows == []
    assert (intake.records, intake.excluded) == (2, 2)


def test_what_is_no_fill_is_set_aside_and_the_rest_goes_on(home: Home) -> None:
    rows, intake = read(
        home,
        "liquidations",
        '{"events": [["0xaa", {"coin"',
        {"block_number": 5},
        block(["0xaa", "no fill"], leg("0xaa", liquidated="0xaa", sz="many"), leg("0xaa", liquidated="0xaa", tid=9)),
    )
    assert [row["event_key"] for row in rows] == ["9"]
    assert set_aside(home, FEEDS["liquidations"]) == [
        "neither a block of fills nor a fill",
        "no JSON, or cut short",
        "no usable time",
        "quantity is no number",
    ]
    assert (intake.records, intake.quarantined, intake.excluded) == (5, 4, 0)


def test_cut_lz4_file_is_set_aside_whole(home: Home) -> None:
    feed = FEEDS["liquidations"]
    many = packed(
        *(block(leg(f"0x{number:040x}", liquidated=f"0x{number:040x}", tid=number)) for number in range(3000))
    )
    land(home, feed, "archive_node_fills", {"fills-20251010-20.lz4": many[: len(many) // 2]}, (CRASH, CRASH))
    build_raw(feed.dataset, home, CRASH, CRASH)
    assert raw_rows(home, feed) == []
    (reason,) = set_aside(home, feed)
    assert "not a readable LZ4 file" in reason


def test_context_times_are_utc_with_or_without_a_zone(home: Home) -> None:
    header = ",".join(archive.CONTEXT_COLUMNS)
    text = (
        f"{header}\n2025-10-10T21:16:00Z,BTC,0.0000125,31234.5,1,2,0.1,105000,104900,,,\n"
        "2025-10-10 21:17:00.000,xyz:TSLA,0.0,7,1,2,,430,431,430,429,431\n"
    )
    feed = FEEDS["open_interest"]
    land(
        home,
        feed,
        "archive_asset_ctxs",
        {"contexts-20251010.csv.lz4": bytes(lz4.frame.compress(text.encode()))},
        (CRASH, CRASH),
    )
    build_raw(feed.dataset, home, CRASH, CRASH)
    rows = [(row["product"], row["observed_at"].isoformat(), row["open_interest"]) for row in raw_rows(home, feed)]
    assert sorted(rows) == [
        ("perp", "2025-10-10T21:16:00+00:00", 31234.5),
        ("perp_xyz", "2025-10-10T21:17:00+00:00", 7.0),
    ]


def test_answer_of_another_shape_is_an_error_with_its_address(bench: Bench) -> None:
    bench.server.faults.put("wrong_shape", "hyperliquid/info", since=2)
    with pytest.raises(DataError, match="hyperliquid/info"):
        bench.ask("instruments")
