"""Results of a replay: the result object and the atomic writing of its tables."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa

from dagster_project.lib.duck import literal
from dagster_project.replay.faults import Fault, ReplayOutputError

STRESS_TABLES = (
    "stress_outcome",
    "stress_path",
    "stress_fund",
    "stress_adl",
    "stress_event",
    "stress_owner",
    "stress_ledger",
    "stress_score",
    "stress_summary",
)
"""Result tables of one replay."""
SWEEP_TABLE, REVERSE_TABLE = "stress_sweep", "stress_reverse"


@dataclass(frozen=True)
class ReplayResult:
    """What one replay found.

    Attributes:
        run_id: 16 hex digits made from the hashes of scenario and book: the same inputs give the same id.
        scenario: name of the scenario.
        scenario_hash: SHA-256 of the scenario with its defaults.
        book_hash: SHA-256 of the book's content.
        source_class: measured, estimated or synthetic, as the book says of itself.
        origin: the book's own words on where it comes from.
        summary: the row of ``stress_summary`` (USD at the t0 index, log moves in natural log).
        residuals: invariant name to residual, all 0.
        tables: names of the result tables.
        written: files written, empty without an output folder.
    """

    run_id: str
    scenario: str
    scenario_hash: str
    book_hash: str
    source_class: str
    origin: str
    summary: dict[str, Any]
    residuals: dict[str, int]
    tables: tuple[str, ...]
    written: tuple[Path, ...] = ()
    _arrow: dict[str, pa.Table] = field(default_factory=dict, repr=False, compare=False)

    def table(self, name: str) -> pa.Table:
        """Return a result table; columns and units: ``replay/columns.py``, docs/data_dictionary.md.

        Raises:
            KeyError: there is no such table.
        """
        return self._arrow[name]


def output_faults(out: Path) -> list[Fault]:
    """Return what is wrong with an output folder before anything runs."""
    remedy = "give a folder that exists or can be created"
    try:
        if out.exists() and not out.is_dir():
            return [Fault("out", str(out), "is a file", remedy)]
        parent = next(folder for folder in (out, *out.absolute().parents) if folder.exists())
        if not parent.is_dir() or not os.access(parent, os.W_OK | os.X_OK):
            return [Fault("out", str(out), f"cannot be written below {parent}", remedy)]
    except (OSError, ValueError) as error:
        return [Fault("out", str(out), f"cannot be used: {error}", remedy)]
    return []


@contextmanager
def staging(out: Path | None) -> Iterator[Path | None]:
    """Yield a private folder on the file system of `out`, removed at the end; None without an output folder."""
    if out is None:
        yield None
        return
    try:
        base = next(folder for folder in (out.absolute(), *out.absolute().parents) if folder.is_dir())
        folder = Path(tempfile.mkdtemp(prefix=".delever-replay-", dir=base))
    except OSError as error:
        raise ReplayOutputError(f"The output folder {out} cannot be used: {error.strerror or error}") from None
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def copy_table(con: duckdb.DuckDBPyConnection, query: str, target: Path) -> None:
    """Write a table or query as one Parquet file.

    Raises:
        duckdb.Error: it cannot be written.
    """
    con.execute(f"copy ({query}) to {literal(target)} (format parquet, compression zstd)")


def write_tables(con: duckdb.DuckDBPyConnection, tables: Mapping[str, str], stage: Path, out: Path) -> tuple[Path, ...]:
    """Write tables as Parquet to `stage`, then move them into `out`, each by an atomic rename.

    Args:
        con: connection that may write to `stage`.
        tables: name of a file without its ending, and the query of its rows.
        stage: a private folder on the file system of `out`.
        out: folder, made if it does not exist.

    Raises:
        ReplayOutputError: a file cannot be written; `out` is as it was unless the last renames failed.
    """
    try:
        for name, query in tables.items():
            copy_table(con, query, stage / f"{name}.parquet")
        out.mkdir(parents=True, exist_ok=True)
        for name in tables:
            (stage / f"{name}.parquet").replace(out / f"{name}.parquet")
    except OSError as error:
        raise ReplayOutputError(f"The results cannot be written to {out}: {error.strerror or error}") from None
    except duckdb.Error as error:
        raise ReplayOutputError(f"The results cannot be written to {out}: {str(error).splitlines()[0]}") from None
    return tuple(out / f"{name}.parquet" for name in tables)
