"""The replay as an asset: a book and a scenario in, stress tables in the warehouse out."""

import re
from pathlib import Path

import dagster as dg

from dagster_project.defs.dbt.assets import WRITER_POOL
from dagster_project.lib.duck import connect, identifier, literal
from dagster_project.lib.home import PROJECT_ROOT, Home
from dagster_project.lib.resources import HomeResource, failures_for_users
from dagster_project.replay.columns import comments
from dagster_project.replay.engine import ReplayResult, run_replay

DEFAULT_SCENARIO = "first_fall"
OWNERS = ["team:risk"]
INVARIANT = re.compile(r"i\d+_")
"""Columns of the ledger that must be zero."""


@dg.asset(
    key=["landing", "book"],
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
    """What to replay.

    Args:
        scenario: Name of a file in ``scenarios/`` without its ending, or a path to a YAML file.
        book: Folder with a position book; the demo's when empty.
        overrides: ``key=value`` with dotted keys, as on the command line.
    """

    scenario: str = DEFAULT_SCENARIO
    book: str = ""
    overrides: list[str] = []  # noqa: RUF012 - pydantic copies it


@dg.asset(
    key=["stress", "replay"],
    deps=[dg.AssetKey(["landing", "book"])],
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
            Path(config.book) if config.book else place.book,
            scenario_path(config.scenario),
            overrides=config.overrides,
        )
    store(place, result)
    context.log.info(f"replay {result.run_id} of {result.scenario}")
    return dg.MaterializeResult(
        metadata={
            "run_id": result.run_id,
            "scenario": result.scenario,
            "residuals_not_zero": sum(1 for value in result.residuals.values() if value),
            "summary": dg.MetadataValue.json(result.summary),
        }
    )


@dg.asset_check(asset=dg.AssetKey(["stress", "replay"]), name="ledger_is_zero", blocking=True, pool=WRITER_POOL)
def ledger_is_zero(home: HomeResource) -> dg.AssetCheckResult:
    """Every invariant's residual is exactly zero, in every stored run."""
    with connect(home.get().warehouse, read_only=True) as connection:
        columns = [
            row[0] for row in connection.execute("DESCRIBE stress.stress_ledger").fetchall() if INVARIANT.match(row[0])
        ]
        broken = " OR ".join(f"{identifier(column)} <> 0" for column in columns)
        count = connection.execute(f"SELECT count(*) FILTER ({broken}), count(*) FROM stress.stress_ledger").fetchone()
    rows_broken, rows = count or (0, 0)
    return dg.AssetCheckResult(passed=rows > 0 and rows_broken == 0, metadata={"rows": rows, "broken": rows_broken})


def scenario_path(name: str) -> Path:
    """A scenario by name (``scenarios/NAME.yaml``) or by path."""
    named = PROJECT_ROOT / "scenarios" / f"{name}.yaml"
    return named if named.exists() else Path(name)


def store(home: Home, result: ReplayResult) -> None:
    """Put a run's tables into the warehouse in one transaction, in place of an earlier run of the same id.

    The comments are what the snapshot tells its readers of a column.
    """
    with connect(home.warehouse) as connection:
        connection.execute("BEGIN")
        connection.execute("CREATE SCHEMA IF NOT EXISTS stress")
        for name in result.tables:
            connection.register("incoming", result.table(name))
            table = f"stress.{identifier(name)}"
            connection.execute(f"CREATE TABLE IF NOT EXISTS {table} AS SELECT * FROM incoming LIMIT 0")
            connection.execute(f"DELETE FROM {table} WHERE run_id = $1", [result.run_id])
            connection.execute(f"INSERT INTO {table} BY NAME SELECT * FROM incoming")
            connection.unregister("incoming")
        for name, column, comment in comments():
            table = f"stress.{identifier(name)}"
            target = f"COLUMN {table}.{identifier(column)}" if column else f"TABLE {table}"
            connection.execute(f"COMMENT ON {target} IS {literal(comment)}")
        connection.execute("COMMIT")
