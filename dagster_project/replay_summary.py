"""What the command line prints of replays: totals, scores, sweeps, reverse stress tests."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

from rich.console import Console
from rich.table import Column, Table

from dagster_project.replay.faults import printable

if TYPE_CHECKING:
    import pyarrow as pa

    from dagster_project.replay.reverse import Outcome, ReverseResult
    from dagster_project.replay.sweep import SweepResult


def show_replay(summary: Mapping[str, object], console: Console) -> None:
    """Print one replay's totals."""
    table = Table(show_header=False, box=None)
    for name, value in summary.items():
        table.add_row(name, cell_text(value))
    console.print(table)


def show_score(score: pa.Table, console: Console) -> None:
    """Print the bands of an event beside what a run gives; nothing where the scenario names no event."""
    if not score.num_rows:
        return
    table = Table("metric", "subject", "value", "low", "high", "met", box=None, header_style="dim")
    names = ("metric", "subject", "value", "low", "high")
    for *cells, is_met in zip(*(score[name].to_pylist() for name in (*names, "is_met")), strict=True):
        table.add_row(*(cell_text(cell) for cell in cells), "yes" if is_met else "no")
    console.print(f"\n[bold]Against {score['event'][0].as_py()}[/bold]")
    console.print(table)


_SWEPT = {
    "liquidated_usd": "liquidated B USD",
    "adl_usd": "ADL B USD",
    "fund_paid_usd": "funds paid B USD",
    "socialised_usd": "socialised B USD",
    "naked_after_usd": "hedges naked B USD",
    "open_interest_after_usd": "open interest after B USD",
}


def show_sweep(result: SweepResult, console: Console) -> None:
    """Print one line a run: its settings and its totals."""
    parameters = list(dict.fromkeys(key for run in result.runs for key in run.point.settings))
    heads = ["run", *parameters, *_SWEPT.values(), "worst major %", "worst tail %", "score"]
    table = Table(*(Column(head, overflow="fold") for head in heads), box=None, header_style="dim")
    for run in result.runs:
        settings = [printable(run.point.settings.get(key, ""), 40) for key in parameters]
        totals = [run.summary.get(name) for name in _SWEPT]
        cells = ["-" if value is None else f"{value / 1e9:,.3f}" for value in totals]
        for tier in ("major", "tail"):
            move = run.summary.get(f"trough_{tier}_log_move")
            cells.append("-" if move is None else f"{100 * math.expm1(move):.1f}")
        score = run.summary.get("score")
        cells.append("-" if score is None else f"{score:.2f}")
        table.add_row(str(run.point.number), *settings, *cells)
    console.print(f"Sweep {result.sweep_id} of {result.scenario}; the book is {result.source_class}.", highlight=False)
    console.print(table)


def show_outcomes(found: Iterable[Outcome], console: Console) -> None:
    """Print what a reverse stress test can look for."""
    table = Table("outcome", "unit", "limit", "what it is", box=None, header_style="dim")
    for outcome in found:
        table.add_row(
            outcome.name, outcome.unit, "to be given" if outcome.limit is None else f"{outcome.limit:g}", outcome.says
        )
    console.print(table)


def show_reverse(result: ReverseResult, console: Console) -> None:
    """Print every replay of a reverse stress test, and its bracket in one sentence."""
    unit = result.outcome.unit
    table = Table(
        "multiple of the shock", "largest move", f"{result.outcome.name}, {unit}", "", box=None, header_style="dim"
    )
    marks = {result.below: "below the limit", result.beyond: "beyond the limit"}
    for trial in result.trials:
        move = f"{100 * math.expm1(trial.multiplier * result.largest_log_move) + 0.0:.2f} %"  # no -0.00
        table.add_row(f"{trial.multiplier:g}", move, cell_text(trial.value), marks.get(trial.multiplier, ""))
    console.print(table)
    what = f"{result.outcome.name} > {result.limit:g} {unit}"
    if result.beyond is None:
        said = f"{what} does not happen up to {result.below:g} times the shock of {result.scenario}."
    elif result.below is None:
        said = f"{what} happens already at {result.beyond:g} times the shock of {result.scenario}, the smallest tried."
    else:
        said = (
            f"{what} first happens between {result.below:g} and {result.beyond:g} times the shock of {result.scenario}."
        )
    console.print(f"{said} The book is {result.source_class}.", highlight=False, soft_wrap=True)


def cell_text(value: object) -> str:
    """A value as a table's cell; a dash where it is not known."""
    if value is None:
        return "-"
    if isinstance(value, float):
        # Cents of billions are noise; rates and log moves are small and keep their digits.
        return f"{value:,.0f}" if abs(value) >= 1e6 else f"{value:,.8g}"
    return f"{value:,}" if isinstance(value, int) and abs(value) >= 10_000 else str(value)
