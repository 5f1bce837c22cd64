"""Bad rows in a real home: the checks say so, and nothing that rests on them runs. Each test has a copy of the home."""

import os
import shutil
from collections.abc import Iterator
from datetime import date
from pathlib import Path
from typing import Any

import dagster as dg
import duckdb
import pytest
from delever_definitions import load, served, statements

from dagster_project.lib.home import Home
from dagster_project.lib.raw import RawStore
from dagster_project.lib.resources import HomeResource
from schemas.expectations.gate import GATE
from schemas.marts import MART_MODELS

pytestmark = [pytest.mark.xdist_group("real"), pytest.mark.real]

PUBLISHED = dg.AssetKey(["published", "marts"])
MARTS = [dg.AssetKey(["marts", mart]) for mart in MART_MODELS]
KLINES = dg.AssetKey(["raw", "files_klines"])
STAGED = dg.AssetKey(["staging", "stg_files__klines"])
DAY = date(2025, 10, 10)


def job(name: str, selection: dg.AssetSelection, **settings: Any) -> dg.JobDefinition:
    """A job over some of the code location's assets and checks."""
    made = dg.define_asset_job(name, selection=selection, **settings)
    return dg.Definitions.merge(load(), dg.Definitions(jobs=[made])).resolve_job_def(name)


@pytest.fixture(scope="session")
def publish_job() -> dg.JobDefinition:
    """What follows dbt in the job `models`: structure checks, gate and snapshot, on the marts as they are."""
    checks = [dg.AssetCheckKey(key, "structure") for key in MARTS]
    checks += [dg.AssetCheckKey(dg.AssetKey(["marts", mart]), "publish_gate") for mart in GATE]
    return job("check_and_publish", dg.AssetSelection.assets(PUBLISHED) | dg.AssetSelection.checks(*checks))


@pytest.fixture(scope="session")
def staging_job() -> dg.JobDefinition:
    """A raw dataset's check, and the model that reads it."""
    check = dg.AssetSelection.checks(dg.AssetCheckKey(KLINES, "structure"))
    return job("check_and_stage", dg.AssetSelection.assets(STAGED).without_checks() | check)


@pytest.fixture
def copy(real: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Home]:
    """A copy of the built home, and its variables for what reads them."""
    home = Home(tmp_path / "copy")
    shutil.copytree(real.home.root, home.root, symlinks=True)
    monkeypatch.setenv("DELEVER_HOME", str(home.root))
    monkeypatch.setenv("DAGSTER_HOME", str(home.dagster_home))
    # dbt's asset sets these; named here so that they are put back.
    monkeypatch.setenv("DELEVER_WAREHOUSE", str(home.warehouse))
    monkeypatch.setenv("DELEVER_RAW", str(home.raw))
    yield home
    # The landed files are read-only, and pytest keeps the folders of its last runs.
    for folder, _, _ in os.walk(home.root):
        Path(folder).chmod(0o755)
    shutil.rmtree(home.root)


def run(home: Home, what: dg.JobDefinition, **settings: Any) -> dg.ExecuteInProcessResult:
    with dg.DagsterInstance.from_config(str(home.dagster_home)) as instance:
        resources = {"home": HomeResource(root=str(home.root))}
        return what.execute_in_process(instance=instance, resources=resources, raise_on_error=False, **settings)


def failed_checks(result: dg.ExecuteInProcessResult) -> dict[str, str]:
    """Blocking checks that failed, with what they say."""
    return {
        f"{one.asset_key.to_user_string()}:{one.check_name}": one.description or ""
        for one in result.get_asset_check_evaluations()
        if not one.passed
    }


def started(result: dg.ExecuteInProcessResult) -> set[str]:
    return {str(event.step_key) for event in result.all_node_events if event.is_step_start}


def test_good_marts_pass_and_publishing_them_again_is_no_change(copy: Home, publish_job: dg.JobDefinition) -> None:
    before = served(copy)
    result = run(copy, publish_job)
    assert result.success
    assert failed_checks(result) == {}
    assert len(result.get_asset_check_evaluations()) == len(MARTS) + len(GATE)
    assert served(copy) == before
    made = result.asset_materializations_for_node("published__marts")
    assert made[0].metadata["changed"].value is False


@pytest.mark.parametrize(
    ("sql", "faults"),
    [
        # Every value is in range: only the sum over a period shows it.
        (
            ["UPDATE marts.fct_exchange_share SET share = share / 2"],
            {"fct_exchange_share:publish_gate": "shares of one period do not add up to the whole"},
        ),
        (
            [
                "UPDATE marts.fct_exchange_share SET share = share * 2",
                "UPDATE marts.fct_liquidation_tax SET tax_bps = -1 WHERE tax_date = "
                "(SELECT max(tax_date) FROM marts.fct_liquidation_tax WHERE tax_bps IS NOT NULL)",
                "UPDATE marts.dim_contract SET tier = 'huge' WHERE rowid = 0",
                "ALTER TABLE marts.dim_event DROP COLUMN event_name",
                "DELETE FROM marts.fct_reconciliation",
            ],
            {
                "fct_exchange_share:publish_gate": "shares of one period do not add up to the whole",
                "fct_exchange_share:structure": "share",
                "fct_liquidation_tax:publish_gate": "a negative tax",
                "fct_liquidation_tax:structure": "tax_bps",
                "dim_contract:structure": "tier",
                "dim_event:structure": "event_name",
                "fct_reconciliation:publish_gate": "published figures are missing from the seed",
            },
        ),
    ],
    ids=["one aggregate", "all at once"],
)
def test_broken_mart_is_named_and_the_snapshot_stays(
    copy: Home, publish_job: dg.JobDefinition, sql: list[str], faults: dict[str, str]
) -> None:
    before = served(copy)
    statements(copy.warehouse, *sql)
    result = run(copy, publish_job)
    assert not result.success
    failed = failed_checks(result)
    assert failed.keys() == {f"marts/{check}" for check in faults}
    for check, says in faults.items():
        assert says in failed[f"marts/{check}"]
    assert "published__marts" not in started(result)
    assert served(copy) == before
    # Asked for on its own, from the UI say, the snapshot remembers what failed.
    alone = run(copy, job("publish_alone", dg.AssetSelection.assets(PUBLISHED)))
    assert not alone.success
    texts = [
        event.step_failure_data.user_failure_data.description for event in alone.all_events if event.is_step_failure
    ]
    for check in faults:
        assert f"marts/{check.replace(':', ': ')} failed" in texts[0]
    assert served(copy) == before


def test_mended_mart_is_published_again(copy: Home, publish_job: dg.JobDefinition) -> None:
    before = served(copy)
    statements(copy.warehouse, "UPDATE marts.dim_venue SET venue_type = 'bank' WHERE venue = 'binance'")
    assert not run(copy, publish_job).success
    assert served(copy) == before
    statements(copy.warehouse, "UPDATE marts.dim_venue SET venue_type = 'dex' WHERE venue = 'binance'")
    assert run(copy, publish_job).success
    after = served(copy)
    assert {name for name in after[2] if after[2][name] != before[2][name]} == {"marts.dim_venue"}


def tags(day: date) -> dict[str, str]:
    return {
        "dagster/asset_partition_range_start": day.isoformat(),
        "dagster/asset_partition_range_end": day.isoformat(),
    }


def edit_partition(home: Home, change: str) -> None:
    """Rewrite one Parquet file of the raw klines with an UPDATE."""
    file = next((home.raw / "files_klines" / "venue=binance").glob(f"date={DAY}/*.parquet"))
    with duckdb.connect() as connection:
        connection.execute("SET TimeZone = 'UTC'")
        connection.execute(f"CREATE TABLE part AS FROM read_parquet('{file}', hive_partitioning=false)")
        connection.execute(f"UPDATE part SET {change} WHERE rowid = 3")
        connection.execute(f"COPY part TO '{file}' (FORMAT parquet)")


@pytest.mark.parametrize(
    ("change", "says"),
    [("high = low / 2", "prices_are_ordered"), ("close = -1", "greater_than(0)"), ("open_time = NULL", "null")],
)
def test_bad_raw_row_stops_the_models_that_read_it(
    copy: Home, staging_job: dg.JobDefinition, change: str, says: str
) -> None:
    before = served(copy)
    edit_partition(copy, change)
    result = run(copy, staging_job, tags=tags(DAY))
    assert not result.success
    (said,) = [text for check, text in failed_checks(result).items() if check == "raw/files_klines:structure"]
    assert says in said
    assert "dbt_models" not in started(result)
    assert served(copy) == before


def test_raw_check_reads_the_days_of_its_run_alone(copy: Home, staging_job: dg.JobDefinition) -> None:
    edit_partition(copy, "high = low / 2")
    other = date(2025, 10, 11)
    result = run(copy, staging_job, tags=tags(other))
    assert failed_checks(result) == {}
    (check,) = result.get_asset_check_evaluations()
    with duckdb.connect() as connection:
        relation = RawStore(copy.raw, copy.scratch).relation("files_klines", other, other)
        rows = connection.execute(f"SELECT count(*) FROM ({relation})").fetchall()[0][0]
    assert rows > 0
    assert check.metadata["rows"].value == rows
    assert "dbt_models" in started(result)
    assert result.success
