"""Rows of the event marts, computed from raw data by loops: the window, its summary, and how many venues moved at once."""

import bisect
import functools
import math
import statistics
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from operator import attrgetter
from pathlib import Path
from typing import Any

import crowding_cells
import event_reading as reading
import structure_reading as structure
from event_reading import Event, weakest_completeness, weakest_source_class
from raw_reading import micro_sum
from seed_reading import seed
from tax_cells import asset_ranks, asset_volumes

Row = dict[str, Any]

HOUR = timedelta(hours=1)
DAY = timedelta(days=1)
SEVERITY = ("cascade", "aftershock", "shock", "recovery", "baseline")


def floored(at: datetime, seconds: int) -> datetime:
    """Start of the bar of that length, counted from the epoch, in which the moment lies."""
    return datetime.fromtimestamp(math.floor(at.timestamp() / seconds) * seconds, UTC)


def phase_of(event: Event, start: datetime, end: datetime) -> str:
    """The most severe phase that a bar overlaps."""
    bounds = {
        "baseline": (event.window_start_at, event.shock_at),
        "shock": (event.shock_at, event.cascade_at),
        "cascade": (event.cascade_at, event.aftershock_at),
        "aftershock": (event.aftershock_at, event.recovery_at),
        "recovery": (event.recovery_at, event.window_end_at),
    }
    return next(name for name in SEVERITY if start < bounds[name][1] and end > bounds[name][0])


def is_in_window(event: Event, at: datetime) -> bool:
    """Whether a moment is of the window of the event."""
    return event.window_start_at <= at < event.window_end_at


def fixed_tier(asset: str | None) -> str:
    """Tier by the fixed list; what is not on it is the tail."""
    return next((row["tier"] for row in seed("asset_tiers") if row["base_asset"] == asset), "tail")


@functools.cache
def tier_before(raw: Path, event: Event, asset: str | None) -> tuple[str, str]:
    """Tier of an asset on the day before the shock, or on the last one before with volume of it; and by what."""
    shock = reading.utc_date(event.shock_at)
    for back in range(1, 91):
        day = shock - back * DAY
        if asset in asset_volumes(raw, day) or asset in asset_volumes(raw, day - DAY):
            place = asset_ranks(raw, day).get(asset or "")
            if place is None:
                break
            return "major" if place <= 2 else "mid" if place <= 20 else "tail", "trailing_volume"
    return fixed_tier(asset), "fixed_list"


@functools.cache
def finest_intervals(raw: Path, event: Event, venue: str) -> dict[str, int]:
    """Length of the finest bars, a minute to an hour, of each of the venue's contracts that has some in the window."""
    lengths = reading.bar_lengths(raw, venue, event.window_start_at, event.window_end_at)
    usable = {symbol: [seconds for seconds in found if 60 <= seconds <= 3600] for symbol, found in lengths.items()}
    return {symbol: min(found) for symbol, found in usable.items() if found}


@dataclass(frozen=True)
class VenueLiquidations:
    """What is known of a venue's liquidations in a window: of one feed per contract, and between which moments it ran."""

    by_symbol: dict[str, list[reading.Liquidation]]
    first_bar_at: datetime | None
    last_at: datetime | None
    completeness: str | None
    source_class: str | None


@functools.cache
def venue_liquidations(raw: Path, event: Event, venue: str) -> VenueLiquidations:
    """Choose one feed per contract: sums longer than its bar give none; the more complete, then the finer."""
    lengths = finest_intervals(raw, event, venue)
    groups: dict[str, dict[tuple[str, int], list[reading.Liquidation]]] = {}
    for liquidation in reading.liquidations(raw, venue, event.window_start_at, event.window_end_at):
        if liquidation.period_seconds <= lengths.get(liquidation.symbol, 60):
            feeds = groups.setdefault(liquidation.symbol, {})
            feeds.setdefault((liquidation.feed, liquidation.period_seconds), []).append(liquidation)
    chosen = {}
    for symbol, feeds in groups.items():
        order = {
            feed: (
                reading.COMPLETENESS.index(weakest_completeness(each.completeness for each in found)),
                feed[1],
                feed[0],
            )
            for feed, found in feeds.items()
        }
        chosen[symbol] = feeds[min(order, key=lambda feed: order[feed])]
    every = [(each, lengths.get(symbol, 60)) for symbol, found in chosen.items() for each in found]
    return VenueLiquidations(
        by_symbol=chosen,
        first_bar_at=min((floored(each.at, seconds) for each, seconds in every), default=None),
        last_at=max((each.at + timedelta(seconds=each.period_seconds) for each, _ in every), default=None),
        completeness=weakest_completeness(each.completeness for each, _ in every),
        source_class=weakest_source_class(each.source_class for each, _ in every),
    )


@dataclass
class Contract:
    """All that is known of a contract in the window of an event, ready to be attached to bars."""

    event: Event
    venue: str
    symbol: str
    base_asset: str | None
    seconds: int
    bars: dict[datetime, reading.Bar]
    index_bars: dict[datetime, reading.Bar]
    open_interest: list[reading.Level]
    funding: list[reading.Level]
    depth: list[reading.Level]
    liquidated: dict[datetime, list[reading.Liquidation]]
    adl: dict[datetime, list[structure.AdlPart]]
    pre_event_bar: reading.Bar | None
    pre_event_level: reading.Level | None
    times: dict[str, list[datetime]] = field(default_factory=dict)

    def last(self, what: str, until: datetime, seconds: float) -> reading.Level | None:
        """The last observation at or before a moment, unless it is older than so many seconds."""
        levels: list[reading.Level] = getattr(self, what)
        if what not in self.times:
            self.times[what] = [level.at for level in levels]
        number = bisect.bisect_right(self.times[what], until) - 1
        if number < 0 or (until - levels[number].at).total_seconds() > seconds:
            return None
        return levels[number]


@functools.cache
def contract_of(raw: Path, event: Event, venue: str, symbol: str) -> Contract:
    """Read a contract."""
    seconds = finest_intervals(raw, event, venue).get(symbol, 60)
    start, end = event.window_start_at, event.window_end_at
    all_bars = reading.bars(raw, venue, symbol, event.pre_event_at - 2 * DAY, end)
    bars = {bar.start: bar for bar in all_bars if bar.seconds == seconds and bar.start >= start}
    index_bars = {
        bar.start: bar for bar in reading.index_bars(raw, venue, symbol, start, end) if bar.seconds == seconds
    }
    before = [bar for bar in all_bars if event.pre_event_at - DAY < bar.end <= event.pre_event_at]
    levels = reading.open_interest(raw, venue, symbol, event.pre_event_at - DAY, end + HOUR)
    levels_before = [level for level in levels if event.pre_event_at - DAY < level.at <= event.pre_event_at]
    liquidated: dict[datetime, list[reading.Liquidation]] = {}
    chosen = venue_liquidations(raw, event, venue).by_symbol.get(symbol, [])
    for each in chosen:
        liquidated.setdefault(floored(each.at, seconds), []).append(each)
    adl: dict[datetime, list[structure.AdlPart]] = {}
    for part in structure.adl_parts(raw):
        if (part.venue, part.symbol) == (venue, symbol) and is_in_window(event, part.at):
            adl.setdefault(floored(part.at, seconds), []).append(part)
    assets = {each.base_asset for found in (*liquidated.values(), *adl.values()) for each in found}
    assets |= {bar.base_asset for bar in bars.values()}
    return Contract(
        event=event,
        venue=venue,
        symbol=symbol,
        base_asset=max((asset for asset in assets if asset is not None), default=None),
        seconds=seconds,
        bars=bars,
        index_bars=index_bars,
        open_interest=[level for level in levels if level.at >= start - 2 * HOUR],
        funding=reading.funding(raw, venue, symbol, start - DAY, end),
        depth=reading.depth_1pct(raw, venue, symbol, start - HOUR, end + HOUR),
        liquidated=liquidated,
        adl=adl,
        pre_event_bar=min(before, key=lambda bar: (-bar.end.timestamp(), bar.seconds), default=None),
        pre_event_level=max(levels_before, key=attrgetter("at"), default=None),
    )


def move(price: float | None, reference: float | None) -> float | None:
    """Price against a reference price, minus one."""
    return None if price is None or reference is None else price / reference - 1


def window_row(raw: Path, contract: Contract, start: datetime) -> Row:
    """A row of fct_event_window."""
    event, seconds = contract.event, contract.seconds
    end = start + timedelta(seconds=seconds)
    bar, index_bar = contract.bars.get(start), contract.index_bars.get(start)
    interest = contract.last("open_interest", end, 3600 + seconds)
    rate = contract.last("funding", start, 86400)
    book = contract.last("depth", end, 900)
    before_bar, before_level = contract.pre_event_bar, contract.pre_event_level
    feed = venue_liquidations(raw, event, contract.venue)
    is_feed_known = (
        contract.symbol in feed.by_symbol
        and feed.first_bar_at is not None
        and feed.last_at is not None
        and feed.first_bar_at <= start <= feed.last_at
    )
    liquidated: dict[str, float | None] = {"long": None, "short": None}
    if is_feed_known:
        for side in liquidated:
            amounts = [each.usd for each in contract.liquidated.get(start, []) if each.side == side]
            liquidated[side] = micro_sum([0.0, *amounts])
    adl = contract.adl.get(start, [])
    before_usd = before_level.value if before_level else None
    interest_usd = interest.value if interest else None
    change = interest_usd - before_usd if interest_usd is not None and before_usd is not None else None
    close = bar.close if bar else None
    reference = before_bar.close if before_bar else None
    flagged: list[Any] = [bar, index_bar, interest, rate, book, *adl]
    if is_feed_known:
        flagged.append(feed)
    if bar is not None:
        flagged.append(before_bar)
    if interest is not None:
        flagged.append(before_level)
    flagged = [part for part in flagged if part is not None]
    return {
        "base_asset": contract.base_asset,
        "interval_seconds": seconds,
        "phase": phase_of(event, start, end),
        "open_price": bar.open if bar else None,
        "high_price": bar.high if bar else None,
        "low_price": bar.low if bar else None,
        "close_price": close,
        "pre_event_price": reference,
        "move_from_pre_event": move(close, reference),
        "low_move_from_pre_event": move(bar.low if bar else None, reference),
        "open_interest_usd": interest_usd,
        "pre_event_open_interest_usd": before_usd,
        "open_interest_change_usd": change,
        "open_interest_change": change / before_usd if change is not None and before_usd else None,
        "liquidated_long_usd": liquidated["long"],
        "liquidated_short_usd": liquidated["short"],
        "adl_usd": micro_sum(part.adl_usd for part in adl),
        "adl_haircut_usd": micro_sum(part.haircut_usd for part in adl),
        "funding_rate": rate.value if rate else None,
        "index_close": index_bar.close if index_bar else None,
        "basis_bps": 10000 * (close / index_bar.close - 1) if index_bar and close is not None else None,
        "depth_1pct_usd": book.value if book else None,
        "base_quantity": bar.base_quantity if bar else None,
        "volume_usd": bar.volume_usd if bar else None,
        "volume_basis": bar.volume_basis if bar else None,
        "completeness": weakest_completeness(part.completeness for part in flagged),
        "source_class": weakest_source_class(part.source_class for part in flagged),
    }


class RowWithTier(dict[str, Any]):
    """A row whose tier is worked out when it is asked for: that takes the volumes of a quarter of a year."""

    def __init__(self, row: Row, raw: Path, event: Event) -> None:
        """Remember what the tier rests on."""
        super().__init__(row)
        self.raw, self.event = raw, event

    def __missing__(self, column: str) -> str:
        """The tier, or by what it was decided."""
        return tier_before(self.raw, self.event, self["base_asset"])[("tier", "tier_basis").index(column)]


def event_window_row(raw: Path, event_id: str, venue: str, symbol: str, start: datetime) -> Row:
    """A row of fct_event_window by its key."""
    event = event_named(raw, event_id)
    return RowWithTier(window_row(raw, contract_of(raw, event, venue, symbol), start), raw, event)


def event_named(raw: Path, event_id: str) -> Event:
    """An event by its id."""
    return next(event for event in reading.events(raw) if event.event_id == event_id)


@functools.cache
def contracts_of(raw: Path, event: Event, venue: str) -> tuple[str, ...]:
    """Symbols of a venue with candles, liquidations or deleveraging in the window."""
    found = {part.symbol for part in structure.adl_parts(raw) if part.venue == venue and is_in_window(event, part.at)}
    found |= finest_intervals(raw, event, venue).keys()
    found |= venue_liquidations(raw, event, venue).by_symbol.keys()
    return tuple(sorted(found))


@dataclass
class Outcome:
    """What the event did to one contract, and the series that roll-ups add."""

    row: Row
    open_interest: list[tuple[datetime, float]]
    depth: list[tuple[datetime, float]]
    liquidated: list[tuple[datetime, float]]


def furthest_from_zero(values: Iterable[float | None]) -> float | None:
    """The value with the largest amount; of two alike the negative one."""
    known = [value for value in values if value is not None]
    return max(known, key=lambda value: (abs(value), -value), default=None)


def least_sum(
    members: Sequence[tuple[float | None, list[tuple[datetime, float]]]],
) -> tuple[float | None, float | None]:
    """Sum before the event and least sum at one time after it, over those that are known before and after.

    Everyone counts with its last known value: the one before the event until the first one after it.
    """
    known = [(before, after) for before, after in members if before is not None and after]
    if not known:
        return None, None
    changes: dict[datetime, float] = {}
    for before, after in known:
        level = before
        for at, value in after:
            changes[at] = changes.get(at, 0.0) + round(value * 1e6) - round(level * 1e6)
            level = value
    total = least = sum(round(before * 1e6) for before, _ in known)
    levels = []
    for at in sorted(changes):
        total += int(changes[at])
        levels.append(total)
    return least / 1e6, min(levels) / 1e6


def recovery(contract: Contract, after: list[reading.Bar], event: Event) -> Row:
    """Fall and way back of the prices of bars that end after the shock."""
    reference = contract.pre_event_bar.close if contract.pre_event_bar else None
    row: Row = dict.fromkeys(
        [
            "trough_price",
            "trough_at",
            "drawdown",
            "time_to_trough_seconds",
            "recovery_share",
            "time_to_half_recovery_seconds",
        ]
    )
    if not after:
        return row
    trough = min(bar.low for bar in after)
    trough_at = min(bar.start for bar in after if bar.low == trough)
    row |= {"trough_price": trough, "trough_at": trough_at, "drawdown": move(trough, reference)}
    if reference is None:
        return row
    row["time_to_trough_seconds"] = max((trough_at - event.shock_at).total_seconds(), 0.0)
    fall = reference - trough
    last = max(after, key=attrgetter("end"))
    if fall > 0 and (event.window_end_at - last.end).total_seconds() <= 3600:
        row["recovery_share"] = (last.close - trough) / fall
    halves = [bar.start for bar in after if bar.start >= trough_at and bar.close >= trough + fall / 2]
    if fall > 0 and halves:
        row["time_to_half_recovery_seconds"] = (min(halves) - trough_at).total_seconds()
    return row


def dislocations(raw: Path, contract: Contract, rows: dict[datetime, Row], after: dict[datetime, Row]) -> Row:
    """How far funding and basis went, after the shock, from the median of the hour before the event."""
    event, length = contract.event, timedelta(seconds=contract.seconds)
    hour = [row for start, row in rows.items() if event.pre_event_at - HOUR < start + length <= event.pre_event_at]
    found: Row = {}
    for column, before, furthest in (
        ("funding_rate", "funding_rate_before", "funding_rate_dislocation"),
        ("basis_bps", "basis_before_bps", "basis_dislocation_bps"),
    ):
        known = [row[column] for row in hour if row[column] is not None]
        level = statistics.median(known) if known and after else None
        found[before] = level
        found[furthest] = furthest_from_zero(
            row[column] - level for row in after.values() if level is not None and row[column] is not None
        )
    rate = found["funding_rate_dislocation"]
    if rate is not None:
        day = crowding_cells.funding_days(raw, contract.venue, contract.symbol).get(
            reading.utc_date(event.pre_event_at) - DAY
        )
        rate = rate * 31536000 / day.interval_seconds if day and day.interval_seconds else None
    return found | {"funding_rate_dislocation_annualised": rate}


@functools.cache
def outcome_of(raw: Path, event: Event, venue: str, symbol: str) -> Outcome:
    """The row of fct_event_summary of one contract."""
    contract = contract_of(raw, event, venue, symbol)
    length = timedelta(seconds=contract.seconds)
    starts = sorted({*contract.bars, *contract.liquidated, *contract.adl})
    rows = {start: window_row(raw, contract, start) for start in starts}
    after = {start: row for start, row in rows.items() if start + length > event.shock_at}
    bars = [contract.bars[start] for start in after if start in contract.bars]
    first = floored(event.shock_at, contract.seconds)
    expected = math.ceil((event.window_end_at - first).total_seconds() / contract.seconds) if bars else None
    books = [
        row["depth_1pct_usd"]
        for start, row in rows.items()
        if event.pre_event_at - HOUR < start + length <= event.pre_event_at and row["depth_1pct_usd"] is not None
    ]
    depth_before = micro_sum(books) / len(books) if books else None
    interest = [
        (at + length, row["open_interest_usd"]) for at, row in after.items() if row["open_interest_usd"] is not None
    ]
    depth = [(at + length, row["depth_1pct_usd"]) for at, row in after.items() if row["depth_1pct_usd"] is not None]
    liquidated = [
        (at, row["liquidated_long_usd"] + row["liquidated_short_usd"])
        for at, row in after.items()
        if row["liquidated_long_usd"] is not None
    ]
    singles = [
        each.at
        for found in contract.liquidated.values()
        for each in found
        if each.period_seconds == 0 and each.at >= event.cascade_at
    ]
    deleveragings = [part.at for found in contract.adl.values() for part in found if part.at >= event.cascade_at]
    levels = [row["completeness"] for row in rows.values()]
    if expected is not None and len(bars) < expected:
        levels.append("partial")
    row = recovery(contract, bars, event) | {
        "base_asset": contract.base_asset,
        "interval_seconds": contract.seconds,
        "bars_covered": len(bars),
        "pre_event_price": contract.pre_event_bar.close if contract.pre_event_bar else None,
        "pre_event_open_interest_usd": contract.pre_event_level.value if contract.pre_event_level else None,
        "depth_before_usd": depth_before,
        "funding_rate_extreme": furthest_from_zero(row["funding_rate"] for row in after.values()),
        "basis_extreme_bps": furthest_from_zero(row["basis_bps"] for row in after.values()),
        **dislocations(raw, contract, rows, after),
        "first_liquidation_at": min(singles, default=None),
        "first_adl_at": min(deleveragings, default=None),
        "completeness": weakest_completeness(levels),
        "source_class": weakest_source_class(row["source_class"] for row in rows.values()),
    }
    for column in ("liquidated_long_usd", "liquidated_short_usd", "adl_usd", "adl_haircut_usd", "volume_usd"):
        row[column] = micro_sum(each[column] for each in after.values())
    return Outcome(row, interest, depth, liquidated)


def members_of(raw: Path, event: Event, scope: str, venue: str, symbol: str, tier: str) -> list[Outcome]:
    """The contracts of a row of the summary; those of no venue stand for themselves alone."""
    if scope == "contract":
        return [outcome_of(raw, event, venue, symbol)]
    members = []
    of_venues = (
        [venue] if scope in ("venue", "venue_tier") else [each for each in reading.venues(raw) if each != "market"]
    )
    for each_venue in of_venues:
        for each_symbol in contracts_of(raw, event, each_venue):
            day = reading.utc_date(event.shock_at)
            if scope in ("tier", "venue_tier"):
                asset = reading.asset_of(raw, "klines", each_venue, each_symbol, day)
                asset = asset or contract_of(raw, event, each_venue, each_symbol).base_asset
                if tier_before(raw, event, asset)[0] != tier:
                    continue
            members.append(outcome_of(raw, event, each_venue, each_symbol))
    return members


def ratio(part: float | None, whole: float | None) -> float | None:
    """One by the other; None where either is unknown or nothing is divided by."""
    return part / whole if part is not None and whole else None


def rolled_up(members: list[Outcome]) -> Row:
    """Medians and weighted means of the moves of several contracts."""
    row: Row = {}
    rows = [member.row for member in members]
    for column in (
        "drawdown",
        "time_to_trough_seconds",
        "recovery_share",
        "funding_rate_dislocation_annualised",
        "basis_dislocation_bps",
    ):
        known = [each[column] for each in rows if each[column] is not None]
        row[f"median_{column}"] = statistics.median(known) if known else None
    for column in ("drawdown", "recovery_share"):
        known = [each for each in rows if each[column] is not None and each["volume_usd"] is not None]
        weighted = micro_sum(each[column] * each["volume_usd"] for each in known)
        row[f"volume_weighted_{column}"] = ratio(weighted, micro_sum(each["volume_usd"] for each in known))
    recovering = [each for each in rows if each["recovery_share"] is not None]
    halfway = [each for each in recovering if each["time_to_half_recovery_seconds"] is not None]
    row["half_recovered_share"] = ratio(float(len(halfway)), len(recovering))
    return row


def event_summary_row(raw: Path, event_id: str, scope: str, venue: str, symbol: str, tier: str) -> Row:
    """A row of fct_event_summary by its key."""
    event = event_named(raw, event_id)
    members = members_of(raw, event, scope, venue, symbol, tier)
    rows = [member.row for member in members]
    own = rows[0] if scope == "contract" else {}
    seconds = max(row["interval_seconds"] for row in rows)
    interest_before, interest_trough = least_sum(
        [(member.row["pre_event_open_interest_usd"], member.open_interest) for member in members]
    )
    if interest_before is None:
        interest_before = own.get("pre_event_open_interest_usd")
    depth_before, depth_trough = least_sum([(member.row["depth_before_usd"], member.depth) for member in members])
    amounts: dict[datetime, list[float]] = {}
    for member in members:
        for at, usd in member.liquidated:
            if usd > 0:
                amounts.setdefault(floored(at, seconds), []).append(usd)
    sums = {at: micro_sum(values) or 0.0 for at, values in amounts.items()}
    peak_at = min(sums, key=lambda at: (-sums[at], at), default=None)
    liquidated = micro_sum(usd for member in members for _, usd in member.liquidated)
    liquidated_long = micro_sum(row["liquidated_long_usd"] for row in rows)
    first_liquidation = min((row["first_liquidation_at"] for row in rows if row["first_liquidation_at"]), default=None)
    first_adl = min((row["first_adl_at"] for row in rows if row["first_adl_at"]), default=None)
    moves = rolled_up(members)
    return {
        "base_asset": own.get("base_asset"),
        "contracts_covered": len(members),
        "interval_seconds": seconds,
        "bars_covered": sum(row["bars_covered"] for row in rows),
        **{
            column: own.get(column)
            for column in (
                "pre_event_price",
                "trough_price",
                "trough_at",
                "drawdown",
                "time_to_trough_seconds",
                "recovery_share",
                "time_to_half_recovery_seconds",
                "funding_rate_extreme",
                "funding_rate_before",
                "funding_rate_dislocation",
                "funding_rate_dislocation_annualised",
                "basis_before_bps",
                "basis_dislocation_bps",
            )
        },
        **(dict.fromkeys(moves) if scope == "contract" else moves),
        "pre_event_open_interest_usd": interest_before,
        "open_interest_trough_usd": interest_trough,
        "open_interest_wiped_usd": interest_before - interest_trough if interest_trough is not None else None,
        "open_interest_wiped_share": ratio(
            interest_before - interest_trough if interest_trough is not None else None, interest_before
        ),
        "liquidated_long_usd": liquidated_long,
        "liquidated_short_usd": micro_sum(row["liquidated_short_usd"] for row in rows),
        "liquidated_usd": liquidated,
        "long_share": ratio(liquidated_long, liquidated),
        "peak_bar_at": peak_at,
        "peak_liquidated_usd": sums[peak_at] if peak_at else None,
        "peak_liquidated_share": ratio(sums[peak_at] if peak_at else None, liquidated),
        "adl_usd": micro_sum(row["adl_usd"] for row in rows),
        "adl_haircut_usd": micro_sum(row["adl_haircut_usd"] for row in rows),
        "first_liquidation_at": first_liquidation,
        "first_adl_at": first_adl,
        "liquidation_to_adl_seconds": (
            (first_adl - first_liquidation).total_seconds() if first_adl and first_liquidation else None
        ),
        "depth_before_usd": depth_before,
        "depth_trough_usd": depth_trough,
        "depth_collapse": 1 - depth_trough / depth_before if depth_trough is not None and depth_before else None,
        "basis_extreme_bps": furthest_from_zero(row["basis_extreme_bps"] for row in rows),
        "volume_usd": micro_sum(row["volume_usd"] for row in rows),
        "completeness": weakest_completeness(row["completeness"] for row in rows),
        "source_class": weakest_source_class(row["source_class"] for row in rows),
    }


@dataclass(frozen=True)
class Threshold:
    """A venue's own measure of an unusual bar, and what it liquidated in each bar of the window."""

    usd: float
    last_bar_at: datetime
    bars: dict[datetime, float]
    completeness: str | None
    source_class: str | None


@functools.cache
def thresholds(raw: Path, event: Event) -> tuple[int, dict[str, Threshold]]:
    """Length of the bars of all venues, and the threshold of each whose feed is known for three days of the baseline."""
    start = event.window_start_at - 7 * DAY
    found: dict[str, list[reading.Liquidation]] = {}
    for venue in reading.venues(raw):
        liquidations = reading.liquidations_of_days(raw, venue, start, event.window_end_at)
        if liquidations := [each for each in liquidations if each.period_seconds <= 3600]:
            found[venue] = liquidations
    seconds = max([60, *(each.period_seconds for liquidations in found.values() for each in liquidations)])
    known = {}
    for venue, liquidations in found.items():
        amounts: dict[datetime, list[float]] = {}
        for each in liquidations:
            amounts.setdefault(floored(each.at, seconds), []).append(each.usd or 0.0)
        bars = {at: micro_sum(values) or 0.0 for at, values in amounts.items()}
        busy = {at: usd for at, usd in bars.items() if usd > 0}
        if not busy or (event.window_start_at - min(busy)).total_seconds() < 3 * 86400:
            continue
        baseline = []
        at = min(busy)
        while at < event.window_start_at:
            baseline.append(busy.get(at, 0.0))
            at += timedelta(seconds=seconds)
        known[venue] = Threshold(
            # Nearest rank: the least value that 99 % of the bars do not exceed.
            usd=sorted(baseline)[-(-99 * len(baseline) // 100) - 1],
            last_bar_at=max(busy),
            bars={at: usd for at, usd in busy.items() if at >= event.window_start_at},
            completeness=weakest_completeness(each.completeness for each in liquidations),
            source_class=weakest_source_class(each.source_class for each in liquidations),
        )
    return seconds, known


def event_synchrony_row(raw: Path, event_id: str, start: datetime) -> Row:
    """A row of fct_event_synchrony by its key."""
    event = event_named(raw, event_id)
    seconds, known = thresholds(raw, event)
    covered = {venue: threshold for venue, threshold in known.items() if start <= threshold.last_bar_at}
    exceeding = sorted(venue for venue, each in covered.items() if each.bars.get(start, 0.0) > each.usd)
    return {
        "interval_seconds": seconds,
        "phase": phase_of(event, start, start + timedelta(seconds=seconds)),
        "venues_covered": len(covered),
        "venues_exceeding": len(exceeding),
        "exceeding_share": len(exceeding) / len(covered) if len(covered) >= 2 else None,
        "exceeding_venues": ",".join(exceeding) or None,
        "liquidated_usd": micro_sum(each.bars.get(start, 0.0) for each in covered.values()),
        "completeness": weakest_completeness(each.completeness for each in covered.values()),
        "source_class": weakest_source_class(each.source_class for each in covered.values()),
    }
