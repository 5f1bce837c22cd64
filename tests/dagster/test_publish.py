"""The published snapshot on a warehouse of two tables, what refuses it, and the event log that both rest on."""

from collections.abc import Callable, Iterator
from pathlib import Path

import dagster as dg
import duckdb
import pytest
from dagster import EventLogEntry
from dagster._core.definitions.asset_checks.asset_check_evaluation import (
    AssetCheckEvaluation,
    AssetCheckEvaluationPlanned,
    AssetCheckEvaluationTargetMaterializationData,
)
from dagster._core.events import (
    AssetMaterializationPlannedData,
    DagsterEvent,
    DagsterEventType,
    StepMaterializationData,
)
from delever_definitions import served, statements

from dagster_project.lib import publish as publishing
from dagster_project.lib.errors import UsageError
from dagster_project.lib.event_storage import BatchingSqliteEventLogStorage
from dagster_project.lib.home import PROJECT_ROOT, Home
from dagster_project.lib.publish import publish, read_snapshot
from dagster_project.lib.resources import HomeResource

FIRST = "fct_exchange_share"
SECOND = "dim_venue"


@pytest.fixture
def stocked(home: Home) -> Home:
    """A home whose warehouse has two marts and a table that nobody publishes."""
    statements(
        home.warehouse,
        "CREATE SCHEMA marts",
        "CREATE SCHEMA staging",
        f"CREATE TABLE marts.{FIRST} AS SELECT range AS n, 'v' || range AS venue, 'measured' AS source_class, "
        "'complete' AS completeness FROM range(20000)",
        f"CREATE TABLE marts.{SECOND} AS SELECT 'binance' AS venue, 'published' AS source_class",
        f"COMMENT ON TABLE marts.{SECOND} IS 'One row per venue.'",
        f"COMMENT ON COLUMN marts.{SECOND}.venue IS 'It''s a name.'",
        "CREATE TABLE staging.stg AS SELECT 1 AS one",
    )
    return home


def change(home: Home, number: int) -> None:
    statements(home.warehouse, f"INSERT INTO marts.{SECOND} VALUES ('venue_{number}', 'estimated')")


def opened(database: Path) -> duckdb.DuckDBPyConnection:
    """A published file, as `delever query` opens it: its tables are found without a schema."""
    connection = duckdb.connect(str(database), read_only=True)
    connection.execute("SET search_path = 'marts'")
    return connection


def venues(database: Path) -> list[str]:
    with opened(database) as connection:
        return [row[0] for row in connection.execute(f"SELECT venue FROM {SECOND} ORDER BY 1").fetchall()]


def leftovers(home: Home) -> list[str]:
    """Names that a publish must not leave: staging folders and half-made links."""
    inside = home.root / "snapshots"
    names = [path.name for path in inside.iterdir()] if inside.exists() else []
    return [name for name in [*names, *(path.name for path in home.root.iterdir())] if name.startswith(".")]


def test_publish_swaps_in_what_the_marts_hold(stocked: Home) -> None:
    snapshot, changed = publish(stocked)
    assert changed
    assert read_snapshot(stocked) == snapshot
    tables = {(table.schema_name, table.name): table for table in snapshot.tables}
    assert tables.keys() == {("marts", FIRST), ("marts", SECOND)}
    assert tables["marts", FIRST].rows == 20000
    assert tables["marts", FIRST].source_classes == ["measured"]
    assert tables["marts", FIRST].completeness == ["complete"]
    assert tables["marts", SECOND].completeness == []
    assert str(stocked.published.readlink()) == f"snapshots/{snapshot.digest}"
    assert leftovers(stocked) == []
    parquet = stocked.published / "parquet"
    assert sorted(path.name for path in parquet.iterdir()) == [f"{SECOND}.parquet", f"{FIRST}.parquet"]
    assert duckdb.sql(f"SELECT sum(n) FROM '{parquet / FIRST}.parquet'").fetchall() == [(199990000,)]
    with opened(stocked.published_marts) as connection:
        assert connection.execute(f"SELECT sum(n), count(*) FROM {FIRST}").fetchall() == [(199990000, 20000)]
        assert connection.execute("SELECT schema_name, table_name FROM duckdb_tables() ORDER BY ALL").fetchall() == [
            ("marts", SECOND),
            ("marts", FIRST),
        ]
        comments = "SELECT comment FROM duckdb_columns() WHERE comment IS NOT NULL"
        assert connection.execute(comments).fetchall() == [("It's a name.",)]
        assert ("One row per venue.",) in connection.execute("SELECT comment FROM duckdb_tables()").fetchall()


def test_same_rows_again_are_no_change(stocked: Home) -> None:
    first, _ = publish(stocked)
    before = served(stocked), stocked.published_marts.resolve().stat().st_ino
    statements(
        stocked.warehouse,
        f"CREATE OR REPLACE TABLE marts.{FIRST} AS SELECT * FROM marts.{FIRST} ORDER BY n DESC",
    )
    again, changed = publish(stocked)
    assert not changed
    assert again == first
    assert (served(stocked), stocked.published_marts.resolve().stat().st_ino) == before
    assert [path.name for path in (stocked.root / "snapshots").iterdir()] == [first.digest]
    assert leftovers(stocked) == []


@pytest.mark.parametrize(
    "sql",
    [
        f"UPDATE marts.{FIRST} SET n = n + 1 WHERE n = 19999",
        f"INSERT INTO marts.{SECOND} FROM marts.{SECOND}",
        f"DELETE FROM marts.{SECOND}",
        f"UPDATE marts.{SECOND} SET source_class = NULL",
        f"CREATE TABLE marts.third AS FROM marts.{SECOND}",
        f"ALTER TABLE marts.{SECOND} RENAME TO renamed",
    ],
)
def test_changed_rows_change_digest_and_link(stocked: Home, sql: str) -> None:
    publish(stocked)
    link, digest, tables = served(stocked)
    statements(stocked.warehouse, sql)
    snapshot, changed = publish(stocked)
    assert changed
    new_link, new_digest, new_tables = served(stocked)
    assert new_digest == snapshot.digest != digest
    assert new_link == f"snapshots/{new_digest}" != link
    assert new_tables != tables


def test_link_is_at_every_moment_one_whole_snapshot(stocked: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    publish(stocked)
    old = served(stocked)
    change(stocked, 1)
    seen = []
    replace = Path.replace

    def watch(self: Path, target: Path) -> Path:
        seen.append(served(stocked))
        done = replace(self, target)
        seen.append(served(stocked))
        return done

    monkeypatch.setattr(Path, "replace", watch)
    snapshot, _ = publish(stocked)
    assert seen == [old, served(stocked)]
    assert seen[1][1] == snapshot.digest
    assert venues(stocked.published_marts) == ["binance", "venue_1"]


def test_reader_of_an_old_snapshot_keeps_reading_it(stocked: Home) -> None:
    publish(stocked)
    reader = opened(stocked.published_marts.resolve())
    try:
        assert reader.execute(f"SELECT count(*) FROM {SECOND}").fetchall() == [(1,)]
        for number in (1, 2, 3):
            change(stocked, number)
            publish(stocked)
        # Its folder is gone by now; none of these rows was read before.
        assert reader.execute(f"SELECT sum(n), max(venue) FROM {FIRST}").fetchall() == [(199990000, "v9999")]
        assert reader.execute(f"SELECT venue FROM {SECOND}").fetchall() == [("binance",)]
    finally:
        reader.close()
    assert len(venues(stocked.published_marts)) == 4


def test_last_two_snapshots_are_kept(stocked: Home) -> None:
    made = [publish(stocked)[0].digest]
    for number in (1, 2, 3):
        change(stocked, number)
        made.append(publish(stocked)[0].digest)
        kept = {path.name for path in (stocked.root / "snapshots").iterdir()}
        assert kept == set(made[-2:])
    assert len(set(made)) == 4
    statements(stocked.warehouse, f"DELETE FROM marts.{SECOND} WHERE venue = 'venue_3'")
    assert publish(stocked)[0].digest == made[2], "the rows of before have their digest of before"
    assert {path.name for path in (stocked.root / "snapshots").iterdir()} == {made[2], made[3]}


def test_crash_in_the_copy_leaves_the_old_snapshot_and_nothing_else(
    stocked: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    publish(stocked)
    before = served(stocked)
    change(stocked, 1)
    digest, calls = publishing.table_digest, []

    def break_at_the_second_table(*arguments: object) -> tuple[int, str]:
        calls.append(arguments)
        if len(calls) == 2:
            raise OSError(28, "No space left on device")
        return digest(*arguments)

    with monkeypatch.context() as patch:
        patch.setattr(publishing, "table_digest", break_at_the_second_table)
        with pytest.raises(OSError, match="No space left"):
            publish(stocked)
    assert served(stocked) == before
    assert venues(stocked.published_marts) == ["binance"]
    assert [path.name for path in (stocked.root / "snapshots").iterdir()] == [before[1]]
    assert leftovers(stocked) == []
    _, changed = publish(stocked)
    assert changed
    assert venues(stocked.published_marts) == ["binance", "venue_1"]


def test_crash_before_the_link_is_swapped_serves_the_old_one_and_the_next_publish_mends(
    stocked: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    publish(stocked)
    before = served(stocked)
    change(stocked, 1)

    def refuse(self: Path, target: Path) -> Path:
        raise OSError(5, f"Input/output error on {target}")

    with monkeypatch.context() as patch:
        patch.setattr(Path, "replace", refuse)
        with pytest.raises(OSError, match="Input/output error"):
            publish(stocked)
    assert served(stocked) == before
    assert venues(stocked.published_marts) == ["binance"]
    _, changed = publish(stocked)
    assert changed
    assert venues(stocked.published_marts) == ["binance", "venue_1"]


def test_nothing_to_publish_is_said_and_leaves_nothing(home: Home) -> None:
    with pytest.raises(UsageError, match="does not exist yet"):
        publish(home)
    statements(home.warehouse, "CREATE SCHEMA staging", "CREATE TABLE staging.a AS SELECT 1 AS one")
    with pytest.raises(UsageError, match="has no marts yet"):
        publish(home)
    assert read_snapshot(home) is None
    assert leftovers(home) == []


@pytest.fixture
def instance(home: Home, monkeypatch: pytest.MonkeyPatch) -> Iterator[dg.DagsterInstance]:
    """The home's own Dagster instance, with the project's settings."""
    monkeypatch.setenv("DAGSTER_HOME", str(home.dagster_home))
    with dg.DagsterInstance.from_config(str(home.dagster_home)) as made:
        yield made


def materialise(home: Home, instance: dg.DagsterInstance) -> tuple[bool, str]:
    """Materialise the snapshot's asset on its own, as from the UI; whether it did, and the text of its failure."""
    from dagster_project.defs.publish.assets import published_marts  # noqa: PLC0415 - loads dbt's graph

    resources = {"home": HomeResource(root=str(home.root))}
    result = dg.materialize([published_marts], instance=instance, resources=resources, raise_on_error=False)
    failures = [event.step_failure_data for event in result.all_events if event.is_step_failure]
    return result.success, "".join(failure.user_failure_data.description or "" for failure in failures)


def evaluate(instance: dg.DagsterInstance, key: dg.AssetCheckKey, *, passed: bool = True) -> None:
    """Report a check as Dagster's own step would: on the newest rows of its asset."""
    made = instance.get_latest_materialization_event(key.asset_key)
    target = None
    if made:
        target = AssetCheckEvaluationTargetMaterializationData(
            storage_id=0, run_id=made.run_id, timestamp=made.timestamp
        )
    instance.report_runless_asset_event(
        AssetCheckEvaluation(key.asset_key, key.name, passed=passed, target_materialization_data=target, blocking=True)
    )


def evaluate_all(instance: dg.DagsterInstance) -> list[dg.AssetCheckKey]:
    from dagster_project.defs.publish.assets import blocking_checks  # noqa: PLC0415 - loads dbt's graph

    for key in blocking_checks():
        evaluate(instance, key)
    return blocking_checks()


def name_of(key: dg.AssetCheckKey) -> str:
    return f"{key.asset_key.to_user_string()}: {key.name}"


def test_asset_refuses_when_no_check_ever_ran_and_lists_them(stocked: Home, instance: dg.DagsterInstance) -> None:
    from dagster_project.defs.publish.assets import blocking_checks  # noqa: PLC0415 - loads dbt's graph

    success, said = materialise(stocked, instance)
    assert not success
    for key in blocking_checks():
        assert f"{name_of(key)} never ran" in said
    assert read_snapshot(stocked) is None


def test_asset_publishes_when_all_have_passed(stocked: Home, instance: dg.DagsterInstance) -> None:
    evaluate_all(instance)
    assert materialise(stocked, instance) == (True, "")
    snapshot = read_snapshot(stocked)
    assert snapshot is not None
    event = instance.get_latest_materialization_event(dg.AssetKey(["published", "marts"]))
    assert event.asset_materialization.metadata["snapshot"].value == snapshot.digest
    assert event.asset_materialization.metadata["dagster/row_count"].value == 20001


@pytest.mark.parametrize("number", [0, -1])
def test_asset_refuses_when_one_check_failed_until_it_passes(
    stocked: Home, instance: dg.DagsterInstance, number: int
) -> None:
    keys = evaluate_all(instance)
    materialise(stocked, instance)
    before = served(stocked)
    change(stocked, 1)
    evaluate(instance, keys[number], passed=False)
    success, said = materialise(stocked, instance)
    assert not success
    assert f"{name_of(keys[number])} failed" in said
    assert [name_of(key) for key in keys if name_of(key) in said] == [name_of(keys[number])]
    assert "last good snapshot" in said
    assert served(stocked) == before
    evaluate(instance, keys[number])
    assert materialise(stocked, instance)[0]
    assert served(stocked) != before


def test_asset_refuses_rows_that_are_newer_than_their_checks(stocked: Home, instance: dg.DagsterInstance) -> None:
    keys = evaluate_all(instance)
    mart = dg.AssetKey(["marts", FIRST])
    instance.report_runless_asset_event(dg.AssetMaterialization(mart))
    success, said = materialise(stocked, instance)
    assert not success
    stale = [name_of(key) for key in keys if key.asset_key == mart]
    assert len(stale) == 2
    assert [name_of(key) for key in keys if f"{name_of(key)} has not run" in said] == stale
    for key in keys:
        if key.asset_key == mart:
            evaluate(instance, key)
    assert materialise(stocked, instance) == (True, "")


RUN = "3a0b1c52-8d65-4f0a-9f0e-1d4f1f7c0a11"
KEY = dg.AssetKey(["raw", "binance", "klines"])
CHECK = dg.AssetCheckKey(KEY, "structure")


def entry(kind: DagsterEventType, data: object, at: float) -> EventLogEntry:
    event = DagsterEvent(kind.value, job_name="daily", event_specific_data=data, message=f"at {at}")
    return EventLogEntry(
        error_info=None, level="debug", user_message="", run_id=RUN, timestamp=at, job_name="daily", dagster_event=event
    )


def events() -> list[EventLogEntry]:
    """A run's log: plan, a materialisation a day, a check planned and evaluated, and the start and end of the run."""
    days = ["2025-10-09", "2025-10-10", "2025-10-11"]
    partitions = dg.DailyPartitionsDefinition("2025-01-01")
    subset = partitions.empty_subset().with_partition_keys(days).to_serializable_subset()
    planned = AssetMaterializationPlannedData(KEY, partitions_subset=subset)
    made = [
        StepMaterializationData(
            dg.AssetMaterialization(KEY, partition=day, metadata={"rows": number}, tags={"dagster/data_version": day})
        )
        for number, day in enumerate(days)
    ]
    return [
        entry(DagsterEventType.RUN_START, None, 1.0),
        entry(DagsterEventType.ASSET_MATERIALIZATION_PLANNED, planned, 2.0),
        entry(
            DagsterEventType.ASSET_CHECK_EVALUATION_PLANNED,
            AssetCheckEvaluationPlanned(asset_key=KEY, check_name=CHECK.name),
            3.0,
        ),
        *(entry(DagsterEventType.ASSET_MATERIALIZATION, data, 4.0 + number) for number, data in enumerate(made)),
        entry(
            DagsterEventType.ASSET_CHECK_EVALUATION,
            AssetCheckEvaluation(KEY, CHECK.name, passed=True, metadata={"rows": dg.MetadataValue.int(3)}),
            8.0,
        ),
        entry(DagsterEventType.RUN_SUCCESS, None, 9.0),
    ]


@pytest.fixture
def new_storage(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Callable[[str], BatchingSqliteEventLogStorage]]:
    """Makes the event log of an instance of its own, by name."""
    instances = []

    def make(name: str) -> BatchingSqliteEventLogStorage:
        folder = tmp_path / name
        folder.mkdir()
        (folder / "dagster.yaml").write_text((PROJECT_ROOT / "dagster.yaml").read_text())
        monkeypatch.setenv("DAGSTER_HOME", str(folder))
        instance = dg.DagsterInstance.from_config(str(folder))
        instances.append(instance)
        storage = instance.event_log_storage
        assert isinstance(storage, BatchingSqliteEventLogStorage)
        return storage

    yield make
    for instance in instances:
        instance.dispose()


def content(storage: BatchingSqliteEventLogStorage) -> dict[str, object]:
    """Everything that Dagster asks an event log for."""
    partitions = dg.DailyPartitionsDefinition("2025-01-01")
    checks = storage.get_asset_check_execution_history(CHECK, limit=10)
    return {
        "log": storage.get_logs_for_run(RUN),
        "materialisations": [
            (record.storage_id, record.event_log_entry) for record in storage.fetch_materializations(KEY, 10).records
        ],
        "planned": [record.event_log_entry for record in storage.fetch_planned_materializations(KEY, 10).records]
        if hasattr(storage, "fetch_planned_materializations")
        else [],
        "days": storage.get_materialized_partitions(KEY),
        "subset": str(storage.get_latest_storage_id_by_partition(KEY, DagsterEventType.ASSET_MATERIALIZATION)),
        "tags": storage.get_event_tags_for_asset(KEY),
        "assets": [record.asset_entry for record in storage.get_asset_records([KEY])],
        "checks": [(one.status, one.run_id, one.event, one.partition) for one in checks],
        "stats": storage.get_stats_for_run(RUN),
        "first_days": partitions.get_partition_keys()[:1],
    }


def test_batch_is_stored_like_single_events(new_storage: Callable[[str], BatchingSqliteEventLogStorage]) -> None:
    singly = new_storage("singly")
    for event in events():
        singly.store_event(event)
    wanted = content(singly)
    batched = new_storage("batched")
    batched.store_event_batch(events())
    assert content(batched) == wanted
    assert [one.timestamp for one in wanted["log"]] == [event.timestamp for event in events()]
    assert wanted["days"] == {"2025-10-09", "2025-10-10", "2025-10-11"}
    assert [one[0].value for one in wanted["checks"]] == ["SUCCEEDED"]
    assert len(wanted["materialisations"]) == 3


def test_batch_after_batch_is_one_log(new_storage: Callable[[str], BatchingSqliteEventLogStorage]) -> None:
    storage = new_storage("halves")
    storage.store_event_batch(events()[:4])
    storage.store_event(events()[4])
    storage.store_event_batch(events()[5:])
    assert [one.timestamp for one in storage.get_logs_for_run(RUN)] == [event.timestamp for event in events()]
    assert storage.get_materialized_partitions(KEY) == {"2025-10-09", "2025-10-10", "2025-10-11"}


@pytest.mark.parametrize("bad", [0, 4, 7])
def test_failing_event_keeps_the_whole_batch_out(
    new_storage: Callable[[str], BatchingSqliteEventLogStorage], monkeypatch: pytest.MonkeyPatch, bad: int
) -> None:
    storage = new_storage("broken")
    empty = content(storage)
    single = BatchingSqliteEventLogStorage.store_event
    calls = []

    def fail_after(self: BatchingSqliteEventLogStorage, event: EventLogEntry) -> None:
        single(self, event)
        calls.append(event)
        if len(calls) == bad + 1:
            raise RuntimeError("the disk is gone")

    with monkeypatch.context() as patch:
        patch.setattr(BatchingSqliteEventLogStorage, "store_event", fail_after)
        with pytest.raises(RuntimeError, match="the disk is gone"):
            storage.store_event_batch(events())
    assert len(calls) == bad + 1
    assert content(storage) == empty
    assert empty["log"] == []
    storage.store_event_batch(events())
    assert len(storage.get_logs_for_run(RUN)) == len(events())


def test_plan_of_one_day_is_stored_as_that_day(new_storage: Callable[[str], BatchingSqliteEventLogStorage]) -> None:
    storage = new_storage("plan")
    subset = dg.DailyPartitionsDefinition("2025-01-01").empty_subset().with_partition_keys(["2025-10-10"])
    planned = AssetMaterializationPlannedData(KEY, partitions_subset=subset.to_serializable_subset())
    storage.store_event_batch([entry(DagsterEventType.ASSET_MATERIALIZATION_PLANNED, planned, 1.0)])
    (held,) = storage.get_logs_for_run(RUN)
    data = held.dagster_event.asset_materialization_planned_data
    assert (data.partition, data.partitions_subset) == ("2025-10-10", None)
