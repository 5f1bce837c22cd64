"""Rows of the open-interest cycle, computed from raw data by loops."""

import math
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path

import event_reading as reading
import raw_reading
from event_reading import weakest_completeness, weakest_source_class
from raw_reading import days_from, micro_sum, ratio, real_venues
from seed_reading import Row


@dataclass(frozen=True)
class Level:
    """Open interest of a venue, or of all, on a day, and its growth over the contracts that can be compared."""

    usd: float
    growth: float | None
    contracts: int
    compared: int
    venues: int
    completeness: str | None
    source_class: str | None


def levels_until(raw: Path, venue: str, last: date) -> dict[date, Level]:
    """Days with open interest until `last`; each contract is compared with its own last one, of seven days at most."""
    names = real_venues(raw) if venue == "market" else (venue,)
    firsts = [
        min(days)
        for name in names
        for dataset in reading.datasets(raw, "open_interest")
        if (days := raw_reading.days_of(raw, dataset, name))
    ]
    before: dict[tuple[str, str], raw_reading.DayInterest] = {}
    seen: dict[str, date] = {}
    found = {}
    for day in days_from(min(firsts), last):
        contracts = [each for name in names for each in raw_reading.open_interest_of_day(raw, name, day).values()]
        if not contracts:
            continue
        pairs = [(before[key], each) for each in contracts if (key := (each.venue, each.symbol)) in before]
        pairs = [(old, new) for old, new in pairs if new.date - old.date <= timedelta(days=7)]
        before |= {(each.venue, each.symbol): each for each in contracts}
        present = {each.venue for each in contracts}
        seen |= dict.fromkeys(present, day)
        is_missing = any(
            day - last_seen <= timedelta(days=7) and name not in present for name, last_seen in seen.items()
        )
        levels = [each.completeness for each in contracts] + (["partial"] if venue == "market" and is_missing else [])
        found[day] = Level(
            usd=micro_sum(each.usd for each in contracts) or 0.0,
            growth=ratio(micro_sum(new.usd for _, new in pairs), micro_sum(old.usd for old, _ in pairs)),
            contracts=len(contracts),
            compared=len(pairs),
            venues=len(present),
            completeness=weakest_completeness(levels),
            source_class=weakest_source_class(each.source_class for each in contracts),
        )
    return found


def open_interest_cycle_row(raw: Path, venue: str, day: date) -> Row:
    """A row of fct_open_interest_cycle by its key."""
    levels = levels_until(raw, venue, day)
    days = sorted(levels)
    start, logarithm, growth = days[0], 0.0, None
    index: dict[date, float] = {}
    previous: float | None = None
    for each in days:
        growth = levels[each].growth
        if growth is None or previous == 0:
            start, logarithm, growth, index = each, 0.0, None, {}
        previous = levels[each].growth
        logarithm += math.log(growth) if growth else 0.0
        index[each] = 0.0 if growth == 0 else round(math.exp(logarithm), 12)
    peak_date = max(index, key=lambda each: (index[each], -each.toordinal()))
    since = [each for each in index if each >= peak_date]
    trough_date = min(since, key=lambda each: (index[each], each))
    peak, trough, now = index[peak_date], index[trough_date], index[day]
    return {
        "open_interest_usd": levels[day].usd,
        "open_interest_change": None if growth is None else growth - 1,
        "open_interest_index": now,
        "series_start_date": start,
        "peak_date": peak_date,
        "peak_open_interest_usd": levels[peak_date].usd,
        "drawdown": now / peak - 1,
        "days_since_peak": (day - peak_date).days,
        "trough_date": trough_date,
        "trough_drawdown": trough / peak - 1,
        "recovery_share": ratio(now - trough, peak - trough),
        "contracts_covered": levels[day].contracts,
        "contracts_compared": levels[day].compared,
        "venues_covered": levels[day].venues,
        "completeness": weakest_completeness(levels[each].completeness for each in since),
        "source_class": weakest_source_class(levels[each].source_class for each in since),
    }
