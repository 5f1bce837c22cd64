"""The code location as Dagster sees it: its graph against a committed picture, and the rules that every part keeps."""

import fcntl
import inspect
import json
import os
import subprocess
import sys
import tomllib
import types
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import dagster as dg
import duckdb
import pytest
import yaml
from delever_definitions import WRITER_POOL, load, repository

from dagster_project.lib.home import PROJECT_ROOT, Home
from dagster_project.lib.raw import locked
from dagster_project.lib.resources import HomeResource
from dagster_project.sources.registry import FEEDS
from schemas.marts import MART_MODELS
from schemas.raw import DECLARED, OPERATIONS

pytestmark = pytest.mark.xdist_group("definitions")

RAW = {("raw", feed.name, feed.entity) for feed in FEEDS.values()} | {("raw", name) for name in DECLARED}
PICTURE = Path(__file__).with_name("asset_graph.json")
OWN_MODULES = ("dagster_project", "schemas")


@pytest.fixture(scope="session")
def definitions() -> dg.Definitions:
    return load()


@pytest.fixture(scope="session")
def code(definitions: dg.Definitions) -> dg.RepositoryDefinition:
    return repository()


def text(key: dg.AssetKey) -> str:
    return key.to_user_string()


def check_text(key: dg.AssetCheckKey) -> str:
    return f"{text(key.asset_key)}:{key.name}"


def picture(code: dg.RepositoryDefinition) -> dict[str, Any]:
    """Everything about the graph that a reader of a diff should see, in a fixed order."""
    graph = code.asset_graph
    return {
        "assets": {
            text(node.key): {
                "backfill": node.backfill_policy.policy_type.value if node.backfill_policy else None,
                "deps": sorted(map(text, node.parent_keys)),
                "group": node.group_name,
                "kinds": sorted(node.kinds),
                "owners": sorted(node.owners),
                "partitions": str(node.partitions_def) if node.partitions_def else None,
                "pools": sorted(node.pools or ()),
            }
            for node in map(graph.get, sorted(graph.get_all_asset_keys()))
        },
        "checks": {
            check_text(key): "blocking" if graph.get(key).blocking else "not blocking"
            for key in sorted(graph.asset_check_keys)
        },
        "jobs": {
            job.name: {
                "assets": sorted(map(text, job.asset_layer.executable_asset_keys)),
                "checks": sorted(
                    check_text(key) for key in job.asset_layer.asset_graph.asset_check_keys if graph.get(key).blocking
                ),
            }
            for job in sorted(code.get_all_jobs(), key=lambda job: job.name)
            if not job.name.startswith("__")
        },
        "schedules": {
            schedule.name: {
                "cron": schedule.cron_schedule,
                "default_status": schedule.default_status.value,
                "job": schedule.job_name,
                "timezone": schedule.execution_timezone,
            }
            for schedule in sorted(code.schedule_defs, key=lambda schedule: schedule.name)
        },
        "sensors": {
            sensor.name: {
                "default_status": sensor.default_status.value,
                "jobs": sorted(target.job_name for target in sensor.targets),
                "seconds": sensor.minimum_interval_seconds,
            }
            for sensor in sorted(code.sensor_defs, key=lambda sensor: sensor.name)
        },
    }


def test_graph_is_the_committed_one(code: dg.RepositoryDefinition) -> None:
    held = picture(code)
    if os.environ.get("DELEVER_UPDATE_SNAPSHOTS") == "1":
        PICTURE.write_text(json.dumps(held, indent=1, sort_keys=True) + "\n")
    wanted = json.loads(PICTURE.read_text())
    advice = "meant? then: DELEVER_UPDATE_SNAPSHOTS=1 pytest tests/dagster/test_definitions.py, and commit the file"
    for part, items in wanted.items():
        assert sorted(held[part]) == sorted(items), f"{part}; {advice}"
        for name, item in items.items():
            assert held[part][name] == item, f"{part} {name}; {advice}"
    assert held.keys() == wanted.keys()


def test_every_raw_dataset_and_every_mart_has_a_blocking_structure_check(code: dg.RepositoryDefinition) -> None:
    wanted = RAW | {("marts", name) for name in MART_MODELS}
    blocking = {
        tuple(key.asset_key.path)
        for key in code.asset_graph.asset_check_keys
        if key.name == "structure" and code.asset_graph.get(key).blocking
    }
    assert blocking == wanted


def test_raw_assets_are_the_feeds_the_declared_datasets_and_the_operations(code: dg.RepositoryDefinition) -> None:
    keys = code.asset_graph.get_all_asset_keys()
    assert {tuple(key.path) for key in keys if key.path[0] == "raw"} == RAW | {("raw", name) for name in OPERATIONS}


def test_every_feed_that_can_be_asked_has_a_landing_asset(code: dg.RepositoryDefinition) -> None:
    keys = {tuple(key.path) for key in code.asset_graph.get_all_asset_keys() if key.path[0] == "landing"}
    asked = {("landing", feed.name, feed.entity) for feed in FEEDS.values() if feed.origins}
    assert keys == asked | {("landing", "sample"), ("landing", "files"), ("landing", "book")}


def test_staging_depends_on_every_feed_of_its_entity(code: dg.RepositoryDefinition) -> None:
    for entity in {feed.entity for feed in FEEDS.values()}:
        node = code.asset_graph.get(dg.AssetKey(["staging", f"stg_venues__{entity}"]))
        read = {tuple(key.path) for key in node.parent_keys if key.path[0] == "raw"}
        own = {("raw", feed.name, feed.entity) for feed in FEEDS.values() if feed.entity == entity}
        assert own <= read, entity


def test_every_mart_of_dbt_is_an_asset_and_the_other_way(code: dg.RepositoryDefinition) -> None:
    in_dbt = {path.stem for path in (PROJECT_ROOT / "dbt" / "models" / "marts").rglob("*.sql")}
    assets = {key.path[1] for key in code.asset_graph.get_all_asset_keys() if key.path[0] == "marts"}
    assert len(in_dbt) > 0
    assert assets == in_dbt
    assert in_dbt == MART_MODELS.keys()


def test_every_seed_and_model_of_dbt_is_an_asset_of_its_layer(code: dg.RepositoryDefinition) -> None:
    dbt = PROJECT_ROOT / "dbt"
    wanted = {("seeds", path.stem) for path in (dbt / "seeds").glob("*.csv")}
    for layer in ("staging", "intermediate", "marts"):
        wanted |= {(layer, path.stem) for path in (dbt / "models" / layer).rglob("*.sql")}
    layers = {layer for layer, _ in wanted}
    assert {tuple(key.path) for key in code.asset_graph.get_all_asset_keys() if key.path[0] in layers} == wanted


@pytest.mark.parametrize("path", sorted(RAW), ids="/".join)
def test_raw_asset_is_daily_and_a_range_is_one_run(code: dg.RepositoryDefinition, path: tuple[str, ...]) -> None:
    node = code.asset_graph.get(dg.AssetKey(path))
    partitions = node.partitions_def
    assert isinstance(partitions, dg.DailyPartitionsDefinition)
    assert partitions.get_first_partition_key() == "2025-01-01"
    assert partitions.timezone == "UTC"
    assert node.backfill_policy == dg.BackfillPolicy.single_run()
    assert node.owners
    assert node.kinds == {"parquet", "duckdb"}
    assert node.assets_def.op.retry_policy.max_retries > 0
    assert node.metadata["dagster/column_schema"].columns
    check = code.asset_graph.get(dg.AssetCheckKey(node.key, "structure"))
    assert check.partitions_def == partitions


def test_every_asset_that_runs_has_an_owner_a_kind_and_a_text(code: dg.RepositoryDefinition) -> None:
    for key in sorted(code.asset_graph.get_all_asset_keys()):
        node = code.asset_graph.get(key)
        # What others write is observed: the recorders, and the tables that raw assets write beside their own.
        outside = key.path[0] == "recorder" or key.path in (
            ["raw", "quarantine"],
            ["raw", "intake"],
            ["raw", "collector_gap"],
            ["raw", "user_events"],
        )
        assert node.is_executable != outside, key
        assert node.owners, key
        assert node.kinds, key
        assert node.description, key


def ops(definitions: dg.Definitions) -> dict[str, tuple[Any, types.FunctionType]]:
    """Name of each asset's and check's op, the op and the function that it runs."""
    loaded = [*(definitions.assets or ()), *(definitions.asset_checks or ())]
    return {
        one.op.name: (one.op, one.op.compute_fn.decorated_fn) for one in loaded if isinstance(one, dg.AssetsDefinition)
    }


def reached(function: types.FunctionType, seen: set[types.FunctionType]) -> Iterator[types.CodeType]:
    """Code of a function and of every function and class of this project that it can name."""
    function = inspect.unwrap(function)
    if function in seen:
        return
    seen.add(function)
    codes = [function.__code__]
    while codes:
        one = codes.pop()
        codes += [const for const in one.co_consts if isinstance(const, types.CodeType)]
        yield one
        for value in [function.__globals__.get(name) for name in one.co_names]:
            yield from reached_of(value, seen)
    for cell in function.__closure__ or ():
        yield from reached_of(cell.cell_contents, seen)


def reached_of(value: object, seen: set[types.FunctionType]) -> Iterator[types.CodeType]:
    if not str(getattr(value, "__module__", "")).startswith(OWN_MODULES):
        return
    if isinstance(value, types.FunctionType):
        yield from reached(value, seen)
    elif isinstance(value, type):
        for member in vars(value).values():
            if isinstance(member, types.FunctionType):
                yield from reached(member, seen)


def opens_warehouse(function: types.FunctionType) -> bool:
    return any("warehouse" in one.co_names for one in reached(function, set()))


def test_every_op_that_opens_the_warehouse_waits_in_its_pool(definitions: dg.Definitions) -> None:
    found = ops(definitions)
    opening = {name for name, (_, function) in found.items() if opens_warehouse(function)}
    assert {"dbt_models", "publish_gate", "published__marts", "stress__replay"} < opening
    assert opening == {name for name, (op, _) in found.items() if op.pool == WRITER_POOL}
    assert {op.pool for op, _ in found.values()} == {WRITER_POOL, None}


def test_pool_holds_one_op_at_a_time() -> None:
    settings = yaml.safe_load((PROJECT_ROOT / "dagster.yaml").read_text())
    assert settings["concurrency"]["pools"] == {"default_limit": 1, "granularity": "op"}


@pytest.mark.parametrize("job", ["models", "daily"])
def test_jobs_that_publish_run_every_check_that_publishing_asks_for(code: dg.RepositoryDefinition, job: str) -> None:
    from dagster_project.defs.publish.assets import blocking_checks  # noqa: PLC0415 - loads dbt's graph

    layer = code.get_job(job).asset_layer
    assert dg.AssetKey(["published", "marts"]) in layer.executable_asset_keys
    assert set(blocking_checks()) <= set(layer.asset_graph.asset_check_keys)
    assert len(blocking_checks()) > len(MART_MODELS)


def test_code_location_has_one_name() -> None:
    project = tomllib.loads((PROJECT_ROOT / "pyproject.toml").read_text())["tool"]["dg"]["project"]
    (entry,) = yaml.safe_load((PROJECT_ROOT / "workspace.yaml").read_text())["load_from"]
    assert entry["python_module"]["location_name"] == project["code_location_name"] == "delever"
    assert entry["python_module"]["module_name"] == project["code_location_target_module"]


def test_workspace_is_valid_in_an_empty_home(tmp_path: Path) -> None:
    dagster_home = tmp_path / "dagster"
    dagster_home.mkdir()
    done = subprocess.run(
        [str(Path(sys.executable).with_name("dagster")), "definitions", "validate", "-w", "workspace.yaml"],
        cwd=PROJECT_ROOT,
        env=os.environ | {"DELEVER_HOME": str(tmp_path / "home"), "DAGSTER_HOME": str(dagster_home)},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "Validation successful for code location delever" in done.stdout + done.stderr
    assert not (tmp_path / "home").exists(), "looking at the definitions makes no home"


def test_raw_files_stay_as_they_are_while_dbt_reads_them(home: Home) -> None:
    """A file that is replaced under DuckDB's hands is taken for a damaged one; `lib/raw.py` says why."""

    class Refusing:
        """Stands for dbt: sees whether another could replace a file now."""

        def cli(self, *_: object, **__: object) -> "Refusing":
            return self

        def stream(self) -> Iterator[Any]:
            for folder in sorted(home.raw.glob("*/")):
                with pytest.raises(BlockingIOError), locked(folder, fcntl.LOCK_EX | fcntl.LOCK_NB):
                    pass
            duckdb.connect(home.warehouse).close()
            return iter(())

    from dagster_project.defs.dbt.assets import dbt_models  # noqa: PLC0415 - as in delever_definitions

    run = dbt_models.node_def.compute_fn.decorated_fn
    assert list(run(None, Refusing(), HomeResource(root=str(home.root)))) == []
    with locked(home.raw / "data_gap", fcntl.LOCK_EX | fcntl.LOCK_NB):
        pass
