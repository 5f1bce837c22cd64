"""One count for all processes: windows are kept across processes and threads, and a pause of one holds them all."""

import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from dagster_project.fetch.hosts import Host
from dagster_project.fetch.limits import HostLimit
from dagster_project.lib.errors import UsageError
from dagster_project.lib.home import PROJECT_ROOT

ASK = """
import time
from dagster_project.fetch.hosts import Host
from dagster_project.fetch.limits import HostLimit
limit = HostLimit(Host("shared", "https://venue.example", ((10, 1.0),)))
for _ in range(15):
    limit.wait()
    print(time.time(), flush=True)
"""


def most_within(moments: list[float], seconds: float) -> int:
    return max(sum(first <= moment < first + seconds for moment in moments) for first in moments)


def test_two_processes_share_one_count(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(PROJECT_ROOT)
    running = [subprocess.Popen([sys.executable, "-c", ASK], stdout=subprocess.PIPE, text=True) for _ in range(2)]
    moments = sorted(float(line) for one in running for line in one.communicate(timeout=60)[0].split())
    assert len(moments) == 30
    # The moment is noted after the permit, so a slow print may carry one into the next window.
    assert most_within(moments, 1.0) <= 11
    assert moments[-1] - moments[0] >= 1.9


def test_threads_of_a_process_share_it_too() -> None:
    limit = HostLimit(Host("threads", "https://venue.example", ((10, 1.0),)))

    def ask(_: int) -> float:
        limit.wait()
        return time.time()

    with ThreadPoolExecutor(6) as pool:
        moments = sorted(pool.map(ask, range(25)))
    assert most_within(moments, 1.0) <= 11


def test_weight_counts() -> None:
    limit = HostLimit(Host("weights", "https://venue.example", ((10, 0.5),)))
    started = time.monotonic()
    for _ in range(4):
        limit.wait(weight=5)
    assert time.monotonic() - started >= 0.45


def test_a_pause_holds_every_process() -> None:
    host = Host("paused", "https://venue.example", ((1000, 1.0),))
    HostLimit(host).pause(0.3)
    slept: list[float] = []

    def sleep(seconds: float) -> None:
        slept.append(seconds)
        time.sleep(seconds)

    HostLimit(host, sleep=sleep).wait()
    assert 0.2 < sum(slept) <= 0.31


def test_threads_that_are_refused_at_once_all_pause() -> None:
    limit = HostLimit(Host("refused", "https://venue.example", ((1000, 1.0),)))
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda _: limit.pause(0.01), range(200)))


def test_a_mirror_has_a_count_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    host = Host("mirrored", "https://venue.example", ((1, 30.0),))
    HostLimit(host).wait()
    monkeypatch.setenv("DELEVER_URL_MIRRORED", "https://mirror.example/venue")
    started = time.monotonic()
    HostLimit(host).wait()
    assert time.monotonic() - started < 5


def test_the_environment_sets_the_rate(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DELEVER_RATE_PLAN", "1200/60")
    assert Host("plan", "https://venue.example", ((30, 60.0),)).limits() == ((1200, 60.0),)


@pytest.mark.parametrize("text", ["fast", "0/60", "10/0", "-1/1", "10"])
def test_a_rate_that_is_none_is_refused(text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DELEVER_RATE_PLAN", text)
    with pytest.raises(UsageError, match="DELEVER_RATE_PLAN"):
        Host("plan", "https://venue.example", ((30, 60.0),)).limits()


@pytest.mark.parametrize(
    "url",
    [
        "http://venue.example",
        "file:///etc/passwd",
        "ftp://venue.example",
        "https://user:pw@venue.example",
        "venue.example",
    ],
)
def test_a_base_url_that_is_not_https_is_refused(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DELEVER_URL_PLAN", url)
    with pytest.raises(UsageError, match="DELEVER_URL_PLAN"):
        Host("plan", "https://venue.example", ((30, 60.0),)).base()
