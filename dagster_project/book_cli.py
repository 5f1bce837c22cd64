"""The commands ``delever book ...``."""

from pathlib import Path

import click

from dagster_project.screen import ERR, OUT


@click.group()
def book() -> None:
    """Position books, the input of a replay."""


@book.command("check")
@click.argument("folder", type=click.Path(path_type=Path))
def book_check(folder: Path) -> None:
    """Print every fault of the book in FOLDER (exit 2), or what it holds."""
    from dagster_project.replay.book_check import check_book  # noqa: PLC0415
    from dagster_project.replay.faults import printable  # noqa: PLC0415

    with ERR.status("reading the book"):
        held = check_book(folder)
    lines = [
        f"The book is accepted: {held.info.source_class}, digest {held.info.digest}",
        f"Origin: {printable(held.info.origin, 2000) or '(not said)'}",
        f"{held.accounts:,} accounts, {held.positions:,} positions, "
        f"{held.contracts:,} contracts at {held.venues:,} venues",
        f"Open interest {held.open_interest_usd:,.0f} USD: long {held.long_usd:,.0f}, short {held.short_usd:,.0f}",
        f"Taken by makers to balance the contracts: {held.taken_by_makers_usd:,.0f} USD",
        f"Fund balances: {held.funds_usd:,.0f} USD",
    ]
    OUT.print("\n".join(lines), markup=False, highlight=False, soft_wrap=True)
