"""The command line ``delever``: runs the pipeline, replays, reads. Heavy imports happen inside the commands that need them."""

import os
import sys
import traceback
from collections.abc import Callable
from datetime import UTC, date, datetime
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from dagster_project.book_cli import book
from dagster_project.lib.errors import DeleverError, UsageError
from dagster_project.lib.home import PROJECT_ROOT, Home
from dagster_project.replay_cli import replay, reverse, shock, sweep
from dagster_project.screen import ERR, FOLDER, OUT

if TYPE_CHECKING:
    from dagster_project.pipeline import LiveAsk

INTERNAL_ERROR = 70
"""Exit code of a fault in Delever itself (sysexits.h: EX_SOFTWARE)."""


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="delever")
def cli() -> None:
    """A warehouse of crypto-derivatives stress: raw exchange data to SQL marts, and a replay of liquidation cascades.

    All state lives under $DELEVER_HOME (default ./data).

    Exit codes: 0 done; 1 doctor found a fault; 2 the call or its input files cannot be used; 3 data breaks its contract;
    4 the run did not publish; 70 a fault of Delever itself; 130 interrupted.
    """


class _Days(click.ParamType):
    """A UTC day."""

    name = "YYYY-MM-DD"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> date:
        """The day.

        Raises:
            click.BadParameter: The text is no day.
        """
        try:
            return value if isinstance(value, date) else date.fromisoformat(str(value))
        except ValueError:
            self.fail(f"'{value}' is no day; write it as 2025-10-10.", param, ctx)


FROM = click.option("--from", "start", type=_Days(), help="first UTC day [default: the first in the data; live: --to]")
TO = click.option(
    "--to", "end", type=_Days(), help="last UTC day, inclusive [default: the last in the data; live: yesterday]"
)
LANDING = click.option(
    "--landing", "folder", type=FOLDER, help="with files: the folder with your files and their *.delever.yaml specs"
)


def _choice(what: str) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Options that say what venues are asked for."""

    def add(command: Callable[..., None]) -> Callable[..., None]:
        for option in reversed(
            [
                click.option(
                    "--entity", "entities", multiple=True, help=f"{what}: klines, funding, ...; several times [all]"
                ),
                click.option("--origin", default="", help=f"{what}: rest or archive [each feed's first]"),
                click.option("--bases", default="", help=f"{what}: base assets, BTC,ETH or '*' [assets with a tier]"),
                click.option(
                    "--symbols", default="", help=f"{what}: contracts as the venue writes them, instead of bases"
                ),
                click.option(
                    "--interval", "intervals", multiple=True, type=int, help=f"{what}: seconds of a bar [3600]"
                ),
                click.option(
                    "--again", is_flag=True, help=f"{what}: ask also for what has landed, to find republished files"
                ),
            ]
        ):
            command = option(command)
        return command

    return add


def _live(feeds: tuple[str, ...], options: dict[str, Any]) -> "LiveAsk":
    from dagster_project.pipeline import LiveAsk  # noqa: PLC0415

    def split(text: str) -> list[str]:
        return [part for part in text.replace(" ", "").split(",") if part]

    return LiveAsk(
        feeds=feeds,
        entities=options["entities"],
        fetch={
            "origin": options["origin"],
            "bases": split(options["bases"]),
            "symbols": split(options["symbols"]),
            "intervals": list(options["intervals"]),
            "again": options["again"],
        },
    )


def _refuse_disorder(start: date | None, end: date | None) -> None:
    if start and end and start > end:
        raise UsageError(f"--from {start} is after --to {end}.")


@cli.command()
@click.option(
    "--profile",
    type=click.Choice(["demo", "files", "live"]),
    default="demo",
    show_default=True,
    help="demo: the synthetic sample; files: your own files; live: the venues. A home holds one of them, never two.",
)
@LANDING
@FROM
@TO
@click.option("--feed", "feeds", multiple=True, help="live: bybit, binance, ...; several times [all that need no key]")
@_choice("live")
def run(
    profile: str,
    folder: Path | None,
    start: date | None,
    end: date | None,
    feeds: tuple[str, ...],
    **options: Any,  # noqa: ANN401 - one per option of _choice
) -> None:
    """Run the whole pipeline and publish.

    Landing, raw, marts, checks, snapshot; the demo runs one replay before the marts. A day that is run again is replaced.
    """
    from dagster_project import pipeline, summary  # noqa: PLC0415

    if (profile == "files") != (folder is not None):
        raise UsageError("--landing DIR goes with --profile files, and --profile files needs it.")
    if profile != "live" and (feeds or any(options.values())):
        raise UsageError(
            "--feed, --entity, --origin, --bases, --symbols, --interval and --again go with --profile live."
        )
    _refuse_disorder(start, end)
    home = Home.from_env()
    live = _live(feeds, options) if profile == "live" else None
    pipeline.run(home, profile, (start, end), ERR, folder=folder.absolute() if folder else None, live=live)
    summary.show(home, OUT)


@cli.command()
@click.argument("source")
@LANDING
@FROM
@TO
@_choice("venues")
def ingest(source: str, folder: Path | None, start: date | None, end: date | None, **options: Any) -> None:  # noqa: ANN401 - one per option of _choice
    """Take a source in, without models.

    SOURCE is a venue or aggregator (`delever sources list`), `sample` (the synthetic one) or `files` (your own): landing and
    raw. What has landed is not asked for again; an interrupted call goes on where it was. `delever run` does this and the rest.
    """
    from dagster_project import pipeline  # noqa: PLC0415
    from dagster_project.sources.registry import NAMES  # noqa: PLC0415

    if source not in {"sample", "files", *NAMES}:
        raise UsageError(f"'{source}' is no source: one of sample, files, {', '.join(NAMES)}.")
    if (source == "files") != (folder is not None):
        raise UsageError("--landing DIR goes with the source files, and the source files needs it.")
    _refuse_disorder(start, end)
    home = Home.from_env()
    if source in NAMES:
        pipeline.ingest(home, "live", (start, end), ERR, live=_live((source,), options))
        return
    if any(options.values()):
        raise UsageError("--entity, --origin, --bases, --symbols, --interval and --again go with a venue.")
    profile = "demo" if source == "sample" else "files"
    pipeline.ingest(home, profile, (start, end), ERR, folder=folder.absolute() if folder else None)


@cli.command()
@click.option("--feed", "feeds", multiple=True, help="binance, bybit, okx; several times [all]")
@click.option("--symbols", default="", help="contracts, for venues that subscribe one by one [all]")
@click.option(
    "--segment-seconds", type=click.IntRange(5, 86400), default=3600, show_default=True, help="length of a file"
)
def record(feeds: tuple[str, ...], symbols: str, segment_seconds: int) -> None:
    """Record liquidations that venues only push, until stopped.

    Runs in the foreground, for a process manager to keep alive (docs/recorder.md). SIGTERM and Ctrl-C leave everything received
    in landing. Times without hearing go to the table `collector_gap`.
    """
    from dagster_project import recorder  # noqa: PLC0415

    home = Home.from_env()
    home.prepare()
    home.claim("live")
    chosen = [part for part in symbols.replace(" ", "").split(",") if part] or None
    options = recorder.Options(segment_seconds=segment_seconds)
    recorder.record(home, feeds or recorder.FEEDS, chosen, options=options, console=ERR)


@cli.group()
def sources() -> None:
    """What can be taken in."""


@sources.command("list")
def sources_list() -> None:
    """Connectors and their entities: how they are asked, how far back the venue answers, what they need."""
    from dagster_project.sources import catalogue  # noqa: PLC0415

    catalogue.render(OUT)


@sources.command("check")
@click.argument("spec", type=click.Path(path_type=Path))
def sources_check(spec: Path) -> None:
    """Say what fits and what does not in a declared file.

    SPEC is a *.delever.yaml, or a folder with some. Nothing is taken in.
    """
    from dagster_project.sources import files  # noqa: PLC0415

    report = files.explain(spec)
    files.render(report, OUT)
    report.require_fit()


@cli.group()
def quarantine() -> None:
    """What was set aside while reading, and the way back in."""


@quarantine.command("list")
@click.argument("dataset", required=False)
def quarantine_list(dataset: str | None) -> None:
    """What is in quarantine, by dataset, day and reason."""
    from dagster_project import quarantine as held  # noqa: PLC0415

    held.render(held.held(Home.from_env(), dataset), OUT)


@quarantine.command("show")
@click.argument("dataset")
@click.option("--limit", default=20, show_default=True, type=click.IntRange(1, 1000))
def quarantine_show(dataset: str, limit: int) -> None:
    """Records as they were received, with place and reason."""
    from dagster_project import quarantine as held  # noqa: PLC0415

    held.render_records(Home.from_env(), dataset, OUT, limit)


@quarantine.command("retry")
@click.argument("dataset", required=False)
def quarantine_retry(dataset: str | None) -> None:
    """Read what is in quarantine again, after a fix.

    The days that it touches are made anew from landing; what fits now comes in, the rest stays with its reason.
    """
    from dagster_project import pipeline  # noqa: PLC0415
    from dagster_project import quarantine as held  # noqa: PLC0415

    home = Home.from_env()
    before = held.held(home, dataset)
    if not before:
        OUT.print("Quarantine is empty.")
        return
    pipeline.reread(home, held.days_to_retry(before), ERR)
    after = held.held(home, dataset)
    count = [sum(item.records for item in items) for items in (before, after)]
    OUT.print(
        f"{count[0] - count[1]:,} of {count[0]:,} records came back in; run `delever run` or the models to publish them."
    )
    held.render(after, OUT)


class _Moment(click.ParamType):
    """A moment in UTC."""

    name = "YYYY-MM-DDTHH:MM[:SS]"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> datetime:
        """The moment.

        Raises:
            click.BadParameter: The text is no moment in UTC.
        """
        from dagster_project.events import utc  # noqa: PLC0415

        try:
            return value if isinstance(value, datetime) else utc(str(value))
        except ValueError as error:
            self.fail(f"'{value}' is no time in UTC; write it as 2025-10-10T20:50 ({error}).", param, ctx)


@cli.group("event")
def event_group() -> None:
    """Times of stress that the event marts look at."""


@event_group.command("add")
@click.option("--id", "event_id", required=True, help="small letters, digits and underscores, e.g. 2025_03_03_reserve")
@click.option("--name", required=True, help="what it was")
@click.option("--shock", "shock_at", type=_Moment(), required=True, help="when it began; this and all times are UTC")
@click.option("--pre-event", "pre_event_at", type=_Moment(), help="what moves are measured from [shock]")
@click.option("--window-start", "window_start_at", type=_Moment(), help="first bar [24 hours before pre-event]")
@click.option("--cascade", "cascade_at", type=_Moment(), help="start of the cascade [15 minutes after shock]")
@click.option("--aftershock", "aftershock_at", type=_Moment(), help="end of the cascade [15 minutes after cascade]")
@click.option("--recovery", "recovery_at", type=_Moment(), help="start of the recovery [45 minutes after aftershock]")
@click.option("--window-end", "window_end_at", type=_Moment(), help="end of the window [24 hours after recovery]")
@click.option("--source", default="user", show_default=True, help="from where the times are known")
@click.option("--again", is_flag=True, help="replace the event of this id")
def event_add(event_id: str, name: str, source: str, again: bool, **bounds: datetime | None) -> None:
    """Add an event of your own to this home.

    The next `delever run`, or the job `models`, fills the event marts with it.
    """
    from dagster_project import events  # noqa: PLC0415

    event = events.plan(event_id, name, bounds, source)
    replaced = events.add(Home.from_env(), event, again=again)
    done = "replaced" if replaced else "added"
    OUT.print(
        f"Event '{event_id}' {done}: {event.window_start_at:%Y-%m-%d %H:%M} to {event.window_end_at:%Y-%m-%d %H:%M} UTC."
    )
    OUT.print("Run `delever run` or the models to publish it.")


@event_group.command("list")
def event_list() -> None:
    """Events that come with Delever, and yours."""
    from dagster_project import events  # noqa: PLC0415

    events.render(Home.from_env(), OUT)


@event_group.command("remove")
@click.argument("event_id")
def event_remove(event_id: str) -> None:
    """Remove an event of your own."""
    from dagster_project import events  # noqa: PLC0415

    events.remove(Home.from_env(), event_id)
    OUT.print(f"Event '{event_id}' removed. Run `delever run` or the models to publish without it.")


cli.add_command(book)
cli.add_command(replay)
cli.add_command(sweep)
cli.add_command(reverse)
cli.add_command(shock)


@cli.command()
@click.argument("sql")
@click.option(
    "--format", "form", type=click.Choice(["table", "csv", "json", "parquet"]), default="table", show_default=True
)
@click.option(
    "--out",
    type=click.Path(dir_okay=False, path_type=Path),
    help="file to write instead of the screen; parquet needs one",
)
def query(sql: str, form: str, out: Path | None) -> None:
    """Ask the published snapshot in SQL.

    One read-only statement, without access to files or network. Tables are found without a schema:

    \b
    delever query "SELECT * FROM fct_exchange_share LIMIT 5"
    """  # noqa: D301 - click's mark of a paragraph that is not to be wrapped
    from dagster_project.lib import query as reader  # noqa: PLC0415

    if form == "parquet" and out is None:
        raise UsageError("--format parquet needs --out FILE.")
    if form == "table" and out is not None:
        raise UsageError("--out FILE goes with --format csv, json or parquet.")
    reader.answer(Home.from_env(), sql, form, out, OUT)


@cli.command()
def doctor() -> None:
    """Say what is wrong with this installation.

    Looks at Python, libraries, home, disk, every landed file against its manifest, the warehouse and the snapshot; says
    what to do about each fault, and leaves with 1 if there is one.
    """
    from dagster_project.doctor import examine, render  # noqa: PLC0415

    if not render(examine(Home.from_env()), OUT):
        sys.exit(1)


@cli.command()
@click.option("--port", default=3000, show_default=True, help="port to listen on")
@click.option(
    "--host", default="127.0.0.1", show_default=True, help="address to listen on; the pages ask for no password"
)
def ui(port: int, host: str) -> None:
    """Start Dagster's web pages and daemon on this home."""
    if find_spec("dagster_webserver") is None:
        raise UsageError("Dagster's web pages are not installed. Run `make ui`, which installs and starts them.")
    home = Home.from_env()
    home.prepare()
    environment = os.environ | {"DELEVER_HOME": str(home.root), "DAGSTER_HOME": str(home.dagster_home)}
    command = str(Path(sys.executable).with_name("dagster"))
    os.chdir(PROJECT_ROOT)
    os.execve(command, [command, "dev", "-w", "workspace.yaml", "-h", host, "-p", str(port)], environment)  # noqa: S606


def main() -> None:
    """Entry point: a user's error is one screen of text and its exit code; ours is kept in a file."""
    try:
        cli.main(standalone_mode=False)
    except click.exceptions.Exit as leave:
        sys.exit(leave.exit_code)
    except click.Abort:
        ERR.print("Interrupted. What was published before is still served; run again to finish.")
        sys.exit(130)
    except click.ClickException as error:
        error.show()
        sys.exit(error.exit_code)
    except DeleverError as error:
        ERR.print(str(error), style="red", markup=False, highlight=False, soft_wrap=True)
        sys.exit(error.exit_code)
    except Exception as error:
        _keep(error)
        sys.exit(INTERNAL_ERROR)


def _keep(error: Exception) -> None:
    """Write an internal fault's traceback to the home, and say where it is."""
    try:
        folder = Home.from_env().root / "faults"
        folder.mkdir(parents=True, exist_ok=True)
        file = folder / f"{datetime.now(UTC):%Y%m%dT%H%M%SZ}.txt"
        file.write_text("".join(traceback.format_exception(error)))
        where = f"Its details are in {file}."
    except OSError:
        where = "".join(traceback.format_exception(error))
    said = f"Delever failed: {type(error).__name__}: {error}\n{where}"
    ERR.print(said, style="red", markup=False, highlight=False, soft_wrap=True)
