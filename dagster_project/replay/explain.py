"""What happened to one account or at one venue in a run, in order and in words, from ``stress_event``."""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path

import duckdb

from dagster_project.lib.errors import UsageError
from dagster_project.lib.home import Home
from dagster_project.lib.query import open_published
from dagster_project.replay.faults import printable

Story = list[tuple[float, int, str, str]]
"""Seconds, round, account, and what happened."""


def explain(home: Home, run: str, account: str | None, venue: str | None) -> Story:
    """Tell the events of a run.

    Args:
        home: the installation; its published snapshot is asked where `run` is no folder.
        run: a folder that `delever replay --out` wrote, or a run_id of the snapshot.
        account: only this account; None: all.
        venue: only this venue; None: all.

    Returns:
        The story, in order.

    Raises:
        UsageError: there is no such run, account or venue in it.
    """
    folder = Path(run)
    story = files("dagster_project.replay").joinpath("sql", "story", "explain.sql").read_text(encoding="utf-8")
    if folder.is_dir():
        if not (folder / "stress_event.parquet").is_file():
            remedy = "Give a folder that `delever replay --out` wrote."
            raise UsageError(f"{printable(run)} holds no stress_event.parquet. {remedy}")
        with duckdb.connect() as connection:
            connection.execute("set enable_progress_bar = false")
            events = connection.read_parquet(str(folder / "stress_event.parquet").replace("*", "[*]"))
            events.to_table("stress_event")
            return _told(connection, story, None, account, venue, run)
    connection = open_published(home)
    try:
        return _told(connection, story, run, account, venue, run)
    finally:
        connection.close()


def _told(
    connection: duckdb.DuckDBPyConnection,
    story: str,
    run_id: str | None,
    account: str | None,
    venue: str | None,
    run: str,
) -> Story:
    """Ask for the story; nothing to tell is the caller's mistake unless the run was quiet."""
    try:
        rows = connection.execute(
            f"""select seconds, round, account_id, what from ({story})
                where ($run is null or run_id = $run) and ($account is null or account_id = $account)
                    and ($venue is null or venue = $venue)
                order by event_no""",
            {"run": run_id, "account": account, "venue": venue},
        ).fetchall()
    except duckdb.CatalogException:
        remedy = "Run `delever run`, or give a folder that `delever replay --out` wrote."
        raise UsageError(f"The snapshot holds no events of a replay. {remedy}") from None
    if not rows:
        who = ", ".join(f"{kind} {printable(name)}" for kind, name in (("account", account), ("venue", venue)) if name)
        whom = f" to {who}" if who else ""
        raise UsageError(f"Nothing happened{whom} in run {printable(run)}, or there is no such run, account or venue.")
    return [(float(row[0]), int(row[1]), printable(row[2]), printable(row[3], 300)) for row in rows]
