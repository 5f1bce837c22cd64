"""Plain Python reading of long spans of the raw layer: every contract of a venue for a month, or one contract for a year.

What a row means is said in ``event_reading`` and ``seed_reading``; here rows are taken out of many small files at once and
become days of volume, open interest, settlements, ratios and books. Whatever is read is kept, so that a cell asks for no more
than it needs.
"""

import calendar
import functools
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from event_reading import (
    DAY,
    Bar,
    Spoken,
    bar_of,
    base_asset_of,
    datasets,
    depth_usd,
    heard,
    interest_of,
    observed_open_interest,
    rank_of_speaker,
    terms_on,
    utc_date,
    venues,
    weakest_completeness,
    weakest_source_class,
)
from seed_reading import Row, change_on, latest, rows_of_file

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
DAY_SECONDS = 86400


def micro_sum(amounts: Iterable[float | None]) -> float | None:
    """Exact sum of money at the resolution of ADR 2, a millionth of a dollar; None where nothing is known."""
    known = [round(amount * 1e6) for amount in amounts if amount is not None]
    return sum(known) / 1e6 if known else None


def common_basis(bases: Iterable[str | None]) -> str | None:
    """What all parts have in common, `mixed` where they differ."""
    known = {basis for basis in bases if basis is not None}
    return known.pop() if len(known) == 1 else "mixed" if known else None


def ratio(part: float | None, whole: float | None, scale: float = 1.0) -> float | None:
    """Part of a whole; None where either is unknown or the whole is nothing."""
    return None if part is None or not whole else scale * part / whole


def days_from(first: date, last: date) -> list[date]:
    """UTC days from the first to the last, both included."""
    return [first + number * DAY for number in range((last - first).days + 1)]


def period_days(period_type: str, start: date) -> list[date]:
    """Days of a period that begins on `start`."""
    lengths = {
        "day": 1,
        "month": calendar.monthrange(start.year, start.month)[1],
        "year": 366 if calendar.isleap(start.year) else 365,
    }
    return days_from(start, start + (lengths[period_type] - 1) * DAY)


@functools.cache
def real_venues(raw: Path) -> tuple[str, ...]:
    """Every venue but `market`, which stands for no single one."""
    return tuple(venue for venue in venues(raw) if venue != "market")


# Rows of many files.


@functools.cache
def days_of(raw: Path, dataset: str, venue: str) -> frozenset[date]:
    """Days of which a dataset has a partition of a venue."""
    folder = raw / dataset / f"venue={venue}"
    return frozenset(date.fromisoformat(path.name.removeprefix("date=")) for path in folder.glob("date=*"))


@functools.cache
def texts_of(raw: Path, dataset: str) -> tuple[str, ...]:
    """Names of the columns of a dataset that hold texts."""
    schema = pq.read_schema(next((raw / dataset).glob("venue=*/date=*/*.parquet")))
    return tuple(field.name for field in schema if pa.types.is_string(field.type))


@functools.lru_cache(maxsize=4096)
def table_of(raw: Path, dataset: str, venue: str, day: date) -> pa.Table:
    """All files of one partition, texts kept once each."""
    paths = sorted((raw / dataset / f"venue={venue}" / f"date={day}").glob("*.parquet"))
    return pa.concat_tables([rows_of_file(path, as_dictionary=texts_of(raw, dataset)) for path in paths])


def values_of(column: pa.ChunkedArray) -> list[Any]:
    """Python values of a column, moments in UTC."""
    values: list[Any] = []
    for chunk in column.chunks:
        if pa.types.is_dictionary(chunk.type):
            words = chunk.dictionary.to_pylist()
            places = chunk.indices.to_pylist() if chunk.null_count else chunk.indices.to_numpy().tolist()
            values += [None if place is None else words[place] for place in places]
        elif pa.types.is_timestamp(chunk.type):
            stamps = chunk.cast(pa.int64()).to_pylist()
            moments = {stamp: EPOCH + timedelta(microseconds=stamp) for stamp in set(stamps) if stamp is not None}
            values += [moments.get(stamp) for stamp in stamps]
        elif chunk.null_count or pa.types.is_boolean(chunk.type):
            values += chunk.to_pylist()
        else:
            values += chunk.to_numpy().tolist()
    return values


def rows(
    raw: Path,
    entity: str,
    venue: str,
    first: date,
    last: date,
    symbols: Sequence[str] | None = None,
    *,
    seconds: int | None = None,
) -> list[Row]:
    """Raw rows of the partitions from the first to the last day, of all feeds and files, with venue and feed.

    Of some contracts only, and of candles of one length only, if they are given.
    """
    found: list[Row] = []
    for dataset in datasets(raw, entity):
        days = days_of(raw, dataset, venue)
        tables = [table_of(raw, dataset, venue, day) for day in days_from(first, last) if day in days]
        if symbols is not None:
            wanted = pa.array(symbols, pa.string())
            tables = [table.filter(pc.is_in(table["venue_symbol"], wanted)) for table in tables]
        if seconds is not None:
            tables = [table.filter(pc.equal(table["interval_seconds"], seconds)) for table in tables]
        tables = [table for table in tables if table.num_rows]
        if not tables:
            continue
        table = pa.concat_tables(tables)
        names = {"venue": venue} | ({"feed": "files", "product": "files"} if dataset.startswith("files_") else {})
        columns = [values_of(table[name]) for name in table.column_names]
        found += [dict(zip(table.column_names, row, strict=True)) | names for row in zip(*columns, strict=True)]
    return found


def spoken_rows(
    raw: Path, entity: str, venue: str, first: date, last: date, symbols: Sequence[str] | None
) -> list[Row]:
    """Rows of contracts; of all contracts where another feed speaks, since who else speaks of the asset decides on it."""
    found = rows(raw, entity, venue, first, last, symbols)
    if symbols is not None and any(row["feed"] not in (venue, "files") for row in found):
        return rows(raw, entity, venue, first, last)
    return found


# Candles and days of volume.


@functools.lru_cache(maxsize=4096)
def bars_of_day(
    raw: Path, venue: str, day: date, symbols: tuple[str, ...] | None = None, seconds: int | None = None
) -> dict[str, list[Bar]]:
    """Candles of last prices that begin on a day, by contract and of all lengths or one; of several speakers the nearest."""
    nearest: dict[tuple[str, int, datetime], Row] = {}
    orders: dict[tuple[str, int, datetime], tuple[Any, ...]] = {}
    for row in rows(raw, "klines", venue, day, day, symbols, seconds=seconds):
        if row.get("price_kind", "last") != "last":
            continue
        if row["feed"] != "files":
            terms = terms_on(raw, venue, row["venue_symbol"], day)
            if terms is None or not terms.is_usd_quoted:
                continue
        key = (row["venue_symbol"], row["interval_seconds"], row["open_time"])
        order = (-rank_of_speaker(row), row["ingested_at"], row["landing_path"])
        if key not in orders or order > orders[key]:
            nearest[key], orders[key] = row, order
    found: dict[str, list[Bar]] = {}
    for (symbol, _, _), row in nearest.items():
        if (bar := bar_of(raw, row)) is not None:
            found.setdefault(symbol, []).append(bar)
    return found


def symbols_of_bars(raw: Path, venue: str, day: date) -> set[str]:
    """Contracts that have candles of any kind and length on a day."""
    found: set[str] = set()
    for dataset in datasets(raw, "klines"):
        if day in days_of(raw, dataset, venue):
            found |= set(pc.unique(table_of(raw, dataset, venue, day)["venue_symbol"]).to_pylist())
    return found


@dataclass(frozen=True, slots=True)
class DayVolume:
    """What a contract traded on a day, over the coarsest candles that cover it, else those that cover most of it."""

    venue: str
    symbol: str
    base_asset: str | None
    contract_type: str | None
    date: date
    is_covered: bool
    volume_usd: float | None
    volume_basis: str | None
    high: float
    low: float
    completeness: str | None
    source_class: str | None


def day_volume(venue: str, symbol: str, day: date, of_day: list[Bar]) -> DayVolume | None:
    """The day of a contract, of candles of one length that divides the day."""
    lengths: dict[int, list[Bar]] = {}
    for bar in of_day:
        if bar.seconds <= DAY_SECONDS and DAY_SECONDS % bar.seconds == 0:
            lengths.setdefault(bar.seconds, []).append(bar)
    covered = {
        seconds: min(sum(bar.volume_usd is not None for bar in group) * seconds, DAY_SECONDS)
        for seconds, group in lengths.items()
    }
    if not covered:
        return None
    chosen = max(covered, key=lambda seconds: (covered[seconds], seconds))
    group, is_covered = lengths[chosen], covered[chosen] == DAY_SECONDS
    return DayVolume(
        venue=venue,
        symbol=symbol,
        base_asset=group[0].base_asset,
        contract_type=group[0].contract_type,
        date=day,
        is_covered=is_covered,
        volume_usd=micro_sum(bar.volume_usd for bar in group),
        volume_basis=common_basis(bar.volume_basis for bar in group),
        high=max(bar.high for bar in group),
        low=min(bar.low for bar in group),
        completeness=weakest_completeness(bar.completeness for bar in group) if is_covered else "partial",
        source_class=weakest_source_class(bar.source_class for bar in group),
    )


@functools.cache
def volumes_of_day(raw: Path, venue: str, day: date) -> dict[str, DayVolume]:
    """Volume of a venue's contracts on a day. Only where no candle of a day tells it, shorter ones are looked at."""
    of_days = bars_of_day(raw, venue, day, seconds=DAY_SECONDS)
    told = {symbol: day_volume(venue, symbol, day, found) for symbol, found in of_days.items()}
    found = {symbol: volume for symbol, volume in told.items() if volume is not None and volume.is_covered}
    if open_symbols := symbols_of_bars(raw, venue, day) - found.keys():
        for symbol, of_contract in bars_of_day(raw, venue, day, tuple(sorted(open_symbols))).items():
            if (volume := day_volume(venue, symbol, day, of_contract)) is not None:
                found[symbol] = volume
    return found


def volumes(raw: Path, venue: str, first: date, last: date) -> list[DayVolume]:
    """Days of volume of a venue's contracts."""
    return [volume for day in days_from(first, last) for volume in volumes_of_day(raw, venue, day).values()]


# Open interest.


@dataclass(frozen=True, slots=True)
class DayInterest:
    """The last open interest of a contract on a day that is known in USD, one side."""

    venue: str
    symbol: str
    base_asset: str | None
    contract_type: str | None
    date: date
    at: datetime
    base_quantity: float | None
    usd: float
    completeness: str | None
    source_class: str | None


def open_interest_spoken(raw: Path, venue: str, day: date) -> dict[str, list[Spoken]]:
    """Observations of a day that are heard, the last first; a period's stamp may be of the day before its end."""
    every = rows(raw, "open_interest", venue, day - DAY, day)
    of_files = latest([row for row in every if row["feed"] == "files"], "venue_symbol", "event_at")
    of_feeds = [row for row in every if row["feed"] != "files"]
    of_feeds = latest(of_feeds, "feed", "venue_symbol", "observed_at", "period_seconds")
    found = [observed_open_interest(raw, row) for row in of_files + of_feeds]
    found = heard([each for each in found if utc_date(each.at) == day])
    found.sort(key=lambda each: (-each.at.timestamp(), each.speaker, each.row.get("period_seconds") or 0))
    by_symbol: dict[str, list[Spoken]] = {}
    for each in found:
        of_symbol = by_symbol.setdefault(each.symbol, [])
        if not of_symbol or of_symbol[-1].at != each.at:
            of_symbol.append(each)
    return by_symbol


def last_close(raw: Path, venue: str, symbol: str, at: datetime) -> Bar | None:
    """The last candle that ended by then, at most a day before; the shortest of those that ended together."""
    first = utc_date(at) - 2 * DAY
    told = [
        bar for day in days_from(first, utc_date(at)) for bar in bars_of_day(raw, venue, day, (symbol,)).get(symbol, ())
    ]
    ended = [bar for bar in told if at - DAY <= bar.end <= at]
    return min(ended, key=lambda bar: (-bar.end.timestamp(), bar.seconds), default=None)


def day_interest(raw: Path, venue: str, day: date, each: Spoken) -> DayInterest | None:
    """An observation; what is missing of USD and base assets is taken at the last close."""
    base, usd = interest_of(raw, each)
    flags: list[Any] = [each.row]
    if (base is None or usd is None) and (bar := last_close(raw, venue, each.symbol, each.at)):
        flags.append({"completeness": bar.completeness, "source_class": bar.source_class})
        if usd is None and base is not None:
            usd = base * bar.close
        elif base is None and usd is not None:
            base = usd / bar.close
    if usd is None:
        return None
    contract_type = each.row.get("contract_type")
    if each.row["feed"] != "files":
        terms = terms_on(raw, venue, each.symbol, day)
        contract_type = terms.contract_type if terms else None
    return DayInterest(
        venue=venue,
        symbol=each.symbol,
        base_asset=each.base_asset,
        contract_type=contract_type,
        date=day,
        at=each.at,
        base_quantity=base,
        usd=usd,
        completeness=weakest_completeness(flag["completeness"] for flag in flags),
        source_class=weakest_source_class(flag["source_class"] for flag in flags),
    )


@functools.cache
def open_interest_of_day(raw: Path, venue: str, day: date) -> dict[str, DayInterest]:
    """The last open interest that is known in USD of each of a venue's contracts on a day."""
    found = {}
    for symbol, spoken in open_interest_spoken(raw, venue, day).items():
        known = (day_interest(raw, venue, day, each) for each in spoken)
        if (last := next((each for each in known if each is not None), None)) is not None:
            found[symbol] = last
    return found


# Funding, ratios and books.


@dataclass(frozen=True, slots=True)
class Settlement:
    """A settled funding rate, of the second of its stamp."""

    symbol: str
    base_asset: str | None
    at: datetime
    rate: float
    completeness: str
    source_class: str


def settlements(
    raw: Path, venue: str, first: date, last: date, symbols: Sequence[str] | None = None
) -> list[Settlement]:
    """Settlements of these days, one a second: the venue's own, else a file's, else another feed's."""
    every = []
    for row in spoken_rows(raw, "funding", venue, first, last, symbols):
        at = (row["event_at"] if row["feed"] == "files" else row["funding_time"]).replace(microsecond=0)
        every.append(row | {"at": at})
    spoken = [
        Spoken(
            row,
            row["at"],
            row["venue_symbol"],
            base_asset_of(raw, row, row["at"]),
            {venue: 1, "files": 2}.get(row["feed"], 3),
        )
        for row in latest(every, "feed", "venue_symbol", "at")
    ]
    chosen: dict[tuple[str, datetime], Settlement] = {}
    for each in sorted(heard(spoken), key=lambda each: (each.speaker, each.row["source"], each.row["funding_rate"])):
        if symbols is None or each.symbol in symbols:
            row = each.row
            settled = Settlement(
                each.symbol, each.base_asset, each.at, row["funding_rate"], row["completeness"], row["source_class"]
            )
            chosen.setdefault((each.symbol, each.at), settled)
    return [chosen[key] for key in sorted(chosen)]


@dataclass(frozen=True, slots=True)
class DayRatio:
    """The last ratio of long to short accounts of a contract on a day."""

    symbol: str
    base_asset: str | None
    date: date
    ratio: float
    completeness: str
    source_class: str


def account_ratios(
    raw: Path, venue: str, first: date, last: date, symbols: Sequence[str] | None = None
) -> list[DayRatio]:
    """The last ratio of each day, dated by the end of its period as open interest is; the venue's own feed comes first."""
    every = rows(raw, "long_short_ratios", venue, first - DAY, last, symbols)
    every = latest(every, "feed", "venue_symbol", "population", "observed_at", "period_seconds")
    ordered = []
    for row in every:
        at = row["observed_at"]
        if change_on(row["feed"], "long_short_ratios", "period_label", row["product"], utc_date(at)) == "start":
            at += timedelta(seconds=row["period_seconds"])
        if row["population"] == "accounts" and first <= utc_date(at) <= last:
            order = (-at.timestamp(), row["feed"] != venue, row["period_seconds"], row["feed"], row["long_short_ratio"])
            ordered.append((order, utc_date(at), row))
    found: dict[tuple[str, date], DayRatio] = {}
    for _, day, row in sorted(ordered, key=lambda entry: entry[0]):
        symbol, asset = row["venue_symbol"], base_asset_of(raw, row, row["observed_at"])
        ratio = DayRatio(symbol, asset, day, row["long_short_ratio"], row["completeness"], row["source_class"])
        found.setdefault((symbol, day), ratio)
    return list(found.values())


@dataclass(slots=True)
class Book:
    """A snapshot of a contract: USD within each band (basis points of mid) of each side, and the best prices."""

    base_asset: str | None
    at: datetime
    depth: dict[tuple[str, int], float | None]
    best: dict[str, float | None]
    completeness: str | None
    source_class: str | None

    def total(self, band: int) -> float | None:
        """Bids and asks within a band; one side alone makes none."""
        bid, ask = self.depth.get(("bid", band)), self.depth.get(("ask", band))
        return None if bid is None or ask is None else bid + ask


BANDS = {20: "20bps", 100: "1pct", 200: "2pct", 300: "3pct", 400: "4pct", 500: "5pct"}


def book_place(row: Row) -> tuple[datetime, str, float]:
    """Time, side and band (basis points) of a row of a book; negative percentages are bids."""
    if row["feed"] == "files":
        return row["event_at"], row["side"], row["band_bps"]
    return row["observed_at"], "bid" if row["percentage"] < 0 else "ask", round(abs(row["percentage"]) * 100, 6)


def books(raw: Path, venue: str, symbol: str, day: date, bands: Collection[int] = BANDS) -> list[Book]:
    """Snapshots of a contract on a day in the order of time, in the bands that venues and files deliver or in some of them."""
    places: dict[tuple[datetime, str, float], list[Row]] = {}
    for row in rows(raw, "depth", venue, day, day, [symbol]):
        place = book_place(row)
        if place[2] in bands:
            places.setdefault(place, []).append(row)
    snapshots: dict[datetime, list[tuple[str, int, Row]]] = {}
    for (at, side, band), told in places.items():
        row = min(latest(told, "feed"), key=lambda row: (rank_of_speaker(row), depth_usd(raw, row) or 0.0))
        snapshots.setdefault(at, []).append((side, int(band), row))
    found = []
    for at, parts in sorted(snapshots.items()):
        best: dict[str, float | None] = {}
        for side, keep in (("bid", max), ("ask", min)):
            prices = [
                row["best_price"] / terms.multiplier
                for each, _, row in parts
                if each == side
                and row.get("best_price") is not None
                and (terms := terms_on(raw, venue, symbol, utc_date(at)))
            ]
            best[side] = keep(prices, default=None)
        flags = ["partial" for _, _, row in parts if row.get("is_floor")] + [row["completeness"] for _, _, row in parts]
        found.append(
            Book(
                base_asset=base_asset_of(raw, parts[0][2], at),
                at=at,
                depth={(side, band): depth_usd(raw, row) for side, band, row in parts},
                best=best,
                completeness=weakest_completeness(flags),
                source_class=weakest_source_class(row["source_class"] for _, _, row in parts),
            )
        )
    return found
