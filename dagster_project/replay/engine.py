"""The replay's driver: inputs in, steps of SQL in a fixed order, invariants checked, results out.

No statement of Python visits a row, an account, a position or a contract.
"""

from __future__ import annotations

import hashlib
import shutil
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypedDict, Unpack

import duckdb

from dagster_project.lib.duck import literal
from dagster_project.replay import sqlfiles
from dagster_project.replay.book import BookInfo, load_book, real_folders
from dagster_project.replay.clock import Clock
from dagster_project.replay.faults import Fault, ReplayError, ReplayInputError, ReplayInvariantError, ReplayOutputError
from dagster_project.replay.output import STRESS_TABLES, ReplayResult, output_faults, staging, write_tables
from dagster_project.replay.plans import OPTION
from dagster_project.replay.scenario import Scenario, load_scenario
from dagster_project.replay.scenario_tables import book_faults_of_scenario, put_scenario


def _connect(
    folders: Sequence[Path], spill: Path, memory_limit: str | None, threads: int | None
) -> duckdb.DuckDBPyConnection:
    """Open a private in-memory DuckDB that reads and writes only `folders` and spills to `spill`.

    Raises:
        ReplayInputError: the memory limit or thread count is not accepted by DuckDB.
    """
    con = duckdb.connect(
        ":memory:",
        config={
            "autoinstall_known_extensions": "false",
            "autoload_known_extensions": "false",
            "allow_community_extensions": "false",
        },
    )
    try:
        con.execute("set temp_directory = ?", [str(spill)])
        con.execute("set preserve_insertion_order = true")
        con.execute("set enable_progress_bar = false")
        con.execute(OPTION)
        _set_options(con, {"memory_limit": memory_limit, "threads": threads})
        con.execute("set allowed_directories = ?", [[str(folder) for folder in folders]])
        con.execute("set enable_external_access = false")
        con.execute("set lock_configuration = true")
    except BaseException:
        con.close()
        raise
    return con


def _set_options(con: duckdb.DuckDBPyConnection, options: Mapping[str, object]) -> None:
    """Set the options that are given.

    Raises:
        ReplayInputError: DuckDB does not accept a value.
    """
    faults = []
    for name, value in options.items():
        if value is not None:
            try:
                con.execute(f"set {name} = ?", [value])
            except duckdb.Error as error:
                rule = f"{value!r}: {str(error).splitlines()[0]}"
                faults.append(Fault("option", name, rule, "write memory_limit 512MB, threads 2"))
    if faults:
        raise ReplayInputError(faults)


def _named_row(con: duckdb.DuckDBPyConnection, query: str) -> dict[str, Any]:
    """Return the single row of a query by column name."""
    names = [item[0] for item in con.execute(f"describe {query}").fetchall()]
    return dict(zip(names, sqlfiles.one_row(con, query), strict=True))


def _residuals(con: duckdb.DuckDBPyConnection) -> dict[str, int]:
    """Return the largest absolute residual of each invariant over the steps."""
    row = _named_row(con, "select max(abs(columns(* exclude (step)))) as '\\0' from replay_ledger")
    return {name: int(value) for name, value in row.items()}


def tagged(con: duckdb.DuckDBPyConnection, tables: Sequence[str], tags: Mapping[str, str]) -> None:
    """Put the constant columns of a run before the columns of its result tables.

    One-value ENUMs: a million rows would otherwise carry the same hashes a million times.
    """
    items = ", ".join(f"{literal(value)}::enum({literal(value)}) as {name}" for name, value in tags.items())
    for table in tables:
        con.execute(f"alter table {table} rename to untagged_{table}")
        con.execute(f"create temp view {table} as select {items}, * from untagged_{table}")


class Options(TypedDict, total=False):
    """How to run, not what: no option changes a result."""

    memory_limit: str | None
    """DuckDB's own form, for example ``512MB``; beyond it the replay spills to a temporary folder."""
    threads: int | None
    """Number of threads."""
    progress: Callable[[int, int], None] | None
    """Called with (step, steps) after every step."""


def run_replay(
    book: Path,
    scenario: Path | Mapping[str, Any],
    out: Path | None = None,
    overrides: Sequence[str] = (),
    **options: Unpack[Options],
) -> ReplayResult:
    """Replay one scenario over one book.

    Args:
        book: folder with one Parquet or CSV file per book table.
        scenario: YAML file, or the same content as a mapping.
        out: folder for ``stress_*.parquet``; nothing is written there unless everything succeeded.
        overrides: ``dotted.key=yaml value``, laid over the scenario in order.
        options: see `Options`.

    Returns:
        The result with its tables in memory.

    Raises:
        ReplayInputError: book, scenario, options or output folder are refused, with every fault found.
        ReplayInvariantError: a conservation law does not hold (a defect of the engine).
        ReplayOutputError: the results could not be written.
        ReplayError: DuckDB gave up, for example for lack of memory or disk.
    """
    out = None if out is None else Path(out)
    faults = [] if out is None else output_faults(out)
    with staging(out if not faults else None) as stage:
        folders = [stage] if stage else []
        with played(book, scenario, overrides, folders=folders, faults=faults, **options) as run, translated():
            return _finish(run, stage, out)


@dataclass(frozen=True)
class Played:
    """A replay after its last step, before its result tables.

    Attributes:
        con: private DuckDB with the state in tables ``replay_*`` (units, legs, events, path, ledger).
        book: what is known of the book.
        scenario: the validated scenario.
    """

    con: duckdb.DuckDBPyConnection
    book: BookInfo
    scenario: Scenario


@contextmanager
def played(
    book: Path,
    scenario: Path | Mapping[str, Any],
    overrides: Sequence[str] = (),
    *,
    folders: Sequence[Path] = (),
    faults: Sequence[Fault] = (),
    **options: Unpack[Options],
) -> Iterator[Played]:
    """Play a scenario over a book and yield its state.

    Args:
        book: as for `run_replay`.
        scenario: as for `run_replay`.
        overrides: as for `run_replay`.
        folders: folders that the connection may write to.
        faults: faults that the caller found already; they are listed with those of book and scenario.
        options: see `Options`.

    Yields:
        The state after the last step; its connection closes with the context.

    Raises:
        ReplayInputError: book, scenario or options are refused, with every fault found.
        ReplayError: DuckDB gave up, or a step does not come to rest.
    """
    parsed, scenario_faults = load_scenario(scenario, overrides)
    found = [*faults, *scenario_faults]
    scenarios = [] if parsed is None else [parsed]
    with opened(book, scenarios, folders=folders, faults=found, **options) as table:
        with translated():
            play(table.con, scenarios[0], options.get("progress"))
        yield Played(table.con, table.book, scenarios[0])


@dataclass(frozen=True)
class Opened:
    """A book that was checked and stands ready for runs.

    Attributes:
        con: private DuckDB with the book in tables ``book_*``; a run's own tables are temporary, so each cursor can hold one.
        book: what is known of the book.
    """

    con: duckdb.DuckDBPyConnection
    book: BookInfo


@contextmanager
def opened(
    book: Path,
    scenarios: Sequence[Scenario],
    *,
    folders: Sequence[Path] = (),
    faults: Sequence[Fault] = (),
    **options: Unpack[Options],
) -> Iterator[Opened]:
    """Read and check a book, and the scenarios' names against its own.

    Args:
        book: folder with one Parquet or CSV file per book table.
        scenarios: what will be played over it.
        folders: folders that the connection may write to.
        faults: faults that the caller found already; they are listed with those found here.
        options: see `Options`.

    Yields:
        The book; its connection closes with the context.

    Raises:
        ReplayInputError: book, scenarios or options are refused, with every fault found.
        ReplayError: DuckDB gave up.
    """
    book = Path(book)
    private = Path(tempfile.mkdtemp(prefix="delever-replay-"))
    try:
        links = private / "book"
        links.mkdir()
        allowed = [links, *real_folders(book), *folders]
        con = _connect(allowed, private / "spill", options.get("memory_limit"), options.get("threads"))
        try:
            with translated():
                info, book_faults = load_book(con, book, links)
                found = [*faults, *book_faults]
                if info is not None:
                    for scenario in scenarios:
                        found += [fault for fault in book_faults_of_scenario(con, scenario) if fault not in found]
            if found or info is None:
                raise ReplayInputError(found)
            yield Opened(con, info)
        finally:
            con.close()
    finally:
        shutil.rmtree(private, ignore_errors=True)


@contextmanager
def translated() -> Iterator[None]:
    """Say DuckDB's errors in the replay's words.

    Raises:
        ReplayInputError: an amount left every scale.
        ReplayError: DuckDB gave up, for example for lack of memory or disk.
    """
    try:
        yield
    except duckdb.ConversionException as error:
        rule = "an amount of an account grew beyond 9e12 USD: the price left every scale"
        remedy = (
            "correct depth (USD per unit of log price), impact.coefficient or the shock, or set impact.max_displacement"
        )
        raise ReplayInputError([Fault("depth", "", rule, remedy)]) from error
    except duckdb.Error as error:
        first = str(error).strip().splitlines()[0]
        raise ReplayError(f"DuckDB could not finish the replay: {first}. Nothing was written.") from error


def play(
    con: duckdb.DuckDBPyConnection, scenario: Scenario, progress: Callable[[int, int], None] | None = None
) -> None:
    """Play a scenario over the book of a connection; its state is in the connection's tables ``replay_*``.

    Args:
        con: connection, or a cursor of it, with a checked book (`opened`).
        scenario: a scenario whose names were checked against the book.
        progress: called with (step, steps) after every step.

    Raises:
        ReplayInputError: a price leaves every scale.
        ReplayError: a step does not come to rest.
        duckdb.Error: DuckDB gave up; see `translated`.
    """
    put_scenario(con, scenario)
    clock = Clock(con, scenario, progress)
    clock.prepare()
    clock.play()


@dataclass(frozen=True)
class Found:
    """What a run found, with its tables in the connection that played it.

    Attributes:
        run_id: 16 hex digits made from the hashes of scenario and book.
        tags: constant columns of every table of the run, run_id first.
        summary: the row of ``stress_summary``.
        residuals: invariant name to residual, all 0.
    """

    run_id: str
    tags: dict[str, str]
    summary: dict[str, Any]
    residuals: dict[str, int]


def results(con: duckdb.DuckDBPyConnection, info: BookInfo, scenario: Scenario) -> Found:
    """Check the ledger of a run that was played and make its tables ``stress_*`` in the connection.

    Raises:
        ReplayInvariantError: a conservation law does not hold (a defect of the engine).
    """
    residuals = _residuals(con)
    if any(residuals.values()):
        raise ReplayInvariantError(residuals)
    for name in sqlfiles.sql_names():
        if name.startswith("9"):
            con.execute(sqlfiles.load_sql(name))
    summary = _named_row(con, "select * from stress_summary")
    scenario_hash = scenario.digest()
    tags = {
        "run_id": run_id_of(scenario_hash, info.digest),
        "scenario": scenario.scenario,
        "scenario_hash": scenario_hash,
        "book_hash": info.digest,
        "source_class": info.source_class,
    }
    tagged(con, STRESS_TABLES, tags)
    return Found(tags["run_id"], tags, summary, residuals)


def run_id_of(scenario_hash: str, book_hash: str) -> str:
    """Return the id of a run: the same inputs give the same."""
    return hashlib.sha256(f"{scenario_hash} {book_hash}".encode()).hexdigest()[:16]


def _finish(run: Played, stage: Path | None, out: Path | None) -> ReplayResult:
    """Make the result tables and write them if asked."""
    found = results(run.con, run.book, run.scenario)
    written: tuple[Path, ...] = ()
    if stage is not None and out is not None:
        written = write_tables(run.con, {name: f"from {name}" for name in STRESS_TABLES}, stage, out)
    return ReplayResult(
        run_id=found.run_id,
        scenario=run.scenario.scenario,
        scenario_hash=found.tags["scenario_hash"],
        book_hash=run.book.digest,
        source_class=run.book.source_class,
        origin=run.book.origin,
        summary=found.summary,
        residuals=found.residuals,
        tables=STRESS_TABLES,
        written=written,
        _arrow={name: run.con.execute(f"from {name}").to_arrow_table() for name in STRESS_TABLES},
    )


__all__ = [
    "Fault",
    "Found",
    "Opened",
    "Options",
    "Played",
    "ReplayError",
    "ReplayInputError",
    "ReplayInvariantError",
    "ReplayOutputError",
    "ReplayResult",
    "opened",
    "play",
    "played",
    "results",
    "run_id_of",
    "run_replay",
    "translated",
]
