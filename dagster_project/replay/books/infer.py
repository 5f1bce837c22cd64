"""A book inferred from open interest: the positions of the liquidation map as accounts that fall at the map's levels."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path

import duckdb

from dagster_project.lib.duck import literal
from dagster_project.lib.errors import UsageError
from dagster_project.lib.home import Home
from dagster_project.lib.publish import need_snapshot
from dagster_project.replay.book_check import BookSummary
from dagster_project.replay.books.parameters import InferParameters, read_parameters
from dagster_project.replay.books.tables import put_parameters
from dagster_project.replay.books.writing import BookInputError, folder_faults, scratch, write_book
from dagster_project.replay.faults import Fault, printable
from dagster_project.replay.scenario_tables import put
from dagster_project.replay.sqlfiles import load_sql, one_row

_STEPS = ("10_cohort", "20_contract", "30_hedged", "40_position", "50_market", "60_book")
_MOMENTS_SHOWN = 12
_DAY = re.compile(r"\d{4}-\d{2}-\d{2}")


@dataclass(frozen=True)
class Inferred:
    """A book that was inferred and written.

    Attributes:
        held: what it holds.
        as_of: moments of the maps, UTC, one unless the venues' data end on different moments of the day.
        depth_assumed: contracts whose depth is a share of open interest.
        funds_assumed: venues whose fund is a share of open interest.
    """

    held: BookSummary
    as_of: tuple[datetime, ...]
    depth_assumed: int
    funds_assumed: int


def infer_book(home: Home, at: str, out: Path, venues: Sequence[str] = (), parameters: Path | None = None) -> Inferred:
    """Write a book of the published snapshot's liquidation map.

    Args:
        home: the installation; its snapshot is read and nothing of it is changed.
        at: a UTC day, or the moment of a map in UTC.
        out: folder for the book, not there yet or empty.
        venues: venues of the book; none: every venue that has a map of then.
        parameters: YAML file (`InferParameters`); None: every default.

    Returns:
        What was written.

    Raises:
        UsageError: nothing is published, or it holds no maps with entry prices.
        BookInputError: an argument or a parameter is refused, with every fault; nothing was written.
        ReplayOutputError: `out` cannot be written.
    """
    faults = folder_faults(out)
    model, more = read_parameters(InferParameters, parameters)
    faults += more
    moment, more = _moment(at)
    faults += more
    snapshot = need_snapshot(home)
    with scratch() as con:
        con.execute(f"attach {literal(home.published_marts.resolve())} as snapshot (read_only)")
        _need_maps(con, home)
        if moment is not None:
            faults += _choose(con, moment, venues)
        if faults or model is None:
            raise BookInputError(faults)
        faults = _put_parameters(con, model)
        if faults:
            raise BookInputError(faults)
        for step in _STEPS:
            con.execute(load_sql(f"infer/{step}"))
        source_class, said, depth_assumed, funds_assumed = _flags(con)
        as_of = tuple(
            row[0] for row in con.execute("select distinct as_of_at from infer_choice order by all").fetchall()
        )
        origin = (
            f"inferred from open interest: snapshot {snapshot.digest}, maps as of "
            f"{', '.join(f'{one:%Y-%m-%d %H:%M} UTC' for one in as_of)}; {said}; "
            f"parameters {json.dumps(model.model_dump(), sort_keys=True)}"
        )
        held = write_book(con, out, source_class, origin)
    return Inferred(held, as_of, depth_assumed, funds_assumed)


def _moment(at: str) -> tuple[date | datetime | None, list[Fault]]:
    """Read a day or a moment."""
    text = at.strip()
    try:
        if _DAY.fullmatch(text):
            return date.fromisoformat(text), []
        found = datetime.fromisoformat(text)
    except ValueError:
        remedy = "write a UTC day (2025-10-10) or moment ('2025-10-10 20:50')"
        return None, [Fault("--at", at, "is neither a day nor a moment", remedy)]
    return (found if found.tzinfo else found.replace(tzinfo=UTC)), []


def _need_maps(con: duckdb.DuckDBPyConnection, home: Home) -> None:
    """Refuse a snapshot whose liquidation map has no entry prices."""
    found = con.execute(
        "select 1 from duckdb_columns() where database_name = 'snapshot' and schema_name = 'marts' "
        "and table_name = 'fct_liquidation_map' and column_name = 'entry_price'"
    ).fetchone()
    if found is None:
        raise UsageError(
            f"The snapshot of {home.root} has no liquidation map with entry prices: it was published by an older "
            "Delever. Run `delever run` again."
        )


def _choose(con: duckdb.DuckDBPyConnection, moment: date | datetime, venues: Sequence[str]) -> list[Fault]:
    """Make the table infer_choice (venue, map_date, as_of_at), or say why there is nothing to choose."""
    con.execute(
        "create temp table infer_map as "
        "select distinct venue, map_date, as_of_at from snapshot.marts.fct_liquidation_map"
    )
    same = "as_of_at = $moment" if isinstance(moment, datetime) else "map_date = $moment"
    con.execute(f"create temp table infer_choice as from infer_map where {same}", {"moment": moment})
    known = {row[0] for row in con.execute("select distinct venue from infer_map").fetchall()}
    chosen = {row[0] for row in con.execute("select distinct venue from infer_choice").fetchall()}
    faults = [
        Fault("--venue", venue, "no map of this venue", f"name one of {', '.join(sorted(known)) or '(no venue)'}")
        for venue in venues
        if venue not in known
    ]
    lacking = [venue for venue in venues if venue in known and venue not in chosen]
    if lacking or not chosen:
        shown = con.execute(
            "select strftime(timezone('UTC', as_of_at), '%Y-%m-%d %H:%M') as moment, string_agg(venue, ' ' order by venue) "
            "from infer_map where len($venues) = 0 or list_contains($venues, venue) "
            f"group by moment order by moment desc limit {_MOMENTS_SHOWN}",
            {"venues": lacking},
        ).fetchall()
        remedy = "; ".join(f"{text} ({names})" for text, names in shown)
        rule = "no liquidation map of then; maps are made before events and at the end of a venue's last day"
        faults.append(
            Fault("--at", f"{moment} {' '.join(lacking)}".strip(), rule, f"ask for one of {remedy or '(none)'}")
        )
    if venues:
        con.execute("delete from infer_choice where not list_contains(?, venue)", [list(venues)])
    return faults


def _put_parameters(con: duckdb.DuckDBPyConnection, model: InferParameters) -> list[Fault]:
    """Make the tables of parameters; return what they name and the book has not."""
    row = {
        "lot_usd": model.lot_usd,
        "hedged_share": model.hedged_share,
        "hedged_leverage": model.hedged_leverage,
        "max_depth_age_hours": model.max_depth_age_hours,
        "fund_share": model.fund.share_of_open_interest,
        "max_fund_age_days": model.fund.max_age_days,
    }
    put_parameters(con, "infer_parameter", row, model.depth, model.beta)
    put(con, "fund_given", {"venue": "varchar", "balance": "double"}, list(model.fund.usd.items()))
    put(con, "vault", {"venue": "varchar"}, [[venue] for venue in model.fund.vaults])
    strange = con.execute("select venue from fund_given except select venue from infer_choice order by all").fetchall()
    return [
        Fault("parameters", f"fund.usd.{printable(row[0])}", "the book has no such venue", "correct or remove it")
        for row in strange
    ]


def _flags(con: duckdb.DuckDBPyConnection) -> tuple[str, str, int, int]:
    """Return source class, what is said of the parts, and how many depths and funds are assumed."""
    row = one_row(con, load_sql("infer/flags").rstrip().removesuffix(";"))
    synthetic, venues, cohorts, contracts, completeness, depth_assumed, funds_assumed = row
    said = (
        f"{cohorts} cohorts in {contracts} contracts of {venues}; completeness {completeness}; "
        f"depth of {depth_assumed} contracts and funds of {funds_assumed} venues assumed from open interest"
    )
    return "synthetic" if synthetic else "estimated", said, depth_assumed, funds_assumed
