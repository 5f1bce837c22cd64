"""A slow and obvious simulator of the replay, written from docs/method_replay.md alone.

Loops over accounts, Python integers and dicts, one function per sentence of the method: it shares no code with the
engine, so where both agree to the last lot and micro-USD, both do what the method says. Section numbers in comments are
those of the method.
"""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

from replay_books import Book

TICK = 10**12
HIGHEST_LEVERAGE = 1000.0

ContractKey = tuple[str, str]  # venue, contract
PoolKey = tuple[str, str]  # venue, pool
UnitKey = tuple[str, ...]  # (account, contract or '') or ('fund', venue, pool)
Path = list[list[float]]

DEFAULTS: dict[str, Any] = {
    "clock": {"step_seconds": 1, "steps": 0, "max_rounds": 10000},
    "shock": {"all": [[0, -0.06]]},
    "impact": {
        "law": "linear", "coefficient": None, "y": None, "markets": {}, "decay_per_second": 0, "max_displacement": None,
    },
    "depth": {"multiplier": 1, "collapse": 0, "floor": None, "recovery": None},
    "mark": {
        "own_book_weight": 1, "composite_lag_seconds": 0, "collateral_price": "index", "collateral_switches": [],
    },
    "owners": {
        "rehedge_seconds": None, "top_up_below": None, "top_up_to": None, "transfer_seconds": {"default": 0},
        "slowdowns": [],
    },
}  # fmt: skip
VENUE_DEFAULTS: dict[str, Any] = {
    "liquidation": {
        "close": "full", "min_fraction": 0, "partial_above_usd": 0, "partial_times": None, "cooldown_seconds": 0,
        "backstop_ratio": None, "fee_rate": 0,
    },
    "fund": {"mode": None},
    "adl": {
        "policy": "none", "price": "bankruptcy", "trigger": None, "drawdown": 0.3, "score": "profit_leverage",
    },
    "limits": {"leverage_cap": None, "price_band": None, "unfilled": "fund", "circuit_breaker": None},
    "collateral": {"ratio": {}, "own_book": {}, "price": None, "switches": None},
}  # fmt: skip


# --- 1. Numbers -----------------------------------------------------------------------------------------------------


def round_away(value: float) -> int:
    """Round half away from zero, as C's round(): the distance to the floor is exact in doubles, so no 0.5 is added."""
    size = abs(value)
    whole = math.floor(size)
    if size - whole >= 0.5:
        whole += 1
    return -whole if value < 0 else whole


def sign(value: int) -> int:
    """Return -1, 0 or 1."""
    return (value > 0) - (value < 0)


def cut(basis: int, closed: int, held: int) -> int:
    """Return the part of a basis that leaves with `closed` of `held` lots (both absolute)."""
    return sign(basis) * ((abs(basis) * closed) // held)


def coin_usd(units: int, price: float) -> int:
    """Return the micro-USD of an amount of coin units."""
    return round_away(units * price * 0.01)


def split(total: int, weights: list[int]) -> list[int]:
    """Share by weight, rounded down; what is left goes to the first."""
    whole = sum(weights)
    if not weights or whole == 0:
        return [total, *[0] * (len(weights) - 1)] if weights else []
    parts = [total * weight // whole for weight in weights]
    parts[0] += total - sum(parts)
    return parts


def interpolate(path: Path, seconds: float) -> float:
    """Return a path's value at a time: linear between its points, the first and last value held outside."""
    if seconds <= path[0][0]:
        return float(path[0][1])
    for (left, low), (right, high) in pairwise(path):
        if seconds < right:
            return float(low + (high - low) * (seconds - left) / (right - left))
    return float(path[-1][1])


def cosh_excess(h: float) -> float:
    """Return h cosh(h) - sinh(h), by its series where the difference would cancel."""
    if h < 0.1:
        return h * h * h / 3 * (1 + h * h / 10 * (1 + h * h / 28 * (1 + h * h / 54)))
    return h * math.cosh(h) - math.sinh(h)


def average_factor(law: str, side: int, y0: float, y1: float) -> float:
    """Return the average of exp(-side * y) over the notional that moves the displacement from y0 to y1."""
    middle = math.exp(-side * (y0 + y1) / 2)
    if y1 <= y0:
        return middle
    if law == "linear":
        return middle * (math.sinh((y1 - y0) / 2) / ((y1 - y0) / 2))
    return middle * (
        math.sinh((y1 - y0) / 2) / ((y1 - y0) / 2) - side * cosh_excess((y1 - y0) / 2) / ((y0 + y1) / 2 * (y1 - y0) / 2)
    )


def merged(below: Mapping[str, Any], above: Mapping[str, Any] | None) -> dict[str, Any]:
    """Lay one mapping over another, key by key and mapping by mapping."""
    result = dict(below)
    for key, value in (above or {}).items():
        known = result.get(key)
        result[key] = merged(known, value) if isinstance(known, Mapping) and isinstance(value, Mapping) else value
    return result


# --- 2. State -------------------------------------------------------------------------------------------------------


@dataclass
class Contract:
    """A contract, its tiers and its book of orders."""

    venue: str
    name: str
    base: str
    inverse: bool
    value: float
    tier: str
    lot: float
    index: float
    beta: float
    depth: float
    recovery: float
    floor: float
    tiers: list[tuple[float, float, float]]
    law: str = "linear"
    coefficient: float = 0.0
    move: int = 0
    y: int = 0
    y_base: int = 0
    x: float = 1.0
    depth_micro: int = 0
    sold: int = 0
    bought: int = 0
    mark_tick: int = 0
    mark: float = 0.0
    halted_until: float | None = None
    shapes: list[int] = field(default_factory=list)  # move - y at the end of each step
    mark_ticks: list[int] = field(default_factory=list)  # at the end of each step

    @property
    def key(self) -> ContractKey:
        return (self.venue, self.name)

    def ref(self, lots: int) -> int:
        """Return the reference notional in micro-USD, never negative."""
        return round_away(abs(lots) * self.lot * (self.value if self.inverse else self.index) * 1e6)

    def native(self, lots: int, price: float) -> int:
        """Return what signed lots are worth at a price, in settle units."""
        if self.inverse:
            return -round_away(lots * self.lot * self.value / price * 1e8)
        return round_away(lots * self.lot * price * 1e6)

    def notional(self, lots: int) -> int:
        """Return the notional that the margin tiers see, at the mark."""
        return self.ref(lots) if self.inverse else abs(self.native(lots, self.mark))

    def maintenance(self, notional: float) -> float:
        """Return the maintenance margin before rounding, not below 0."""
        rate, amount = 0.0, 0.0
        for floor, tier_rate, tier_amount in self.tiers:
            if floor * 1e6 <= notional:
                rate, amount = tier_rate, tier_amount
        return max(0.0, notional * rate - amount * 1e6)

    def push(self, forced: int) -> int:
        """Return the displacement in ticks after forced reference notional in one direction."""
        if self.law == "linear":
            return (forced * TICK) // self.depth_micro
        return math.floor(self.coefficient * math.sqrt(forced / 1e6) * 1e12)

    def largest(self, forced: int, room: int) -> int:
        """Return the reference notional that fits into `room` ticks after `forced`."""
        if self.law == "linear":
            return (room * self.depth_micro) // TICK
        reach = (self.push(forced) + room) / 1e12 / self.coefficient
        return max(0, math.floor(math.pow(reach, 2.0) * 1e6) - forced)

    def halted(self, now: float) -> bool:
        return self.halted_until is not None and now < self.halted_until


@dataclass
class Unit:
    """What is margined together; also the maker, the book without a maker, and a fund."""

    key: UnitKey
    venue: str
    kind: str  # trader, maker, book, fund
    owner: str = ""
    isolated: str = ""
    cash: int = 0
    coins: dict[str, int] = field(default_factory=lambda: defaultdict(int))
    legs: dict[str, tuple[int, int]] = field(default_factory=dict)
    partials: int = 0
    last_partial: float | None = None

    def credit(self, contract: Contract, amount: int) -> None:
        """Raise the balance in which a contract settles."""
        if contract.inverse:
            self.coins[contract.base] += amount
        else:
            self.cash += amount

    def shrink(self, contract: Contract, closed: int) -> int:
        """Take `closed` lots (absolute) off a leg and return the basis that leaves with them."""
        lots, basis = self.legs[contract.name]
        leaves = cut(basis, closed, abs(lots))
        if closed == abs(lots):
            del self.legs[contract.name]
        else:
            self.legs[contract.name] = (lots - sign(lots) * closed, basis - leaves)
        return leaves

    def join(self, contract: Contract, lots: int, worth: int, price: float) -> int:
        """Add signed lots that are worth `worth` to a leg; return the change of the basis."""
        held, basis = self.legs.get(contract.name, (0, 0))
        if lots == 0:
            return 0
        if sign(held) in {0, sign(lots)}:
            after = basis + worth
        elif abs(lots) <= abs(held):
            after = basis - cut(basis, abs(lots), abs(held))
        else:
            after = contract.native(held + lots, price)
        if held + lots:
            self.legs[contract.name] = (held + lots, after)
        else:
            del self.legs[contract.name]
        return after - basis


@dataclass
class Margin:
    """A unit's margin at the marks."""

    equity: int
    settle_equity: int
    maintenance: int
    notionals: dict[str, int]

    @property
    def notional(self) -> int:
        return sum(self.notionals.values())


@dataclass
class Event:
    """One row of what happened; lots are signed as the position that was closed."""

    step: int
    round: int
    kind: str  # book, backstop, unfilled, rehedge, adl, transfer_out, transfer_in, deleverage_cap
    unit: UnitKey
    contract: ContractKey | None
    lots: int = 0
    price: float | None = None
    native: int = 0
    fee: int = 0
    haircut: int = 0
    deficit: int = 0
    policy: str | None = None
    rank: int | None = None
    score: float | None = None
    profit: int = 0  # adl: of the lots that were closed, before the haircut, micro-USD
    late: bool = False


@dataclass
class PathRow:
    """A contract at the end of a step; liquidated and adl are cumulated reference notional."""

    index: float
    book: float
    mark: float
    move: int
    y: int
    mark_tick: int
    depth: int
    liquidated: int
    adl: int
    open_interest: int


@dataclass
class PoolStep:
    """A pool in a step, micro-USD."""

    wallet: int = 0
    deficits: int = 0
    fund_paid: int = 0
    haircuts: int = 0
    socialised: int = 0
    gains: int = 0
    fees: int = 0
    realised: int = 0
    overshoot: int = 0  # of the haircuts


@dataclass
class ContractTotals:
    """A contract over the whole run: reference notional, shares of deficits, haircuts in micro-USD."""

    book: int = 0
    backstop: int = 0
    unfilled: int = 0
    rehedge: int = 0
    adl: int = 0
    deficit: int = 0
    haircut: int = 0
    fee: int = 0
    halts: int = 0
    overshoot: int = 0  # of adl
    haircut_overshoot: int = 0
    inversions: int = 0
    inverted: int = 0


@dataclass
class Hedge:
    """An owner's hedge in a base asset, micro-USD of reference notional."""

    before: int
    after: int = 0
    naked: list[int] = field(default_factory=list)  # after each step
    naked_usd_seconds: float = 0
    due: float | None = None


@dataclass
class World:
    """Everything that a replay leaves behind."""

    units: dict[UnitKey, tuple[int, dict[str, int], dict[str, tuple[int, int]]]] = field(default_factory=dict)
    path: dict[tuple[str, str, int], PathRow] = field(default_factory=dict)
    events: list[Event] = field(default_factory=list)
    pools: dict[tuple[str, str, int], PoolStep] = field(default_factory=dict)
    contracts: dict[ContractKey, ContractTotals] = field(default_factory=dict)
    hedges: dict[tuple[str, str], Hedge] = field(default_factory=dict)
    rounds: list[int] = field(default_factory=list)  # of each step, with the last one in which nothing happened
    transfers_late: int = 0
    in_transit: int = 0
    sold_coins: dict[str, int] = field(default_factory=lambda: defaultdict(int))  # units that went to the outside
    sold_usd: int = 0  # what the outside paid for them
    start: dict[str, int] = field(default_factory=dict)  # total of each asset before step 0, 'USD' for cash
    totals: list[dict[str, int]] = field(default_factory=list)  # the same after each step, less what came from outside
    lot_sums: list[dict[ContractKey, int]] = field(default_factory=list)  # after each step, all 0
    seen: Counter[str] = field(default_factory=Counter)  # how often a rule came into play, for the tests' coverage


@dataclass
class Order:
    """Lots (absolute) that a unit wants to close on the book."""

    unit: Unit
    contract: Contract
    side: int  # of the position: 1 is sold, -1 is bought back
    lots: int
    rehedge: bool = False
    partial: bool = False
    filled: int = 0


@dataclass
class Part:
    """A unit's deficit in a contract; `fund` holds the lots after a takeover, the maker after fills."""

    unit: Unit
    contract: Contract
    side: int
    lots: int
    deficit: int
    fund: bool


@dataclass
class Ask:
    """Lots that a pool wants to be rid of, with the shortfall that they carry."""

    pool: PoolKey
    contract: Contract
    side: int
    lots: int
    short: int
    fund: bool
    needed: int
    trigger: str = "balance"


@dataclass
class Candidate:
    """A winner on the other side."""

    unit: Unit
    lots: int
    profit: int
    basis: int
    native: int
    usd_basis: int
    margin: Margin
    score: float = 0.0
    slice: int = 0
    haircut: int = 0

    @property
    def leverage(self) -> float:
        if self.margin.equity <= 0:
            return HIGHEST_LEVERAGE
        return min(HIGHEST_LEVERAGE, float(self.margin.notional) / float(self.margin.equity))


@dataclass
class Plan:
    """The deleveraging of one contract and side."""

    contract: Contract
    side: int
    funds: dict[PoolKey, int]
    maker: int
    shorts: dict[PoolKey, int]
    winners: list[Candidate]
    collected: int
    needed: int
    candidates: list[Candidate]


@dataclass
class Transfer:
    """Cash on its way to a unit."""

    target: Unit
    amount: int
    arrives: float


# --- 8. Scores and slices -------------------------------------------------------------------------------------------


def score_of(name: str, winner: Candidate, contract: Contract, side: int) -> float:
    """Return the score by which a queue is sorted; `side` is that of the winner's leg."""
    usd_basis = float(max(1, abs(winner.usd_basis)))
    equity = float(max(1, winner.margin.equity))
    profit, maintenance = float(winner.profit), float(winner.margin.maintenance)
    if name == "binance":
        return (profit / equity) * (maintenance / equity)
    if name == "bitget":
        return profit / usd_basis * (maintenance / equity)
    if name == "hyperliquid":
        worth, basis = abs(winner.native), max(1, abs(winner.basis))
        if (side == 1) != contract.inverse:
            return float(worth) / float(basis) * winner.leverage
        return float(basis) / float(max(1, worth)) * winner.leverage
    return profit / usd_basis * winner.leverage


def weight_of(policy: str, winner: Candidate) -> int:
    if policy == "pro_rata":
        return winner.lots
    if policy == "capped_pro_rata":
        return winner.profit
    return winner.lots * round_away(1000 * winner.leverage)


def largest_remainder(total: int, weights: list[int]) -> list[int]:
    """Share lots by weight; the lots that are left go one each to the largest remainders, ties to the first."""
    whole = sum(weights)
    if whole == 0 or total == 0:
        return [0] * len(weights)
    parts = [total * weight // whole for weight in weights]
    order = sorted(range(len(weights)), key=lambda i: (-(total * weights[i] % whole), i))
    for i in order[: total - sum(parts)]:
        parts[i] += 1
    return parts


def slices(policy: str, required: int, winners: list[Candidate]) -> None:
    """Set what each candidate gives (in order of units; a queue has been sorted by score)."""
    held = sum(winner.lots for winner in winners)
    if policy == "queue":
        left = required
        for winner in winners:
            winner.slice = min(winner.lots, left)
            left -= winner.slice
        return
    weights = [weight_of(policy, winner) for winner in winners]
    first = min(required, held)
    if policy == "capped_pro_rata":
        whole = sum(weights)
        caps = [w.lots * whole // weight for w, weight in zip(winners, weights, strict=True) if weight > 0]
        first = min([first, *caps])
    for winner, part in zip(winners, largest_remainder(first, weights), strict=True):
        winner.slice = min(winner.lots, part)
    missing = min(required, held) - sum(winner.slice for winner in winners)
    more = largest_remainder(missing, [winner.lots - winner.slice for winner in winners])
    for winner, part in zip(winners, more, strict=True):
        winner.slice += part


# --- The replay -----------------------------------------------------------------------------------------------------


class Replay:
    """A book and a scenario on their way through time."""

    def __init__(self, book: Book, scenario: Mapping[str, Any], on_event: Callable[[Event], None] | None) -> None:
        self.book = book.rows
        self.on_event = on_event
        self.world = World()
        self.options = {name: merged(default, scenario.get(name)) for name, default in DEFAULTS.items()}
        if scenario.get("shock") is not None:
            self.options["shock"] = scenario["shock"]
        venues = scenario.get("venues") or {}
        names = {row["venue"] for table in ("contract", "account", "fund") for row in self.book[table]}
        self.rules = {
            name: merged(merged(VENUE_DEFAULTS, venues.get("default")), venues.get(name)) for name in sorted(names)
        }
        self.step_seconds = self.options["clock"]["step_seconds"]
        self.step = 0
        self.round = 0
        self.now: float = 0
        self.contracts: dict[ContractKey, Contract] = {}
        self.units: dict[UnitKey, Unit] = {}
        self.makers: dict[str, Unit] = {}
        self.funds: dict[PoolKey, Unit] = {}
        self.peaks: dict[PoolKey, int] = {}
        self.start_price: dict[tuple[str, str], float] = {}
        self.coin_price: dict[tuple[str, str], float] = {}
        self.z_end: dict[str, int] = defaultdict(int)
        self.z: dict[str, int] = {}
        self.transfers: list[Transfer] = []
        self.forced: dict[ContractKey, int] = defaultdict(int)
        self.deleveraged: dict[ContractKey, int] = defaultdict(int)
        self.pool_round: dict[PoolKey, PoolStep] = {}
        self.parts: dict[PoolKey, list[Part]] = {}
        self.called: dict[PoolKey, int] = {}  # pools whose inventory is called in the round, and what they miss
        self.brought: dict[PoolKey, Counter[ContractKey]] = {}  # haircuts of the round by contract

    # --- 2. State at t0 ---

    def load(self) -> None:
        """Build the state at t0."""
        self.load_contracts()
        self.load_units()
        self.load_funds()
        self.load_collateral()
        for row in sorted(self.book["position"], key=lambda r: (r["account_id"], r["contract"])):
            self.load_position(row)
        self.balance()
        self.set_start_prices()
        self.world.start = self.total()
        self.cap_leverage()
        self.load_hedges()

    def load_contracts(self) -> None:
        depths = {(row["venue"], row["contract"]): row for row in self.book["depth"]}
        tiers: dict[ContractKey, list[tuple[float, float, float]]] = defaultdict(list)
        for row in self.book["margin_tier"]:
            tiers[row["venue"], row["contract"]].append(
                (float(row["notional_floor"]), float(row["maintenance_rate"]), float(row["maintenance_amount"]))
            )
        for row in sorted(self.book["contract"], key=lambda r: (r["venue"], r["contract"])):
            key = (row["venue"], row["contract"])
            inverse = row["contract_type"] == "inverse"
            contract = Contract(
                venue=row["venue"], name=row["contract"], base=row["base_asset"], inverse=inverse,
                value=float(row["contract_value"]) if inverse else 0.0, tier=row["tier"], lot=float(row["lot_size"]),
                index=float(row["index_price"]), beta=float(row["beta"]), depth=float(depths[key]["depth"]),
                recovery=float(depths[key]["recovery"]), floor=float(depths[key]["floor"]), tiers=sorted(tiers[key]),
            )  # fmt: skip
            self.set_impact(contract)
            self.contracts[key] = contract
            self.world.contracts[key] = ContractTotals()

    def set_impact(self, contract: Contract) -> None:
        """Set the law and coefficient of the price impact, and what the scenario says of the depth."""
        impact, depth = self.options["impact"], self.options["depth"]
        contract.law = impact["law"]
        if contract.law == "sqrt":
            if impact["coefficient"] is not None:
                contract.coefficient = float(impact["coefficient"])
            else:
                market = self.nearest(impact["markets"], contract)
                contract.coefficient = impact["y"] * market["sigma"] / math.sqrt(market["adv_usd"])
        if depth["floor"] is not None:
            contract.floor = float(depth["floor"])
        if depth["recovery"] is not None:
            contract.recovery = float(depth["recovery"])

    @staticmethod
    def nearest(scopes: Mapping[str, Any], contract: Contract) -> Any:
        """Return what stands under the contract's asset, else tier, else all."""
        for scope in (contract.base, contract.tier, "all"):
            if scope in scopes:
                return scopes[scope]
        return None

    def load_units(self) -> None:
        accounts = {row["account_id"]: row for row in self.book["account"]}
        keys: set[UnitKey] = set()
        for row in accounts.values():
            makers = [r["account_id"] for r in accounts.values() if r["kind"] == "maker" and r["venue"] == row["venue"]]
            if row["margin_mode"] == "cross" or (makers and min(makers) == row["account_id"]):
                keys.add((row["account_id"], ""))
        for row in [*self.book["position"], *self.book["collateral"]]:
            if (row["account_id"], "") not in keys:
                keys.add((row["account_id"], row["contract"]))
        for key in sorted(keys):
            row = accounts[key[0]]
            kind = "maker" if row["kind"] == "maker" else "trader"
            unit = Unit(key, row["venue"], kind, owner=row["owner_id"], isolated=key[1])
            self.units[key] = unit
            if kind == "maker" and key[1] == "":
                self.makers.setdefault(row["venue"], unit)
        for venue in self.rules:
            if venue not in self.makers:
                unit = Unit((f"(book)@{venue}", ""), venue, "book")
                self.units[unit.key] = self.makers[venue] = unit

    def load_funds(self) -> None:
        balances = {(row["venue"], row["pool"]): float(row["balance"]) for row in self.book["fund"]}
        for venue in self.rules:
            if self.venue_pool(venue) not in balances:
                balances[self.venue_pool(venue)] = 0.0
        for pool in sorted(balances):
            unit = Unit(("fund", *pool), pool[0], "fund", cash=round_away(balances[pool] * 1e6))
            self.units[unit.key] = self.funds[pool] = unit
            self.peaks[pool] = unit.cash

    def venue_pool(self, venue: str) -> PoolKey:
        """Return the venue's pool for every contract."""
        for row in self.book["fund"]:
            if row["venue"] == venue and not row["contract"]:
                return (venue, row["pool"])
        return (venue, "(none)")

    def contract_pool(self, venue: str, contract: str) -> PoolKey:
        """Return a contract's own pool if there is one, else the venue's."""
        for row in self.book["fund"]:
            if row["venue"] == venue and row["contract"] == contract:
                return (venue, row["pool"])
        return self.venue_pool(venue)

    def unit_pool(self, unit: Unit) -> PoolKey:
        return self.contract_pool(unit.venue, unit.isolated) if unit.isolated else self.venue_pool(unit.venue)

    def load_collateral(self) -> None:
        venues = {row["account_id"]: row["venue"] for row in self.book["account"]}
        for row in self.book["collateral"]:
            cross = (row["account_id"], "")
            unit = self.units[cross if cross in self.units else (row["account_id"], row["contract"])]
            venue, asset, price = venues[row["account_id"]], row["asset"], float(row["price"])
            if self.is_cash(venue, asset, price):
                unit.cash += round_away(float(row["amount"]) * price * 1e6)
            else:
                unit.coins[asset] += round_away(float(row["amount"]) * 1e8)
                self.start_price[venue, asset] = price

    def is_cash(self, venue: str, asset: str, price: float) -> bool:
        collateral, shock = self.rules[venue]["collateral"], self.options["shock"]
        return (
            price == 1
            and all(contract.base != asset for contract in self.contracts.values())
            and collateral["ratio"].get(asset, 1) >= 1
            and asset not in collateral["own_book"]
            and ("driver" in shock or asset not in shock)
        )

    def load_position(self, row: Mapping[str, Any]) -> None:
        contract = self.contracts[row["venue"], row["contract"]]
        lots = round_away(float(row["quantity"]) / contract.lot)
        if lots == 0:
            return
        cross = (row["account_id"], "")
        unit = self.units[cross if cross in self.units else (row["account_id"], row["contract"])]
        basis = contract.native(lots, float(row["entry_price"]))
        unit.legs[contract.name] = (lots, basis)
        unit.credit(contract, -basis)

    def balance(self) -> None:
        """Let the maker hold the other side of a contract whose lots do not sum to 0."""
        for contract in self.contracts.values():
            missing = -self.lot_sum(contract)
            if missing:
                maker = self.makers[contract.venue]
                worth = contract.native(missing, contract.index)
                maker.join(contract, missing, worth, contract.index)
                maker.credit(contract, -worth)

    def lot_sum(self, contract: Contract) -> int:
        return sum(unit.legs.get(contract.name, (0, 0))[0] for unit in self.at(contract.venue))

    def at(self, venue: str) -> Iterable[Unit]:
        return [unit for unit in self.units.values() if unit.venue == venue]

    def traders(self) -> list[Unit]:
        return [unit for unit in self.units.values() if unit.kind == "trader"]

    def legs(self, unit: Unit) -> list[tuple[Contract, int, int]]:
        """Return a unit's legs in order of contracts."""
        return [(self.contracts[unit.venue, name], *unit.legs[name]) for name in sorted(unit.legs)]

    def set_start_prices(self) -> None:
        """Set marks and coin prices to those of t0, before any move."""
        for contract in reversed(self.contracts.values()):
            contract.mark = contract.index
            for venue in self.rules:
                # The first contract of the whole book gives an asset its price, so it is written last.
                self.start_price[venue, contract.base] = contract.index
        self.coin_price = dict(self.start_price)

    def cap_leverage(self) -> None:
        """Cut the positions of units above the venue's leverage limit (limits.leverage_cap)."""
        for unit in self.traders():
            limit = self.rules[unit.venue]["limits"]["leverage_cap"]
            if limit is None or not unit.legs:
                continue
            equity = self.margin(unit).equity
            refs = sum(contract.ref(lots) for contract, lots, _ in self.legs(unit))
            if refs <= float(limit) * equity:
                continue
            share = float(limit) * equity / refs if equity > 0 else 0.0
            for contract, lots, _ in self.legs(unit):
                self.cap_leg(unit, contract, lots - math.trunc(lots * share))

    def cap_leg(self, unit: Unit, contract: Contract, closed: int) -> None:
        if closed == 0:
            return
        worth = contract.native(closed, contract.index)
        self.close_against_maker(unit, contract, closed, worth, contract.index)
        self.emit(Event(0, 0, "deleverage_cap", unit.key, contract.key, closed, contract.index, worth))

    def close_against_maker(self, unit: Unit, contract: Contract, lots: int, worth: int, price: float) -> None:
        """Close signed lots of a unit; the maker takes them for the same amount."""
        maker = self.makers[contract.venue]
        unit.shrink(contract, abs(lots))
        unit.credit(contract, worth)
        maker.join(contract, lots, worth, price)
        maker.credit(contract, -worth)

    def emit(self, event: Event) -> None:
        self.world.events.append(event)
        if self.on_event is not None:
            self.on_event(event)

    # --- 3. Prices ---

    def contract_move(self, contract: Contract) -> int:
        shock = self.options["shock"]
        if "driver" in shock:
            return round_away(interpolate(shock["path"], self.now) * contract.beta * 1e12)
        path = self.nearest(shock, contract)
        return round_away(interpolate(path, self.now) * 1e12) if path is not None else 0

    def set_depth(self, contract: Contract) -> None:
        """Set the depth and the displacement that is left of the step before."""
        options = self.options["depth"]
        contract.sold = contract.bought = 0
        if self.step > 0:
            before = contract.shapes[-2] if len(contract.shapes) > 1 else 0
            moved = abs(contract.shapes[-1] - before) / 1e12
            x = max(contract.x * math.exp(-options["collapse"] * moved), contract.floor)
            contract.x = max(1 - (1 - x) * math.exp(-contract.recovery * self.step_seconds), contract.floor)
            decay = self.options["impact"]["decay_per_second"]
            contract.y_base = round_away(contract.y * math.exp(-decay * self.step_seconds))
        contract.depth_micro = round_away(contract.depth * options["multiplier"] * contract.x * 1e6)

    def set_prices(self) -> None:
        """Set displacements, composites, marks and coin prices for a round."""
        for contract in self.contracts.values():
            contract.y = contract.y_base + contract.push(contract.sold) - contract.push(contract.bought)
        for asset in sorted({contract.base for contract in self.contracts.values()}):
            self.z[asset] = self.composite(asset)
        weight = self.options["mark"]["own_book_weight"]
        for contract in self.contracts.values():
            contract.mark_tick = contract.move - round_away(weight * contract.y + (1 - weight) * self.z[contract.base])
            contract.mark = contract.index * math.exp(contract.mark_tick / 1e12)
        for (venue, asset), price in self.start_price.items():
            self.coin_price[venue, asset] = price * math.exp(self.coin_tick(venue, asset) / 1e12)

    def composite(self, asset: str) -> int:
        weighted = 0.0
        for row in sorted(self.book["index_weight"], key=lambda r: r["venue"]):
            if row["base_asset"] == asset:
                first = self.first_contract(asset, row["venue"])
                weighted += float(row["weight"]) * (first.y if first else 0)
        target = round_away(weighted)
        lag = self.options["mark"]["composite_lag_seconds"]
        keep = math.exp(-self.step_seconds / lag) if lag else 0.0
        if lag and self.step == 0:
            keep = 1.0
        return round_away(keep * self.z_end[asset] + (1 - keep) * target)

    def first_contract(self, asset: str, venue: str | None = None, *, linear: bool = False) -> Contract | None:
        """Return the first contract of a base asset, of a venue or of the book."""
        for contract in self.contracts.values():
            if contract.base == asset and venue in {None, contract.venue} and not (linear and contract.inverse):
                return contract
        return None

    def coin_tick(self, venue: str, asset: str) -> int:
        rules, mark = self.rules[venue]["collateral"], self.options["mark"]
        mode = rules["price"] if rules["price"] is not None else mark["collateral_price"]
        switches = rules["switches"] if rules["switches"] is not None else mark["collateral_switches"]
        for seconds, name in switches:
            if seconds <= self.now:
                mode = name
        if mode == "own_book":
            if asset in rules["own_book"]:
                return round_away(interpolate(rules["own_book"][asset], self.now) * 1e12)
            own = self.first_contract(asset, venue, linear=True)
            if own:
                return own.move - own.y
        first, shock = self.first_contract(asset), self.options["shock"]
        if first:
            return first.move
        if "driver" not in shock and asset in shock:
            return round_away(interpolate(shock[asset], self.now) * 1e12)
        return 0

    # --- 4. Margin ---

    def value(self, contract: Contract, native: int) -> int:
        """Return the micro-USD of settle units."""
        return coin_usd(native, self.coin_price[contract.venue, contract.base]) if contract.inverse else native

    def margin(self, unit: Unit) -> Margin:
        equity = settle = unit.cash
        need = 0
        notionals: dict[str, int] = {}
        net = dict(unit.coins)
        for contract, lots, _ in self.legs(unit):
            native = contract.native(lots, contract.mark)
            if contract.inverse:
                net[contract.base] = net.get(contract.base, 0) + native
            else:
                equity += native
                settle += native
            notional = contract.notional(lots)
            notionals[contract.name] = notional
            need += round_away(contract.maintenance(notional))
        ratios = self.rules[unit.venue]["collateral"]["ratio"]
        for asset, amount in net.items():
            if amount == 0:
                continue
            price = self.coin_price[unit.venue, asset]
            ratio = ratios.get(asset, 1) if amount > 0 else 1
            equity += round_away(amount * price * 0.01 * ratio)
            settle += coin_usd(amount, price)
        return Margin(equity, settle, need, notionals)

    # --- 5. Orders ---

    def decide(self) -> tuple[list[Order], list[Unit]]:
        """Return the orders of the round's breaches and the units that the funds take at once."""
        orders: list[Order] = []
        taken: list[Unit] = []
        for unit in self.traders():
            if not unit.legs:
                continue
            margin = self.margin(unit)
            if margin.equity > margin.maintenance:
                continue
            if self.any_halted(unit):
                self.world.seen["halted"] += 1
                continue
            ratio = self.rules[unit.venue]["liquidation"]["backstop_ratio"]
            if ratio is not None and margin.equity < ratio * margin.maintenance:
                taken.append(unit)
            elif self.cooling(unit):
                self.world.seen["cooldown"] += 1
            else:
                orders.extend(self.liquidation(unit, margin))
        return orders, taken

    def any_halted(self, unit: Unit) -> bool:
        return any(contract.halted(self.now) for contract, _, _ in self.legs(unit))

    def cooling(self, unit: Unit) -> bool:
        wait = self.rules[unit.venue]["liquidation"]["cooldown_seconds"]
        return unit.last_partial is not None and self.now < unit.last_partial + wait

    def is_partial(self, unit: Unit, margin: Margin) -> bool:
        rules = self.rules[unit.venue]["liquidation"]
        times = rules["partial_times"]
        return (
            rules["close"] == "partial"
            and margin.notional > rules["partial_above_usd"] * 1e6
            and (times is None or unit.partials < times)
        )

    def liquidation(self, unit: Unit, margin: Margin) -> list[Order]:
        if not self.is_partial(unit, margin):
            return [Order(unit, contract, sign(lots), abs(lots)) for contract, lots, _ in self.legs(unit)]
        fraction = self.fraction(unit, margin)
        return [
            Order(unit, contract, sign(lots), max(1, min(abs(lots), math.ceil(fraction * abs(lots)))), partial=True)
            for contract, lots, _ in self.legs(unit)
        ]

    def fraction(self, unit: Unit, margin: Margin) -> float:
        """Return the least part of the legs whose close restores the maintenance margin, at least min_fraction."""
        rules = self.rules[unit.venue]["liquidation"]
        legs = [(contract, margin.notionals[contract.name]) for contract, _, _ in self.legs(unit)]
        total = margin.notional

        def surplus(part: float) -> float:
            need = 0.0
            for contract, notional in legs:
                need += contract.maintenance((1 - part) * notional)
            return margin.equity - rules["fee_rate"] * part * total - need

        points = {0.0, 1.0}
        for contract, notional in legs:
            inner = [1 - floor * 1e6 / notional for floor, _, _ in contract.tiers if floor > 0 and notional > 0]
            points.update(point for point in inner if 0 < point < 1)
        before, below = 0.0, surplus(0.0)
        if below >= 0:
            return max(float(rules["min_fraction"]), 0.0)
        for point in sorted(points)[1:]:
            above = surplus(point)
            if above >= 0:
                least = before + (point - before) * (-below) / (above - below)
                return max(float(rules["min_fraction"]), least)
            before, below = point, above
        return 1.0

    def rehedges(self, liquidations: list[Order]) -> list[Order]:
        """Return the orders of re-hedges that are due (section 9)."""
        orders: list[Order] = []
        busy = {(order.unit.key, order.contract.key) for order in liquidations}
        for (owner, asset), hedge in sorted(self.world.hedges.items()):
            if hedge.due is None or self.now < hedge.due:
                continue
            hedge.due = None
            naked = self.delta(owner, asset) - hedge.before
            left = abs(naked)
            for contract, unit, lots in self.hedge_legs(owner, asset):
                if sign(lots) != sign(naked):
                    continue
                ref = contract.ref(lots)
                take = min(ref, left)
                left -= take
                closed = abs(lots) * take // ref if ref else 0
                if closed and not contract.halted(self.now) and (unit.key, contract.key) not in busy:
                    orders.append(Order(unit, contract, sign(lots), closed, rehedge=True))
        return orders

    # --- 6. Book fills ---

    def fill(self, orders: list[Order]) -> list[Event]:
        """Execute orders contract by contract, sells before buys; return the fills."""
        fills: list[Event] = []
        for contract in self.contracts.values():
            sides = {
                side: [order for order in orders if order.contract is contract and order.side == side]
                for side in (1, -1)
            }
            for side, group in sides.items():
                if group:
                    fills.extend(self.fill_side(contract, side, group))
        return fills

    def room(self, contract: Contract, side: int) -> int | None:
        """Return by how many ticks the side may still push, None without a limit."""
        bounds = (
            self.options["impact"]["max_displacement"], self.rules[contract.venue]["limits"]["price_band"],
        )  # fmt: skip
        given = [bound for bound in bounds if bound is not None]
        return max(0, round_away(min(given) * 1e12) - side * contract.y) if given else None

    def fill_side(self, contract: Contract, side: int, orders: list[Order]) -> list[Event]:
        before = contract.sold if side == 1 else contract.bought
        wanted = sum(contract.ref(order.lots) for order in orders)
        room = self.room(contract, side)
        short = room is not None and contract.push(before + wanted) - contract.push(before) > room
        fits = contract.largest(before, room) if short and room is not None else 0
        self.world.seen["no room"] += short
        for order in sorted(orders, key=self.order_rank):
            order.filled = order.lots * fits // wanted if short else order.lots
        volume = sum(contract.ref(order.filled) for order in orders)
        x0, x1 = contract.push(before), contract.push(before + volume)
        price = (
            contract.index
            * math.exp((contract.move - contract.y + side * x0) / 1e12)
            * average_factor(contract.law, side, x0 / 1e12, x1 / 1e12)
        )
        if side == 1:
            contract.sold += volume
        else:
            contract.bought += volume
        return [
            self.fill_order(order, price) for order in sorted(orders, key=self.order_rank) if order.filled > 0
        ]  # fmt: skip

    @staticmethod
    def order_rank(order: Order) -> UnitKey:
        return order.unit.key

    def fill_order(self, order: Order, price: float) -> Event:
        unit, contract = order.unit, order.contract
        lots = order.side * order.filled
        worth = contract.native(lots, price)
        self.close_against_maker(unit, contract, lots, worth, price)
        kind = "rehedge" if order.rehedge else "book"
        fill = Event(self.step, self.round, kind, unit.key, contract.key, lots, price, worth)
        if not order.rehedge:
            usd = self.value(contract, worth)
            fill.fee = round_away(self.rules[contract.venue]["liquidation"]["fee_rate"] * abs(usd))
            unit.cash -= fill.fee
            pool = self.contract_pool(contract.venue, contract.name)
            self.funds[pool].cash += fill.fee
            self.pool_round[pool].fees += fill.fee
        return fill

    def unfilled(self, orders: list[Order]) -> list[Unit]:
        """Return the units whose liquidation the book did not take in full and that may not wait."""
        units: dict[UnitKey, Unit] = {}
        for order in orders:
            wait = self.rules[order.unit.venue]["limits"]["unfilled"] == "wait"
            if not order.rehedge and order.filled < order.lots and not wait:
                units[order.unit.key] = order.unit
        return [units[key] for key in sorted(units)]

    def settle_flat(self, fills: list[Event]) -> None:
        """Book the deficit of units that are flat below 0: their coins are sold, the fund pays the rest."""
        by_unit: dict[UnitKey, list[Event]] = defaultdict(list)
        for fill in fills:
            by_unit[fill.unit].append(fill)
        for key in sorted(by_unit):
            unit, own = self.units[key], by_unit[key]
            if unit.legs:
                continue
            equity = self.margin(unit).settle_equity
            if equity >= 0:
                continue
            self.sell_coins(unit)
            unit.cash = 0
            pool = self.unit_pool(unit)
            self.funds[pool].cash += equity
            contracts = [self.contracts[fill.contract] for fill in own if fill.contract is not None]
            refs = [contract.ref(fill.lots) for contract, fill in zip(contracts, own, strict=True)]
            for contract, fill, deficit in zip(contracts, own, split(-equity, refs), strict=True):
                fill.deficit = deficit
                self.parts[pool].append(Part(unit, contract, sign(fill.lots), abs(fill.lots), deficit, fund=False))

    def sell_coins(self, unit: Unit, kept: Mapping[str, int] | None = None) -> None:
        """Send a unit's coins, less what the fund keeps, to the outside; the outside's USD is the caller's to book."""
        for asset in {*unit.coins, *(kept or {})}:
            amount = unit.coins[asset] - (kept or {}).get(asset, 0)
            self.world.sold_coins[asset] += amount
            self.world.seen["coin sale"] += amount > 0
            self.world.sold_usd += coin_usd(amount, self.coin_price[unit.venue, asset]) if amount else 0
        unit.coins.clear()

    # --- 7. Takeover ---

    def realise(self, pool: PoolKey, contract: Contract, amount: int) -> None:
        """Book what a fund's leg realised, in settle units; coins are sold to the outside at once."""
        usd = amount
        if contract.inverse and amount:
            usd = coin_usd(amount, self.coin_price[contract.venue, contract.base])
            fund = self.funds[pool]
            fund.coins[contract.base] -= amount
            fund.cash += usd
            self.world.sold_coins[contract.base] += amount
            self.world.sold_usd += usd
        self.pool_round[pool].realised += usd

    def take_over(self, units: Mapping[UnitKey, tuple[Unit, str]]) -> None:
        """Move units to their funds at the marks."""
        lots: dict[PoolKey, dict[str, list[int]]] = defaultdict(lambda: defaultdict(lambda: [0, 0]))
        for key in sorted(units):
            unit, kind = units[key]
            pool = self.unit_pool(unit)
            margin = self.margin(unit)
            self.book_taken(unit, kind, pool, margin)
            for contract, held, _ in self.legs(unit):
                lots[pool][contract.name][0] += held
                lots[pool][contract.name][1] += contract.native(held, contract.mark)
            self.empty(unit, pool, margin)
        for pool in sorted(lots):
            for name in sorted(lots[pool]):
                contract = self.contracts[pool[0], name]
                held, worth = lots[pool][name]
                self.world.seen["netting"] += held * self.funds[pool].legs.get(name, (0, 0))[0] < 0
                changed = self.funds[pool].join(contract, held, worth, contract.mark)
                # What opposite inventory realises; nothing where it only grew.
                self.realise(pool, contract, changed - worth)

    def book_taken(self, unit: Unit, kind: str, pool: PoolKey, margin: Margin) -> None:
        """Write the events and the deficit of a takeover."""
        legs = self.legs(unit)
        shares = split(max(0, -margin.settle_equity), [margin.notionals[contract.name] for contract, _, _ in legs])
        for (contract, lots, _), deficit in zip(legs, shares, strict=True):
            worth = contract.native(lots, contract.mark)
            event = Event(
                self.step, self.round, kind, unit.key, contract.key, lots, contract.mark, worth, deficit=deficit
            )
            self.emit(event)
            self.count_forced(event)
            if margin.settle_equity < 0:
                self.parts[pool].append(Part(unit, contract, sign(lots), abs(lots), deficit, fund=True))
        self.pool_round[pool].gains += max(0, margin.settle_equity)

    def empty(self, unit: Unit, pool: PoolKey, margin: Margin) -> None:
        """Hand a unit's balances to the fund: USD in full, of the coins only what its inverse legs stand for."""
        fund = self.funds[pool]
        kept: dict[str, int] = defaultdict(int)
        linear = 0
        for contract, lots, _ in self.legs(unit):
            worth = contract.native(lots, contract.mark)
            if contract.inverse:
                fund.coins[contract.base] -= worth
                kept[contract.base] -= worth
            else:
                linear += worth
        fund.cash += margin.settle_equity - linear
        self.sell_coins(unit, kept)
        unit.cash = 0
        unit.legs.clear()

    def wallet(self, pool: PoolKey) -> int:
        fund = self.funds[pool]
        return fund.cash + sum(basis for contract, _, basis in self.legs(fund) if not contract.inverse)

    def count_forced(self, event: Event) -> None:
        """Count a liquidation or re-hedge in the contract's totals."""
        assert event.contract is not None
        totals, ref = self.world.contracts[event.contract], self.contracts[event.contract].ref(event.lots)
        setattr(totals, event.kind, getattr(totals, event.kind) + ref)
        totals.fee += event.fee
        totals.deficit += event.deficit
        if event.kind != "rehedge":
            self.forced[event.contract] += ref

    # --- 8. Auto-deleveraging ---

    def fund_equity(self, pool: PoolKey) -> int:
        """Equity of a fund, with what its inverse legs realised in coins."""
        return self.margin(self.funds[pool]).settle_equity

    def trigger_of(self, pool: PoolKey) -> str:
        """Return what fires deleveraging where the scenario names no trigger: what the pool is says it."""
        rows = [row for row in self.book["fund"] if (row["venue"], row["pool"]) == pool]
        mode = self.rules[pool[0]]["fund"]["mode"] or (rows[0]["mode"] if rows else "cash_pool")
        return {"cash_pool": "balance", "vault": "vault_equity"}[mode]

    def asks(self, pool: PoolKey) -> list[Ask]:
        """Return what a pool wants to be rid of after this round's deficits."""
        rules, fund = self.rules[pool[0]]["adl"], self.funds[pool]
        trigger = rules["trigger"] or self.trigger_of(pool)
        deficit = sum(part.deficit for part in self.parts[pool])
        short = max(0, -self.wallet(pool))
        if rules["policy"] == "none":
            return []
        equity, legs = self.fund_equity(pool), self.legs(fund)
        called = False
        if legs and trigger == "drawdown" and equity <= (1 - rules["drawdown"]) * self.peaks[pool]:
            called, short = True, max(deficit, -equity)
        need = sum(round_away(contract.maintenance(contract.notional(lots))) for contract, lots, _ in legs)
        if legs and trigger == "vault_equity" and equity <= need:
            called, short = True, max(0, -equity)
        if called:
            shares = split(short, [contract.notional(lots) for contract, lots, _ in legs])
            missing = self.called[pool] = max(0, -equity)
            return [
                Ask(
                    pool, contract, sign(lots), abs(lots), share, fund=True, trigger=trigger,
                    needed=0 if short == 0 else -(-abs(lots) * missing // short),
                )
                for (contract, lots, _), share in zip(legs, shares, strict=True)
            ]  # fmt: skip
        return self.asks_of_parts(pool, short) if short > 0 else []

    def asks_of_parts(self, pool: PoolKey, short: int) -> list[Ask]:
        parts = sorted(
            (part for part in self.parts[pool] if part.deficit > 0), key=lambda p: (p.unit.key, p.contract.key)
        )
        found = []
        for part, share in zip(parts, split(short, [part.deficit for part in parts]), strict=True):
            lots = min(part.lots, -(-part.lots * share // part.deficit))
            found.append(Ask(pool, part.contract, part.side, lots, share, part.fund, needed=lots))
        return found

    def plan(self, contract: Contract, side: int, asks: list[Ask]) -> Plan | None:
        """Choose who gives what in a contract; `side` is that of the lots that the sources want to be rid of."""
        rules = self.rules[contract.venue]["adl"]
        funds: dict[PoolKey, int] = {}
        shorts: dict[PoolKey, int] = {}
        for pool in sorted({ask.pool for ask in asks}):
            own = [ask for ask in asks if ask.pool == pool]
            held = max(0, side * self.funds[pool].legs.get(contract.name, (0, 0))[0])
            funds[pool] = min(held, sum(ask.lots for ask in own if ask.fund))
            shorts[pool] = sum(ask.short for ask in own) + self.loss_on_lots(contract, side, pool, funds[pool], own)
            if rules["price"] == "mark":
                shorts[pool] = 0
        maker = sum(ask.lots for ask in asks if not ask.fund)
        required, short = sum(funds.values()) + maker, sum(shorts.values())
        if required == 0:
            return None
        needed = sum(ask.needed for ask in asks if not ask.fund) + sum(
            min(max(0, side * self.funds[pool].legs.get(contract.name, (0, 0))[0]),
                sum(ask.needed for ask in asks if ask.pool == pool and ask.fund))
            for pool in funds
        )  # fmt: skip
        candidates = winners = self.candidates(contract, -side, required, short)
        for winner in winners:
            winner.score = score_of(rules["score"], winner, contract, -side)
        if rules["policy"] == "queue":
            winners.sort(key=lambda w: -w.score)
        slices(rules["policy"], required, winners)
        winners = [winner for winner in winners if winner.slice > 0]
        if not winners:
            return None
        if rules["policy"] != "queue":
            winners.sort(key=lambda w: -w.slice)
        whole = sum(winner.slice for winner in winners)
        collected, running = short * whole // required, 0
        for winner in winners:
            after = running + winner.slice
            winner.haircut = collected * after // whole - collected * running // whole
            running = after
        return Plan(contract, side, funds, maker, shorts, winners, collected, needed, candidates)

    def loss_on_lots(self, contract: Contract, side: int, pool: PoolKey, lots: int, asks: list[Ask]) -> int:
        """Return what a fund would lose by giving lots at the mark; a called inventory has that in its shortage."""
        if lots == 0 or any(ask.trigger != "balance" for ask in asks):
            return 0
        held, basis = self.funds[pool].legs[contract.name]
        worth = contract.native(side * lots, contract.mark)
        return max(0, self.value(contract, cut(basis, lots, abs(held)) - worth))

    def candidates(self, contract: Contract, side: int, required: int, short: int) -> list[Candidate]:
        """Return the winners with a leg of `side`, in order of units."""
        found = []
        for unit in self.traders():
            lots, basis = unit.legs.get(contract.name, (0, 0)) if unit.venue == contract.venue else (0, 0)
            if sign(lots) != side:
                continue
            native = contract.native(lots, contract.mark)
            profit = self.value(contract, native - basis)
            if profit >= 0 and profit * required >= short * abs(lots):
                usd_basis = self.value(contract, basis)
                found.append(Candidate(unit, abs(lots), profit, basis, native, usd_basis, self.margin(unit)))
        return found

    def deleverage(self, plan: Plan) -> None:
        """Close the winners' slices at the mark and let the sources give the lots."""
        contract, total = plan.contract, 0
        policy = self.rules[contract.venue]["adl"]["policy"]
        totals = self.world.contracts[contract.key]
        for rank, winner in enumerate(plan.winners, start=1):
            lots = -plan.side * winner.slice
            worth = contract.native(lots, contract.mark)
            total += worth
            leaves = winner.unit.shrink(contract, winner.slice)
            winner.unit.credit(contract, worth)
            winner.unit.cash -= winner.haircut
            ref = contract.ref(lots)
            self.deleveraged[contract.key] += ref
            totals.adl += ref
            totals.haircut += winner.haircut
            self.emit(
                Event(
                    self.step, self.round, "adl", winner.unit.key, contract.key, lots,
                    self.transfer_price(contract, lots, winner.haircut), worth, haircut=winner.haircut, policy=policy,
                    rank=rank, score=winner.score, profit=self.value(contract, worth - leaves),
                )
            )  # fmt: skip
        self.judge(plan)
        self.give(plan, sum(winner.slice for winner in plan.winners), -total)
        sharing = [pool for pool in plan.shorts if plan.shorts[pool] > 0]
        for pool, part in zip(sharing, split(plan.collected, [plan.shorts[pool] for pool in sharing]), strict=True):
            self.funds[pool].cash += part
            self.pool_round[pool].haircuts += part
            self.brought[pool][contract.key] += part

    def judge(self, plan: Plan) -> None:
        """Count what was closed beyond need, and winners who end below somebody who had less."""
        totals, closed = self.world.contracts[plan.contract.key], sum(winner.slice for winner in plan.winners)
        totals.overshoot += plan.contract.ref(max(0, closed - plan.needed))
        self.world.seen["overshoot of lots"] += closed > plan.needed
        for winner in plan.candidates:
            below = [other.profit - other.haircut for other in plan.candidates if other.profit < winner.profit]
            gap = max(below, default=0) - (winner.profit - winner.haircut)
            if winner.haircut > 0 and below and gap > 2 * -(-plan.collected // closed):
                self.world.seen["inversion"] += 1
                totals.inversions += 1
                totals.inverted += gap

    @staticmethod
    def transfer_price(contract: Contract, lots: int, haircut: int) -> float:
        """Return the mark, with the haircut per base unit against the winner."""
        base = abs(lots) * contract.lot * (contract.value / contract.mark if contract.inverse else 1.0)
        return contract.mark - sign(lots) * (haircut / 1e6 / base)

    def give(self, plan: Plan, lots: int, received: int) -> None:
        """Take `lots` from the funds in order, then from the maker, and pay them for it."""
        contract = plan.contract
        given: list[tuple[PoolKey | None, int]] = []
        left = lots
        for pool, asked in [*plan.funds.items(), (None, plan.maker)]:
            part = min(left, asked)
            left -= part
            if part:
                given.append((pool, part))
        for number, (source, part) in enumerate(given, start=1):
            last = number == len(given)
            worth = received if last else contract.native(plan.side * part, contract.mark)
            received -= worth
            if source is None:
                maker = self.makers[contract.venue]
                maker.join(contract, -plan.side * part, -worth, contract.mark)
                maker.credit(contract, worth)
                continue
            fund = self.funds[source]
            realised = worth - fund.shrink(contract, part)
            fund.credit(contract, worth)
            self.realise(source, contract, realised)

    def deleverage_all(self) -> bool:
        """Deleverage every contract and side; all plans are made before the first lot moves."""
        groups: dict[tuple[ContractKey, int], list[Ask]] = defaultdict(list)
        for pool in self.funds:
            for ask in self.asks(pool):
                groups[ask.contract.key, ask.side].append(ask)
        order = sorted(groups, key=lambda group: (group[0], -group[1]))
        plans = [self.plan(self.contracts[key], side, groups[key, side]) for key, side in order]
        for plan in plans:
            if plan is not None:
                self.deleverage(plan)
                self.world.seen["several pools"] += len(plan.funds) > 1
                self.world.seen["maker gives"] += plan.maker > 0
                for trigger in {ask.trigger for ask in groups[plan.contract.key, plan.side]}:
                    self.world.seen[f"trigger {trigger}"] += 1
        return any(plan is not None for plan in plans)

    def settle_pools(self) -> None:
        """Raise empty wallets to 0 and book who bore the round's losses."""
        for pool, record in self.pool_round.items():
            record.deficits = sum(part.deficit for part in self.parts[pool])
            left = self.wallet(pool)
            if pool in self.called:
                left = record.haircuts - self.called[pool]
            record.overshoot = max(0, min(record.haircuts, left))
            given = sorted(self.brought[pool])
            shares = split(record.overshoot, [self.brought[pool][key] for key in given])
            for key, share in zip(given, shares, strict=True):
                self.world.contracts[key].haircut_overshoot += share
            record.socialised = max(0, -self.wallet(pool))
            self.funds[pool].cash += record.socialised
            loss = record.deficits + max(0, -record.realised)
            record.fund_paid = loss - record.haircuts - record.socialised
            step = self.world.pools[*pool, self.step]
            for name in ("deficits", "fund_paid", "haircuts", "socialised", "gains", "fees", "realised", "overshoot"):
                setattr(step, name, getattr(step, name) + getattr(record, name))
            self.world.seen["overshoot of haircuts"] += record.overshoot > 0

    # --- 9. Step, rounds, owners ---

    def play_round(self) -> bool:
        """Play one round; return whether anything happened."""
        self.set_prices()
        self.pool_round = {pool: PoolStep() for pool in self.funds}
        self.parts = {pool: [] for pool in self.funds}
        self.called = {}
        self.brought = {pool: Counter() for pool in self.funds}
        orders, backstop = self.decide()
        if self.round == 1:
            orders += self.rehedges(orders)
        fills = self.fill(orders)
        self.count_partials(orders)
        taken = {unit.key: (unit, "backstop") for unit in backstop if unit.legs}
        taken |= {unit.key: (unit, "unfilled") for unit in self.unfilled(orders) if unit.legs}
        self.settle_flat(fills)
        for fill in fills:
            self.emit(fill)
            self.count_forced(fill)
        self.take_over(taken)
        deleveraged = self.deleverage_all()
        self.settle_pools()
        return bool(fills or taken or deleveraged)

    def count_partials(self, orders: list[Order]) -> None:
        """Count one partial close for each unit of which a partial order was filled, wholly or in part."""
        for key in {order.unit.key for order in orders if order.partial and order.filled > 0}:
            self.units[key].partials += 1
            self.world.seen["partial"] += 1
            self.units[key].last_partial = self.now

    def play_step(self) -> None:
        self.now = self.step * self.step_seconds
        for contract in self.contracts.values():
            contract.move = self.contract_move(contract)
        self.arrive()
        for contract in self.contracts.values():
            self.set_depth(contract)
        self.set_prices()
        for contract in self.contracts.values():
            self.halt(contract)
        for pool in self.funds:
            self.world.pools[*pool, self.step] = PoolStep()
        self.round = 1
        while self.play_round():
            self.round += 1
            if self.round > self.options["clock"]["max_rounds"]:
                raise RuntimeError(f"step {self.step} does not come to rest")
        self.world.rounds.append(self.round)
        self.end_step()

    def halt(self, contract: Contract) -> None:
        breaker = self.rules[contract.venue]["limits"]["circuit_breaker"]
        if breaker is None or contract.halted(self.now):
            return
        then = self.step - max(1, round_away(breaker["window_seconds"] / self.step_seconds))
        tick = contract.mark_ticks[then] if then >= 0 else 0
        if abs(contract.mark_tick - tick) >= round_away(breaker["move"] * 1e12):
            contract.halted_until = self.now + breaker["halt_seconds"]
            self.world.contracts[contract.key].halts += 1

    def end_step(self) -> None:
        """Close a step: histories, funds, owners."""
        for contract in self.contracts.values():
            contract.shapes.append(contract.move - contract.y)
            contract.mark_ticks.append(contract.mark_tick)
            self.world.path[*contract.key, self.step] = self.path_row(contract)
        self.z_end.update(self.z)
        for pool in self.funds:
            self.world.pools[*pool, self.step].wallet = self.wallet(pool)
            self.peaks[pool] = max(self.peaks[pool], self.fund_equity(pool))
        self.end_hedges()
        self.top_up()
        self.world.totals.append(self.total())
        self.world.lot_sums.append({key: self.lot_sum(contract) for key, contract in self.contracts.items()})

    def path_row(self, contract: Contract) -> PathRow:
        held = sum(max(0, unit.legs.get(contract.name, (0, 0))[0]) for unit in self.at(contract.venue))
        return PathRow(
            index=contract.index * math.exp(contract.move / 1e12),
            book=contract.index * math.exp((contract.move - contract.y) / 1e12),
            mark=contract.mark, move=contract.move, y=contract.y, mark_tick=contract.mark_tick,
            depth=contract.depth_micro, liquidated=self.forced[contract.key], adl=self.deleveraged[contract.key],
            open_interest=contract.ref(held),
        )  # fmt: skip

    def hedge_legs(self, owner: str, asset: str) -> list[tuple[Contract, Unit, int]]:
        """Return the legs of an owner's trader units in an asset, in order of contract and unit."""
        found = [
            (contract, unit, lots)
            for unit in self.traders()
            if unit.owner == owner
            for contract, lots, _ in self.legs(unit)
            if contract.base == asset
        ]
        return sorted(found, key=lambda leg: (leg[0].key, leg[1].key))

    def delta(self, owner: str, asset: str) -> int:
        return sum(sign(lots) * contract.ref(lots) for contract, _, lots in self.hedge_legs(owner, asset))

    def load_hedges(self) -> None:
        pairs = {(unit.owner, contract.base) for unit in self.traders() for contract, _, _ in self.legs(unit)}
        for owner, asset in sorted(pairs):
            if {sign(lots) for _, _, lots in self.hedge_legs(owner, asset)} == {1, -1}:
                self.world.hedges[owner, asset] = Hedge(before=self.delta(owner, asset))

    def end_hedges(self) -> None:
        wait = self.options["owners"]["rehedge_seconds"]
        last = self.step == self.options["clock"]["steps"]
        for (owner, asset), hedge in self.world.hedges.items():
            hedge.after = self.delta(owner, asset)
            naked = hedge.after - hedge.before
            hedge.naked.append(naked)
            if not last:
                hedge.naked_usd_seconds += abs(naked) * self.step_seconds
            if wait is not None and naked and hedge.due is None:
                hedge.due = self.now + wait

    def top_up(self) -> None:
        """Let owners send cash to units close to their maintenance margin."""
        options = self.options["owners"]
        below = options["top_up_below"]
        if below is None:
            return
        goal = options["top_up_to"] if options["top_up_to"] is not None else 2 * below
        margins = {unit.key: self.margin(unit) for unit in self.traders()}
        waiting = {transfer.target.key for transfer in self.transfers}
        asked: dict[UnitKey, tuple[Unit, int, int]] = {}
        for unit in self.traders():
            margin = margins[unit.key]
            need = math.ceil(goal * margin.maintenance - margin.equity)
            if not unit.legs or margin.equity >= below * margin.maintenance or unit.key in waiting or need <= 0:
                continue
            source, free = self.richest(unit, goal, margins)
            if source is not None and source.key not in asked:
                asked[source.key] = (unit, need, free)
        for key in sorted(asked):
            target, need, free = asked[key]
            self.send(self.units[key], target, min(need, free))

    def richest(self, target: Unit, goal: float, margins: Mapping[UnitKey, Margin]) -> tuple[Unit | None, int]:
        """Return the owner's other unit with the most to spare, and how much that is."""
        best, most = None, 0
        for unit in self.traders():
            if unit.owner != target.owner or unit is target:
                continue
            free = math.floor(margins[unit.key].equity - goal * margins[unit.key].maintenance)
            if free > most:
                best, most = unit, free
        return best, most

    def send(self, source: Unit, target: Unit, amount: int) -> None:
        source.cash -= amount
        self.transfers.append(Transfer(target, amount, self.now + self.delay(source.venue, target.venue)))
        self.emit(Event(self.step, self.round, "transfer_out", source.key, None, native=amount))

    def delay(self, source: str, target: str) -> float:
        options = self.options["owners"]
        seconds = options["transfer_seconds"]
        if not isinstance(seconds, Mapping):
            seconds = {"default": seconds}
        wait = seconds.get(f"{source}>{target}", seconds.get("default", 0))
        for slow in options["slowdowns"]:
            if slow["from_seconds"] <= self.now < slow["to_seconds"] and slow["venue"] in {source, target, "all"}:
                wait += slow["extra_seconds"]
        return float(wait)

    def arrive(self) -> None:
        on_the_way = []
        for transfer in self.transfers:
            if self.now < transfer.arrives:
                on_the_way.append(transfer)
                continue
            transfer.target.cash += transfer.amount
            late = not transfer.target.legs
            self.world.transfers_late += late
            self.emit(
                Event(self.step, 0, "transfer_in", transfer.target.key, None, native=transfer.amount, late=late)
            )  # fmt: skip
        self.transfers = on_the_way

    # --- The whole ---

    def total(self) -> dict[str, int]:
        """Return each asset's sum over units and transit, less what came from the outside."""
        sums: dict[str, int] = defaultdict(int)
        for unit in self.units.values():
            sums["USD"] += unit.cash
            for asset, amount in unit.coins.items():
                sums[asset] += amount
        sums["USD"] += sum(transfer.amount for transfer in self.transfers)
        sums["USD"] -= self.world.sold_usd + sum(record.socialised for record in self.world.pools.values())
        for asset, amount in self.world.sold_coins.items():
            sums[asset] += amount
        return {asset: amount for asset, amount in sorted(sums.items()) if amount or asset == "USD"}

    def run(self) -> World:
        self.load()
        for self.step in range(self.options["clock"]["steps"] + 1):  # noqa: B020 - the step is state that others read
            self.play_step()
        self.world.in_transit = sum(transfer.amount for transfer in self.transfers)
        for key, unit in self.units.items():
            coins = {asset: amount for asset, amount in sorted(unit.coins.items()) if amount}
            self.world.units[key] = (unit.cash, coins, dict(sorted(unit.legs.items())))
        return self.world


def simulate(book: Book, scenario: Mapping[str, Any], *, on_event: Callable[[Event], None] | None = None) -> World:
    """Replay a scenario on a book and return everything that it leaves behind."""
    return Replay(book, scenario, on_event).run()
