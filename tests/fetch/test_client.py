"""The client against a real server: what is asked again, what stops, what is bounded, and where keys never show."""

import json
import logging
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from dagster_project.fetch.client import ATTEMPTS, Client, NotThereError, Page, StoppedError
from dagster_project.fetch.hosts import Host, Refusal
from dagster_project.fetch.secrets import SECRET_VARIABLES, header_secret, redact
from dagster_project.lib.errors import DataError
from venue_server import Server

PATH = "/v5/market/tickers"
LINEAR = {"category": "linear"}


def ask(client: Client, host: Host) -> Page:
    return client.get(host, PATH, LINEAR)


@pytest.mark.parametrize("fault", ["500", "502", "503", "reset", "truncated", "html", "empty_body", "not_json"])
def test_what_passes_is_asked_again(fault: str, server: Server, host: Host, client: Client) -> None:
    whole = ask(client, host).document["result"]
    server.requests.clear()
    server.faults.put(fault, "bybit" + PATH, on=(1, 2))
    assert ask(client, host).document["result"] == whole
    assert server.requests.count("bybit") == 3


@pytest.mark.parametrize("fault", ["500", "reset", "truncated", "html", "not_json"])
def test_what_does_not_pass_ends_with_the_address_and_the_remedy(
    fault: str, server: Server, host: Host, client: Client
) -> None:
    server.faults.put(fault, "bybit" + PATH)
    with pytest.raises(
        DataError, match=rf"{PATH}\?category=linear: no usable answer in {ATTEMPTS} attempts.*Run again"
    ):
        ask(client, host)
    assert server.requests.count("bybit") == ATTEMPTS


def test_retry_after_is_waited_for(server: Server, host: Host, client: Client) -> None:
    server.faults.put("429", "bybit" + PATH, on=1, retry_after="0.6")
    ask(client, host)
    first, second = server.requests.all("bybit")
    assert second.at - first.at >= 0.55


def test_a_retry_after_of_an_hour_is_a_stop(server: Server, host: Host, client: Client) -> None:
    server.faults.put("429", "bybit" + PATH, retry_after="3600")
    with pytest.raises(StoppedError, match="3600 s"):
        ask(client, host)
    assert server.requests.count("bybit") == 1


@pytest.mark.parametrize(("fault", "says"), [("403", "403.*refuses"), ("418", "418.*banned"), ("451", "451.*region")])
def test_a_refusal_is_not_asked_again(fault: str, says: str, server: Server, host: Host, client: Client) -> None:
    server.faults.put(fault, "bybit" + PATH)
    with pytest.raises(StoppedError, match=says):
        ask(client, host)
    assert server.requests.count("bybit") == 1


@pytest.mark.parametrize("fault", ["redirect_file", "redirect_ftp", "redirect_host"])
def test_no_redirect_is_followed(fault: str, server: Server, host: Host, client: Client) -> None:
    server.faults.put(fault, "bybit" + PATH)
    with pytest.raises(StoppedError, match=r"redirected to .* follows no redirect"):
        ask(client, host)


def test_a_page_that_declares_ten_gigabytes_is_not_read(server: Server, host: Host, client: Client) -> None:
    server.faults.put("huge_length", "bybit" + PATH)
    with pytest.raises(DataError, match="declares 10000000000 bytes"):
        ask(client, host)


def test_a_path_that_is_not_there_is_told_apart(server: Server, host: Host, client: Client) -> None:
    server.faults.put("404", "bybit" + PATH)
    with pytest.raises(NotThereError):
        ask(client, host)


@pytest.mark.parametrize(
    ("kind", "requests", "error"),
    [("rate", ATTEMPTS, DataError), ("retry", ATTEMPTS, DataError), ("stop", 1, StoppedError)],
)
def test_a_venues_error_inside_200_is_an_error(
    kind: str, requests: int, error: type[Exception], server: Server, client: Client
) -> None:
    host = Host(f"refusing_{kind}", server.base("bybit"), ((100_000, 1.0),), lambda _: Refusal(kind, "code 7: no"))  # type: ignore[arg-type]
    with pytest.raises(error, match="code 7: no"):
        ask(client, host)
    assert server.requests.count("bybit") == requests


KEY = "s3cr3t-key-of-a-user"


@pytest.fixture
def key(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    for name in SECRET_VARIABLES:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("DELEVER_COINGLASS_KEY", KEY)
    yield KEY


def test_a_key_is_sent_and_never_shown(
    key: str, server: Server, client: Client, caplog: pytest.LogCaptureFixture
) -> None:
    host = Host("echo", server.base("coinglass"), ((100_000, 1.0),))
    secret = header_secret("CG-API-KEY", "DELEVER_COINGLASS_KEY")
    assert secret is not None
    with caplog.at_level(logging.DEBUG):
        page = client.get(host, "/api/futures/open-interest/exchange-list", {"symbol": "BTC"}, secret=secret)
    assert key not in page.url
    assert key not in repr(secret)
    assert key not in "".join(
        record.getMessage() for record in caplog.records if not record.name.startswith("httpcore")
    )


class Echo(BaseHTTPRequestHandler):
    """A venue that repeats the key that it was sent: in an error, or in an answer."""

    def do_GET(self) -> None:
        said = json.dumps({"msg": f"key {self.headers.get('CG-API-KEY')} is {self.path}"}).encode()
        self.send_response(400 if self.path == "/bad" else 200)
        self.send_header("content-length", str(len(said)))
        self.end_headers()
        self.wfile.write(said)

    def log_message(self, *_: object) -> None:
        """Keep the test's output clean."""


@pytest.fixture
def echo() -> Iterator[Host]:
    with ThreadingHTTPServer(("127.0.0.1", 0), Echo) as listener:
        thread = threading.Thread(target=listener.serve_forever)
        thread.start()
        yield Host("echo", f"http://127.0.0.1:{listener.server_port}", ((100_000, 1.0),))
        listener.shutdown()
        thread.join()


def test_a_key_that_a_venue_echoes_is_masked(key: str, echo: Host, client: Client) -> None:
    assert redact(f"invalid key {key}!") == "invalid key ***!"
    secret = header_secret("CG-API-KEY", "DELEVER_COINGLASS_KEY")
    with pytest.raises(DataError, match=r"key \*\*\* is /bad"):
        client.get(echo, "/bad", secret=secret)
    # What would be landed.
    assert client.get(echo, "/good", secret=secret).body == b'{"msg": "key *** is /good"}'
