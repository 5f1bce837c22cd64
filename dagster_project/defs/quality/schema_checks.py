"""One factory makes every structure check: a pandera model against rows that DuckDB reads.

Checks are blocking: what depends on an asset waits for its check and does not run when it fails.
"""

from collections.abc import Callable
from typing import Any

import dagster as dg
import ibis
import pandera.ibis as pa
from pandera.errors import SchemaErrors

from dagster_project.lib.home import Home
from dagster_project.lib.resources import HomeResource

CHECK_NAME = "structure"
MAX_FAULTS = 20

Prepare = Callable[[ibis.BaseBackend, Home, Any], None]
"""Makes the table ``rows`` in a DuckDB connection, given the home and the check's context."""


def build_schema_check(
    model: type[pa.DataFrameModel],
    key: dg.AssetKey,
    prepare: Prepare,
    *,
    partitions_def: dg.PartitionsDefinition | None = None,
    pool: str | None = None,
) -> dg.AssetChecksDefinition:
    """The blocking check that an asset's rows fit their model.

    Args:
        model: Columns, types, nullability and ranges.
        key: The asset.
        prepare: Copies the rows to check into ``rows`` (a table, since each rule is a scan of its own).
        partitions_def: The asset's partitions, when only the run's own are to be read.
        pool: Pool of the op, when it opens the warehouse.
    """

    @dg.asset_check(
        asset=key,
        name=CHECK_NAME,
        blocking=True,
        partitions_def=partitions_def,
        pool=pool,
        description=f"Columns, types, nulls and value ranges of schemas: {model.__name__}.",
    )
    def structure(context: dg.AssetCheckExecutionContext, home: HomeResource) -> dg.AssetCheckResult:
        connection = ibis.duckdb.connect()
        try:
            connection.raw_sql("SET TimeZone = 'UTC'")
            prepare(connection, home.get(), context)
            return check_rows(model, connection)
        finally:
            connection.disconnect()

    return structure


def check_rows(model: type[pa.DataFrameModel], connection: ibis.BaseBackend) -> dg.AssetCheckResult:
    """Validate the table ``rows`` of a DuckDB connection.

    Returns:
        Passed or not, with the number of rows and each fault's column, rule and first cases.
    """
    rows = connection.table("rows")
    count = int(rows.count().execute())
    metadata: dict[str, Any] = {"rows": count}
    # An aggregate over no rows is null, which pandera takes for a failure: without rows only names and types can be wrong.
    if count == 0:
        return _check_types(model, rows, metadata)
    try:
        model.validate(rows, lazy=True)
    except SchemaErrors as error:
        faults = [
            {"column": str(fault["column"]), "rule": str(fault["check"]), "cases": str(fault["error"])[:400]}
            for group in error.message.values()
            for faults in group.values()
            for fault in faults
        ]
        metadata["faults"] = dg.MetadataValue.json(faults[:MAX_FAULTS])
        first = faults[0]
        return dg.AssetCheckResult(
            passed=False,
            metadata=metadata,
            description=f"{len(faults)} faults; first: {first['column']} breaks {first['rule']}: {first['cases']}",
        )
    return dg.AssetCheckResult(passed=True, metadata=metadata)


def _check_types(model: type[pa.DataFrameModel], rows: ibis.Table, metadata: dict[str, Any]) -> dg.AssetCheckResult:
    wanted = {name: str(column.dtype.type).removeprefix("!") for name, column in model.to_schema().columns.items()}
    held = {name: str(kind).removeprefix("!") for name, kind in rows.schema().items()}
    wrong = {name: held.get(name, "missing") for name, kind in wanted.items() if held.get(name) != kind}
    wrong |= dict.fromkeys(held.keys() - wanted.keys(), "not in the model")
    if wrong:
        metadata["faults"] = dg.MetadataValue.json(wrong)
    return dg.AssetCheckResult(passed=not wrong, metadata=metadata)
