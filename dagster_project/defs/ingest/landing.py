"""Landing assets: bytes come in. Nothing is parsed here."""

from collections import Counter
from pathlib import Path

import dagster as dg

from dagster_project.lib.landing import Landing
from dagster_project.lib.resources import HomeResource, failures_for_users
from dagster_project.sources import files
from dagster_project.sources.demo.landing import land_sample

OWNERS = ["team:market-data"]
RETRY = dg.RetryPolicy(max_retries=2, delay=5, backoff=dg.Backoff.EXPONENTIAL, jitter=dg.Jitter.PLUS_MINUS)


@dg.asset(
    key=["landing", "sample"],
    group_name="landing",
    kinds={"file"},
    owners=OWNERS,
    retry_policy=RETRY,
    tags={"source_class": "synthetic"},
)
def landing_sample(context: dg.AssetExecutionContext, home: HomeResource) -> dg.MaterializeResult:
    """The demo's sample: files in the venues' own formats and a position book, made here, every row synthetic."""
    with failures_for_users():
        place = home.get()
        place.claim("demo")
        landed = land_sample(place)
    context.log.info(f"{landed.files} files, {landed.changed} of them new or changed")
    return dg.MaterializeResult(
        metadata={"files": landed.files, "changed": landed.changed, "bytes": landed.bytes, "source_class": "synthetic"}
    )


class FilesConfig(dg.Config):
    """Which folder to take in.

    Args:
        folder: Folder with data files and their specs; the home's inbox when empty.
    """

    folder: str = ""


@dg.asset(key=["landing", "files"], group_name="landing", kinds={"file"}, owners=OWNERS, retry_policy=RETRY)
def landing_files(context: dg.AssetExecutionContext, config: FilesConfig, home: HomeResource) -> dg.MaterializeResult:
    """Declared files of a folder: each is read once through its spec, then kept as it is."""
    with failures_for_users():
        place = home.get()
        folder = Path(config.folder) if config.folder else place.inbox
        landing = Landing(place.landing)
        # All are checked before the first is landed: a folder is taken in whole or not at all.
        arrivals = list(files.arrivals(folder))
        place.claim("files")
        counts: Counter[str] = Counter()
        changed = 0
        for dataset in sorted({dataset for dataset, _ in arrivals}):
            own = [arrival for name, arrival in arrivals if name == dataset]
            changed += landing.land("declared", dataset, "files", own).changed
            counts[dataset] = len(own)
    context.log.info(f"{len(arrivals)} files, {changed} of them new or changed")
    return dg.MaterializeResult(
        metadata={
            "files": len(arrivals),
            "changed": changed,
            "datasets": dg.MetadataValue.json(dict(counts)),
            "first_day": min(arrival.period_start for _, arrival in arrivals).isoformat(),
            "last_day": max(arrival.period_end for _, arrival in arrivals).isoformat(),
        }
    )
