"""Rows of the exchange shares, computed from raw data by loops."""

import functools
import math
from dataclasses import dataclass
from datetime import date
from pathlib import Path

import raw_reading
from event_reading import weakest_completeness, weakest_source_class
from raw_reading import DAY, common_basis, micro_sum, period_days, ratio, real_venues
from seed_reading import Row, seed


def period_before(period_type: str, start: date) -> date:
    """Start of the calendar period before."""
    last = start - DAY
    return {"day": last, "month": last.replace(day=1), "year": last.replace(month=1, day=1)}[period_type]


@dataclass(frozen=True)
class VenuePeriod:
    """What a venue traded in a period, and its open interest at the end of it."""

    volume_usd: float | None
    volume_basis: str | None
    days: int
    contracts: int
    open_interest_usd: float | None
    completeness: str | None
    source_class: str | None


def open_interest_of_venues(raw: Path, day: date) -> dict[str, tuple[float, str | None, str | None]]:
    """Open interest of each venue that was observed on a day, with its flags."""
    found = {}
    for venue in real_venues(raw):
        contracts = raw_reading.open_interest_of_day(raw, venue, day).values()
        if contracts:
            found[venue] = (
                micro_sum(each.usd for each in contracts) or 0.0,
                weakest_completeness(each.completeness for each in contracts),
                weakest_source_class(each.source_class for each in contracts),
            )
    return found


@functools.cache
def share_period(raw: Path, period_type: str, start: date) -> tuple[date | None, dict[str, VenuePeriod]]:
    """Date of the open interest, and every venue of a period. Open interest is of one date for all: the last with any."""
    days = period_days(period_type, start)
    interest: dict[str, tuple[float, str | None, str | None]] = {}
    interest_date = None
    for day in reversed(days):
        if interest := open_interest_of_venues(raw, day):
            interest_date = day
            break
    found = {}
    for venue in real_venues(raw):
        told = [each for each in raw_reading.volumes(raw, venue, days[0], days[-1]) if each.volume_usd is not None]
        level = interest.get(venue)
        if not told and level is None:
            continue
        covered = {each.date for each in told}
        levels = [each.completeness for each in told] + ([level[1]] if level else [])
        classes = [each.source_class for each in told] + ([level[2]] if level else [])
        found[venue] = VenuePeriod(
            volume_usd=micro_sum(each.volume_usd for each in told),
            volume_basis=common_basis(each.volume_basis for each in told),
            days=len(covered),
            contracts=len({each.symbol for each in told}),
            open_interest_usd=level[0] if level else None,
            completeness="partial" if told and len(covered) < len(days) else weakest_completeness(levels),
            source_class=weakest_source_class(classes),
        )
    return interest_date, found


def share_and_rank(venues: dict[str, VenuePeriod], venue: str) -> tuple[float | None, int | None]:
    """Share of the volume of all venues, and place by volume."""
    if venue not in venues or venues[venue].volume_usd is None:
        return None, None
    known = {name: each.volume_usd for name, each in venues.items() if each.volume_usd is not None}
    order = sorted(known, key=lambda name: (-known[name], name))
    return ratio(known[venue], math.fsum(known.values())), order.index(venue) + 1


def published_total(period_type: str, start: date) -> float | None:
    """The published total of all venues' volume, which is one of a year."""
    figure = next(row for row in seed("published_figures") if row["figure_id"] == "volume_2025")
    is_its_year = period_type == "year" and start.year == date.fromisoformat(figure["published_date"]).year
    return float(figure["published_value"]) if is_its_year else None


def uncovered_row(raw: Path, period_type: str, start: date) -> Row:
    """What a published total has beyond the venues that are covered."""
    _, venues = share_period(raw, period_type, start)
    total = published_total(period_type, start)
    covered = [each.volume_usd for each in venues.values() if each.volume_usd is not None]
    rest = None if total is None else total - math.fsum(covered)
    rest = rest if rest is not None and rest > 0 else None
    return {
        "volume_usd": rest,
        "share": None,
        "share_change": None,
        "rank": None,
        "rank_change": None,
        "cr4": None,
        "hhi": None,
        "effective_venues": None,
        "published_total_usd": total,
        "share_of_published": ratio(rest, total),
        "open_interest_usd": None,
        "open_interest_share": None,
        "open_interest_date": None,
        "volume_basis": None,
        "days_covered": 0,
        "days_in_period": len(period_days(period_type, start)),
        "contracts_covered": 0,
        "venues_covered": len(covered),
        "venue_completeness": "partial",
        "completeness": "partial",
        "source_class": weakest_source_class(["published", *(each.source_class for each in venues.values())]),
    }


def exchange_share_row(raw: Path, venue: str, period_type: str, start: date) -> Row:
    """A row of fct_exchange_share by its key."""
    if venue == "uncovered":
        return uncovered_row(raw, period_type, start)
    interest_date, venues = share_period(raw, period_type, start)
    _, before = share_period(raw, period_type, period_before(period_type, start))
    own = venues[venue]
    shares = sorted((share for name in venues if (share := share_and_rank(venues, name)[0]) is not None), reverse=True)
    share, rank = share_and_rank(venues, venue)
    share_before, rank_before = share_and_rank(before, venue)
    hhi = math.fsum(each * each for each in shares) if shares else None
    total = published_total(period_type, start)
    interest = math.fsum(each.open_interest_usd for each in venues.values() if each.open_interest_usd is not None)
    return {
        "volume_usd": own.volume_usd,
        "share": share,
        "share_change": None if share is None or share_before is None else share - share_before,
        "rank": rank,
        "rank_change": None if rank is None or rank_before is None else rank_before - rank,
        "cr4": math.fsum(shares[:4]) if shares else None,
        "hhi": hhi,
        "effective_venues": ratio(1.0, hhi),
        "published_total_usd": total,
        "share_of_published": ratio(own.volume_usd, total),
        "open_interest_usd": own.open_interest_usd,
        "open_interest_share": ratio(own.open_interest_usd, interest),
        "open_interest_date": interest_date if own.open_interest_usd is not None else None,
        "volume_basis": own.volume_basis,
        "days_covered": own.days,
        "days_in_period": len(period_days(period_type, start)),
        "contracts_covered": own.contracts,
        "venues_covered": len(shares),
        "venue_completeness": own.completeness,
        "completeness": weakest_completeness(each.completeness for each in venues.values()),
        "source_class": weakest_source_class(each.source_class for each in venues.values()),
    }
