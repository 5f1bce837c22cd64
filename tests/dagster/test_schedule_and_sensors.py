"""What the schedule and the sensors ask for, without a daemon: evaluated as the daemon evaluates them."""

import os
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import dagster as dg
import pytest
from delever_definitions import repository

from dagster_project.lib.home import Home
from dagster_project.lib.resources import HomeResource

pytestmark = pytest.mark.xdist_group("definitions")

SPEC = """
dataset: funding
path: {path}
format: csv
source: test
licence: none
source_class: measured
completeness: complete
venue: {{value: binance}}
time: {{column: time}}
columns: {{venue_symbol: symbol, base_asset: base, funding_rate: {column}}}
"""
START_TAG = "dagster/asset_partition_range_start"
END_TAG = "dagster/asset_partition_range_end"


@pytest.fixture(scope="session")
def code() -> dg.RepositoryDefinition:
    return repository()


@pytest.fixture
def instance() -> Iterator[dg.DagsterInstance]:
    with dg.DagsterInstance.ephemeral() as made:
        yield made


@pytest.mark.parametrize(
    ("now", "day"),
    [
        ("2025-10-11T06:30:00+00:00", "2025-10-10"),
        ("2025-10-11T00:00:00+00:00", "2025-10-10"),
        ("2025-10-11T23:59:00+00:00", "2025-10-10"),
        ("2026-01-01T06:30:00+00:00", "2025-12-31"),
    ],
)
def test_daily_schedule_asks_for_the_last_complete_utc_day(
    code: dg.RepositoryDefinition, instance: dg.DagsterInstance, now: str, day: str
) -> None:
    schedule = code.get_schedule_def("daily")
    context = dg.build_schedule_context(
        instance=instance, scheduled_execution_time=datetime.fromisoformat(now), repository_def=code
    )
    requests = schedule.evaluate_tick(context).run_requests
    assert [request.partition_key for request in requests or ()] == [day]
    assert schedule.execution_timezone == "UTC"
    assert schedule.default_status is dg.DefaultScheduleStatus.STOPPED


def test_ticks_of_the_schedule_are_told_apart(code: dg.RepositoryDefinition, instance: dg.DagsterInstance) -> None:
    keys = []
    for minute in (30, 31, 30):
        at = datetime(2025, 10, 11, 6, minute, tzinfo=UTC)
        context = dg.build_schedule_context(instance=instance, scheduled_execution_time=at, repository_def=code)
        keys += [one.run_key for one in code.get_schedule_def("daily").evaluate_tick(context).run_requests]
    assert keys[0] == keys[2]
    assert keys[0] != keys[1]


class Inbox:
    """The sensor over an inbox folder, with its cursor from tick to tick."""

    def __init__(self, code: dg.RepositoryDefinition, instance: dg.DagsterInstance, home: Home) -> None:
        self.code, self.instance, self.home = code, instance, home
        self.folder = home.inbox
        self.cursor: str | None = None

    def put(self, name: str, rows: list[tuple[str, float]], column: str = "rate") -> None:
        """Write a CSV and its spec."""
        self.folder.mkdir(parents=True, exist_ok=True)
        lines = "".join(f"{time},BTCUSDT,BTC,{rate}\n" for time, rate in rows)
        (self.folder / f"{name}.csv").write_text("time,symbol,base,rate\n" + lines)
        (self.folder / f"{name}.delever.yaml").write_text(SPEC.format(path=f"{name}.csv", column=column))

    def tick(self) -> tuple[list[dg.RunRequest], str]:
        """One evaluation: run requests and the reason for none."""
        context = dg.build_sensor_context(
            instance=self.instance,
            cursor=self.cursor,
            repository_def=self.code,
            resources={"home": HomeResource(root=str(self.home.root))},
        )
        data = self.code.get_sensor_def("files_inbox").evaluate_tick(context)
        self.cursor = data.cursor
        return list(data.run_requests or ()), data.skip_message or ""


@pytest.fixture
def inbox(
    code: dg.RepositoryDefinition,
    instance: dg.DagsterInstance,
    home: Home,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> Inbox:
    monkeypatch.setenv("DELEVER_INBOX", str(tmp_path / "inbox"))
    return Inbox(code, instance, home)


def test_no_inbox_is_a_skip_that_says_where_it_should_be(inbox: Inbox) -> None:
    requests, reason = inbox.tick()
    assert requests == []
    assert str(inbox.folder) in reason
    assert "does not exist" in reason


def test_inbox_without_a_spec_is_a_skip(inbox: Inbox) -> None:
    inbox.folder.mkdir()
    (inbox.folder / "a.csv").write_text("time\n")
    requests, reason = inbox.tick()
    assert requests == []
    assert "declared" in reason


def test_declared_files_are_one_run_over_their_days(inbox: Inbox) -> None:
    inbox.put("a", [("2025-10-10 08:00:00", 0.1), ("2025-10-11 00:00:00", 0.2)])
    inbox.put("b", [("2025-10-09 23:59:59", 0.1)])
    (request,), _ = inbox.tick()
    assert (request.tags[START_TAG], request.tags[END_TAG]) == ("2025-10-09", "2025-10-11")
    assert request.run_config["ops"] == {"landing__files": {"config": {"folder": str(inbox.folder)}}}
    assert request.run_key


def test_unchanged_inbox_is_a_skip_and_a_changed_one_a_new_run(inbox: Inbox) -> None:
    inbox.put("a", [("2025-10-10 08:00:00", 0.1)])
    (first,), _ = inbox.tick()
    assert inbox.tick() == ([], "Nothing has changed.")
    inbox.put("a", [("2025-10-10 08:00:00", 0.1), ("2025-10-12 08:00:00", 0.1)])
    (second,), _ = inbox.tick()
    assert second.run_key != first.run_key
    assert second.tags[END_TAG] == "2025-10-12"
    assert inbox.tick() == ([], "Nothing has changed.")


def test_file_of_the_same_size_written_later_is_a_change(inbox: Inbox) -> None:
    inbox.put("a", [("2025-10-10 08:00:00", 0.1)])
    (first,), _ = inbox.tick()
    inbox.put("a", [("2025-10-10 08:00:00", 0.2)])
    stamp = (inbox.folder / "a.csv").stat().st_mtime_ns + 1_000_000
    os.utime(inbox.folder / "a.csv", ns=(stamp, stamp))
    (second,), _ = inbox.tick()
    assert second.run_key != first.run_key


def test_new_spec_of_the_same_file_is_a_change(inbox: Inbox) -> None:
    inbox.put("a", [("2025-10-10 08:00:00", 0.1)])
    (first,), _ = inbox.tick()
    spec = inbox.folder / "a.delever.yaml"
    spec.write_text(spec.read_text().replace("completeness: complete", "completeness: sampled"))
    (second,), _ = inbox.tick()
    assert second.run_key != first.run_key


def test_spec_that_does_not_fit_is_a_skip_that_names_file_and_fault(inbox: Inbox) -> None:
    inbox.put("good", [("2025-10-10 08:00:00", 0.1)])
    inbox.put("bad", [("2025-10-10 08:00:00", 0.1)], column="no_such_column")
    requests, reason = inbox.tick()
    assert requests == []
    assert "bad.csv" in reason
    assert "no_such_column" in reason
    inbox.put("bad", [("2025-10-10 08:00:00", 0.1)])
    requests, _ = inbox.tick()
    assert len(requests) == 1, "mended, it is taken in"


def test_spec_that_is_no_spec_is_a_skip_that_names_the_key(inbox: Inbox) -> None:
    inbox.put("a", [("2025-10-10 08:00:00", 0.1)])
    spec = inbox.folder / "a.delever.yaml"
    spec.write_text(spec.read_text().replace("source_class: measured", "source_class: guessed"))
    requests, reason = inbox.tick()
    assert requests == []
    assert "a.delever.yaml" in reason
    assert "source_class" in reason


def test_days_without_a_partition_are_left_out_of_the_range(inbox: Inbox) -> None:
    inbox.put("a", [("2024-12-01 00:00:00", 0.1), (f"{datetime.now(UTC):%Y-%m-%d} 00:00:00", 0.1)])
    requests, reason = inbox.tick()
    assert len(requests) == 1, reason
    (request,) = requests
    days = inbox.code.asset_graph.get(dg.AssetKey(["raw", "files_funding"])).partitions_def.get_partition_keys()
    assert request.tags[START_TAG] == days[0] == "2025-01-01"
    assert request.tags[END_TAG] == days[-1]


def test_inbox_without_a_day_of_ours_is_a_skip_that_says_so(inbox: Inbox) -> None:
    inbox.put("a", [("2024-12-01 00:00:00", 0.1)])
    requests, reason = inbox.tick()
    assert requests == []
    assert "2024-12-01" in reason
    assert "2025-01-01" in reason


@pytest.mark.parametrize(
    ("tags", "asked"),
    [({"dagster/sensor_name": "files_inbox"}, True), ({"dagster/sensor_name": "x"}, False), ({}, False)],
)
def test_models_follow_the_runs_of_the_inbox_and_no_others(
    code: dg.RepositoryDefinition, instance: dg.DagsterInstance, tags: dict[str, str], asked: bool
) -> None:
    run = instance.create_run_for_job(code.get_job("ingest_files"), tags=tags, status=dg.DagsterRunStatus.SUCCESS)
    event = dg.DagsterEvent(event_type_value=dg.DagsterEventType.PIPELINE_SUCCESS.value, job_name=run.job_name)
    context = dg.build_run_status_sensor_context(
        sensor_name="models_after_ingestion", dagster_instance=instance, dagster_run=run, dagster_event=event
    )
    answer = code.get_sensor_def("models_after_ingestion")(context)
    if asked:
        assert isinstance(answer, dg.RunRequest)
        assert answer.run_key == run.run_id
    else:
        assert isinstance(answer, dg.SkipReason)


def test_the_inbox_asks_for_ingestion_and_its_success_for_models(code: dg.RepositoryDefinition) -> None:
    assert [target.job_name for target in code.get_sensor_def("files_inbox").targets] == ["ingest_files"]
    assert [target.job_name for target in code.get_sensor_def("models_after_ingestion").targets] == ["models"]
