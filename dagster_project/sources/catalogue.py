"""The list of feeds for people."""

import os

from rich.console import Console
from rich.table import Table

from dagster_project.sources.registry import FEEDS


def render(console: Console) -> None:
    """Every connector and entity: how it is asked, how far back it answers, and what it needs."""
    table = Table("connector", "entity", "asked for", "origins", "every", "reaches back", "needs")
    last = ""
    for feed in FEEDS.values():
        missing = [name for name in feed.needs if not os.environ.get(name)]
        table.add_row(
            "" if feed.name == last else feed.name,
            feed.entity,
            "the present" if feed.mode == "snapshot" else "days",
            ", ".join(feed.origins) or "delever record",
            feed.cadence.name.lower().replace("_", " "),
            _reach(feed.reach.total_seconds()) if feed.reach else "all" if feed.mode == "history" else "",
            ", ".join(f"{name} (not set)" if name in missing else name for name in feed.needs),
        )
        last = feed.name
    console.print(table)
    console.print(
        "delever ingest CONNECTOR --entity ENTITY --from DAY --to DAY; cautions are in the UI and docs/ingestion.md."
    )


def _reach(seconds: float) -> str:
    return f"{seconds / 86400:.0f} days" if seconds >= 2 * 86400 else f"{seconds / 3600:.0f} hours"
