"""What must hold of every stored run."""

from collections.abc import Iterator

import dagster as dg

from dagster_project.defs.dbt.assets import WRITER_POOL
from dagster_project.lib.duck import connect, identifier
from dagster_project.lib.resources import HomeResource
from dagster_project.replay.columns import STRESS_COLUMNS

INVARIANTS = tuple(name for name in STRESS_COLUMNS["stress_ledger"] if name != "step")
"""Columns of the ledger; each must be 0 in every step."""


def _checks_of(key: str) -> dg.AssetChecksDefinition:
    """One blocking check an invariant on an asset that writes the ledger."""
    asset = dg.AssetKey(["stress", key])

    @dg.multi_asset_check(
        name=f"stress_{key}_ledger",
        specs=[
            dg.AssetCheckSpec(
                name, asset=asset, blocking=True, description=STRESS_COLUMNS["stress_ledger"][name].meaning
            )
            for name in INVARIANTS
        ],
        pool=WRITER_POOL,
    )
    def ledger(home: HomeResource) -> Iterator[dg.AssetCheckResult]:
        """Every invariant's residual is exactly zero, in every step of every stored run."""
        counts = ", ".join(f"count(*) FILTER ({identifier(name)} <> 0)" for name in INVARIANTS)
        with connect(home.get().warehouse, read_only=True) as connection:
            rows, *broken = connection.execute(f"SELECT count(*), {counts} FROM stress.stress_ledger").fetchall()[0]
        for name, count in zip(INVARIANTS, broken, strict=True):
            yield dg.AssetCheckResult(
                check_name=name,
                asset_key=asset,
                passed=rows > 0 and count == 0,
                metadata={"steps": rows, "broken": count},
            )

    return ledger


replay_ledger = _checks_of("replay")
sweep_ledger = _checks_of("sweep")
