"""Rows of the liquidity mart, computed from raw data by loops: hours of the book against their own past."""

import statistics
from collections.abc import Iterable
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import event_reading as reading
import raw_reading
from event_reading import utc_date, weakest_completeness, weakest_source_class
from raw_reading import BANDS, days_from

Row = dict[str, Any]

HOUR = timedelta(hours=1)
BASELINE_HOURS = 720


def median_of(values: Iterable[float | None]) -> float | None:
    """Median of what is known."""
    known = [value for value in values if value is not None]
    return statistics.median(known) if known else None


def spread_bps(book: raw_reading.Book) -> float | None:
    """Best ask less best bid over mid, basis points; a crossed book has none."""
    bid, ask = book.best["bid"], book.best["ask"]
    return None if bid is None or ask is None or ask < bid else 10000 * (ask - bid) / ((ask + bid) / 2)


def hours_until(raw: Path, venue: str, symbol: str, hour: datetime) -> dict[datetime, list[raw_reading.Book]]:
    """Snapshots by hour, from the first hour of the baseline to the hour itself."""
    found: dict[datetime, list[raw_reading.Book]] = {}
    first = hour - BASELINE_HOURS * HOUR
    for day in days_from(utc_date(first), utc_date(hour)):
        if any(day in raw_reading.days_of(raw, dataset, venue) for dataset in reading.datasets(raw, "depth")):
            for book in raw_reading.books(raw, venue, symbol, day):
                start = book.at.replace(minute=0, second=0, microsecond=0)
                if first <= start <= hour:
                    found.setdefault(start, []).append(book)
    return found


def liquidity_row(raw: Path, venue: str, symbol: str, hour: datetime) -> Row:
    """A row of fct_liquidity by its key."""
    hours = hours_until(raw, venue, symbol, hour)
    books = hours[hour]
    depths = {f"depth_{name}_usd": median_of(book.total(band) for book in books) for band, name in BANDS.items()}
    before = [median_of(book.total(100) for book in found) for start, found in hours.items() if start < hour]
    known = [depth for depth in before if depth is not None]
    routine = statistics.median(known) if len(known) >= 24 else None
    lowest = min((depth for book in books if (depth := book.total(100)) is not None), default=None)
    depth = depths["depth_1pct_usd"]
    return depths | {
        "base_asset": max((book.base_asset for book in books if book.base_asset), default=None),
        "snapshots": len(books),
        "bid_depth_1pct_usd": median_of(book.depth.get(("bid", 100)) for book in books),
        "ask_depth_1pct_usd": median_of(book.depth.get(("ask", 100)) for book in books),
        "lowest_depth_1pct_usd": lowest,
        "spread_bps": median_of(spread_bps(book) for book in books),
        "routine_depth_1pct_usd": routine,
        "baseline_hours": len(known),
        "depth_1pct_collapse": None if depth is None or not routine else 1 - depth / routine,
        "deepest_depth_1pct_collapse": None if lowest is None or not routine else 1 - lowest / routine,
        "completeness": weakest_completeness(book.completeness for book in books),
        "source_class": weakest_source_class(book.source_class for book in books),
    }
