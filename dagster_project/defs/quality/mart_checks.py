"""Structure checks of the marts: pandera on what dbt built, before the gate and the snapshot."""

from typing import Any

import dagster as dg
import ibis

from dagster_project.defs.dbt.assets import WRITER_POOL
from dagster_project.defs.quality.schema_checks import Prepare, build_schema_check
from dagster_project.lib.duck import literal
from dagster_project.lib.home import Home
from schemas.marts import MART_MODELS

MART_KEYS = [dg.AssetKey(["marts", mart]) for mart in MART_MODELS]


def _rows_of(mart: str) -> Prepare:
    def prepare(connection: ibis.BaseBackend, home: Home, context: Any) -> None:  # noqa: ANN401
        connection.raw_sql(f"ATTACH {literal(home.warehouse)} AS warehouse (READ_ONLY)")
        connection.raw_sql(f"CREATE TEMP TABLE rows AS SELECT * FROM warehouse.marts.{mart}")
        # The pool is the only lock on the file, so it is given back before the rules run.
        connection.raw_sql("DETACH warehouse")

    return prepare


MART_CHECKS = [
    build_schema_check(model, dg.AssetKey(["marts", mart]), _rows_of(mart), pool=WRITER_POOL)
    for mart, model in MART_MODELS.items()
]
