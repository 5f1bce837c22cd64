"""What Dagster's pages show of a replay: its totals, its bands, and plots of path, funds and liquidations."""

from __future__ import annotations

import base64
import io
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

import dagster as dg

from dagster_project.lib.duck import connect
from dagster_project.replay.columns import RUN
from dagster_project.replay.output import ReplayResult
from dagster_project.replay.reverse import ReverseResult
from dagster_project.replay.sweep import SweepResult

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_PATH = """
    SELECT o.tier, p.seconds / 60, 100 * (exp(median(p.book_log_move)) - 1), 100 * (exp(median(p.index_log_move)) - 1)
    FROM path AS p INNER JOIN outcome AS o USING (venue, contract)
    GROUP BY o.tier, p.seconds ORDER BY o.tier, p.seconds
"""
_FUNDS = """
    SELECT venue, any_value(seconds) / 60, sum(balance_usd) / 1e9
    FROM fund INNER JOIN (SELECT DISTINCT step, seconds FROM path) USING (step)
    GROUP BY venue, step ORDER BY venue, step
"""
_FORCED = """
    SELECT seconds / 60, sum(liquidated_usd) / 1e9, sum(adl_usd) / 1e9 FROM path GROUP BY seconds ORDER BY seconds
"""
_TIERS = (
    ("major", "#1f4e79"),
    ("mid", "#c77700"),
    ("tail", "#8b1a1a"),
)


def replay_metadata(result: ReplayResult) -> dict[str, Any]:
    """Metadata of a single replay."""
    found: dict[str, Any] = {
        "run_id": result.run_id,
        "scenario": result.scenario,
        "source_class": result.source_class,
        "residuals_not_zero": sum(1 for value in result.residuals.values() if value),
        "summary": dg.MetadataValue.json(result.summary),
        "plots": _as_markdown(replay_figure(result)),
    }
    bands = result.table("stress_score")
    if bands.num_rows:
        found["score"] = _records(bands.drop_columns([*RUN, "event", "source"]).to_pylist())
    return found


def sweep_metadata(result: SweepResult) -> dict[str, Any]:
    """Metadata of a sweep: a line a run."""
    shown = (
        "liquidated_usd",
        "adl_usd",
        "fund_paid_usd",
        "socialised_usd",
        "hedges_lost_to_liquidation",
        "hedges_lost_to_adl",
        "naked_after_usd",
        "open_interest_after_usd",
        "score",
    )
    rows = [
        {
            "run": run.point.number,
            "settings": ", ".join(f"{key}={value}" for key, value in run.point.settings.items()),
            **{name: _whole(name, run.summary.get(name)) for name in shown},
            "fault": run.fault,
        }
        for run in result.runs
    ]
    return {
        "sweep_id": result.sweep_id,
        "source_class": result.source_class,
        "failed": sum(1 for run in result.runs if run.fault),
        "runs": _records(rows),
    }


def reverse_metadata(result: ReverseResult) -> dict[str, Any]:
    """Metadata of a reverse stress test: its bracket and every replay."""
    rows = [
        {"multiplier": trial.multiplier, "value": trial.value, "is_beyond": (trial.value or 0) > result.limit}
        for trial in result.trials
    ]
    return {
        "reverse_id": result.reverse_id,
        "source_class": result.source_class,
        "outcome": f"{result.outcome.name} > {result.limit:g} {result.outcome.unit}",
        "below": "none" if result.below is None else result.below,
        "beyond": "none" if result.beyond is None else result.beyond,
        "replays": _records(rows),
    }


def _whole(name: str, value: float | None) -> float | None:
    """Dollars without cents; what is no amount of dollars as it is."""
    return round(value) if value is not None and name.endswith("_usd") else value


def _records(rows: Iterable[Mapping[str, Any]]) -> dg.TableMetadataValue:
    """A table on the page; what is not known is an empty cell."""
    return dg.MetadataValue.table(
        [dg.TableRecord({key: "" if value is None else value for key, value in row.items()}) for row in rows]
    )


def replay_figure(result: ReplayResult) -> Figure:
    """Draw path, funds and liquidations of a replay over time, each with its unit and the book's source class."""
    from matplotlib.figure import Figure  # noqa: PLC0415 - loading the pipeline does without

    figure = Figure(figsize=(12, 3.6), layout="constrained", dpi=80)
    paths, funds, forced = figure.subplots(1, 3)
    with connect() as connection:
        for name in ("path", "outcome", "fund"):
            connection.register(name, result.table(f"stress_{name}"))
        moves = connection.execute(_PATH).fetchall()
        for tier, colour in _TIERS:
            _line(
                paths,
                [row[1:] for row in moves if row[0] == tier],
                ((f"{tier}, book", colour, "-"), (f"{tier}, index", colour, ":")),
            )
        rows = connection.execute(_FUNDS).fetchall()
        for venue in sorted({row[0] for row in rows}):
            _line(funds, [row[1:] for row in rows if row[0] == venue], ((venue, None, "-"),))
        _line(
            forced,
            connection.execute(_FORCED).fetchall(),
            (("liquidated", "#1f4e79", "-"), ("deleveraged", "#c77700", "-")),
        )
    for axes, title, unit in (
        (paths, "Median price against t0, by tier", "%"),
        (funds, "Wallets of the funds", "billion USD"),
        (forced, "Closed by force, up to then, at the t0 index", "billion USD"),
    ):
        axes.set(title=title, xlabel="minutes", ylabel=unit)
        axes.title.set_fontsize(10)
        axes.grid(alpha=0.3)
        axes.legend(fontsize=7)
    figure.suptitle(f"{result.scenario}: {result.source_class} book, run {result.run_id}", fontsize=11)
    return figure


def _line(axes: Axes, rows: list[tuple[Any, ...]], series: Iterable[tuple[str, str | None, str]]) -> None:
    """Draw one or more series over the first column; a run of one step is a point."""
    for column, (label, colour, style) in enumerate(series, start=1):
        if rows:
            axes.plot(
                [row[0] for row in rows],
                [row[column] for row in rows],
                label=label,
                color=colour,
                linestyle=style,
                # of a run of one step only the marker is seen, and it has to tell what the style of a line tells
                marker=("x" if style == ":" else "o") if len(rows) == 1 else None,
                linewidth=1.2,
            )


def _as_markdown(figure: Figure) -> dg.MarkdownMetadataValue:
    """A figure as an image in the page itself."""
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png")
    return dg.MetadataValue.md(f"![plots](data:image/png;base64,{base64.b64encode(buffer.getvalue()).decode()})")
