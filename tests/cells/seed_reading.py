"""The seeds, and what they say of raw rows: what a number of a feed counts, and which of several rows is the last received."""

import csv
import functools
from collections.abc import Iterable
from datetime import date, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from dagster_project.lib.home import PROJECT_ROOT

Row = dict[str, Any]

SEEDS = PROJECT_ROOT / "dbt" / "seeds"


def rows_of_file(path: Path, *, as_dictionary: Iterable[str] = ()) -> pa.Table:
    """The table in a file, which is closed at once: a year has more files than a process may hold open."""
    with pq.ParquetFile(path, read_dictionary=list(as_dictionary)) as file:
        return file.read()


@functools.cache
def seed(name: str) -> tuple[dict[str, str], ...]:
    """The rows of a seed as they are written, an empty field as an empty text."""
    with (SEEDS / f"{name}.csv").open(newline="") as file:
        return tuple(csv.DictReader(file))


@functools.cache
def usd_assets() -> frozenset[str]:
    """Assets that are taken at par with the dollar."""
    return frozenset(row["asset"] for row in seed("usd_par_assets"))


def latest(rows: Iterable[Row], *key: str) -> list[Row]:
    """One row per natural key, the one that was received last: pages overlap and files are published again."""
    chosen: dict[tuple[object, ...], Row] = {}
    for row in rows:
        name = tuple(row[column] for column in key)
        if name not in chosen or (row["ingested_at"], row["landing_path"]) > (
            chosen[name]["ingested_at"],
            chosen[name]["landing_path"],
        ):
            chosen[name] = row
    return list(chosen.values())


@functools.cache
def unit_on(feed: str, product: str, entity: str, field: str, day: date) -> str | None:
    """What a field of a feed counts on a day; None where the seed is silent."""
    known = [
        row
        for row in seed("feed_units")
        if (row["feed"], row["product"], row["entity"], row["field"]) == (feed, product, entity, field)
        and date.fromisoformat(row["valid_from"]) <= day
    ]
    return max(known, key=lambda row: row["valid_from"])["counts"] if known else None


def counts(row: Row, entity: str, field: str, at: datetime) -> str | None:
    """What a field of a row counts; exchanges that others run on Hyperliquid have the units of its own."""
    product = "perp" if row["product"].startswith("perp_") else row["product"]
    return unit_on(row["feed"], product, entity, field, at.date())


@functools.cache
def change_on(speaker: str, dataset: str, attribute: str, product: str | None, day: date) -> str | None:
    """What a feed is known to deliver on a day, by the seed ``venue_feed_changes``."""
    known = [
        row
        for row in seed("venue_feed_changes")
        if (row["venue"], row["dataset"], row["attribute"]) == (speaker, dataset, attribute)
        and product in (None, row["product"])
        and date.fromisoformat(row["valid_from"]) <= day
    ]
    return max(known, key=lambda row: row["valid_from"])["value"] if known else None
