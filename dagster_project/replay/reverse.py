"""The reverse stress test: the smallest shock at which a named outcome first goes beyond a limit, by whole replays.

What happens is not monotone in the shock (docs/method_replay.md), so the search looks at evenly spaced shocks from below
first, and halves only the first step in which the outcome appears: "smallest" is so at the width of these steps.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path
from typing import Any, Unpack

from dagster_project.replay.engine import Opened, opened, run_id_of, translated
from dagster_project.replay.faults import Fault, ReplayError
from dagster_project.replay.output import REVERSE_TABLE, output_faults, staging, write_tables
from dagster_project.replay.runs import RunsOptions, of_engine, run_all
from dagster_project.replay.scenario import Scenario, load_scenario
from dagster_project.replay.scenario_tables import put
from dagster_project.replay.sqlfiles import load_sql, one_row

_TRIAL = {
    "multiplier": "double",
    "value": "double",
    "run_id": "varchar",
    "scenario_hash": "varchar",
    "fault": "varchar",
}
_REVERSE = {
    "reverse_id": "varchar",
    "scenario": "varchar",
    "book_hash": "varchar",
    "source_class": "varchar",
    "outcome": "varchar",
    "unit": "varchar",
    "outcome_limit": "double",
    "largest_log_move": "double",
    "below": "double",
    "beyond": "double",
}
MAX_MULTIPLIER = 100.0


@dataclass(frozen=True)
class Outcome:
    """Something that can go wrong in a run, as one number.

    Attributes:
        name: what it is called.
        unit: of its number and its limit.
        limit: default limit, None where one has to be said.
        says: what it is.
        query: SELECT of one number from the tables of a run.
    """

    name: str
    unit: str
    limit: float | None
    says: str
    query: str


@cache
def outcomes() -> dict[str, Outcome]:
    """Return the outcomes of ``sql/reverse/outcomes.sql`` by name."""
    found = {}
    for block in load_sql("reverse/outcomes").split("-- @outcome ")[1:]:
        head, _, query = block.partition("\n")
        name, unit, limit, says = (part.strip() for part in head.split("|"))
        found[name] = Outcome(name, unit, float(limit) if limit else None, says, query.strip().removesuffix(";"))
    return found


@dataclass(frozen=True)
class Search:
    """What to look for, and where.

    Attributes:
        outcome: name of one of `outcomes`.
        limit: the outcome happens above it; None: the outcome's default.
        low: smallest multiplier of the shock that is tried.
        high: largest.
        scan: evenly spaced steps from low to high that are tried before halving.
        tolerance: width of the bracket at which halving ends, in units of the multiplier.
    """

    outcome: str
    limit: float | None = None
    low: float = 0.0
    high: float = 2.0
    scan: int = 8
    tolerance: float = 0.01

    def faults(self) -> list[Fault]:
        """Return what is wrong with the search itself."""
        found = []
        known = outcomes().get(self.outcome)
        if known is None:
            found.append(
                Fault("reverse", "outcome", f"no outcome {self.outcome}", f"name one of {', '.join(outcomes())}")
            )
        elif known.limit is None and self.limit is None:
            found.append(Fault("reverse", "limit", f"{self.outcome} needs a limit", f"write --limit, in {known.unit}"))
        if self.limit is not None and not math.isfinite(self.limit):
            found.append(Fault("reverse", "limit", "must be a finite number", "correct the limit"))
        if not 0 <= self.low < self.high <= MAX_MULTIPLIER:
            rule = f"must be 0 <= from < to <= {MAX_MULTIPLIER:g}"
            found.append(Fault("reverse", "from, to", rule, "write --from 0 --to 2: multiples of the scenario's shock"))
        if not 1 <= self.scan <= 1000:
            found.append(Fault("reverse", "scan", "must be 1 to 1000 steps", "write --scan 8"))
        if not self.tolerance >= 1e-6:
            found.append(Fault("reverse", "tolerance", "must be at least 1e-6", "write --tolerance 0.01"))
        return found


@dataclass(frozen=True)
class Trial:
    """One replay of the search.

    Attributes:
        multiplier: factor on the scenario's shock.
        value: the outcome's number; None if the run failed.
        run_id: as of a single replay with ``shock_multiplier`` set.
        scenario_hash: of the scenario with it.
        fault: why it failed, or an empty text.
    """

    multiplier: float
    value: float | None
    run_id: str
    scenario_hash: str
    fault: str = ""


@dataclass(frozen=True)
class ReverseResult:
    """What a reverse stress test found.

    Attributes:
        reverse_id: 16 hex digits made from scenario, book and search.
        scenario: name of the scenario.
        source_class: measured, estimated or synthetic, as the book says of itself.
        outcome: what was looked for.
        limit: the outcome happens above it.
        largest_log_move: largest log move of the scenario's shock, signed, at multiplier 1.
        below: largest multiplier tried below the first at which the outcome happens; None if it happens at the smallest tried.
        beyond: that first multiplier; None if the outcome never happens.
        trials: every replay, by multiplier.
        written: files written.
    """

    reverse_id: str
    scenario: str
    source_class: str
    outcome: Outcome
    limit: float
    largest_log_move: float
    below: float | None
    beyond: float | None
    trials: tuple[Trial, ...]
    written: tuple[Path, ...] = ()


@dataclass
class _Hunt:
    """The state of a search over an opened book."""

    table: Opened
    scenario: Scenario
    outcome: Outcome
    limit: float
    options: RunsOptions
    trials: dict[float, Trial] = field(default_factory=dict)

    def ask(self, multipliers: Sequence[float]) -> None:
        """Play the shocks that were not played yet."""
        fresh = [
            (value, self.scenario.model_copy(update={"shock_multiplier": value}))
            for value in multipliers
            if value not in self.trials
        ]
        by_digest = {scenario.digest(): value for value, scenario in fresh}
        for done in run_all(self.table, [scenario for _, scenario in fresh], self.options.get("jobs")):
            multiplier = by_digest[done.scenario.digest()]
            value = None
            if done.broken is not None:
                # the outcome of no other trial can be trusted to be the first
                raise done.broken
            if not done.fault:
                with translated():
                    value = float(one_row(done.con, self.outcome.query)[0])
            digest = done.scenario.digest()
            self.trials[multiplier] = Trial(
                multiplier, value, run_id_of(digest, self.table.book.digest), digest, done.fault
            )
            progress = self.options.get("progress")
            if progress is not None:
                progress(len(self.trials), 0)

    def is_beyond(self, multiplier: float) -> bool:
        """Whether the outcome happened; a run that failed says neither, and ends the search."""
        trial = self.trials[multiplier]
        if trial.value is None:
            raise ReplayError(
                f"The replay at {multiplier:g} times the shock failed, so the search cannot go on: {trial.fault} "
                "Nothing was written. Search below it with --to."
            )
        return trial.value > self.limit

    def bracket(self, search: Search) -> tuple[float | None, float | None]:
        """Return the two tried multipliers between which the outcome first happens."""
        grid = [search.low + (search.high - search.low) * step / search.scan for step in range(search.scan + 1)]
        jobs = self.options.get("jobs") or 1
        first = None
        for start in range(0, len(grid), jobs):
            chunk = grid[start : start + jobs]
            self.ask(chunk)
            first = next((value for value in chunk if self.is_beyond(value)), None)
            if first is not None:
                break
        if first is None:
            return grid[-1], None
        if first == grid[0]:
            return None, first
        below, beyond = grid[grid.index(first) - 1], first
        while beyond - below > search.tolerance:
            middle = (below + beyond) / 2
            self.ask([middle])
            below, beyond = (below, middle) if self.is_beyond(middle) else (middle, beyond)
        return below, beyond


def run_reverse(
    book: Path,
    scenario: Path | Mapping[str, Any],
    search: Search,
    out: Path | None = None,
    overrides: Sequence[str] = (),
    **options: Unpack[RunsOptions],
) -> ReverseResult:
    """Look for the smallest multiple of a scenario's shock at which an outcome goes beyond a limit.

    Args:
        book: folder with one Parquet or CSV file per book table.
        scenario: YAML file, or the same content as a mapping; its ``shock_multiplier`` is what is varied.
        search: what to look for.
        out: folder for ``stress_reverse.parquet``; None: nothing is written.
        overrides: ``dotted.key=yaml value``, laid over the scenario in order.
        options: see `RunsOptions`; progress is called with (replays so far, 0).

    Returns:
        The bracket and every replay of the search.

    Raises:
        ReplayInputError: book, scenario, search or output folder are refused, with every fault found; nothing ran.
        ReplayInvariantError: a conservation law does not hold (a defect of the engine).
        ReplayOutputError: the results could not be written.
        ReplayError: a replay of the search failed.
    """
    out = None if out is None else Path(out)
    parsed, faults = load_scenario(scenario, overrides)
    faults = [*search.faults(), *([] if out is None else output_faults(out)), *faults]
    if parsed is not None and parsed.shock_multiplier != 1:
        remedy = "leave it out: it is what the search varies"
        faults.append(Fault("scenario", "shock_multiplier", "must be 1 in a reverse stress test", remedy))
    scenarios = [] if parsed is None else [parsed]
    with staging(None if faults else out) as stage:
        folders = [] if stage is None else [stage]
        with opened(
            book, scenarios, folders=folders, faults=faults, **of_engine(options, options.get("jobs") or 1)
        ) as table:
            outcome = outcomes()[search.outcome]
            limit = search.limit if search.limit is not None else float(outcome.limit or 0)
            hunt = _Hunt(table, scenarios[0], outcome, limit, options)
            below, beyond = hunt.bracket(search)
            trials = tuple(hunt.trials[value] for value in sorted(hunt.trials))
            # made from the question: how many replays were played at a time changes which were tried, not the bracket
            text = f"{run_id_of(scenarios[0].digest(), table.book.digest)} {search!r} {limit!r}"
            result = ReverseResult(
                reverse_id=hashlib.sha256(text.encode()).hexdigest()[:16],
                scenario=scenarios[0].scenario,
                source_class=table.book.source_class,
                outcome=outcome,
                limit=limit,
                largest_log_move=scenarios[0].largest_move(),
                below=below,
                beyond=beyond,
                trials=trials,
            )
            if stage is None or out is None:
                return result
            return replace(result, written=_write(table, result, stage, out))


def _write(table: Opened, result: ReverseResult, stage: Path, out: Path) -> tuple[Path, ...]:
    """Write stress_reverse."""
    row = (
        result.reverse_id,
        result.scenario,
        table.book.digest,
        result.source_class,
        result.outcome.name,
        result.outcome.unit,
        result.limit,
        result.largest_log_move,
        result.below,
        result.beyond,
    )
    put(table.con, "reverse", _REVERSE, [row])
    rows = [
        (trial.multiplier, trial.value, trial.run_id, trial.scenario_hash, trial.fault or None)
        for trial in result.trials
    ]
    put(table.con, "reverse_trial", _TRIAL, rows)
    with translated():
        table.con.execute(load_sql(f"reverse/{REVERSE_TABLE}"))
        return write_tables(table.con, {REVERSE_TABLE: f"from {REVERSE_TABLE}"}, stage, out)


__all__ = ["Outcome", "ReverseResult", "Search", "Trial", "outcomes", "run_reverse"]
