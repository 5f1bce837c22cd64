"""Small books for the tests: rows in plain lists, written as Parquet or CSV."""

from __future__ import annotations

import csv
import math
import random
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

COLUMNS: dict[str, dict[str, str]] = {
    "contract": {
        "venue": "s", "contract": "s", "base_asset": "s", "contract_type": "s", "contract_value": "f", "tier": "s",
        "lot_size": "f", "index_price": "f", "beta": "f",
    },
    "account": {"account_id": "s", "owner_id": "s", "venue": "s", "kind": "s", "margin_mode": "s"},
    "collateral": {"account_id": "s", "asset": "s", "amount": "f", "price": "f", "contract": "s"},
    "position": {"account_id": "s", "venue": "s", "contract": "s", "quantity": "f", "entry_price": "f"},
    "margin_tier": {
        "venue": "s", "contract": "s", "notional_floor": "f", "notional_cap": "f", "maintenance_rate": "f",
        "maintenance_amount": "f",
    },
    "depth": {"venue": "s", "contract": "s", "depth": "f", "recovery": "f", "floor": "f"},
    "fund": {"venue": "s", "pool": "s", "contract": "s", "balance": "f", "mode": "s"},
    "index_weight": {"base_asset": "s", "venue": "s", "weight": "f"},
}  # fmt: skip


class Book:
    """A book in memory: table name to list of rows."""

    def __init__(self) -> None:
        self.rows: dict[str, list[dict[str, Any]]] = {table: [] for table in COLUMNS}

    def add(self, table: str, **values: Any) -> dict[str, Any]:
        """Append a row and return it."""
        self.rows[table].append(values)
        return values

    def contract(
        self, venue: str = "v", contract: str = "C", *, base: str | None = None, tier: str = "major", lot: float = 1.0,
        index: float = 1.0, beta: float = 1.0, depth: float = 1e6,
        tiers: Iterable[tuple[float, float | None, float, float]] = ((0.0, None, 0.0, 0.0),),
    ) -> None:  # fmt: skip
        """Add a contract with its depth and margin tiers (floor, cap, rate, amount)."""
        self.add(
            "contract", venue=venue, contract=contract, base_asset=base or contract, contract_type="linear",
            contract_value=None, tier=tier, lot_size=lot, index_price=index, beta=beta,
        )  # fmt: skip
        self.add("depth", venue=venue, contract=contract, depth=depth, recovery=0.0, floor=0.0)
        for floor, cap, rate, amount in tiers:
            self.add(
                "margin_tier", venue=venue, contract=contract, notional_floor=floor, notional_cap=cap,
                maintenance_rate=rate, maintenance_amount=amount,
            )  # fmt: skip

    def inverse(self, base: str, index: float) -> None:
        """Add the inverse contract I of 1 USD on a deep book, without maintenance margin."""
        self.contract(contract="I", base=base, index=index, depth=1e12)
        self.rows["contract"][-1] |= {"contract_type": "inverse", "contract_value": 1.0}

    def maker(self, venue: str = "v", name: str | None = None) -> None:
        """Add a maker account that balances the venue."""
        name = name or f"maker-{venue}"
        self.add("account", account_id=name, owner_id=name, venue=venue, kind="maker", margin_mode="cross")

    def trader(
        self, name: str, quantity: float, entry: float, collateral: float, venue: str = "v", contract: str = "C",
        *, mode: str = "isolated", owner: str | None = None, kind: str = "trader",
    ) -> None:  # fmt: skip
        """Add an account with one position and its collateral."""
        self.add("account", account_id=name, owner_id=owner or name, venue=venue, kind=kind, margin_mode=mode)
        self.add("position", account_id=name, venue=venue, contract=contract, quantity=quantity, entry_price=entry)
        self.add(
            "collateral", account_id=name, asset="USDT", amount=collateral, price=1.0,
            contract=contract if mode == "isolated" else None,
        )  # fmt: skip

    def shuffled(self, seed: int) -> Book:
        """Return the same book with the rows of every table in another order."""
        other = Book()
        order = random.Random(seed)  # noqa: S311 - a shuffle, not a secret
        for table, rows in self.rows.items():
            other.rows[table] = list(rows)
            order.shuffle(other.rows[table])
        return other

    def write(self, folder: Path, form: str = "parquet") -> Path:
        """Write one file per table and return the folder."""
        folder.mkdir(parents=True, exist_ok=True)
        for table, columns in COLUMNS.items():
            rows = self.rows[table]
            if form == "csv":
                with (folder / f"{table}.csv").open("w", newline="", encoding="utf-8") as handle:
                    writer = csv.DictWriter(handle, list(columns))
                    writer.writeheader()
                    writer.writerows(rows)
            else:
                kinds = {"s": pa.string(), "f": pa.float64()}
                schema = pa.schema([(name, kinds[kind]) for name, kind in columns.items()])
                pq.write_table(pa.Table.from_pylist(rows, schema=schema), folder / f"{table}.parquet")
        return folder


def ladder(
    thresholds: Iterable[float],
    notional: float,
    depth: float,
    *,
    side: int = 1,
    index: float = 1.0,
    nearer: float = 0.0,
) -> Book:
    """Return a one-sided book whose positions are liquidated at log distances `thresholds` from the index.

    Every account holds `notional` USD at the index (side 1 long, -1 short) and no maintenance margin is asked, so
    equity reaches 0 at index * exp(-side * a): the collateral is what the position loses up to there, less `nearer` USD,
    which puts a threshold that a price meets exactly on the near side of rounding.
    """
    book = Book()
    book.contract(depth=depth, index=index)
    book.maker()
    quantity = notional / index
    for number, distance in enumerate(thresholds):
        collateral = -side * notional * math.expm1(-side * distance) - nearer
        book.trader(f"a{number:06d}", side * quantity, index, collateral)
    return book


def scenario(shock: Any = None, **sections: Any) -> dict[str, Any]:
    """Return the smallest scenario with another shock (a number: the log move of everything)."""
    path = {"all": [[0, float(shock)]]} if isinstance(shock, (int, float)) else shock
    content: dict[str, Any] = {"scenario": "test", "shock": path or {"all": [[0, -0.06]]}}
    content.update(sections)
    return content


def rules(fee_rate: float = 0.0, **venues: Mapping[str, Any]) -> dict[str, Any]:
    """Return a `venues` section with a default fee rate."""
    return {"default": {"liquidation": {"fee_rate": fee_rate}}, **venues}


def only(result: Any, table: str = "stress_outcome") -> dict[str, Any]:
    """Return the only row of a result table."""
    rows = result.table(table).to_pylist()
    assert len(rows) == 1
    return dict(rows[0])
