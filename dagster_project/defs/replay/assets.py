"""The replay as assets: a book and a scenario in, stress tables in the warehouse out."""

import tempfile
from pathlib import Path

import dagster as dg

from dagster_project.defs.dbt.assets import WRITER_POOL
from dagster_project.defs.replay.metadata import replay_metadata, reverse_metadata, sweep_metadata
from dagster_project.defs.replay.store import store_files, store_result
from dagster_project.lib.duck import connect
from dagster_project.lib.home import Home
from dagster_project.lib.resources import HomeResource, failures_for_users
from dagster_project.replay import library
from dagster_project.replay.engine import run_replay
from dagster_project.replay.output import REVERSE_TABLE, SWEEP_TABLE
from dagster_project.replay.reverse import Search, outcomes, run_reverse
from dagster_project.replay.sweep import run_sweep

OWNERS = ["team:risk"]
BOOK = dg.AssetKey(["landing", "book"])
_PLAIN, _SWEEPS = library.names(Home.from_env())
SCENARIOS = dg.StaticPartitionsDefinition(_PLAIN)
"""One partition a scenario: the shipped ones and the home's own, as they lay when the code location was loaded."""
SWEEPS = dg.StaticPartitionsDefinition(_SWEEPS)


@dg.asset(
    key=BOOK,
    deps=[dg.AssetKey(["landing", "sample"])],
    group_name="landing",
    kinds={"parquet"},
    owners=OWNERS,
    tags={"source_class": "synthetic"},
)
def landing_book(home: HomeResource) -> dg.MaterializeResult:
    """The demo's position book (50,000 accounts, synthetic), as a replay reads it."""
    folder = home.get().book
    if not (folder / "account.parquet").exists():
        raise dg.Failure(
            description=f"{folder} holds no position book. Materialise landing/sample first.", allow_retries=False
        )
    with connect() as connection:
        tables = {
            path.stem: connection.read_parquet(str(path)).count("*").fetchall()[0][0]
            for path in sorted(folder.glob("*.parquet"))
        }
    return dg.MaterializeResult(
        metadata={"folder": dg.MetadataValue.path(folder), "rows": dg.MetadataValue.json(tables)}
    )


class ReplayConfig(dg.Config):
    """What to replay; the scenario is the partition.

    Args:
        book: Folder with a position book; the demo's when empty.
        overrides: ``key=value`` with dotted keys, laid over the scenario, as on the command line.
    """

    book: str = ""
    overrides: list[str] = []  # noqa: RUF012 - pydantic copies it


def _book(home: Home, config: ReplayConfig) -> Path:
    return Path(config.book) if config.book else home.book


@dg.asset(
    key=["stress", "replay"],
    deps=[BOOK],
    partitions_def=SCENARIOS,
    group_name="stress",
    kinds={"duckdb"},
    owners=OWNERS,
    pool=WRITER_POOL,
)
def stress_replay(context: dg.AssetExecutionContext, config: ReplayConfig, home: HomeResource) -> dg.MaterializeResult:
    """One replay of a scenario over a book; its tables replace the run of the same book and scenario in schema stress."""
    place = home.get()
    with failures_for_users():
        result = run_replay(
            _book(place, config),
            library.scenario_path(place, context.partition_key),
            overrides=config.overrides,
        )
        store_result(place, result)
    context.log.info(f"replay {result.run_id} of {result.scenario}")
    return dg.MaterializeResult(metadata=replay_metadata(result))


@dg.asset(
    key=["stress", "sweep"],
    deps=[BOOK],
    partitions_def=SWEEPS,
    group_name="stress",
    kinds={"duckdb"},
    owners=OWNERS,
    pool=WRITER_POOL,
)
def stress_sweep(context: dg.AssetExecutionContext, config: ReplayConfig, home: HomeResource) -> dg.MaterializeResult:
    """Every run of a sweep over a book; each replaces the run of the same book and scenario in schema stress."""
    place = home.get()
    with failures_for_users(), tempfile.TemporaryDirectory(dir=place.scratch) as folder:
        result = run_sweep(
            _book(place, config),
            library.scenario_path(place, context.partition_key),
            Path(folder),
            config.overrides,
            progress=lambda done, total: context.log.info(f"{done} of {total} runs"),
        )
        store_files(place, result.written, keys={SWEEP_TABLE: ("sweep_id", result.sweep_id)})
    broken = [run for run in result.runs if run.is_broken]
    if broken:
        # it has no rows in the ledger, so its checks cannot fail
        said = "\n".join(f"run {run.point.number}: {run.fault}" for run in broken)
        raise dg.Failure(
            description=f"{said}\nThe others are stored.", metadata=sweep_metadata(result), allow_retries=False
        )
    return dg.MaterializeResult(metadata=sweep_metadata(result))


class ReverseConfig(ReplayConfig):
    """What to look for, and over which multiples of the scenario's shock.

    Args:
        outcome: What can go wrong: one of ``delever reverse --list``.
        limit: It happens above it; the outcome's own when left out.
        low: Smallest multiple of the shock.
        high: Largest multiple.
        scan: Even steps that are tried before halving.
        tolerance: Width of the bracket to end at.
    """

    outcome: str = "fund_empty"
    limit: float | None = None
    low: float = 0.0
    high: float = 2.0
    scan: int = 8
    tolerance: float = 0.05


@dg.asset(
    key=["stress", "reverse"],
    deps=[BOOK],
    partitions_def=SCENARIOS,
    group_name="stress",
    kinds={"duckdb"},
    owners=OWNERS,
    pool=WRITER_POOL,
    description="The smallest shock at which something goes wrong, by whole replays: reverse stress test of a scenario. "
    f"Outcomes: {', '.join(outcomes())}.",
)
def stress_reverse(
    context: dg.AssetExecutionContext, config: ReverseConfig, home: HomeResource
) -> dg.MaterializeResult:
    """The smallest shock at which something goes wrong."""
    place = home.get()
    with failures_for_users(), tempfile.TemporaryDirectory(dir=place.scratch) as folder:
        result = run_reverse(
            _book(place, config),
            library.scenario_path(place, context.partition_key),
            Search(config.outcome, config.limit, config.low, config.high, config.scan, config.tolerance),
            Path(folder),
            config.overrides,
            progress=lambda done, _: context.log.info(f"{done} replays"),
        )
        store_files(place, result.written, keys={REVERSE_TABLE: ("reverse_id", result.reverse_id)})
    return dg.MaterializeResult(metadata=reverse_metadata(result))
