"""The local venue server: its market is one market, and it pages, refuses and misbehaves as the venues' documents say."""

import csv
import gzip
import hashlib
import hmac
import io
import json
import socket
import time
import zipfile
from collections.abc import Iterator
from decimal import ROUND_DOWN, Decimal
from itertools import pairwise
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import httpx
import lz4.frame
import pytest

from venue_server import Server, World, binance, coinglass, faults, hyperliquid_s3
from venue_server.text import DAY, HOUR, MINUTE, at
from venue_server.world import Trade

pytestmark = pytest.mark.xdist_group("venue_server")

NOW = at("2026-11-15T12:34:56")
"""The server's clock in these tests; the hour that is running opened at 12:00."""
THIS_HOUR = at("2026-11-15T12:00")
PAYER = {"x-amz-request-payer": "requester"}


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with Server(World(3, NOW)) as running:
        yield running


@pytest.fixture(autouse=True)
def _clean(server: Server) -> Iterator[None]:
    yield
    server.faults.clear()
    server.requests.clear()
    server.app.clear_limits()
    server.set_now(NOW)


@pytest.fixture(scope="module")
def client(server: Server) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=server.url, timeout=20) as made:
        yield made


def ask(client: httpx.Client, path: str, **query: object) -> Any:
    """The JSON that a path answers with HTTP 200."""
    reply = client.get(path, params={name: str(value) for name, value in query.items()} or None)
    assert reply.status_code == 200, reply.text
    return reply.json()


def bar_of(trades: list[Trade]) -> tuple[int, int, int, int, int]:
    """Open, high, low, close and lots of trades in order of time."""
    ticks = [trade.ticks for trade in trades]
    return ticks[0], max(ticks), min(ticks), ticks[-1], sum(trade.lots for trade in trades)


# --- the market ---


def test_an_hour_is_the_sum_of_its_trades_on_every_venue(server: Server, client: httpx.Client) -> None:
    world, start = server.world, at("2026-11-14T03:00")
    for venue, product, symbol in (
        ("binance", "um", "1000PEPEUSDT"),
        ("bybit", "linear", "BTCUSDT"),
        ("okx", "swap", "PEPE-USDT-SWAP"),
        ("bitget", "usdt_futures", "ETHUSDT"),
        ("hyperliquid", "perp", "kPEPE"),
    ):
        contract = world.contract(venue, product, symbol)
        trades = world.trades(contract, start, start + HOUR)
        found = world.candle(contract, start, HOUR)
        assert bar_of(trades) == (found.open, found.high, found.low, found.close, found.lots)
        assert sum(trade.ticks * trade.lots for trade in trades) == found.value
        assert sum(trade.lots for trade in trades if trade.bought) == found.taker_lots


def test_the_units_of_a_kline_are_those_of_its_venue(server: Server, client: httpx.Client) -> None:
    start = at("2026-11-14T03:00")
    world = server.world
    linear = world.contract("okx", "swap", "PEPE-USDT-SWAP")
    trades = world.trades(linear, start, start + HOUR)
    row = ask(client, "/okx/api/v5/market/history-candles", instId=linear.symbol, bar="1H", after=start + 1)["data"][0]
    contracts = sum((linear.quantity(trade.lots) for trade in trades), Decimal(0))
    # 1,000,000 PEPE a contract by ctVal, times ctMult 10.
    assert (Decimal(row[5]), Decimal(row[6])) == (contracts, contracts * 10_000_000)
    quote = sum((linear.quantity(trade.lots) * 10_000_000 * linear.price(trade.ticks) for trade in trades), Decimal(0))
    assert Decimal(row[7]) == quote

    inverse = world.contract("binance", "cm", "BTCUSD_PERP")
    trades = world.trades(inverse, start, start + HOUR)
    row = ask(client, "/binance_cm/dapi/v1/klines", symbol="BTCUSD_PERP", interval="1h", startTime=start, limit=1500)
    coin = sum((trade.lots * 100 / inverse.price(trade.ticks) for trade in trades), Decimal(0))
    assert Decimal(row[0][5]) == sum(trade.lots for trade in trades)
    # Each trade is rounded down to 1e-8 coin.
    assert 0 <= coin - Decimal(row[0][7]) < Decimal("1e-8") * len(trades)


def test_a_contract_has_bars_only_while_it_is_listed(server: Server, client: httpx.Client) -> None:
    gone = at("2026-03-02")
    rows = ask(client, "/binance_um/fapi/v1/klines", symbol="OLDXUSDT", interval="1d", startTime=gone - 2 * DAY)
    assert [row[0] for row in rows] == [gone - 2 * DAY, gone - DAY]
    rows = ask(client, "/binance_um/fapi/v1/klines", symbol="1000PEPEUSDT", interval="1d", startTime=0, limit=2)
    assert [row[0] for row in rows] == [at("2023-05-05"), at("2023-05-06")]


def test_the_clock_can_be_set(server: Server, client: httpx.Client) -> None:
    server.set_now("2024-01-01T05:30:00")
    rows = ask(client, "/binance_um/fapi/v1/klines", symbol="BTCUSDT", interval="1h", limit=1)
    assert rows[0][0] == at("2024-01-01T05:00")
    assert server.world.find("binance", "um", "1000PEPEUSDT") is not None
    server.set_now("2023-01-01")
    assert client.get("/binance_um/fapi/v1/klines", params={"symbol": "1000PEPEUSDT", "interval": "1h"}).json() == {
        "code": -1121,
        "msg": "Invalid symbol.",
    }


# --- Binance ---


def test_usdm_klines_ascend_from_start(client: httpx.Client) -> None:
    path, start = "/binance_um/fapi/v1/klines", at("2026-10-01")
    rows = ask(client, path, symbol="BTCUSDT", interval="1h", startTime=start, endTime=start + 100 * HOUR, limit=24)
    assert [row[0] for row in rows] == [start + n * HOUR for n in range(24)]
    # Both ends are inclusive.
    rows = ask(client, path, symbol="BTCUSDT", interval="1h", startTime=start, endTime=start + 3 * HOUR)
    assert [row[0] for row in rows] == [start, start + HOUR, start + 2 * HOUR, start + 3 * HOUR]
    # Without a start, the newest ones; the bar that is running is the last.
    rows = ask(client, path, symbol="BTCUSDT", interval="1h", limit=2)
    assert [row[0] for row in rows] == [THIS_HOUR - HOUR, THIS_HOUR]
    assert rows[-1][8] == 4 * 35


def test_coinm_klines_are_the_newest_before_end_and_span_200_days(client: httpx.Client) -> None:
    path, start = "/binance_cm/dapi/v1/klines", at("2026-01-01")
    rows = ask(client, path, symbol="BTCUSD_PERP", interval="1h", startTime=start, endTime=start + 100 * HOUR, limit=3)
    assert [row[0] for row in rows] == [start + n * HOUR for n in (98, 99, 100)]
    reply = client.get(
        path,
        params={"symbol": "BTCUSD_PERP", "interval": "1d", "startTime": start, "endTime": start + 201 * DAY},
    )
    assert (reply.status_code, reply.json()["code"]) == (400, -1127)
    # A start alone ends 200 days later.
    rows = ask(client, path, symbol="BTCUSD_PERP", interval="1d", startTime=start, limit=1500)
    assert (rows[0][0], rows[-1][0]) == (start, start + 200 * DAY)


def test_binance_refuses_what_it_does_not_know(client: httpx.Client) -> None:
    path = "/binance_um/fapi/v1/klines"
    for query, code in (
        ({"symbol": "NOSUCH", "interval": "1h"}, -1121),
        ({"symbol": "BTCUSDT", "interval": "7h"}, -1120),
        ({"interval": "1h"}, -1102),
        ({"symbol": "BTCUSDT", "interval": "1h", "limit": "1501"}, -1130),
        ({"symbol": "BTCUSDT", "interval": "1h", "startTime": "2", "endTime": "1"}, -1023),
    ):
        reply = client.get(path, params=query)
        assert (reply.status_code, reply.json()["code"]) == (400, code)


def test_binance_weighs_klines_by_their_limit(client: httpx.Client) -> None:
    path = "/binance_um/fapi/v1/klines"
    for limit, weight in ((99, "1"), (100, "2"), (499, "2"), (500, "5"), (1000, "5"), (1001, "10")):
        reply = client.get(path, params={"symbol": "BTCUSDT", "interval": "1m", "limit": str(limit)})
        assert reply.headers["x-mbx-used-weight-1m"] == weight


def test_binance_funding_ascends_and_tells_special_ones(server: Server, client: httpx.Client) -> None:
    path, start = "/binance_um/fapi/v1/fundingRate", at("2026-08-01")
    rows = ask(client, path, symbol="BTCUSDT", startTime=start, endTime=start + 20 * DAY, limit=1000)
    assert [row["fundingTime"] for row in rows] == sorted(row["fundingTime"] for row in rows)
    special = [row["fundingTime"] for row in rows if row["rateType"] == "Special"]
    assert len(special) == 4
    assert all(stamp % (8 * HOUR) > MINUTE for stamp in special)
    regular = [row["fundingTime"] for row in rows if row["rateType"] == "Regular"]
    # Three a day, stamped within the first ms after the hour; the end is inclusive, so that its own funding may be in or out.
    assert {stamp // HOUR * HOUR for stamp in regular[:60]} == {start + n * 8 * HOUR for n in range(60)}
    assert {stamp % HOUR for stamp in regular} <= {0, 1, 2, 3}
    server.set_now("2026-07-01")
    assert "rateType" not in ask(client, path, symbol="BTCUSDT", limit=1)[0]
    server.set_now("2023-10-01")
    assert ask(client, path, symbol="BTCUSDT", limit=1)[0]["markPrice"] == ""


def test_a_funding_interval_changes(server: Server, client: httpx.Client) -> None:
    change = at("2026-02-01")
    rows = ask(
        client,
        "/binance_um/fapi/v1/fundingRate",
        symbol="1000PEPEUSDT",
        startTime=change - DAY,
        endTime=change + DAY - MINUTE,
    )
    hours = [row["fundingTime"] // HOUR for row in rows]
    assert [b - a for a, b in pairwise(hours)] == [8, 8, 8, 4, 4, 4, 4, 4]
    assert ask(client, "/binance_um/fapi/v1/fundingInfo")[0]["fundingIntervalHours"] == 4


def test_open_interest_history_reaches_back_a_month(server: Server, client: httpx.Client) -> None:
    path = "/binance_um/futures/data/openInterestHist"
    query = {"symbol": "BTCUSDT", "period": "5m"}
    reply = client.get(path, params={**query, "startTime": str(NOW - 31 * DAY)})
    assert (reply.status_code, reply.json()) == (400, {"code": -1130, "msg": "parameter 'startTime' is invalid."})
    start = NOW - 29 * DAY
    rows = ask(client, path, **query, startTime=start, endTime=start + DAY, limit=10)
    assert rows[-1]["timestamp"] == (start + DAY) // (5 * MINUTE) * 5 * MINUTE
    assert len(rows) == 10
    server.app.hosts.binance_um.data_from_start = True
    try:
        rows = ask(client, path, **query, startTime=start, endTime=start + DAY, limit=10)
    finally:
        server.app.hosts.binance_um.data_from_start = False
    assert rows[0]["timestamp"] == -(-start // (5 * MINUTE)) * 5 * MINUTE
    contract = server.world.contract("binance", "um", "BTCUSDT")
    lots = server.world.open_interest(contract, rows[0]["timestamp"])
    assert Decimal(rows[0]["sumOpenInterest"]) == contract.quantity(lots)


def test_coinm_open_interest_counts_contracts_and_coin(server: Server, client: httpx.Client) -> None:
    query = {"pair": "BTCUSD", "contractType": "PERPETUAL", "period": "1h", "limit": 1}
    row = ask(client, "/binance_cm/futures/data/openInterestHist", **query)[0]
    contract = server.world.contract("binance", "cm", "BTCUSD_PERP")
    lots = server.world.open_interest(contract, row["timestamp"])
    mark = contract.price(server.world.mark_price(contract, row["timestamp"]))
    assert Decimal(row["sumOpenInterest"]) == lots
    assert abs(Decimal(row["sumOpenInterestValue"]) - lots * 100 / mark) < Decimal("1e-8")


def test_leverage_brackets_are_signed_and_continuous(client: httpx.Client) -> None:
    path = "/binance_um/fapi/v1/leverageBracket"
    assert client.get(path, params={"timestamp": "1"}).status_code == 401
    headers = {"X-MBX-APIKEY": binance.KEY}
    reply = client.get(f"{path}?timestamp=1&signature=00", headers=headers)
    assert reply.json()["code"] == -1022
    signature = hmac.new(binance.SECRET.encode(), b"timestamp=1", hashlib.sha256).hexdigest()
    rows = client.get(f"{path}?timestamp=1&signature={signature}", headers=headers).json()
    for lower, upper in pairwise(rows[0]["brackets"]):
        at_edge = lower["notionalCap"]
        assert upper["notionalFloor"] == at_edge
        margins = [at_edge * tier["maintMarginRatio"] - tier["cum"] for tier in (lower, upper)]
        assert margins[0] == pytest.approx(margins[1])


# --- Bybit ---


def test_bybit_bars_are_newest_first_with_inclusive_ends(client: httpx.Client) -> None:
    path, start = "/bybit/v5/market/kline", at("2026-10-01")
    query = {"category": "linear", "symbol": "BTCUSDT", "interval": "60"}
    rows = ask(client, path, **query, start=start, end=start + 3 * HOUR)["result"]["list"]
    assert [int(row[0]) for row in rows] == [start + n * HOUR for n in (3, 2, 1, 0)]
    # Too wide a span gives its newest end.
    rows = ask(client, path, **query, start=start, end=start + 100 * HOUR, limit=2)["result"]["list"]
    assert [int(row[0]) for row in rows] == [start + 100 * HOUR, start + 99 * HOUR]
    # A start alone goes forward.
    rows = ask(client, path, **query, start=start, limit=2)["result"]["list"]
    assert [int(row[0]) for row in rows] == [start + HOUR, start]
    # A limit above the cap gives the cap.
    assert len(ask(client, path, **query, limit=5000)["result"]["list"]) == 1000
    assert len(ask(client, path, **query)["result"]["list"]) == 200


def test_bybit_pages_meet_without_gap_or_overlap_when_walked_backwards(client: httpx.Client) -> None:
    path, start = "/bybit/v5/market/mark-price-kline", at("2026-09-01")
    end, found = start + 2500 * HOUR - 1, []
    for _ in range(3):
        query = {"category": "linear", "symbol": "ETHUSDT", "interval": "60", "limit": 1000}
        rows = ask(client, path, **query, start=start, end=end)["result"]["list"]
        found += [int(row[0]) for row in rows]
        end = found[-1] - 1
    reachable = (THIS_HOUR - start) // HOUR + 1
    assert found == [start + n * HOUR for n in range(min(2500, reachable))][::-1]


def test_bybit_funding_needs_an_end(client: httpx.Client) -> None:
    path = "/bybit/v5/market/funding/history"
    query = {"category": "linear", "symbol": "BTCUSDT"}
    assert ask(client, path, **query, startTime=NOW - DAY)["retCode"] == 10001
    end = at("2026-10-01")
    rows = ask(client, path, **query, endTime=end, limit=500)["result"]["list"]
    assert len(rows) == 200
    assert [int(row["fundingRateTimestamp"]) for row in rows[:2]] == [end, end - 8 * HOUR]
    both = ask(client, path, **query, startTime=end - DAY, endTime=end)["result"]["list"]
    assert [int(row["fundingRateTimestamp"]) for row in both] == [end - n * 8 * HOUR for n in range(4)]


def test_bybit_open_interest_pages_by_cursor_and_counts_both_sides(server: Server, client: httpx.Client) -> None:
    path, start = "/bybit/v5/market/open-interest", at("2026-10-01")
    query: dict[str, str | int] = {"category": "inverse", "symbol": "BTCUSD", "intervalTime": "5min", "limit": 200}
    found: list[dict[str, str]] = []
    cursor = ""
    for _ in range(3):
        # The cursor is sent as it came, already encoded.
        page = client.get(
            f"{path}?{httpx.QueryParams(query)}&startTime={start}&endTime={start + DAY}&cursor={cursor}"
        ).json()["result"]
        found += page["list"]
        cursor = page["nextPageCursor"]
        if not cursor:
            break
    assert [int(row["timestamp"]) for row in found] == [start + DAY - n * 5 * MINUTE for n in range(289)]
    contract = server.world.contract("bybit", "inverse", "BTCUSD")
    lots = server.world.open_interest(contract, start + DAY)
    assert (Decimal(found[0]["openInterest"]), Decimal(found[0]["singleOpenInterest"])) == (2 * lots, lots)
    server.set_now("2026-06-10")
    row = ask(client, path, **{**query, "limit": 1})["result"]["list"][0]
    assert set(row) == {"openInterest", "timestamp"}


def test_bybit_lists_500_at_most_unless_asked_and_15_risk_symbols() -> None:
    with Server(World(40, NOW)) as small, httpx.Client(base_url=small.url) as client:
        seen: list[str] = []
        cursor = ""
        while True:
            page = client.get(f"/bybit/v5/market/instruments-info?category=linear&limit=15&cursor={cursor}").json()[
                "result"
            ]
            assert len(page["list"]) <= 15
            seen += [row["symbol"] for row in page["list"]]
            cursor = page["nextPageCursor"]
            if not cursor:
                break
        assert len(seen) == len(set(seen)) == 40
        risk = client.get("/bybit/v5/market/risk-limit?category=linear").json()["result"]
        assert len({row["symbol"] for row in risk["list"]}) == 15
        assert risk["nextPageCursor"]
        closed = client.get("/bybit/v5/market/instruments-info?category=linear&status=Closed").json()["result"]["list"]
        assert [row["symbol"] for row in closed] == ["OLDXUSDT"]


def test_bybit_writes_inverse_rates_as_percent(client: httpx.Client) -> None:
    def tops(category: str, symbol: str) -> list[Decimal]:
        rows = ask(client, "/bybit/v5/market/risk-limit", category=category, symbol=symbol)["result"]["list"]
        return [Decimal(row["initialMargin"]) * Decimal(row["maxLeverage"]) for row in rows]

    assert set(tops("inverse", "BTCUSD")) == {Decimal(100)}
    assert set(tops("linear", "BTCUSDT")) == {Decimal(1)}


# --- OKX ---


def test_okx_after_is_older_and_before_is_newer_both_strictly(client: httpx.Client) -> None:
    path, edge = "/okx/api/v5/market/history-candles", at("2026-10-01")
    query = {"instId": "BTC-USDT-SWAP", "bar": "1H"}
    rows = ask(client, path, **query, after=edge, limit=2)["data"]
    assert [int(row[0]) for row in rows] == [edge - HOUR, edge - 2 * HOUR]
    rows = ask(client, path, **query, after=edge, before=edge - 3 * HOUR)["data"]
    assert [int(row[0]) for row in rows] == [edge - HOUR, edge - 2 * HOUR]
    # `before` alone gives the newest ones, not those next to the edge.
    rows = ask(client, path, **query, before=edge, limit=2)["data"]
    assert [int(row[0]) for row in rows] == [THIS_HOUR, THIS_HOUR - HOUR]
    assert len(ask(client, path, **query, limit=1000)["data"]) == 300
    assert len(ask(client, path, **query)["data"]) == 100
    marks = ask(client, "/okx/api/v5/market/history-mark-price-candles", **query, limit=300)["data"]
    assert len(marks) == 100


def test_okx_tells_the_open_bar(client: httpx.Client) -> None:
    rows = ask(client, "/okx/api/v5/market/history-candles", instId="BTC-USDT-SWAP", bar="1H", limit=3)["data"]
    assert [row[8] for row in rows] == ["0", "1", "1"]
    index = ask(client, "/okx/api/v5/market/history-index-candles", instId="BTC-USDT", bar="1H", limit=2)["data"]
    assert [row[5] for row in index] == ["0", "1"]


def test_okx_days_begin_at_16_utc_unless_utc_is_asked_for(client: httpx.Client) -> None:
    path = "/okx/api/v5/market/history-candles"
    local = ask(client, path, instId="BTC-USDT-SWAP", bar="1D", limit=1)["data"]
    utc = ask(client, path, instId="BTC-USDT-SWAP", bar="1Dutc", limit=1)["data"]
    assert (int(local[0][0]), int(utc[0][0])) == (at("2026-11-14T16:00"), at("2026-11-15"))


def test_okx_recent_candles_reach_back_1440_bars(client: httpx.Client) -> None:
    query = {"instId": "BTC-USDT-SWAP", "bar": "1H", "after": NOW - 1441 * HOUR}
    assert ask(client, "/okx/api/v5/market/candles", **query)["data"] == []
    assert len(ask(client, "/okx/api/v5/market/history-candles", **query)["data"]) == 100


def test_okx_funding_reaches_back_three_months_and_the_prediction_is_not_what_was_paid(client: httpx.Client) -> None:
    path, found, after = "/okx/api/v5/public/funding-rate-history", [], ""
    while True:
        query = {"instId": "BTC-USDT-SWAP", "limit": 100, **({"after": after} if after else {})}
        rows = ask(client, path, **query)["data"]
        if not rows:
            break
        found += rows
        after = rows[-1]["fundingTime"]
    times = [int(row["fundingTime"]) for row in found]
    assert times == sorted(set(times), reverse=True)
    assert len(times) == 92 * 3
    assert times[-1] >= NOW - 92 * DAY
    assert all(row["fundingRate"] != row["realizedRate"] for row in found)


def test_okx_statistics_page_by_begin_and_end(server: Server, client: httpx.Client) -> None:
    path, edge = "/okx/api/v5/rubik/stat/contracts/open-interest-history", at("2026-11-01")
    query = {"instId": "PEPE-USDT-SWAP", "period": "1H"}
    rows = ask(client, path, **query, end=edge, begin=edge - 4 * HOUR)["data"]
    assert [int(row[0]) for row in rows] == [edge - n * HOUR for n in (1, 2, 3)]
    assert ask(client, path, instId="PEPE-USDT-SWAP", period="5m", end=NOW - 6 * DAY)["data"] == []
    contract = server.world.contract("okx", "swap", "PEPE-USDT-SWAP")
    lots = server.world.open_interest(contract, edge - HOUR)
    assert Decimal(rows[0][1]) == contract.quantity(lots)
    assert Decimal(rows[0][2]) == contract.quantity(lots) * 10_000_000


def test_okx_liquidations_lag_and_reach_back_hours(client: httpx.Client) -> None:
    path = "/okx/api/v5/public/liquidation-orders"
    data = ask(client, path, instType="SWAP", state="filled", instFamily="BTC-USDT")["data"]
    times = [int(detail["ts"]) for detail in data[0]["details"]]
    assert times == sorted(times, reverse=True)
    assert NOW - 18 * HOUR <= times[-1] < times[0] < NOW - 80 * MINUTE
    assert {(detail["posSide"], detail["side"]) for detail in data[0]["details"]} == {
        ("long", "sell"),
        ("short", "buy"),
    }


def test_okx_refuses_inside_200(client: httpx.Client) -> None:
    assert ask(client, "/okx/api/v5/market/history-candles", instId="NO-SUCH-SWAP")["code"] == "51001"
    reply = client.get("/okx/api/v5/market/history-candles")
    assert (reply.status_code, reply.json()["code"]) == (400, "50014")


# --- Bitget ---


def test_bitget_history_is_closed_ascending_and_200_long(client: httpx.Client) -> None:
    path, edge = "/bitget/api/v2/mix/market/history-candles", at("2026-10-01")
    query = {"productType": "USDT-FUTURES", "symbol": "BTCUSDT", "granularity": "1H"}
    rows = ask(client, path, **query, limit=2)["data"]
    assert [int(row[0]) for row in rows] == [THIS_HOUR - 2 * HOUR, THIS_HOUR - HOUR]
    rows = ask(client, path, **query, startTime=edge - 5 * HOUR, endTime=edge, limit=3)["data"]
    assert [int(row[0]) for row in rows] == [edge - n * HOUR for n in (3, 2, 1)]
    assert len(ask(client, path, **query, limit=1000)["data"]) == 200
    reply = client.get(path, params={**query, "startTime": str(edge - 91 * DAY), "endTime": str(edge)})
    assert (reply.status_code, reply.json()["code"]) == (400, "40017")


def test_bitget_funding_pages_by_number(client: httpx.Client) -> None:
    path = "/bitget/api/v2/mix/market/history-fund-rate"
    query = {"productType": "usdt-futures", "symbol": "BTCUSDT", "pageSize": 100}
    pages = [
        [int(row["fundingTime"]) for row in ask(client, path, **query, pageNo=number)["data"]] for number in (1, 2)
    ]
    newest = at("2026-11-15T08:00")
    assert pages[0] + pages[1] == [newest - n * 8 * HOUR for n in range(200)]


def test_bitget_liquidations_reach_back_three_days(client: httpx.Client) -> None:
    path, times, cursor = "/bitget/api/v3/market/liquidations", [], ""
    while True:
        query = {
            "category": "USDT-FUTURES",
            "symbol": "BTCUSDT",
            "limit": 100,
            **({"cursor": cursor} if cursor else {}),
        }
        data = ask(client, path, **query)["data"]
        times += [int(row["ts"]) for row in data["list"]]
        cursor = data["cursor"]
        if not cursor:
            break
    assert times == sorted(times, reverse=True)
    assert len(times) == len(set(times)) > 200
    assert NOW - 3 * DAY <= times[-1] < NOW - 3 * DAY + HOUR
    assert times[0] < NOW - 10 * MINUTE


def test_bitget_gives_the_liquidations_of_all_contracts_of_a_category(client: httpx.Client) -> None:
    data = ask(client, "/bitget/api/v3/market/liquidations", category="USDT-FUTURES", limit=100)["data"]
    assert {row["symbol"] for row in data["list"]} == {"BTCUSDT", "ETHUSDT", "PEPEUSDT"}
    pools = ask(client, "/bitget/api/v3/market/risk-reserve-all", category="COIN-FUTURES")["data"]["list"]
    assert [(pool["coin"], pool["symbols"]) for pool in pools] == [("BTC", ["BTCUSD"]), ("ETH", ["ETHUSD"])]


# --- what is true now ---


def day_of(server: Server, venue: str, product: str, symbol: str) -> tuple[Decimal, Decimal, Decimal]:
    """Contracts, quote (linear) or coin (inverse), and last price of the 24 hours to the minute, from the trades."""
    contract = server.world.contract(venue, product, symbol)
    end = NOW // MINUTE * MINUTE
    trades = server.world.trades(contract, end - DAY, end)
    lots = sum((contract.quantity(trade.lots) for trade in trades), Decimal(0))
    value = Decimal(0)
    for trade in trades:
        price = contract.price(trade.ticks)
        size = contract.quantity(trade.lots) * contract.contract_value
        value += (size / price).quantize(Decimal("1e-8"), ROUND_DOWN) if contract.inverse else size * price
    return lots, value, contract.price(trades[-1].ticks)


def test_a_days_volume_is_in_the_units_of_each_venue(server: Server, client: httpx.Client) -> None:
    def row(rows: list[dict[str, Any]], name: str, symbol: str) -> dict[str, Any]:
        return next(one for one in rows if one[name] == symbol)

    contracts, coin, last = day_of(server, "binance", "cm", "BTCUSD_PERP")
    found = row(ask(client, "/binance_cm/dapi/v1/ticker/24hr"), "symbol", "BTCUSD_PERP")
    assert [Decimal(found[name]) for name in ("volume", "baseVolume", "lastPrice")] == [contracts, coin, last]

    usd, coin, last = day_of(server, "bybit", "inverse", "ETHUSD")
    found = ask(client, "/bybit/v5/market/tickers", category="inverse", symbol="ETHUSD")["result"]["list"][0]
    assert [Decimal(found[name]) for name in ("volume24h", "turnover24h", "lastPrice")] == [usd, coin, last]
    assert Decimal(found["openInterest"]) == 2 * Decimal(found["singleOpenInterest"])

    contracts, _, last = day_of(server, "okx", "swap", "PEPE-USDT-SWAP")
    found = row(ask(client, "/okx/api/v5/market/tickers", instType="SWAP")["data"], "instId", "PEPE-USDT-SWAP")
    assert [Decimal(found[name]) for name in ("vol24h", "volCcy24h", "last")] == [
        contracts,
        contracts * 10_000_000,
        last,
    ]

    base, quote, last = day_of(server, "bitget", "usdt_futures", "BTCUSDT")
    rows = ask(client, "/bitget/api/v2/mix/market/tickers", productType="USDT-FUTURES")["data"]
    found = row(rows, "symbol", "BTCUSDT")
    assert [Decimal(found[name]) for name in ("baseVolume", "quoteVolume", "lastPr")] == [base, quote, last]

    _, usd, _ = day_of(server, "hyperliquid", "perp", "ETH")
    meta, contexts = info(client, type="metaAndAssetCtxs")
    place = [one["name"] for one in meta["universe"]].index("ETH")
    assert Decimal(contexts[place]["dayNtlVlm"]) == usd


def test_books_do_not_cross_and_have_the_levels_asked_for(client: httpx.Client) -> None:
    def sides(book: dict[str, Any], names: tuple[str, str]) -> list[list[Decimal]]:
        return [[Decimal(str(level[0])) for level in book[name]] for name in names]

    books = [
        sides(ask(client, "/binance_um/fapi/v1/depth", symbol="BTCUSDT", limit=20), ("bids", "asks")),
        sides(ask(client, "/bybit/v5/market/orderbook", category="linear", symbol="BTCUSDT", limit=20)["result"], ("b", "a")),
        sides(ask(client, "/okx/api/v5/market/books", instId="BTC-USDT-SWAP", sz=20)["data"][0], ("bids", "asks")),
        sides(
            ask(client, "/bitget/api/v2/mix/market/merge-depth", productType="usdt-futures", symbol="BTCUSDT", limit=50)["data"],
            ("bids", "asks"),
        ),
        [[Decimal(level["px"]) for level in side] for side in info(client, type="l2Book", coin="BTC")["levels"]],
    ]  # fmt: skip
    for bids, asks in books:
        assert len(bids) == len(asks) in {20, 50}
        assert bids == sorted(bids, reverse=True)
        assert asks == sorted(asks)
        assert bids[0] < asks[0]


def test_tiers_meet_and_are_in_contracts_on_okx(client: httpx.Client) -> None:
    query = {"instType": "SWAP", "tdMode": "cross", "instFamily": "BTC-USDT"}
    rows = ask(client, "/okx/api/v5/public/position-tiers", **query)["data"]
    # 50,000 USD at the base price of 67,000 and 0.01 BTC a contract.
    assert (rows[0]["minSz"], rows[0]["maxSz"]) == ("0", "74")
    assert [int(row["minSz"]) for row in rows[1:]] == [int(row["maxSz"]) + 1 for row in rows[:-1]]
    assert (
        ask(client, "/okx/api/v5/public/position-tiers", **{**query, "instFamily": ",".join("ABCDEF")})["code"]
        == "51000"
    )
    rows = ask(client, "/bitget/api/v2/mix/market/query-position-lever", productType="usdt-futures", symbol="BTCUSDT")[
        "data"
    ]
    assert [row["startUnit"] for row in rows[1:]] == [row["endUnit"] for row in rows[:-1]]


def test_funds_and_warnings(server: Server, client: httpx.Client) -> None:
    binance_pools = ask(client, "/binance_um/fapi/v1/insuranceBalance")
    assert binance_pools[0]["symbols"] == ["BTCUSDT", "ETHUSDT", "1000PEPEUSDT"]
    risks = ask(client, "/binance_um/fapi/v1/symbolAdlRisk")
    assert {row["adlRisk"] for row in risks} <= {"low", "medium", "high"}
    server.app.hosts.binance_um.adl_in_capitals = True
    try:
        capitals = ask(client, "/binance_um/fapi/v1/symbolAdlRisk")
    finally:
        server.app.hosts.binance_um.adl_in_capitals = False
    assert [row["adlRisk"] for row in capitals] == [row["adlRisk"].upper() for row in risks]
    funds = ask(client, "/bybit/v5/market/insurance", coin="USDT")["result"]["list"]
    assert [fund["symbols"] for fund in funds] == ["ETHUSDT,1000PEPEUSDT", "BTCUSDT"]
    alert = ask(client, "/bybit/v5/market/adlAlert", symbol="BTCUSD")["result"]["list"]
    assert [(row["symbol"], row["coin"], row["maxBalance"]) for row in alert] == [("BTCUSD", "BTC", "")]
    details = ask(client, "/okx/api/v5/public/insurance-fund", instType="SWAP", instFamily="BTC-USDT", limit=3)["data"][
        0
    ]["details"]
    newest = at("2026-11-15T08:00")
    assert [int(row["ts"]) for row in details] == [newest, newest - DAY, newest - 2 * DAY]


def test_long_short_ratios_divide_the_whole(client: httpx.Client) -> None:
    query = {"symbol": "BTCUSDT", "period": "1h", "limit": 1}
    row = ask(client, "/binance_um/futures/data/globalLongShortAccountRatio", **query)[0]
    assert Decimal(row["longAccount"]) + Decimal(row["shortAccount"]) == 1
    assert abs(Decimal(row["longAccount"]) / Decimal(row["shortAccount"]) - Decimal(row["longShortRatio"])) < Decimal(
        "1e-4"
    )
    taker = ask(client, "/binance_um/futures/data/takerlongshortRatio", **query)[0]
    assert abs(Decimal(taker["buyVol"]) / Decimal(taker["sellVol"]) - Decimal(taker["buySellRatio"])) < Decimal("1e-4")
    bybit = ask(client, "/bybit/v5/market/account-ratio", category="linear", symbol="BTCUSDT", period="1h")["result"][
        "list"
    ]
    assert (len(bybit), int(bybit[0]["timestamp"])) == (50, THIS_HOUR)
    assert Decimal(bybit[0]["buyRatio"]) + Decimal(bybit[0]["sellRatio"]) == 1
    okx = ask(
        client,
        "/okx/api/v5/rubik/stat/contracts/long-short-account-ratio-contract",
        instId="BTC-USDT-SWAP",
        period="1H",
    )["data"]
    assert [len(row) for row in okx] == [2] * 100
    bitget = ask(client, "/bitget/api/v2/mix/market/account-long-short", symbol="BTCUSDT", period="1h")["data"]
    assert [int(row["ts"]) for row in bitget[-2:]] == [THIS_HOUR - HOUR, THIS_HOUR]


# --- Hyperliquid ---


def info(client: httpx.Client, **body: object) -> Any:
    reply = client.post("/hyperliquid/info", json=body)
    assert reply.status_code == 200, reply.text
    return reply.json()


def test_hyperliquid_funding_is_hourly_and_comes_500_at_a_time(client: httpx.Client) -> None:
    start = at("2026-09-01")
    rows = info(client, type="fundingHistory", coin="BTC", startTime=start)
    assert len(rows) == 500
    assert [row["time"] // HOUR * HOUR for row in rows] == [start + n * HOUR for n in range(500)]
    following = info(client, type="fundingHistory", coin="BTC", startTime=rows[-1]["time"] + 1)
    assert following[0]["time"] // HOUR * HOUR == start + 500 * HOUR


def test_hyperliquid_candles_reach_back_5000_bars(client: httpx.Client) -> None:
    request = {"coin": "BTC", "interval": "1m", "startTime": 0, "endTime": NOW}
    rows = info(client, type="candleSnapshot", req=request)
    assert len(rows) == 5000
    assert (rows[-1]["t"], rows[-1]["T"]) == (NOW // MINUTE * MINUTE, NOW // MINUTE * MINUTE + MINUTE - 1)
    old = {**request, "endTime": NOW - 5001 * MINUTE}
    assert info(client, type="candleSnapshot", req=old) == []


def test_hyperliquid_has_hip3_dexs_and_keeps_delisted_coins_in_place(client: httpx.Client) -> None:
    assert [dex and dex["name"] for dex in info(client, type="perpDexs")] == [None, "xyz"]
    meta, contexts = info(client, type="metaAndAssetCtxs")
    assert [coin["name"] for coin in meta["universe"] if coin.get("isDelisted")] == ["OLDX"]
    assert len(meta["universe"]) == len(contexts)
    other = info(client, type="metaAndAssetCtxs", dex="xyz")[0]["universe"]
    assert all(coin["name"].startswith("xyz:") for coin in other)
    assert client.post("/hyperliquid/info", json={"type": "nonsense"}).status_code == 422


# --- archives ---


def rows_of(body: bytes) -> list[list[str]]:
    """Rows of the one CSV in a zip."""
    with zipfile.ZipFile(io.BytesIO(body)) as archive:
        assert len(archive.namelist()) == 1
        return list(csv.reader(io.StringIO(archive.read(archive.namelist()[0]).decode())))


def vision(client: httpx.Client, path: str) -> list[list[str]]:
    """Rows of a file of Binance's archive, whose checksum holds."""
    name = f"/binance_archive/data/futures/{path}"
    body = client.get(name).content
    stated = client.get(name + ".CHECKSUM").text.split()
    assert stated == [hashlib.sha256(body).hexdigest(), name.rpartition("/")[2]]
    return rows_of(body)


def test_archived_klines_are_those_of_the_api_and_had_no_header_once(client: httpx.Client) -> None:
    rows = vision(client, "um/daily/klines/BTCUSDT/1h/BTCUSDT-1h-2026-11-01.zip")
    start = at("2026-11-01")
    api = ask(client, "/binance_um/fapi/v1/klines", symbol="BTCUSDT", interval="1h", startTime=start, limit=24)
    assert rows[0][:2] == ["open_time", "open"]
    assert rows[1:] == [[str(field) for field in row] for row in api]
    old = vision(client, "um/daily/klines/BTCUSDT/1h/BTCUSDT-1h-2022-04-30.zip")
    assert (len(old), old[0][0]) == (24, str(at("2022-04-30")))
    assert vision(client, "um/daily/klines/BTCUSDT/1h/BTCUSDT-1h-2022-05-01.zip")[0][0] == "open_time"


def test_a_monthly_file_can_lack_a_day_that_the_daily_one_has(client: httpx.Client) -> None:
    monthly = vision(client, "um/monthly/klines/BTCUSDT/1h/BTCUSDT-1h-2022-04.zip")
    daily = vision(client, "um/daily/klines/BTCUSDT/1h/BTCUSDT-1h-2022-04-15.zip")
    assert len(monthly) == 29 * 24
    assert not {row[0] for row in monthly} & {row[0] for row in daily}


def test_metrics_are_out_of_order_and_their_label_moved(client: httpx.Client) -> None:
    ended = vision(client, "um/daily/metrics/BTCUSDT/BTCUSDT-metrics-2026-06-24.zip")[1:]
    started = vision(client, "um/daily/metrics/BTCUSDT/BTCUSDT-metrics-2026-06-25.zip")[1:]
    coin = vision(client, "cm/daily/metrics/BTCUSD_PERP/BTCUSD_PERP-metrics-2026-06-24.zip")[1:]
    labels = [[row[0] for row in rows] for rows in (ended, started, coin)]
    assert all(label != sorted(label) for label in labels)
    assert [(min(label), max(label)) for label in labels] == [
        ("2026-06-24 00:05:00", "2026-06-25 00:00:00"),
        ("2026-06-25 00:00:00", "2026-06-25 23:55:00"),
        ("2026-06-24 00:00:00", "2026-06-24 23:55:00"),
    ]
    twice = [row[2] for rows in (ended, started) for row in rows if row[0] == "2026-06-25 00:00:00"]
    assert len(set(twice)) == 2


def test_coinm_liquidations_are_written_twice(server: Server, client: httpx.Client) -> None:
    rows = vision(client, "cm/daily/liquidationSnapshot/BTCUSD_PERP/BTCUSD_PERP-liquidationSnapshot-2024-10-01.zip")[1:]
    assert rows[::2] == rows[1::2]
    contract = server.world.contract("binance", "cm", "BTCUSD_PERP")
    events = server.world.liquidations(contract, at("2024-10-01"), at("2024-10-02"))
    assert len(rows) // 2 <= len(events)
    assert {row[1] for row in rows} == {"BUY", "SELL"}
    first = events[0]
    assert rows[0][1] == ("SELL" if first.position == "long" else "BUY")
    missing = (
        "/binance_archive/data/futures/um/daily/liquidationSnapshot/BTCUSDT/BTCUSDT-liquidationSnapshot-2024-10-01.zip"
    )
    assert client.get(missing).status_code == 404


def test_archives_hold_only_what_has_been_published(server: Server, client: httpx.Client) -> None:
    path = "/binance_archive/data/futures/um/daily/klines/BTCUSDT/1h/BTCUSDT-1h-2026-11-14.zip"
    server.set_now("2026-11-15T07:59:59")
    assert client.get(path).status_code == 404
    server.set_now("2026-11-15T08:00:00")
    assert client.get(path).status_code == 200


def test_book_depth_bands(client: httpx.Client) -> None:
    late = vision(client, "um/daily/bookDepth/BTCUSDT/BTCUSDT-bookDepth-2026-11-01.zip")[1:]
    early = vision(client, "um/daily/bookDepth/BTCUSDT/BTCUSDT-bookDepth-2025-11-01.zip")[1:]
    assert {row[1] for row in early} == {str(band) for band in range(-5, 6) if band}
    assert {"-5.00", "-0.20", "0.20", "5.00"} < {row[1] for row in late}
    first = {row[1]: Decimal(row[2]) for row in late[:12]}
    asks = [first[band] for band in ("0.20", "1.00", "2.00", "3.00", "4.00", "5.00")]
    assert asks == sorted(asks)


def test_bybit_trades_make_the_minutes_of_the_api(client: httpx.Client) -> None:
    body = client.get("/bybit_archive/trading/BTCUSD/BTCUSD2026-10-05.csv.gz").content
    rows = list(csv.DictReader(io.StringIO(gzip.decompress(body).decode())))
    assert "RPI" in rows[0]
    assert "." in rows[0]["timestamp"]
    start = at("2026-10-05")
    minute = [row for row in rows if start + 7 * MINUTE <= float(row["timestamp"]) * 1000 < start + 8 * MINUTE]
    query = {"category": "inverse", "symbol": "BTCUSD", "interval": "1", "start": start + 7 * MINUTE, "limit": 1}
    found = ask(client, "/bybit/v5/market/kline", **query)["result"]["list"][0]
    prices = [Decimal(row["price"]) for row in minute]
    assert [Decimal(field) for field in found[1:5]] == [prices[0], max(prices), min(prices), prices[-1]]
    assert Decimal(found[5]) == sum(Decimal(row["size"]) for row in minute)
    assert Decimal(found[6]) == sum(Decimal(row["homeNotional"]) for row in minute)


def okx_files(client: httpx.Client, **query: object) -> list[str]:
    data = ask(client, "/okx/api/v5/public/market-data-history", instType="SWAP", **query)["data"]
    return [file["url"] for group in data for entry in group["details"] for file in entry["groupDetails"]]


def test_okx_files_are_cut_at_utc_plus_8(client: httpx.Client) -> None:
    day = at("2026-10-05")
    query = {"module": 2, "instFamilyList": "BTC-USDT", "dateAggrType": "daily", "begin": day, "end": day}
    urls = okx_files(client, **query)
    assert [url.rpartition("/")[2] for url in urls] == ["BTC-USDT-SWAP-candlesticks-2026-10-05.zip"]
    rows = rows_of(client.get(urls[0]).content)
    assert (len(rows), rows[1][8], rows[-1][8]) == (1441, str(day - 8 * HOUR), str(day + 16 * HOUR - MINUTE))
    query = {"instId": "BTC-USDT-SWAP", "bar": "1m", "after": day - 8 * HOUR + 1, "limit": 1}
    api = ask(client, "/okx/api/v5/market/history-candles", **query)["data"][0]
    assert [Decimal(field) for field in rows[1][1:8]] == [Decimal(field) for field in api[1:8]]


def test_okx_funding_files(client: httpx.Client) -> None:
    day = at("2026-10-05")
    urls = okx_files(client, module=3, instFamilyList="ANY", dateAggrType="daily", begin=day, end=day)
    rows = rows_of(client.get(urls[0]).content)
    assert {row[0] for row in rows[1:]} >= {"BTC-USDT-SWAP", "PEPE-USDT-SWAP", "BTC-USD-SWAP"}
    assert [int(row[2]) for row in rows if row[0] == "BTC-USDT-SWAP"] == [day - 8 * HOUR, day, day + 8 * HOUR]
    family = {"module": 3, "instFamilyList": "BTC-USDT", "begin": day, "end": day}
    assert okx_files(client, **family, dateAggrType="daily") == []
    # The month that is running has no file yet.
    running = {**family, "begin": at("2026-11-05"), "end": at("2026-11-05")}
    assert okx_files(client, **running, dateAggrType="monthly") == []
    september = at("2026-09-05")
    urls = okx_files(
        client, module=3, instFamilyList="BTC-USDT", dateAggrType="monthly", begin=september, end=september
    )
    assert [url.rpartition("/")[2] for url in urls] == ["BTC-USDT-SWAP-fundingrates-2026-09.zip"]
    assert len(rows_of(client.get(urls[0]).content)) == 1 + 90


def test_okx_index_takes_ten_families_and_ten_days(client: httpx.Client) -> None:
    path, day = "/okx/api/v5/public/market-data-history", at("2026-10-05")
    query = {"module": 2, "instType": "SWAP", "dateAggrType": "daily", "begin": day, "end": day}
    many = ",".join(["BTC-USDT"] * 11)
    assert ask(client, path, **query, instFamilyList=many)["code"] == "51000"
    assert ask(client, path, **{**query, "end": day + 10 * DAY}, instFamilyList="BTC-USDT")["code"] == "51000"


def test_files_are_served_in_ranges(client: httpx.Client) -> None:
    path = "/bybit_archive/trading/BTCUSDT/BTCUSDT2026-10-05.csv.gz"
    whole = client.get(path)
    part = client.get(path, headers={"range": "bytes=1000-1999"})
    assert (part.status_code, part.content) == (206, whole.content[1000:2000])
    assert part.headers["content-range"] == f"bytes 1000-1999/{len(whole.content)}"
    rest = client.get(path, headers={"range": "bytes=1000-", "if-range": whole.headers["etag"]})
    assert rest.content == whole.content[1000:]
    assert client.get(path, headers={"range": "bytes=1000-", "if-range": '"other"'}).status_code == 200
    assert client.get(path, headers={"range": f"bytes={len(whole.content)}-"}).status_code == 416
    assert client.get(path, headers={"if-none-match": whole.headers["etag"]}).status_code == 304
    assert int(client.head(path).headers["content-length"]) == len(whole.content)


# --- Hyperliquid's buckets ---


def fills(client: httpx.Client, hour: str) -> list[tuple[str, dict[str, Any]]]:
    reply = client.get(f"/hyperliquid_s3/hl-mainnet-node-data/node_fills_by_block/hourly/{hour}.lz4", headers=PAYER)
    assert reply.status_code == 200
    blocks = [json.loads(line) for line in lz4.frame.decompress(reply.content).splitlines()]
    assert [block["block_time"] for block in blocks] == sorted(block["block_time"] for block in blocks)
    return [(user, fill) for block in blocks for user, fill in block["events"]]


def test_s3_needs_the_requester_to_pay(client: httpx.Client) -> None:
    path = "/hyperliquid_s3/hl-mainnet-node-data/node_fills_by_block/hourly/20251010/21.lz4"
    assert client.get(path).status_code == 403
    assert client.get(path, headers=PAYER).status_code == 200
    assert client.get(path.replace("/21", "/021"), headers=PAYER).status_code == 404


def test_every_fill_comes_twice_and_liquidations_are_told_in_both(server: Server, client: httpx.Client) -> None:
    found = fills(client, "20251010/21")
    by_trade: dict[int, list[tuple[str, dict[str, Any]]]] = {}
    for user, fill in found:
        by_trade.setdefault(fill["tid"], []).append((user, fill))
    assert all(len(pair) == 2 and {fill["side"] for _, fill in pair} == {"A", "B"} for pair in by_trade.values())
    forced = [pair for pair in by_trade.values() if "liquidation" in pair[0][1]]
    assert all("liquidation" in fill for pair in forced for _, fill in pair)
    # One of the two is the liquidated user's.
    assert all(sum(user == fill["liquidation"]["liquidatedUser"] for user, fill in pair) == 1 for pair in forced)
    start = at("2025-10-10T21:00")
    events = [
        event
        for contract in server.world.contracts("hyperliquid")
        for event in server.world.liquidations(contract, start, start + HOUR)
    ]
    assert len(forced) == len(events)
    kinds = [hyperliquid_s3.liquidation_kind(event) for event in events]
    assert {"adl", "market"} <= set(kinds)
    closed = [fill for _, fill in found if fill["dir"] == "Auto-Deleveraging"]
    assert len(closed) == kinds.count("adl")
    # A long that is reduced sells; its owner had more than nothing before.
    assert all((fill["side"] == "A") is (Decimal(fill["startPosition"]) > 0) for fill in closed)
    assert sum(
        fill["liquidation"]["method"] == "backstop" for _, fill in found if "liquidation" in fill
    ) == 2 * kinds.count("backstop")


def test_contexts_of_a_day(server: Server, client: httpx.Client) -> None:
    path = "/hyperliquid_s3/hyperliquid-archive/asset_ctxs/{}.csv.lz4"
    body = client.get(path.format("20261001"), headers=PAYER).content
    rows = list(csv.DictReader(io.StringIO(lz4.frame.decompress(body).decode())))
    assert len(rows) == 1440 * 3
    moment = at("2026-10-01T07:31")
    row = next(row for row in rows if row["time"] == "2026-10-01T07:31:00Z" and row["coin"] == "ETH")
    server.set_now(moment)
    meta, contexts = info(client, type="metaAndAssetCtxs")
    now = contexts[[coin["name"] for coin in meta["universe"]].index("ETH")]
    for column, field in (
        ("funding", "funding"), ("open_interest", "openInterest"), ("prev_day_px", "prevDayPx"), ("day_ntl_vlm", "dayNtlVlm"),
        ("premium", "premium"), ("oracle_px", "oraclePx"), ("mark_px", "markPx"), ("mid_px", "midPx"),
    ):  # fmt: skip
        assert Decimal(row[column]) == Decimal(now[field]), column
    server.set_now(NOW)
    assert client.get(path.format("20261101"), headers=PAYER).status_code == 404


def test_buckets_are_listed_by_prefix(client: httpx.Client) -> None:
    space = "{http://s3.amazonaws.com/doc/2006-03-01/}"

    def keys(**query: str) -> tuple[list[str], str | None]:
        text = client.get(
            "/hyperliquid_s3/hl-mainnet-node-data/", params={"list-type": "2", **query}, headers=PAYER
        ).text
        root = ElementTree.fromstring(text)  # noqa: S314 - our own server's answer
        found = [key.text or "" for key in root.iter(f"{space}Key")]
        return found, root.findtext(f"{space}NextContinuationToken")

    found, more = keys(prefix="node_fills_by_block/hourly/20251010/")
    assert (len(found), more) == (24, None)
    assert "node_fills_by_block/hourly/20251010/9.lz4" in found
    path = "/hyperliquid_s3/hl-mainnet-node-data"
    text = client.get(
        path, params={"list-type": "2", "prefix": "node_fills_by_block/hourly/20251010/9"}, headers=PAYER
    ).text
    size = ElementTree.fromstring(text).findtext(f".//{space}Size")  # noqa: S314 - our own server's answer
    assert int(size or 0) == len(client.get(f"{path}/node_fills_by_block/hourly/20251010/9.lz4", headers=PAYER).content)
    first, token = keys(prefix="node_fills_by_block/")
    assert len(first) == 1000
    second, _ = keys(prefix="node_fills_by_block/", **{"continuation-token": token or ""})
    assert second[0] > first[-1]


# --- aggregators ---


def test_coinglass_needs_a_key_and_a_plan(server: Server, client: httpx.Client) -> None:
    path, key = "/coinglass/api/futures/open-interest/history", {"CG-API-KEY": coinglass.KEY}
    query = {"exchange": "Binance", "symbol": "BTCUSDT", "interval": "1h", "limit": "3"}
    assert client.get(path, params=query).json()["code"] == "401"
    rows = client.get(path, params=query, headers=key).json()["data"]
    assert [row["time"] for row in rows] == [THIS_HOUR - n * HOUR for n in (2, 1, 0)]
    server.app.hosts.coinglass.plan = "hobbyist"
    try:
        assert client.get(path, params=query, headers=key).json() == {"code": "401", "msg": "Upgrade plan"}
    finally:
        server.app.hosts.coinglass.plan = "standard"


def test_coinglass_sums_need_exchanges_and_a_coin(server: Server, client: httpx.Client) -> None:
    path, key = "/coinglass/api/futures/liquidation/aggregated-history", {"CG-API-KEY": coinglass.KEY}
    query = {"symbol": "BTC", "interval": "1h", "limit": "1"}
    assert client.get(path, params=query, headers=key).json()["code"] == "400"
    pair = client.get(path, params={**query, "symbol": "BTCUSDT", "exchange_list": "Binance"}, headers=key).json()
    assert pair["data"] == []
    reply = client.get(path, params={**query, "exchange_list": "Bybit", "end_time": str(THIS_HOUR - 1)}, headers=key)
    row = reply.json()["data"][0]
    usd = Decimal(0)
    for contract in (c for c in server.world.contracts("bybit") if c.asset == "BTC"):
        for event in server.world.liquidations(contract, row["time"], row["time"] + HOUR):
            if event.position == "long":
                size = contract.quantity(event.lots)
                usd += size if contract.inverse else size * contract.price(event.ticks)
    assert row["aggregated_long_liquidation_usd"] == pytest.approx(float(usd))


def test_coinalyze_counts_seconds_and_twenty_symbols(client: httpx.Client) -> None:
    path, key = "/coinalyze/v1/open-interest-history", {"api_key": "test-key"}
    start = at("2026-11-01") // 1000
    query = {
        "symbols": "BTCUSDT_PERP.A,NOSUCH_PERP.A",
        "interval": "1hour",
        "from": str(start),
        "to": str(start + 7200),
    }
    assert client.get(path, params=query).status_code == 401
    answer = client.get(path, params=query, headers=key).json()
    assert [entry["symbol"] for entry in answer] == ["BTCUSDT_PERP.A"]
    assert [bar["t"] for bar in answer[0]["history"]] == [start, start + 3600, start + 7200]
    many = {**query, "symbols": ",".join(["BTCUSDT_PERP.A"] * 21)}
    assert client.get(path, params=many, headers=key).status_code == 400


def test_tardis_is_free_on_the_first_day_and_tells_the_order_side(server: Server, client: httpx.Client) -> None:
    path = "/tardis/v1/bybit/liquidations/2026/11/{}/BTCUSDT.csv.gz"
    assert client.get(path.format("02")).status_code == 401
    assert client.get(path.format("02"), headers={"Authorization": "Bearer test-key"}).status_code == 200
    rows = list(csv.DictReader(io.StringIO(gzip.decompress(client.get(path.format("01")).content).decode())))
    contract = server.world.contract("bybit", "linear", "BTCUSDT")
    events = server.world.liquidations(contract, at("2026-11-01"), at("2026-11-02"))
    assert [(int(row["timestamp"]), row["side"]) for row in rows] == [
        (event.time * 1000, "sell" if event.position == "long" else "buy") for event in events
    ]


def test_defillama_gives_a_value_a_day(client: httpx.Client) -> None:
    answer = ask(client, "/defillama/overview/open-interest")
    assert answer["totalDataChart"][-1] == [at("2026-11-15") // 1000, answer["total24h"]]
    assert sum(answer["totalDataChartBreakdown"][-1][1].values()) == answer["total24h"]
    slim = ask(client, "/defillama/overview/open-interest", excludeTotalDataChart="true")
    assert slim["totalDataChart"] == []
    assert client.get("/defillama/overview/derivatives").status_code == 402


# --- faults ---

KLINES = "/bybit/v5/market/kline?category=linear&symbol=BTCUSDT&interval=60&limit=20"
ARCHIVED = "/binance_archive/data/futures/um/daily/klines/BTCUSDT/1h/BTCUSDT-1h-2026-11-01.zip"


@pytest.mark.parametrize(
    ("name", "status"),
    [("429", 429), ("403", 403), ("404", 404), ("418", 418), ("451", 451), ("500", 500), ("502", 502), ("503", 503)],
)
def test_a_fault_answers_the_request_that_it_is_put_on(
    server: Server, client: httpx.Client, name: str, status: int
) -> None:
    server.faults.put(name, "bybit/v5/market/kline", on=2, retry_after=7)
    replies = [client.get(KLINES) for _ in range(3)]
    assert [reply.status_code for reply in replies] == [200, status, 200]
    if name in {"429", "418"}:
        assert replies[1].headers["retry-after"] == "7"


def test_each_venue_has_its_own_way_to_refuse_a_rate(server: Server, client: httpx.Client) -> None:
    server.faults.put("rate_limit")
    assert ask(client, "/okx/api/v5/market/tickers")["code"] == "50011"
    assert ask(client, KLINES)["retCode"] == 10006
    reply = client.get("/binance_um/fapi/v1/ping")
    assert (reply.status_code, reply.json()["code"], reply.headers["retry-after"]) == (429, -1003, "1")
    assert client.get("/bitget/api/v2/mix/market/tickers").status_code == 429


def test_a_fault_can_be_on_one_query_and_from_the_second_request_on(server: Server, client: httpx.Client) -> None:
    server.faults.put("500", "bybit/*", where={"symbol": "BTCUSDT"}, since=2)
    assert [client.get(KLINES).status_code for _ in range(3)] == [200, 500, 500]
    assert client.get(KLINES.replace("BTCUSDT", "ETHUSDT")).status_code == 200


def test_connections_break(server: Server) -> None:
    for name, error in (("reset", httpx.NetworkError), ("truncated", httpx.RemoteProtocolError)):
        server.faults.clear()
        server.faults.put(name, "bybit/*")
        with httpx.Client(base_url=server.url) as fresh, pytest.raises(error):
            fresh.get(KLINES)
    server.faults.clear()
    server.faults.put("huge_length", "bybit/*")
    with httpx.Client(base_url=server.url) as fresh, fresh.stream("GET", KLINES) as reply:
        assert reply.headers["content-length"] == str(10 * 10**9)
        with pytest.raises(httpx.RemoteProtocolError):
            reply.read()


def test_a_slow_body_takes_its_time_and_is_whole(server: Server, client: httpx.Client) -> None:
    plain = client.get(KLINES).content
    server.faults.put("slow", "bybit/*", seconds=0.4)
    began = time.monotonic()
    assert client.get(KLINES).content == plain
    assert time.monotonic() - began >= 0.4


def test_pages_are_spoiled_within_their_envelope(server: Server, client: httpx.Client) -> None:
    def page(name: str) -> list[Any]:
        server.faults.clear()
        if name:
            server.faults.put(name, "bybit/*")
        return list(ask(client, KLINES)["result"]["list"])

    plain = page("")
    assert page("empty_page") == []
    shuffled = page("shuffled_page")
    assert shuffled != plain
    assert sorted(shuffled) == sorted(plain)
    assert page("reversed_page") == plain[::-1]
    assert page("overlapping_page") == plain + plain[-3:]
    assert page("missing_row") == plain[:10] + plain[11:]
    assert page("wrong_shape") == [{"unexpected": 1}] * 20


def test_bodies_that_are_not_json(server: Server, client: httpx.Client) -> None:
    for name in ("html", "empty_body", "not_json"):
        server.faults.clear()
        server.faults.put(name, "bybit/*")
        reply = client.get(KLINES)
        assert reply.status_code == 200
        with pytest.raises(json.JSONDecodeError):
            reply.json()


@pytest.mark.parametrize(
    ("name", "start"),
    [("redirect_file", "file:///"), ("redirect_ftp", "ftp://"), ("redirect_host", "http://localhost.invalid/")],
)
def test_redirects_lead_astray(server: Server, client: httpx.Client, name: str, start: str) -> None:
    server.faults.put(name, "binance_archive/*")
    reply = client.get(ARCHIVED)
    assert reply.status_code == 302
    assert reply.headers["location"].startswith(start)


def test_wrong_checksums_and_changed_bytes(server: Server, client: httpx.Client) -> None:
    plain = client.get(ARCHIVED).content
    stated = client.get(ARCHIVED + ".CHECKSUM").text
    server.faults.put("wrong_checksum", "*.CHECKSUM")
    assert client.get(ARCHIVED + ".CHECKSUM").text.split()[0] == "0" * 64
    server.faults.clear()
    server.faults.put("flipped_byte", "binance_archive/*.zip")
    changed = client.get(ARCHIVED).content
    assert len(changed) == len(plain)
    assert hashlib.sha256(changed).hexdigest() != stated.split()[0]


def test_a_republished_file_is_another_one_with_its_own_checksum(server: Server, client: httpx.Client) -> None:
    first = client.get(ARCHIVED)
    server.faults.put("republished", "binance_archive/*BTCUSDT-1h-2026-11-01.zip*")
    second = client.get(ARCHIVED)
    assert rows_of(second.content) == rows_of(first.content)[:-1]
    assert second.headers["etag"] != first.headers["etag"]
    assert client.get(ARCHIVED + ".CHECKSUM").text.split()[0] == hashlib.sha256(second.content).hexdigest()


def test_hostile_files(server: Server, client: httpx.Client) -> None:
    def zipped(name: str, **options: Any) -> zipfile.ZipFile:
        server.faults.clear()
        server.faults.put(name, "binance_archive/*", **options)
        return zipfile.ZipFile(io.BytesIO(client.get(ARCHIVED).content))

    assert zipped("zip_slip").namelist() == ["../x"]
    assert len(zipped("zip_two_members").namelist()) == 2
    size = 64 * 2**20
    bomb = zipped("zip_bomb", size=size)
    assert bomb.infolist()[0].file_size == size
    assert bomb.infolist()[0].compress_size < size / 500
    server.faults.clear()
    server.faults.put("gzip_bomb", "bybit_archive/*", size=size)
    body = client.get("/bybit_archive/trading/BTCUSDT/BTCUSDT2026-10-05.csv.gz").content
    assert len(body) < size / 500
    assert len(gzip.decompress(body)) == size
    server.faults.clear()
    server.faults.put("not_gzip", "bybit_archive/*")
    with pytest.raises(gzip.BadGzipFile):
        gzip.decompress(client.get("/bybit_archive/trading/BTCUSDT/BTCUSDT2026-10-05.csv.gz").content)


def test_every_fault_has_been_put_in_these_tests() -> None:
    source = Path(__file__).read_text()
    assert [name for name in faults.NAMES if f'"{name}"' not in source] == []
    with pytest.raises(KeyError, match="no fault is named nonsense"):
        faults.Faults().put("nonsense")


# --- limits, counts, control and recorded answers ---


def test_a_limit_is_kept_as_the_venue_keeps_it(server: Server, client: httpx.Client) -> None:
    server.limit("bybit", requests=2, seconds=0.3)
    assert [ask(client, KLINES)["retCode"] for _ in range(4)] == [0, 0, 10006, 10006]
    time.sleep(0.35)
    assert ask(client, KLINES)["retCode"] == 0


def test_requests_are_counted_by_path_and_time(server: Server, client: httpx.Client) -> None:
    for _ in range(3):
        client.get(KLINES)
    client.get("/okx/api/v5/public/time")
    time.sleep(0.25)
    client.get(KLINES)
    assert server.requests.by_path() == {"bybit/v5/market/kline": 4, "okx/api/v5/public/time": 1}
    assert server.requests.count("bybit") == 4
    assert server.requests.most_within(0.2, "bybit") == 3
    assert server.requests.most_within(5, "bybit") == 4
    assert sum(server.requests.per_second("bybit").values()) == 4
    assert server.requests.all("bybit")[0].query["symbol"] == "BTCUSDT"


def test_the_server_is_steered_over_http(server: Server, client: httpx.Client) -> None:
    assert ask(client, "/_control/now", to="2026-01-01T00:00:00") == {"now": at("2026-01-01")}
    assert int(ask(client, "/okx/api/v5/public/time")["data"][0]["ts"]) == at("2026-01-01")
    ask(client, "/_control/fault", name="429", pattern="bybit/*", on="1", retry_after="3")
    assert client.get(KLINES).headers["retry-after"] == "3"
    assert ask(client, "/_control/requests") == {"okx/api/v5/public/time": 1, "bybit/v5/market/kline": 1}
    assert client.get("/_control/fault", params={"name": "nonsense"}).status_code == 400
    ask(client, "/_control/clear")
    assert ask(client, "/_control/requests") == {}


def test_environment_points_every_host_here(server: Server, client: httpx.Client) -> None:
    names = server.environment()
    assert names["DELEVER_URL_BINANCE_UM"] == f"{server.url}/binance_um"
    assert {name.removeprefix("DELEVER_URL_") for name in names} == {
        "BINANCE_UM", "BINANCE_CM", "BINANCE_ARCHIVE", "BYBIT", "BYBIT_ARCHIVE", "OKX", "OKX_ARCHIVE", "BITGET",
        "HYPERLIQUID", "HYPERLIQUID_S3", "COINGLASS", "COINALYZE", "DEFILLAMA", "TARDIS",
    }  # fmt: skip
    assert client.get("/nowhere/at/all").status_code == 404


def test_recorded_answers_are_served_first(tmp_path: Path) -> None:
    wide = {"retCode": 0, "result": {"list": [["1"]]}}
    close = {"retCode": 0, "result": {"list": [["2"]]}}
    url = "https://api.bybit.com/v5/market/kline"
    (tmp_path / "bybit.json").write_text(
        json.dumps(
            {
                "exchange": "bybit",
                "methods": {
                    "fetchOHLCV": [
                        {"description": "any linear", "method": "fetchOHLCV", "url": f"{url}?category=linear",
                         "input": ["BTC/USDT:USDT"], "httpResponse": wide, "parsedResponse": []},
                        {"description": "one contract", "method": "fetchOHLCV",
                         "url": f"{url}?category=linear&symbol=ETHUSDT", "input": [], "httpResponse": close},
                    ]
                },
            }
        )
    )  # fmt: skip
    folder = tmp_path / "hyperliquid"
    folder.mkdir()
    (folder / "recorded.json").write_text(
        json.dumps(
            {
                "l2": [
                    {"method": "POST", "path": "/info", "body": {"type": "l2Book", "coin": "BTC"}, "httpResponse": [7]}
                ]
            }
        )
    )
    with Server(World(1, NOW), tmp_path) as recorded, httpx.Client(base_url=recorded.url) as client:
        assert ask(client, KLINES) == wide
        assert ask(client, KLINES.replace("BTCUSDT", "ETHUSDT")) == close
        # No recorded answer has this query: the market answers.
        assert (
            ask(client, KLINES.replace("linear", "inverse").replace("BTCUSDT", "BTCUSD"))["result"]["symbol"]
            == "BTCUSD"
        )
        assert info(client, type="l2Book", coin="BTC", nSigFigs=None) == [7]
        assert info(client, type="perpDexs")[0] is None
    (tmp_path / "okx.json").write_text('{"fetchTicker": [{"description": "no place", "httpResponse": {}}]}')
    (left_out,) = Server(World(1, NOW), tmp_path).fixtures.skipped
    assert (left_out.source.description, left_out.reason) == ("no place", "names neither a symbol nor a market")


def test_a_server_stops_and_leaves_its_port() -> None:
    with Server(World(1, NOW)) as first:
        port = int(first.url.rpartition(":")[2])
        assert httpx.get(f"{first.url}/_control/health").status_code == 200
    with socket.socket() as probe:
        assert probe.connect_ex(("127.0.0.1", port)) != 0
