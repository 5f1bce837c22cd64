"""Schedules of the venues' feeds: the sooner a venue forgets, the more often it is asked; what downtime missed is caught up."""

import os
import warnings
from collections.abc import Iterator
from datetime import date, timedelta

import dagster as dg

from dagster_project.defs.ingest.keys import landing_key, raw_key
from dagster_project.defs.ingest.partitions import DAILY, range_tags
from dagster_project.lib.home import Home
from dagster_project.sources.feed import Cadence, Feed
from dagster_project.sources.gaps import covered, landed, missing_days, stretches_of
from dagster_project.sources.registry import FEEDS

CATCH_UP_DAYS = 30
"""How far back a schedule looks for days that were missed; older ones are a backfill's, started by hand."""


def askable(cadence: Cadence) -> list[Feed]:
    """Feeds of a cadence whose keys, where they need any, are in the environment."""
    return [
        feed
        for feed in FEEDS.values()
        if feed.cadence is cadence
        and feed.origins
        and all(os.environ.get(name) for name in (*feed.needs, *feed.schedule_needs))
    ]


def missed_days(home: Home, feeds: list[Feed], today: date) -> list[tuple[date, date]]:
    """Stretches of days, up to yesterday, that landing lacks for some feed.

    By what has landed and not by materialisations: a file that was not published yet leaves its day open for the next round.

    Args:
        home: Whose landing.
        feeds: History feeds.
        today: The current UTC day.

    Returns:
        First and last day of each stretch, at most ``CATCH_UP_DAYS`` back; yesterday for feeds that have never landed anything.
    """
    yesterday = today - timedelta(days=1)
    missing: set[date] = set()
    for feed in feeds:
        files = landed(home, feed)
        reach = feed.reach_by(feed.default_origin)
        back = min(CATCH_UP_DAYS, reach.days if reach else CATCH_UP_DAYS)
        earliest = today - timedelta(days=max(back, 1))
        if not covered(files):
            missing.add(yesterday)
        for first, last in missing_days(feed, files, today):
            span = (last - max(first, earliest)).days + 1
            missing |= {max(first, earliest) + timedelta(days=offset) for offset in range(span)}
    return stretches_of(missing)


def build_poll_schedule(cadence: Cadence, job_name: str) -> dg.ScheduleDefinition:
    """The schedule of one cadence: history feeds for the days that are missing, snapshots for now."""

    def requests(context: dg.ScheduleEvaluationContext) -> Iterator[dg.RunRequest | dg.SkipReason]:
        at = context.scheduled_execution_time
        feeds = askable(cadence)
        history = [feed for feed in feeds if feed.mode_by(feed.default_origin) == "history" and feed.until is None]
        snapshots = [feed for feed in feeds if feed.mode_by(feed.default_origin) == "snapshot"]
        stretches = missed_days(Home.from_env(), history, at.date()) if history else []
        for first, last in stretches:
            yield _request(f"{cadence.name}-{first}-{last}-{at:%Y-%m-%dT%H:%M}", history, first, last)
        # What a venue tells of its last hours or days belongs to those days: they are made anew with it.
        for first, last in sorted({feed.present(at) for feed in snapshots}):
            told = [feed for feed in snapshots if feed.present(at) == (first, last)]
            yield _request(f"{cadence.name}-now-{first}-{at:%Y-%m-%dT%H:%M}", told, first, last)
        if not stretches and not snapshots:
            yield dg.SkipReason("No day is missing.")

    return dg.ScheduleDefinition(
        name=f"poll_{cadence.name.lower()}",
        job_name=job_name,
        cron_schedule=cadence.value,
        execution_timezone="UTC",
        default_status=dg.DefaultScheduleStatus.STOPPED,
        execution_fn=requests,
        description=f"Asks what is due every {cadence.name.lower().replace('_', ' ')}; catches up what downtime missed.",
    )


def _request(run_key: str, feeds: list[Feed], first: date, last: date) -> dg.RunRequest:
    first = max(first, date.fromisoformat(DAILY.get_first_partition_key() or str(first)))
    keys = [landing_key(feed) for feed in feeds] + [raw_key(feed.dataset_name) for feed in feeds]
    return dg.RunRequest(run_key=run_key, asset_selection=keys, tags=range_tags(first, last))


def _freshness_checks() -> list[dg.AssetChecksDefinition]:
    """Is the last complete day of each daily feed there?

    A freshness policy looks at the newest materialisation, which a backfill of old days renews; Dagster calls these checks
    superseded by such policies, which cannot say the same.
    """
    daily = [
        raw_key(feed.dataset_name)
        for feed in FEEDS.values()
        if feed.origins and feed.mode == "history" and feed.cadence is Cadence.DAY
    ]
    with warnings.catch_warnings(action="ignore", category=dg.SupersessionWarning):
        # The daily round begins at 05:30.
        return list(dg.build_time_partition_freshness_checks(assets=daily, deadline_cron="0 7 * * *", timezone="UTC"))


FRESHNESS_CHECKS = _freshness_checks()
