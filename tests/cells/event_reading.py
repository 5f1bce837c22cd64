"""Plain Python reading of what the event, structure and reconciliation marts rest on, in one shape for all sources.

Rows come from the Parquet files as they are; meaning (units, sides, who is heard) is from ``docs/method.md``, ADR 2, ADR 8
and the seeds. Whatever is read is kept by venue, day and contract, so that a cell asks for no more than it needs.
"""

import bisect
import functools
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from operator import attrgetter
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from seed_reading import Row, change_on, counts, latest, rows_of_file, seed, usd_assets

DAY = timedelta(days=1)
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
COMPLETENESS = ("complete", "sampled", "polled_window", "partial")
SOURCE_CLASSES = ("measured", "published", "estimated", "synthetic")


def weakest_completeness(levels: Iterable[str | None]) -> str | None:
    """The weakest of several; what is None is no part."""
    return max((level for level in levels if level), key=COMPLETENESS.index, default=None)


def weakest_source_class(classes: Iterable[str | None]) -> str | None:
    """The weakest of several; what is None is no part."""
    return max((each for each in classes if each), key=SOURCE_CLASSES.index, default=None)


def utc_date(at: datetime) -> date:
    """UTC day of a moment."""
    return at.astimezone(UTC).date()


def days_between(start: datetime, end: datetime) -> list[date]:
    """UTC days that two moments and those between them lie in."""
    first = utc_date(start)
    return [first + number * DAY for number in range((utc_date(end) - first).days + 1)]


def days_until(start: datetime, end: datetime) -> list[date]:
    """UTC days of the moments from `start` until before `end`."""
    return days_between(start, end - timedelta(microseconds=1))


@functools.cache
def datasets(raw: Path, entity: str) -> tuple[str, ...]:
    """Names of the raw datasets of an entity: of every feed, and the files."""
    names = [
        path.name
        for path in raw.iterdir()
        if path.name.endswith(f"__{entity}") or path.name in (f"files_{entity}", entity)
    ]
    return tuple(sorted(name for name in names if not name.startswith("none__")))


@functools.cache
def datasets_of(raw: Path, entity: str, venue: str) -> tuple[str, ...]:
    """Those of them that speak of a venue."""
    return tuple(name for name in datasets(raw, entity) if (raw / name / f"venue={venue}").is_dir())


@functools.cache
def venues(raw: Path) -> tuple[str, ...]:
    """Every venue that a dataset of the market has a partition of."""
    entities = ("klines", "liquidations", "liquidation_sums", "open_interest", "depth", "funding")
    found = {
        path.name for entity in entities for name in datasets(raw, entity) for path in (raw / name).glob("venue=*")
    }
    return tuple(sorted(name.removeprefix("venue=") for name in found if name != "venue=_schema"))


@functools.lru_cache(maxsize=16)
def partition(raw: Path, dataset: str, venue: str, day: date) -> pa.Table | None:
    """The file of one partition, None where there is none."""
    path = raw / dataset / f"venue={venue}" / f"date={day}" / "part.parquet"
    return rows_of_file(path) if path.exists() else None


def values_of(column: pa.ChunkedArray) -> list[Any]:
    """Python values of a column; moments, which repeat, are made once each."""
    if not pa.types.is_timestamp(column.type):
        return column.to_pylist()
    stamps = column.cast(pa.int64()).to_pylist()
    moments = {stamp: EPOCH + timedelta(microseconds=stamp) for stamp in set(stamps) if stamp is not None}
    return [moments.get(stamp) for stamp in stamps]


def rows_of(
    raw: Path,
    entity: str,
    venue: str,
    day: date,
    symbols: Sequence[str] | None = None,
    where: pc.Expression | None = None,
) -> list[Row]:
    """Raw rows of an entity of all feeds and files, with venue and feed (`files` for those)."""
    found: list[Row] = []
    for dataset in datasets_of(raw, entity, venue):
        if (table := partition(raw, dataset, venue, day)) is None:
            continue
        if symbols is not None:
            table = table.filter(pc.is_in(table["venue_symbol"], pa.array(symbols, pa.string())))
        if where is not None:
            table = table.filter(where)
        names = {"venue": venue} | ({"feed": "files", "product": "files"} if dataset.startswith("files_") else {})
        columns = {name: values_of(table[name]) for name in table.column_names}
        columns |= {name: [value] * table.num_rows for name, value in names.items()}
        found += [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]
    return found


# Events, contracts and their terms.


@dataclass(frozen=True)
class Event:
    """A stress event and the bounds of its phases."""

    event_id: str
    window_start_at: datetime
    pre_event_at: datetime
    shock_at: datetime
    cascade_at: datetime
    aftershock_at: datetime
    recovery_at: datetime
    window_end_at: datetime


@functools.cache
def events(raw: Path) -> tuple[Event, ...]:
    """The events of the seed and those that a user added to the home."""
    found = {
        row["event_id"]: row for path in raw.glob("user_events/**/*.parquet") for row in pq.read_table(path).to_pylist()
    }
    found |= {row["event_id"]: row for row in seed("events")}
    bounds = [name for name in Event.__annotations__ if name.endswith("_at")]
    return tuple(
        Event(event_id, *(datetime.fromisoformat(str(row[name])) for name in bounds)) for event_id, row in found.items()
    )


@dataclass(frozen=True)
class Terms:
    """What a contract is on and what one of it is worth."""

    base_asset: str
    multiplier: float
    contract_type: str
    contract_value: float | None
    quote_asset: str

    @property
    def is_usd_quoted(self) -> bool:
        """Whether its prices are dollars, with stablecoins at par."""
        return self.quote_asset in usd_assets()


def asset_code(venue: str, code: str, at: date) -> tuple[str, float]:
    """Asset behind a venue's code and how many of it one is, by the list of codes and never by a pattern."""
    known = [
        row
        for row in seed("asset_codes")
        if (row["venue"], row["asset_code"]) == (venue, code) and date.fromisoformat(row["valid_from"]) <= at
    ]
    if not known:
        return code, 1.0
    row = max(known, key=lambda row: row["valid_from"])
    return row["base_asset"], float(row["multiplier"])


@functools.cache
def seeded(venue: str) -> dict[str, list[dict[str, str]]]:
    """Rows of the seed of instruments of a venue, by symbol."""
    found: dict[str, list[dict[str, str]]] = {}
    for row in seed("instruments"):
        if row["venue"] == venue:
            found.setdefault(row["venue_symbol"], []).append(row)
    return found


@functools.cache
def stated(raw: Path, venue: str) -> dict[str, list[tuple[datetime, bool, Terms]]]:
    """Terms that feeds stated, by symbol and in the order of time, and whether the venue itself did."""
    found: dict[str, list[tuple[datetime, bool, Terms]]] = {}
    for dataset in datasets(raw, "instruments"):
        rows = [
            row
            for path in (raw / dataset).glob(f"venue={venue}/date=*/*.parquet")
            for row in pq.read_table(path).to_pylist()
        ]
        for row in latest(rows, "feed", "venue_symbol", "event_at"):
            asset, multiplier = asset_code(venue, row["base_code"], utc_date(row["event_at"]))
            terms = Terms(asset, multiplier, row["contract_type"], row["contract_value"], row["quote_code"])
            found.setdefault(row["venue_symbol"], []).append((row["event_at"], row["feed"] == venue, terms))
    return {symbol: sorted(each, key=lambda entry: (entry[0], not entry[1])) for symbol, each in found.items()}


@functools.cache
def terms_on(raw: Path, venue: str, symbol: str, day: date) -> Terms | None:
    """Terms of a contract on a day: the seed's, else the last that were stated by then, else the first that were."""
    for row in seeded(venue).get(symbol, []):
        ends = date.fromisoformat(row["valid_to"]) if row["valid_to"] else date.max
        if date.fromisoformat(row["valid_from"] or "1970-01-01") <= day < ends:
            asset, multiplier = asset_code(venue, symbol, date.max)
            if asset != row["base_asset"]:
                multiplier = float(row["multiplier"])
            value = float(row["contract_value"]) if row["contract_value"] else None
            if value is None and (last := stated_by(raw, venue, symbol, day)):
                value = last.contract_value
            return Terms(row["base_asset"], multiplier, row["contract_type"], value, row["quote_asset"])
    return None if symbol in seeded(venue) else stated_by(raw, venue, symbol, day)


def stated_by(raw: Path, venue: str, symbol: str, day: date) -> Terms | None:
    """The last terms that were stated by a day; the earliest hold before."""
    found = stated(raw, venue).get(symbol, [])
    return next((terms for at, _, terms in reversed(found) if utc_date(at) <= day), found[0][2] if found else None)


def terms_at(raw: Path, venue: str, symbol: str, at: datetime) -> Terms:
    """Terms of a contract that is known to have some."""
    terms = terms_on(raw, venue, symbol, utc_date(at))
    assert terms is not None, f"no terms of {venue} {symbol}"
    return terms


def listed(raw: Path, venue: str) -> dict[str, str]:
    """Contracts that the seed or the venue itself lists, with their assets."""
    found = {symbol: rows[0]["base_asset"] for symbol, rows in seeded(venue).items()}
    for symbol, entries in stated(raw, venue).items():
        if symbol not in found and any(is_own for _, is_own, _ in entries):
            found[symbol] = entries[0][2].base_asset
    return found


@functools.cache
def known_assets(raw: Path) -> frozenset[str]:
    """Assets that any venue has a contract on."""
    assets = {row["base_asset"] for row in seed("instruments")}
    for venue in venues(raw):
        assets |= {terms.base_asset for entries in stated(raw, venue).values() for _, _, terms in entries}
    return frozenset(assets)


def base_asset_of(raw: Path, row: Row, at: datetime) -> str | None:
    """Asset of a row: a file states it, a contract has terms, and an aggregator may name the asset alone."""
    if row["feed"] == "files":
        return row["base_asset"]
    terms = terms_on(raw, row["venue"], row["venue_symbol"], utc_date(at))
    if terms is not None:
        return terms.base_asset
    is_asset = row["product"] == "aggregate" and row["venue_symbol"] in known_assets(raw)
    return row["venue_symbol"] if is_asset else None


@functools.cache
def symbols_on(raw: Path, entity: str, venue: str, day: date, asset: str | None) -> tuple[str, ...]:
    """Symbols that feeds and files have rows of on a day and that are on an asset; all without one."""
    found = set()
    for dataset in datasets_of(raw, entity, venue):
        if (table := partition(raw, dataset, venue, day)) is None:
            continue
        is_file = dataset.startswith("files_")
        names = ["venue_symbol", "base_asset"] if is_file else ["venue_symbol", "feed", "product"]
        for row in table.group_by(names).aggregate([]).to_pylist():
            told = row | {"venue": venue} | ({"feed": "files", "product": "files"} if is_file else {})
            if asset is None or base_asset_of(raw, told, EPOCH + (day - EPOCH.date())) == asset:
                found.add(row["venue_symbol"])
    return tuple(sorted(found))


def in_base(row: Row, entity: str, fields: Iterable[str], at: datetime, terms: Terms | None) -> float | None:
    """Base assets: of the first field that counts them, else of linear contracts."""
    counted = [(counts(row, entity, name, at), row[name]) for name in fields if row.get(name) is not None]
    for unit, value in counted:
        if unit == "base" and terms:
            return value * terms.multiplier
    for unit, value in counted:
        if unit == "contracts" and terms and terms.contract_type == "linear" and terms.contract_value is not None:
            return value * terms.contract_value * terms.multiplier
    return None


def in_usd(row: Row, entity: str, fields: Iterable[str], at: datetime, terms: Terms | None) -> float | None:
    """Dollars: of the first field that counts them or the quote currency, else of inverse contracts."""
    counted = [(counts(row, entity, name, at), row[name]) for name in fields if row.get(name) is not None]
    for unit, value in counted:
        if unit == "usd" or (unit == "quote" and terms and terms.is_usd_quoted):
            return value
    for unit, value in counted:
        if unit == "contracts" and terms and terms.contract_type == "inverse" and terms.contract_value is not None:
            return value * terms.contract_value
    return None


def feed_change(speaker: str, dataset: str, attribute: str, at: datetime, product: str | None = None) -> str | None:
    """What a feed is known to deliver at a time."""
    return change_on(speaker, dataset, attribute, product, utc_date(at))


# Candles.


@dataclass(frozen=True, slots=True)
class Bar:
    """A candle of a contract, prices in the quote currency for one base asset."""

    start: datetime
    end: datetime
    seconds: int
    base_asset: str | None
    contract_type: str | None
    open: float
    high: float
    low: float
    close: float
    base_quantity: float | None
    volume_usd: float | None
    volume_basis: str | None
    completeness: str
    source_class: str


def rank_of_speaker(row: Row) -> int:
    """The venue itself is heard before other feeds, and those before files."""
    return 1 if row["feed"] == row["venue"] else 3 if row["feed"] == "files" else 2


def bar_of(raw: Path, row: Row) -> Bar | None:
    """A candle in base assets and USD; None if its prices are no dollars."""
    start = row["open_time"]
    end = start + timedelta(seconds=row["interval_seconds"])
    typical = (row["high"] + row["low"] + row["close"]) / 3
    flags = (row["completeness"], row["source_class"])
    prices = (row["open"], row["high"], row["low"], row["close"])
    if row["feed"] == "files":
        usd, base = row["notional_usd"], row["base_quantity"]
        basis = "quote_reported" if usd is not None else "derived_from_base" if base is not None else None
        usd = base * typical if usd is None and base is not None else usd
        return Bar(
            start,
            end,
            row["interval_seconds"],
            row["base_asset"],
            row["contract_type"],
            *prices,
            base,
            usd,
            basis,
            *flags,
        )
    terms = terms_on(raw, row["venue"], row["venue_symbol"], utc_date(start))
    if terms is None or not terms.is_usd_quoted:
        return None
    typical /= terms.multiplier
    fields = ("volume", "base_volume", "turnover")
    base, usd = in_base(row, "klines", fields, start, terms), in_usd(row, "klines", fields, start, terms)
    basis = "quote_reported" if usd is not None else "derived_from_base" if base is not None else None
    if usd is None and base is not None:
        usd = base * typical
    elif base is None and usd is not None:
        base = usd / typical
    scaled = [price / terms.multiplier for price in prices]
    seconds = row["interval_seconds"]
    return Bar(start, end, seconds, terms.base_asset, terms.contract_type, *scaled, base, usd, basis, *flags)


def bars_of(raw: Path, rows: list[Row]) -> dict[str, list[Bar]]:
    """Candles of last prices by contract; of several speakers the nearest for each length and start."""
    rows = [row for row in rows if row.get("price_kind", "last") == "last"]
    rows = latest(rows, "feed", "venue_symbol", "interval_seconds", "open_time")
    found: dict[tuple[str, datetime, int], Bar] = {}
    for row in sorted(rows, key=lambda row: (rank_of_speaker(row), row["feed"])):
        place = (row["venue_symbol"], row["open_time"], row["interval_seconds"])
        if place not in found and (bar := bar_of(raw, row)) is not None:
            found[place] = bar
    by_symbol: dict[str, list[Bar]] = {}
    for place in sorted(found):
        by_symbol.setdefault(place[0], []).append(found[place])
    return by_symbol


@functools.cache
def long_bars_of_day(raw: Path, venue: str, day: date) -> dict[str, list[Bar]]:
    """Candles of an hour and more that begin on a day, of all contracts of a venue."""
    return bars_of(raw, rows_of(raw, "klines", venue, day, where=pc.field("interval_seconds") >= 3600))


@functools.cache
def bars_of_day(raw: Path, venue: str, symbol: str, day: date) -> tuple[Bar, ...]:
    """Candles of a contract that begin on a day, of all lengths."""
    every = list(long_bars_of_day(raw, venue, day).get(symbol, []))
    if any(seconds < 3600 for name, seconds in bar_shapes(raw, venue, day) if name == symbol):
        rows = rows_of(raw, "klines", venue, day, [symbol], pc.field("interval_seconds") < 3600)
        every += bars_of(raw, rows).get(symbol, [])
    return tuple(sorted(every, key=lambda bar: (bar.start, bar.seconds)))


def bars(raw: Path, venue: str, symbol: str, start: datetime, end: datetime) -> list[Bar]:
    """Candles that begin from `start` until before `end`, in the order of time and length."""
    days = days_until(start, end)
    return [bar for day in days for bar in bars_of_day(raw, venue, symbol, day) if start <= bar.start < end]


@functools.cache
def bar_shapes(raw: Path, venue: str, day: date) -> frozenset[tuple[str, int]]:
    """Symbols and lengths of the candles of a day."""
    shapes: set[tuple[str, int]] = set()
    for dataset in datasets_of(raw, "klines", venue):
        if (table := partition(raw, dataset, venue, day)) is not None:
            if "price_kind" in table.column_names:
                table = table.filter(pc.equal(table["price_kind"], "last"))
            grouped = table.group_by(["venue_symbol", "interval_seconds"]).aggregate([])
            shapes |= {(row["venue_symbol"], row["interval_seconds"]) for row in grouped.to_pylist()}
    return frozenset(shapes)


def bar_lengths(raw: Path, venue: str, start: datetime, end: datetime) -> dict[str, set[int]]:
    """Lengths of the candles of each contract that begin on the days from `start` until before `end`."""
    found: dict[str, set[int]] = {}
    for day in days_until(start, end):
        for symbol, seconds in bar_shapes(raw, venue, day):
            found.setdefault(symbol, set()).add(seconds)
    return found


def asset_of(raw: Path, entity: str, venue: str, symbol: str, day: date) -> str | None:
    """Asset of a contract: by its terms, else as a file states it on that day."""
    if (terms := terms_on(raw, venue, symbol, day)) is not None:
        return terms.base_asset
    for dataset in datasets_of(raw, entity, venue):
        if dataset.startswith("files_") and (table := partition(raw, dataset, venue, day)) is not None:
            stated_assets = table.filter(pc.equal(table["venue_symbol"], symbol))["base_asset"].unique().to_pylist()
            if stated_assets:
                return stated_assets[0]
    return None


def index_bars(raw: Path, venue: str, symbol: str, start: datetime, end: datetime) -> list[Bar]:
    """Candles of the index; volumes are no part of it."""
    found: dict[tuple[datetime, int], Bar] = {}
    for day in days_between(start, end):
        is_index = pc.field("price_kind") == "index"
        rows = [row for row in rows_of(raw, "reference_klines", venue, day, [symbol], is_index) if row["feed"] == venue]
        rows += rows_of(raw, "files_klines", venue, day, [symbol], is_index)
        for row in sorted(latest(rows, "feed", "interval_seconds", "open_time"), key=rank_of_speaker):
            at, seconds = row["open_time"], row["interval_seconds"]
            if start <= at < end and (at, seconds) not in found:
                multiplier = 1.0 if row["feed"] == "files" else terms_at(raw, venue, symbol, at).multiplier
                prices = [row[name] / multiplier for name in ("open", "high", "low", "close")]
                flags = (row["completeness"], row["source_class"])
                end_at = at + timedelta(seconds=seconds)
                found[at, seconds] = Bar(at, end_at, seconds, None, None, *prices, None, None, None, *flags)
    return [found[place] for place in sorted(found)]


# Levels: open interest, funding, depth.


@dataclass(frozen=True, slots=True)
class Level:
    """An observation; `value` is what marts show: USD of open interest or depth, or a funding rate."""

    at: datetime
    value: float | None
    completeness: str | None
    source_class: str | None
    base_quantity: float | None = None

    @property
    def usd(self) -> float | None:
        """The value, where it is money."""
        return self.value


@dataclass(frozen=True, slots=True)
class Spoken:
    """What one speaker said of a contract at a time, before it is decided who is heard."""

    row: Row
    at: datetime
    symbol: str
    base_asset: str | None
    speaker: int


def heard(found: list[Spoken]) -> list[Spoken]:
    """The venue's own feed and files; of others one for each asset and day of which those say nothing.

    Of the others an archive of the venue's messages comes before an aggregator; rows without an asset are left out.
    """
    near = [each for each in found if each.row["feed"] in (each.row["venue"], "files")]
    spoken = {(each.base_asset, utc_date(each.at)) for each in near}
    others: dict[tuple[str, date], dict[tuple[bool, str], list[Spoken]]] = {}
    for each in found:
        if each.row["feed"] in (each.row["venue"], "files") or each.base_asset is None:
            continue
        if (each.base_asset, utc_date(each.at)) not in spoken:
            place = (each.base_asset, utc_date(each.at))
            speaker = (each.row["product"] == "aggregate", each.row["feed"])
            others.setdefault(place, {}).setdefault(speaker, []).append(each)
    return near + [each for speakers in others.values() for each in speakers[min(speakers)]]


def observed_open_interest(raw: Path, row: Row) -> Spoken:
    """When open interest was observed: at the end of a period, whichever end its stamp marks."""
    if row["feed"] == "files":
        return Spoken(row, row["event_at"], row["venue_symbol"], row["base_asset"], 2)
    at = row["observed_at"]
    if feed_change(row["feed"], "open_interest", "period_label", at, row["product"]) == "start":
        at += timedelta(seconds=row["period_seconds"])
    return Spoken(
        row,
        at,
        row["venue_symbol"],
        base_asset_of(raw, row, row["observed_at"]),
        1 if row["feed"] == row["venue"] else 3,
    )


def interest_of(raw: Path, each: Spoken) -> tuple[float | None, float | None]:
    """Base assets and USD of one side: a feed that adds both sides up is halved, its one-sided value taken as it is."""
    row = each.row
    if row["feed"] == "files":
        sides = 2 if row["oi_sidedness"] == "both" else 1
        return tuple(
            value / sides if value is not None else None for value in (row["base_quantity"], row["notional_usd"])
        )
    at = row["observed_at"]
    sidedness = feed_change(row["venue"], "open_interest", "sidedness", at) if row["product"] != "aggregate" else None
    halved = ("open_interest", "open_interest_base", "open_interest_value") if sidedness == "both" else ()
    row = row | {name: row[name] / 2 for name in halved if row[name] is not None}
    terms = terms_on(raw, row["venue"], row["venue_symbol"], utc_date(at))
    bases = ("single_open_interest", "open_interest_base", "open_interest", "open_interest_value")
    dollars = ("single_open_interest", "open_interest_value", "open_interest")
    return in_base(row, "open_interest", bases, at, terms), in_usd(row, "open_interest", dollars, at, terms)


@functools.cache
def open_interest_heard(raw: Path, venue: str, day: date, asset: str | None = None) -> dict[str, list[Spoken]]:
    """Observations of a day by contract in the order of time, one at a time; of the contracts on an asset or of all."""
    found: list[Spoken] = []
    for each_day in (day - DAY, day):
        symbols = symbols_on(raw, "open_interest", venue, each_day, asset) if asset else None
        rows = rows_of(raw, "open_interest", venue, each_day, symbols)
        of_files = latest([row for row in rows if row["feed"] == "files"], "venue_symbol", "event_at")
        of_feeds = [row for row in rows if row["feed"] != "files"]
        of_feeds = latest(of_feeds, "feed", "venue_symbol", "observed_at", "period_seconds")
        found += [observed_open_interest(raw, row) for row in of_files + of_feeds]
    chosen: dict[tuple[str, datetime], Spoken] = {}
    of_day = heard([each for each in found if utc_date(each.at) == day])
    for each in sorted(of_day, key=lambda each: (each.speaker, each.row.get("period_seconds") or 0)):
        chosen.setdefault((each.symbol, each.at), each)
    by_symbol: dict[str, list[Spoken]] = {}
    for place in sorted(chosen):
        by_symbol.setdefault(place[0], []).append(chosen[place])
    return by_symbol


@functools.cache
def ended_bars(raw: Path, venue: str, symbol: str, day: date) -> list[Bar]:
    """Candles that may have ended on a day or the one before, by their end, the shortest of equals last."""
    found = [bar for back in (2, 1, 0) for bar in bars_of_day(raw, venue, symbol, day - back * DAY)]
    return sorted(found, key=lambda bar: (bar.end, -bar.seconds))


def last_bar(raw: Path, venue: str, symbol: str, at: datetime) -> Bar | None:
    """The last candle that ended by then, at most a day before."""
    ended = ended_bars(raw, venue, symbol, utc_date(at))
    number = bisect.bisect_right(ended, at, key=attrgetter("end")) - 1
    return ended[number] if number >= 0 and ended[number].end >= at - DAY else None


@functools.cache
def open_interest_of_day(raw: Path, venue: str, symbol: str, day: date) -> tuple[Level, ...]:
    """Observations of a contract; what is missing of USD and base assets is taken at the last close."""
    levels = []
    asset = asset_of(raw, "open_interest", venue, symbol, day)
    for each in open_interest_heard(raw, venue, day, asset).get(symbol, []):
        base, usd = interest_of(raw, each)
        completeness, source_class = [each.row["completeness"]], [each.row["source_class"]]
        if (base is None or usd is None) and (bar := last_bar(raw, venue, symbol, each.at)) is not None:
            completeness.append(bar.completeness)
            source_class.append(bar.source_class)
            if base is not None:
                usd = base * bar.close
            elif usd is not None:
                base = usd / bar.close
        flags = (weakest_completeness(completeness), weakest_source_class(source_class))
        levels.append(Level(each.at, usd, *flags, base))
    return tuple(levels)


def open_interest(raw: Path, venue: str, symbol: str, start: datetime, end: datetime) -> list[Level]:
    """Observations of a contract between two moments, both included."""
    found = [level for day in days_between(start, end) for level in open_interest_of_day(raw, venue, symbol, day)]
    return [level for level in found if start <= level.at <= end]


def all_open_interest(raw: Path, venue: str, start: datetime, end: datetime) -> list[tuple[str, Level]]:
    """Observations of all contracts of a venue with a value in USD."""
    return [
        (symbol, level)
        for day in days_between(start, end)
        for symbol in open_interest_heard(raw, venue, day)
        for level in open_interest_of_day(raw, venue, symbol, day)
        if level.value is not None and start <= level.at <= end
    ]


@functools.cache
def funding_of_day(raw: Path, venue: str, day: date, asset: str | None) -> dict[str, tuple[Level, ...]]:
    """Settlements of a day by contract, one a second, of the contracts on an asset."""
    found = []
    for row in rows_of(raw, "funding", venue, day, symbols_on(raw, "funding", venue, day, asset)):
        at = (row["event_at"] if row["feed"] == "files" else row["funding_time"]).replace(microsecond=0)
        speaker = {venue: 1, "files": 2}.get(row["feed"], 3)
        found.append(Spoken(row | {"at": at}, at, row["venue_symbol"], base_asset_of(raw, row, at), speaker))
    kept = {id(row) for row in latest([each.row for each in found], "feed", "venue_symbol", "at")}
    settled = heard([each for each in found if id(each.row) in kept])
    chosen: dict[str, dict[datetime, Level]] = {}
    for each in sorted(settled, key=lambda each: (each.speaker, each.row["source"], each.row["funding_rate"])):
        row = each.row
        level = Level(each.at, row["funding_rate"], row["completeness"], row["source_class"])
        chosen.setdefault(each.symbol, {}).setdefault(each.at, level)
    return {symbol: tuple(levels[at] for at in sorted(levels)) for symbol, levels in chosen.items()}


def funding(raw: Path, venue: str, symbol: str, start: datetime, end: datetime) -> list[Level]:
    """Settlements of a contract between two moments, both included."""
    found: list[Level] = []
    for day in days_between(start, end):
        asset = asset_of(raw, "funding", venue, symbol, day)
        found += funding_of_day(raw, venue, day, asset).get(symbol, ())
    return [level for level in found if start <= level.at <= end]


def depth_usd(raw: Path, row: Row) -> float | None:
    """Dollars that rest within a band of a book; a book that counts contracts has notional in them, too."""
    if row["feed"] == "files":
        return row["depth_usd"]
    terms, at = terms_at(raw, row["venue"], row["venue_symbol"], row["observed_at"]), row["observed_at"]
    is_linear = terms.contract_type == "linear" and terms.is_usd_quoted
    if counts(row, "depth", "notional", at) == "contracts" and is_linear and row["notional"] is not None:
        return row["notional"] * terms.contract_value
    return in_usd(row, "depth", ("quantity", "notional"), at, terms)


def side_of_depth(row: Row) -> str | None:
    """Side of a row of the band within 1 % of mid; None for another band."""
    if row["feed"] == "files":
        return row["side"] if row["band_bps"] == 100 else None
    return {-1.0: "bid", 1.0: "ask"}.get(row["percentage"])


def depth_1pct(raw: Path, venue: str, symbol: str, start: datetime, end: datetime) -> list[Level]:
    """Bids and asks within 1 % of mid of the snapshots between two moments; one side alone makes none."""
    books: dict[datetime, dict[str, Row]] = {}
    for day in days_between(start, end):
        rows = []
        for row in rows_of(raw, "depth", venue, day, [symbol]):
            at = row["event_at"] if row["feed"] == "files" else row["observed_at"]
            if (side := side_of_depth(row)) and start <= at <= end:
                rows.append(row | {"at": at, "book_side": side})
        for row in sorted(latest(rows, "feed", "at", "book_side"), key=rank_of_speaker):
            books.setdefault(row["at"], {}).setdefault(row["book_side"], row)
    levels = []
    for at, sides in sorted(books.items()):
        amounts = [depth_usd(raw, row) for row in sides.values()]
        if len(amounts) == 2 and None not in amounts:
            floors = ["partial" for row in sides.values() if row.get("is_floor")]
            completeness = weakest_completeness([*floors, *(row["completeness"] for row in sides.values())])
            levels.append(
                Level(
                    at, sum(amounts), completeness, weakest_source_class(row["source_class"] for row in sides.values())
                )
            )
    return levels


# Liquidations.


@dataclass(frozen=True, slots=True)
class Liquidation:
    """A liquidation, or the sum of a period from `at` on."""

    feed: str
    venue: str
    symbol: str
    base_asset: str | None
    at: datetime
    period_seconds: int
    side: str | None
    usd: float | None
    completeness: str | None
    source_class: str


def distinct_messages(rows: list[Row], venue: str) -> list[Row]:
    """Messages without repeats: an own key is one event; without one, the n-th equal item of a delivery is one event."""
    seen: dict[tuple[object, ...], int] = {}
    numbered = []
    for row in sorted(rows, key=lambda row: row["ingested_at"]):
        words = ("quantity", "price", "filled_quantity", "average_price", "order_status")
        own = tuple(None if row["event_key"] is not None else row[word] for word in words)
        words_of_row = (row["feed"], row["venue_symbol"], row["event_time"], row["side"], row["event_key"], own)
        occurrence = 1
        if row["event_key"] is None and venue != "binance":
            occurrence = seen[row["landing_path"], words_of_row] = seen.get((row["landing_path"], words_of_row), 0) + 1
        numbered.append(row | {"words": words_of_row, "occurrence": occurrence})
    return latest(numbered, "words", "occurrence")


def message_of(raw: Path, row: Row) -> Liquidation:
    """A message of a feed: what was closed so far at its average price, else the order's size at its price."""
    at, venue = row["event_time"], row["venue"]
    terms = terms_on(raw, venue, row["venue_symbol"], utc_date(at))
    row = row | {"quantity": row["quantity"] if row["filled_quantity"] is None else row["filled_quantity"]}
    price = row["average_price"] or row["price"]
    base = in_base(row, "liquidations", ("quantity",), at, terms)
    usd = in_usd(row, "liquidations", ("quantity",), at, terms)
    if usd is None and base is not None and terms is not None and terms.is_usd_quoted:
        usd = base * price / terms.multiplier
    side = row["side"]
    if side not in ("long", "short"):
        closes_a_long = {"order": "sell", "position": "buy"}[
            feed_change(row["feed"], "liquidations", "side_meaning", at)
        ]
        side = "long" if side == closes_a_long else "short"
    feed = feed_change(venue, "liquidations", "completeness", at) or "sampled"
    completeness = weakest_completeness([row["completeness"], feed])
    asset = terms.base_asset if terms else None
    return Liquidation(
        row["feed"], venue, row["venue_symbol"], asset, at, 0, side, usd, completeness, row["source_class"]
    )


def distinct_of_files(rows: list[Row]) -> list[Row]:
    """Rows of files without repeats: the last of a period's sums, and the n-th equal event of a delivery."""
    seen: dict[tuple[object, ...], int] = {}
    numbered = []
    for row in sorted(rows, key=lambda row: row["ingested_at"]):
        amounts = (row["notional_usd"], row["base_quantity"]) if not row["period_seconds"] else None
        words = (row["venue_symbol"], row["event_at"], row["period_seconds"], row["liquidated_side"], amounts)
        occurrence = 1
        if not row["period_seconds"]:
            occurrence = seen[row["landing_path"], words] = seen.get((row["landing_path"], words), 0) + 1
        numbered.append(row | {"words": words, "occurrence": occurrence})
    return latest(numbered, "words", "occurrence")


def of_file(row: Row) -> Liquidation:
    """A row of a file, which may claim no more than the feed of its venue delivers."""
    feed = feed_change(row["venue"], "liquidations", "completeness", row["event_at"])
    return Liquidation(
        feed="files",
        venue=row["venue"],
        symbol=row["venue_symbol"],
        base_asset=row["base_asset"],
        at=row["event_at"],
        period_seconds=row["period_seconds"],
        side=row["liquidated_side"],
        usd=row["notional_usd"],
        completeness=weakest_completeness([row["completeness"], feed]),
        source_class=row["source_class"],
    )


def sum_of(raw: Path, row: Row) -> Liquidation:
    """What an aggregator added up over a period."""
    at = row["period_start"]
    terms = terms_on(raw, row["venue"], row["venue_symbol"], utc_date(at))
    return Liquidation(
        feed=row["feed"],
        venue=row["venue"],
        symbol=row["venue_symbol"],
        base_asset=base_asset_of(raw, row, at),
        at=at,
        period_seconds=row["period_seconds"],
        side=row["liquidated_side"],
        usd=in_usd(row, "liquidation_sums", ("amount",), at, terms),
        completeness=row["completeness"],
        source_class=row["source_class"],
    )


@functools.cache
def liquidations_of_day(raw: Path, venue: str, day: date) -> tuple[Liquidation, ...]:
    """Liquidations and sums of a day: of the venue's feed and of files, and of one other where both are silent."""
    rows = rows_of(raw, "liquidations", venue, day)
    messages = distinct_messages([row for row in rows if row["feed"] != "files"], venue)
    found = [(row["product"], message_of(raw, row)) for row in messages]
    found += [("files", of_file(row)) for row in distinct_of_files([row for row in rows if row["feed"] == "files"])]
    sums = rows_of(raw, "liquidation_sums", venue, day)
    key = ("feed", "venue_symbol", "period_start", "period_seconds", "liquidated_side")
    found += [(row["product"], sum_of(raw, row)) for row in latest(sums, *key)]
    spoken = [
        Spoken(
            {"feed": each.feed, "venue": venue, "product": product, "item": each},
            each.at,
            each.symbol,
            each.base_asset,
            0,
        )
        for product, each in found
    ]
    return tuple(each.row["item"] for each in heard(spoken))


def liquidations(raw: Path, venue: str, start: datetime, end: datetime) -> list[Liquidation]:
    """Liquidations and sums from `start` until before `end`."""
    found = [each for day in days_until(start, end) for each in liquidations_of_day(raw, venue, day)]
    return [each for each in found if start <= each.at < end]


@functools.cache
def chosen_of_day(raw: Path, venue: str, day: date) -> tuple[Liquidation, ...]:
    """Of two descriptions of an asset's day the more complete, then the finer; sums over more than a day have none."""
    groups: dict[str | None, dict[tuple[str, int], list[Liquidation]]] = {}
    for each in liquidations_of_day(raw, venue, day):
        if each.period_seconds <= 86400:
            groups.setdefault(each.base_asset, {}).setdefault((each.feed, each.period_seconds), []).append(each)
    chosen: list[Liquidation] = []
    for feeds in groups.values():
        order = {
            name: (COMPLETENESS.index(weakest_completeness(each.completeness for each in found)), name[1], name[0])
            for name, found in feeds.items()
        }
        chosen += feeds[min(order, key=lambda name: order[name])]
    return tuple(chosen)


def liquidations_of_days(raw: Path, venue: str, start: datetime, end: datetime) -> list[Liquidation]:
    """Liquidations as days are summed, from `start` until before `end`; none of no venue."""
    if venue == "market":
        return []
    found = [each for day in days_until(start, end) for each in chosen_of_day(raw, venue, day)]
    return [each for each in found if start <= each.at < end]


# Days.


def exact(values: Iterable[float | None]) -> float | None:
    """Exact sum of money in millionths of a dollar."""
    known = [round(value * 1e6) for value in values if value is not None]
    return sum(known) / 1e6 if known else None


def days_from(first: date, last: date) -> list[date]:
    """Days from the first to the last."""
    return [first + number * DAY for number in range((last - first).days + 1)]


@dataclass(frozen=True)
class DayLiquidated:
    """What was liquidated of a contract on a day, USD."""

    venue: str
    symbol: str
    base_asset: str | None
    date: date
    long_usd: float | None
    short_usd: float | None
    liquidated_usd: float | None
    completeness: str | None
    source_class: str | None


@functools.cache
def daily_liquidations(raw: Path, venue: str, first: date, last: date) -> tuple[DayLiquidated, ...]:
    """Liquidations of a venue's contracts and days."""
    found = []
    for day in days_from(first, last):
        contracts: dict[tuple[str, str | None], list[Liquidation]] = {}
        for each in chosen_of_day(raw, venue, day):
            contracts.setdefault((each.symbol, each.base_asset), []).append(each)
        for (symbol, asset), group in contracts.items():
            sums = [exact([0.0, *(each.usd for each in group if each.side == side)]) for side in ("long", "short")]
            levels = weakest_completeness(each.completeness for each in group)
            classes = weakest_source_class(each.source_class for each in group)
            everything = exact(each.usd for each in group)
            found.append(DayLiquidated(venue, symbol, asset, day, sums[0], sums[1], everything, levels, classes))
    return tuple(found)
