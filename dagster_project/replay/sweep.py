"""A sweep: every scenario that a file with ``grid`` or ``what_if`` stands for, over one book."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Unpack

from dagster_project.replay.engine import Opened, opened, run_id_of, translated
from dagster_project.replay.faults import ReplayError
from dagster_project.replay.grid import Point, load_sweep
from dagster_project.replay.output import SWEEP_TABLE, copy_table, output_faults, staging, write_tables
from dagster_project.replay.runs import Done, RunsOptions, of_engine, run_all
from dagster_project.replay.scenario_tables import put
from dagster_project.replay.sqlfiles import load_sql

SWEPT_TABLES = ("stress_outcome", "stress_path", "stress_fund", "stress_ledger", "stress_score", "stress_summary")
"""Tables of a run that a sweep keeps. Those by account, event and owner are as large as the book, for every run."""

_RUN = {"run_no": "integer", "run_id": "varchar", "scenario_hash": "varchar", "fault": "varchar"}
_SETTING = {"run_no": "integer", "parameter": "varchar", "value": "varchar"}
_SWEEP = {"sweep_id": "varchar", "scenario": "varchar", "book_hash": "varchar", "source_class": "varchar"}


@dataclass(frozen=True)
class SweptRun:
    """One run of a sweep.

    Attributes:
        point: its place, settings and scenario.
        run_id: as of a single replay of the same scenario and book.
        summary: the row of ``stress_summary``; empty if it failed.
        fault: why it failed, or an empty text.
        is_broken: whether it failed because a conservation law does not hold (a defect of the engine).
    """

    point: Point
    run_id: str
    summary: dict[str, Any]
    fault: str = ""
    is_broken: bool = False


@dataclass(frozen=True)
class SweepResult:
    """What a sweep found.

    Attributes:
        sweep_id: 16 hex digits made from the ids of its runs.
        scenario: name of the scenario.
        book_hash: SHA-256 of the book's content.
        source_class: measured, estimated or synthetic, as the book says of itself.
        runs: every run, in order.
        written: files written.
    """

    sweep_id: str
    scenario: str
    book_hash: str
    source_class: str
    runs: tuple[SweptRun, ...]
    written: tuple[Path, ...]


def run_sweep(
    book: Path,
    source: Path | Mapping[str, Any],
    out: Path,
    overrides: Sequence[str] = (),
    grid: Sequence[str] = (),
    **options: Unpack[RunsOptions],
) -> SweepResult:
    """Play every scenario of a sweep over one book.

    Args:
        book: folder with one Parquet or CSV file per book table.
        source: YAML file with ``grid`` or ``what_if``, or the same content as a mapping.
        out: folder for ``stress_sweep.parquet`` and the tables of `SWEPT_TABLES`, each with the rows of all runs.
        overrides: ``dotted.key=yaml value``, laid over the scenario in order.
        grid: ``dotted.key=[value, ...]``, laid over the file's grid.
        options: see `RunsOptions`; progress is called with (runs that ended, runs).

    Returns:
        The runs with their summaries; one that failed has its fault there and no rows in the tables.

    Raises:
        ReplayInputError: book, sweep, options or output folder are refused, with every fault found; nothing ran.
        ReplayOutputError: the results could not be written.
        ReplayError: DuckDB gave up, or every run failed.
    """
    out = Path(out)
    points, faults = load_sweep(source, overrides, grid)
    faults = [*output_faults(out), *faults]
    scenarios = [point.scenario for point in points]
    with staging(None if faults else out) as stage:
        folders = [] if stage is None else [stage]
        with opened(book, scenarios, folders=folders, faults=faults, **of_engine(options, len(scenarios))) as table:
            assert stage is not None  # noqa: S101 - without a folder there was a fault, and `opened` raised it
            ended = _play_all(table, points, stage, options)
            runs = tuple(_swept(point, ended[point.scenario.digest()], table) for point in points)
            if all(run.fault for run in runs):
                raise ReplayError(f"Every run of the sweep failed, the first: {runs[0].fault} Nothing was written.")
            sweep_id = hashlib.sha256(" ".join(run.run_id for run in runs).encode()).hexdigest()[:16]
            _put_runs(table, sweep_id, runs)
            with translated():
                table.con.execute(load_sql(f"sweep/{SWEEP_TABLE}"))
                parts = {name: f"from read_parquet('{_glob(stage / name)}')" for name in SWEPT_TABLES}
                written = write_tables(table.con, {SWEEP_TABLE: f"from {SWEEP_TABLE}", **parts}, stage, out)
            return SweepResult(
                sweep_id, runs[0].point.scenario.scenario, table.book.digest, table.book.source_class, runs, written
            )


def _play_all(table: Opened, points: Sequence[Point], stage: Path, options: RunsOptions) -> dict[str, Done]:
    """Play the points and keep the tables of each run; returns the runs by the hash of their scenario."""
    number = {point.scenario.digest(): point.number for point in reversed(points)}
    ended: dict[str, Done] = {}
    progress = options.get("progress")
    for name in SWEPT_TABLES:
        (stage / name).mkdir()
    for done in run_all(table, [point.scenario for point in points], options.get("jobs")):
        digest = done.scenario.digest()
        ended[digest] = done
        if not done.fault:
            with translated():
                for name in SWEPT_TABLES:
                    copy_table(done.con, f"from {name}", stage / name / f"{number[digest]:05}.parquet")
        if progress is not None:
            progress(len(ended), len(number))
    return ended


def _swept(point: Point, done: Done, table: Opened) -> SweptRun:
    run_id = run_id_of(point.scenario.digest(), table.book.digest)
    return SweptRun(point, run_id, done.summary, done.fault, done.broken is not None)


def _glob(folder: Path) -> str:
    """Return a pattern of the folder's files; in the folder's own name nothing is a pattern."""
    escaped = "".join(f"[{char}]" if char in "*?[" else char for char in str(folder))
    return f"{escaped}/*.parquet".replace("'", "''")


def _put_runs(table: Opened, sweep_id: str, runs: Sequence[SweptRun]) -> None:
    """Put what stress_sweep is made of."""
    first = runs[0].point.scenario.scenario
    put(table.con, "sweep", _SWEEP, [(sweep_id, first, table.book.digest, table.book.source_class)])
    rows = [(run.point.number, run.run_id, run.point.scenario.digest(), run.fault or None) for run in runs]
    put(table.con, "sweep_run", _RUN, rows)
    settings = [(run.point.number, key, value) for run in runs for key, value in run.point.settings.items()]
    put(table.con, "sweep_setting", _SETTING, settings)


__all__ = ["SWEPT_TABLES", "SweepResult", "SweptRun", "run_sweep"]
