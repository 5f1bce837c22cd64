"""Rows of the liquidation tax and of its year, computed from raw data by loops."""

import functools
import math
import statistics
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

import event_reading as reading
import raw_reading
from event_reading import weakest_completeness, weakest_source_class
from lazy_row import LazyRow
from raw_reading import DAY, common_basis, micro_sum, period_days, ratio, real_venues
from seed_reading import Row, seed

# Tiers of assets.


@functools.cache
def asset_volumes(raw: Path, day: date) -> dict[str, float]:
    """Volume of each asset on a day, all venues together."""
    amounts: dict[str, list[float]] = {}
    for venue in real_venues(raw):
        for each in raw_reading.volumes_of_day(raw, venue, day).values():
            if each.base_asset is not None and each.volume_usd is not None:
                amounts.setdefault(each.base_asset, []).append(each.volume_usd)
    return {asset: micro_sum(values) or 0.0 for asset, values in amounts.items()}


@functools.cache
def asset_ranks(raw: Path, day: date) -> dict[str, int]:
    """Place of every asset by its volume of the 90 days before a day; of none with fewer than 30 of them known."""
    days = [volumes for back in range(1, 91) if (volumes := asset_volumes(raw, day - back * DAY))]
    if len(days) < 30:
        return {}
    amounts: dict[str, list[float]] = {}
    for volumes in days:
        for asset, amount in volumes.items():
            amounts.setdefault(asset, []).append(amount)
    sums = {asset: micro_sum(values) or 0.0 for asset, values in amounts.items()}
    order = sorted(sums, key=lambda asset: (-sums[asset], asset))
    return {asset: place for place, asset in enumerate(order, start=1)}


def tier_of(raw: Path, asset: str | None, day: date) -> tuple[str, str]:
    """Tier of an asset as the day begins, and by what. Whoever traded neither then nor the day before has the listed one."""
    listed = next((row["tier"] for row in seed("asset_tiers") if row["base_asset"] == asset), "tail")
    is_traded = asset in asset_volumes(raw, day) or asset in asset_volumes(raw, day - DAY)
    place = asset_ranks(raw, day).get(asset or "") if is_traded else None
    if place is None:
        return listed, "fixed_list"
    return "major" if place <= 2 else "mid" if place <= 20 else "tail", "trailing_volume"


# Liquidation tax.


@dataclass(frozen=True)
class Known:
    """An amount that is known of a venue's asset on a day, USD."""

    usd: float
    basis: str | None
    completeness: str | None
    source_class: str | None


@functools.cache
def known_volumes(raw: Path, venue: str, day: date) -> dict[str | None, Known]:
    """Volume by asset over the contracts whose candles cover the day; a contract with a part of it flags its asset."""
    assets: dict[str | None, list[raw_reading.DayVolume]] = {}
    for each in raw_reading.volumes_of_day(raw, venue, day).values():
        assets.setdefault(each.base_asset, []).append(each)
    found = {}
    for asset, contracts in assets.items():
        covered = [each for each in contracts if each.is_covered and each.volume_usd is not None]
        if covered:
            found[asset] = Known(
                usd=micro_sum(each.volume_usd for each in covered) or 0.0,
                basis=common_basis(each.volume_basis for each in covered),
                completeness=weakest_completeness(each.completeness for each in contracts),
                source_class=weakest_source_class(each.source_class for each in contracts),
            )
    return found


@functools.cache
def known_interest(raw: Path, venue: str, day: date) -> dict[str | None, Known]:
    """Open interest by asset at the end of a day."""
    assets: dict[str | None, list[raw_reading.DayInterest]] = {}
    for each in raw_reading.open_interest_of_day(raw, venue, day).values():
        assets.setdefault(each.base_asset, []).append(each)
    return {
        asset: Known(
            usd=micro_sum(each.usd for each in contracts) or 0.0,
            basis=None,
            completeness=weakest_completeness(each.completeness for each in contracts),
            source_class=weakest_source_class(each.source_class for each in contracts),
        )
        for asset, contracts in assets.items()
    }


@dataclass(frozen=True)
class AssetBill:
    """Liquidations of an asset on a day by one feed, beside the volume and open interest of the same asset."""

    asset: str | None
    long_usd: float | None
    short_usd: float | None
    usd: float | None
    liquidation_completeness: str | None
    volume_venues: tuple[str, ...]
    volume_usd: float | None
    volume_basis: str | None
    interest_usd: float | None
    completeness: str | None
    source_class: str | None

    @property
    def is_matched(self) -> bool:
        """Whether liquidations and volume are both known."""
        return self.volume_usd is not None


@functools.cache
def bills_of_feed(raw: Path, feed_venue: str, day: date) -> tuple[AssetBill, ...]:
    """Assets of one feed. What no venue reported is divided by the volume of all venues whose day is complete."""
    assets: dict[str | None, list[reading.DayLiquidated]] = {}
    for each in reading.daily_liquidations(raw, feed_venue, day, day):
        assets.setdefault(each.base_asset, []).append(each)
    found = []
    for asset, told in assets.items():
        names = [feed_venue]
        if feed_venue == "market":
            names = [
                venue
                for venue in real_venues(raw)
                if asset in known_volumes(raw, venue, day)
                and known_volumes(raw, venue, day)[asset].completeness == "complete"
            ]
        names = [venue for venue in names if asset in known_volumes(raw, venue, day)]
        parts = [known_volumes(raw, venue, day)[asset] for venue in names]
        levels = [known_interest(raw, venue, day).get(asset) for venue in names]
        interest = [level for level in levels if level is not None] if None not in levels else []
        flagged: list[Any] = [*told, *parts, *interest]
        found.append(
            AssetBill(
                asset=asset,
                long_usd=micro_sum(each.long_usd for each in told),
                short_usd=micro_sum(each.short_usd for each in told),
                usd=micro_sum(each.liquidated_usd for each in told),
                liquidation_completeness=weakest_completeness(each.completeness for each in told),
                volume_venues=tuple(names),
                volume_usd=micro_sum(part.usd for part in parts),
                volume_basis=common_basis(part.basis for part in parts),
                interest_usd=micro_sum(level.usd for level in interest),
                completeness=weakest_completeness(each.completeness for each in flagged),
                source_class=weakest_source_class(each.source_class for each in flagged),
            )
        )
    return tuple(found)


@functools.cache
def bills_of(raw: Path, venue: str, day: date) -> tuple[str, tuple[AssetBill, ...]]:
    """Basis and assets of a row. The file without venues is used where no venue has liquidations and volume itself."""
    if venue != "market":
        return "venue_feeds", bills_of_feed(raw, venue, day)
    of_venues = tuple(bill for each in real_venues(raw) for bill in bills_of_feed(raw, each, day))
    unattributed = bills_of_feed(raw, "market", day)
    if unattributed and not any(bill.is_matched for bill in of_venues):
        return "unattributed_feed", unattributed
    return "venue_feeds", of_venues


@functools.cache
def taxed_day(raw: Path, venue: str, tier: str, day: date) -> Row | None:
    """A day without its comparison to the days before; None without a liquidation."""
    basis, bills = bills_of(raw, venue, day)
    if tier != "all":
        bills = tuple(bill for bill in bills if tier_of(raw, bill.asset, day)[0] == tier)
    if not bills:
        return None
    matched = [bill for bill in bills if bill.is_matched]
    liquidated = micro_sum(bill.usd for bill in matched)
    volume = micro_sum(bill.volume_usd for bill in matched)
    interest = micro_sum(bill.interest_usd for bill in matched)
    covered = {bill.asset for bill in matched}
    levels = weakest_completeness(bill.liquidation_completeness for bill in bills)
    return {
        "liquidated_usd": liquidated,
        "liquidated_long_usd": micro_sum(bill.long_usd for bill in matched),
        "liquidated_short_usd": micro_sum(bill.short_usd for bill in matched),
        "unmatched_liquidated_usd": micro_sum([0.0, *(bill.usd for bill in bills if not bill.is_matched)]),
        "volume_usd": volume,
        "open_interest_usd": interest,
        "tax_bps": ratio(liquidated, volume, 10000),
        "tax_oi_bps": ratio(micro_sum(bill.usd for bill in matched if bill.interest_usd is not None), interest, 10000),
        "long_share": ratio(micro_sum(bill.long_usd for bill in matched), liquidated),
        "base_assets_covered": len(covered),
        "base_assets_unmatched": len({bill.asset for bill in bills} - covered),
        "volume_venues": ",".join(sorted({name for bill in matched for name in bill.volume_venues})) or None,
        "volume_basis": common_basis(bill.volume_basis for bill in matched),
        "liquidation_basis": basis,
        "is_floor": levels != "complete",
        "liquidation_completeness": levels,
        "completeness": weakest_completeness(bill.completeness for bill in bills),
        "source_class": weakest_source_class(bill.source_class for bill in bills),
    }


def regime_of(tax: float | None, median: float | None, score: float | None) -> str | None:
    """Name of a day by its score. Where the baseline is all zero there is no score, and zero is routine."""
    if score is None:
        return "routine" if tax is not None and median is not None and tax <= median else None
    return "stress" if score >= 7 else "elevated" if score >= 3.5 else "routine"


def compared_day(raw: Path, venue: str, tier: str, day: date) -> Row:
    """A day with liquidations beside its baseline: the 30 days before it of the same feed, at least 14 of them."""
    row = taxed_day(raw, venue, tier, day)
    assert row is not None, f"no liquidation of {venue} {tier} on {day}"
    before = [taxed_day(raw, venue, tier, day - back * DAY) for back in range(1, 31)]
    past = [
        each["tax_bps"]
        for each in before
        if each is not None
        and each["tax_bps"] is not None
        and each["liquidation_basis"] == row["liquidation_basis"]
        and each["liquidation_completeness"] == row["liquidation_completeness"]
    ]
    tax, median, deviation, score, excess = row["tax_bps"], None, None, None, None
    if len(past) >= 14:
        median = statistics.median(past)
        deviation = statistics.median(abs(each - median) for each in past)
        score = ratio(None if tax is None else tax - median, max(1.4826 * deviation, 0.05 * median))
        if row["liquidated_usd"] is not None:
            excess = row["liquidated_usd"] - median * row["volume_usd"] / 10000
    return row | {
        "routine_tax_bps": median,
        "mad_tax_bps": deviation,
        "baseline_days": len(past) if median is not None else None,
        "robust_z": score,
        "regime": regime_of(tax, median, score),
        "excess_usd": excess,
    }


def tier_basis(raw: Path, venue: str, tier: str, day: date) -> str | None:
    """Whether the assets of a row have their tier by rank, by the fixed list, or some by either."""
    tiers = [tier_of(raw, bill.asset, day) for bill in bills_of(raw, venue, day)[1]]
    return common_basis(basis for each, basis in tiers if tier in ("all", each))


def liquidation_tax_row(raw: Path, venue: str, tier: str, day: date) -> LazyRow:
    """A row of fct_liquidation_tax by its key; only its tiers rest on the 90 days before of all venues."""
    row = compared_day(raw, venue, tier, day)
    columns = {name: functools.partial(row.get, name) for name in row}
    return LazyRow(columns | {"tier_basis": functools.partial(tier_basis, raw, venue, tier, day)})


# Tax concentration.


def tax_concentration_row(raw: Path, venue: str, year: int) -> Row:
    """A row of fct_tax_concentration by its key."""
    dates = period_days("year", date(year, 1, 1))
    days = {day: row for day in dates if (row := taxed_day(raw, venue, "all", day)) is not None}
    known = {day: row | yearly_parts(raw, venue, day) for day, row in days.items() if row["liquidated_usd"] is not None}
    order = sorted(known, key=lambda day: (-known[day]["liquidated_usd"], day))
    amounts = [known[day]["liquidated_usd"] for day in order]
    count, bill = len(order), micro_sum(amounts)
    volume = micro_sum(row["volume_usd"] for row in known.values())
    regimes = [row["regime"] for row in known.values()]
    routine = micro_sum(row["routine_usd"] for row in known.values())
    over = micro_sum(row["over_routine_usd"] for row in known.values())
    weighted = math.fsum(place * amount for place, amount in enumerate(amounts, start=1))
    half = next((place for place in range(1, count + 1) if bill and 2 * math.fsum(amounts[:place]) >= bill), None)
    return {
        "liquidated_usd": bill,
        "unmatched_liquidated_usd": micro_sum(row["unmatched_liquidated_usd"] for row in days.values()),
        "volume_usd": volume,
        "tax_bps": ratio(bill, volume, 10000),
        "days_covered": count,
        "days_in_year": len(dates),
        "worst_date": order[0] if order else None,
        "worst_1_day_share": ratio(amounts[0], bill) if count >= 1 else None,
        "worst_5_days_share": ratio(math.fsum(amounts[:5]), bill) if count >= 5 else None,
        "worst_10_days_share": ratio(math.fsum(amounts[:10]), bill) if count >= 10 else None,
        "days_to_half": half,
        "gini": (count + 1) / count - 2 * weighted / (count * bill) if count >= 2 and bill else None,
        "routine_usd": routine,
        "over_routine_usd": over,
        "unclassified_usd": micro_sum(row["unclassified_usd"] for row in known.values()),
        "over_routine_share": ratio(over, None if routine is None or over is None else routine + over),
        "routine_days": regimes.count("routine"),
        "elevated_days": regimes.count("elevated"),
        "stress_days": regimes.count("stress"),
        "unclassified_days": regimes.count(None),
        "liquidation_basis": common_basis(row["liquidation_basis"] for row in days.values()),
        "is_floor": any(row["is_floor"] for row in days.values()),
        "completeness": weakest_completeness(
            [*(row["completeness"] for row in days.values()), "partial" if count < len(dates) else None]
        ),
        "source_class": weakest_source_class(row["source_class"] for row in days.values()),
    }


def yearly_parts(raw: Path, venue: str, day: date) -> Row:
    """What of a day's liquidations is routine, above it, or neither because the day has no regime."""
    row = compared_day(raw, venue, "all", day)
    liquidated, routine = row["liquidated_usd"], None
    if row["regime"] is not None:
        routine = min(liquidated, row["routine_tax_bps"] * row["volume_usd"] / 10000)
    return {
        "regime": row["regime"],
        "routine_usd": routine,
        "over_routine_usd": None if routine is None else liquidated - routine,
        "unclassified_usd": liquidated if routine is None else 0.0,
    }
