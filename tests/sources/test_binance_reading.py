"""Binance's own formats, written here by hand from its documentation, become raw rows; nothing is lost without a word."""

import json
from datetime import date
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from binance_home import FEEDS, build, land, moment, ms, read, rows, set_aside, zipped

from dagster_project.lib.home import Home

DAY = date(2025, 10, 10)
DAYS = (DAY, DAY)
T = ms("2025-10-10T21:00:00")
UM = {"product": "um", "venue_symbol": "BTCUSDT"}
CM = {"product": "cm", "venue_symbol": "BTCUSD_PERP"}
MINUTE = {"interval_seconds": "60", "price_kind": "last"}
FIVE = UM | {"period_seconds": "300"}
KLINES_HEADER = (
    "open_time,open,high,low,close,volume,close_time,quote_volume,count,taker_buy_volume,taker_buy_quote_volume,"
    "ignore\n"
)
METRICS_HEADER = (
    "create_time,symbol,sum_open_interest,sum_open_interest_value,count_toptrader_long_short_ratio,"
    "sum_toptrader_long_short_ratio,count_long_short_ratio,sum_taker_long_short_vol_ratio\n"
)


def bar(start: int, *, low: str = "9") -> str:
    return f"{start},10,12,{low},11,1.5,{start + 59999},16.5,7,1,11,0\n"


def land_bars(home: Home, csv: str, **extra: str) -> None:
    land(home, "klines", "archive_klines", {"bars.zip": zipped(csv)}, UM | MINUTE | extra, DAYS)


# --- bars ---


@pytest.mark.parametrize("header", [KLINES_HEADER, ""], ids=["with a header", "before 2022-05-01"])
def test_trap_headers_of_both_eras(home: Home, header: str) -> None:
    land_bars(home, header + bar(T) + bar(T + 60_000))
    first, second = read(home, "klines", DAY)
    assert [first["open_time"], second["open_time"]] == [moment("2025-10-10T21:00:00"), moment("2025-10-10T21:01:00")]
    assert (first["open"], first["high"], first["low"], first["close"]) == (10, 12, 9, 11)
    assert (first["volume"], first["turnover"], first["trade_count"]) == (1.5, 16.5, 7)
    assert (first["taker_buy_volume"], first["taker_buy_turnover"], first["interval_seconds"]) == (1, 11, 60)
    assert (first["feed"], first["product"], first["venue_symbol"]) == ("binance", "um", "BTCUSDT")
    assert (first["source"], first["venue"], first["date"]) == ("binance archive", "binance", DAY)


def test_trap_time_unit_is_told_by_magnitude(home: Home) -> None:
    land_bars(home, bar(T).replace(str(T), f"{T}000").replace(str(T + 59999), f"{T + 59999}999"))
    (row,) = read(home, "klines", DAY)
    assert row["open_time"] == moment("2025-10-10T21:00:00")


def test_trap_a_file_with_two_time_units_is_refused_whole(home: Home) -> None:
    land_bars(home, bar(T) + bar(T + 60_000).replace(str(T + 60_000), f"{T + 60_000}000"))
    assert read(home, "klines", DAY) == []
    ((reason, _),) = set_aside(home)
    assert reason.startswith("times in several units")


def test_a_line_that_cannot_be_read_is_set_aside_and_the_others_stay(home: Home) -> None:
    land_bars(home, KLINES_HEADER + bar(T) + bar(T + 60_000, low="oops") + bar(T + 120_000, low="13"))
    (row,) = read(home, "klines", DAY)
    assert row["open_time"] == moment("2025-10-10T21:00:00")
    reasons = sorted(reason for reason, _ in set_aside(home))
    assert len(reasons) == 2
    assert "low is no number" in reasons


def test_trap_coin_m_turnover_stands_in_base_coin_as_written(home: Home) -> None:
    line = f"{T},122000,122100,121900,122050,400,{T + 59999},0.32778,9,100,0.0819,0\n"
    land(home, "klines", "archive_klines", {"bars.zip": zipped(KLINES_HEADER + line)}, CM | MINUTE, DAYS)
    (row,) = read(home, "klines", DAY)
    assert (row["product"], row["volume"], row["turnover"]) == ("cm", 400, 0.32778)


def test_trap_the_open_bar_is_left_out_with_its_reason(home: Home) -> None:
    page = [
        [start, "10", "12", "9", "11", "1.5", start + 59999, "16.5", 7, "1", "11", "0"] for start in (T, T + 60_000)
    ]
    asked = {"asked_at_ms": str(T + 90_000)}
    land(home, "klines", "klines", {"page.json": page}, UM | MINUTE | asked, DAYS)
    intake = build(home, "klines", DAY)
    (row,) = rows(home, "klines")
    assert (row["open_time"], row["source"]) == (moment("2025-10-10T21:00:00"), "binance rest")
    assert (intake.records, intake.excluded, intake.quarantined) == (2, 1, 0)


def test_a_contract_that_gave_its_name_away_keeps_the_one_it_is_filed_under(home: Home) -> None:
    context = {"product": "um", "venue_symbol": "BNXUSDT"} | MINUTE
    folder = "https://data.binance.vision/data/futures/um/daily/klines"
    for name, origin in (("new", f"{folder}/BNXUSDT/1m/"), ("old", f"{folder}/BNXUSDTSETTLED/1m/BNXUSDTSETTLED-")):
        land(home, "klines", "archive_klines", {f"{name}.zip": zipped(bar(T))}, context, DAYS, origin=origin)
    assert [row["venue_symbol"] for row in read(home, "klines", DAY)] == ["BNXUSDT", "BNXUSDTSETTLED"]


def test_reference_and_premium_bars(home: Home) -> None:
    zeros = bar(T).replace("1.5", "0").replace("16.5", "0")
    land(
        home,
        "reference_klines",
        "archive_klines",
        {"mark.zip": zipped(zeros)},
        UM | MINUTE | {"price_kind": "mark"},
        DAYS,
    )
    page = [[T, "-0.00012", "0.0001", "-0.0002", "0", "0", T + 59999, "0", 12, "0", "0", "0"]]
    land(home, "premium_klines", "premium_klines", {"page.json": page}, UM | MINUTE | {"price_kind": "premium"}, DAYS)
    (mark,) = read(home, "reference_klines", DAY)
    (premium,) = read(home, "premium_klines", DAY)
    assert (mark["price_kind"], mark["close"], mark["interval_seconds"]) == ("mark", 11, 60)
    assert (premium["open"], premium["high"], premium["low"], premium["close"]) == (-0.00012, 0.0001, -0.0002, 0)


# --- funding ---


def test_trap_special_rates_are_left_out_with_their_reason(home: Home) -> None:
    page = [
        {
            "symbol": "BTCUSDT",
            "fundingTime": T + 1,
            "fundingRate": "-0.0001",
            "markPrice": "122000.5",
            "rateType": "Regular",
        },
        {
            "symbol": "BTCUSDT",
            "fundingTime": T + 2,
            "fundingRate": "0.05",
            "markPrice": "122000.5",
            "rateType": "Special",
        },
    ]
    land(home, "funding", "funding", {"page.json": page}, UM, DAYS)
    intake = build(home, "funding", DAY)
    (row,) = rows(home, "funding")
    assert (row["funding_rate"], row["mark_price"]) == (-0.0001, 122000.5)
    assert row["funding_time"] == moment("2025-10-10T21:00:00.001"), "the jitter stays"
    assert intake.excluded == 1


def test_rates_before_the_kind_was_told_have_no_kind_and_no_mark_price(home: Home) -> None:
    page = [{"symbol": "BTCUSDT", "fundingTime": T, "fundingRate": "0.0001", "markPrice": ""}]
    land(home, "funding", "funding", {"page.json": page}, UM, DAYS)
    (row,) = read(home, "funding", DAY)
    assert (row["funding_rate"], row["mark_price"], row["interval_seconds"]) == (0.0001, None, None)


def test_funding_files_have_the_interval(home: Home) -> None:
    csv = f"calc_time,funding_interval_hours,last_funding_rate\n{T},4,0.00010000\n"
    land(home, "funding", "archive_funding", {"month.zip": zipped(csv)}, UM, (date(2025, 10, 1), date(2025, 10, 31)))
    (row,) = read(home, "funding", DAY)
    assert (row["interval_seconds"], row["funding_rate"], row["venue_symbol"]) == (14400, 0.0001, "BTCUSDT")


# --- metrics ---


def metrics(*stamps: str, ratios: str = "2.5,1.25,1.5,0.75") -> bytes:
    lines = [f"{stamp},BTCUSDT,{place}.5,{place}000,{ratios}\n" for place, stamp in enumerate(stamps, start=1)]
    return zipped(METRICS_HEADER + "".join(lines))


def test_trap_metrics_labels_stay_as_written_though_a_day_ends_in_the_next(home: Home) -> None:
    """Up to 2026-06-24 USD-M files ended with 00:00 of the next day, whose own file begins with that label (issue 491)."""
    before, after = date(2026, 6, 24), date(2026, 6, 25)
    old = metrics("2026-06-25 00:00:00", "2026-06-24 23:55:00")
    new = metrics("2026-06-25 00:00:00", "2026-06-25 00:05:00")
    context = FIVE
    land(home, "open_interest", "archive_metrics", {"um-BTCUSDT-metrics-2026-06-24.zip": old}, context, (before, after))
    land(home, "open_interest", "archive_metrics", {"um-BTCUSDT-metrics-2026-06-25.zip": new}, context, (after, after))
    build(home, "open_interest", before, after)
    found = [(row["observed_at"], row["open_interest"]) for row in rows(home, "open_interest")]
    assert sorted(found) == [
        (moment("2026-06-24T23:55:00"), 2.5),
        (moment("2026-06-25T00:00:00"), 1.5),
        (moment("2026-06-25T00:00:00"), 1.5),
        (moment("2026-06-25T00:05:00"), 2.5),
    ]


def test_trap_a_day_alone_still_has_the_last_label_of_the_day_before(home: Home) -> None:
    before, after = date(2025, 10, 9), DAY
    context = FIVE
    land(home, "open_interest", "archive_metrics", {"a.zip": metrics("2025-10-10 00:00:00")}, context, (before, after))
    land(
        home,
        "open_interest",
        "archive_metrics",
        {"b.zip": metrics("2025-10-10 00:05:00")},
        context,
        (DAY, date(2025, 10, 11)),
    )
    assert [row["observed_at"] for row in read(home, "open_interest", DAY)] == [
        moment("2025-10-10T00:00:00"),
        moment("2025-10-10T00:05:00"),
    ]


def test_trap_unsorted_metrics_are_read_whole(home: Home) -> None:
    stamps = ("2025-10-10 21:10:00", "2025-10-10 21:00:00", "2025-10-10 21:05:00")
    land(home, "open_interest", "archive_metrics", {"a.zip": metrics(*stamps)}, FIVE, DAYS)
    found = {row["observed_at"]: row for row in read(home, "open_interest", DAY)}
    assert {at.minute: row["open_interest"] for at, row in found.items()} == {10: 1.5, 0: 2.5, 5: 3.5}
    assert {(row["period_seconds"], row["open_interest_value"] // 1000) for row in found.values()} == {
        (300, 1), (300, 2), (300, 3),
    }  # fmt: skip


def test_the_four_ratios_of_a_line_of_metrics(home: Home) -> None:
    land(
        home,
        "long_short_ratios",
        "archive_metrics",
        {"a.zip": metrics("2025-10-10 21:00:00")},
        FIVE,
        DAYS,
    )
    found = {row["population"]: row["long_short_ratio"] for row in read(home, "long_short_ratios", DAY)}
    assert found == {"top_accounts": 2.5, "top_positions": 1.25, "accounts": 1.5, "taker_volume": 0.75}


def test_an_empty_ratio_is_left_out_and_a_broken_one_set_aside(home: Home) -> None:
    content = metrics("2025-10-10 21:00:00", ratios=",1.25,x,0.75")
    land(home, "long_short_ratios", "archive_metrics", {"a.zip": content}, FIVE, DAYS)
    intake = build(home, "long_short_ratios", DAY)
    assert {row["population"] for row in rows(home, "long_short_ratios")} == {"top_positions", "taker_volume"}
    assert (intake.records, intake.excluded, intake.quarantined) == (4, 1, 1)
    assert [reason for reason, _ in set_aside(home)] == ["long_short_ratio is no number"]


def test_open_interest_pages_of_both_markets(home: Home) -> None:
    um = [{"symbol": "BTCUSDT", "sumOpenInterest": "90000.5", "sumOpenInterestValue": "10980061000.25", "timestamp": T}]
    cm = [
        {"pair": "BTCUSD", "contractType": "PERPETUAL", "sumOpenInterest": "5000000", "sumOpenInterestValue": "4098.36",
         "timestamp": T},
    ]  # fmt: skip
    for context, page in ((UM, um), (CM, cm)):
        name = f"{context['product']}.json"
        land(home, "open_interest", "open_interest", {name: page}, context | {"period_seconds": "300"}, DAYS)
    coin, usd = read(home, "open_interest", DAY)
    assert (usd["venue_symbol"], usd["open_interest"], usd["open_interest_value"]) == (
        "BTCUSDT",
        90000.5,
        10980061000.25,
    )
    assert (coin["venue_symbol"], coin["open_interest"], coin["open_interest_value"]) == ("BTCUSD_PERP", 5e6, 4098.36)


@pytest.mark.parametrize(
    ("population", "item", "ratio", "share"),
    [
        ("accounts", {"longAccount": "0.6", "shortAccount": "0.4", "longShortRatio": "1.5"}, 1.5, 0.6),
        ("top_positions", {"longPosition": "0.75", "shortPosition": "0.25", "longShortRatio": "3"}, 3.0, 0.75),
        ("taker_volume", {"buySellRatio": "0.8", "buyVol": "80", "sellVol": "100"}, 0.8, None),
        ("taker_volume", {"takerBuyVol": "387", "takerSellVol": "248", "takerBuyVolValue": "2342"}, 387 / 248, None),
    ],
    ids=["accounts", "positions of COIN-M", "volume of USD-M", "volume of COIN-M"],
)
def test_ratio_pages(home: Home, population: str, item: dict[str, str], ratio: float, share: float | None) -> None:
    context = UM | {"period_seconds": "300", "population": population}
    land(home, "long_short_ratios", "long_short_ratios", {"page.json": [item | {"timestamp": T}]}, context, DAYS)
    (row,) = read(home, "long_short_ratios", DAY)
    assert (row["population"], row["long_short_ratio"], row["long_share"]) == (population, ratio, share)


# --- books ---


def test_trap_depth_bands_are_written_in_two_ways(home: Home) -> None:
    csv = (
        "timestamp,percentage,depth,notional\n2025-10-10 21:00:07,-5,300.5,36000000.25\n2025-10-10 21:00:07,0.20,1,122100\n"
        "2025-10-10 21:00:37,-5.00,301,36000001\n2025-10-10 21:00:37,0.00,0,0\n"
    )
    land(home, "depth", "archive_book_depth", {"a.zip": zipped(csv)}, UM, DAYS)
    intake = build(home, "depth", DAY)
    found = [
        (row["observed_at"].second, row["percentage"], row["quantity"], row["notional"]) for row in rows(home, "depth")
    ]
    assert sorted(found) == [(7, -5, 300.5, 36000000.25), (7, 0.2, 1, 122100), (37, -5, 301, 36000001)]
    assert intake.excluded == 1
    assert {row["is_floor"] for row in rows(home, "depth")} == {False}


def test_a_book_becomes_bands_and_says_where_it_ends(home: Home) -> None:
    # Mid is 100: the bids end at -0.6 %, the asks at +4.5 %.
    book = {
        "lastUpdateId": 1, "E": T + 9, "T": T,
        "bids": [["99.9", "2"], ["99.4", "10"]], "asks": [["100.1", "3"], ["100.9", "5"], ["104.5", "7"]],
    }  # fmt: skip
    land(home, "depth", "depth", {"book.json": book}, UM | {"asked_at_ms": str(T)}, DAYS)
    found = {row["percentage"]: row for row in read(home, "depth", DAY)}
    assert [found[band]["quantity"] for band in (-0.2, -1.0, -5.0, 0.2, 1.0, 4.0, 5.0)] == [2, 12, 12, 3, 8, 8, 15]
    assert found[-1.0]["notional"] == pytest.approx(2 * 99.9 + 10 * 99.4, rel=1e-12)
    assert [found[band]["is_floor"] for band in (-0.2, -1.0, 4.0, 5.0)] == [False, True, False, True]
    assert {row["best_price"] for band, row in found.items() if band > 0} == {100.1}
    assert {row["observed_at"] for row in found.values()} == {moment("2025-10-10T21:00:00")}


# --- liquidations ---


def test_trap_coin_m_liquidations_are_written_twice_and_stay_so_with_one_key(home: Home) -> None:
    header = (
        "time,side,order_type,time_in_force,original_quantity,price,average_price,order_status,last_fill_quantity,"
        "accumulated_fill_quantity\n"
    )
    day = date(2023, 6, 25)
    at = ms("2023-06-25T08:00:00.123")
    line = f"{at},SELL,LIMIT,IOC,12,30000.1,30010.5,FILLED,4,12\n"
    other = f"{at + 2000},BUY,LIMIT,IOC,1,30100,0,NEW,0,0\n"
    land(home, "liquidations", "archive_liquidations", {"a.zip": zipped(header + line * 2 + other * 2)}, CM, (day, day))
    found = read(home, "liquidations", day)
    assert len(found) == 4
    sold = [row for row in found if row["side"] == "sell"]
    assert {row["event_key"] for row in sold} == {f"cm:BTCUSD_PERP:{at}:SELL:12:30000.1:12"}
    assert {(row["quantity"], row["filled_quantity"], row["price"], row["average_price"]) for row in sold} == {
        (12, 12, 30000.1, 30010.5)
    }
    assert {row["event_time"] for row in sold} == {moment("2023-06-25T08:00:00.123")}
    assert len({row["event_key"] for row in found}) == 2


def force_order(side: str, market: int | None = None) -> dict[str, Any]:
    order = {
        "s": "BTCUSDT" if market != 2 else "BTCUSD_PERP", "S": side, "o": "LIMIT", "f": "IOC", "q": "2", "p": "100",
        "ap": "99.5", "X": "FILLED", "l": "1", "z": "2", "T": T + 123,
    }  # fmt: skip
    return {"e": "forceOrder", "E": T + 200, "o": order} | ({"st": market} if market else {})


def test_recorded_messages_keep_the_order_side_and_their_market(home: Home) -> None:
    lines = "\n".join(json.dumps(one) for one in (force_order("SELL"), force_order("BUY", 2))) + "\n"
    land(home, "liquidations", "messages", {"day.jsonl": lines.encode()}, {}, DAYS)
    coin, usd = read(home, "liquidations", DAY)
    assert (usd["product"], usd["venue_symbol"], usd["side"], usd["average_price"]) == ("um", "BTCUSDT", "sell", 99.5)
    assert (coin["product"], coin["venue_symbol"], coin["side"]) == ("cm", "BTCUSD_PERP", "buy")
    assert usd["event_time"] == moment("2025-10-10T21:00:00.123")
    assert usd["source"] == "binance stream"


def test_recorded_parquet(home: Home) -> None:
    table = pa.table(
        {
            "received_at": pa.array([moment("2025-10-10T21:00:01")], pa.timestamp("us", "UTC")),
            "topic": ["!forceOrder@arr"],
            "message": [json.dumps(force_order("BUY", 1))],
        }
    )
    pq.write_table(table, home.scratch / "part.parquet")
    content = (home.scratch / "part.parquet").read_bytes()
    land(home, "liquidations", "stream_parquet", {"part.parquet": content}, {}, DAYS)
    (row,) = read(home, "liquidations", DAY)
    assert (row["product"], row["side"], row["quantity"], row["filled_quantity"]) == ("um", "buy", 2, 2)


# --- what is asked for now ---

NOW = {"asked_at_ms": str(T)}


def symbol(name: str, kind: str, **terms: Any) -> dict[str, Any]:
    return {
        "symbol": name, "pair": "BTCUSDT", "contractType": kind, "deliveryDate": 4133404800000, "onboardDate": 1569398400000,
        "status": "TRADING", "baseAsset": "BTC", "quoteAsset": "USDT", "marginAsset": "USDT",
        "filters": [
            {"filterType": "PRICE_FILTER", "minPrice": "556.80", "maxPrice": "4529764", "tickSize": "0.10"},
            {"filterType": "LOT_SIZE", "stepSize": "0.001", "maxQty": "1000", "minQty": "0.001"},
            {"filterType": "MARKET_LOT_SIZE", "stepSize": "0.5", "maxQty": "120", "minQty": "0.001"},
        ],
    } | terms  # fmt: skip


def test_instruments_of_usd_m(home: Home) -> None:
    listed = [
        symbol("BTCUSDT", "PERPETUAL"),
        symbol("BTCUSDT_251226", "CURRENT_QUARTER", deliveryDate=1766736000000),
        symbol("TSLAUSDT", "TRADIFI_PERPETUAL", baseAsset="TSLA"),
        symbol("OLDUSDT", "PERPETUAL", deliveryDate=1760000000000, status="SETTLING"),
        symbol("NEWUSDT", "", status="PENDING_TRADING"),
    ]
    land(
        home,
        "instruments",
        "instruments",
        {"um.json": {"timezone": "UTC", "symbols": listed}},
        {"product": "um"} | NOW,
        DAYS,
    )
    found = {row["venue_symbol"]: row for row in read(home, "instruments", DAY)}
    assert {name: row["is_perpetual"] for name, row in found.items()} == {
        "BTCUSDT": True, "BTCUSDT_251226": False, "TSLAUSDT": True, "OLDUSDT": True, "NEWUSDT": True,
    }  # fmt: skip
    btc = found["BTCUSDT"]
    assert (btc["contract_type"], btc["contract_value"], btc["tick_size"], btc["quantity_step"]) == (
        "linear",
        1,
        0.1,
        0.001,
    )
    assert (btc["base_code"], btc["quote_code"], btc["settle_code"], btc["status"]) == (
        "BTC",
        "USDT",
        "USDT",
        "TRADING",
    )
    assert btc["listed_at"] == moment("2019-09-25T08:00:00")
    assert btc["delisted_at"] is None
    assert found["OLDUSDT"]["delisted_at"] == moment("2025-10-09T08:53:20")


def test_trap_coin_m_contracts_are_worth_dollars(home: Home) -> None:
    listed = [
        symbol(
            "BTCUSD_PERP", "PERPETUAL", quoteAsset="USD", marginAsset="BTC", contractSize=100, contractStatus="TRADING"
        ),
        symbol("ETHUSD_PERP", "PERPETUAL", baseAsset="ETH", quoteAsset="USD", marginAsset="ETH", contractSize=10),
    ]
    del listed[0]["status"]
    land(home, "instruments", "instruments", {"cm.json": {"symbols": listed}}, {"product": "cm"} | NOW, DAYS)
    btc, eth = read(home, "instruments", DAY)
    assert (btc["contract_type"], btc["contract_value"], btc["settle_code"], btc["status"]) == (
        "inverse",
        100,
        "BTC",
        "TRADING",
    )
    assert eth["contract_value"] == 10


def test_tickers_of_both_markets(home: Home) -> None:
    um = [
        {"symbol": "BTCUSDT", "lastPrice": "122000.1", "volume": "1000.5", "quoteVolume": "122061000.2"},
        {"symbol": "NEWUSDT", "lastPrice": "0.0", "volume": "0", "quoteVolume": "0"},
    ]
    cm = [
        {"symbol": "BTCUSD_PERP", "pair": "BTCUSD", "lastPrice": "122010.1", "volume": "500000", "baseVolume": "409.8"}
    ]
    land(home, "tickers", "tickers", {"um.json": um}, {"product": "um"} | NOW, DAYS)
    land(home, "tickers", "tickers", {"cm.json": cm}, {"product": "cm"} | NOW, DAYS)
    found = {row["venue_symbol"]: row for row in read(home, "tickers", DAY)}
    btc, coin, new = found["BTCUSDT"], found["BTCUSD_PERP"], found["NEWUSDT"]
    assert (btc["last_price"], btc["volume"], btc["turnover"], btc["base_volume"]) == (
        122000.1,
        1000.5,
        122061000.2,
        None,
    )
    assert (coin["volume"], coin["base_volume"], coin["turnover"]) == (500000, 409.8, None)
    assert (new["last_price"], new["open_interest"]) == (None, None)


def test_insurance_pools_keep_apart_and_name_what_they_cover(home: Home) -> None:
    pools = [
        {"symbols": ["ETHUSDT", "BTCUSDT"], "assets": [
            {"asset": "USDT", "marginBalance": "793930579.31", "updateTime": T - 86_400_000},
            {"asset": "BTC", "marginBalance": "61.73", "updateTime": T},
        ]},
        {"symbols": ["ADAUSDT"], "assets": [{"asset": "USDT", "marginBalance": "-1.5", "updateTime": T}]},
    ]  # fmt: skip
    land(home, "insurance_funds", "insurance_funds", {"um.json": pools}, {"product": "um"} | NOW, DAYS)
    found = {(row["venue_symbol"], row["asset"]): row for row in read(home, "insurance_funds", DAY)}
    assert {key: row["balance"] for key, row in found.items()} == {
        ("shared", "USDT"): 793930579.31, ("shared", "BTC"): 61.73, ("ADAUSDT", "USDT"): -1.5,
    }  # fmt: skip
    assert found["shared", "USDT"]["covered_symbols"] == "BTCUSDT,ETHUSDT"
    assert {row["event_at"] for row in found.values()} == {moment("2025-10-10T21:00:00")}


def test_adl_risk(home: Home) -> None:
    page = [
        {"symbol": "BTCUSDT", "adlRisk": "low", "updateTime": T},
        {"symbol": "ETHUSDT", "adlRisk": "high", "updateTime": T},
    ]
    land(home, "adl_risk", "adl_risk", {"um.json": page}, {"product": "um"} | NOW, DAYS)
    assert [(row["venue_symbol"], row["risk_level"]) for row in read(home, "adl_risk", DAY)] == [
        ("BTCUSDT", "low"),
        ("ETHUSDT", "high"),
    ]


@pytest.mark.parametrize("floor", ["qtyFloor", "qtylFloor"])
def test_leverage_tiers_of_both_markets(home: Home, floor: str) -> None:
    um = [
        {"symbol": "BTCUSDT", "notionalCoef": 1.5, "brackets": [
            {"bracket": 1, "initialLeverage": 125, "notionalCap": 50000, "notionalFloor": 0, "maintMarginRatio": 0.004,
             "cum": 0.0},
            {"bracket": 2, "initialLeverage": 100, "notionalCap": 600000, "notionalFloor": 50000, "maintMarginRatio": 0.005,
             "cum": 50.0},
        ]},
    ]  # fmt: skip
    tier = {"bracket": 1, "initialLeverage": 125, "qtyCap": 5, floor: 0, "maintMarginRatio": 0.004, "cum": 0.0}
    land(home, "leverage_tiers", "leverage_tiers", {"um.json": um}, {"product": "um"} | NOW, DAYS)
    cm = [{"symbol": "BTCUSD_PERP", "brackets": [tier]}]
    land(home, "leverage_tiers", "leverage_tiers", {"cm.json": cm}, {"product": "cm"} | NOW, DAYS)
    found = {(row["venue_symbol"], row["tier_number"]): row for row in read(home, "leverage_tiers", DAY)}
    second = found["BTCUSDT", 2]
    assert (second["tier_floor"], second["tier_cap"], second["maintenance_amount"]) == (50000, 600000, 50)
    assert (second["maintenance_rate"], second["max_leverage"]) == (0.005, 100)
    coin = found["BTCUSD_PERP", 1]
    assert (coin["tier_floor"], coin["tier_cap"]) == (0, 5)


# --- what the venue may send instead ---


@pytest.mark.parametrize("entity", [name for name, feed in FEEDS.items() if name in feed.readers])
def test_a_page_that_is_no_answer_is_set_aside_and_ends_nothing(home: Home, entity: str) -> None:
    files = {"html.json": b"<html>451</html>", "error.json": {"code": -1000, "msg": "unknown"}}
    land(home, entity, entity, files, UM | MINUTE | NOW, DAYS)
    assert read(home, entity, DAY) == []
    assert len(set_aside(home)) == 2


@pytest.mark.parametrize("entity", [name for name, feed in FEEDS.items() if name in feed.readers])
def test_rows_of_another_shape_are_set_aside_one_by_one(home: Home, entity: str) -> None:
    row = {"unexpected": 1}
    page = {"instruments": {"symbols": [row, row]}, "depth": row}.get(entity, [row, row])
    land(home, entity, entity, {"page.json": page}, UM | MINUTE | NOW, DAYS)
    intake = build(home, entity, DAY)
    assert rows(home, entity) == []
    assert intake.quarantined == len(set_aside(home)) == (1 if entity == "depth" else 2)


def test_every_feed_labels_each_of_its_readers() -> None:
    for feed in FEEDS.values():
        assert set(feed.labels) == set(feed.readers)
        assert set(feed.snapshot_origins) | set(feed.reaches) <= set(feed.origins)
