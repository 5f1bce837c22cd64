"""A slow reference of the one-sided cascade: plain Python, 60-digit decimals, one loop over rounds.

It never computes a threshold to decide who falls: in each round it values every account at the current book price and
asks whether equity has fallen to the maintenance margin. All that breach are sold together, which moves the price.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from decimal import ROUND_HALF_UP, Decimal, localcontext
from typing import Any

from replay_books import Book

MICRO = Decimal(10) ** 6
DIGITS = 60


def _d(value: Any) -> Decimal:
    return Decimal(str(value))


def _micro(usd: Decimal) -> int:
    return int((usd * MICRO).quantize(Decimal(1), rounding=ROUND_HALF_UP))


@dataclass
class Holding:
    account: str
    kind: str
    quantity: Decimal
    entry: Decimal
    collateral: Decimal
    cash_micro: int = 0
    is_alive: bool = True
    fee_micro: int = 0
    deficit_micro: int = 0
    distance: Decimal = Decimal(0)


@dataclass
class Market:
    """One venue and contract: inputs, then outcome."""

    venue: str
    contract: str
    index: Decimal
    move: Decimal
    depth: Decimal
    tiers: list[tuple[Decimal, Decimal, Decimal]]
    holdings: list[Holding] = field(default_factory=list)
    rounds: int = 0
    sizes: list[Decimal] = field(default_factory=list)
    price: Decimal = Decimal(0)
    displacement: Decimal = Decimal(0)
    maker_micro: int = 0
    fund_paid_micro: int = 0

    def margin(self, notional: Decimal) -> Decimal:
        """Maintenance margin of a notional: the last tier whose floor it reaches."""
        rate, amount = next((r, a) for floor, r, a in reversed(self.tiers) if notional >= floor)
        return notional * rate - amount

    def breaches(self, holding: Holding, price: Decimal) -> bool:
        equity = holding.collateral + holding.quantity * (price - holding.entry)
        return equity <= self.margin(abs(holding.quantity) * price)

    def distance(self, holding: Holding) -> Decimal:
        """Log distance to the liquidation price, by bisection on the breach itself."""
        side = 1 if holding.quantity > 0 else -1
        near, far = Decimal(-8), Decimal(8)
        for _ in range(120):
            middle = (near + far) / 2
            if self.breaches(holding, self.index * (-side * middle).exp()):
                far = middle
            else:
                near = middle
        return far


def _displacement(law: str, volume: Decimal, depth: Decimal, k: Decimal) -> Decimal:
    return volume / depth if law == "linear" else k * volume.sqrt()


def _average(law: str, side: int, low: Decimal, high: Decimal) -> Decimal:
    """Average of exp(-side * y) over the volume, from the antiderivatives (60 digits forgive their cancellation)."""
    if law == "linear":
        return ((-side * low).exp() - (-side * high).exp()) / (side * (high - low))
    return 2 * ((side * low + 1) * (-side * low).exp() - (side * high + 1) * (-side * high).exp()) / (high**2 - low**2)


def _cascade(market: Market, law: str, k: Decimal, fee_rate: Decimal) -> None:
    shocked = market.index * market.move.exp()
    volume, side = Decimal(0), 0
    market.price = shocked
    while True:
        fallen = [h for h in market.holdings if h.is_alive and h.kind != "maker" and market.breaches(h, market.price)]
        if not fallen:
            return
        sides = {1 if h.quantity > 0 else -1 for h in fallen}
        assert len(sides) == 1, "the reference is one-sided"
        assert side in (0, *sides)
        side = sides.pop()
        size = sum(abs(h.quantity) * market.index for h in fallen)
        low, high = (_displacement(law, v, market.depth, k) for v in (volume, volume + size))
        average = shocked * _average(law, side, low, high)
        for holding in fallen:
            proceeds = _micro(abs(holding.quantity) * average)
            holding.fee_micro = int((fee_rate * proceeds).quantize(Decimal(1), rounding=ROUND_HALF_UP))
            holding.cash_micro += side * proceeds - holding.fee_micro
            holding.deficit_micro = max(0, -holding.cash_micro)
            market.maker_micro -= side * proceeds
            holding.is_alive = False
        volume += size
        market.sizes.append(size)
        market.rounds += 1
        market.displacement = high
        market.price = shocked * (-side * high).exp()


def _settle(book: Book, markets: list[Market]) -> dict[tuple[str, str], int]:
    """Pay deficits from the funds; return the balances left."""
    balances: dict[tuple[str, str], int] = {}
    for row in book.rows["fund"]:
        balances[row["venue"], row["pool"]] = _micro(_d(row["balance"]))
    claims: dict[tuple[str, str], dict[Decimal, dict[int, int]]] = defaultdict(lambda: defaultdict(dict))
    for number, market in enumerate(markets):
        rows = [row for row in book.rows["fund"] if row["venue"] == market.venue]
        own = [row["pool"] for row in rows if row["contract"] == market.contract]
        wide = [row["pool"] for row in rows if row["contract"] is None]
        pool = (market.venue, (own or wide or ["(none)"])[0])
        balances[pool] = balances.get(pool, 0) + sum(h.fee_micro for h in market.holdings)
        for holding in market.holdings:
            if holding.deficit_micro:
                tied = claims[pool][market.distance(holding).quantize(Decimal("1e-12"))]
                tied[number] = tied.get(number, 0) + holding.deficit_micro
    for pool, by_distance in claims.items():
        for distance in sorted(by_distance):
            tied = by_distance[distance]
            total = sum(tied.values())
            paid = min(total, balances[pool])
            shares = {number: owed * paid // total for number, owed in tied.items()}
            for number in sorted(tied, key=lambda n: (-(tied[n] * paid % total), n))[: paid - sum(shares.values())]:
                shares[number] += 1
            for number, share in shares.items():
                markets[number].fund_paid_micro += share
            balances[pool] -= paid
    return balances


def simulate(
    book: Book, move: float, *, law: str = "linear", k: float = 0.0, fee_rate: float = 0.0
) -> tuple[list[Market], dict[tuple[str, str], int]]:
    """Return the markets in the order of (venue, contract) and the fund balances left (micro-USD)."""
    with localcontext() as context:
        context.prec = DIGITS
        markets = []
        for row in sorted(book.rows["contract"], key=lambda r: (r["venue"], r["contract"])):
            key = (row["venue"], row["contract"])
            tiers = sorted(
                (_d(t["notional_floor"]), _d(t["maintenance_rate"]), _d(t["maintenance_amount"]))
                for t in book.rows["margin_tier"] if (t["venue"], t["contract"]) == key
            )  # fmt: skip
            depth = next(_d(d["depth"]) for d in book.rows["depth"] if (d["venue"], d["contract"]) == key)
            market = Market(*key, _d(row["index_price"]), _d(move) * _d(row["beta"]), depth, tiers)
            kinds = {a["account_id"]: a["kind"] for a in book.rows["account"]}
            for p in book.rows["position"]:
                if (p["venue"], p["contract"]) != key or not p["quantity"]:
                    continue
                kind = kinds[p["account_id"]]
                collateral = sum(
                    (_d(c["amount"]) for c in book.rows["collateral"]
                     if c["account_id"] == p["account_id"] and c["contract"] in (None, p["contract"])),
                    Decimal(0),
                ) if kind != "maker" else Decimal(0)  # fmt: skip
                quantity, entry = _d(p["quantity"]), _d(p["entry_price"])
                market.holdings.append(
                    Holding(
                        p["account_id"], kind, quantity, entry, collateral,
                        _micro(collateral) - int((quantity * entry * MICRO).to_integral_value()),
                    )
                )  # fmt: skip
            markets.append(market)
            _cascade(market, law, _d(k), _d(fee_rate))
        return markets, _settle(book, markets)
