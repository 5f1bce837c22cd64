"""A local server and hosts that point at it; limits in a folder of the test's own."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from dagster_project.fetch.client import Client
from dagster_project.fetch.hosts import Host
from venue_server import Server


@pytest.fixture(autouse=True)
def own_limits(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DELEVER_LIMITS", str(tmp_path / "limits"))


@pytest.fixture(scope="session")
def shared_server() -> Iterator[Server]:
    with Server() as server:
        yield server


@pytest.fixture
def server(shared_server: Server) -> Server:
    shared_server.faults.clear()
    shared_server.requests.clear()
    return shared_server


@pytest.fixture
def client() -> Iterator[Client]:
    with Client(retry_seconds=0.005, timeout_seconds=5) as made:
        yield made


@pytest.fixture
def host(server: Server) -> Host:
    return Host("bybit_test", server.base("bybit"), ((100_000, 1.0),))
