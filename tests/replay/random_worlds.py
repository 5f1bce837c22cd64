"""Small random books and scenarios with every feature of the replay in changing mixes.

Accounts stand close to their maintenance margin, books are thin and funds small, so that something happens in most
worlds. Every book keeps the book contract: positions are multiples of the lot, collateral of an isolated account names
its contract, weights sum to 1, tiers are continuous, and a contract that is not balanced has a maker on its venue.
"""

from __future__ import annotations

import random
from typing import Any

from replay_books import Book

VENUES = ("alpha", "beta", "gamma")
ASSETS: dict[str, tuple[str, float]] = {"BTC": ("major", 100.0), "ETH": ("mid", 10.0), "DOGE": ("tail", 0.5)}
STAKED, SYNTHETIC = "STK", "USDE"  # coins that no contract is based on; the second trades at 1 and may have a path
SPLITS = {1: ((1.0,),), 2: ((0.5, 0.5), (0.6, 0.4)), 3: ((0.5, 0.3, 0.2), (0.5, 0.25, 0.25))}
POLICIES = ("queue", "queue", "pro_rata", "capped_pro_rata", "risk_aware", "none")
SCORES = ("profit_leverage", "binance", "bitget", "hyperliquid")


def random_world(seed: int) -> tuple[Book, dict[str, Any]]:
    """Return a book and a scenario; the same for the same seed."""
    builder = WorldBuilder(seed)
    builder.build_book()
    return builder.book, builder.fitting(builder.scenario())


class WorldBuilder:
    """Draws one world."""

    def __init__(self, seed: int) -> None:
        self.draw = random.Random(seed)  # noqa: S311 - a test world, not a secret
        self.seed = seed
        self.book = Book()
        self.contracts: list[dict[str, Any]] = []
        self.rates: dict[tuple[str, str], float] = {}
        self.lots: dict[tuple[str, str], int] = {}
        self.gross: dict[tuple[str, str], float] = {}
        self.falls = self.draw.random() < 0.7
        self.venues = list(VENUES[: self.draw.choice((1, 1, 2, 2, 3))])
        self.makers = {venue: self.draw.random() < 0.8 for venue in self.venues}
        # Isolated books are the simplest and cross books the richest; most worlds hold both.
        self.cross_share = self.draw.choice((0.0, 0.5, 0.7, 1.0))
        self.long_share = self.draw.choice((0.3, 0.5, 0.7, 0.85))
        self.owners = [f"owner{number}" for number in range(self.draw.choice((3, 8, 40)))]

    def maybe(self, chance: float) -> bool:
        return self.draw.random() < chance

    def number(self, low: float, high: float, digits: int = 4) -> float:
        return round(self.draw.uniform(low, high), digits)

    # --- The book ---

    def build_book(self) -> None:
        self.add_contracts()
        for number in range(self.draw.randint(5, 30)):
            self.add_account(f"a{number:02d}", self.draw.choice(self.venues))
        if self.maybe(0.6):
            self.add_hedge()
        if self.maybe(0.3):
            self.add_inverse_winner()
        for venue in self.venues:
            self.close_venue(venue)
        for contract in self.contracts:
            self.add_depth(contract)
        self.add_funds()
        self.add_weights()

    def add_contracts(self) -> None:
        linear_only = self.maybe(0.4)
        count = max(len(self.venues), self.draw.randint(1, 4))
        for number in range(count):
            venue = self.venues[number % len(self.venues)]
            base = self.draw.choice(("BTC", "BTC", "ETH", "DOGE"))
            inverse = not linear_only and self.maybe(0.35)
            name = f"{base}USD{number}" if inverse else f"{base}USDT{number}"
            self.add_contract(venue, name, base, inverse=inverse)

    def add_contract(self, venue: str, name: str, base: str, *, inverse: bool) -> None:
        tier, index = ASSETS[base]
        lot = 1.0 if inverse else {"BTC": 0.001, "ETH": 0.05, "DOGE": 1.0}[base]
        row = self.book.add(
            "contract", venue=venue, contract=name, base_asset=base, contract_type="inverse" if inverse else "linear",
            contract_value=10.0 if inverse else None, tier=tier, lot_size=lot,
            index_price=round(index * self.number(0.99, 1.01), 4), beta=self.number(0.8, 1.6, 2),
        )  # fmt: skip
        self.contracts.append(row)
        self.lots[venue, name] = 0
        self.gross[venue, name] = 0.0
        self.add_tiers(venue, name)

    def add_tiers(self, venue: str, name: str) -> None:
        """Add tiers whose margin is continuous at the floors."""
        floors = [0.0, *sorted(self.draw.sample((2000.0, 5000.0, 12000.0, 30000.0), self.draw.randint(0, 3)))]
        rates = [round(self.number(0.005, 0.02, 3) + 0.015 * step, 3) for step in range(len(floors))]
        if self.maybe(0.1):
            floors, rates = [0.0], [0.0]
        amount = 0.0
        for step, (floor, rate) in enumerate(zip(floors, sorted(rates), strict=True)):
            if step:
                amount = round(amount + floor * (rate - sorted(rates)[step - 1]), 6)
            self.book.add(
                "margin_tier", venue=venue, contract=name, notional_floor=floor,
                notional_cap=floors[step + 1] if step + 1 < len(floors) else None, maintenance_rate=rate,
                maintenance_amount=amount,
            )  # fmt: skip
        self.rates[venue, name] = max(rates)

    def add_account(self, name: str, venue: str) -> None:
        """Add a trader with one to three legs."""
        cross = self.maybe(self.cross_share)
        here = [contract for contract in self.contracts if contract["venue"] == venue]
        chosen = self.draw.sample(here, self.draw.randint(1, min(3, len(here))))
        self.book.add(
            "account", account_id=name, owner_id=self.draw.choice(self.owners), venue=venue,
            kind="vault" if self.maybe(0.1) else "trader", margin_mode="cross" if cross else "isolated",
        )  # fmt: skip
        needs = []
        for contract in chosen:
            side = 1 if self.maybe(self.long_share) else -1
            needs.append(self.add_position(name, contract, side, self.draw.choice((800, 3000, 9000, 20000))))
        if cross:
            self.add_cross_collateral(name, sum(needs), chosen)
        else:
            for contract, need in zip(chosen, needs, strict=True):
                self.add_isolated_collateral(name, contract, need)

    def add_position(self, name: str, contract: dict[str, Any], side: int, usd: float, edge: float = 0.1) -> float:
        """Add a leg and return the USD that its owner needs to stand just above the maintenance margin."""
        key, index = (contract["venue"], contract["contract"]), contract["index_price"]
        inverse = contract["contract_type"] == "inverse"
        usd = usd * self.number(0.5, 1.5)
        unit_usd = contract["contract_value"] if inverse else index * contract["lot_size"]
        lots = side * max(1, round(usd / unit_usd))
        entry = round(index * (1 + self.number(-edge, edge)), 4)
        self.book.add(
            "position", account_id=name, venue=key[0], contract=key[1], quantity=round(lots * contract["lot_size"], 9),
            entry_price=entry,
        )  # fmt: skip
        self.lots[key] += lots
        notional = abs(lots) * unit_usd
        self.gross[key] += notional
        earned = side * notional * (1 - index / entry if not inverse else index / entry - 1)
        if not inverse:
            earned = side * notional * (1 - entry / index)
        return notional * (self.rates[key] + self.number(0.003, 0.13)) - earned

    def add_collateral(self, name: str, asset: str, usd: float, contract: str | None = None) -> None:
        price = {STAKED: 5.0, "USDT": 1.0, "USDC": 1.0, SYNTHETIC: 1.0}.get(asset)
        if price is None:
            price = min(
                (c["venue"], c["contract"], c["index_price"]) for c in self.contracts if c["base_asset"] == asset
            )[2]
        self.book.add(
            "collateral", account_id=name, asset=asset, amount=round(max(1.0, usd) / price, 6), price=price,
            contract=contract,
        )  # fmt: skip

    def add_isolated_collateral(self, name: str, contract: dict[str, Any], usd: float) -> None:
        inverse = contract["contract_type"] == "inverse"
        asset = contract["base_asset"] if inverse or self.maybe(0.1) else "USDT"
        self.add_collateral(name, asset, usd, contract["contract"])

    def add_cross_collateral(self, name: str, usd: float, chosen: list[dict[str, Any]]) -> None:
        """Spread a cross account's collateral over one to three assets."""
        bases = sorted({contract["base_asset"] for contract in self.contracts})
        assets = ["USDT"]
        if any(contract["contract_type"] == "inverse" for contract in chosen) and self.maybe(0.7):
            assets = [chosen[0]["base_asset"]]
        for extra in (STAKED, SYNTHETIC, "USDC", self.draw.choice(bases)):
            if extra not in assets and self.maybe(0.2):
                assets.append(extra)
        for asset in assets:
            self.add_collateral(name, asset, usd / len(assets))

    def add_hedge(self) -> None:
        """Add an owner with a long and a short leg in one asset, on two venues where there are two."""
        asset = self.draw.choice(self.contracts)["base_asset"]
        legs = [contract for contract in self.contracts if contract["base_asset"] == asset]
        pair = (legs[0], legs[-1])
        sides = self.draw.choice(((1, -1), (-1, 1)))
        for number, (contract, side) in enumerate(zip(pair, sides, strict=True)):
            name = f"hedge{number}"
            self.book.add(
                "account", account_id=name, owner_id="hedger", venue=contract["venue"], kind="trader",
                margin_mode="cross",
            )  # fmt: skip
            need = self.add_position(name, contract, side, 8000, edge=0.04)
            self.add_collateral(name, "USDT", need * self.draw.choice((0.8, 1.0, 2.5)))
        if self.maybe(0.5):
            # A third account without legs that can send money.
            self.book.add(
                "account", account_id="hedge9", owner_id="hedger", venue=self.draw.choice(self.venues), kind="trader",
                margin_mode="cross",
            )  # fmt: skip
            self.add_collateral("hedge9", "USDT", 3000)

    def add_inverse_winner(self) -> None:
        """Add a pair of inverse traders against each other: one close to its end, one that gains."""
        inverse = [contract for contract in self.contracts if contract["contract_type"] == "inverse"]
        if not inverse:
            return
        contract = self.draw.choice(inverse)
        loser = 1 if self.falls else -1
        for name, side, share in (("inv0", loser, 0.6), ("inv1", -loser, 1.0)):
            self.book.add(
                "account", account_id=name, owner_id=name, venue=contract["venue"], kind="trader",
                margin_mode="isolated",
            )  # fmt: skip
            need = self.add_position(name, contract, side, 9000, edge=0.02)
            self.add_collateral(name, contract["base_asset"], need * share, contract["contract"])

    def close_venue(self, venue: str) -> None:
        """Add the maker, or without one a rich account that holds the other side."""
        if self.makers[venue]:
            self.book.maker(venue)
            if self.maybe(0.2):
                self.book.maker(venue, f"maker-{venue}-2")
            if self.maybe(0.2):
                contract = next(contract for contract in self.contracts if contract["venue"] == venue)
                self.add_position(f"maker-{venue}", contract, self.draw.choice((1, -1)), 5000)
            return
        name = f"other-side-{venue}"
        self.book.add("account", account_id=name, owner_id=name, venue=venue, kind="trader", margin_mode="cross")
        self.add_collateral(name, "USDT", 1e6)
        for contract in self.contracts:
            key = (contract["venue"], contract["contract"])
            if key[0] == venue and self.lots[key]:
                quantity = round(-self.lots[key] * contract["lot_size"], 9)
                self.book.add(
                    "position", account_id=name, venue=venue, contract=key[1], quantity=quantity,
                    entry_price=contract["index_price"],
                )  # fmt: skip

    def add_depth(self, contract: dict[str, Any]) -> None:
        gross = max(1000.0, self.gross[contract["venue"], contract["contract"]])
        self.book.add(
            "depth", venue=contract["venue"], contract=contract["contract"],
            depth=round(gross * self.number(0.6, 6), 2), recovery=self.draw.choice((0.0, 0.01, 0.2)),
            floor=self.draw.choice((0.1, 0.3)),
        )  # fmt: skip

    def add_funds(self) -> None:
        """Add small pools: a venue's, a contract's own, both or none."""
        for venue in self.venues:
            here = [contract for contract in self.contracts if contract["venue"] == venue]
            gross = sum(self.gross[venue, contract["contract"]] for contract in here)
            mode = self.draw.choice(("cash_pool", "vault"))
            if self.maybe(0.75):
                balance = round(gross * self.draw.choice((0.0, 0.002, 0.01, 0.05)), 2)
                self.book.add("fund", venue=venue, pool="main", contract=None, balance=balance, mode=mode)
            if self.maybe(0.3):
                contract = self.draw.choice(here)["contract"]
                balance = round(gross * self.draw.choice((0.0, 0.003)), 2)
                self.book.add("fund", venue=venue, pool="own", contract=contract, balance=balance, mode=mode)

    def add_weights(self) -> None:
        for asset in sorted({contract["base_asset"] for contract in self.contracts}):
            where = sorted({contract["venue"] for contract in self.contracts if contract["base_asset"] == asset})
            if self.maybe(0.7):
                for venue, weight in zip(where, self.draw.choice(SPLITS[len(where)]), strict=True):
                    self.book.add("index_weight", base_asset=asset, venue=venue, weight=weight)

    # --- The scenario ---

    def scenario(self) -> dict[str, Any]:
        steps = self.draw.choice((0, 0, 1, 2, 3, 5, 8, 12))
        seconds = self.draw.choice((1, 1, 5, 60))
        result: dict[str, Any] = {
            "scenario": f"random_{self.seed}",
            "clock": {"step_seconds": seconds, "steps": steps},
            "shock": self.shock(steps * seconds),
            "impact": self.impact(seconds),
            "mark": self.mark(steps * seconds, seconds),
            "venues": {"default": self.venue(seconds)},
        }
        if self.maybe(0.6):
            result["depth"] = {
                "multiplier": self.draw.choice((0.5, 1, 2)), "collapse": self.draw.choice((0, 2, 10)),
                "floor": self.draw.choice((None, 0.2)), "recovery": self.draw.choice((None, 0.05)),
            }  # fmt: skip
        if len(self.venues) > 1 and self.maybe(0.7):
            result["venues"]["beta"] = self.venue(seconds)
        if self.maybe(0.8):
            result["owners"] = self.owners_section(seconds)
        return result

    def fitting(self, scenario: dict[str, Any]) -> dict[str, Any]:
        """Leave out what the scenario's contract refuses for this book."""
        bases = {contract["base_asset"] for contract in self.contracts}
        held = {row["asset"] for row in self.book.rows["collateral"]}
        shock, impact = scenario["shock"], scenario["impact"]
        if "driver" in shock:
            shock["driver"] = min(bases)
        elif STAKED not in held:
            shock.pop(STAKED, None)
        if "BTC" not in bases:
            impact.get("markets", {}).pop("BTC", None)
        if impact.get("law") == "sqrt":
            scenario.pop("depth", None)
        switches = scenario["mark"].get("collateral_switches", [])
        if len(switches) == 2 and switches[0][0] >= switches[1][0]:
            del switches[1]
        seconds = scenario.get("owners", {}).get("transfer_seconds")
        if isinstance(seconds, dict) and len(self.venues) == 1:
            seconds.pop("alpha>beta", None)
        return scenario

    def path(self, horizon: float, size: float = 1.0) -> list[list[float]]:
        """Draw a fall or a squeeze, at once, over the run, or with a way back."""
        depth = self.number(0.03, 0.28) * size * (-1 if self.falls else 1)
        if horizon == 0 or self.maybe(0.3):
            return [[0, round(depth, 4)]]
        points = [[0, round(depth * self.draw.choice((0, 0, 0.3)), 4)], [round(horizon * 0.5, 3), round(depth, 4)]]
        if self.maybe(0.6):
            points.append([horizon, round(depth * self.number(-0.2, 1.4), 4)])
        return points

    def shock(self, horizon: float) -> dict[str, Any]:
        kind = self.draw.choice(("all", "all", "driver", "assets", "tiers"))
        if kind == "driver":
            return {"driver": "BTC", "path": self.path(horizon)}
        shock: dict[str, Any] = {"all": self.path(horizon)}
        if kind == "assets":
            shock[self.contracts[0]["base_asset"]] = self.path(horizon, 1.2)
        if kind == "tiers":
            shock[self.contracts[-1]["tier"]] = self.path(horizon, 1.5)
        if self.maybe(0.4):
            shock[STAKED] = self.path(horizon, 1.3)
        return shock

    def impact(self, seconds: int) -> dict[str, Any]:
        impact: dict[str, Any] = {"decay_per_second": self.draw.choice((0, 0.05, 0.5)) / seconds}
        if self.maybe(0.35):
            gross = max(self.gross.values())
            impact["law"] = "sqrt"
            if self.maybe(0.5):
                impact["coefficient"] = round(self.number(0.05, 0.3) / gross**0.5, 8)
            else:
                impact["y"] = self.number(0.5, 1.5, 2)
                impact["markets"] = {"all": {"sigma": 0.05, "adv_usd": round(gross, 2)}}
                if self.maybe(0.5):
                    impact["markets"]["BTC"] = {"sigma": 0.08, "adv_usd": round(gross * 2, 2)}
        if self.maybe(0.2):
            impact["max_displacement"] = self.draw.choice((0.02, 0.05, 0.15))
        return impact

    def mark(self, horizon: float, seconds: int) -> dict[str, Any]:
        mark: dict[str, Any] = {
            "own_book_weight": self.draw.choice((1, 1, 0.5, 0.3, 0)),
            "composite_lag_seconds": self.draw.choice((0, 0, seconds * 2)),
            "collateral_price": self.draw.choice(("index", "own_book")),
        }
        if horizon and self.maybe(0.3):
            mark["collateral_switches"] = [[seconds, "own_book"], [horizon, "index"]]
        return mark

    def venue(self, seconds: int) -> dict[str, Any]:
        return {
            "liquidation": self.liquidation(seconds),
            "fund": {"mode": self.draw.choice((None, "cash_pool", "vault"))},
            "adl": {
                "policy": self.draw.choice(POLICIES),
                "price": self.draw.choice(("bankruptcy", "bankruptcy", "mark")),
                "trigger": self.draw.choice((None, "balance", "drawdown", "vault_equity")),
                "drawdown": self.draw.choice((0.1, 0.3, 0.6)),
                "score": self.draw.choice(SCORES),
            },
            "limits": self.limits(seconds),
            "collateral": self.collateral(seconds),
        }

    def liquidation(self, seconds: int) -> dict[str, Any]:
        rules: dict[str, Any] = {
            "backstop_ratio": self.draw.choice((None, None, 0, 0.667)),
            "fee_rate": self.draw.choice((0, 0.0005, 0.01)),
        }
        if self.maybe(0.5):
            rules |= {
                "close": "partial", "min_fraction": self.draw.choice((0, 0.2, 0.5)),
                "partial_above_usd": self.draw.choice((0, 0, 4000)),
                "partial_times": self.draw.choice((None, 1, 3)),
                "cooldown_seconds": self.draw.choice((0, 0, seconds * 2)),
            }  # fmt: skip
        return rules

    def limits(self, seconds: int) -> dict[str, Any]:
        limits: dict[str, Any] = {"unfilled": self.draw.choice(("fund", "wait"))}
        if self.maybe(0.2):
            limits["leverage_cap"] = self.draw.choice((10, 25))
        if self.maybe(0.25):
            limits["price_band"] = self.draw.choice((0.01, 0.04, 0.1))
        if self.maybe(0.25):
            limits["circuit_breaker"] = {
                "move": self.draw.choice((0.05, 0.1, 0.2)), "window_seconds": seconds * self.draw.choice((1, 3)),
                "halt_seconds": seconds * self.draw.choice((1, 4)),
            }  # fmt: skip
        return limits

    def collateral(self, seconds: int) -> dict[str, Any]:
        rules: dict[str, Any] = {}
        if self.maybe(0.5):
            rules["ratio"] = {STAKED: 0.8, "BTC": 0.95, "ETH": 0.9, "USDC": self.draw.choice((0.98, 1))}
        if self.maybe(0.4):
            rules["own_book"] = {SYNTHETIC: [[0, 0], [seconds * 3, self.number(-0.4, -0.02)]]}
            rules["price"] = self.draw.choice((None, "own_book"))
        if self.maybe(0.15):
            rules["switches"] = [[seconds * 2, "own_book"], [seconds * 4, "index"]]
        return rules

    def owners_section(self, seconds: int) -> dict[str, Any]:
        owners: dict[str, Any] = {
            "rehedge_seconds": self.draw.choice((None, 0, seconds * 2)),
            "transfer_seconds": self.draw.choice(
                (0, seconds, {"default": seconds, "alpha>beta": seconds * 3}, {"default": seconds * 2})
            ),
        }
        if self.maybe(0.8):
            owners["top_up_below"] = self.draw.choice((1.2, 2, 4))
            owners["top_up_to"] = self.draw.choice((None, 5))
        if self.maybe(0.4):
            owners["slowdowns"] = [
                {
                    "venue": self.draw.choice((*self.venues, "all")), "from_seconds": 0, "to_seconds": seconds * 3,
                    "extra_seconds": seconds * 2,
                }
            ]  # fmt: skip
        return owners
