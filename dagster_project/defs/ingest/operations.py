"""Assets that speak of the data: what is missing, what was set aside, what was read."""

from datetime import UTC, datetime

import dagster as dg

from dagster_project.defs.ingest.landing import OWNERS
from dagster_project.lib.duck import connect
from dagster_project.lib.raw import RawStore
from dagster_project.lib.resources import HomeResource, failures_for_users
from dagster_project.sources.gaps import find_gaps, gaps_table
from dagster_project.sources.registry import FEEDS
from schemas.raw import OPERATIONS


@dg.asset(key=["raw", "data_gap"], group_name="operations", kinds={"parquet"}, owners=OWNERS)
def data_gap(context: dg.AssetExecutionContext, home: HomeResource) -> dg.MaterializeResult:
    """Feed x entity x gap: stretches of time that a feed was not asked for in time, and whether they can still be fetched."""
    place = home.get()
    now = datetime.now(UTC)
    with failures_for_users(), connect() as connection:
        gaps = find_gaps(place, FEEDS.values(), now)
        connection.register("gaps", gaps_table(gaps, now))
        RawStore(place.raw, place.scratch).replace_all(connection, "data_gap", "gaps")
    lost = sum(gap.is_permanent for gap in gaps)
    if lost:
        context.log.warning(f"{lost} stretches are lost for good; SELECT * FROM data_gap shows them")
    return dg.MaterializeResult(metadata={"dagster/row_count": len(gaps), "lost for good": lost})


WRITTEN_BY_OTHERS = [
    dg.AssetSpec(
        key=["raw", name],
        group_name="operations",
        kinds={"parquet"},
        owners=OWNERS,
        description=f"{OPERATIONS[name].__doc__}\n\nWritten by {writer}.",
    )
    for name, writer in (
        ("quarantine", "every raw asset, for the days that it made"),
        ("intake", "every raw asset, for the days that it made"),
        ("collector_gap", "the recorders"),
        ("user_events", "`delever event`"),
    )
]


@dg.definitions
def operations() -> dg.Definitions:
    """By name: a list of specs is not found by the loader."""
    return dg.Definitions(assets=[data_gap, *WRITTEN_BY_OTHERS])
