"""Keys of landing and raw assets, apart from the assets: the command line names them without loading the graph."""

import dagster as dg

from dagster_project.sources.feed import Feed


def landing_key(feed: Feed) -> dg.AssetKey:
    """``landing/<feed>/<entity>``."""
    return dg.AssetKey(["landing", feed.name, feed.entity])


def raw_key(dataset: str) -> dg.AssetKey:
    """``raw/<feed>/<entity>``, or ``raw/files_<entity>``."""
    return dg.AssetKey(["raw", *dataset.split("__")])
