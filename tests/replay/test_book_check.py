"""``delever book check``: a summary of what a book holds, or all its faults on one screen."""

from pathlib import Path

import pytest
from click.testing import CliRunner
from replay_books import Book

from dagster_project.cli import cli
from dagster_project.replay.book_check import check_book
from dagster_project.replay.faults import ReplayInputError


def small() -> Book:
    """Return a book with 3 long and 1 short base units at an index of 100 USD."""
    book = Book()
    book.contract("v", "BTCUSDT", base="BTC", index=100.0)
    book.trader("a", 3.0, 100.0, 50.0, venue="v", contract="BTCUSDT")
    book.trader("b", -1.0, 100.0, 50.0, venue="v", contract="BTCUSDT")
    book.maker("v")
    return book


def test_summary_counts_both_sides_and_what_makers_take(tmp_path: Path) -> None:
    held = check_book(small().write(tmp_path / "book"))
    assert (held.accounts, held.positions, held.contracts, held.venues) == (3, 2, 1, 1)
    assert (held.long_usd, held.short_usd) == pytest.approx((300.0, 100.0))
    assert held.open_interest_usd == pytest.approx(300.0)
    assert held.taken_by_makers_usd == pytest.approx(200.0)


def test_refused_book_lists_its_faults(tmp_path: Path) -> None:
    book = small()
    book.rows["position"][0]["entry_price"] = -1.0
    book.rows["contract"][0]["lot_size"] = 0.0
    with pytest.raises(ReplayInputError) as refused:
        check_book(book.write(tmp_path / "book"))
    assert {"position", "contract"} <= {fault.where for fault in refused.value.faults}
    assert refused.value.exit_code == 2


def test_no_such_folder_is_said(tmp_path: Path) -> None:
    with pytest.raises(ReplayInputError, match="no such folder"):
        check_book(tmp_path / "none")


def test_command_prints_the_summary(tmp_path: Path) -> None:
    result = CliRunner().invoke(cli, ["book", "check", str(small().write(tmp_path / "book"))])
    assert result.exit_code == 0, result.output
    assert "long 300, short 100" in result.output
    assert "makers to balance the contracts: 200 USD" in result.output
