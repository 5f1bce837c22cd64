"""Every way in which any connector fetches anything, under every fault that can happen there."""

from collections.abc import Iterator

import pytest

from dagster_project.fetch.client import StoppedError
from dagster_project.lib.errors import DataError, DeleverError
from dagster_project.sources.feed import Feed
from dagster_project.sources.registry import FEEDS
from faults.connectors import CASES, Bench, Case, environment, rows, ways
from venue_server import Server, World


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    with Server(World(symbols=3)) as server:
        yield Bench(server, tmp_path_factory.mktemp("faults"))


@pytest.fixture(autouse=True)
def asks_the_server(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in environment(bench.server, bench.folder.parent).items():
        monkeypatch.setenv(name, value)


@pytest.mark.parametrize(("name", "entity", "origin"), ways())
def test_a_fault_changes_no_row_or_stops_clearly(name: str, entity: str, origin: str, bench: Bench) -> None:
    feed = FEEDS[name, entity]
    bench.server.faults.clear()
    home, days = bench.home(name), bench.days(feed, origin)
    _, intake = bench.ask(home, feed, origin, days)
    undisturbed = rows(home, feed)
    assert undisturbed, "the server has nothing to tell: the test would prove nothing"
    assert intake.quarantined == 0, intake.reasons
    for case in CASES:
        if ("archive" if "archive" in origin else "rest") in case.origins:
            verdict = strike(bench, feed, origin, case, undisturbed)
            assert verdict is None, f"{case.name}: {verdict}"


def strike(bench: Bench, feed: Feed, origin: str, case: Case, undisturbed: set[tuple[object, ...]]) -> str | None:
    """Fetch under a fault; what is wrong with what came of it."""
    home, days = bench.home(feed.name), bench.days(feed, origin)
    put = [bench.server.faults.put(fault, f"{feed.name}*{case.at}", **options) for fault, options in case.faults]
    try:
        missing, intake = bench.ask(home, feed, origin, days)
    except DeleverError as error:
        return _of_a_stop(feed, case, error)
    finally:
        struck = all(fault.struck for fault in put)
        bench.server.faults.clear()
    found = rows(home, feed)
    if not struck or case.outcome == "same rows":
        # Not struck: this way makes too few requests, or none of that kind, for the fault to happen.
        return None if found == undisturbed else "other rows"
    if case.outcome == "listed as not published" and missing and not found:
        return None
    if case.outcome == "clear stop or set aside" and intake.quarantined:
        return None
    # The right rows are no excuse: a checksum that nobody compares leaves them right.
    return f"{len(found)} of {len(undisturbed)} rows, and nobody was told"


def _of_a_stop(feed: Feed, case: Case, error: DeleverError) -> str | None:
    if case.outcome in {"same rows", "listed as not published"}:
        return f"stopped: {error}"
    if not isinstance(error, DataError | StoppedError) or feed.name not in str(error):
        return f"stopped without saying where: {error!r}"
    return None
