"""Recordings in the format of ccxt's static response tests, as the venue server hands them to the real connectors.

What stands here is made up in that format. ``DELEVER_CCXT_FIXTURES`` names a folder of ccxt's own files
(``ts/src/test/static/response`` of its repository): the candles in it are then asked for as well, and what comes out has to be
what ccxt read in the same answers.
"""

import json
import os
import re
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest

from dagster_project.fetch.client import Client
from dagster_project.fetch.tasks import Terms, fetch
from dagster_project.lib.duck import connect
from dagster_project.lib.home import PROJECT_ROOT, Home
from dagster_project.lib.raw import RawStore
from dagster_project.sources import binance, bitget, bybit, hyperliquid, okx
from dagster_project.sources.dataset import build_raw
from dagster_project.sources.feed import Ask, Contract
from venue_server import Server, World
from venue_server.fixtures import Fixtures
from venue_server.text import DAY, HOUR, MINUTE, at

FEEDS = {
    name: {feed.entity: feed for feed in module.FEEDS}
    for name, module in (
        ("binance", binance), ("bybit", bybit), ("okx", okx), ("bitget", bitget), ("hyperliquid", hyperliquid),
    )
}  # fmt: skip
THE_DAY = date(2026, 3, 5)
T0 = at("2026-03-05")
NOON = datetime(2026, 3, 5, 12, tzinfo=UTC)
AFTER = datetime(2026, 3, 6, 12, tzinfo=UTC)
LINEAR, INVERSE, HYPER = "BTC/USDT:USDT", "BTC/USD:BTC", "BTC/USDC:USDC"
SECONDS = {"1m": 60, "3m": 180, "5m": 300, "15m": 900, "30m": 1800, "1h": 3600, "4h": 14400, "1d": 86400}

Row = tuple[Any, ...]


def entry(given: list[Any], answer: Any, description: str = "made up", **more: Any) -> dict[str, Any]:
    return {"description": description, "input": given, "httpResponse": answer, "parsedResponse": None, **more}


def write(folder: Path, exchange: str, methods: dict[str, list[dict[str, Any]]]) -> Path:
    named = {name: [{"method": name} | one for one in entries] for name, entries in methods.items()}
    content = {"exchange": exchange, "skipKeys": [], "options": {}, "methods": named}
    (folder / f"{exchange}.json").write_text(json.dumps(content))
    return folder


def contract_of(exchange: str, symbol: str) -> Contract:
    """A perpetual of ccxt's as the connector of its venue knows it."""
    base, quote, settle = symbol.replace(":", "/").split("/")
    kind = "linear" if settle == quote else "inverse"
    joined = base + ("PERP" if quote == "USDC" else quote)
    futures = {"USDT": "usdt_futures", "USDC": "usdc_futures", "USD": "coin_futures"}
    product, name = {
        "binance": ("um", base + quote) if kind == "linear" else ("cm", f"{base}{quote}_PERP"),
        "bybit": (kind, joined),
        "okx": ("swap", f"{base}-{quote}-SWAP"),
        "bitget": (futures.get(quote, ""), joined),
        "hyperliquid": ("perp", base),
    }[exchange]
    return Contract(product, name, base, quote, kind, True)


@dataclass
class Kit:
    """A server with a folder of recordings, and a home to fetch into."""

    server: Server
    home: Home

    def rows(self, venue: str, entity: str, columns: str, contract: Contract, **more: Any) -> list[Row]:
        """What a connector's raw rows of a contract say, each different row once; none may be in quarantine."""
        feed, origin = FEEDS[venue][entity], more.get("origin", "rest")
        start, end = more.get("days", (THE_DAY, THE_DAY))
        asked = Ask(start, end, more.get("now", AFTER), [contract], (more.get("seconds", 3600),))
        terms = Terms(feed.name, entity, feed.batch(asked, origin), feed.licence, feed.completeness)
        with Client(retry_seconds=0.002, timeout_seconds=10) as client:
            fetch(self.home, terms, feed.origins[origin](asked), client)
        intake = build_raw(feed.dataset, self.home, start, end)
        assert intake.quarantined == 0, intake.reasons
        with connect() as connection:
            raw = RawStore(self.home.raw, self.home.scratch).relation(feed.dataset_name)
            # Pages overlap at their edges, so a row may have come twice.
            where = f"product = $1 AND venue_symbol = $2 AND {more.get('where', 'true')}"
            found = connection.sql(
                f"SELECT DISTINCT {columns} FROM ({raw}) WHERE {where} ORDER BY 1, 2",
                params=[contract.product, contract.venue_symbol],
            ).fetchall()
        return [tuple(round(v.timestamp() * 1000) if isinstance(v, datetime) else v for v in row) for row in found]

    def asked(self) -> dict[str, int]:
        """How often each recording was served, by its description."""
        return {one.source.description: one.asked for one in self.server.fixtures.served}


@pytest.fixture
def kit(tmp_path: Path, home: Home, monkeypatch: pytest.MonkeyPatch):
    """Start a server for a folder; ``kit(folder, now)``."""
    started: list[Server] = []

    def start(folder: Path, now: datetime = AFTER) -> Kit:
        server = Server(World(3, now.isoformat()), folder).__enter__()
        started.append(server)
        for name, value in server.environment().items():
            monkeypatch.setenv(name, value)
            monkeypatch.setenv(name.replace("DELEVER_URL_", "DELEVER_RATE_"), "100000/1")
        monkeypatch.setenv("DELEVER_LIMITS", str(tmp_path / "limits"))
        return Kit(server, home)

    yield start
    for server in started:
        server.__exit__()


# --- which request an entry answers ---


@pytest.mark.parametrize(
    ("exchange", "method", "given", "place", "asks"),
    [
        ("binance", "fetchOHLCV", [LINEAR, "1h", None, 3], "binance_um/fapi/v1/klines", {"symbol": "BTCUSDT", "interval": "1h"}),
        ("binance", "fetchOHLCV", [INVERSE], "binance_cm/dapi/v1/klines", {"symbol": "BTCUSD_PERP", "interval": "1m"}),
        ("binance", "fetchOHLCV", ["BTC/USD:BTC-261225"], "binance_cm/dapi/v1/klines",
         {"symbol": "BTCUSD_261225", "interval": "1m"}),
        ("binance", "fetchOHLCV", ["ETH/USD:ETH", "1d", None, 3, {"price": "index"}], "binance_cm/dapi/v1/indexPriceKlines",
         {"pair": "ETHUSD", "interval": "1d"}),
        ("binance", "fetchMarkOHLCV", ["1000PEPE/USDT:USDT", "5m"], "binance_um/fapi/v1/markPriceKlines",
         {"symbol": "1000PEPEUSDT", "interval": "5m"}),
        ("binance", "fetchOpenInterestHistory", [INVERSE], "binance_cm/futures/data/openInterestHist",
         {"pair": "BTCUSD", "period": "5m"}),
        ("binance", "fetchTickers", [[LINEAR, "ETH/USDT:USDT"]], "binance_um/fapi/v1/ticker/24hr", {"symbol": None}),
        ("binance", "fetchTickers", [None, {"type": "swap", "subType": "inverse"}], "binance_cm/dapi/v1/ticker/24hr",
         {"symbol": None}),
        ("binance", "fetchLeverageTiers", [], "binance_um/fapi/v1/leverageBracket", {"symbol": None}),
        ("bybit", "fetchOHLCV", [LINEAR, "4h"], "bybit/v5/market/kline",
         {"category": "linear", "symbol": "BTCUSDT", "interval": "240"}),
        ("bybit", "fetchFundingRateHistory", ["ETH/USDC:USDC"], "bybit/v5/market/funding/history",
         {"category": "linear", "symbol": "ETHPERP"}),
        ("bybit", "fetchLongShortRatioHistory", [INVERSE, "5m"], "bybit/v5/market/account-ratio",
         {"category": "inverse", "symbol": "BTCUSD", "period": "5min"}),
        ("okx", "fetchOHLCV", [INVERSE, "1d"], "okx/api/v5/market/history-candles", {"instId": "BTC-USD-SWAP", "bar": "1Dutc"}),
        ("okx", "fetchOHLCV", [LINEAR, "1h", None, None, {"price": "index"}], "okx/api/v5/market/history-index-candles",
         {"instId": "BTC-USDT", "bar": "1H"}),
        ("okx", "fetchMarketLeverageTiers", [LINEAR], "okx/api/v5/public/position-tiers",
         {"instType": "SWAP", "tdMode": "cross", "instFamily[]": "BTC-USDT"}),
        ("okx", "fetchTickers", [["BTC/USD:BTC-261225"]], "okx/api/v5/market/tickers", {"instType": "FUTURES", "instId": None}),
        ("bitget", "fetchOHLCV", ["BTC/USDC:USDC", "1h"], "bitget/api/v2/mix/market/history-candles",
         {"productType": "USDC-FUTURES", "symbol": "BTCPERP", "granularity": "1H"}),
        ("bitget", "fetchTickers", [[INVERSE]], "bitget/api/v2/mix/market/tickers",
         {"productType": "COIN-FUTURES", "symbol": None}),
        ("hyperliquid", "fetchOHLCV", ["XYZ-XYZ100/USDC:USDC", "1h"], "hyperliquid/info",
         {"type": "candleSnapshot", "req.coin": "xyz:XYZ100", "req.interval": "1h"}),
        ("hyperliquid", "fetchFundingRateHistory", ["KPEPE/USDC:USDC"], "hyperliquid/info",
         {"type": "fundingHistory", "coin": "kPEPE"}),
        ("hyperliquid", "fetchTickers", [], "hyperliquid/info", {"type": "metaAndAssetCtxs", "dex": None}),
    ],
)  # fmt: skip
def test_an_entry_answers_what_its_method_asks(
    tmp_path: Path, exchange: str, method: str, given: list[Any], place: str, asks: dict[str, Any]
) -> None:
    fixtures = Fixtures(write(tmp_path, exchange, {method: [entry(given, {"result": {"list": []}, "data": []} | (
        {} if exchange in {"bybit", "okx", "bitget"} else {"list": []}))]}))  # fmt: skip
    assert not fixtures.skipped
    (served,) = fixtures.served
    assert (served.host + served.path, served.asks) == (place, asks)
    assert served.verb == ("POST" if exchange == "hyperliquid" else "GET")


@pytest.mark.parametrize(
    ("exchange", "method", "given", "reason"),
    [
        ("binance", "fetchOHLCV", ["BTC/USDT", "1h"], "BTC/USDT is neither a linear nor an inverse contract"),
        ("bybit", "fetchTickers", [["BTC/USDT:USDT-260626-70000-C"]], "70000-C is neither a linear nor an inverse contract"),
        ("bybit", "fetchOHLCV", ["BTC/USDT:USDT-260626"], "the venue's name of a dated contract is not known"),
        ("bybit", "fetchOHLCV", [LINEAR, "1w"], "no connector asks for 1w"),
        ("binance", "fetchTickers", [], "names neither a symbol nor a market"),
        ("binance", "fetchTickers", [[LINEAR, INVERSE]], "asked for inverse and linear contracts at once"),
        ("binance", "fetchTickers", [None, {"type": "spot"}], "asked for spot"),
        ("bitget", "fetchOpenInterest", [LINEAR, {"uta": True}], 'asked with {"uta": true}'),
        ("bitget", "fetchLongShortRatioHistory", [INVERSE, "5m"], "no connector asks for it"),
        ("okx", "createOrder", [LINEAR, "market", "buy", 1], "no connector asks for it"),
        ("hyperliquid", "fetchOHLCV", [], "names no symbol"),
        ("bequant", "fetchOHLCV", [LINEAR], "bequant is not in the table"),
    ],
)  # fmt: skip
def test_what_no_connector_asks_is_left_out_and_named(
    tmp_path: Path, exchange: str, method: str, given: list[Any], reason: str
) -> None:
    fixtures = Fixtures(write(tmp_path, exchange, {method: [entry(given, {"data": []})]}))
    assert not fixtures.served
    assert [(one.source.method, one.reason) for one in fixtures.skipped] == [(method, fixtures.skipped[0].reason)]
    assert fixtures.skipped[0].reason.endswith(reason)


def test_entries_that_are_disabled_or_have_no_answer_or_no_rows_are_left_out(tmp_path: Path) -> None:
    row = [T0, "1", "1", "1", "1", "1", "1"]
    entries = [
        entry([LINEAR, "1h"], {"retCode": "0", "result": {"list": [row]}}, disabled=True),
        {"description": "a request alone", "input": [LINEAR, "1h"]},
        entry([LINEAR, "1h"], {"retCode": "10001", "retMsg": "no", "result": {}}),
        entry([LINEAR, "1h"], {"retCode": "0", "result": {"list": [["soon", "1"]]}}),
        "no entry",
    ]
    (tmp_path / "bybit.json").write_text(json.dumps({"exchange": "bybit", "methods": {"fetchOHLCV": entries, "x": {}}}))
    fixtures = Fixtures(tmp_path)
    assert not fixtures.served
    assert [one.reason for one in fixtures.skipped] == [
        "disabled", "has no httpResponse", "has no list of rows", "a row has no time at 0",
    ]  # fmt: skip
    assert fixtures.lines()[0] == "not served: bybit.json: disabled: fetchOHLCV"
    (tmp_path / "okx.json").write_text("[]")
    with pytest.raises(ValueError, match="not a JSON object of methods"):
        Fixtures(tmp_path)


def test_the_server_tells_what_it_serves_and_what_not(tmp_path: Path) -> None:
    ticker = {"retCode": "0", "result": {"category": "linear", "list": [{"symbol": "BTCUSDT", "lastPrice": "7"}]}}
    write(
        tmp_path, "bybit",
        {
            "fetchTicker": [entry([LINEAR], ticker, "one ticker")],
            "fetchBalance": [entry([], {}, "money"), entry([], {}, "more money")],
        },
    )  # fmt: skip
    with Server(World(2), tmp_path) as server:
        asked = {"category": "linear"}
        assert httpx.get(f"{server.base('bybit')}/v5/market/tickers", params=asked).json()["retCode"] == 0
        told = httpx.get(f"{server.url}/_control/fixtures").json()
        # Of another contract, or of all inverse ones, there is no recording: the market answers.
        for more in ({"symbol": "ETHUSDT"}, {"category": "inverse"}):
            other = httpx.get(f"{server.base('bybit')}/v5/market/tickers", params=asked | more).json()["result"]["list"]
            assert other[0]["lastPrice"] != "7"
    source = {"file": "bybit.json", "method": "fetchTicker", "description": "one ticker"}
    assert told["served"] == [
        source
        | {"host": "bybit", "path": "/v5/market/tickers", "asks": {"category": "linear", "symbol": None}, "asked": 1}
    ]
    assert [(one["description"], one["reason"]) for one in told["skipped"]] == [
        ("money", "no connector asks for it"), ("more money", "no connector asks for it"),
    ]  # fmt: skip
    assert server.fixtures.lines() == [
        "recorded: bybit.json fetchTicker 'one ticker' -> bybit/v5/market/tickers category=linear no symbol",
        "not served: bybit.json: no connector asks for it: fetchBalance (2)",
    ]


def test_the_command_says_so_beside_what_the_shell_reads(tmp_path: Path) -> None:
    write(tmp_path, "okx", {"fetchBalance": [entry([], {})]})
    command = [sys.executable, "-m", "venue_server", "--port", "0", "--symbols", "1", "--fixtures", str(tmp_path)]
    environment = os.environ | {"PYTHONPATH": str(PROJECT_ROOT / "tests")}
    pipe = subprocess.PIPE
    with subprocess.Popen(command, env=environment, stdout=pipe, stderr=pipe, text=True) as process:
        assert process.stderr is not None and process.stdout is not None
        assert process.stderr.readline() == "not served: okx.json: no connector asks for it: fetchBalance\n"
        assert process.stdout.readline().startswith("export DELEVER_URL_")
        # Not asked politely: while it starts, nobody listens.
        process.kill()


# --- pages ---


def bars(*hours: int, step: int = HOUR) -> list[list[str]]:
    """Rows of a time, four prices and two volumes, which differ."""
    return [
        [str(T0 + hour * step), f"{100 + hour}.5", f"{103 + hour}", f"{99 + hour}", f"{101 + hour}", f"{hour}.25", f"{hour}00"]
        for hour in hours
    ]  # fmt: skip


def served(folder: Path, exchange: str, method: str, *entries: dict[str, Any]) -> Server:
    return Server(World(1), write(folder, exchange, {method: list(entries)}))


def test_a_recording_is_paged_as_its_venue_pages(tmp_path: Path) -> None:
    recorded = entry([LINEAR, "1h"], {"retCode": "0", "result": {"list": bars(5, 4, 3, 2)}})
    with served(tmp_path, "bybit", "fetchOHLCV", recorded) as server:

        def hours(**more: int) -> list[int]:
            asked = {"category": "linear", "symbol": "BTCUSDT", "interval": "60"} | more
            rows = httpx.get(f"{server.base('bybit')}/v5/market/kline", params=asked).json()["result"]["list"]
            return [(int(row[0]) - T0) // HOUR for row in rows]

        assert hours() == [5, 4, 3, 2]
        assert hours(start=T0 + 3 * HOUR, end=T0 + 4 * HOUR) == [4, 3]
        assert hours(start=T0, end=T0 + 4 * HOUR, limit=2) == [4, 3]
        # A stretch that was not recorded has no rows, not the market's.
        assert hours(start=T0 + DAY, end=T0 + 2 * DAY) == []


def test_full_pages_of_usdm_hold_the_oldest_rows_and_an_end_can_be_out(tmp_path: Path) -> None:
    write(tmp_path, "binance", {"fetchOHLCV": [entry([LINEAR, "1h"], bars(1, 2, 3))]})
    write(tmp_path, "okx", {"fetchOHLCV": [entry([LINEAR, "1h"], {"code": "0", "data": bars(3, 2, 1)})]})
    with Server(World(1), tmp_path) as server:
        asked: dict[str, Any] = {"symbol": "BTCUSDT", "interval": "1h", "limit": 2}
        assert httpx.get(f"{server.base('binance_um')}/fapi/v1/klines", params=asked).json() == bars(1, 2)
        asked = {"instId": "BTC-USDT-SWAP", "bar": "1H", "limit": 2, "after": T0 + 3 * HOUR}
        page = httpx.get(f"{server.base('okx')}/api/v5/market/history-candles", params=asked).json()
        assert page["data"] == bars(2, 1)


def test_recordings_of_one_question_are_one_where_rows_have_times(tmp_path: Path) -> None:
    many = entry([LINEAR, "1h", T0], {"retCode": "0", "result": {"list": bars(5, 4, 3)}}, "since")
    few = entry([LINEAR, "1h"], {"retCode": "0", "result": {"list": bars(9, 3)}}, "newest")
    with served(tmp_path, "bybit", "fetchOHLCV", many, few) as server:
        asked = {"category": "linear", "symbol": "BTCUSDT", "interval": "60"}
        page = httpx.get(f"{server.base('bybit')}/v5/market/kline", params=asked).json()
        assert page["result"]["list"] == bars(9, 5, 4, 3)
        assert not server.fixtures.skipped


def test_of_recordings_whose_rows_have_no_times_the_longest_is_served(tmp_path: Path) -> None:
    one = entry([LINEAR], {"retCode": 0, "result": {"list": [{"symbol": "BTCUSDT"}]}}, "one")
    two = entry([[LINEAR, "ETH/USDT:USDT"]], {"retCode": 0, "result": {"list": [{"symbol": "BTCUSDT"}, {}]}}, "two")
    fixtures = Fixtures(
        write(tmp_path, "bybit", {"fetchTicker": [one], "fetchTickers": [two], "fetchFundingRate": [one]})
    )
    assert [recorded.source.description for recorded in fixtures.served] == ["two"]
    assert [(skipped.source.method, skipped.reason) for skipped in fixtures.skipped] == [
        ("fetchTicker", "answers the question that bybit.json fetchTickers 'two' answers"),
        ("fetchFundingRate", "answers the question that bybit.json fetchTickers 'two' answers"),
    ]


def test_a_page_that_a_cursor_names_is_the_empty_last_one(tmp_path: Path) -> None:
    rows = [{"openInterest": "5", "timestamp": str(T0 + hour * HOUR)} for hour in (2, 1)]
    recorded = entry([LINEAR], {"retCode": "0", "result": {"list": rows, "nextPageCursor": "more"}})
    with served(tmp_path, "bybit", "fetchOpenInterest", recorded) as server:
        asked = {"category": "linear", "symbol": "BTCUSDT", "intervalTime": "1h"}
        url = f"{server.base('bybit')}/v5/market/open-interest"
        assert httpx.get(url, params=asked).json()["result"] == {"list": rows, "nextPageCursor": "more"}
        last = httpx.get(url, params=asked | {"cursor": "more"}).json()
        assert last == {"retCode": 0, "result": {"list": [], "nextPageCursor": ""}}


# --- the connectors ---


@dataclass(frozen=True)
class Case:
    """A made-up recording, what asks for it, and the raw rows that have to come of it."""

    exchange: str
    method: str
    given: list[Any]
    answer: Any
    entity: str
    columns: str
    want: list[Row]
    origin: str = "rest"
    now: datetime = AFTER
    where: str = "true"
    about: str = ""

    @property
    def symbol(self) -> str:
        """What it is about, if not what was asked for."""
        return self.about or (self.given[0][0] if isinstance(self.given[0], list) else self.given[0])

    def __str__(self) -> str:
        return f"{self.exchange}-{self.method}-{self.symbol}"


OHLC = "open_time, open, high, low, close"
H1, H2, H3 = T0 + HOUR, T0 + 2 * HOUR, T0 + 3 * HOUR
BARS: list[Row] = [(H1, 101.5, 104.0, 100.0, 102.0, 1.25), (H2, 102.5, 105.0, 101.0, 103.0, 2.25)]
BYBIT = {"retCode": "0", "retMsg": "OK", "retExtInfo": {}, "time": str(H3)}
BITGET = {"code": "00000", "msg": "success", "requestTime": str(H3)}
OKX = {"code": "0", "msg": ""}
BOOK = ([["100.0", "3"], ["99.0", "5"]], [["102.0", "2"], ["104.0", "7"]])


def hyper_bars(*hours: int) -> list[dict[str, str]]:
    names = ("t", "o", "h", "l", "c", "v")
    return [
        dict(zip(names, row, strict=False)) | {"T": str(int(row[0]) + HOUR - 1), "s": "BTC", "i": "1h", "n": "9"}
        for row in bars(*hours)
    ]


CASES = [
    Case("binance", "fetchOHLCV", [LINEAR, "1h", None, 2],
         [[*row[:6], str(int(row[0]) + HOUR - 1), row[6], 4, "0.5", "50", "0"] for row in bars(1, 2)],
         "klines", f"{OHLC}, volume", BARS),
    Case("binance", "fetchOHLCV", [INVERSE, "1h"],
         [[*row[:6], str(int(row[0]) + HOUR - 1), row[6], 4, "0.5", "50", "0"] for row in bars(1, 2)],
         "klines", f"{OHLC}, volume", BARS),
    Case("binance", "fetchOHLCV", [INVERSE, "1h", None, 2, {"price": "index"}],
         [[*row[:5], "0", str(int(row[0]) + HOUR - 1), "0", 60, "0", "0", "0"] for row in bars(1, 2)],
         "reference_klines", OHLC, [row[:5] for row in BARS], where="price_kind = 'index'"),
    Case("binance", "fetchFundingRateHistory", [LINEAR],
         [{"symbol": "BTCUSDT", "fundingTime": str(T0), "fundingRate": "0.0001", "markPrice": "100"},
          {"symbol": "BTCUSDT", "fundingTime": str(T0 + 8 * HOUR), "fundingRate": "-0.0002", "markPrice": "101"}],
         "funding", "funding_time, funding_rate", [(T0, 0.0001), (T0 + 8 * HOUR, -0.0002)]),
    Case("binance", "fetchOpenInterestHistory", [INVERSE, "5m"],
         [{"pair": "BTCUSD", "contractType": "PERPETUAL", "sumOpenInterest": "7", "sumOpenInterestValue": "0.5",
           "timestamp": str(T0 + 5 * MINUTE * i)} for i in range(1, 4)],
         "open_interest", "observed_at, open_interest, open_interest_value",
         [(T0 + 5 * MINUTE * i, 7.0, 0.5) for i in range(1, 4)]),
    Case("binance", "fetchOrderBook", [LINEAR],
         {"lastUpdateId": "1", "E": str(H1), "T": str(H1), "bids": BOOK[0], "asks": BOOK[1]},
         "depth", "percentage, quantity, best_price", [(-5.0, 8.0, 100.0), (5.0, 9.0, 102.0)], now=NOON,
         where="abs(percentage) = 5"),
    Case("bybit", "fetchOHLCV", [LINEAR, "1h", T0, 2], BYBIT | {"result": {"category": "linear", "list": bars(2, 1)}},
         "klines", f"{OHLC}, volume", BARS),
    Case("bybit", "fetchFundingRateHistory", [INVERSE], BYBIT | {"result": {"category": "inverse", "list": [
        {"symbol": "BTCUSD", "fundingRate": "0.0003", "fundingRateTimestamp": str(T0 + 8 * HOUR)},
        {"symbol": "BTCUSD", "fundingRate": "0.0004", "fundingRateTimestamp": str(T0)}]}},
         "funding", "funding_time, funding_rate", [(T0, 0.0004), (T0 + 8 * HOUR, 0.0003)]),
    Case("bybit", "fetchOpenInterestHistory", [LINEAR, "1h"], BYBIT | {"result": {"symbol": "BTCUSDT", "list": [
        {"openInterest": "12.5", "timestamp": str(H2)}, {"openInterest": "12", "timestamp": str(H1)}],
        "nextPageCursor": "lastid%3D0"}},
         "open_interest", "observed_at, open_interest", [(H1, 12.0), (H2, 12.5)]),
    Case("bybit", "fetchFundingRates", [[LINEAR]], BYBIT | {"result": {"category": "linear", "list": [
        {"symbol": "BTCUSDT", "lastPrice": "100.5", "markPrice": "100.4", "indexPrice": "100.3", "openInterest": "12",
         "turnover24h": "1000", "volume24h": "10", "fundingRate": "0.0001", "timestamp": H1}]}},
         "tickers", "last_price, mark_price, index_price, volume, turnover, open_interest, funding_rate",
         [(100.5, 100.4, 100.3, 10.0, 1000.0, 12.0, 0.0001)], now=NOON),
    Case("okx", "fetchOHLCV", [LINEAR, "1h"], OKX | {"data": [[*row, row[6], "1"] for row in bars(2, 1)]},
         "klines", f"{OHLC}, volume", BARS),
    Case("okx", "fetchFundingRateHistory", [INVERSE], OKX | {"data": [
        {"instId": "BTC-USD-SWAP", "fundingRate": "0.0009", "realizedRate": "0.0007", "fundingTime": str(T0 + 8 * HOUR)},
        {"instId": "BTC-USD-SWAP", "fundingRate": "0.0009", "realizedRate": "0.0006", "fundingTime": str(T0)}]},
         "funding", "funding_time, funding_rate", [(T0, 0.0006), (T0 + 8 * HOUR, 0.0007)]),
    Case("okx", "fetchLongShortRatioHistory", [LINEAR, "1h"], OKX | {"data": [[str(H2), "1.5"], [str(H1), "1.25"]]},
         "long_short_ratios", "observed_at, long_short_ratio", [(H1, 1.25), (H2, 1.5)],
         where="population = 'accounts'"),
    Case("okx", "fetchOpenInterest", [LINEAR], OKX | {"data": [
        {"instId": "BTC-USDT-SWAP", "instType": "SWAP", "oi": "1000.5", "oiCcy": "10.005", "oiUsd": "1000", "ts": str(H1)}]},
         "open_interest", "observed_at, open_interest, open_interest_base", [(H1, 1000.5, 10.005)],
         origin="snapshot", now=NOON),
    Case("okx", "fetchMarketLeverageTiers", [LINEAR], OKX | {"data": [
        {"instFamily": "BTC-USDT", "tier": "1", "minSz": "0", "maxSz": "50", "mmr": "0.004", "imr": "0.01", "maxLever": "100"}]},
         "leverage_tiers", "tier_number, tier_cap, maintenance_rate, max_leverage", [(1, 50.0, 0.004, 100.0)], now=NOON),
    Case("bitget", "fetchOHLCV", [LINEAR, "1h"], BITGET | {"data": bars(1, 2)}, "klines", f"{OHLC}, volume", BARS),
    Case("bitget", "fetchOHLCV", [INVERSE, "1h"], BITGET | {"data": bars(1, 2)}, "klines", f"{OHLC}, volume", BARS),
    Case("bitget", "fetchFundingRateHistory", [LINEAR], BITGET | {"data": [
        {"symbol": "BTCUSDT", "fundingRate": "0.0005", "fundingTime": str(T0 + 8 * HOUR)},
        {"symbol": "BTCUSDT", "fundingRate": "0.0001", "fundingTime": str(T0)}]},
         "funding", "funding_time, funding_rate", [(T0, 0.0001), (T0 + 8 * HOUR, 0.0005)]),
    Case("bitget", "fetchOpenInterest", [LINEAR], BITGET | {"data": {
        "openInterestList": [{"symbol": "BTCUSDT", "size": "321.5"}], "ts": str(H1)}},
         "open_interest", "observed_at, open_interest", [(H1, 321.5)], now=NOON),
    Case("bybit", "fetchMarkets", [{"type": "swap", "subType": "linear"}], BYBIT | {"result": {"category": "linear", "list": [
        {"symbol": "NEWUSDT", "contractType": "LinearPerpetual", "status": "Trading", "baseCoin": "NEW", "quoteCoin": "USDT",
         "settleCoin": "USDT", "launchTime": str(T0), "deliveryTime": "0", "fundingInterval": "480",
         "leverageFilter": {"maxLeverage": "50"}, "priceFilter": {"tickSize": "0.1"}, "lotSizeFilter": {"qtyStep": "0.01"}}],
        "nextPageCursor": "more"}},
         "instruments", "base_code, tick_size, max_leverage", [("NEW", 0.1, 50.0)], now=NOON, about="NEW/USDT:USDT"),
    Case("bybit", "fetchMarketLeverageTiers", [LINEAR], BYBIT | {"result": {"category": "linear", "list": [
        {"id": "1", "symbol": "BTCUSDT", "riskLimitValue": "2000000", "maintenanceMargin": "0.005", "initialMargin": "0.01",
         "maxLeverage": "100.00", "mmDeduction": ""}], "nextPageCursor": ""}},
         "leverage_tiers", "tier_number, tier_cap, maintenance_rate", [(1, 2e6, 0.005)], now=NOON),
    Case("binance", "fetchLongShortRatioHistory", [LINEAR, "5m"],
         [{"symbol": "BTCUSDT", "longAccount": "0.6", "longShortRatio": "1.5", "shortAccount": "0.4", "timestamp": str(H1)}],
         "long_short_ratios", "observed_at, long_share, long_short_ratio", [(H1, 0.6, 1.5)], where="population = 'accounts'"),
    Case("bitget", "fetchTickers", [[LINEAR]], BITGET | {"data": [
        {"symbol": "BTCUSDT", "lastPr": "100.5", "markPrice": "100.4", "indexPrice": "0", "baseVolume": "3", "quoteVolume": "300",
         "holdingAmount": "40", "fundingRate": "0.0001", "ts": str(H1)}]},
         "tickers", "last_price, mark_price, index_price, open_interest", [(100.5, 100.4, None, 40.0)], now=NOON),
    Case("bitget", "fetchOrderBook", [INVERSE], BITGET | {"data": {"bids": BOOK[0], "asks": BOOK[1], "ts": str(H1)}},
         "depth", "percentage, quantity, best_price", [(-5.0, 8.0, 100.0), (5.0, 9.0, 102.0)], now=NOON,
         where="abs(percentage) = 5"),
    Case("hyperliquid", "fetchOrderBook", [HYPER],
         {"coin": "BTC", "time": str(H1), "levels": [[{"px": px, "sz": sz, "n": "1"} for px, sz in side] for side in BOOK]},
         "depth", "percentage, quantity, best_price", [(-5.0, 8.0, 100.0), (5.0, 9.0, 102.0)], now=NOON,
         where="abs(percentage) = 5"),
    Case("hyperliquid", "fetchOHLCV", [HYPER, "1h"], hyper_bars(1, 2), "klines", f"{OHLC}, volume", BARS),
    Case("hyperliquid", "fetchFundingRateHistory", [HYPER],
         [{"coin": "BTC", "fundingRate": "0.0000125", "premium": "0", "time": str(H1 + 5)},
          {"coin": "BTC", "fundingRate": "0.000015", "premium": "0", "time": str(H2 + 7)}],
         "funding", "funding_time, funding_rate", [(H1 + 5, 0.0000125), (H2 + 7, 0.000015)]),
    Case("hyperliquid", "fetchFundingRates", [[HYPER]],
         [{"universe": [{"name": "BTC", "szDecimals": "5", "maxLeverage": "40", "marginTableId": "40"}]},
          [{"markPx": "100.5", "oraclePx": "100.4", "openInterest": "77", "funding": "0.00001", "dayNtlVlm": "900",
            "dayBaseVlm": "9", "midPx": None}]],
         "tickers", "mark_price, index_price, open_interest, funding_rate", [(100.5, 100.4, 77.0, 0.00001)], now=NOON),
]  # fmt: skip


@pytest.mark.parametrize("case", CASES, ids=str)
def test_connectors_read_recordings(case: Case, kit: Any, tmp_path: Path) -> None:
    folder = write(tmp_path, case.exchange, {case.method: [entry(case.given, case.answer)]})
    made = kit(folder, case.now)
    asked = contract_of(case.exchange, case.symbol)
    rows = made.rows(
        case.exchange, case.entity, case.columns, asked, origin=case.origin, now=case.now, where=case.where
    )
    assert rows == case.want
    assert made.asked()["made up"] >= 1


# --- ccxt's own recordings, where there is a folder of them ---


def test_what_connectors_make_of_ccxts_candles_is_what_ccxt_made_of_them(kit: Any, tmp_path: Path) -> None:
    folder = os.environ.get("DELEVER_CCXT_FIXTURES")
    if not folder:
        pytest.skip("set DELEVER_CCXT_FIXTURES to a folder of ccxt's static response tests")
    differing: dict[str, Any] = {}
    tried = 0
    for file in sorted(Path(folder).rglob("*.json")):
        content = json.loads(file.read_text())
        for number, one in enumerate(content.get("methods", {}).get("fetchOHLCV", [])):
            alone = tmp_path / f"{file.stem}-{number}"
            alone.mkdir()
            fixtures = Fixtures(write(alone, content["exchange"], {"fetchOHLCV": [one]}))
            if not fixtures.served or not one.get("parsedResponse"):
                continue
            tried += 1
            want, got = candles(content["exchange"], one, fixtures.served[0].asks, kit, alone)
            if want != got:
                differing[f"{file.name}: {one['description']}"] = (want, got)
    assert tried, f"{folder} has no candles of a contract"
    assert not differing


def candles(
    exchange: str, one: dict[str, Any], asks: Mapping[str, Any], kit: Any, folder: Path
) -> tuple[list[Row], list[Row]]:
    """What ccxt read, and what a connector reads: prices, and volumes where both count the same."""
    params = one["input"][-1] if isinstance(one["input"][-1], dict) else {}
    kind = params.get("price", "last")
    perpetual, expiry = re.fullmatch(r"(.*?)(-\d{6})?", one["input"][0]).groups()
    contract = contract_of(exchange, perpetual)
    named = asks.get("symbol") or asks.get("instId") or asks.get("req.coin")
    if kind != "index" and named:
        contract = replace(contract, venue_symbol=named, is_perpetual=expiry is None)
    # Of inverse contracts ccxt takes for a volume what counts dollars on some venues and coins on others.
    has_volume = kind == "last" and contract.contract_type == "linear"
    want = [tuple(row[: 6 if has_volume else 5]) for row in one["parsedResponse"]]
    seconds = SECONDS[next((part for part in one["input"][1:2] if isinstance(part, str)), "1m")]
    days = [datetime.fromtimestamp(row[0] / 1000, UTC).date() for row in (want[0], want[-1])]
    now = datetime.combine(days[1] + timedelta(days=1), datetime.min.time(), UTC) + timedelta(hours=12)
    entity = {"last": "klines", "premiumIndex": "premium_klines"}.get(kind, "reference_klines")
    more = {"days": tuple(days), "now": now, "seconds": seconds}
    if entity == "reference_klines":
        more["where"] = f"price_kind = '{kind}'"
    columns = f"{OHLC}, volume" if has_volume else OHLC
    # What ccxt cut off an answer, by its limit, stays in ours.
    times = {row[0] for row in want}
    return want, [row for row in kit(folder, now).rows(exchange, entity, columns, contract, **more) if row[0] in times]
