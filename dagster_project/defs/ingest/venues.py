"""Landing assets of the venues: one per feed and day, made from the feeds' own lists."""

import time
from datetime import timedelta

import dagster as dg

from dagster_project.defs.ingest.keys import landing_key, raw_key
from dagster_project.defs.ingest.landing import OWNERS
from dagster_project.defs.ingest.partitions import DAILY, days_of
from dagster_project.fetch.tasks import Fetched
from dagster_project.lib import progress
from dagster_project.lib.resources import HomeResource, failures_for_users
from dagster_project.sources.acquire import Universe, acquire
from dagster_project.sources.feed import Cadence, Feed
from dagster_project.sources.registry import FEEDS

FRESH_FOR = {
    Cadence.QUARTER_HOUR: timedelta(hours=1),
    Cadence.HOUR: timedelta(hours=3),
    Cadence.SIX_HOURS: timedelta(hours=14),
    Cadence.DAY: timedelta(hours=48),
}
"""How old what a feed delivers may become: two rounds and some patience."""

SAY_EVERY_SECONDS = 10.0


class FetchConfig(dg.Config):
    """What to ask for, beyond the days.

    Args:
        origin: One of the feed's origins (``rest``, ``archive``); its first when empty.
        bases: Base assets; the home's universe when empty.
        symbols: Venue symbols, instead of bases.
        intervals: Lengths of bars in seconds; the home's universe when empty.
        again: Ask also for what has landed and is final, to find files that the venue has republished.
    """

    origin: str = ""
    bases: list[str] = []  # noqa: RUF012 - Dagster's config classes copy their defaults
    symbols: list[str] = []  # noqa: RUF012
    intervals: list[int] = []  # noqa: RUF012
    again: bool = False

    def universe(self) -> Universe:
        """The environment's universe, narrowed to what this run names."""
        usual = Universe.from_env()
        return Universe(
            bases=None if self.bases == ["*"] else frozenset(self.bases) if self.bases else usual.bases,
            symbols=frozenset(self.symbols) or usual.symbols,
            intervals=tuple(self.intervals) or usual.intervals,
        )


def build_landing_asset(feed: Feed) -> dg.AssetsDefinition:
    """The asset that asks a feed for the days of a run."""
    needs_contracts = feed.has_contracts and feed.entity != "instruments"

    @dg.asset(
        key=landing_key(feed),
        deps=[raw_key(f"{feed.name}__instruments")] if needs_contracts else [],
        partitions_def=DAILY,
        backfill_policy=dg.BackfillPolicy.single_run(),
        group_name="landing",
        kinds={"api"} if set(feed.origins) == {"rest"} else {"api", "file"},
        owners=OWNERS,
        tags={"cadence": feed.cadence.name.lower(), "mode": feed.mode},
        description=describe(feed),
        freshness_policy=dg.FreshnessPolicy.time_window(fail_window=FRESH_FOR[feed.cadence]),
    )
    def landing(context: dg.AssetExecutionContext, config: FetchConfig, home: HomeResource) -> dg.MaterializeResult:
        start, end = days_of(context.partition_key_range)
        said_at = time.monotonic()

        def say(done: int, total: int, size: int) -> None:
            nonlocal said_at
            progress.note(f"{done}/{total} pieces, {size / 1e6:.1f} MB")
            if time.monotonic() - said_at > SAY_EVERY_SECONDS:
                said_at = time.monotonic()
                context.log.info(f"{done} of {total} pieces, {size} bytes")

        with failures_for_users():
            place = home.get()
            place.claim("live")
            fetched = acquire(
                place,
                feed,
                start,
                end,
                config.universe(),
                origin=config.origin or None,
                again=config.again,
                progress=say,
            )
        if fetched.republished:
            context.log.warning(f"republished by the venue: {', '.join(fetched.republished[:20])}")
        return dg.MaterializeResult(metadata=metadata_of(fetched))

    return landing


def metadata_of(fetched: Fetched) -> dict[str, int | str]:
    """Counts for the UI."""
    return {
        "tasks": fetched.tasks,
        "already landed": fetched.skipped,
        "files": fetched.files,
        "changed": fetched.changed,
        "bytes": fetched.bytes,
        "not published": len(fetched.missing),
        "first not published": ", ".join(fetched.missing[:5]) or "none",
        "republished": len(fetched.republished),
    }


def describe(feed: Feed) -> str:
    """What the UI says of a feed."""
    how_far = f"reaches back {feed.reach.days} days" if feed.reach and feed.reach.days else "reaches back hours"
    lines = [
        f"{feed.entity} of {feed.name}, as received. Origins: {', '.join(feed.origins)}; {feed.mode}; asked every "
        f"{feed.cadence.name.lower().replace('_', ' ')}; {how_far if feed.reach else 'the venue keeps all of it'}.",
        f"Completeness: {feed.completeness}. Licence: {feed.licence}.",
    ]
    lines += [f"Needs {', '.join(feed.needs)}."] if feed.needs else []
    lines += [feed.caution] if feed.caution else []
    return "\n\n".join(lines)


LANDING_ASSETS = [build_landing_asset(feed) for feed in FEEDS.values() if feed.origins]
