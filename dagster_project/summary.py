"""The key results of a home, each with its source class, as `make demo` and `make real` end with them."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from rich.console import Console
from rich.table import Column, Table

from dagster_project.lib.home import Home
from dagster_project.lib.publish import read_snapshot
from dagster_project.lib.query import open_published
from dagster_project.replay.faults import printable

if TYPE_CHECKING:
    import pyarrow as pa

    from dagster_project.replay.reverse import Outcome, ReverseResult
    from dagster_project.replay.sweep import SweepResult


@dataclass(frozen=True)
class Question:
    """A question that the published tables answer."""

    title: str
    sql: str


QUESTIONS = (
    Question(
        "Exchange share, by year",
        "SELECT year(period_start) AS year, venue, round(volume_usd / 1e12, 2) AS volume_trillion_usd, "
        "round(100 * share, 1) AS share_percent, rank, round(100 * share_of_published, 1) AS percent_of_published, "
        "days_covered AS days, volume_basis, completeness, source_class FROM fct_exchange_share "
        "WHERE period_type = 'year' AND year(period_start) = 2025 QUALIFY row_number() OVER (ORDER BY rank) <= 12 "
        "OR venue = 'uncovered' ORDER BY year, rank",
    ),
    Question(
        "Liquidation tax of 2025 (all venues, all tiers)",
        "SELECT count(*) AS days, round(sum(liquidated_usd) / 1e9, 2) AS liquidated_billion_usd, "
        "round(1e4 * sum(liquidated_usd) / nullif(sum(volume_usd), 0), 3) AS tax_bps, "
        "round(100 * sum(liquidated_long_usd) / nullif(sum(liquidated_usd), 0), 1) AS long_percent, "
        "count(*) FILTER (regime = 'stress') AS stress_days, any_value(volume_venues) AS volume_of, "
        "string_agg(DISTINCT completeness, ', ' ORDER BY completeness) AS completeness, "
        "string_agg(DISTINCT source_class, ', ' ORDER BY source_class) AS source_class "
        "FROM fct_liquidation_tax WHERE venue = 'market' AND tier = 'all' AND year(tax_date) = 2025 HAVING count(*) > 0",
    ),
    Question(
        "10-11 October 2025: deepest fall of each tier against 20:50 UTC",
        "SELECT venue, tier, count(DISTINCT venue_symbol) AS contracts, "
        "any_value(interval_seconds) AS bar_seconds, round(100 * min(low_move_from_pre_event), 1) AS worst_percent, "
        "round(sum(liquidated_long_usd + liquidated_short_usd) / 1e9, 2) AS liquidated_billion_usd, "
        "any_value(source_class) AS source_class FROM fct_event_window "
        "WHERE event_id = '2025_10_10' AND close_price IS NOT NULL "
        "AND venue IN ('binance', 'bybit', 'hyperliquid') AND phase <> 'baseline' "
        "GROUP BY ALL ORDER BY ALL",
    ),
    Question(
        "10 October 2025, BTC in the hour of 21:00 UTC",
        "SELECT venue, venue_symbol, min(low_price) AS low, round(100 * min(low_move_from_pre_event), 2) AS move_percent, "
        "any_value(completeness) AS completeness, any_value(source_class) AS source_class FROM fct_event_window "
        "WHERE base_asset = 'BTC' "
        "AND bar_start_at >= TIMESTAMPTZ '2025-10-10 21:00:00+00' AND bar_start_at < TIMESTAMPTZ '2025-10-10 22:00:00+00' "
        "AND venue IN ('binance', 'bybit') GROUP BY ALL ORDER BY ALL",
    ),
    Question(
        "Published figures against the data",
        "SELECT status, count(*) AS figures, string_agg(figure_id, ', ' ORDER BY figure_id) "
        "FILTER (n <= 6 OR status <> 'not_computable') || CASE WHEN status = 'not_computable' THEN ', ...' ELSE '' END "
        "AS which FROM (SELECT *, row_number() OVER (PARTITION BY status ORDER BY figure_id) AS n FROM fct_reconciliation) "
        "GROUP BY status ORDER BY status",
    ),
)


def show(home: Home, console: Console) -> None:
    """Print the key results and where to look next."""
    for question in QUESTIONS:
        _ask(home, question.title, question.sql, console)
    snapshot = read_snapshot(home)
    if snapshot is not None and any(table.name == "stress_summary" for table in snapshot.tables):
        _ask(home, "Replay", "SELECT * EXCLUDE (scenario_hash, book_hash) FROM stress_summary", console, turned=True)
    console.print(
        f"\nPublished in {home.published} (DuckDB and Parquet). Next:\n"
        '  .venv/bin/delever query "SELECT * FROM fct_reconciliation"     ask in SQL\n'
        "  make ui                                                       the pipeline in Dagster's pages\n"
        "  .venv/bin/delever doctor                                      the state of this installation",
        markup=False,
        highlight=False,
    )


def show_replay(summary: Mapping[str, object], console: Console) -> None:
    """Print one replay's totals."""
    table = Table(show_header=False, box=None)
    for name, value in summary.items():
        table.add_row(name, _text(value))
    console.print(table)


def show_score(score: pa.Table, console: Console) -> None:
    """Print the bands of an event beside what a run gives; nothing where the scenario names no event."""
    if not score.num_rows:
        return
    table = Table("metric", "subject", "value", "low", "high", "met", box=None, header_style="dim")
    names = ("metric", "subject", "value", "low", "high")
    for *cells, is_met in zip(*(score[name].to_pylist() for name in (*names, "is_met")), strict=True):
        table.add_row(*(_text(cell) for cell in cells), "yes" if is_met else "no")
    console.print(f"\n[bold]Against {score['event'][0].as_py()}[/bold]")
    console.print(table)


_SWEPT = {
    "liquidated_usd": "liquidated B USD",
    "adl_usd": "ADL B USD",
    "fund_paid_usd": "funds paid B USD",
    "socialised_usd": "socialised B USD",
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
        table.add_row(f"{trial.multiplier:g}", move, _text(trial.value), marks.get(trial.multiplier, ""))
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


def _ask(home: Home, title: str, sql: str, console: Console, *, turned: bool = False) -> None:
    connection = open_published(home)
    try:
        relation = connection.sql(sql)
        names, rows = relation.columns, relation.fetchall()
    finally:
        connection.close()
    console.print(f"\n[bold]{title}[/bold]")
    if not rows:
        console.print("  no data for this question")
        return
    if turned:
        for row in rows:
            show_replay(dict(zip(names, row, strict=True)), console)
        return
    table = Table(*(Column(name, overflow="fold") for name in names), box=None, header_style="dim")
    for row in rows:
        table.add_row(*(_text(value) for value in row))
    console.print(table)


def _text(value: object) -> str:
    if value is None:
        return "-"
    if isinstance(value, float):
        # Cents of billions are noise; rates and log moves are small and keep their digits.
        return f"{value:,.0f}" if abs(value) >= 1e6 else f"{value:,.8g}"
    return f"{value:,}" if isinstance(value, int) and abs(value) >= 10_000 else str(value)
