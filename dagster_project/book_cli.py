"""The commands ``delever book ...``."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from dagster_project.lib.home import Home
from dagster_project.screen import ERR, FILE, FOLDER, OUT

if TYPE_CHECKING:
    from dagster_project.replay.book_check import BookSummary

_OUT = click.option("--out", type=FOLDER, required=True, help="folder to write the book into; not there yet, or empty")
_PARAMETERS = click.option("--parameters", type=FILE, help="YAML of assumptions (docs/books.md)")


@click.group()
def book() -> None:
    """Position books, the input of a replay."""


@book.command("check")
@click.argument("folder", type=click.Path(path_type=Path))
def book_check(folder: Path) -> None:
    """Print every fault of the book in FOLDER (exit 2), or what it holds.

    A book may also be FILE.duckdb, or FILE.duckdb/SCHEMA.
    """
    from dagster_project.replay.book_check import check_book  # noqa: PLC0415

    with ERR.status("reading the book"):
        held = check_book(folder)
    _show("The book is accepted", held)


@book.command("infer")
@click.option("--at", required=True, metavar="TIME", help="UTC day, or moment of a liquidation map")
@click.option("--venue", "venues", multiple=True, help="only this venue; may be repeated")
@_OUT
@_PARAMETERS
def book_infer(at: str, venues: tuple[str, ...], out: Path, parameters: Path | None) -> None:
    """Make a book from the open interest of the published snapshot.

    Every level of fct_liquidation_map becomes an isolated account that falls there; depth and funds are those of then.
    The book is an estimate, and says so.
    """
    from dagster_project.replay.books.infer import infer_book  # noqa: PLC0415

    with ERR.status("inferring the book"):
        made = infer_book(Home.from_env(), at, out, venues, parameters)
    moments = ", ".join(f"{moment:%Y-%m-%d %H:%M}" for moment in made.as_of)
    _show(
        f"The book of {moments} UTC is written to {out}",
        made.held,
        f"Assumed: depth of {made.depth_assumed:,} contracts, funds of {made.funds_assumed:,} venues",
    )


@book.command("hyperliquid")
@click.argument("source", type=click.Path(path_type=Path))
@_OUT
@_PARAMETERS
def book_hyperliquid(source: Path, out: Path, parameters: Path | None) -> None:
    """Make a book from saved account states of Hyperliquid: SOURCE is a file of JSON lines or a folder.

    A state that does not hold together is listed in quarantine.csv of the book, and the others are used.
    """
    from dagster_project.replay.books.hyperliquid import book_of_states  # noqa: PLC0415

    with ERR.status("reading the account states"):
        made = book_of_states(source, out, parameters)
    aside = sum(made.quarantined.values())
    _show(
        f"The book is written to {out}",
        made.held,
        f"{made.users:,} users with positions ({made.breached:,} at or below maintenance already), {made.idle:,} without",
        f"Assumed: depth of {made.depth_assumed:,} contracts",
        f"Set aside: {aside:,} records" + (f", listed in {out / 'quarantine.csv'}" if aside else ""),
        *(f"  {count:,} x {reason}" for reason, count in made.quarantined.items()),
    )


def _show(heading: str, held: "BookSummary", *more: str) -> None:
    """Print what a book holds."""
    from dagster_project.replay.faults import printable  # noqa: PLC0415

    lines = [
        f"{heading}: {held.info.source_class}, digest {held.info.digest}",
        f"Origin: {printable(held.info.origin, 2000) or '(not said)'}",
        f"{held.accounts:,} accounts, {held.positions:,} positions, "
        f"{held.contracts:,} contracts at {held.venues:,} venues",
        f"Open interest {held.open_interest_usd:,.0f} USD: long {held.long_usd:,.0f}, short {held.short_usd:,.0f}",
        f"Taken by makers to balance the contracts: {held.taken_by_makers_usd:,.0f} USD",
        f"Fund balances: {held.funds_usd:,.0f} USD",
        *more,
    ]
    OUT.print("\n".join(lines), markup=False, highlight=False, soft_wrap=True)
