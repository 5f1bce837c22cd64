"""A book read back from its files, and margins worked out in plain Python: what an account is worth at any prices."""

from __future__ import annotations

import math
from collections import defaultdict
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from dagster_project.replay.book import TABLES
from dagster_project.replay.engine import run_replay

Key = tuple[str, str]
"""Venue and contract."""


def rows(folder: Path, table: str) -> list[dict[str, Any]]:
    """Rows of a table of a book."""
    return pq.read_table(folder / f"{table}.parquet").to_pylist()


@dataclass
class Unit:
    """What is margined together."""

    account_id: str
    owner_id: str
    coins: dict[str, float] = field(default_factory=lambda: defaultdict(float))
    legs: dict[Key, tuple[float, float]] = field(default_factory=dict)
    """Quantity and entry price by contract."""


class ReadBook:
    """A book in memory."""

    def __init__(self, folder: Path) -> None:
        self.tables = {table: rows(folder, table) for table in TABLES}
        self.contracts: dict[Key, dict[str, Any]] = {(c["venue"], c["contract"]): c for c in self.tables["contract"]}
        self.index = {key: c["index_price"] for key, c in self.contracts.items()}
        self.tiers: dict[Key, list[dict[str, Any]]] = defaultdict(list)
        for tier in sorted(self.tables["margin_tier"], key=lambda row: row["notional_floor"]):
            self.tiers[tier["venue"], tier["contract"]].append(tier)
        self.coin_price: dict[str, float] = {}
        for key in sorted(self.contracts):
            self.coin_price.setdefault(self.contracts[key]["base_asset"], self.index[key])
        accounts = {account["account_id"]: account for account in self.tables["account"]}
        self.units: dict[tuple[str, str | None], Unit] = {}
        for row in self.tables["collateral"]:
            account = accounts[row["account_id"]]
            place = row["contract"] if account["margin_mode"] == "isolated" else None
            self._unit(account, place).coins[row["asset"]] += row["amount"]
        for row in self.tables["position"]:
            account = accounts[row["account_id"]]
            place = row["contract"] if account["margin_mode"] == "isolated" else None
            self._unit(account, place).legs[row["venue"], row["contract"]] = (row["quantity"], row["entry_price"])

    def _unit(self, account: dict[str, Any], place: str | None) -> Unit:
        return self.units.setdefault((account["account_id"], place), Unit(account["account_id"], account["owner_id"]))

    def slack(self, unit: Unit, prices: dict[Key, float]) -> float:
        """Equity less maintenance margin, USD; a unit is in breach where it is not above 0."""
        return self.equity(unit, prices) - sum(
            self.maintenance(key, unit.legs[key][0], prices[key]) for key in unit.legs
        )

    def equity(self, unit: Unit, prices: dict[Key, float]) -> float:
        """Equity, USD; a coin moves with the asset's first contract."""
        total = unit.coins.get("USD", 0.0)
        coins = {asset: amount for asset, amount in unit.coins.items() if asset != "USD"}
        for key, (quantity, entry) in unit.legs.items():
            contract = self.contracts[key]
            if contract["contract_type"] == "inverse":
                worth = quantity * contract["contract_value"] * (1 / entry - 1 / prices[key])
                coins[contract["base_asset"]] = coins.get(contract["base_asset"], 0.0) + worth
                ratio = prices[key] / self.index[key]
            else:
                total += quantity * (prices[key] - entry)
        for asset, amount in coins.items():
            total += amount * self.coin_price[asset] * ratio
        return total

    def maintenance(self, key: Key, quantity: float, price: float) -> float:
        """Maintenance margin of a position, USD."""
        contract = self.contracts[key]
        is_inverse = contract["contract_type"] == "inverse"
        notional = abs(quantity) * (contract["contract_value"] if is_inverse else price)
        tier = [tier for tier in self.tiers[key] if tier["notional_floor"] <= notional][-1]
        return max(0.0, notional * tier["maintenance_rate"] - tier["maintenance_amount"])

    def level(self, unit: Unit, key: Key) -> float:
        """Price of a contract at which a unit breaches while other prices stand still, by bisection."""
        quantity, _ = unit.legs[key]
        good, bad = self.index[key], self.index[key] * (1e-9 if quantity > 0 else 1e6)
        assert self.slack(unit, self.index) > 0
        assert self.slack(unit, self.index | {key: bad}) <= 0
        for _ in range(200):
            middle = math.sqrt(good * bad)
            if self.slack(unit, self.index | {key: middle}) > 0:
                good = middle
            else:
                bad = middle
        return bad


def fall_steps(
    folder: Path, asset: str, levels: dict[str, tuple[float, float]], venue_rules: dict[str, Any]
) -> dict[str, float]:
    """Let the engine pass by levels one after the other, a hair before and a hair after each, without any price impact.

    Args:
        folder: the book.
        asset: the base asset that moves.
        levels: account to its level and the index price of its contract at t0; all on one side of it.
        venue_rules: rules of every venue.

    Returns:
        Account to the log move of the step in which it was liquidated first.
    """
    moves = sorted(
        (math.log(level / index * (1 + hair)) for level, index in levels.values() for hair in (1e-7, -1e-7)), key=abs
    )
    scenario = {
        "scenario": "levels",
        "clock": {"step_seconds": 1, "steps": len(moves)},
        "shock": {asset: [[0, 0], *([step, move] for step, move in enumerate(moves, 1))]},
        "depth": {"multiplier": 1e6},
        "mark": {"own_book_weight": 0, "composite_lag_seconds": 1e9},
        "venues": {"default": venue_rules},
    }
    events = run_replay(folder, scenario).table("stress_event").to_pylist()
    first: dict[str, float] = {}
    for event in events:
        if event["kind"] in ("book", "backstop"):
            first.setdefault(event["account_id"], moves[event["step"] - 1])
    return first
