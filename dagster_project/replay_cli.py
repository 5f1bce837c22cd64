"""Commands of the replay: ``replay``, ``replay explain``, ``sweep``, ``reverse``. Heavy imports happen inside them."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import click
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from dagster_project.lib.errors import DataError, UsageError
from dagster_project.lib.home import Home
from dagster_project.screen import ERR, FILE, FOLDER, OUT

_BOOK = click.Path(path_type=Path)
_BOOK_HELP = "position book: a folder, FILE.duckdb or FILE.duckdb/SCHEMA (docs/books.md)"
_OVERRIDES = click.option(
    "--set", "overrides", multiple=True, metavar="KEY=VALUE", help="override a scenario's key (dotted); may be repeated"
)
_JOBS = click.option("--jobs", type=click.IntRange(1, 256), help="replays at a time [one a core]")


@contextmanager
def _progress(what: str, unit: str) -> Iterator[Callable[[int, int], None]]:
    """Show a bar while the block runs; yields what is to be called with (done, in all; 0 if it is not known)."""
    columns = (
        TextColumn("{task.description}"),
        BarColumn(bar_width=24),
        MofNCompleteColumn(),
        TextColumn(unit),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=ERR, transient=True) as bar:
        task = bar.add_task(what, total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total or None)


@click.group(invoke_without_command=True)
@click.option("--book", type=_BOOK, help=_BOOK_HELP)
@click.option("--scenario", type=FILE, help="scenario YAML, e.g. scenarios/first_fall.yaml")
@click.option("--out", type=FOLDER, help="folder to write stress_*.parquet into")
@_OVERRIDES
@click.pass_context
def replay(
    ctx: click.Context, book: Path | None, scenario: Path | None, out: Path | None, overrides: tuple[str, ...]
) -> None:
    """Replay a scenario over a position book: --book, --scenario and --out are needed.

    Reads and writes these folders only; the warehouse and the published snapshot stay as they are.
    """
    if ctx.invoked_subcommand is not None:
        return
    if book is None or scenario is None or out is None:
        missing = [
            name for name, given in (("--book", book), ("--scenario", scenario), ("--out", out)) if given is None
        ]
        raise click.UsageError(f"Missing option {', '.join(missing)}.", ctx)
    from dagster_project.replay.engine import run_replay  # noqa: PLC0415
    from dagster_project.replay_summary import show_replay, show_score  # noqa: PLC0415

    with _progress("replaying", "steps") as told:
        result = run_replay(book, scenario, out=out, overrides=overrides, progress=told)
    show_replay({"scenario": result.scenario, "source_class": result.source_class, **result.summary}, OUT)
    show_score(result.table("stress_score"), OUT)
    OUT.print(f"Tables: {out}/stress_*.parquet", soft_wrap=True)


@replay.command("explain")
@click.argument("run")
@click.option("--account", help="tell what happened to this account")
@click.option("--venue", help="tell what happened at this venue")
def replay_explain(run: str, account: str | None, venue: str | None) -> None:
    """Tell the story of an account or a venue in a replay: RUN is a folder written with --out, or a run_id of the snapshot."""
    from dagster_project.replay.explain import explain  # noqa: PLC0415

    if account is None and venue is None:
        raise UsageError("Name an account or a venue: --account A or --venue V.")
    for seconds, round_no, who, what in explain(Home.from_env(), run, account, venue):
        OUT.print(f"{seconds:>9g} s  round {round_no:<3} {who}: {what}", markup=False, highlight=False, soft_wrap=True)


@click.command()
@click.option("--book", type=_BOOK, required=True, help=_BOOK_HELP)
@click.option(
    "--scenario", type=FILE, required=True, help="scenario YAML with grid: or what_if:, or any one with --grid"
)
@click.option(
    "--out", type=FOLDER, required=True, help="folder to write stress_sweep.parquet and the runs' tables into"
)
@click.option("--grid", multiple=True, metavar="KEY=[A,B,...]", help="values to try for a key; may be repeated")
@_OVERRIDES
@_JOBS
def sweep(
    book: Path, scenario: Path, out: Path, grid: tuple[str, ...], overrides: tuple[str, ...], jobs: int | None
) -> None:
    """Replay many scenarios over one book: every point of a grid of values, or every named change.

    \b
    delever sweep --book BOOK --scenario scenarios/first_fall.yaml --out OUT \\
      --grid 'depth.multiplier=[0.5,1,2]' --grid 'venues.*.fund.multiplier=[1,2]'

    A run that fails is told and left out of the tables; the others stay, and the exit code is 3.
    """  # noqa: D301 - click's mark of a paragraph that is not to be wrapped
    from dagster_project.replay.sweep import run_sweep  # noqa: PLC0415
    from dagster_project.replay_summary import show_sweep  # noqa: PLC0415

    with _progress("sweeping", "runs") as told:
        result = run_sweep(book, scenario, out, overrides, grid, jobs=jobs, progress=told)
    show_sweep(result, OUT)
    OUT.print(f"Tables: {out}/stress_*.parquet", soft_wrap=True)
    failed = [run for run in result.runs if run.fault]
    if failed:
        said = "\n".join(f"  run {run.point.number}: {run.fault}" for run in failed[:20])
        raise DataError(f"{len(failed)} of {len(result.runs)} runs failed; the others were written.\n{said}")


@click.command()
@click.option("--event", required=True, metavar="EVENT_ID", help="event of dim_event, e.g. 2025_10_10")
@click.option(
    "--out", type=click.Path(path_type=Path), required=True, help="scenario YAML to write; must not be there yet"
)
@click.option("--venue", "venues", multiple=True, help="only this venue's prices; may be repeated [the median of all]")
@click.option("--seconds", type=click.IntRange(60), help="length from before the event [to the end of its aftershock]")
@click.option("--book", type=_BOOK, help="keep only the assets of this book: a scenario may name no others")
@click.option("--scenario", "base", type=FILE, help="scenario YAML whose other keys are kept")
def shock(
    event: str, out: Path, venues: tuple[str, ...], seconds: int | None, book: Path | None, base: Path | None
) -> None:
    """Write a scenario that follows the prices recorded in an event of the published snapshot.

    Each asset gets its own path, bar by bar. Recorded prices contain what forced flow did to them, so marks follow the index
    alone unless --scenario says otherwise.
    """
    from dagster_project.replay.recorded import Window, record_shock  # noqa: PLC0415

    with ERR.status("reading the event"):
        made = record_shock(Home.from_env(), Window(event, venues, seconds), out, book=book, base=base)
    trades = [asset for asset, kind in made.kinds.items() if kind == "trade"]
    lines = [
        f"Scenario {made.scenario} is written to {out}: {made.steps:,} steps of {made.step_seconds} s",
        f"{len(made.kinds):,} assets with {made.source_class} prices, {len(made.kinds) - len(trades):,} by their index, "
        f"{len(trades):,} by trades",
    ]
    if made.still:
        lines.append(f"No prices, so without a move: {', '.join(made.still)}")
    OUT.print("\n".join(lines), markup=False, highlight=False, soft_wrap=True)


@click.command()
@click.option("--book", type=_BOOK, help=_BOOK_HELP)
@click.option("--scenario", type=FILE, help="scenario YAML; its shock is what is scaled")
@click.option("--outcome", help="what is looked for; --list names them")
@click.option("--limit", type=float, help="the outcome happens above it [the outcome's own]")
@click.option("--from", "low", type=float, default=0.0, show_default=True, help="smallest multiple of the shock")
@click.option("--to", "high", type=float, default=2.0, show_default=True, help="largest multiple of the shock")
@click.option("--scan", type=int, default=8, show_default=True, help="even steps that are tried before halving")
@click.option("--tolerance", type=float, default=0.01, show_default=True, help="width of the bracket to end at")
@click.option("--out", type=FOLDER, help="folder to write stress_reverse.parquet into")
@click.option("--list", "is_list", is_flag=True, help="name the outcomes, and end")
@_OVERRIDES
@_JOBS
@click.pass_context
def reverse(ctx: click.Context, **options: Any) -> None:  # noqa: ANN401 - one per option above
    """Look for the smallest shock at which something goes wrong, by whole replays.

    \b
    delever reverse --book BOOK --scenario scenarios/first_fall.yaml --outcome fund_empty

    Evenly spaced shocks are tried from below, then the first step in which the outcome appears is halved.
    """  # noqa: D301 - click's mark of a paragraph that is not to be wrapped
    from dagster_project.replay.reverse import Search, outcomes, run_reverse  # noqa: PLC0415
    from dagster_project.replay_summary import show_outcomes, show_reverse  # noqa: PLC0415

    if options["is_list"]:
        show_outcomes(outcomes().values(), OUT)
        return
    missing = [f"--{name}" for name in ("book", "scenario", "outcome") if options[name] is None]
    if missing:
        raise click.UsageError(f"Missing option {', '.join(missing)}.", ctx)
    search = Search(
        options["outcome"], options["limit"], options["low"], options["high"], options["scan"], options["tolerance"]
    )
    with _progress("searching", "replays") as told:
        result = run_reverse(
            options["book"],
            options["scenario"],
            search,
            options["out"],
            options["overrides"],
            jobs=options["jobs"],
            progress=told,
        )
    show_reverse(result, OUT)
    if result.written:
        OUT.print(f"Table: {result.written[0]}", soft_wrap=True)
