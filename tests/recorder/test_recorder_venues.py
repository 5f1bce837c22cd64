"""What the recorder takes a message for, and how contracts are spread over connections."""

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st
from stream_server import bybit_push, okx_push, order

from dagster_project.lib.errors import DataError, UsageError
from dagster_project.recorder.listing import bybit_symbols, spread
from dagster_project.recorder.venues import BINANCE_STREAM, Binance, Bybit, Kind, Okx, latest, stream_url

VENUES = {"binance": Binance(), "bybit": Bybit(None, lambda _: []), "okx": Okx()}

# Answers as the venues' documentation shows them.
TALK = [
    ("binance", '{"result":null,"id":1}', Kind.CONTROL),
    ("binance", '{"error":{"code":2,"msg":"Invalid request"}}', Kind.REFUSED),
    ("binance", '{"e":"serverShutdown","E":1770123456789}', Kind.LEAVING),
    ("binance", '{"e":"aggTrade","E":1}', Kind.UNKNOWN),
    ("bybit", '{"success":true,"ret_msg":"pong","conn_id":"c","req_id":"","op":"ping"}', Kind.PONG),
    ("bybit", '{"args":["1672916271846"],"op":"pong"}', Kind.PONG),
    ("bybit", '{"success":true,"ret_msg":"","conn_id":"c","req_id":"100","op":"subscribe"}', Kind.CONFIRMED),
    (
        "bybit",
        '{"success":false,"ret_msg":"error:handler not found,topic:allLiquidation.X","op":"subscribe"}',
        Kind.REFUSED,
    ),
    ("bybit", '{"topic":"tickers.BTCUSDT","ts":1,"data":{}}', Kind.UNKNOWN),
    ("okx", "pong", Kind.PONG),
    ("okx", '{"id":"1","event":"subscribe","arg":{"channel":"liquidation-orders"},"connId":"c"}', Kind.CONFIRMED),
    ("okx", '{"event":"error","code":"60012","msg":"Invalid request","connId":"c"}', Kind.REFUSED),
    ("okx", '{"event":"notice","code":"64008","msg":"The connection will soon be closed"}', Kind.LEAVING),
    ("okx", '{"event":"channel-conn-count","channel":"liquidation-orders","connCount":"2"}', Kind.CONTROL),
    ("okx", '{"event":"channel-conn-count-error","channel":"liquidation-orders","connCount":"30"}', Kind.REFUSED),
    ("okx", '{"arg":{"channel":"tickers"},"data":[]}', Kind.UNKNOWN),
]


@pytest.mark.parametrize(("feed", "text", "kind"), TALK)
def test_talk_about_the_connection(feed: str, text: str, kind: Kind) -> None:
    assert VENUES[feed].hear(text).kind is kind


@pytest.mark.parametrize(
    ("feed", "text", "venue_ms"),
    [
        ("binance", order("BTCUSDT", 1_700_000_000_000), 1_700_000_000_003),
        ("bybit", bybit_push("BTCUSDT", 1_700_000_000_000, "1"), 1_700_000_000_200),
        ("okx", okx_push("BTC-USDT-SWAP", 1_700_000_000_000), 1_700_000_000_000),
    ],
)
def test_data_have_the_venues_time(feed: str, text: str, venue_ms: int) -> None:
    heard = VENUES[feed].hear(text)
    assert (heard.kind, heard.venue_ms) == (Kind.DATA, venue_ms)


def test_refusals_that_later_attempts_may_overcome() -> None:
    def again(feed: str, **answer: object) -> bool:
        return VENUES[feed].hear(json.dumps(answer)).again

    assert again("okx", event="error", code="60014", msg="Requests too frequent")
    assert not again("okx", event="error", code="60018", msg="channel doesn't exist")
    assert again("bybit", success=False, ret_code=10006, ret_msg="Too many visits", op="subscribe")
    assert not again("bybit", success=False, ret_msg="error:handler not found,topic:t", op="subscribe")


JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=8)
    | st.sampled_from(["forceOrder", "error"]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["e", "E", "event", "op", "success", "topic", "arg", "data", "ts", "code"]), inner
        )
    ),
    max_leaves=8,
)


@given(st.sampled_from(sorted(VENUES)), JSON.map(json.dumps) | st.text())
def test_no_message_can_break_the_understanding_of_it(feed: str, text: str) -> None:
    assert isinstance(VENUES[feed].hear(text).kind, Kind)


def test_times_that_are_none_are_passed_over() -> None:
    assert latest(["5", 7, "x", None, True, 1.5, "²", []]) == 7
    assert latest([]) is None


@given(
    st.lists(st.lists(st.text("ABCXYZ", min_size=1, max_size=12), unique=True, max_size=40), min_size=1, max_size=4),
)
def test_contracts_keep_their_connection(listings: list[list[str]]) -> None:
    chunks: list[list[str]] = []
    for listing in listings:
        before = {symbol: at for at, chunk in enumerate(chunks) for symbol in chunk}
        chunks = spread(chunks, sorted(listing))
        after = {symbol: at for at, chunk in enumerate(chunks) for symbol in chunk}
        assert sorted(after) == sorted(listing)
        assert all(after[symbol] == at for symbol, at in before.items() if symbol in after)


def test_no_connection_is_asked_for_more_than_bybit_allows() -> None:
    symbols = [f"{number:07d}LONGNAMEUSDT" for number in range(2000)]
    venue = Bybit(None, lambda category: symbols if category == "linear" else ["BTCUSD"])
    venue.refresh()
    # A topic takes 38 characters, so 21,000 have room for 552 of them: two thousand need four connections at the very least.
    assert len(venue.streams) >= 5
    assert {"inverse/allLiquidation", "linear/allLiquidation", "linear/allLiquidation#4"} <= set(venue.streams)
    asked = []
    for stream in venue.streams.values():
        # The limit is documented as the length of the args array of one connection.
        assert len(json.dumps(stream.args)) <= 21_000
        frames = [json.loads(venue.frame(request, args)) for request, args in venue.requests(stream).items()]
        assert len({frame["req_id"] for frame in frames}) == len(frames)
        asked += [arg for frame in frames for arg in frame["args"]]
    assert sorted(asked) == sorted(f"allLiquidation.{symbol}" for symbol in [*symbols, "BTCUSD"])


def test_base_urls(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("DELEVER_URL_BINANCE_STREAM")
    venue = Binance()
    venue.refresh()
    assert venue.streams["!forceOrder@arr"].url == "wss://fstream.binance.com/market/ws/!forceOrder@arr"
    monkeypatch.setenv("DELEVER_URL_BINANCE_STREAM", "https://mirror.example/b/")
    assert stream_url(BINANCE_STREAM, "/x") == "wss://mirror.example/b/x"
    monkeypatch.setenv("DELEVER_URL_BINANCE_STREAM", "ws://example.org")
    with pytest.raises(UsageError, match="DELEVER_URL_BINANCE_STREAM"):
        stream_url(BINANCE_STREAM, "/x")


class _Pages(BaseHTTPRequestHandler):
    """Two pages of contracts for linear, none for inverse, an error for anything else."""

    def do_GET(self) -> None:
        asked = parse_qs(urlsplit(self.path).query)
        assert asked["limit"] == ["1000"]
        page: dict[str, object] = {"retCode": 10001, "retMsg": "params error"}
        if asked["category"] == ["linear"]:
            second = asked.get("cursor") == ["next page"]
            listed = [{"symbol": "BTCUSDT"}] if not second else [{"symbol": "ETHUSDT"}, {"symbol": None}]
            page = {"retCode": 0, "result": {"list": listed, "nextPageCursor": "" if second else "next page"}}
        elif asked["category"] == ["inverse"]:
            page = {"retCode": 0, "result": {"list": []}}
        body = json.dumps(page).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture
def pages(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    with ThreadingHTTPServer(("127.0.0.1", 0), _Pages) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        monkeypatch.setenv("DELEVER_URL_BYBIT", f"http://127.0.0.1:{server.server_port}/bybit")
        yield
        server.shutdown()
        thread.join()


@pytest.mark.usefixtures("pages")
def test_contracts_are_asked_for_page_by_page() -> None:
    assert bybit_symbols("linear") == ["BTCUSDT", "ETHUSDT"]


@pytest.mark.usefixtures("pages")
def test_no_contracts_at_all_is_no_list() -> None:
    with pytest.raises(DataError, match="lists no inverse"):
        bybit_symbols("inverse")


@pytest.mark.usefixtures("pages")
def test_the_venues_own_error_is_told() -> None:
    with pytest.raises(DataError, match="params error"):
        bybit_symbols("spot")
