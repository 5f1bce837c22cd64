"""Plain Python reading of what only the structure marts rest on: deleveraging, insurance funds and margin tiers.

The datasets are small (a few partitions), so all of them are read at once. Meaning: ``docs/method.md``, ADR 8 and the seeds.
"""

import functools
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import pyarrow.parquet as pq
from event_reading import terms_at
from seed_reading import Row, counts, latest, usd_assets


@functools.cache
def small_dataset(raw: Path, entity: str) -> tuple[Row, ...]:
    """Every raw row of an entity, of all feeds (``*__<entity>``) or of the files, with its venue."""
    rows = []
    pattern = entity if entity.startswith("files_") else f"*__{entity}"
    for path in sorted(raw.glob(f"{pattern}/venue=*/date=*/*.parquet")):
        venue = path.parent.parent.name.removeprefix("venue=")
        if venue != "_schema":
            rows += [row | {"venue": venue} for row in pq.read_table(path, partitioning=None).to_pylist()]
    return tuple(rows)


@dataclass(frozen=True)
class AdlPart:
    """One auto-deleveraging fill, or one cluster of a file; what its source does not tell is None."""

    venue: str
    symbol: str
    base_asset: str
    at: datetime
    is_fill: bool
    is_told_by_fills: bool
    reduced_side: str | None
    account: str | None
    adl_usd: float | None
    base_quantity: float | None
    closed_pnl_usd: float | None
    haircut_usd: float | None
    deficit_usd: float | None
    completeness: str
    source_class: str


@functools.cache
def adl_fills(raw: Path) -> tuple[AdlPart, ...]:
    """Single fills of the venues, in base assets and USD."""
    parts = []
    rows = latest(small_dataset(raw, "adl_fills"), "venue", "feed", "venue_symbol", "event_key", "side", "account")
    for row in rows:
        at = row["event_time"]
        terms = terms_at(raw, row["venue"], row["venue_symbol"], at)
        assert counts(row, "adl_fills", "quantity", at) == "base", "a unit that this reader has not met"
        pnl = row["closed_pnl"] if counts(row, "adl_fills", "closed_pnl", at) == "usd" else None
        parts.append(
            AdlPart(
                venue=row["venue"],
                symbol=row["venue_symbol"],
                base_asset=terms.base_asset,
                at=at,
                is_fill=True,
                is_told_by_fills=False,
                reduced_side=row["side"],
                account=row["account"],
                adl_usd=row["quantity"] * row["price"] if terms.is_usd_quoted else None,
                base_quantity=row["quantity"] * terms.multiplier,
                closed_pnl_usd=pnl,
                haircut_usd=None,
                deficit_usd=None,
                completeness=row["completeness"],
                source_class=row["source_class"],
            )
        )
    return tuple(parts)


@functools.cache
def adl_parts(raw: Path) -> tuple[AdlPart, ...]:
    """Fills and clusters of all sources. Where fills speak of a venue, asset and day, a cluster has no notional of its own."""
    fills = adl_fills(raw)
    spoken = {(fill.venue, fill.base_asset, fill.at.astimezone(UTC).date()) for fill in fills}
    clusters = []
    for row in latest(small_dataset(raw, "files_adl"), "venue", "venue_symbol", "event_at"):
        is_told = (row["venue"], row["base_asset"], row["event_at"].astimezone(UTC).date()) in spoken
        if is_told and row["haircut_usd"] is None and row["deficit_usd"] is None:
            continue
        clusters.append(
            AdlPart(
                venue=row["venue"],
                symbol=row["venue_symbol"],
                base_asset=row["base_asset"],
                at=row["event_at"],
                is_fill=False,
                is_told_by_fills=is_told,
                reduced_side=None,
                account=None,
                adl_usd=None if is_told else row["adl_usd"],
                base_quantity=None,
                closed_pnl_usd=None,
                haircut_usd=row["haircut_usd"],
                deficit_usd=row["deficit_usd"],
                completeness=row["completeness"],
                source_class=row["source_class"],
            )
        )
    return fills + tuple(clusters)


def adl_parts_told_once(raw: Path) -> list[AdlPart]:
    """The same without clusters that only repeat what fills tell."""
    return [part for part in adl_parts(raw) if not part.is_told_by_fills]


@dataclass(frozen=True)
class Balance:
    """One observation of a fund's pool; the value is None where the venue states none and the asset is no dollar."""

    venue: str
    product: str
    pool: str
    asset: str
    at: datetime
    balance: float
    balance_usd: float | None
    basis: str | None
    covered_symbols: str | None
    completeness: str
    source_class: str


@functools.cache
def balances(raw: Path) -> tuple[Balance, ...]:
    """Every observation of every fund, in the order of time; of two feeds the venue's own."""
    rows = latest(
        small_dataset(raw, "insurance_funds"), "venue", "feed", "product", "venue_symbol", "asset", "event_at"
    )
    chosen: dict[tuple[object, ...], Row] = {}
    for row in sorted(rows, key=lambda row: (row["feed"] != row["venue"], row["feed"])):
        key = (row["venue"], row["product"], row["venue_symbol"], row["asset"], row["event_at"])
        chosen.setdefault(key, row)
    found = []
    for row in chosen.values():
        value, basis = None, None
        if row["balance_usd"] is not None and counts(row, "insurance_funds", "balance_usd", row["event_at"]) == "usd":
            value, basis = row["balance_usd"], "reported"
        elif row["asset"] in usd_assets():
            value, basis = row["balance"], "at_par"
        found.append(
            Balance(
                venue=row["venue"],
                product=row["product"],
                pool=row["venue_symbol"],
                asset=row["asset"],
                at=row["event_at"],
                balance=row["balance"],
                balance_usd=value,
                basis=basis,
                covered_symbols=row["covered_symbols"],
                completeness=row["completeness"],
                source_class=row["source_class"],
            )
        )
    return tuple(sorted(found, key=lambda balance: balance.at))


@dataclass(frozen=True)
class Tier:
    """One margin tier. Its floor and its deducted amount are in USD, or in base assets where a price would be needed."""

    number: int
    floor_usd: float | None
    floor_base: float | None
    rate: float
    amount_usd: float | None
    amount_base: float | None
    max_leverage: float | None


@dataclass(frozen=True)
class TierSet:
    """The tiers of a contract, from when they hold until the next set of the same feed and contract."""

    feed: str
    venue: str
    symbol: str
    base_asset: str | None
    valid_from: datetime
    valid_to: datetime | None
    tiers: tuple[Tier, ...]
    completeness: frozenset[str]
    source_classes: frozenset[str]


def tier_of_venue(raw: Path, row: Row) -> tuple[str | None, Tier]:
    """Base asset and tier of a row of a venue, its bounds in what can be told without a price."""
    at = row["event_at"]
    terms = terms_at(raw, row["venue"], row["venue_symbol"], at)
    floor, amount = row["tier_floor"], row["maintenance_amount"]
    floor_counts = counts(row, "leverage_tiers", "tier_floor", at)
    amount_counts = counts(row, "leverage_tiers", "maintenance_amount", at)
    floor_usd = floor_base = amount_usd = amount_base = None
    if floor_counts == "usd" or (floor_counts == "quote" and terms.is_usd_quoted):
        floor_usd = floor
    elif floor_counts == "base":
        floor_base = floor * terms.multiplier
    elif floor_counts == "contracts" and terms.contract_type == "inverse":
        floor_usd = floor * terms.contract_value
    elif floor_counts == "contracts":
        floor_base = floor * terms.contract_value * terms.multiplier
    if amount is not None and (amount_counts == "usd" or (amount_counts == "quote" and terms.is_usd_quoted)):
        amount_usd = amount
    elif amount is not None and amount_counts == "base":
        amount_base = amount * terms.multiplier
    leverage = row["max_leverage"]
    if leverage is None and row["initial_rate"]:
        leverage = 1 / row["initial_rate"]
    number, rate = row["tier_number"], row["maintenance_rate"]
    return terms.base_asset, Tier(number, floor_usd, floor_base, rate, amount_usd, amount_base, leverage)


@functools.cache
def tier_sets(raw: Path) -> tuple[TierSet, ...]:
    """Every set of tiers of venues and files."""
    rows: dict[tuple[str, str, str], dict[datetime, list[tuple[str | None, Tier, Row]]]] = {}
    key = ("venue", "venue_symbol", "event_at", "tier_number")
    for row in latest(small_dataset(raw, "leverage_tiers"), "feed", *key):
        asset, tier = tier_of_venue(raw, row)
        name = (row["feed"], row["venue"], row["venue_symbol"])
        rows.setdefault(name, {}).setdefault(row["event_at"], []).append((asset, tier, row))
    for row in latest(small_dataset(raw, "files_leverage_tiers"), *key):
        tier = Tier(
            number=row["tier_number"],
            floor_usd=row["notional_floor_usd"],
            floor_base=None,
            rate=row["maintenance_rate"],
            amount_usd=row["maintenance_amount_usd"],
            amount_base=None,
            max_leverage=row["max_leverage"],
        )
        name = ("files", row["venue"], row["venue_symbol"])
        rows.setdefault(name, {}).setdefault(row["event_at"], []).append((row["base_asset"], tier, row))
    sets = []
    for (feed, venue, symbol), by_time in rows.items():
        moments = sorted(by_time)
        for at, following in zip(moments, [*moments[1:], None], strict=True):
            members = sorted(by_time[at], key=lambda member: member[1].number)
            sets.append(
                TierSet(
                    feed=feed,
                    venue=venue,
                    symbol=symbol,
                    base_asset=members[0][0],
                    valid_from=at,
                    valid_to=following,
                    tiers=tuple(tier for _, tier, _ in members),
                    completeness=frozenset(row["completeness"] for _, _, row in members),
                    source_classes=frozenset(row["source_class"] for _, _, row in members),
                )
            )
    return tuple(sets)
