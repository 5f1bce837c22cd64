"""The replay's driver: inputs in, steps of SQL in a fixed order, invariants checked, results out.

No statement of Python visits a row, an account, a position or a contract.
"""

from __future__ import annotations

import hashlib
import shutil
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import duckdb

from dagster_project.replay import sqlfiles
from dagster_project.replay.book import BookInfo, load_book, real_folders
from dagster_project.replay.faults import Fault, ReplayError, ReplayInputError, ReplayInvariantError, ReplayOutputError
from dagster_project.replay.output import STRESS_TABLES, ReplayResult, output_faults, staging, write_tables
from dagster_project.replay.scenario import TIERS, Scenario, load_scenario


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


def _book_faults_of_scenario(
    con: duckdb.DuckDBPyConnection, scenario: Scenario, named_modes: frozenset[str]
) -> list[Fault]:
    """Check the names of a scenario against the book."""

    def column(query: str) -> set[str]:
        return {str(row[0]) for row in con.execute(query).fetchall()}

    venues = column("select distinct venue from book_contract")
    assets = column("select distinct base_asset from book_contract")
    known = assets | column("select distinct base_asset from book_index_weight")
    vaults = column("select distinct venue from book_fund where mode = 'vault'")
    driver = scenario.driver()
    strays = set() if driver is not None else set(scenario.shock) - {"all"} - assets - set(TIERS)
    has_venues, has_assets = f"it has {', '.join(sorted(venues))}", f"it has {', '.join(sorted(known))}"
    can_name = f"name one of {', '.join([*sorted(assets), *TIERS])} or all"
    faults = [
        Fault("scenario", f"venues.{name}", "the book has no such venue", has_venues)
        for name in sorted(set(scenario.venues) - {"default"} - venues)
    ]
    if driver is not None and driver not in known:
        faults.append(Fault("scenario", "shock.driver", f"the book has no asset {driver}", has_assets))
    faults += [
        Fault("scenario", f"shock.{name}", "neither an asset of the book nor a tier", can_name)
        for name in sorted(strays)
    ]
    # a default of cash_pool must not silently turn a vault into a pool: the scenario has to say so of that venue
    faults += [
        Fault(
            "fund",
            f"{name} mode",
            "a vault is not computed by this engine yet",
            f"set venues.{name}.fund.mode: cash_pool to replay it as a plain pool",
        )
        for name in sorted(vaults - named_modes)
    ]
    return faults


def _put_scenario(con: duckdb.DuckDBPyConnection, scenario: Scenario) -> None:
    """Put what the SQL needs of the scenario into small tables, by bound values."""
    con.execute("create or replace temp table scenario_run (law varchar, coefficient double, depth_multiplier double)")
    con.execute(
        "insert into scenario_run values (?, ?, ?)",
        [scenario.impact.law, scenario.impact.coefficient, scenario.depth.multiplier],
    )
    con.execute("create or replace temp table scenario_shock (scope varchar, name varchar, log_move double)")
    con.executemany("insert into scenario_shock values (?, ?, ?)", [list(move) for move in scenario.moves_at(0.0)])
    con.execute("create or replace temp table scenario_venue (venue varchar, fee_rate double)")
    names = [str(row[0]) for row in con.execute("select distinct venue from book_contract").fetchall()]
    con.executemany(
        "insert into scenario_venue values (?, ?)",
        [[name, scenario.venue(name).liquidation.fee_rate] for name in names],
    )


def _refuse(con: duckdb.DuckDBPyConnection, step: str, table: str, rule: str, remedy: str) -> None:
    """Refuse the run if the query `step` returns any key.

    Raises:
        ReplayInputError: it does; the first keys are named.
    """
    keys = [str(row[0]) for row in con.execute(sqlfiles.load_sql(step)).fetchall()]
    if keys:
        place = ", ".join(keys[:3]) + (", ..." if len(keys) > 3 else "")
        raise ReplayInputError([Fault(table, place, rule, remedy, len(keys))])


def _compute(con: duckdb.DuckDBPyConnection) -> None:
    """Run the steps of the replay over the loaded book and scenario; leaves ``replay_*`` and ``stress_*`` tables.

    Raises:
        ReplayInputError: the book and scenario together are outside what the window pass computes.
    """

    def run(*names: str) -> None:
        for name in names:
            con.execute(sqlfiles.load_sql(name))

    run("05_macros", "10_contract", "20_position", "25_tier", "30_threshold", "40_driven")
    _refuse(
        con,
        "45_two_sided",
        "position",
        "longs and shorts are both in breach at the shocked price; a one-sided replay cannot order them",
        "remove the accounts that are bankrupt before the shock, or correct collateral and entry_price",
    )
    run("50_stop", "52_atom")
    _refuse(
        con,
        "55_too_far",
        "depth",
        "the shock and the forced flow move the price by more than 25 log units",
        "correct depth (USD per unit of log price), impact.coefficient or the shock",
    )
    run("60_round_start")
    known = -1
    while (ends := _count(con, "replay_round_end")) != known:
        known = ends
        run("61_round_double")
    run("65_round", "70_fill", "72_maker", "80_settle", "85_ledger")


def _count(con: duckdb.DuckDBPyConnection, table: str) -> int:
    return int(sqlfiles.one_row(con, f"select count(*) from {table}")[0])


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


def run_replay(
    book: Path,
    scenario: Path | Mapping[str, Any],
    out: Path | None = None,
    overrides: Sequence[str] = (),
    memory_limit: str | None = None,
    threads: int | None = None,
) -> ReplayResult:
    """Replay one scenario over one book.

    Args:
        book: folder with one Parquet or CSV file per book table.
        scenario: YAML file, or the same content as a mapping.
        out: folder for ``stress_*.parquet``; nothing is written there unless everything succeeded.
        overrides: ``dotted.key=yaml value``, laid over the scenario in order.
        memory_limit: DuckDB's own form, for example ``512MB``; beyond it the replay spills to a temporary folder.
        threads: number of threads; the result does not depend on it.

    Returns:
        The result with its tables in memory.

    Raises:
        ReplayInputError: book, scenario, options or output folder are refused, with every fault found.
        ReplayInvariantError: a conservation law does not hold (a defect of the engine).
        ReplayOutputError: the results could not be written.
        ReplayError: DuckDB gave up, for example for lack of memory or disk.
    """
    book = Path(book)
    out = None if out is None else Path(out)
    parsed, named_modes, faults = load_scenario(scenario, overrides)
    if out is not None:
        faults += output_faults(out)
        if faults and any(fault.where == "out" for fault in faults):
            out = None
    private = Path(tempfile.mkdtemp(prefix="delever-replay-"))
    try:
        links = private / "book"
        links.mkdir()
        with staging(out if not faults else None) as stage:
            con = _connect(
                [links, *real_folders(book), *([stage] if stage else [])],
                private / "spill",
                memory_limit,
                threads,
            )
            try:
                info, book_faults = load_book(con, book, links)
                faults += book_faults
                if info is not None and parsed is not None:
                    faults += _book_faults_of_scenario(con, parsed, named_modes)
                if faults or info is None or parsed is None:
                    raise ReplayInputError(faults)
                _put_scenario(con, parsed)
                _compute(con)
                return _finish(con, info, parsed, stage, out)
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
    for name in ("90_outcome", "91_path", "92_fund", "93_adl", "94_owner", "95_summary"):
        con.execute(sqlfiles.load_sql(name))
    con.execute("create or replace temp table stress_ledger as select * from replay_ledger order by step")
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
