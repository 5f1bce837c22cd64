"""Checking a book without a replay: every fault, or what the book holds."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from dagster_project.replay.book import BookInfo
from dagster_project.replay.engine import opened, translated
from dagster_project.replay.sqlfiles import load_sql, one_row


@dataclass(frozen=True)
class BookSummary:
    """What a checked book holds.

    Attributes:
        info: digest, source class and origin.
        accounts: rows of the table of accounts, makers and vaults included.
        positions: rows of the table of positions.
        contracts: rows of the table of contracts.
        venues: venues that have a contract.
        funds_usd: sum of all fund balances, USD.
        long_usd: reference notional of all longs in whole lots, USD.
        short_usd: the same of all shorts, USD, not negative.
        open_interest_usd: the larger side of each contract, summed, USD.
        taken_by_makers_usd: what makers take so that each contract balances, USD.
    """

    info: BookInfo
    accounts: int
    positions: int
    contracts: int
    venues: int
    funds_usd: float
    long_usd: float
    short_usd: float
    open_interest_usd: float
    taken_by_makers_usd: float


def check_book(folder: Path) -> BookSummary:
    """Read a book as a replay would, and sum it up.

    Args:
        folder: the book.

    Raises:
        ReplayInputError: the book is refused, with every fault.
    """
    with opened(folder, []) as book, translated():
        return BookSummary(book.book, *one_row(book.con, load_sql("book/summary").rstrip().removesuffix(";")))
