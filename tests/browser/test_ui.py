"""Dagster's pages and daemon on a built home, started as a user starts them and looked at in headless Chromium."""

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, ConsoleMessage, Page, expect, sync_playwright

from built_homes import has_real_data
from dagster_project.lib.home import PROJECT_ROOT, Home
from dagster_project.lib.publish import read_snapshot
from schemas.marts import MART_MODELS

pytestmark = [pytest.mark.browser, pytest.mark.xdist_group("real"), pytest.mark.slow]

READY_SECONDS = 120
RUN_SECONDS = 480
MART = ["marts", "fct_exchange_share"]
SELECTOR = {"repositoryLocationName": "delever", "repositoryName": "__repository__"}
CHROMIUM_OPTIONS = (
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)


def wait_for(what: str, seconds: float, ask: Callable[[], Any]) -> Any:
    """Poll until the answer is true."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        answer = ask()
        if answer:
            return answer
        time.sleep(0.5)
    pytest.fail(f"{what}: not within {seconds:.0f} s")


class Server:
    """A running `dagster dev`: its address, its home, and its GraphQL."""

    def __init__(self, home: Home, url: str) -> None:
        self.home, self.url = home, url

    def ask(self, query: str, **variables: Any) -> dict[str, Any]:
        """Answer of the web server to a GraphQL document."""
        body = json.dumps({"query": query, "variables": variables}).encode()
        request = urllib.request.Request(f"{self.url}/graphql", body, {"Content-Type": "application/json"})  # noqa: S310
        with urllib.request.urlopen(request, timeout=60) as response:  # noqa: S310 - our own address
            answer = json.load(response)
        assert "errors" not in answer, answer["errors"]
        return answer["data"]

    def is_ready(self) -> bool:
        """The code location is loaded, and the daemon that runs schedules has reported."""
        try:
            data = self.ask(
                "{workspaceOrError {... on Workspace {locationEntries {loadStatus locationOrLoadError {__typename}}}} "
                'instance {daemonHealth {daemonStatus(daemonType: "SCHEDULER") {healthy}}}}'
            )
        except (urllib.error.URLError, ConnectionError, TimeoutError):
            return False
        entries = data["workspaceOrError"].get("locationEntries", [])
        loaded = [entry["loadStatus"] == "LOADED" and entry["locationOrLoadError"] for entry in entries]
        return bool(loaded) and all(loaded) and bool(data["instance"]["daemonHealth"]["daemonStatus"]["healthy"])

    def runs(self) -> dict[str, dict[str, Any]]:
        """All runs by id, newest first."""
        data = self.ask(
            "{runsOrError(limit: 50) {... on Runs {results {id jobName status tags {key value} stats "
            "{... on RunStatsSnapshot {stepsFailed}}}}}}"
        )
        return {
            run["id"]: run | {"tags": {tag["key"]: tag["value"] for tag in run["tags"]}}
            for run in data["runsOrError"]["results"]
        }

    def finished(self, run_id: str) -> str | None:
        """A run's status when it has come to its end."""
        status = self.runs()[run_id]["status"]
        return status if status in {"SUCCESS", "FAILURE", "CANCELED"} else None

    def published(self) -> tuple[str, dict[str, str]]:
        """What readers see: the link's target and each table's digest."""
        snapshot = read_snapshot(self.home)
        assert snapshot is not None
        return str(self.home.published.readlink()), {
            f"{one.schema_name}.{one.name}": one.digest for one in snapshot.tables
        }


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def group_is_alive(group: int) -> bool:
    """Whether any process of a group still runs."""
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            state, _, its_group = stat.read_text().rpartition(")")[2].split()[:3]
        except OSError:
            continue
        if int(its_group) == group and state != "Z":
            return True
    return False


def stop(process: subprocess.Popen[bytes]) -> None:
    """End a process and all that it started: asked first, then made."""
    for number, seconds in ((signal.SIGINT, 30), (signal.SIGTERM, 10), (signal.SIGKILL, 10)):
        if not group_is_alive(process.pid):
            break
        os.killpg(process.pid, number)
        deadline = time.monotonic() + seconds
        while group_is_alive(process.pid) and time.monotonic() < deadline:
            process.poll()
            time.sleep(0.2)
    process.wait(timeout=10)


@pytest.fixture(scope="module")
def home(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Home]:
    """A copy of the home of the real files, else of the demo's: runs from the pages are no part of what other tests look at."""
    built = request.getfixturevalue("real" if has_real_data() else "demo")
    copy = Home(tmp_path_factory.mktemp("ui") / "home")
    shutil.copytree(built.home.root, copy.root, symlinks=True)
    yield copy
    # Half a gigabyte that pytest would keep for its last three runs; landed files are read-only.
    for folder, _, _ in os.walk(copy.root):
        Path(folder).chmod(0o755)
    shutil.rmtree(copy.root)


@pytest.fixture(scope="module")
def server(home: Home, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """`dagster dev` on the home, with a schedule of every minute that is not switched on."""
    port = free_port()
    log = tmp_path_factory.mktemp("dagster_dev") / "log.txt"
    command = [str(Path(sys.executable).with_name("dagster")), "dev", "-w", "workspace.yaml"]
    command += ["-h", "127.0.0.1", "-p", str(port)]
    environment = os.environ | {
        "DELEVER_HOME": str(home.root),
        "DAGSTER_HOME": str(home.dagster_home),
        "DELEVER_DAILY_CRON": "* * * * *",
    }
    with log.open("wb") as sink:
        process = subprocess.Popen(
            command, cwd=PROJECT_ROOT, env=environment, stdout=sink, stderr=sink, start_new_session=True
        )
        running = Server(home, f"http://127.0.0.1:{port}")
        try:
            wait_for(
                "dagster dev answers",
                READY_SECONDS,
                lambda: process.poll() is not None or running.is_ready(),
            )
            assert process.poll() is None, log.read_text()[-4000:]
            # The dialog that asks newcomers for their address hides the pages behind it.
            running.ask("mutation {setNuxSeen}")
            yield running
        finally:
            stop(process)
    assert not group_is_alive(process.pid)


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    """Debian's Chromium, driven by playwright; it downloads nothing."""
    path = shutil.which("chromium")
    if path is None:
        advice = "chromium is not installed; apt-get install chromium"
        if os.environ.get("CI") == "true":
            pytest.fail(advice)
        pytest.skip(advice)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=list(CHROMIUM_OPTIONS))
        yield browser
        browser.close()


class Visit:
    """A page and the errors that it has reported."""

    def __init__(self, page: Page) -> None:
        self.page = page
        self.errors: list[str] = []
        page.on("console", self._on_console)
        page.on("pageerror", lambda error: self.errors.append(str(error)))

    def _on_console(self, message: ConsoleMessage) -> None:
        # Dagster's pages name fonts and feeds on the internet, which a test has not: not the page's own fault.
        address = message.location.get("url", "")
        if message.type == "error" and (not address or address.startswith("http://127.0.0.1")):
            self.errors.append(f"{message.text} ({address})")


@pytest.fixture
def visit(chromium: Browser) -> Iterator[Visit]:
    context = chromium.new_context(viewport={"width": 1700, "height": 1000})
    # Nothing leaves this machine.
    context.route(lambda url: not url.startswith("http://127.0.0.1"), lambda route: route.abort())
    context.set_default_timeout(30_000)
    expect.set_options(timeout=30_000)
    yield Visit(context.new_page())
    context.close()


def assert_no_banner(page: Page) -> None:
    for text in ("failed to load", "Unexpected GraphQL error", "Error loading", "Sorry, something went wrong"):
        expect(page.get_by_text(text)).to_have_count(0)


def test_asset_graph_shows_the_marts_and_what_they_rest_on(server: Server, visit: Visit, tmp_path: Path) -> None:
    page = visit.page
    page.goto(f"{server.url}/assets/{'/'.join(MART)}?view=lineage")
    for node in (MART[1], "int_volume__daily", "int_open_interest__daily"):
        expect(page.get_by_text(node, exact=True).last).to_be_visible()
    page.screenshot(path=tmp_path / "graph.png")
    page.goto(f"{server.url}/asset-groups~/{'%2F'.join(MART)}")
    for mart in MART_MODELS:
        expect(page.get_by_text(mart, exact=True).first).to_be_visible()
    assert_no_banner(page)
    assert visit.errors == []
    assert (tmp_path / "graph.png").stat().st_size > 20_000, "the picture is not empty"


def test_all_groups_of_the_location_are_in_the_graph(server: Server, visit: Visit, tmp_path: Path) -> None:
    page = visit.page
    page.goto(f"{server.url}/asset-groups~")
    for group in ("landing", "raw", "staging", "intermediate", "marts", "published", "stress", "seeds"):
        expect(page.get_by_text(group, exact=True).first).to_be_visible()
    page.screenshot(path=tmp_path / "groups.png")
    assert_no_banner(page)
    assert visit.errors == []


def launch(server: Server, path: list[str]) -> str:
    """Materialise one asset through the running web server; the run's id."""
    answer = server.ask(
        "mutation($p: ExecutionParams!) {launchPipelineExecution(executionParams: $p) {__typename "
        "... on LaunchRunSuccess {run {runId}} ... on PythonError {message} ... on InvalidSubsetError {message} "
        "... on RunConfigValidationInvalid {errors {message}}}}",
        p={
            "selector": SELECTOR | {"pipelineName": "__ASSET_JOB", "assetSelection": [{"path": path}]},
            "mode": "default",
            "runConfigData": "{}",
        },
    )["launchPipelineExecution"]
    assert answer["__typename"] == "LaunchRunSuccess", answer
    return str(answer["run"]["runId"])


def test_one_mart_is_made_by_the_server_and_shows_rows_and_columns(
    server: Server, visit: Visit, tmp_path: Path
) -> None:
    before = server.published()
    page = visit.page
    run_id = launch(server, MART)
    status = wait_for("the run ends", RUN_SECONDS, lambda: server.finished(run_id))
    assert status == "SUCCESS"
    made = server.ask(
        "query($key: AssetKeyInput!) {assetNodeOrError(assetKey: $key) {... on AssetNode {assetMaterializations(limit: 1) "
        "{runId metadataEntries {label ... on IntMetadataEntry {intValue} ... on TableSchemaMetadataEntry "
        "{schema {columns {name type description}}}}}}}}",
        key={"path": MART},
    )["assetNodeOrError"]["assetMaterializations"][0]
    assert made["runId"] == run_id
    entries = {entry["label"]: entry for entry in made["metadataEntries"]}
    snapshot = read_snapshot(server.home)
    assert snapshot is not None
    (rows,) = [table.rows for table in snapshot.tables if table.name == MART[1]]
    assert entries["dagster/row_count"]["intValue"] == rows > 0
    columns = entries["dagster/column_schema"]["schema"]["columns"]
    assert {column["name"] for column in columns} == MART_MODELS[MART[1]].to_schema().columns.keys()
    assert all(column["type"] and column["description"] for column in columns)
    # What readers see is another asset, which nobody has asked for.
    assert server.published() == before

    page.goto(f"{server.url}/assets/{'/'.join(MART)}?view=overview")
    expect(page.get_by_text(MART[1]).first).to_be_visible()
    page.screenshot(path=tmp_path / "mart.png", full_page=True)
    assert_no_banner(page)
    assert visit.errors == []


STATE = "{__typename ... on ScheduleStateResult {scheduleState {id status}} ... on PythonError {message}}"


def start_schedule(server: Server) -> str:
    """Switch the daily schedule on, as its toggle in the pages does; the id of its state."""
    answer = server.ask(
        f"mutation($s: ScheduleSelector!) {{startSchedule(scheduleSelector: $s) {STATE}}}",
        s=SELECTOR | {"scheduleName": "daily"},
    )["startSchedule"]
    assert answer["__typename"] == "ScheduleStateResult", answer
    assert answer["scheduleState"]["status"] == "RUNNING"
    return str(answer["scheduleState"]["id"])


def stop_schedule(server: Server, state: str) -> None:
    answer = server.ask(f"mutation($id: String!) {{stopRunningSchedule(id: $id) {STATE}}}", id=state)
    assert answer["stopRunningSchedule"]["__typename"] == "ScheduleStateResult", answer


def schedule_is_on(server: Server) -> bool:
    data = server.ask(
        "query($s: ScheduleSelector!) {scheduleOrError(scheduleSelector: $s) {... on Schedule {scheduleState {status}}}}",
        s=SELECTOR | {"scheduleName": "daily"},
    )
    return bool(data["scheduleOrError"]["scheduleState"]["status"] == "RUNNING")


def test_daemon_runs_the_schedule_and_a_day_without_rows_changes_nothing(server: Server) -> None:
    before = server.published()
    known = set(server.runs())

    def asked_for() -> list[dict[str, Any]]:
        new = [run for run_id, run in server.runs().items() if run_id not in known]
        return [run for run in new if run["tags"].get("dagster/schedule_name") == "daily"]

    state = start_schedule(server)
    try:
        (first,) = wait_for("the daemon asks for a run", 150, asked_for)
    finally:
        stop_schedule(server, state)
    assert first["jobName"] == "daily"
    days = {f"{datetime.now(UTC) - timedelta(days=back):%Y-%m-%d}" for back in (1, 2)}  # a midnight may have passed
    assert first["tags"]["dagster/partition"] in days

    def ended() -> str | None:
        # The daemon that was at work on the tick writes the state that it began with, so the switch is held.
        if schedule_is_on(server):
            stop_schedule(server, state)
        return server.finished(first["id"])

    assert wait_for("the run ends", RUN_SECONDS, ended) == "SUCCESS"
    assert server.published() == before
    assert not schedule_is_on(server)
    assert [run["id"] for run in asked_for()] == [first["id"]]
