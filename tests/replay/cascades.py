"""Independent one-sided cascades, many in one book, and the fixpoint of each in decimals of 50 digits.

Each ladder is a contract of its own asset with its own shock, book and accounts: in one replay none meets another. The
fixpoint takes from a ladder what the book says (collateral in whole micro-USD) and scans sorted thresholds; it knows neither
ticks nor SQL.
"""

from __future__ import annotations

import math
import tempfile
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal, localcontext
from pathlib import Path
from typing import Any

from replay_books import Book, scenario

from dagster_project.replay.engine import played, results
from dagster_project.replay.one_pass import run_one_pass

DIGITS = 50


@dataclass(frozen=True)
class Ladder:
    """Accounts of `notional` USD each that are liquidated at log distances `thresholds` from an index of 1.

    Attributes:
        thresholds: log distances in the direction that harms the side.
        notional: whole USD of each account at the index.
        shock: log move in the direction that harms the side, a multiple of 1e-12.
        depth: USD per unit of log price; a square-root law has its own.
        side: 1 long, -1 short.
        nearer: USD less of collateral, so that a threshold that a price meets exactly is met.
    """

    thresholds: tuple[float, ...]
    notional: int
    shock: float
    depth: float = 1.0
    side: int = 1
    nearer: float = 0.0

    def collaterals(self) -> list[float]:
        """USD of collateral: what the position loses up to its threshold."""
        return [-self.side * self.notional * math.expm1(-self.side * t) - self.nearer for t in self.thresholds]


@dataclass(frozen=True)
class Rest:
    """Where a cascade comes to rest.

    Attributes:
        fallen: number of accounts liquidated.
        reached: log distance of the book price from t0.
        rounds: number of rounds in which somebody fell.
    """

    fallen: int
    reached: float
    rounds: int


def rounds_of(ladder: Ladder, coefficient: float | None = None) -> tuple[list[int], list[Decimal]]:
    """Return the number of fallen accounts after each round, and the reach at the start of each and at the end."""
    with localcontext() as context:
        context.prec = DIGITS
        side, notional = ladder.side, Decimal(ladder.notional)
        thresholds = sorted(
            -side * (1 - side * Decimal(round(usd * 1e6)) / 10**6 / notional).ln() for usd in ladder.collaterals()
        )

        def reach(fallen: int) -> Decimal:
            volume = fallen * notional
            pushed = volume / Decimal(ladder.depth) if coefficient is None else Decimal(coefficient) * volume.sqrt()
            return Decimal(str(ladder.shock)) + pushed

        fallen, reaches = [0], [reach(0)]
        while (more := bisect_right(thresholds, reaches[-1])) > fallen[-1]:
            fallen.append(more)
            reaches.append(reach(more))
    return fallen[1:], reaches


def fixpoint(ladder: Ladder, coefficient: float | None = None) -> Rest:
    """Return where a ladder comes to rest, by scanning it."""
    fallen, reaches = rounds_of(ladder, coefficient)
    return Rest(fallen[-1] if fallen else 0, float(reaches[-1]), len(fallen))


def book_of(ladders: Sequence[Ladder]) -> tuple[Book, dict[str, Any]]:
    """Return a book with a contract C00, C01, .. of asset B00, B01, .. for each ladder, and its shocks."""
    book = Book()
    book.maker()
    shock: dict[str, Any] = {}
    for number, ladder in enumerate(ladders):
        contract, base = f"C{number:02d}", f"B{number:02d}"
        book.contract(contract=contract, base=base, depth=ladder.depth)
        shock[base] = [[0, -ladder.side * ladder.shock]]
        for place, collateral in enumerate(ladder.collaterals()):
            quantity = float(ladder.side * ladder.notional)
            book.trader(f"{contract}{place:04d}", quantity, 1.0, collateral, contract=contract)
    return book, shock


def come_to_rest(ladders: Sequence[Ladder], **sections: Any) -> tuple[list[Rest], list[Rest]]:
    """Return where the stepwise engine and the one-pass window leave each ladder."""
    book, shock = book_of(ladders)
    with (
        tempfile.TemporaryDirectory() as folder,
        played(book.write(Path(folder) / "book"), scenario(shock, **sections), threads=1) as run,
    ):
        results(run.con, run.book, run.scenario)
        stepwise = run.con.execute(
            "select liquidated_accounts, trough_log_move, rounds_max from stress_outcome order by contract"
        ).fetchall()
        run_one_pass(run.con)
        window = run.con.execute(
            """select
                   (select count(*) from replay_fill as f where f.contract_no = c.contract_no),
                   abs(c.log_move)
                   + coalesce((select max(r.displacement_after) from replay_round as r where r.contract_no = c.contract_no), 0),
                   (select count(*) from replay_round as r where r.contract_no = c.contract_no)
               from replay_contract as c order by c.contract"""
        ).fetchall()
    return [Rest(n, abs(move), rounds) for n, move, rounds in stepwise], [Rest(*row) for row in window]
