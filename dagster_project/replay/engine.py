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

from dagster_project.replay import sqlfiles
from dagster_project.replay.book import BookInfo, load_book, real_folders
from dagster_project.replay.faults import Fault, ReplayError, ReplayInputError, ReplayInvariantError, ReplayOutputError
from dagster_project.replay.output import STRESS_TABLES, ReplayResult, output_faults, staging, write_tables
from dagster_project.replay.scenario import Scenario, load_scenario
from dagster_project.replay.scenario_tables import book_faults_of_scenario, put_now, put_scenario


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


class _Clock:
    """Drives the steps and rounds: which SQL file runs when. It asks DuckDB only whether there is something to do.

    Args:
        con: connection with the book and the scenario's tables.
        scenario: the validated scenario.
        progress: called with (step, steps) after every step.
    """

    def __init__(
        self, con: duckdb.DuckDBPyConnection, scenario: Scenario, progress: Callable[[int, int], None] | None
    ) -> None:
        self.con = con
        self.scenario = scenario
        self.progress = progress
        self.venues = [str(row[0]) for row in con.execute("select venue from scenario_venue order by venue").fetchall()]
        self.text: dict[str, str] = {}

    def run(self, *names: str) -> None:
        """Run SQL files in order."""
        for name in names:
            if name not in self.text:
                self.text[name] = sqlfiles.load_sql(name)
            self.con.execute(self.text[name])

    def any(self, query: str) -> bool:
        """Return whether a query has a row."""
        return self.con.execute(f"select 1 from {query} limit 1").fetchone() is not None

    def set_time(self, step: int, round_no: int = 0) -> None:
        """Set the clock's one row."""
        self.con.execute("delete from replay_clock")
        self.con.execute(
            "insert into replay_clock values (?, ?, ?)", [step, step * self.scenario.clock.step_seconds, round_no]
        )

    def prepare(self) -> None:
        """Make the state at t0: units, legs, funds; cut what a leverage cap forbids."""
        self.con.execute("create or replace temp table replay_clock (step integer, seconds double, round integer)")
        self.set_time(0)
        put_now(self.con, self.scenario, self.venues, None)
        self.run("05_macros", "10_contract", "15_unit", "20_position", "28_start", "30_step", "35_round", "40_mark")
        self.run("27_everyone", "50_margin")
        if self.any("scenario_venue where leverage_cap is not null"):
            self.run("25_leverage_cap", "62_apply", "27_everyone", "50_margin")
        self.run("26_calm", "29_hedge")
        self.has_hedges = self.any("replay_hedge")
        self.has_breakers = self.any("scenario_venue where breaker_move is not null")
        self.has_policy = self.any("scenario_venue where adl_policy != 'none'")
        self.has_top_ups = self.scenario.owners.top_up_below is not None

    def play(self) -> None:
        """Run all steps."""
        steps = self.scenario.clock.steps
        for step in range(steps + 1):
            self.step(step)
            if self.progress is not None:
                self.progress(step, steps)

    def step(self, step: int) -> None:
        """Run one step of the clock."""
        self.set_time(step)
        put_now(self.con, self.scenario, self.venues, step * self.scenario.clock.step_seconds)
        self.run("30_step")
        if step and self.has_hedges:
            self.run("33_accrue")
        if step and self.has_top_ups:
            self.run("32_arrival", "62_apply")
        self.run("40_mark", "34_still")
        if self.has_breakers:
            self.run("37_halt")
        round_no = 1
        while self.round(step, round_no):
            round_no += 1
            if round_no > self.scenario.clock.max_rounds:
                raise ReplayError(
                    f"Step {step} did not come to rest within clock.max_rounds = {self.scenario.clock.max_rounds} rounds. "
                    "Raise it, or look for a depth or cool-down that lets the same accounts breach for ever. Nothing was written."
                )
        self.run("66_funds", "50_margin", "67_purse", "85_step_end", "89_invariants")
        if self.has_hedges:
            self.run("86_naked")
        if self.has_top_ups:
            self.run("45_active", "50_margin", "87_request")
            if self.any("replay_asking"):
                self.run("50_margin", "88_transfer", "62_apply")

    def refuse_far_prices(self) -> None:
        """Refuse prices that no double can carry any more.

        Raises:
            ReplayInputError: shock and forced flow move a price by more than 25 log units.
        """
        keys = [str(row[0]) for row in self.con.execute(sqlfiles.load_sql("42_too_far")).fetchall()]
        if keys:
            place = ", ".join(keys[:3]) + (", ..." if len(keys) > 3 else "")
            rule = "the shock and the forced flow move the price by more than 25 log units"
            remedy = "correct depth (USD per unit of log price), impact.coefficient or the shock, or set impact.max_displacement"
            raise ReplayInputError([Fault("depth", place, rule, remedy, len(keys))])

    def round(self, step: int, round_no: int) -> bool:
        """Run one round; return whether anything was filled, taken over or deleveraged."""
        self.set_time(step, round_no)
        self.run("35_round")
        if round_no > 1:
            self.run("40_mark")
        self.refuse_far_prices()
        self.run("45_active")
        if self.any("replay_wanted"):
            self.run("50_margin", "55_breach")
        if self.any("replay_breach"):
            self.run("57_order")
        if (
            round_no == 1
            and self.has_hedges
            and self.any("replay_hedge where due_seconds <= (select seconds from replay_clock)")
        ):
            self.run("58_rehedge")
        if self.any("replay_order"):
            self.run("60_fill", "62_apply")
        if self.any("replay_breach") or self.any("replay_fill"):
            self.run("63_taken", "50_margin", "65_takeover", "62_apply")
        happened = self.any("replay_fill") or self.any("replay_taken")
        may_call = self.has_policy and self.any(
            "replay_leg as l inner join replay_unit as u on l.unit_no = u.unit_no where u.kind = 'fund'"
        )
        if happened or may_call:
            self.run("66_funds", "50_margin", "67_purse")
            if self.has_policy:
                self.run("70_call")
                if self.any("replay_call where wanted > 0"):
                    self.run("50_margin", "75_deleverage", "62_apply")
            self.run("80_settle", "62_apply")
        return happened or self.any("replay_slice")


def _named_row(con: duckdb.DuckDBPyConnection, query: str) -> dict[str, Any]:
    """Return the single row of a query by column name."""
    names = [item[0] for item in con.execute(f"describe {query}").fetchall()]
    return dict(zip(names, sqlfiles.one_row(con, query), strict=True))


def _residuals(con: duckdb.DuckDBPyConnection) -> dict[str, int]:
    """Return the largest absolute residual of each invariant over the steps."""
    row = _named_row(con, "select max(abs(columns(* exclude (step)))) as '\\0' from replay_ledger")
    return {name: int(value) for name, value in row.items()}


def _tag_tables(con: duckdb.DuckDBPyConnection, constants: Mapping[str, str]) -> None:
    """Put the constant columns of a run before the columns of every result table.

    One-value ENUMs: a million rows would otherwise carry the same hashes a million times.
    """
    for name, value in constants.items():
        literal = value.replace("'", "''")
        con.execute(f"create type tag_{name} as enum ('{literal}')")
    tags = ", ".join(
        f"'{value.replace(chr(39), chr(39) * 2)}'::tag_{name} as {name}" for name, value in constants.items()
    )
    for table in STRESS_TABLES:
        con.execute(f"alter table {table} rename to untagged_{table}")
        con.execute(f"create temp view {table} as select {tags}, * from untagged_{table}")


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
        with played(book, scenario, overrides, folders=folders, faults=faults, **options) as run:
            return _finish(run.con, run.book, run.scenario, stage, out)


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
    book = Path(book)
    parsed, scenario_faults = load_scenario(scenario, overrides)
    found = [*faults, *scenario_faults]
    private = Path(tempfile.mkdtemp(prefix="delever-replay-"))
    try:
        links = private / "book"
        links.mkdir()
        con = _connect(
            [links, *real_folders(book), *folders],
            private / "spill",
            options.get("memory_limit"),
            options.get("threads"),
        )
        try:
            info, book_faults = load_book(con, book, links)
            found += book_faults
            if info is not None and parsed is not None:
                found += book_faults_of_scenario(con, parsed)
            if found or info is None or parsed is None:
                raise ReplayInputError(found)
            put_scenario(con, parsed)
            clock = _Clock(con, parsed, options.get("progress"))
            clock.prepare()
            clock.play()
            yield Played(con, info, parsed)
        except duckdb.ConversionException as error:
            rule = "an amount of an account grew beyond 9e12 USD: the price left every scale"
            remedy = "correct depth (USD per unit of log price), impact.coefficient or the shock, or set impact.max_displacement"
            raise ReplayInputError([Fault("depth", "", rule, remedy)]) from error
        except duckdb.Error as error:
            first = str(error).strip().splitlines()[0]
            raise ReplayError(f"DuckDB could not finish the replay: {first}. Nothing was written.") from error
        finally:
            con.close()
    finally:
        shutil.rmtree(private, ignore_errors=True)


def _finish(
    con: duckdb.DuckDBPyConnection, info: BookInfo, scenario: Scenario, stage: Path | None, out: Path | None
) -> ReplayResult:
    """Check the ledger, make the result tables and write them if asked."""
    residuals = _residuals(con)
    if any(residuals.values()):
        raise ReplayInvariantError(residuals)
    for name in sqlfiles.sql_names():
        if name.startswith("9"):
            con.execute(sqlfiles.load_sql(name))
    summary = _named_row(con, "select * from stress_summary")

    scenario_hash = scenario.digest()
    run_id = hashlib.sha256(f"{scenario_hash} {info.digest}".encode()).hexdigest()[:16]
    _tag_tables(
        con,
        {
            "run_id": run_id,
            "scenario": scenario.scenario,
            "scenario_hash": scenario_hash,
            "book_hash": info.digest,
            "source_class": info.source_class,
        },
    )
    written: tuple[Path, ...] = ()
    if stage is not None and out is not None:
        written = write_tables(con, STRESS_TABLES, stage, out)
    return ReplayResult(
        run_id=run_id,
        scenario=scenario.scenario,
        scenario_hash=scenario_hash,
        book_hash=info.digest,
        source_class=info.source_class,
        origin=info.origin,
        summary=summary,
        residuals=residuals,
        tables=STRESS_TABLES,
        written=written,
        _arrow={name: con.execute(f"from {name}").to_arrow_table() for name in STRESS_TABLES},
    )


__all__ = [
    "Fault",
    "ReplayError",
    "ReplayInputError",
    "ReplayInvariantError",
    "ReplayOutputError",
    "ReplayResult",
    "run_replay",
]
