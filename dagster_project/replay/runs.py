"""Many scenarios over one book, several at a time: the book is read once, every run has a cursor of the same DuckDB."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from typing import Any

import duckdb

from dagster_project.replay.engine import Opened, Options, play, results, translated
from dagster_project.replay.faults import ReplayError, ReplayInputError, ReplayInvariantError
from dagster_project.replay.scenario import Scenario


class RunsOptions(Options, total=False):
    """How to run, not what: no option changes a result."""

    jobs: int | None
    """Runs at a time; None: as many as there are cores."""


def of_engine(options: RunsOptions, runs: int) -> Options:
    """Return the options that a book is opened with.

    Args:
        options: see `RunsOptions`; without threads, runs at a time share the cores: the statements of a round are small, and to
            spread one over threads costs more than it saves where another run could have the core.
        runs: how many there are to play.
    """
    cores = os.cpu_count() or 1
    threads = options.get("threads") or max(1, cores // at_a_time(options.get("jobs"), runs))
    return {"memory_limit": options.get("memory_limit"), "threads": threads}


def at_a_time(jobs: int | None, runs: int) -> int:
    """Return how many of the runs are played at a time."""
    return max(1, min(jobs or os.cpu_count() or 1, runs))


@dataclass(frozen=True)
class Done:
    """A run that ended.

    Attributes:
        con: cursor with its tables ``stress_*``.
        scenario: what was played.
        summary: the row of ``stress_summary``; empty if it failed.
        fault: why it failed, or an empty text.
        broken: the invariant that it broke, if that is why.
    """

    con: duckdb.DuckDBPyConnection
    scenario: Scenario
    summary: dict[str, Any]
    fault: str
    broken: ReplayInvariantError | None = None


def run_all(table: Opened, scenarios: Sequence[Scenario], jobs: int | None) -> Iterator[Done]:
    """Play scenarios over an opened book; of several with one meaning the first is played.

    Args:
        table: the book.
        scenarios: what to play, checked against the book.
        jobs: runs at a time; None: as many as there are cores.

    Yields:
        Each run as it ends, in no order; its cursor closes when the next one is asked for.
    """
    distinct = {scenario.digest(): scenario for scenario in reversed(scenarios)}
    waiting = list(distinct.values())
    jobs = at_a_time(jobs, len(waiting))
    running: dict[Future[Done], duckdb.DuckDBPyConnection] = {}
    with ThreadPoolExecutor(jobs, thread_name_prefix="replay") as pool:
        try:
            while waiting or running:
                while waiting and len(running) < jobs:
                    con = table.con.cursor()
                    running[pool.submit(_run, con, table, waiting.pop())] = con
                ended, _ = wait(running, return_when=FIRST_COMPLETED)
                for future in ended:
                    con = running.pop(future)
                    yield future.result()
                    con.close()
        finally:
            # a run may be in the middle of a long statement: it is told to stop, or leaving the pool would wait for it
            for con in running.values():
                con.interrupt()


def _run(con: duckdb.DuckDBPyConnection, table: Opened, scenario: Scenario) -> Done:
    """Play one scenario in a cursor and make its tables; why it failed is told, not raised."""
    try:
        with translated():
            play(con, scenario)
            return Done(con, scenario, results(con, table.book, scenario).summary, "")
    except ReplayInputError as error:
        return Done(con, scenario, {}, "; ".join(map(str, error.faults)))
    except ReplayError as error:
        # what is written of the others is told by those who wait for them
        broken = error if isinstance(error, ReplayInvariantError) else None
        return Done(con, scenario, {}, str(error).replace(" Nothing was written.", ""), broken)


__all__ = ["Done", "RunsOptions", "of_engine", "run_all"]
