"""The command line ``delever``: runs the pipeline, replays, reads. Heavy imports happen inside the commands that need them."""

import os
import sys
import traceback
from datetime import UTC, datetime
from pathlib import Path

import click
from rich.console import Console

from dagster_project.lib.errors import DeleverError, UsageError
from dagster_project.lib.home import PROJECT_ROOT, Home

OUT = Console()
ERR = Console(stderr=True)
INTERNAL_ERROR = 70
"""Exit code of a fault in Delever itself (sysexits.h: EX_SOFTWARE)."""

DAY = click.DateTime(formats=["%Y-%m-%d"])
FOLDER = click.Path(file_okay=False, path_type=Path)


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="delever")
def cli() -> None:
    """A warehouse of crypto-derivatives stress: raw exchange data to SQL marts, and a replay of liquidation cascades.

    State lives under $DELEVER_HOME (default ./data). Exit codes: 2 usage, 3 data, 4 a run that did not publish, 70 a fault
    of Delever itself.
    """


@cli.command()
@click.option("--profile", type=click.Choice(["demo", "files"]), default="demo", show_default=True)
@click.option("--landing", "folder", type=FOLDER, help="profile files: the folder with your files and their specs")
@click.option("--from", "start", type=DAY, help="first UTC day (default: the first that the data has)")
@click.option("--to", "end", type=DAY, help="last UTC day, inclusive (default: the last that the data has)")
def run(profile: str, folder: Path | None, start: datetime | None, end: datetime | None) -> None:
    """Run the whole pipeline and publish: landing, raw, marts, checks, snapshot (and one replay for the demo)."""
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
@click.option("--landing", "folder", type=FOLDER, help="source files: the folder with your files and their specs")
def ingest(source: str, folder: Path | None) -> None:
    """Take a SOURCE in: landing and raw, without models. `delever run` does this and the rest."""
    from dagster_project import pipeline  # noqa: PLC0415

    if (source == "files") != (folder is not None):
        raise UsageError("--landing DIR goes with the source files, and the source files needs it.")
    profile = "demo" if source == "sample" else "files"
    pipeline.ingest(Home.from_env(), profile, folder=folder.absolute() if folder else None, console=ERR)


@cli.command()
@click.option("--book", type=FOLDER, required=True, help="folder with the position book (docs: replay)")
@click.option("--scenario", type=click.Path(dir_okay=False, path_type=Path), required=True, help="scenario YAML")
@click.option("--out", type=FOLDER, required=True, help="folder for the stress_* Parquet files")
@click.option("--set", "overrides", multiple=True, metavar="KEY=VALUE", help="override a scenario key (dotted path)")
def replay(book: Path, scenario: Path, out: Path, overrides: tuple[str, ...]) -> None:
    """Replay a scenario over a position book."""
    from dagster_project.replay.engine import run_replay  # noqa: PLC0415
    from dagster_project.summary import show_replay  # noqa: PLC0415

    with ERR.status("replaying"):
        result = run_replay(book, scenario, out=out, overrides=overrides)
    show_replay({"scenario": result.scenario, "source_class": result.source_class, **result.summary}, OUT)
    OUT.print(f"Tables: {out}/stress_*.parquet")


@cli.command()
@click.argument("sql")
@click.option("--format", "form", type=click.Choice(["table", "csv", "json", "parquet"]), default="table")
@click.option("--out", type=click.Path(dir_okay=False, path_type=Path), help="file to write (needed for parquet)")
def query(sql: str, form: str, out: Path | None) -> None:
    """Ask the published snapshot: one read-only SQL statement, without access to files or network.

    Tables are found without a schema: `delever query "SELECT * FROM fct_exchange_share LIMIT 5"`.
    """
    from dagster_project.lib import query as reader  # noqa: PLC0415

    if form == "parquet" and out is None:
        raise UsageError("--format parquet needs --out FILE.")
    if form == "table" and out is not None:
        raise UsageError("--out FILE goes with --format csv, json or parquet.")
    reader.answer(Home.from_env(), sql, form, out, OUT)


@cli.command()
def doctor() -> None:
    """Look at this installation: versions, home, landing, snapshot; says what is wrong and what to do."""
    from dagster_project.doctor import examine, render  # noqa: PLC0415

    if not render(examine(Home.from_env()), OUT):
        sys.exit(1)


@cli.command()
@click.option("--port", default=3000, show_default=True)
@click.option("--host", default="127.0.0.1", show_default=True)
def ui(port: int, host: str) -> None:
    """Start Dagster's web pages and daemon on this home."""
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
        ERR.print(str(error), style="red", markup=False, highlight=False)
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
    ERR.print(f"Delever failed: {type(error).__name__}: {error}\n{where}", style="red", markup=False, highlight=False)
