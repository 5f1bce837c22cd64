"""Rows of the crowding marts, computed from raw data by loops: basis and funding, the early warning and its back-test."""

import functools
import math
import statistics
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import event_reading as reading
import raw_reading
from event_reading import COMPLETENESS, SOURCE_CLASSES, utc_date, weakest_completeness, weakest_source_class
from raw_reading import DAY, DAY_SECONDS, EPOCH, days_from, micro_sum, ratio

Row = dict[str, Any]

YEAR_SECONDS = 31536000


def decimal_sum(values: Iterable[float], places: int) -> float:
    """Sum in decimals, as ADR 2 has it, of numbers as they are written: days are ranked by it, so equal sums must be equal."""
    return float(sum((round(Decimal(repr(value)), places) for value in values), Decimal(0)))


# Funding.


@dataclass(frozen=True)
class FundingDay:
    """Settlements of a contract on a day, and what they are in a year."""

    base_asset: str | None
    settlements: int
    rate_sum: float
    interval_seconds: float | None
    annualised: float | None
    completeness: str | None
    source_class: str | None


@functools.cache
def funding_days(raw: Path, venue: str, symbol: str) -> dict[date, FundingDay]:
    """Days with a settlement. A settlement is of the minute next to its stamp; of two in a minute the stronger counts."""
    first, last = span_of(raw, venue, ("funding",))
    minutes: dict[datetime, raw_reading.Settlement] = {}
    orders: dict[datetime, tuple[Any, ...]] = {}
    for each in raw_reading.settlements(raw, venue, first, last, [symbol]):
        minute = EPOCH + timedelta(minutes=math.floor((each.at - EPOCH + timedelta(seconds=30)).total_seconds() / 60))
        order = (SOURCE_CLASSES.index(each.source_class), COMPLETENESS.index(each.completeness), each.at, each.rate)
        if minute not in orders or order < orders[minute]:
            minutes[minute], orders[minute] = each, order
    gaps: dict[date, list[float]] = {}
    by_day: dict[date, list[raw_reading.Settlement]] = {}
    previous = None
    for minute in sorted(minutes):
        by_day.setdefault(utc_date(minute), []).append(minutes[minute])
        if previous is not None:
            gaps.setdefault(utc_date(minute), []).append((minute - previous).total_seconds())
        previous = minute
    found = {}
    for day, settled in by_day.items():
        recent = [gap for back in range(3) for gap in gaps.get(day - back * DAY, [])]
        interval = statistics.median(recent) if len(recent) >= 3 else None
        total = decimal_sum((each.rate for each in settled), 18)
        levels: list[str | None] = [each.completeness for each in settled]
        if interval is not None and len(settled) < DAY_SECONDS // interval:
            levels.append("partial")
        found[day] = FundingDay(
            base_asset=max((each.base_asset for each in settled if each.base_asset), default=None),
            settlements=len(settled),
            rate_sum=total,
            interval_seconds=interval,
            annualised=None if interval is None else total / len(settled) * YEAR_SECONDS / interval,
            completeness=weakest_completeness(levels),
            source_class=weakest_source_class(each.source_class for each in settled),
        )
    return found


def span_of(raw: Path, venue: str, entities: tuple[str, ...]) -> tuple[date, date]:
    """First and last day of a venue's partitions of some entities; an empty span where it has none."""
    days = {
        day
        for entity in entities
        for dataset in reading.datasets(raw, entity)
        for day in raw_reading.days_of(raw, dataset, venue)
    }
    return (min(days), max(days)) if days else (EPOCH.date(), EPOCH.date() - DAY)


# Basis.


@functools.cache
def first_terms(raw: Path, venue: str, symbol: str) -> tuple[bool | None, datetime | None]:
    """Whether a contract is perpetual, and its expiry: as first stated by the venue, else by another feed."""
    first, last = span_of(raw, venue, ("instruments",))
    stated = raw_reading.rows(raw, "instruments", venue, first, last, [symbol])
    if not stated:
        return None, None
    row = min(
        stated, key=lambda row: (row["feed"] != venue, row["event_at"], -row["ingested_at"].timestamp(), row["feed"])
    )
    return row["is_perpetual"], None if row["is_perpetual"] else row["delisted_at"]


@dataclass(frozen=True)
class Gap:
    """A close against the close of the index in the same bar."""

    end: datetime
    bps: float
    completeness: str | None
    source_class: str | None


def gaps_of(raw: Path, venue: str, symbol: str, day: date) -> tuple[int, list[Gap]] | None:
    """Bars of the length that covers most of the day, and of those the finest; None without any."""
    start = datetime.combine(day, time(), UTC)
    index = {(bar.start, bar.seconds): bar for bar in reading.index_bars(raw, venue, symbol, start, start + DAY)}
    lengths: dict[int, list[Gap]] = {}
    for bar in raw_reading.bars_of_day(raw, venue, day, (symbol,)).get(symbol, ()):
        beside = index.get((bar.start, bar.seconds))
        if beside is not None and bar.seconds <= DAY_SECONDS and DAY_SECONDS % bar.seconds == 0:
            completeness = weakest_completeness([bar.completeness, beside.completeness])
            source_class = weakest_source_class([bar.source_class, beside.source_class])
            gap = Gap(bar.end, 10000 * (bar.close / beside.close - 1), completeness, source_class)
            lengths.setdefault(bar.seconds, []).append(gap)
    if not lengths:
        return None
    seconds = min(lengths, key=lambda each: (-min(len(lengths[each]) * each, DAY_SECONDS), each))
    return seconds, sorted(lengths[seconds], key=lambda gap: gap.end)


def basis_row(raw: Path, venue: str, symbol: str, day: date) -> Row:
    """A row of fct_basis by its key."""
    found = gaps_of(raw, venue, symbol, day)
    funding = funding_days(raw, venue, symbol).get(day)
    is_perpetual, expires_at = first_terms(raw, venue, symbol)
    seconds, gaps = found or (None, [])
    values = [gap.bps for gap in gaps]
    last = gaps[-1] if gaps else None
    annualised = None
    if last is not None and expires_at is not None and expires_at - last.end >= DAY:
        annualised = last.bps / 10000 * YEAR_SECONDS / (expires_at - last.end).total_seconds()
    levels = [gap.completeness for gap in gaps] + ([funding.completeness] if funding else [])
    if seconds is not None and len(gaps) * seconds < DAY_SECONDS:
        levels.append("partial")
    of_bars = [bar.base_asset for bar in raw_reading.bars_of_day(raw, venue, day, (symbol,)).get(symbol, ())]
    return {
        "base_asset": of_bars[0] if gaps else funding and funding.base_asset,
        "is_perpetual": is_perpetual,
        "expires_at": expires_at,
        "basis_interval_seconds": seconds,
        "basis_bars": len(gaps) or None,
        "basis_mean_bps": math.fsum(values) / len(values) if values else None,
        "basis_median_bps": statistics.median(values) if values else None,
        "basis_min_bps": min(values, default=None),
        "basis_max_bps": max(values, default=None),
        "basis_close_bps": last.bps if last else None,
        "basis_close_at": last.end if last else None,
        "basis_annualised": annualised,
        "funding_settlements": funding.settlements if funding else None,
        "funding_rate_sum": funding.rate_sum if funding else None,
        "funding_interval_seconds": int(funding.interval_seconds) if funding and funding.interval_seconds else None,
        "funding_rate_annualised": funding.annualised if funding else None,
        "completeness": weakest_completeness(levels),
        "source_class": weakest_source_class(
            [*(gap.source_class for gap in gaps), funding.source_class if funding else None]
        ),
    }


# Early warning.


MEASURES = (
    "funding_rate_annualised",
    "funding_rate_annualised_7d",
    "long_short_ratio",
    "open_interest_to_volume",
    "open_interest_to_depth",
    "leverage_estimate",
    "open_interest_growth_7d",
)
OBSERVED = ("klines", "open_interest", "funding", "long_short_ratios")


def depth_of_day(raw: Path, venue: str, symbol: str, day: date) -> tuple[float | None, list[raw_reading.Book]]:
    """Median depth within 1 % of mid of a day's snapshots that have both sides, and those snapshots."""
    if not any(day in raw_reading.days_of(raw, dataset, venue) for dataset in reading.datasets(raw, "depth")):
        return None, []
    whole = [book for book in raw_reading.books(raw, venue, symbol, day, (100,)) if book.total(100) is not None]
    return (statistics.median(book.total(100) or 0.0 for book in whole), whole) if whole else (None, [])


@functools.cache
def ratios_of_venue(raw: Path, venue: str) -> dict[tuple[str, date], raw_reading.DayRatio]:
    """The last ratio of accounts of each contract and day."""
    first, last = span_of(raw, venue, ("long_short_ratios",))
    return {(each.symbol, each.date): each for each in raw_reading.account_ratios(raw, venue, first, last + DAY)}


def deepest_fall(volumes: list[raw_reading.DayVolume]) -> float:
    """The deepest fall from high to low of any of these days."""
    return max(1 - each.low / each.high for each in volumes)


@functools.cache
def crowding_days(raw: Path, venue: str, symbol: str) -> dict[date, Row]:
    """What was known of a contract by the end of each day, without percentiles."""
    first, last = span_of(raw, venue, OBSERVED)
    funding = funding_days(raw, venue, symbol)
    volumes: dict[date, raw_reading.DayVolume] = {}
    interest: dict[date, raw_reading.DayInterest] = {}
    found: dict[date, Row] = {}
    for day in days_from(first, last + DAY):
        volume = raw_reading.volumes_of_day(raw, venue, day).get(symbol)
        if volume is not None and volume.is_covered:
            volumes[day] = volume
        if (level := raw_reading.open_interest_of_day(raw, venue, day).get(symbol)) is not None:
            interest[day] = level
        row = crowding_day(raw, venue, symbol, day, funding=funding, volumes=volumes, interest=interest)
        if row is not None:
            found[day] = row
    return found


def crowding_day(
    raw: Path,
    venue: str,
    symbol: str,
    day: date,
    *,
    funding: dict[date, FundingDay],
    volumes: dict[date, raw_reading.DayVolume],
    interest: dict[date, raw_reading.DayInterest],
) -> Row | None:
    """One day of a contract; None where nothing is observed on it, or neither funding nor a ratio nor open interest is known."""
    week = [day - back * DAY for back in range(7)]
    month = [day - back * DAY for back in range(30)]
    rate, accounts, level, level_before = (
        funding.get(day),
        ratios_of_venue(raw, venue).get((symbol, day)),
        interest.get(day),
        interest.get(day - 7 * DAY),
    )
    rates = [each for each in (funding.get(each_day) for each_day in week) if each is not None]
    known_rates = [each.annualised for each in rates if each.annualised is not None]
    week_volumes = [volumes[each] for each in week if each in volumes]
    month_volumes = [volumes[each] for each in month if each in volumes]
    rate_7d = decimal_sum(known_rates, 12) / len(known_rates) if len(known_rates) >= 4 else None
    is_observed = rate is not None or accounts is not None or level is not None or day in volumes
    is_known = (
        rate_7d is not None
        or accounts is not None
        or level is not None
        or (rate is not None and rate.annualised is not None)
    )
    if not is_observed or not is_known:
        return None
    depth, books = depth_of_day(raw, venue, symbol, day)
    mean_volume = None
    if len(week_volumes) >= 4:
        mean_volume = (micro_sum(each.volume_usd for each in week_volumes) or 0.0) / len(week_volumes)
    to_volume = ratio(level.usd if level else None, mean_volume)
    leverage = ratio(1.0, deepest_fall(month_volumes)) if len(month_volumes) >= 20 else None
    growth = ratio(level.base_quantity if level else None, level_before.base_quantity if level_before else None)
    flagged: list[Any] = [rate, accounts, level, level_before, *books]
    levels: list[str] = []
    classes: list[str] = []
    if rate_7d is not None:
        flagged += rates
        levels += ["partial"] if len(known_rates) < 7 else []
    if to_volume is not None:
        flagged += week_volumes
        levels += ["partial"] if len(week_volumes) < 7 else []
    if leverage is not None:
        flagged += month_volumes
        levels += ["partial"] if len(month_volumes) < 30 else []
        classes.append("estimated")
    flagged = [each for each in flagged if each is not None]
    assets = [each.base_asset for each in (rate, accounts, level, volumes.get(day)) if each is not None]
    return {
        "base_asset": max((asset for asset in assets if asset is not None), default=None),
        "open_interest_usd": level.usd if level else None,
        "depth_1pct_usd": depth,
        "funding_rate_annualised": rate.annualised if rate else None,
        "funding_rate_annualised_7d": rate_7d,
        "long_short_ratio": accounts.ratio if accounts else None,
        "open_interest_to_volume": to_volume,
        "open_interest_to_depth": ratio(level.usd if level else None, depth),
        "leverage_estimate": leverage,
        "open_interest_growth_7d": None if growth is None else growth - 1,
        "completeness": weakest_completeness([*levels, *(each.completeness for each in flagged)]),
        "source_class": weakest_source_class([*classes, *(each.source_class for each in flagged)]),
    }


def percentile_of(value: float | None, past: list[float]) -> float | None:
    """Share of past values below a value, equal ones by half; None with fewer than 30."""
    if value is None or len(past) < 30:
        return None
    return (sum(each < value for each in past) + sum(each == value for each in past) / 2) / len(past)


@functools.cache
def scored_day(raw: Path, venue: str, symbol: str, day: date) -> Row | None:
    """A day of a contract with the percentiles of its measures among the 365 days before, and their mean."""
    days = crowding_days(raw, venue, symbol)
    if day not in days:
        return None
    row = days[day]
    before = [days[each] for each in days_from(day - 365 * DAY, day - DAY) if each in days]
    percentiles = {
        f"{measure}_percentile": percentile_of(
            row[measure], [each[measure] for each in before if each[measure] is not None]
        )
        for measure in MEASURES
    }
    known = [each for each in percentiles.values() if each is not None]
    return row | percentiles | {"crowding_score": sum(known) / len(known) if known else None, "score_parts": len(known)}


def early_warning_row(raw: Path, venue: str, symbol: str, day: date) -> Row:
    """A row of fct_early_warning by its key."""
    row = scored_day(raw, venue, symbol, day)
    assert row is not None, f"nothing is known of {venue} {symbol} on {day}"
    return row


# Back-test of the score.


Score = tuple[float, int, str | None, str | None]
"""A day's score, of how many contracts it is, and its flags."""


def score_of_contract(raw: Path, venue: str, symbol: str, day: date) -> Score | None:
    """The score of a contract on a day."""
    row = scored_day(raw, venue, symbol, day)
    if row is None or row["crowding_score"] is None:
        return None
    return row["crowding_score"], 1, row["completeness"], row["source_class"]


@functools.cache
def contracts(raw: Path) -> tuple[tuple[str, str], ...]:
    """Contracts of all venues with candles, open interest, funding or ratios."""
    found = set()
    for venue in reading.venues(raw):
        for entity in OBSERVED:
            first, last = span_of(raw, venue, (entity,))
            found |= {(venue, row["venue_symbol"]) for row in raw_reading.rows(raw, entity, venue, first, last)}
    return tuple(sorted((venue, symbol) for venue, symbol in found if venue != "market"))


@functools.cache
def score_of_market(raw: Path, day: date) -> Score | None:
    """The score of the median contract of a day."""
    scores = [score for contract in contracts(raw) if (score := score_of_contract(raw, *contract, day)) is not None]
    if not scores:
        return None
    return (
        statistics.median(score for score, *_ in scores),
        len(scores),
        weakest_completeness(completeness for _, _, completeness, _ in scores),
        weakest_source_class(source_class for *_, source_class in scores),
    )


def backtest_row(raw: Path, event_id: str, venue: str, symbol: str, horizon_days: int) -> Row:
    """A row of fct_early_warning_backtest by its key."""
    event = next(event for event in reading.events(raw) if event.event_id == event_id)
    score_date = utc_date(event.pre_event_at) - horizon_days * DAY
    score_on: Callable[[date], Score | None] = functools.partial(score_of_contract, raw, venue, symbol)
    names = [venue]
    if (venue, symbol) == ("market", "all"):
        score_on, names = functools.partial(score_of_market, raw), [name for name, _ in contracts(raw)]
    found = score_on(score_date)
    assert found is not None, f"no score of {venue} {symbol} on {score_date}"
    score, count, completeness, source_class = found
    first = min(span_of(raw, name, OBSERVED)[0] for name in names)
    past = [each[0] for day in days_from(first, score_date - DAY) if (each := score_on(day)) is not None]
    return {
        "base_asset": None if symbol == "all" else crowding_days(raw, venue, symbol)[score_date]["base_asset"],
        "score_date": score_date,
        "crowding_score": score,
        "contracts_scored": count,
        "score_rank": sum(each > score for each in past) + 1,
        "days_compared": len(past),
        "score_percentile": percentile_of(score, past),
        "completeness": completeness,
        "source_class": source_class,
    }
