"""Rows of the reference and operations tables, computed by loops: venues, contracts, events, coverage, gaps, quarantine."""

import functools
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import event_reading as reading
import pyarrow.parquet as pq
import raw_reading
from event_reading import utc_date, weakest_completeness, weakest_source_class
from lazy_row import LazyRow
from raw_reading import days_from, real_venues
from seed_reading import Row, rows_of_file, seed
from structure_reading import adl_parts_told_once, small_dataset
from tax_cells import asset_volumes, tier_of

OBSERVED = ("klines", "open_interest", "liquidations", "liquidation_sums", "funding", "depth")
LAST_DAY = date(2999, 12, 30)
"""A day on which the last terms of every contract hold."""


# What was observed.


@dataclass(frozen=True)
class Seen:
    """That a contract was observed on a day, by one dataset."""

    symbol: str
    base_asset: str | None
    contract_type: str | None
    has_type: bool
    completeness: str | None
    source_class: str | None


def seen_in_books(raw: Path, venue: str, day: date) -> list[Seen]:
    """Contracts with a snapshot that has the band of 1 %."""
    found: dict[tuple[object, ...], Seen] = {}
    for row in raw_reading.rows(raw, "depth", venue, day, day):
        completeness = "partial" if row.get("is_floor") else row["completeness"]
        key = (row["venue_symbol"], completeness, row["source_class"])
        if raw_reading.book_place(row)[2] == 100 and key not in found:
            asset = reading.base_asset_of(raw, row, raw_reading.book_place(row)[0])
            found[key] = Seen(row["venue_symbol"], asset, None, False, completeness, row["source_class"])
    return list(found.values())


def seen_by_files(raw: Path, venue: str, day: date) -> list[Seen]:
    """Contracts with a deleveraging, or with margin tiers of a file that hold from this day on."""
    found = [
        Seen(part.symbol, part.base_asset, None, False, part.completeness, part.source_class)
        for part in adl_parts_told_once(raw)
        if part.venue == venue and utc_date(part.at) == day
    ]
    return found + [
        Seen(row["venue_symbol"], row["base_asset"], None, False, row["completeness"], row["source_class"])
        for row in small_dataset(raw, "files_leverage_tiers")
        if row["venue"] == venue and utc_date(row["event_at"]) == day
    ]


@functools.cache
def seen_on(raw: Path, venue: str, day: date) -> dict[str, list[Seen]]:
    """Contracts of a venue that anything was observed of on a day."""
    every: list[Any] = list(raw_reading.volumes_of_day(raw, venue, day).values())
    every += raw_reading.open_interest_of_day(raw, venue, day).values()
    found = [
        Seen(each.symbol, each.base_asset, each.contract_type, True, each.completeness, each.source_class)
        for each in every
    ]
    found += [
        Seen(each.symbol, each.base_asset, None, False, each.completeness, each.source_class)
        for each in raw_reading.settlements(raw, venue, day, day)
    ]
    types = file_types(raw, venue, day)
    for liquidated in reading.daily_liquidations(raw, venue, day, day):
        terms = reading.terms_on(raw, venue, liquidated.symbol, day)
        kind = types.get(liquidated.symbol) or (terms.contract_type if terms else None)
        found.append(
            Seen(liquidated.symbol, liquidated.base_asset, kind, True, liquidated.completeness, liquidated.source_class)
        )
    found += seen_in_books(raw, venue, day) + seen_by_files(raw, venue, day)
    by_symbol: dict[str, list[Seen]] = {}
    for each in found:
        by_symbol.setdefault(each.symbol, []).append(each)
    return by_symbol


def file_types(raw: Path, venue: str, day: date) -> dict[str, str]:
    """Types of contracts as files of liquidations state them."""
    rows = raw_reading.rows(raw, "liquidations", venue, day, day)
    return {row["venue_symbol"]: row["contract_type"] for row in rows if row["feed"] == "files"}


@functools.cache
def days_seen(raw: Path, venue: str) -> list[date]:
    """Days on which something may have been observed; what a stamp marks may be of the day after its partition."""
    names = [name for entity in OBSERVED for name in reading.datasets(raw, entity)]
    days = {day for name in names for day in raw_reading.days_of(raw, name, venue)}
    days |= {utc_date(part.at) for part in adl_parts_told_once(raw) if part.venue == venue}
    days |= {utc_date(row["event_at"]) for row in small_dataset(raw, "files_leverage_tiers") if row["venue"] == venue}
    return days_from(min(days), max(days) + raw_reading.DAY) if days else []


def seen_of(raw: Path, venue: str, symbol: str) -> Iterator[tuple[date, list[Seen]]]:
    """Days of a contract, the first first."""
    return ((day, found) for day in days_seen(raw, venue) if (found := seen_on(raw, venue, day).get(symbol)))


def last_seen(raw: Path, venue: str, symbol: str) -> date:
    """The last day of a contract."""
    return next(day for day in reversed(days_seen(raw, venue)) if symbol in seen_on(raw, venue, day))


# Dimensions.


@functools.cache
def last_traded(raw: Path) -> dict[str, date]:
    """The last day on which each asset had volume on any venue."""
    names = reading.datasets(raw, "klines")
    days = {day for venue in real_venues(raw) for name in names for day in raw_reading.days_of(raw, name, venue)}
    return {asset: day for day in sorted(days) for asset in asset_volumes(raw, day)}


def dim_contract_row(raw: Path, venue: str, symbol: str) -> LazyRow:
    """A row of dim_contract by its key."""
    terms = reading.terms_on(raw, venue, symbol, LAST_DAY)

    def base_asset() -> str | None:
        return max(each.base_asset for each in next(seen_of(raw, venue, symbol))[1] if each.base_asset is not None)

    def tier_date() -> date | None:
        day = last_traded(raw).get(base_asset() or "")
        return None if day is None else day + raw_reading.DAY

    def tier() -> tuple[str, str]:
        day = tier_date()
        return (listed_tier() or "tail", "fixed_list") if day is None else tier_of(raw, base_asset(), day)

    def listed_tier() -> str | None:
        return next((row["tier"] for row in seed("asset_tiers") if row["base_asset"] == base_asset()), None)

    def contract_type() -> str | None:
        last = last_seen(raw, venue, symbol)
        for day, found in seen_of(raw, venue, symbol):
            types = [each.contract_type for each in found if each.has_type and each.contract_type is not None]
            if types:
                return max(types)
            if day == last:
                break
        return terms.contract_type if terms else None

    def every() -> list[Seen]:
        return [each for _, found in seen_of(raw, venue, symbol) for each in found]

    return LazyRow(
        {
            "base_asset": base_asset,
            "tier": lambda: tier()[0],
            "tier_basis": lambda: tier()[1],
            "tier_date": tier_date,
            "is_tier_default": lambda: tier()[1] == "fixed_list" and listed_tier() is None,
            "contract_type": contract_type,
            "multiplier": lambda: terms.multiplier if terms else 1.0,
            "contract_value": lambda: terms.contract_value if terms else None,
            "quote_asset": lambda: terms.quote_asset if terms else None,
            "is_listed": lambda: terms is not None,
            "first_seen_date": lambda: next(seen_of(raw, venue, symbol))[0],
            "last_seen_date": lambda: last_seen(raw, venue, symbol),
            "completeness": lambda: weakest_completeness(each.completeness for each in every()),
            "source_class": lambda: weakest_source_class(each.source_class for each in every()),
        }
    )


def current_feed(venue: str, attribute: str) -> Row | None:
    """What is said of a venue's liquidation feed since the last change."""
    rows = [
        row
        for row in seed("venue_feed_changes")
        if (row["venue"], row["dataset"], row["attribute"]) == (venue, "liquidations", attribute)
    ]
    return max(rows, key=lambda row: row["valid_from"], default=None)


def dim_venue_row(raw: Path, venue: str) -> LazyRow:
    """A row of dim_venue by its key."""
    listed = next((row for row in seed("venues") if row["venue"] == venue), None)
    feed, basis = current_feed(venue, "completeness"), current_feed(venue, "price_basis")
    days = days_seen(raw, venue)

    def every() -> list[Seen]:
        return [each for day in days for found in seen_on(raw, venue, day).values() for each in found]

    return LazyRow(
        {
            "venue_name": lambda: listed["venue_name"] if listed else venue,
            "venue_type": lambda: listed["venue_type"] if listed else "unlisted",
            "liquidation_completeness": lambda: feed["value"] if feed else None,
            "liquidation_completeness_since": lambda: date.fromisoformat(feed["valid_from"]) if feed else None,
            "liquidation_price_basis": lambda: basis["value"] if basis else None,
            "first_covered_date": lambda: next((day for day in days if seen_on(raw, venue, day)), None),
            "last_covered_date": lambda: next((day for day in reversed(days) if seen_on(raw, venue, day)), None),
            "contracts_covered": lambda: len({each.symbol for each in every()}),
            "completeness": lambda: weakest_completeness(each.completeness for each in every()) or "complete",
            "source_class": lambda: weakest_source_class(each.source_class for each in every()) or "published",
        }
    )


def dim_event_row(raw: Path, event_id: str) -> Row:
    """A row of dim_event by its key: of the project's list, else what a user added."""
    listed = next((row for row in seed("events") if row["event_id"] == event_id), None)
    added = [row for path in raw.glob("user_events/**/*.parquet") for row in pq.read_table(path).to_pylist()]
    row = listed or next(row for row in added if row["event_id"] == event_id)
    bounds = {name: datetime.fromisoformat(str(row[name])).astimezone(UTC) for name in row if name.endswith("_at")}
    texts = {name: row[name] for name in row if name == "event_name" or name.endswith("_source")}
    return {
        **texts,
        **bounds,
        "is_user_defined": listed is None,
        "completeness": "complete",
        "source_class": "published" if listed else "estimated",
    }


def dim_incident_row(_: Path, incident_id: str) -> Row:
    """A row of dim_incident by its key."""
    row = next(row for row in seed("known_incidents") if row["incident_id"] == incident_id)
    moments = {
        name: datetime.fromisoformat(row[name]).astimezone(UTC) if row[name] else None
        for name in ("started_at", "ended_at")
    }
    return {
        **{name: value or None for name, value in row.items()},
        **moments,
        "is_weakening": row["severity"].endswith("_data") and bool(row["datasets"]),
        "completeness": "complete",
        "source_class": "published",
    }


def dim_venue_feed_row(_: Path, venue: str, dataset: str, product: str, attribute: str, valid_from: date) -> Row:
    """A row of dim_venue_feed by its key: it holds until the next one of the same attribute."""
    same = [
        row
        for row in seed("venue_feed_changes")
        if (row["venue"], row["dataset"], row["product"] or "all", row["attribute"])
        == (venue, dataset, product, attribute)
    ]
    row = next(row for row in same if row["valid_from"] == str(valid_from))
    later = min((each["valid_from"] for each in same if each["valid_from"] > row["valid_from"]), default=None)
    return {
        **{name: row[name] or None for name in ("value", "source", "note")},
        "valid_to_date": date.fromisoformat(later) if later else None,
        "is_current": later is None,
        "completeness": "complete",
        "source_class": "published",
    }


# Operations.


DAY_COLUMNS = {
    "fct_adl": "bar_start_at",
    "fct_basis": "basis_date",
    "fct_early_warning": "crowding_date",
    "fct_early_warning_backtest": "score_date",
    "fct_event_summary": "trough_at",
    "fct_event_synchrony": "bar_start_at",
    "fct_event_window": "bar_start_at",
    "fct_exchange_share": "period_start",
    "fct_insurance_fund": "fund_date",
    "fct_liquidation_map": "map_date",
    "fct_liquidation_tax": "tax_date",
    "fct_liquidity": "hour_start_at",
    "fct_open_interest_cycle": "open_interest_date",
    "fct_reconciliation": "published_date",
    "fct_tax_concentration": "tax_year",
}
"""What the day of a row is."""


def day_of_fact(value: Any) -> date | None:
    """UTC day of what a fact is dated by: a moment, a day, or the first day of a year."""
    if isinstance(value, int):
        return date(value, 1, 1)
    return utc_date(value) if isinstance(value, datetime) else value


@functools.cache
def coverage_of(published: Path, table: str) -> dict[tuple[str, str], tuple[int, date | None, date | None]]:
    """Rows, first and last day of a published fact table by their flags."""
    columns = ["completeness", "source_class", DAY_COLUMNS[table]]
    data = pq.read_table(published / "parquet" / f"{table}.parquet", columns=columns)
    counted = Counter(zip(*(data[column].to_pylist() for column in columns), strict=True))
    found: dict[tuple[str, str], tuple[int, date | None, date | None]] = {}
    for (completeness, source_class, at), count in counted.items():
        total, first, last = found.get((completeness, source_class), (0, None, None))
        if (day := day_of_fact(at)) is not None:
            first, last = min(first or day, day), max(last or day, day)
        found[completeness, source_class] = (total + count, first, last)
    return found


def coverage_summary_row(published: Path, table: str, completeness: str, source_class: str) -> Row:
    """A row of coverage_summary by its key, counted over the published tables that it speaks of."""
    found = coverage_of(published, table)
    count, first, last = found[completeness, source_class]
    whole = sum(each for each, _, _ in found.values())
    return {"row_count": count, "row_share": count / whole, "first_date": first, "last_date": last}


def gap_row(raw: Path, dataset: str, names: tuple[str, ...], key: tuple[Any, ...]) -> Row:
    """A row of data_gap or collector_gap by its key: the report that was received last."""
    told = [row for path in raw.glob(f"{dataset}/**/*.parquet") for row in pq.read_table(path).to_pylist()]
    same = [row for row in told if tuple(row[name] for name in names) == key]
    return max(same, key=lambda row: row["ingested_at"]) | {"source_class": "measured", "completeness": "complete"}


def quarantine_summary_row(raw: Path, dataset: str, venue: str, day: date, reason: str) -> Row:
    """A row of quarantine_summary by its key."""
    paths = (raw / "quarantine" / f"dataset={dataset}" / f"date={day}").glob("*.parquet")
    rows = [row for path in paths for row in rows_of_file(path).to_pylist()]
    same = [row for row in rows if (row["venue"], row["reason"]) == (venue, reason)]
    return {
        "records": len(same),
        "source_class": weakest_source_class(row["source_class"] for row in same),
        "completeness": "complete",
    }
