"""The published snapshot as an asset: swapped in only when every blocking check upstream has passed."""

import dagster as dg
from dagster._core.storage.asset_check_execution_record import AssetCheckExecutionRecord

from dagster_project.defs.dbt.assets import WRITER_POOL
from dagster_project.defs.quality.accounting import CHECK_NAME as ACCOUNTS_NAME
from dagster_project.defs.quality.accounting import STAGED_KEYS
from dagster_project.defs.quality.gate import GATE_NAME
from dagster_project.defs.quality.mart_checks import MART_KEYS
from dagster_project.defs.quality.schema_checks import CHECK_NAME
from dagster_project.lib.publish import publish
from dagster_project.lib.resources import HomeResource, failures_for_users
from schemas.expectations.gate import GATE

STRESS = ("replay", "sweep", "reverse")
"""Assets whose tables the snapshot holds beside the marts."""


def blocking_checks() -> list[dg.AssetCheckKey]:
    """The checks without which nothing is published."""
    structure = [dg.AssetCheckKey(key, CHECK_NAME) for key in MART_KEYS]
    structure += [dg.AssetCheckKey(key, ACCOUNTS_NAME) for key in STAGED_KEYS]
    return structure + [dg.AssetCheckKey(dg.AssetKey(["marts", mart]), GATE_NAME) for mart in GATE]


def unmet(instance: dg.DagsterInstance) -> list[str]:
    """Blocking checks that have not passed on the newest rows.

    Inside one run a failed blocking check already stops this step. Materialised on its own, from the UI say, the step must
    ask for itself.
    """
    faults = []
    for key in blocking_checks():
        records = instance.event_log_storage.get_asset_check_execution_history(key, limit=1)
        if not records or records[0].status.value != "SUCCEEDED":
            status = records[0].status.value.lower() if records else "never ran"
            faults.append(f"{key.asset_key.to_user_string()}: {key.name} {status}")
        elif not _saw_newest_rows(instance, records[0]):
            faults.append(f"{key.asset_key.to_user_string()}: {key.name} has not run since the mart was made")
    return faults


def _saw_newest_rows(instance: dg.DagsterInstance, record: AssetCheckExecutionRecord) -> bool:
    # By time: a check's target materialisation is not recorded in a run over partitions.
    made = instance.get_latest_materialization_event(record.key.asset_key)
    return made is None or (record.event is not None and record.event.timestamp >= made.timestamp)


@dg.asset(
    key=["published", "marts"],
    # Replays are no part of the gate, but what they made before belongs to the snapshot.
    # Staging is among them, since what its accounts of rows say holds for everything made of it.
    deps=[
        *MART_KEYS,
        *STAGED_KEYS,
        *(dg.AssetDep(dg.AssetKey(["stress", name]), partition_mapping=dg.AllPartitionMapping()) for name in STRESS),
    ],
    group_name="published",
    kinds={"duckdb", "parquet"},
    owners=["team:market-structure"],
    pool=WRITER_POOL,
)
def published_marts(context: dg.AssetExecutionContext, home: HomeResource) -> dg.MaterializeResult:
    """The snapshot that readers open: marts and stress tables as one DuckDB file and as Parquet, swapped in atomically."""
    faults = unmet(context.instance)
    if faults:
        raise dg.Failure(
            description="Nothing was published: blocking checks have not passed.\n  "
            + "\n  ".join(faults)
            + "\nMend the data or the model, run the checks, then publish again. Readers still see the last good snapshot.",
            allow_retries=False,
        )
    with failures_for_users():
        snapshot, changed = publish(home.get())
    return dg.MaterializeResult(
        metadata={
            "snapshot": snapshot.digest,
            "changed": changed,
            "dagster/row_count": sum(table.rows for table in snapshot.tables),
            "tables": dg.MetadataValue.table(
                [
                    dg.TableRecord(
                        {
                            "table": f"{table.schema_name}.{table.name}",
                            "rows": table.rows,
                            "source_class": ", ".join(table.source_classes),
                            "completeness": ", ".join(table.completeness),
                            "digest": table.digest,
                        }
                    )
                    for table in snapshot.tables
                ]
            ),
        }
    )
