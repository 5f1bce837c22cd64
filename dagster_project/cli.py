"""The command line ``delever``: runs the pipeline, replays, reads. Heavy imports happen inside the commands that need them."""

import os
import sys
import traceback
from datetime import UTC, datetime
from importlib.util import find_spec
from pathlib import Path

import click
from rich.console import Console

from dagster_project.lib.errors import DeleverError, UsageError
from dagster_project.lib.home import PROJECT_ROOT, Home

PIPED_WIDTH = 160
"""Columns where the output is no terminal and nothing says how wide it is: tables are not to lose text in a file."""

_WIDTH = None if sys.stdout.isatty() or os.environ.get("COLUMNS") else PIPED_WIDTH
OUT = Console(width=_WIDTH)
ERR = Console(stderr=True, width=None if sys.stderr.isatty() else _WIDTH)
INTERNAL_ERROR = 70
"""Exit code of a fault in Delever itself (sysexits.h: EX_SOFTWARE)."""

DAY = click.DateTime(formats=["%Y-%m-%d"])
FOLDER = click.Path(file_okay=False, path_type=Path)


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="delever")
def cli() -> None:
    """A warehouse of crypto-derivatives stress: raw exchange data to SQL marts, and a replay of liquidation cascades.

    All state lives under $DELEVER_HOME (default ./data).

    Exit codes: 0 done; 1 doctor found a fault; 2 the call or its input files cannot be used; 3 data breaks its contract;
    4 the run did not publish; 70 a fault of Delever itself; 130 interrupted.
    """


@cli.command()
@click.option(
    "--profile",
    type=click.Choice(["demo", "files"]),
    default="demo",
    show_default=True,
    help="demo: the synthetic sample; files: your own files. A home holds one of them, never both.",
)
@click.option(
    "--landing",
    "folder",
    type=FOLDER,
    help="with --profile files: the folder with your files and their *.delever.yaml specs",
)
@click.option("--from", "start", type=DAY, metavar="YYYY-MM-DD", help="first UTC day [default: the first in the data]")
@click.option(
    "--to", "end", type=DAY, metavar="YYYY-MM-DD", help="last UTC day, inclusive [default: the last in the data]"
)
def run(profile: str, folder: Path | None, start: datetime | None, end: datetime | None) -> None:
    """Run the whole pipeline and publish.

    Landing, raw, marts, checks, snapshot; the demo runs one replay before the marts. A day that is run again is replaced.
    """
    from dagster_project import pipeline, summary  # noqa: PLC0415

    if (profile == "files") != (folder is not None):
        raise UsageError("--landing DIR goes with --profile files, and --profile files needs it.")
    if start and end and start > end:
        raise UsageError(f"--from {start:%Y-%m-%d} is after --to {end:%Y-%m-%d}.")
    home = Home.from_env()
    pipeline.run(
        home,
        profile,
        folder=folder.absolute() if folder else None,
        start=start.date() if start else None,
        end=end.date() if end else None,
        console=ERR,
    )
    summary.show(home, OUT)


@cli.command()
@click.argument("source", type=click.Choice(["sample", "files"]))
@click.option(
    "--landing",
    "folder",
    type=FOLDER,
    help="with the source files: the folder with your files and their *.delever.yaml specs",
)
def ingest(source: str, folder: Path | None) -> None:
    """Take a source in, without models.

    SOURCE is `sample` (the synthetic one) or `files` (your own): landing and raw. `delever run` does this and the rest.
    """
    from dagster_project import pipeline  # noqa: PLC0415

    if (source == "files") != (folder is not None):
        raise UsageError("--landing DIR goes with the source files, and the source files needs it.")
    profile = "demo" if source == "sample" else "files"
    pipeline.ingest(Home.from_env(), profile, folder=folder.absolute() if folder else None, console=ERR)


@cli.command()
@click.option("--book", type=FOLDER, required=True, help="folder with the position book (docs/method_replay.md)")
@click.option(
    "--scenario",
    type=click.Path(dir_okay=False, path_type=Path),
    required=True,
    help="scenario YAML, e.g. scenarios/first_fall.yaml",
)
@click.option("--out", type=FOLDER, required=True, help="folder to write stress_*.parquet into")
@click.option(
    "--set", "overrides", multiple=True, metavar="KEY=VALUE", help="override a scenario's key (dotted); may be repeated"
)
def replay(book: Path, scenario: Path, out: Path, overrides: tuple[str, ...]) -> None:
    """Replay a scenario over a position book.

    Reads and writes these folders only; the warehouse and the published snapshot stay as they are.
    """
    from dagster_project.replay.engine import run_replay  # noqa: PLC0415
    from dagster_project.summary import show_replay  # noqa: PLC0415

    with ERR.status("replaying"):
        result = run_replay(book, scenario, out=out, overrides=overrides)
    show_replay({"scenario": result.scenario, "source_class": result.source_class, **result.summary}, OUT)
    OUT.print(f"Tables: {out}/stress_*.parquet")


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
