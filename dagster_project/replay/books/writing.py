"""Writing a book as a whole: made beside its place, read back as a replay would, and only then moved there."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import duckdb
import yaml

from dagster_project.lib.duck import connect, literal
from dagster_project.replay.book import TABLES
from dagster_project.replay.book_check import BookSummary, check_book
from dagster_project.replay.faults import Fault, ReplayError, ReplayInputError, ReplayOutputError
from dagster_project.replay.output import copy_table, output_faults, staging


class BookInputError(ReplayInputError):
    """What a book was to be made of is refused; nothing was written."""

    heading = "The book cannot be made"


def folder_faults(out: Path) -> list[Fault]:
    """Return what is wrong with the folder that a book is to be written to."""
    faults = output_faults(out)
    try:
        if not faults and out.is_dir() and next(out.iterdir(), None) is not None:
            faults = [Fault("out", str(out), "is not empty", "name a folder that does not exist yet")]
    except OSError as error:
        faults = [Fault("out", str(out), f"cannot be read: {error.strerror or error}", "name another folder")]
    return faults


@contextmanager
def scratch() -> Iterator[duckdb.DuckDBPyConnection]:
    """Yield a private DuckDB in memory.

    Raises:
        ReplayError: DuckDB gave up.
    """
    with connect() as con:
        con.execute("set enable_progress_bar = false")
        # Sums of doubles depend on the order in which threads add, and a book would have another digest each time.
        con.execute("set threads = 1")
        try:
            yield con
        except duckdb.Error as error:
            first = str(error).strip().splitlines()[0]
            raise ReplayError(f"DuckDB could not make the book: {first}. Nothing was written.") from error


def write_book(
    con: duckdb.DuckDBPyConnection,
    out: Path,
    source_class: str,
    origin: str,
    more: Mapping[str, str] | None = None,
) -> BookSummary:
    """Write the tables ``made_<table>`` of a connection as a book, and check it.

    Args:
        con: connection with one table ``made_<table>`` per table of a book.
        out: folder, not there yet or empty.
        source_class: measured, estimated or synthetic.
        origin: where the book comes from.
        more: name of a CSV file to write beside the tables to the query of its rows.

    Returns:
        What the book holds, read back from its files.

    Raises:
        BookInputError: the book breaks a rule of books; `out` is as it was.
        ReplayOutputError: `out` cannot be written.
    """
    with staging(out.absolute().parent) as stage:
        made = Path(stage or out) / "book"
        try:
            made.mkdir()
            for table in TABLES:
                copy_table(con, f"from made_{table}", made / f"{table}.parquet")
            for name, query in (more or {}).items():
                con.execute(f"copy ({query}) to {literal(made / name)} (format csv, header)")
            text = yaml.safe_dump({"source_class": source_class, "origin": origin}, sort_keys=False, width=120)
            (made / "book.yaml").write_text(text, encoding="utf-8", newline="\n")
            held = check_book(made)
            out.parent.mkdir(parents=True, exist_ok=True)
            made.rename(out)
        except ReplayInputError as refused:
            raise BookInputError(refused.faults) from None
        except OSError as error:
            raise ReplayOutputError(f"The book cannot be written to {out}: {error.strerror or error}") from None
    return held
