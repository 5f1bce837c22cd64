"""Rows of fct_reconciliation: every computed figure from raw data by loops, and the rule that judges it.

One candidate per source class, never mixed. Figures are found by their id; what none of the functions knows, nothing computes.
"""

import functools
import statistics
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from operator import attrgetter
from pathlib import Path
from typing import Any, TypeVar

import event_cells
import event_reading as reading
import raw_reading
import structure_reading as structure
from event_reading import COMPLETENESS, SOURCE_CLASSES, Event, weakest_completeness
from raw_reading import micro_sum
from seed_reading import seed

Part = TypeVar("Part")

DAY = timedelta(days=1)
EVENT_DAY = date(2025, 10, 10)
CASCADE = (datetime(2025, 10, 10, 21, 15, tzinfo=UTC), datetime(2025, 10, 10, 21, 27, tzinfo=UTC))
YEAR = (date(2025, 1, 1), date(2025, 12, 31))


@dataclass(frozen=True)
class Candidate:
    """A value that was computed for a figure from data of one source class, and how much of the figure it covers."""

    value: float
    source_class: str
    completeness: str | None
    at: date | None = EVENT_DAY
    days_covered: int | None = 1
    days_needed: int | None = 1
    is_partial: bool = False
    reason: bool = False

    @property
    def is_covering(self) -> bool:
        """Whether the data are all that the figure speaks of."""
        has_days = self.days_covered is None or self.days_needed is None or self.days_covered >= self.days_needed
        return has_days and not self.is_partial


def by_class(parts: Iterable[Part], name: Callable[[Part], str] = attrgetter("source_class")) -> dict[str, list[Part]]:
    """Parts by their source class."""
    groups: dict[str, list[Part]] = {}
    for part in parts:
        groups.setdefault(name(part), []).append(part)
    return groups


def flag(parts: Iterable[Any]) -> str | None:
    """Weakest completeness of parts."""
    return weakest_completeness(part.completeness for part in parts)


@functools.cache
def figures() -> dict[str, dict[str, str]]:
    """The published figures by their id."""
    return {row["figure_id"]: row for row in seed("published_figures")}


def published(figure: str) -> float:
    """The published value of a figure."""
    return float(figures()[figure]["published_value"])


def event_of(raw: Path) -> Event:
    """The event that the figures of 10 October 2025 are about."""
    return event_cells.event_named(raw, "2025_10_10")


# Arithmetic on published values.

VENUE_VOLUMES = ("binance_volume_2025", "okx_volume_2025", "bybit_volume_2025", "bitget_volume_2025")


def quotient(part: str, *whole: str) -> float:
    """A published value over the sum of others."""
    return published(part) / sum(published(each) for each in whole)


ARITHMETIC: dict[str, Callable[[], float]] = {
    **{
        volume.replace("volume", "share"): functools.partial(quotient, volume, "volume_2025")
        for volume in VENUE_VOLUMES
    },
    "top_four_volume_2025": lambda: sum(published(volume) for volume in VENUE_VOLUMES),
    "top_four_share_2025": lambda: quotient("top_four_volume_2025", "volume_2025"),
    "average_daily_liquidations_2025": lambda: published("liquidations_2025") / 365,
    "average_daily_volume_2025": lambda: published("volume_2025") / 365,
    "binance_average_daily_volume_2025": lambda: published("binance_volume_2025") / 365,
    "liquidated_24h": lambda: published("liquidated_24h_long") + published("liquidated_24h_short"),
    "long_share_24h": lambda: quotient("liquidated_24h_long", "liquidated_24h_long", "liquidated_24h_short"),
    "liquidated_24h_binance": lambda: (
        published("liquidated_24h_binance_long") + published("liquidated_24h_binance_short")
    ),
    "btc_fall_composite": lambda: quotient("btc_low", "btc_before_event") - 1,
    "open_interest_change_event": lambda: quotient("open_interest_after_event", "open_interest_before_event") - 1,
    "open_interest_change_hyperliquid": lambda: (
        quotient("open_interest_after_hyperliquid", "open_interest_before_hyperliquid") - 1
    ),
    "open_interest_wiped": lambda: published("open_interest_before_event") - published("open_interest_after_event"),
    "altcoin_depth_change": lambda: quotient("altcoin_depth_trough", "altcoin_depth_before") - 1,
    "binance_fund_change": lambda: published("binance_fund_after") - published("binance_fund_before"),
    "hyperliquid_total_impact": lambda: published("hyperliquid_liquidated") + published("hyperliquid_adl"),
    "trackers_difference_2025": lambda: quotient("volume_2025", "cryptoquant_perpetual_volume_2025") - 1,
    "cryptoquant_perpetual_volume_2025": lambda: published("volume_2025"),
    "liquidations_2025_headline": lambda: published("liquidations_2025"),
    "btc_high_2025_date": lambda: float(day_of_high().timetuple().tm_yday),
    "btc_high_2025": lambda: float(figures()["btc_high_2025"]["published_high"]),
}


def day_of_high() -> date:
    """Day on which the press put the high of BTC."""
    return date.fromisoformat(figures()["btc_high_2025"]["published_date"])


def is_explained(figure: str) -> bool:
    """Whether a known reason, which is checked, sets a figure apart from what follows from the others."""
    if figure in ("average_daily_volume_2025", "binance_average_daily_volume_2025"):
        # Both totals were divided by the same number of days, some 324.
        market = quotient("volume_2025", "average_daily_volume_2025")
        binance = quotient("binance_volume_2025", "binance_average_daily_volume_2025")
        return abs(market / binance - 1) < 0.005
    if figure == "liquidations_2025_headline":
        return round(published(figure), -10) == published("liquidations_2025")
    return figure == "cryptoquant_perpetual_volume_2025"


def arithmetic(figure: str) -> list[Candidate]:
    """What follows for a figure from other published ones."""
    if figure not in ARITHMETIC:
        return []
    at = day_of_high() if figure.startswith("btc_high_2025") else None
    reason = is_explained(figure)
    return [Candidate(ARITHMETIC[figure](), "published", "complete", at, None, None, reason=reason)]


# Volume, open interest and liquidations of the year.

PERIODS = {
    "volume_2025": YEAR,
    "tokeninsight_top_ten_q1_2025": (date(2025, 1, 1), date(2025, 3, 31)),
    "tokeninsight_top_ten_q2_2025": (date(2025, 4, 1), date(2025, 6, 30)),
    "coindesk_volume_2025_08": (date(2025, 8, 1), date(2025, 8, 31)),
    "coindesk_volume_2025_09": (date(2025, 9, 1), date(2025, 9, 30)),
    "coindesk_volume_2025_10": (date(2025, 10, 1), date(2025, 10, 31)),
}


def venue_days(raw: Path, first: date, last: date) -> list[raw_reading.DayVolume]:
    """Volumes of contracts and days on venues."""
    days = [day for venue in reading.venues(raw) for day in raw_reading.volumes(raw, venue, first, last)]
    return [day for day in days if day.venue != "market" and day.volume_usd is not None]


def volume_of_period(raw: Path, figure: str) -> list[Candidate]:
    """Sum over all covered venues: always a part of what trackers count."""
    first, last = PERIODS[figure]
    return [
        Candidate(
            value=micro_sum(day.volume_usd for day in days) or 0.0,
            source_class=source_class,
            completeness=flag(days),
            at=max(day.date for day in days),
            days_covered=len({day.date for day in days}),
            days_needed=(last - first).days + 1,
            is_partial=True,
        )
        for source_class, days in by_class(venue_days(raw, first, last)).items()
    ]


def volume_of_venue(raw: Path, venue: str) -> list[Candidate]:
    """A year of one venue, partial while contracts that it lists are missing."""
    listed = reading.listed(raw, venue)
    days = [day for day in raw_reading.volumes(raw, venue, *YEAR) if day.volume_usd is not None]
    return [
        Candidate(
            value=micro_sum(day.volume_usd for day in group) or 0.0,
            source_class=source_class,
            completeness=flag(group),
            at=max(day.date for day in group),
            days_covered=len({day.date for day in group}),
            days_needed=365,
            is_partial=not listed or len({day.symbol for day in group}) < len(listed),
        )
        for source_class, group in by_class(days).items()
    ]


def peak_of(days: Iterable[Any], amount: str, *, is_highest: bool) -> list[tuple[str, date, float, list[Any], int]]:
    """For each class the day with the largest or least sum, the first of equals: day, sum, parts, number of days."""
    found = []
    for source_class, group in by_class(days).items():
        by_day: dict[date, list[Any]] = {}
        for day in group:
            by_day.setdefault(day.date, []).append(day)
        sums = {at: micro_sum(getattr(day, amount) for day in parts) or 0.0 for at, parts in by_day.items()}
        chosen = min(sums, key=lambda at: (-sums[at] if is_highest else sums[at], at))
        found.append((source_class, chosen, sums[chosen], by_day[chosen], len(sums)))
    return found


def peak_volume(raw: Path, figure: str) -> list[Candidate]:
    """The largest daily total, or its day of the year."""
    return [
        Candidate(
            value=float(at.timetuple().tm_yday) if figure.endswith("_date") else total,
            source_class=source_class,
            completeness=flag(parts),
            at=at,
            days_covered=covered,
            days_needed=365,
            is_partial=True,
        )
        for source_class, at, total, parts, covered in peak_of(venue_days(raw, *YEAR), "volume_usd", is_highest=True)
    ]


def open_interest_of_year(raw: Path, figure: str) -> list[Candidate]:
    """The highest or lowest daily total of open interest, its day, or the total of the last day."""
    days = [
        day
        for venue in reading.venues(raw)
        if venue != "market"
        for at in raw_reading.days_from(*YEAR)
        for day in raw_reading.open_interest_of_day(raw, venue, at).values()
    ]
    is_year_end = figure == "open_interest_year_end_2025"
    if is_year_end:
        days = [day for day in days if day.date == YEAR[1]]
    return [
        Candidate(
            value=float(at.timetuple().tm_yday) if figure.endswith("_date") else total,
            source_class=source_class,
            completeness=flag(parts),
            at=at,
            days_covered=1 if is_year_end else covered,
            days_needed=1 if is_year_end else 365,
            is_partial=True,
        )
        for source_class, at, total, parts, covered in peak_of(
            days, "usd", is_highest=figure != "open_interest_low_2025"
        )
    ]


def liquidations(raw: Path, figure: str) -> list[Candidate]:
    """Sums over the venues' feeds; the total of no venue only where no venue speaks, because it holds theirs."""
    is_year = figure.startswith("liquidations_2025")
    first, last = YEAR if is_year else (EVENT_DAY, EVENT_DAY)
    coin = figure.removeprefix("liquidated_24h").removeprefix("_").upper()
    days = [day for venue in reading.venues(raw) for day in reading.daily_liquidations(raw, venue, first, last)]
    if coin in ("BTC", "ETH", "SOL"):
        days = [day for day in days if day.base_asset == coin]
    candidates = []
    for source_class, group in by_class(days).items():
        of_venues = [day for day in group if day.venue != "market"]
        used = of_venues or group
        amounts = [
            day.long_usd if coin == "LONG" else day.short_usd if coin == "SHORT" else day.liquidated_usd for day in used
        ]
        candidates.append(
            Candidate(
                value=micro_sum(amounts) or 0.0,
                source_class=source_class,
                completeness=flag(used),
                at=None if is_year else EVENT_DAY,
                days_covered=len({day.date for day in used}),
                days_needed=365 if is_year else 1,
                is_partial=True,
            )
        )
    return candidates


def liquidations_of_venue(raw: Path, venue: str, side: str) -> list[Candidate]:
    """What a venue liquidated on the day; partial unless its feed is complete and names half of its listed coins."""
    listed = set(reading.listed(raw, venue).values())
    candidates = []
    for source_class, group in by_class(reading.daily_liquidations(raw, venue, EVENT_DAY, EVENT_DAY)).items():
        amounts = [
            day.long_usd if side == "long" else day.short_usd if side == "short" else day.liquidated_usd
            for day in group
        ]
        coins = {day.base_asset for day in group}
        is_partial = flag(group) != "complete" or not listed or len(coins) < 0.5 * len(listed)
        candidates.append(Candidate(micro_sum(amounts) or 0.0, source_class, flag(group), is_partial=is_partial))
    return candidates


# Prices.


def btc_high(raw: Path, figure: str) -> list[Candidate]:
    """The high of the year over complete days of BTC, and its day of the year if the published high was found."""
    days = [
        day
        for venue in reading.venues(raw)
        for day in raw_reading.volumes(raw, venue, *YEAR)
        if day.base_asset == "BTC" and day.completeness == "complete" and day.high is not None
    ]
    candidates = []
    for source_class, group in by_class(days).items():
        top = min(group, key=lambda day: (-day.high, day.date, day.venue))
        if figure == "btc_high_2025_date" and top.high < 126000 * 0.995:
            continue
        candidates.append(
            Candidate(
                value=float(top.date.timetuple().tm_yday) if figure.endswith("_date") else top.high,
                source_class=source_class,
                completeness=top.completeness,
                at=top.date,
                days_covered=int(any(day.date == date(2025, 10, 6) for day in group)),
            )
        )
    return candidates


@dataclass(frozen=True)
class Fall:
    """How far a contract fell in the window."""

    venue: str
    symbol: str
    base_asset: str | None
    seconds: int
    low: float | None
    move: float | None
    covered_seconds: int
    volume_usd: float | None
    completeness: str | None
    source_class: str | None


@functools.cache
def falls_of(raw: Path, venue: str, asset: str | None = None) -> tuple[Fall, ...]:
    """The fall of every contract of a venue, or of those on an asset, over its finest bars of the window."""
    event = event_of(raw)
    lengths = reading.bar_lengths(raw, venue, event.window_start_at, event.window_end_at)
    found = []
    for symbol, seconds in lengths.items():
        usable = [each for each in seconds if each <= 86400]
        if not usable or asset not in (
            None,
            reading.asset_of(raw, "klines", venue, symbol, reading.utc_date(event.shock_at)),
        ):
            continue
        everything = reading.bars(raw, venue, symbol, event.pre_event_at - 2 * DAY, event.window_end_at)
        bars = [bar for bar in everything if bar.start >= event.window_start_at and bar.seconds == min(usable)]
        before = [bar for bar in everything if event.pre_event_at - DAY < bar.end <= event.pre_event_at]
        low = min((bar.low for bar in bars if bar.end > event.shock_at and bar.low is not None), default=None)
        last = min(before, key=lambda bar: (-bar.end.timestamp(), bar.seconds), default=None)
        found.append(
            Fall(
                venue=venue,
                symbol=symbol,
                base_asset=bars[0].base_asset,
                seconds=min(usable),
                low=low,
                move=event_cells.move(low, last.close if last else None),
                covered_seconds=len(bars) * min(usable),
                volume_usd=micro_sum(bar.volume_usd for bar in bars),
                completeness=flag(bars),
                source_class=reading.weakest_source_class(bar.source_class for bar in bars),
            )
        )
    return tuple(fall for fall in found if fall.move is not None)


def all_falls(raw: Path) -> list[Fall]:
    """The falls of all venues."""
    return [fall for venue in reading.venues(raw) for fall in falls_of(raw, venue)]


def reference_falls(raw: Path, asset: str) -> list[Fall]:
    """For each class the fall on the venue with the largest volume, among those whose bars cover the window."""
    found = [
        fall
        for venue in reading.venues(raw)
        for fall in falls_of(raw, venue, asset)
        if fall.completeness == "complete" and fall.covered_seconds >= 2 * 86400
    ]
    return [
        min(group, key=lambda fall: (fall.volume_usd is None, -(fall.volume_usd or 0.0), fall.venue, fall.symbol))
        for group in by_class(found).values()
    ]


def low_of(raw: Path, figure: str) -> list[Candidate]:
    """Low and fall of BTC and ETH. A composite lies above the lows of its parts, if the fall is the published one."""
    coin = figure.split("_", maxsplit=1)[0]
    below = float(figures()[f"{coin}_low"]["published_low"] or published(f"{coin}_low"))
    lowest, highest = (float(figures()[f"{coin}_fall"][bound]) for bound in ("published_low", "published_high"))
    return [
        Candidate(
            value=fall.low if figure.endswith("_low") else fall.move,
            source_class=fall.source_class,
            completeness=fall.completeness,
            days_covered=2,
            days_needed=2,
            reason=figure.endswith("_low") and fall.low < below and lowest <= fall.move <= highest,
        )
        for fall in reference_falls(raw, coin.upper())
    ]


def tail_fall(raw: Path, _: str) -> list[Candidate]:
    """Mean over tail assets of the median fall of the asset's contracts."""
    candidates = []
    event = event_of(raw)
    tail = [fall for fall in all_falls(raw) if event_cells.tier_before(raw, event, fall.base_asset)[0] == "tail"]
    for source_class, group in by_class(tail).items():
        by_asset: dict[str, list[float]] = {}
        for fall in group:
            by_asset.setdefault(fall.base_asset, []).append(fall.move)
        moves = [statistics.median(moves) for moves in by_asset.values()]
        value = sum(moves) / len(moves)
        candidates.append(
            Candidate(value, source_class, flag(group), days_covered=2, days_needed=2, is_partial=len(moves) < 50)
        )
    return candidates


def binance_falls(raw: Path, figure: str) -> list[Candidate]:
    """Mean fall of Binance's contracts, and how many fell by more than 80 %."""
    listed = reading.listed(raw, "binance")
    candidates = []
    for source_class, group in by_class(falls_of(raw, "binance")).items():
        moves = [fall.move for fall in group]
        value = sum(moves) / len(moves) if figure.startswith("average") else float(sum(move < -0.8 for move in moves))
        is_partial = not listed or len(moves) < len(listed)
        candidates.append(
            Candidate(value, source_class, flag(group), days_covered=2, days_needed=2, is_partial=is_partial)
        )
    return candidates


def btc_before(raw: Path, _: str) -> list[Candidate]:
    """The high from 00:00 to 20:50 on the venue with the largest volume."""
    event = event_of(raw)
    candidates = []
    for fall in reference_falls(raw, "BTC"):
        bars = [
            bar
            for bar in reading.bars(raw, fall.venue, fall.symbol, event.window_start_at, event.pre_event_at)
            if bar.seconds == fall.seconds and bar.end <= event.pre_event_at and bar.source_class == fall.source_class
        ]
        if bars:
            candidates.append(Candidate(max(bar.high for bar in bars), fall.source_class, flag(bars)))
    return candidates


def tail_lows(raw: Path, _: str) -> list[Candidate]:
    """Time of day at which tail contracts were lowest: the first minute of each one's low, as a median."""
    event = event_of(raw)
    lows: dict[str, list[tuple[float, reading.Bar]]] = {}
    for venue in reading.venues(raw):
        lengths = reading.bar_lengths(raw, venue, event.shock_at, event.window_end_at)
        for symbol, seconds in lengths.items():
            if min(seconds) > 60:
                continue
            bars = [
                bar
                for bar in reading.bars(raw, venue, symbol, event.shock_at, event.window_end_at)
                if bar.seconds <= 60 and bar.end <= event.window_end_at
            ]
            if not bars or event_cells.tier_before(raw, event, bars[0].base_asset)[0] != "tail":
                continue
            for source_class, group in by_class(bars).items():
                lowest = min(group, key=lambda bar: (bar.low, bar.start, bar.seconds))
                lows.setdefault(source_class, []).append(((lowest.start - event.shock_at).total_seconds(), lowest))
    midnight = event.shock_at.replace(hour=0, minute=0, second=0, microsecond=0)
    return [
        Candidate(
            value=(event.shock_at - midnight).total_seconds() + statistics.median(seconds for seconds, _ in group),
            source_class=source_class,
            completeness=flag(bar for _, bar in group),
            is_partial=len({bar.base_asset for _, bar in group}) < 50,
        )
        for source_class, group in lows.items()
    ]


def depth_before(raw: Path, _: str) -> list[Candidate]:
    """The deepest BTC book of a contract, as a mean over the hour before the event."""
    event = event_of(raw)
    books: dict[str, dict[tuple[str, str], list[reading.Level]]] = {}
    for venue in reading.venues(raw):
        start, end = event.pre_event_at - timedelta(hours=1), event.pre_event_at
        for symbol in reading.symbols_on(raw, "depth", venue, EVENT_DAY, "BTC"):
            for level in reading.depth_1pct(raw, venue, symbol, start, end):
                if level.at < end:
                    books.setdefault(level.source_class, {}).setdefault((venue, symbol), []).append(level)
    candidates = []
    for source_class, contracts in books.items():
        means = {
            name: (micro_sum(each.value for each in found) or 0.0) / len(found) for name, found in contracts.items()
        }
        deepest = min(means, key=lambda name: (-means[name], name))
        candidates.append(Candidate(means[deepest], source_class, flag(contracts[deepest])))
    return candidates


# Open interest around the event.


def open_interest_around(raw: Path, figure: str) -> list[Candidate]:
    """Last observation of each contract before the event; after it the lowest hour of those that know most contracts."""
    event = event_of(raw)
    scope = figure.rsplit("_", 1)[1]
    found: dict[str, list[tuple[str, str, reading.Level]]] = {}
    for venue in [venue for venue in reading.venues(raw) if venue != "market"]:
        if scope == "hyperliquid" and venue != "hyperliquid":
            continue
        for symbol, level in reading.all_open_interest(raw, venue, event.pre_event_at - DAY, event.window_end_at):
            if event.pre_event_at - DAY < level.at < event.window_end_at:
                found.setdefault(level.source_class, []).append((venue, symbol, level))
    candidates = []
    for source_class, levels in found.items():
        before: dict[tuple[str, str], reading.Level] = {}
        hours: dict[datetime, dict[tuple[str, str], reading.Level]] = {}
        for venue, symbol, level in sorted(levels, key=lambda each: each[2].at):
            if level.at > event.shock_at:
                hours.setdefault(event_cells.floored(level.at, 3600), {})[venue, symbol] = level
            elif level.at <= event.pre_event_at:
                before[venue, symbol] = level
        if not before or not hours:
            continue
        totals = {hour: micro_sum(level.value for level in known.values()) or 0.0 for hour, known in hours.items()}
        lowest = min(hours, key=lambda hour: (-len(hours[hour]), totals[hour], hour))
        before_usd, after_usd = micro_sum(level.value for level in before.values()) or 0.0, totals[lowest]
        after = hours[lowest]
        values = {"before": before_usd, "after": after_usd, "change": after_usd / before_usd - 1}
        kind = figure.split("_")[2]
        listed = reading.listed(raw, scope)
        candidates.append(
            Candidate(
                value=values[kind],
                source_class=source_class,
                completeness=flag([*before.values(), *after.values()]),
                at=EVENT_DAY if kind == "before" else lowest.astimezone(UTC).date(),
                is_partial=scope == "event" or len(after) < len(before) or not listed or len(after) < len(listed),
            )
        )
    return candidates


# Funds, deleveraging and the pace of liquidations.


def fund_of_binance(raw: Path, figure: str) -> list[Candidate]:
    """Sum over pools and assets of the last balance at or before 20:50, and of the window."""
    event = event_of(raw)
    candidates = []
    balances = [
        balance
        for balance in structure.balances(raw)
        if balance.venue == "binance" and event.pre_event_at - DAY < balance.at <= event.window_end_at
    ]
    for source_class, group in by_class(balances).items():
        last: dict[bool, dict[tuple[str, str, str], structure.Balance]] = {False: {}, True: {}}
        for balance in group:
            last[balance.at > event.pre_event_at][balance.product, balance.pool, balance.asset] = balance
        before, after = list(last[False].values()), list(last[True].values())
        before_usd = micro_sum(balance.balance_usd for balance in before)
        after_usd = micro_sum(balance.balance_usd for balance in after)
        values = {"before": before_usd, "after": after_usd}
        if before_usd is not None and after_usd is not None:
            values["change"] = after_usd - before_usd
        value = values.get(figure.rsplit("_", 1)[1])
        is_partial = len(before) != len(after) or any(balance.balance_usd is None for balance in before + after)
        if value is not None:
            candidates.append(Candidate(value, source_class, flag(before + after), is_partial=is_partial))
    return candidates


def second_of_day(at: datetime) -> float:
    """Seconds since midnight UTC, with milliseconds."""
    moment = at.astimezone(UTC)
    return moment.hour * 3600 + moment.minute * 60 + moment.second + moment.microsecond // 1000 / 1000


def adl_of_day(raw: Path, figure: str) -> list[Candidate]:
    """Deleveraging on Hyperliquid: first and last event of the day; of the twelve minutes coins, notional in all or of a coin."""
    what = figure.removeprefix("hyperliquid_").removeprefix("adl_")
    parts = [
        part
        for part in structure.adl_parts_told_once(raw)
        if part.venue == "hyperliquid" and part.at.astimezone(UTC).date() == EVENT_DAY
    ]
    is_coin = figure not in (
        "hyperliquid_adl",
        "hyperliquid_adl_coins",
        "hyperliquid_first_adl",
        "hyperliquid_last_adl",
    )
    if is_coin:
        parts = [part for part in parts if part.base_asset.lower() == what]
    candidates = []
    for source_class, group in by_class(parts).items():
        wave = [part for part in group if CASCADE[0] <= part.at < CASCADE[1]]
        if what == "coins":
            value: float | None = float(len({part.base_asset for part in wave}))
        elif what == "first_adl":
            value = min(second_of_day(part.at) for part in group)
        elif what == "last_adl":
            value = max(second_of_day(part.at) for part in group)
        else:
            value = micro_sum(part.adl_usd for part in wave) if all(part.adl_usd is not None for part in wave) else None
        if value is not None:
            candidates.append(Candidate(value, source_class, flag(group), is_partial=flag(group) != "complete"))
    return candidates


def adl_of_accounts(raw: Path, figure: str) -> list[Candidate]:
    """Fills and accounts of the twelve minutes, and the share of the accounts that were reduced most."""
    fills = [
        fill for fill in structure.adl_fills(raw) if fill.venue == "hyperliquid" and CASCADE[0] <= fill.at < CASCADE[1]
    ]
    candidates = []
    for source_class, group in by_class(fills).items():
        is_known = all(fill.account is not None and fill.adl_usd is not None for fill in group)
        sums: dict[str | None, list[float | None]] = {}
        for fill in group:
            sums.setdefault(fill.account, []).append(fill.adl_usd)
        if figure == "hyperliquid_adl_fills":
            value: float | None = float(len(group))
        elif not is_known:
            value = None
        elif figure == "hyperliquid_adl_accounts":
            value = float(len(sums))
        else:
            amounts = sorted((micro_sum(values) or 0.0 for values in sums.values()), reverse=True)
            value = (micro_sum(amounts[: int(figure.split("_")[3])]) or 0.0) / (micro_sum(amounts) or 0.0)
        if value is not None:
            candidates.append(Candidate(value, source_class, flag(group), is_partial=flag(group) != "complete"))
    return candidates


def fills_of_cascade(raw: Path, figure: str) -> list[Candidate]:
    """Single liquidations on Hyperliquid from 21:15 to 21:27."""
    found = [each for each in reading.liquidations(raw, "hyperliquid", *CASCADE) if each.period_seconds == 0]
    candidates = []
    for source_class, group in by_class(found).items():
        values = {
            "hyperliquid_liquidated": micro_sum(each.usd for each in group),
            "hyperliquid_liquidation_fills": float(len(group)),
            "hyperliquid_first_liquidation": min(second_of_day(each.at) for each in group),
        }
        is_partial = flag(group) != "complete" or len({each.base_asset for each in group}) < 100
        if (value := values[figure]) is not None:
            candidates.append(Candidate(value, source_class, flag(group), is_partial=is_partial))
    return candidates


def minutes_of_day(raw: Path) -> list[reading.Liquidation]:
    """Liquidations of the day, single or sums of a minute at most, of all venues."""
    start = datetime(2025, 10, 10, tzinfo=UTC)
    return [
        each
        for venue in reading.venues(raw)
        if venue != "market"
        for each in reading.liquidations(raw, venue, start, start + DAY)
        if each.period_seconds <= 60
    ]


def pace(raw: Path, figure: str) -> list[Candidate]:
    """Liquidated within some minutes, or the minute with most; the largest single one of ETH on Hyperliquid."""
    start = datetime(2025, 10, 10, tzinfo=UTC)
    spans = {
        "pace_2050_2130": (start + timedelta(hours=20, minutes=50), start + timedelta(hours=21, minutes=30)),
        "pace_minute_2115": (CASCADE[0], CASCADE[0] + timedelta(minutes=1)),
    }
    candidates = []
    for source_class, group in by_class(minutes_of_day(raw)).items():
        parts = group
        if figure == "largest_liquidation":
            parts = [
                each
                for each in group
                if each.venue == "hyperliquid" and each.base_asset == "ETH" and not each.period_seconds
            ]
            value = max((each.usd for each in parts if each.usd is not None), default=None)
        elif figure == "timeline_peak_minute":
            by_minute: dict[datetime, list[float | None]] = {}
            for each in group:
                by_minute.setdefault(event_cells.floored(each.at, 60), []).append(each.usd)
            sums = {at: micro_sum(values) or 0.0 for at, values in by_minute.items()}
            top = min(sums, key=lambda at: (-sums[at], at))
            value = second_of_day(top) if sums[top] > 0 else None
        else:
            first, end = spans[figure]
            value = micro_sum(each.usd for each in group if first <= event_cells.floored(each.at, 60) < end)
        if value is not None:
            candidates.append(Candidate(value, source_class, flag(parts), is_partial=True))
    return candidates


def of_data(raw: Path, figure: str) -> list[Candidate]:
    """Candidates from data, one per source class."""
    named: dict[str, Callable[[Path, str], list[Candidate]]] = {
        **dict.fromkeys(PERIODS, volume_of_period),
        **dict.fromkeys(["peak_daily_volume_2025", "peak_daily_volume_2025_date"], peak_volume),
        **dict.fromkeys(
            [
                "open_interest_low_2025",
                "open_interest_peak_2025",
                "open_interest_peak_2025_date",
                "open_interest_year_end_2025",
            ],
            open_interest_of_year,
        ),
        **dict.fromkeys(["liquidations_2025", "liquidations_2025_headline"], liquidations),
        **dict.fromkeys(
            ["liquidated_24h", *(f"liquidated_24h_{part}" for part in ("long", "short", "btc", "eth", "sol"))],
            liquidations,
        ),
        **dict.fromkeys(["btc_high_2025", "btc_high_2025_date"], btc_high),
        **dict.fromkeys(["btc_low", "btc_fall", "eth_low", "eth_fall"], low_of),
        "long_tail_fall": tail_fall,
        **dict.fromkeys(["average_token_fall_binance", "coins_below_80_percent"], binance_falls),
        "btc_before_event": btc_before,
        "timeline_altcoin_lows": tail_lows,
        "btc_depth_before": depth_before,
        **dict.fromkeys(["open_interest_before_event", "open_interest_after_event"], open_interest_around),
        **dict.fromkeys(
            [f"open_interest_{kind}_hyperliquid" for kind in ("before", "after", "change")], open_interest_around
        ),
        **dict.fromkeys([f"binance_fund_{kind}" for kind in ("before", "after", "change")], fund_of_binance),
        **dict.fromkeys(
            ["hyperliquid_adl_fills", "hyperliquid_adl_accounts"]
            + [f"hyperliquid_adl_top_{accounts}_share" for accounts in (1, 10, 100)],
            adl_of_accounts,
        ),
        **dict.fromkeys(
            ["hyperliquid_liquidated", "hyperliquid_liquidation_fills", "hyperliquid_first_liquidation"],
            fills_of_cascade,
        ),
        **dict.fromkeys(["pace_2050_2130", "pace_minute_2115", "timeline_peak_minute", "largest_liquidation"], pace),
    }
    if figure in named:
        return named[figure](raw, figure)
    venue, _, rest = figure.removeprefix("liquidated_24h_").partition("_")
    if figure.endswith("_volume_2025") and venue in reading.venues(raw):
        return volume_of_venue(raw, venue)
    if figure.startswith("liquidated_24h_") and venue in reading.venues(raw):
        return liquidations_of_venue(raw, venue, rest)
    if figure.startswith("hyperliquid_") and "adl" in figure:
        return adl_of_day(raw, figure)
    return []


def preference(candidate: Candidate) -> tuple[int, int, int, float]:
    """Data that cover the figure first, then arithmetic on published values, then the rest, and what was made up last."""
    if candidate.source_class == "synthetic":
        place = 4
    elif not candidate.is_covering:
        place = 3
    else:
        place = 2 if candidate.source_class == "published" else 1
    flags = (SOURCE_CLASSES.index(candidate.source_class), COMPLETENESS.index(candidate.completeness))
    return place, *flags, candidate.value


def status_of(figure: str, candidate: Candidate | None) -> str:
    """The rule of the table in docs/method.md."""
    row = figures()[figure]
    if candidate is None or row["comparison"] == "never":
        return "not_computable"
    if candidate.source_class == "synthetic" or not candidate.is_covering:
        return "not_computable"
    if row["conflict_note"]:
        return "conflict"
    if row["published_low"]:
        low, high = float(row["published_low"]), float(row["published_high"])
    else:
        value, tolerance = float(row["published_value"]), float(row["tolerance"])
        low, high = value - abs(value) * tolerance, value + abs(value) * tolerance
    if low <= candidate.value and (row["comparison"] == "at_least" or candidate.value <= high):
        return "explained" if candidate.source_class == "published" else "match"
    return "explained" if candidate.reason else "conflict"


def ratio_of(row: dict[str, str], computed: float) -> float | None:
    """Over the printed value, else over the bound of the printed range that lies nearest to a value outside of it."""
    if row["published_value"]:
        value = float(row["published_value"])
        return computed / value if value else None
    nearest = min(max(computed, float(row["published_low"])), float(row["published_high"]))
    return 1.0 if nearest == computed else computed / nearest


def reconciliation_row(raw: Path, figure: str) -> dict[str, Any]:
    """A row of fct_reconciliation without its note, which is prose."""
    row = figures()[figure]
    candidates = arithmetic(figure) + of_data(raw, figure)
    chosen = min(candidates, key=preference, default=None)
    days_covered = chosen.days_covered if chosen else None
    days_needed = chosen.days_needed if chosen else None
    return {
        "subject": row["subject"],
        "description": row["description"],
        "published_value": float(row["published_value"]) if row["published_value"] else None,
        "published_low": float(row["published_low"]) if row["published_low"] else None,
        "published_high": float(row["published_high"]) if row["published_high"] else None,
        "published_date": date.fromisoformat(row["published_date"]),
        "unit": row["unit"],
        "published_source": row["published_source"],
        "definition": row["definition"],
        "days_basis": row["days_basis"],
        "computed_value": chosen.value if chosen else None,
        "computed_date": chosen.at if chosen else None,
        "ratio": ratio_of(row, chosen.value) if chosen else None,
        "days_covered": days_covered,
        "days_needed": days_needed,
        "coverage": days_covered / days_needed if days_covered is not None and days_needed else None,
        "status": status_of(figure, chosen),
        "completeness": chosen.completeness if chosen and chosen.is_covering else "partial",
        "source_class": chosen.source_class if chosen else "published",
    }
