"""The recorders as external assets: Dagster does not run them, it looks at how they are."""

import dagster as dg

from dagster_project.defs.ingest.landing import OWNERS
from dagster_project.lib.resources import HomeResource
from dagster_project.recorder import FEEDS as RECORDED
from dagster_project.recorder import FeedStatus, observe

RECORDERS = [
    dg.AssetSpec(
        key=["recorder", name],
        group_name="recorder",
        kinds={"websocket", "parquet"},
        owners=OWNERS,
        description=f"Liquidations of {name}, heard by `delever record` under a process manager of yours (docs/recorder.md).",
    )
    for name in RECORDED
]


@dg.sensor(
    name="recorder_status",
    minimum_interval_seconds=60,
    default_status=dg.DefaultSensorStatus.STOPPED,
    description="Looks at the recorders' status files each minute and notes what it sees on their assets.",
)
def recorder_status(home: HomeResource) -> dg.SensorResult:
    """One observation per recorder that has ever run in this home."""
    seen = observe(home.get())
    if not seen:
        return dg.SensorResult(skip_reason="No recorder has run in this home.")
    return dg.SensorResult(
        asset_events=[
            dg.AssetObservation(asset_key=["recorder", status.feed], metadata=_metadata(status)) for status in seen
        ]
    )


def _metadata(status: FeedStatus) -> dict[str, str | int | float]:
    return {
        "running": str(status.is_running()),
        "state": status.state,
        "last heard": str(status.last_heard_at or "never"),
        "last message": str(status.last_message_at or "never"),
        "messages": status.messages,
        "reconnects": status.reconnects,
        "segments landed": status.segments_landed,
        "clock skew in ms": status.skew_ms if status.skew_ms is not None else "unknown",
        "error": status.error or "none",
    }


@dg.definitions
def recorders() -> dg.Definitions:
    """Specs and sensor by name."""
    return dg.Definitions(assets=RECORDERS, sensors=[recorder_status])
