"""A scenario whose shock is what prices did: the recorded path of an event window of the published snapshot."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby
from operator import itemgetter
from pathlib import Path
from typing import Any

import duckdb
import yaml

from dagster_project.lib.duck import connect, literal
from dagster_project.lib.home import Home
from dagster_project.lib.publish import need_snapshot
from dagster_project.replay.engine import opened
from dagster_project.replay.faults import Fault, ReplayInputError, ReplayOutputError, printable
from dagster_project.replay.scenario import read_raw, validate
from dagster_project.replay.scenario_tables import put
from dagster_project.replay.sqlfiles import load_sql
from dagster_project.replay.yaml_input import MAX_BYTES

_CLASSES = ("synthetic", "estimated", "published", "measured")
"""From the weakest; the path is what its weakest part is."""


class RecordInputError(ReplayInputError):
    """What a path was to be made of is refused; nothing was written."""

    heading = "The path cannot be recorded"


@dataclass(frozen=True)
class Recorded:
    """A scenario that was written.

    Attributes:
        scenario: its name.
        source_class: of the recorded prices, the weakest.
        kinds: asset to ``index`` or ``trade``: the prices that it follows.
        step_seconds: length of a bar and of a step.
        steps: number of steps.
        still: assets of the book without a path; they do not move.
    """

    scenario: str
    source_class: str
    kinds: dict[str, str]
    step_seconds: int
    steps: int
    still: tuple[str, ...]


@dataclass(frozen=True)
class Window:
    """Which prices are followed.

    Attributes:
        event: ``event_id`` of ``dim_event``.
        venues: venues whose prices are taken; none: all.
        seconds: length from ``pre_event_at``; None: to the end of the aftershock.
    """

    event: str
    venues: tuple[str, ...] = ()
    seconds: int | None = None


def record_shock(
    home: Home, window: Window, out: Path, *, book: Path | None = None, base: Path | None = None
) -> Recorded:
    """Write a scenario that follows the recorded prices of an event.

    Args:
        home: the installation; its snapshot is read and nothing of it is changed.
        window: which prices.
        out: YAML file to write; it must not be there yet.
        book: folder of a book; only its assets are kept, since a scenario may name no others.
        base: scenario whose other keys are kept; None: marks follow the index alone, since recorded prices contain what
            forced flow did to them.

    Returns:
        What was written.

    Raises:
        UsageError: nothing is published.
        RecordInputError: an argument is refused, with every fault; nothing was written.
        ReplayInputError: book or base scenario are refused.
        ReplayOutputError: `out` cannot be written.
    """
    snapshot = need_snapshot(home)
    faults = [Fault("out", str(out), "is there already", "name a file that does not exist yet")] if out.exists() else []
    with connect() as con:
        con.execute(f"attach {literal(home.published_marts.resolve())} as snapshot (read_only)")
        faults += _name_faults(con, window)
        if faults:
            raise RecordInputError(faults)
        put(con, "shock_window", {"event_id": "varchar", "seconds": "bigint"}, [(window.event, window.seconds)])
        put(con, "shock_venue", {"venue": "varchar"}, [(venue,) for venue in window.venues])
        rows = con.execute(load_sql("shock/recorded")).fetchall()
    held = None if book is None else _assets(book)
    rows = [row for row in rows if held is None or row[0] in held]
    if not rows:
        rule = "no prices before and after the event" + (" of an asset of the book" if held else "")
        raise RecordInputError([Fault("--event", printable(window.event), rule, "choose another event, book or venue")])
    source_class = min((name for row in rows for name in row[5]), key=_CLASSES.index)
    made = Recorded(
        scenario=f"{window.event}_recorded_{source_class}",
        source_class=source_class,
        kinds={row[0]: row[2] for row in rows},
        step_seconds=min(row[3] for row in rows),
        steps=-(-max(row[1] for row in rows) // min(row[3] for row in rows)),
        still=() if held is None else tuple(sorted(held - {row[0] for row in rows})),
    )
    head = f"# Recorded by `delever shock`: event {window.event}, snapshot {snapshot.digest}, {source_class} prices of "
    head += f"{', '.join(window.venues) or 'every venue'}, the median of an asset's contracts.\n"
    _write(out, head + _text(_content(made, rows, base)))
    return made


def _name_faults(con: duckdb.DuckDBPyConnection, window: Window) -> list[Fault]:
    """Check event and venues against the snapshot."""

    def names(query: str) -> list[str]:
        return [str(row[0]) for row in con.execute(query).fetchall()]

    events = names("select event_id from snapshot.marts.dim_event order by all")
    if window.event not in events:
        remedy = f"name one of {', '.join(events) or '(none)'}; `delever event add` makes one"
        return [Fault("--event", printable(window.event), "the snapshot has no such event", remedy)]
    known = names("select distinct venue from snapshot.marts.fct_event_window order by all")
    return [
        Fault("--venue", printable(venue), "no prices of this venue", f"name one of {', '.join(known) or '(none)'}")
        for venue in window.venues
        if venue not in known
    ]


def _assets(book: Path) -> set[str]:
    """Return the assets that a scenario over a book may name."""
    with opened(book, []) as table:
        return {str(row[0]) for row in table.con.execute("select distinct base_asset from book_contract").fetchall()}


def _content(made: Recorded, rows: Sequence[tuple[Any, ...]], base: Path | None) -> dict[str, Any]:
    """Return the scenario.

    Raises:
        ReplayInputError: the base scenario is refused.
    """
    raw: dict[str, Any] = {"mark": {"own_book_weight": 0}}
    if base is not None:
        _, raw, faults = read_raw(base, ())
        if faults:
            raise ReplayInputError(faults)
    # one path a driver would be scaled by betas; recorded assets have their own
    content = {
        "scenario": made.scenario,
        "clock": {**raw.get("clock", {}), "step_seconds": made.step_seconds, "steps": made.steps},
        "shock": {
            asset: _Path([[0, 0.0], *([row[1], row[4]] for row in path)])
            for asset, path in groupby(rows, key=itemgetter(0))
        },
        **{key: value for key, value in raw.items() if key not in ("scenario", "clock", "shock")},
    }
    plain = yaml.safe_load(_text(content))
    _, faults = validate(printable(str(base or made.scenario)), plain)
    if faults:
        raise ReplayInputError(faults)
    return content


class _Path(list[list[float]]):
    """A path, written in lines."""


class _Dumper(yaml.SafeDumper):
    """PyYAML's dumper, without anchors."""

    def ignore_aliases(self, data: object) -> bool:
        return True


_Dumper.add_representer(
    _Path, lambda dumper, path: dumper.represent_sequence("tag:yaml.org,2002:seq", path, flow_style=True)
)


def _text(content: dict[str, Any]) -> str:
    return yaml.dump(content, Dumper=_Dumper, sort_keys=False, width=130)


def _write(out: Path, text: str) -> None:
    if len(text.encode()) > MAX_BYTES:
        rule = f"the scenario would be larger than {MAX_BYTES // 1024} KiB"
        raise RecordInputError([Fault("out", str(out), rule, "give --book, or a shorter time with --seconds")])
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        with out.open("x", encoding="utf-8", newline="\n") as file:
            file.write(text)
    except OSError as error:
        raise ReplayOutputError(f"The scenario cannot be written to {out}: {error.strerror or error}") from None


__all__ = ["RecordInputError", "Recorded", "Window", "record_shock"]
