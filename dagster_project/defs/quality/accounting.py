"""Asset checks that no row vanishes between landing and staging: one per staging model of the venues."""

from collections.abc import Iterator

import dagster as dg

from dagster_project.defs.dbt.assets import WRITER_POOL
from dagster_project.lib.accounts import MAX_SHOWN, accounts
from dagster_project.lib.dbt_project import natural_keys
from dagster_project.lib.duck import connect
from dagster_project.lib.raw import reading
from dagster_project.lib.resources import HomeResource

CHECK_NAME = "rows_are_accounted_for"
STAGED_KEYS = [dg.AssetKey(["staging", model]) for model in natural_keys()]


@dg.multi_asset_check(
    name="accounts_of_rows",
    specs=[
        dg.AssetCheckSpec(
            name=CHECK_NAME,
            asset=dg.AssetKey(["staging", model]),
            blocking=True,
            description="Records read = rows staged + quarantined + left out by rule + repeats of the natural key, for every "
            "dataset, venue and day.",
        )
        for model in natural_keys()
    ],
    can_subset=True,
    pool=WRITER_POOL,
)
def accounts_of_rows(context: dg.AssetCheckExecutionContext, home: HomeResource) -> Iterator[dg.AssetCheckResult]:
    """Count both sides of every account, each from its own place."""
    place = home.get()
    chosen = {key.asset_key.path[-1] for key in context.selected_asset_check_keys}
    with reading(place.raw), connect(place.warehouse, read_only=True) as connection:
        for model, key in natural_keys().items():
            if model not in chosen:
                continue
            entity = model.removeprefix("stg_venues__")
            found = accounts(connection, place, entity, f"staging.{model}", key)
            open_ones = [account for account in found if not account.is_settled]
            yield dg.AssetCheckResult(
                asset_key=dg.AssetKey(["staging", model]),
                check_name=CHECK_NAME,
                passed=not open_ones,
                description="; ".join(map(str, open_ones[:MAX_SHOWN])) or None,
                metadata={
                    "accounts": len(found),
                    "records read": sum(account.records_read for account in found),
                    "in quarantine": sum(account.quarantined for account in found),
                    "excluded by rule": sum(account.excluded for account in found),
                    "repeats": sum(account.repeats for account in found),
                    "staged": sum(account.staged for account in found),
                },
            )
