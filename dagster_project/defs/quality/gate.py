"""The Great Expectations gate: blocking checks on the marts, evaluated together since the library is slow to import."""

from collections.abc import Iterator

import dagster as dg

from dagster_project.defs.dbt.assets import WRITER_POOL
from dagster_project.lib.duck import connect
from dagster_project.lib.resources import HomeResource
from schemas.expectations.evaluate import evaluate
from schemas.expectations.gate import GATE

GATE_NAME = "publish_gate"


@dg.multi_asset_check(
    name="publish_gate",
    specs=[
        dg.AssetCheckSpec(
            name=GATE_NAME,
            asset=dg.AssetKey(["marts", mart]),
            blocking=True,
            description="; ".join(f"{rule.name}: {rule.why}" for rule in rules),
        )
        for mart, rules in GATE.items()
    ],
    # One mart can be made on its own, from the UI say, and takes its own part of the gate along.
    can_subset=True,
    pool=WRITER_POOL,
)
def publish_gate(context: dg.AssetCheckExecutionContext, home: HomeResource) -> Iterator[dg.AssetCheckResult]:
    """Volume, distribution and agreement between marts, with Data Docs under ``quality/data_docs``."""
    place = home.get()
    docs = place.root / "quality" / "data_docs"
    docs.mkdir(parents=True, exist_ok=True)
    chosen = {key.asset_key.path[-1] for key in context.selected_asset_check_keys}
    with connect(place.warehouse, read_only=True) as connection:
        verdicts = evaluate(connection, {mart: rules for mart, rules in GATE.items() if mart in chosen}, docs)
    for verdict in verdicts:
        yield dg.AssetCheckResult(
            asset_key=dg.AssetKey(["marts", verdict.mart]),
            check_name=GATE_NAME,
            passed=verdict.passed,
            description="; ".join(verdict.broken) or None,
            metadata={
                "figures": dg.MetadataValue.json(dict(verdict.figures)),
                "data_docs": dg.MetadataValue.path(docs / "index.html"),
            },
        )
