"""Rows of the structure marts, computed from raw data by loops: auto-deleveraging, insurance funds, liquidation maps."""

import functools
import math
import statistics
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path
from typing import Any

import event_reading as reading
import structure_reading as structure
from event_reading import weakest_completeness, weakest_source_class
from seed_reading import seed

MINUTE = timedelta(minutes=1)
DAY = timedelta(days=1)


def micro_sum(values: Iterable[float | None], places: int = 6) -> float | None:
    """Exact sum of money at the resolution of ADR 2, a millionth of a dollar; None where nothing is known."""
    known = [value for value in values if value is not None]
    scale = 10**places
    return (
        sum(math.floor(abs(value) * scale + 0.5) * (1 if value >= 0 else -1) for value in known) / scale
        if known
        else None
    )


def midnight(day: date) -> datetime:
    """The first moment of a UTC day."""
    return datetime.combine(day, time(), UTC)


def adl_row(raw: Path, venue: str, symbol: str, minute: datetime) -> dict[str, Any]:
    """A row of fct_adl: what was deleveraged of a contract within a minute."""
    parts = [
        part
        for part in structure.adl_parts(raw)
        if (part.venue, part.symbol) == (venue, symbol) and minute <= part.at < minute + MINUTE
    ]
    fills = [part for part in parts if part.is_fill]
    clusters = [part for part in parts if not part.is_fill]
    valued = [part for part in parts if part.adl_usd is not None]
    reduced: dict[str, float | None] = {"long": None, "short": None}
    if valued and all(part.reduced_side for part in valued):
        for side in reduced:
            reduced[side] = micro_sum([0.0, *(part.adl_usd for part in valued if part.reduced_side == side)])
    deficits = [part.deficit_usd for part in clusters if part.deficit_usd is not None]
    accounts = {fill.account for fill in fills}
    return {
        "base_asset": parts[0].base_asset,
        "adl_usd": micro_sum(part.adl_usd for part in parts),
        "reduced_long_usd": reduced["long"],
        "reduced_short_usd": reduced["short"],
        "base_quantity": micro_sum((fill.base_quantity for fill in fills), 10),
        "fill_count": len(fills) or None,
        "cluster_count": len(clusters) or None,
        "account_count": len(accounts) if fills and None not in accounts else None,
        "closed_pnl_usd": (
            micro_sum(fill.closed_pnl_usd for fill in fills)
            if all(fill.closed_pnl_usd is not None for fill in fills)
            else None
        ),
        "adl_haircut_usd": micro_sum(part.haircut_usd for part in clusters),
        "largest_deficit_usd": max(deficits, default=None),
        "completeness": weakest_completeness(part.completeness for part in parts),
        "source_class": weakest_source_class(part.source_class for part in parts),
    }


@dataclass(frozen=True)
class Valued:
    """An observation of a fund with its value, and the flags of all that the value rests on."""

    balance: structure.Balance
    usd: float | None
    basis: str | None
    completeness: str | None
    source_class: str | None


def valued_balance(raw: Path, balance: structure.Balance) -> Valued:
    """The balance in USD: as stated, at par, or at the venue's last close of the coin, at most a day old."""
    usd, basis = balance.balance_usd, balance.basis
    levels, classes = [balance.completeness], [balance.source_class]
    if usd is None:
        bars = [
            bar
            for symbol in reading.bar_lengths(raw, balance.venue, balance.at - 2 * DAY, balance.at)
            for bar in reading.bars(raw, balance.venue, symbol, balance.at - 2 * DAY, balance.at)
            if bar.base_asset == balance.asset and balance.at - DAY <= bar.end <= balance.at
        ]
        last = [bar for bar in bars if bar.end == max(each.end for each in bars)]
        if last:
            usd, basis = balance.balance * statistics.median(bar.close for bar in last), "last_close"
            levels += [bar.completeness for bar in last]
            classes += [bar.source_class for bar in last]
    return Valued(balance, usd, basis, weakest_completeness(levels), weakest_source_class(classes))


def insurance_fund_row(raw: Path, venue: str, product: str, pool: str, asset: str, day: date) -> dict[str, Any]:
    """A row of fct_insurance_fund: a pool at the end of a day, its change and its fall from the peak so far."""
    history = [
        valued_balance(raw, balance)
        for balance in structure.balances(raw)
        if (balance.venue, balance.product, balance.pool, balance.asset) == (venue, product, pool, asset)
        and balance.at.astimezone(UTC).date() <= day
    ]
    today = [valued for valued in history if valued.balance.at.astimezone(UTC).date() == day]
    before = [valued for valued in history if valued.balance.at.astimezone(UTC).date() < day]
    last, previous = today[-1], before[-1] if before else None
    quantity, usd = last.balance.balance, last.usd
    peak = max(valued.balance.balance for valued in history)
    usd_peak = max((valued.usd for valued in history if valued.usd is not None), default=None)
    usd_change = usd - previous.usd if previous and usd is not None and previous.usd is not None else None
    return {
        "observed_at": last.balance.at,
        "covered_symbols": last.balance.covered_symbols,
        "observation_count": len(today),
        "balance_quantity": quantity,
        "balance_usd": usd,
        "balance_basis": last.basis,
        "previous_fund_date": previous.balance.at.astimezone(UTC).date() if previous else None,
        "change_quantity": quantity - previous.balance.balance if previous else None,
        "change_usd": usd_change,
        "lowest_balance_quantity": min(valued.balance.balance for valued in today),
        "lowest_balance_usd": min((valued.usd for valued in today if valued.usd is not None), default=None),
        "peak_balance_quantity": peak,
        "peak_balance_usd": usd_peak,
        "drawdown": quantity / peak - 1 if peak > 0 else None,
        "usd_drawdown": usd / usd_peak - 1 if usd is not None and usd_peak is not None and usd_peak > 0 else None,
        "completeness": weakest_completeness(valued.completeness for valued in today),
        "source_class": weakest_source_class(valued.source_class for valued in today),
    }


@dataclass
class Step:
    """A stretch of time at whose end open interest was observed anew; quantities in base assets, in USD if inverse."""

    start: datetime
    end: datetime
    high: float
    low: float
    close: float
    quantity: float
    observed_at: datetime
    completeness: str | None
    source_class: str | None
    entered: float = 0.0
    remaining: float = 0.0

    @property
    def entry_price(self) -> float:
        """Price at which what the step added is taken to have entered."""
        return (self.high + self.low + self.close) / 3


def parameter(name: str) -> int:
    """A parameter of the map, from its seed."""
    return next(int(row["value"]) for row in seed("liquidation_map_parameters") if row["parameter"] == name)


def moment_of_map(raw: Path, map_date: date) -> tuple[datetime, str | None]:
    """When the map of a day is made: before the event of the day, else at its end."""
    before = [
        (event.pre_event_at, event.event_id)
        for event in reading.events(raw)
        if event.pre_event_at.astimezone(UTC).date() == map_date
    ]
    return min(before) if before else (midnight(map_date + DAY), None)


def price_steps(raw: Path, venue: str, symbol: str, start: datetime, until: datetime) -> list[Step]:
    """Steps of the bars alone, in the order of time; `observed_at` and `quantity` are still open."""
    seconds = parameter("step_seconds")
    bars = [
        bar
        for bar in reading.bars(raw, venue, symbol, start, until)
        if bar.end <= until and min(bar.high, bar.low, bar.close) > 0 and bar.seconds <= DAY.total_seconds()
    ]
    finest: dict[date, int] = {}
    for bar in bars:
        day = bar.start.astimezone(UTC).date()
        finest[day] = min(finest.get(day, bar.seconds), bar.seconds)
    # A bar longer than a step counts on days that have nothing finer.
    used = [bar for bar in bars if bar.seconds <= max(seconds, finest[bar.start.astimezone(UTC).date()])]
    by_step: dict[datetime, list[reading.Bar]] = {}
    gaps: set[datetime] = set()
    covered_to = None
    for bar in sorted(used, key=lambda bar: (bar.start, bar.end)):
        is_fine = finest[bar.start.astimezone(UTC).date()] <= seconds
        step_start = datetime.fromtimestamp(bar.start.timestamp() // seconds * seconds, UTC) if is_fine else bar.start
        by_step.setdefault(step_start, []).append(bar)
        if covered_to is not None and bar.start > covered_to:
            gaps.add(step_start)
        covered_to = bar.end if covered_to is None else max(covered_to, bar.end)
    steps = []
    for step_start, members in sorted(by_step.items()):
        last = min(members, key=lambda bar: (-bar.end.timestamp(), bar.seconds))
        levels = [bar.completeness for bar in members] + (["partial"] if step_start in gaps else [])
        steps.append(
            Step(
                start=step_start,
                end=last.end,
                high=max(bar.high for bar in members),
                low=min(bar.low for bar in members),
                close=last.close,
                quantity=math.nan,
                observed_at=step_start,
                completeness=weakest_completeness(levels),
                source_class=weakest_source_class(bar.source_class for bar in members),
            )
        )
    return steps


def map_steps(raw: Path, venue: str, symbol: str, map_date: date, is_inverse: bool) -> list[Step]:
    """Steps that each end with a new observation, with what entered in them and what of it is still open."""
    until, _ = moment_of_map(raw, map_date)
    start = midnight(map_date - parameter("lookback_days") * DAY)
    levels = [
        level
        for level in reading.open_interest(raw, venue, symbol, start, until)
        if level.at.astimezone(UTC).date() <= map_date
        and (level.usd if is_inverse else level.base_quantity) is not None
    ]
    merged: list[Step] = []
    waiting: list[Step] = []
    for step in price_steps(raw, venue, symbol, start, until):
        known = [level for level in levels if level.at <= step.end]
        if not known:
            continue
        last = known[-1]
        step.observed_at = last.at
        step.quantity = last.usd if is_inverse else last.base_quantity
        step.completeness = weakest_completeness([step.completeness, last.completeness])
        step.source_class = weakest_source_class([step.source_class, last.source_class])
        is_new = (waiting or merged) and last.at != (waiting or merged)[-1].observed_at
        waiting.append(step)
        if is_new or not merged:
            merged.append(joined(waiting))
            waiting = []
    if waiting:
        merged.append(joined(waiting))
    # Whatever was open before open interest was nothing is gone.
    empty = [number for number, step in enumerate(merged) if step.quantity <= 0]
    merged = merged[empty[-1] + 1 :] if empty else merged
    for number, step in enumerate(merged):
        previous = merged[number - 1].quantity if number else 0.0
        step.entered = max(step.quantity - previous, 0.0)
        kept = step.entered
        for before, after in zip(merged[number:], merged[number + 1 :], strict=False):
            kept *= min(1.0, after.quantity / before.quantity)
        step.remaining = round(kept, 10)
    return merged


def joined(steps: list[Step]) -> Step:
    """Several steps as one, which has the open interest of the last."""
    levels = [step.completeness for step in steps]
    if steps[-1].end - steps[0].start > DAY:
        levels.append("partial")
    return Step(
        start=steps[0].start,
        end=max(step.end for step in steps),
        high=max(step.high for step in steps),
        low=min(step.low for step in steps),
        close=steps[-1].close,
        quantity=steps[-1].quantity,
        observed_at=steps[-1].observed_at,
        completeness=weakest_completeness(levels),
        source_class=weakest_source_class(step.source_class for step in steps),
    )


def valid_tiers(
    raw: Path, venue: str, symbol: str, base_asset: str, is_inverse: bool, at: datetime
) -> structure.TierSet:
    """Margin tiers that held at a moment: the contract's own, else the mildest of a file on the same asset."""
    held = [
        tiers
        for tiers in structure.tier_sets(raw)
        if tiers.venue == venue and tiers.valid_from <= at and (tiers.valid_to is None or at < tiers.valid_to)
    ]
    own = [tiers for tiers in held if tiers.symbol == symbol]
    if own:
        order = {venue: 1, "files": 2}
        return min(own, key=lambda tiers: (order.get(tiers.feed, 3), tiers.feed))
    others = [tiers for tiers in held if tiers.feed == "files" and tiers.base_asset == base_asset and not is_inverse]
    return min(
        others,
        key=lambda tiers: (
            min(tier.rate for tier in tiers.tiers),
            -max(tier.max_leverage or 0.0 for tier in tiers.tiers),
            tiers.symbol,
        ),
    )


@dataclass(frozen=True)
class Terms:
    """Leverage that a position really has, and where it is liquidated against its entry, by side."""

    leverage: float
    share: float
    rate: float
    ratios: dict[str, float]


def level_ratios(leverage: float, rate: float, amount: float, is_inverse: bool) -> dict[str, float]:
    """Liquidation level over entry price, as documented; levels that no price reaches are left out."""
    if is_inverse:
        levels = {"long": (1 + rate) / (1 + 1 / leverage + amount)}
        if 1 - 1 / leverage - amount != 0:
            levels["short"] = (1 - rate) / (1 - 1 / leverage - amount)
    else:
        levels = {
            "long": (1 - 1 / leverage - amount) / (1 - rate),
            "short": (1 + 1 / leverage + amount) / (1 + rate),
        }
    return {
        side: ratio
        for side, ratio in levels.items()
        if (side == "long" and 0 < ratio < 1) or (side == "short" and ratio > 1)
    }


def terms_of_map(tiers: structure.TierSet, reference_price: float, is_inverse: bool) -> list[Terms]:
    """Terms of every assumed leverage, at the tier of its position."""
    terms = []
    for mix in seed("leverage_mix"):
        position = float(mix["position_usd"])
        reached = []
        for tier in tiers.tiers:
            floor = tier.floor_usd
            if floor is None and tier.floor_base is not None:
                floor = tier.floor_base * reference_price
            if floor is not None and floor <= position:
                reached.append((floor, -tier.number, tier))
        if not reached:
            continue
        tier = max(reached)[2]
        amount = tier.amount_usd
        if amount is None:
            amount = tier.amount_base * reference_price if tier.amount_base is not None else 0.0
        # A venue that names no highest leverage is taken to ask for twice the maintenance margin at the start.
        leverage = min(float(mix["leverage"]), tier.max_leverage or 0.5 / tier.rate)
        ratios = level_ratios(leverage, tier.rate, amount / position, is_inverse)
        terms.append(Terms(leverage, float(mix["share"]), tier.rate, ratios))
    return terms


def open_positions(steps: list[Step], side: str, ratio: float) -> list[tuple[int, int, float]]:
    """For each step of entry the step in which the positions entered last, and the level that they have now."""
    levels = []
    for step in steps:
        entry = step.entry_price
        if (side == "long" and entry * ratio >= step.close) or (side == "short" and entry * ratio <= step.close):
            entry = step.close
        levels.append(entry * ratio)

    def passing(number: int) -> int | None:
        for later in range(number + 1, len(steps)):
            if side == "long" and steps[later].low <= levels[number]:
                return later
            if side == "short" and steps[later].high >= levels[number]:
                return later
        return None

    found = []
    for number in range(len(steps)):
        last, following = number, passing(number)
        while following is not None:
            last, following = following, passing(following)
        found.append((number, last, levels[last]))
    return found


@functools.cache
def liquidation_map(raw: Path, venue: str, symbol: str, map_date: date) -> dict[tuple[int, str, float], dict[str, Any]]:
    """All rows of one map, by bin, side and leverage."""
    until, event_id = moment_of_map(raw, map_date)
    instrument = reading.terms_at(raw, venue, symbol, until)
    is_inverse = instrument.contract_type == "inverse"
    steps = map_steps(raw, venue, symbol, map_date, is_inverse)
    reference_price = steps[-1].close
    usd_per_unit = 1.0 if is_inverse else reference_price
    tiers = valid_tiers(raw, venue, symbol, instrument.base_asset, is_inverse, until)
    width = parameter("bin_width_bps")
    parts: dict[tuple[int, str, float], list[tuple[float, float, float, float, float, float]]] = {}
    shares: dict[tuple[str, float], float] = {}
    for terms in terms_of_map(tiers, reference_price, is_inverse):
        for side, ratio in terms.ratios.items():
            shares[side, terms.leverage] = shares.get((side, terms.leverage), 0.0) + terms.share
            for entered, last, level in open_positions(steps, side, ratio):
                quantity = steps[entered].remaining * terms.share
                if quantity > 0:
                    price_bin = math.floor(math.log(level) / math.log(1 + width / 10000))
                    usd = quantity * usd_per_unit
                    opening = usd if last == 0 else 0.0
                    reentered = usd if entered < last else 0.0
                    row = parts.setdefault((price_bin, side, terms.leverage), [])
                    row.append((level, usd, opening, reentered, terms.rate, level / ratio))
    rows = {}
    for (price_bin, side, leverage), members in parts.items():
        notional = micro_sum(usd for _, usd, *_ in members)
        if not notional:
            continue
        # Money is rounded to millionths, so that a mean of a few dollars may leave the range of its parts.
        levels, _, _, _, rates, entries = zip(*members, strict=True)
        level = min(max(sum(usd * level for level, usd, *_ in members) / notional, min(levels)), max(levels))
        rate = min(max(sum(usd * rate for _, usd, _, _, rate, _ in members) / notional, min(rates)), max(rates))
        entry = min(max(sum(usd * entry for _, usd, *_, entry in members) / notional, min(entries)), max(entries))
        rows[price_bin, side, leverage] = {
            "base_asset": instrument.base_asset,
            "contract_type": instrument.contract_type,
            "event_id": event_id,
            "as_of_at": until,
            "bin_low_price": (1 + width / 10000) ** price_bin,
            "bin_high_price": (1 + width / 10000) ** (price_bin + 1),
            "entry_price": entry,
            "liquidation_price": level,
            "reference_price": reference_price,
            "move_to_liquidation": level / reference_price - 1,
            "notional_usd": notional,
            "opening_usd": micro_sum(opening for _, _, opening, *_ in members),
            "reentered_usd": micro_sum(reentered for _, _, _, reentered, *_ in members),
            "open_interest_usd": steps[-1].quantity * usd_per_unit,
            "maintenance_rate": rate,
            "tier_symbol": tiers.symbol,
            "leverage_share": shares[side, leverage],
            "lookback_days": parameter("lookback_days"),
            "step_seconds": parameter("step_seconds"),
            "bin_width_bps": width,
            "completeness": weakest_completeness([*(step.completeness for step in steps), *tiers.completeness]),
            "source_class": weakest_source_class(
                ["estimated", *(step.source_class for step in steps), *tiers.source_classes]
            ),
        }
    return rows
