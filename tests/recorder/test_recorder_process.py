"""The recorder as a process: signals, kills, and two of them at once."""

import asyncio
import json
import os
import pty
import select
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from recorder_tools import events, gap_rows, messages, on_disk, status_of
from stream_server import VenueDouble, bybit_push, order, serving_in_thread

from dagster_project.lib.errors import UsageError
from dagster_project.lib.home import PROJECT_ROOT, Home
from dagster_project.lib.landing import Landing
from dagster_project.recorder import observe, record

START = """
import json, sys
from pathlib import Path
from dagster_project.lib.errors import DeleverError
from dagster_project.lib.home import Home
from dagster_project.recorder import Options, record
home, feeds, options = sys.argv[1], sys.argv[2].split(","), json.loads(sys.argv[3])
try:
    record(Home(Path(home)), feeds, options=Options(**options))
except DeleverError as error:
    print(error, file=sys.stderr)
    sys.exit(error.exit_code)
"""

NOW_MS = int(time.time() * 1000)

OPTIONS = {
    "flush_seconds": 0.02,
    "ping_seconds": 0.05,
    "backoff_first_seconds": 0.05,
    "report_seconds": 0.1,
    "idle_seconds": 60,
}


@contextmanager
def started(home: Home, *feeds: str, **options: float) -> Iterator[subprocess.Popen[str]]:
    """A recorder in a process of its own, which does not outlive the block."""
    command = [sys.executable, "-c", START, str(home.root), ",".join(feeds), json.dumps(OPTIONS | options)]
    process = subprocess.Popen(
        command,
        cwd=PROJECT_ROOT,
        env=os.environ | {"PYTHONFAULTHANDLER": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        yield process
    finally:
        process.kill()
        process.communicate(timeout=60)


def ended(process: subprocess.Popen[str]) -> str:
    """What a process that was told to stop has said; one that does not stop shows where its threads are."""
    try:
        return process.communicate(timeout=60)[1]
    except subprocess.TimeoutExpired:
        process.send_signal(signal.SIGABRT)
        pytest.fail(f"it does not stop:\n{process.communicate(timeout=60)[1]}")


def wait_for(condition: Callable[[], object], process: subprocess.Popen[str], seconds: float = 60) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert process.poll() is None, process.communicate()[1]
        assert time.monotonic() < deadline, "it did not happen"
        time.sleep(0.01)


def push(venue: VenueDouble, loop: asyncio.AbstractEventLoop, *texts: str) -> None:
    asyncio.run_coroutine_threadsafe(venue.push(*texts), loop).result(10)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_it_cleanly_with_everything_in_landing(
    home: Home, monkeypatch: pytest.MonkeyPatch, number: signal.Signals
) -> None:
    sent = [order("BTCUSDT", NOW_MS + at, number=at) for at in range(50)]
    with serving_in_thread("binance") as (venue, loop):
        monkeypatch.setenv("DELEVER_URL_BINANCE_STREAM", venue.url)
        # What was received last is not flushed yet when the signal comes.
        with started(home, "binance", flush_seconds=30) as process:
            wait_for(lambda: venue.subscribed, process)
            push(venue, loop, *sent)
            assert process.stderr is not None
            said = next(line for line in process.stderr if "binance: 50 messages" in line)
            assert len(on_disk(home, "binance")) < 50
            process.send_signal(number)
            ended(process)
    assert process.returncode == 0
    assert said
    assert messages(home, "binance") == sent
    (seen,) = observe(home)
    assert (seen.state, seen.messages) == ("stopped", 50)
    assert not seen.is_running()
    assert sorted(path.name for path in (home.root / "recorder" / "binance").iterdir()) == [
        "gaps.jsonl",
        "lock",
        "status.json",
    ]


def test_a_terminal_shows_how_it_goes(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    ours, theirs = pty.openpty()
    # Not select(): it refuses descriptors from 1024 on, which a worker late in a run may get.
    waiting = select.poll()
    waiting.register(ours, select.POLLIN)

    def shows(text: bytes) -> None:
        shown, deadline = b"", time.monotonic() + 40
        while text not in shown:
            assert time.monotonic() < deadline, shown
            if waiting.poll(100):
                shown += os.read(ours, 65536)

    with serving_in_thread("binance") as (venue, loop):
        monkeypatch.setenv("DELEVER_URL_BINANCE_STREAM", venue.url)
        monkeypatch.setenv("TERM", "xterm")
        command = [sys.executable, "-c", START, str(home.root), "binance", json.dumps(OPTIONS)]
        with subprocess.Popen(command, cwd=PROJECT_ROOT, stderr=theirs) as process:
            try:
                wait_for(lambda: venue.subscribed, process)
                shows(b"binance: 0 messages, last none yet, 0 reconnects")
                push(venue, loop, order())
                shows(b"binance: 1 messages")
                process.terminate()
                assert process.wait(60) == 0
            finally:
                process.kill()
    os.close(ours)
    os.close(theirs)


def test_a_kill_loses_nothing_that_was_flushed_and_its_gap_is_told(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    first = [order("BTCUSDT", NOW_MS + at, number=at) for at in range(20)]
    second = [order("BTCUSDT", NOW_MS + 100 + at, number=at) for at in range(10)]
    with serving_in_thread("binance") as (venue, loop):
        monkeypatch.setenv("DELEVER_URL_BINANCE_STREAM", venue.url)
        with started(home, "binance") as process:
            wait_for(lambda: venue.subscribed, process)
            push(venue, loop, *first)
            wait_for(lambda: on_disk(home, "binance") == first and status_of(home, "binance").messages == 20, process)
            process.send_signal(signal.SIGKILL)
            ended(process)
        assert process.returncode == -signal.SIGKILL
        (part,) = (home.root / "recorder" / "binance").glob("*.part")
        heard_at = status_of(home, "binance").last_heard_at
        killed_at = datetime.now(tz=heard_at.tzinfo) if heard_at else None
        # The kill came in the middle of a line.
        with part.open("ab") as stream:
            stream.write(b'{"received_at":"2026-')
        with started(home, "binance") as process:
            wait_for(lambda: venue.connections == 2 and venue.subscribed, process)
            # The venue repeats what it sent last.
            push(venue, loop, first[-1], *second)
            wait_for(lambda: len(on_disk(home, "binance")) == 11, process)
            restarted = status_of(home, "binance")
            process.terminate()
            said = ended(process)
        assert process.returncode == 0, said
    assert restarted.dropped_lines == 1
    assert messages(home, "binance") == [*first, first[-1], *second]
    assert len(events(home, "binance")) == 30
    assert len(Landing(home.landing).files("binance", "liquidations")) == 2
    assert all(Landing(home.landing).verify(entry) is None for entry in Landing(home.landing).all_files())
    _, gap = (row for row in gap_rows(home) if row.cause == "not_running")
    assert heard_at is not None
    assert killed_at is not None
    assert gap.gap_from_at == heard_at
    assert gap.gap_to_at > killed_at
    assert gap.gap_to_at - gap.gap_from_at < timedelta(seconds=60)


def test_a_kill_between_landing_and_clearing_up_doubles_nothing(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    sent = [order("BTCUSDT", NOW_MS + at, number=at) for at in range(5)]
    with serving_in_thread("binance") as (venue, loop):
        monkeypatch.setenv("DELEVER_URL_BINANCE_STREAM", venue.url)
        with started(home, "binance") as process:
            wait_for(lambda: venue.subscribed, process)
            push(venue, loop, *sent)
            wait_for(lambda: on_disk(home, "binance") == sent, process)
            (part,) = (home.root / "recorder" / "binance").glob("*.part")
            spooled = part.read_bytes()
            process.terminate()
            ended(process)
        (entry,) = Landing(home.landing).files("binance", "liquidations")
        # As if the finished segment had not been removed yet.
        name = Path(entry.path).stem
        (home.root / "recorder" / "binance" / f"{name}.all.jsonl").write_bytes(spooled)
        with started(home, "binance") as process:
            wait_for(lambda: status_of(home, "binance").segments_landed == 1, process)
            process.terminate()
            ended(process)
    assert [found.path for found in Landing(home.landing).all_files()] == [entry.path]
    assert messages(home, "binance") == sent


def test_one_recorder_a_home_and_feed(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    with serving_in_thread("binance") as (venue, _):
        monkeypatch.setenv("DELEVER_URL_BINANCE_STREAM", venue.url)
        with started(home, "binance") as process:
            wait_for(lambda: venue.subscribed, process)
            with pytest.raises(UsageError, match=f"already being recorded into this home, by process {process.pid}"):
                record(home, ["okx", "binance"])
            wait_for(lambda: status_of(home, "binance").state == "running", process)
            assert status_of(home, "binance").pid == process.pid
            process.send_signal(signal.SIGKILL)
            ended(process)
        # A killed one leaves its lock file, but not the lock.
        with started(home, "binance") as process:
            wait_for(lambda: venue.connections == 2, process)


def test_a_feed_that_is_refused_does_not_end_the_others(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    with serving_in_thread("binance") as (venue, loop), serving_in_thread("okx") as (refusing, _):
        monkeypatch.setenv("DELEVER_URL_BINANCE_STREAM", venue.url)
        monkeypatch.setenv("DELEVER_URL_OKX_STREAM", refusing.url)
        refusing.statuses = [451]
        with started(home, "binance", "okx") as process:
            wait_for(lambda: venue.subscribed and "okx" in [seen.feed for seen in observe(home) if seen.error], process)
            push(venue, loop, order())
            wait_for(lambda: on_disk(home, "binance") == [order()], process)
            process.terminate()
            said = ended(process)
    assert process.returncode == 0
    assert "okx is no longer recorded" in said
    assert "does not serve this region" in said
    assert {seen.feed: seen.state for seen in observe(home)} == {"binance": "stopped", "okx": "refused"}


def test_a_process_whose_every_feed_is_refused_ends_with_the_venues_words(
    home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    with serving_in_thread("okx") as (venue, _):
        monkeypatch.setenv("DELEVER_URL_OKX_STREAM", venue.url)
        venue.bad_topics = {json.dumps({"channel": "liquidation-orders", "instType": "SWAP"})}
        with started(home, "okx") as process:
            _, said = process.communicate(timeout=40)
    assert process.returncode == 3
    assert "60018" in said
    assert "Traceback" not in said


def test_it_stops_at_once_while_a_venue_does_not_answer(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    class Silent(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.set()
            release.wait(30)

        def log_message(self, *_: object) -> None:
            pass

    asked, release = threading.Event(), threading.Event()
    with ThreadingHTTPServer(("127.0.0.1", 0), Silent) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        monkeypatch.setenv("DELEVER_URL_BYBIT", f"http://127.0.0.1:{server.server_port}/bybit")
        with started(home, "bybit") as process:
            wait_for(asked.is_set, process)
            began = time.monotonic()
            process.terminate()
            ended(process)
            assert time.monotonic() - began < 5
        release.set()
        server.shutdown()
        thread.join()
    assert process.returncode == 0


def test_bybit_is_recorded_from_its_own_list_of_contracts(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    class Pages(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            symbol = "BTCUSDT" if "category=linear" in self.path else "BTCUSD"
            body = json.dumps({"retCode": 0, "result": {"list": [{"symbol": symbol}], "nextPageCursor": ""}}).encode()
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Pages) as server, serving_in_thread("bybit") as (venue, loop):
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        monkeypatch.setenv("DELEVER_URL_BYBIT", f"http://127.0.0.1:{server.server_port}/bybit")
        monkeypatch.setenv("DELEVER_URL_BYBIT_STREAM", venue.url)
        with started(home, "bybit") as process:
            wait_for(lambda: len(venue.subscribed) == 2, process)
            push(venue, loop, bybit_push("BTCUSD", NOW_MS, "5"))
            wait_for(lambda: len(on_disk(home, "bybit")) == 2, process)
            process.terminate()
            ended(process)
        server.shutdown()
        thread.join()
    assert process.returncode == 0
    assert [product for product, _, _ in events(home, "bybit")] == ["inverse", "linear"]


@pytest.mark.parametrize(
    ("feeds", "symbols", "says"),
    [(["kraken"], None, "kraken"), ([], None, "choose of"), (["okx"], ["BTCUSDT"], "--symbols goes with")],
)
def test_calls_that_cannot_work(home: Home, feeds: list[str], symbols: list[str] | None, says: str) -> None:
    with pytest.raises(UsageError, match=says):
        record(home, feeds, symbols)
