"""A book of account states that Hyperliquid's info endpoint answered and a user saved.

Everything in the files is foreign: it is read through links with names of our own, as JSON texts, cast value by value, and
a state that does not hold together goes to ``quarantine.csv``.
"""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import duckdb

from dagster_project.lib.duck import list_literal, literal
from dagster_project.replay.book_check import BookSummary
from dagster_project.replay.books.parameters import HyperliquidParameters, read_parameters
from dagster_project.replay.books.tables import put_parameters
from dagster_project.replay.books.writing import BookInputError, folder_faults, scratch, write_book
from dagster_project.replay.faults import Fault, printable
from dagster_project.replay.scenario_tables import put
from dagster_project.replay.sqlfiles import load_sql, one_row

META_NAMES = ("metaAndAssetCtxs.json", "meta.json")
"""Names of the answer that lists the coins, beside the states; the first that is there is read."""
_LINES = (".jsonl", ".ndjson")
_MAX_BYTES = 16 * 1024 * 1024
_REASONS_SHOWN = 8
_FORMAT = "docs/books.md has the format"


@dataclass(frozen=True)
class FromStates:
    """A book that was made of account states and written.

    Attributes:
        held: what it holds.
        users: users whose positions are in it.
        idle: users without a position, who are not.
        breached: users of it that are at or below their maintenance margin before any shock, by account (cross, isolated).
        depth_assumed: contracts whose depth is a share of open interest.
        quarantined: reason to number of records that are set aside.
    """

    held: BookSummary
    users: int
    idle: int
    breached: int
    depth_assumed: int
    quarantined: dict[str, int]


def book_of_states(source: Path, out: Path, parameters: Path | None = None) -> FromStates:
    """Write a book of saved account states.

    Args:
        source: JSON lines of ``{"user": address, "state": answer}``, or a folder of such files and of single answers
            ``<address>.json``; with `META_NAMES` beside them.
        out: folder for the book, not there yet or empty; ``quarantine.csv`` in it lists what could not be used.
        parameters: YAML file (`HyperliquidParameters`); None: every default.

    Returns:
        What was written.

    Raises:
        BookInputError: files, parameters or folder are refused, with every fault; nothing was written.
        ReplayOutputError: `out` cannot be written.
    """
    faults = folder_faults(out)
    model, more = read_parameters(HyperliquidParameters, parameters)
    faults += more
    files, more = _find(source)
    faults += more
    if faults or model is None or files is None:
        raise BookInputError(faults)
    with scratch() as con:
        with _links(files) as links:
            faults = _read_meta(con, files, links) or _read_states(con, files, links)
        if faults:
            raise BookInputError(faults)
        _put_parameters(con, model)
        con.execute(load_sql("hyperliquid/10_meta"))
        if faults := _meta_faults(con, files.meta.name):
            raise BookInputError(faults)
        con.execute(load_sql("hyperliquid/20_state"))
        con.execute(load_sql("hyperliquid/30_book"))
        said = _said(con)
        if faults := _book_faults(con, model, said):
            raise BookInputError(faults)
        is_measured = said.depth_assumed == 0 and (model.fund.balance_usd is not None or model.fund.address is not None)
        held = write_book(
            con,
            out,
            "measured" if is_measured else "estimated",
            _origin(source, files, said, model),
            more={
                "quarantine.csv": "select place, address, reason from hl_record where reason is not null order by record_no"
            },
        )
    return FromStates(held, said.users, said.idle, said.breached, said.depth_assumed, said.quarantined)


@dataclass(frozen=True)
class _Files:
    """Files of a snapshot."""

    meta: Path
    lines: tuple[Path, ...]
    answers: tuple[Path, ...]


def _find(source: Path) -> tuple[_Files | None, list[Fault]]:
    """Locate meta and states."""
    try:
        if source.is_dir():
            folder = source
            inside = sorted(path for path in source.iterdir() if path.is_file())
            lines = tuple(path for path in inside if path.suffix in _LINES)
            answers = tuple(path for path in inside if path.suffix == ".json" and path.name not in META_NAMES)
        elif source.is_file():
            folder, lines, answers = source.parent, (source,), ()
        else:
            rule = "no such file or folder" if not source.exists() else "neither a file nor a folder"
            return None, [Fault("snapshot", str(source), rule, "name the file or folder of account states")]
        meta = next((folder / name for name in META_NAMES if (folder / name).is_file()), None)
    except (OSError, ValueError) as error:
        return None, [Fault("snapshot", str(source), f"cannot be read: {error}", "check the path and its permissions")]
    faults = []
    if meta is None:
        remedy = f"save the answer of metaAndAssetCtxs (or meta) as {META_NAMES[0]} beside the states"
        faults.append(Fault("snapshot", str(folder), "no list of coins and their margin tables", remedy))
    if not lines and not answers:
        faults.append(Fault("snapshot", str(folder), "no account states", f"add *.jsonl or <address>.json; {_FORMAT}"))
    return (None, faults) if faults or meta is None else (_Files(meta, lines, answers), [])


@contextmanager
def _links(files: _Files) -> Iterator[Path]:
    """Yield a folder with a link to each file: no character of a user's path is taken as a pattern."""
    folder = Path(tempfile.mkdtemp(prefix="delever-book-"))
    try:
        (folder / "meta.json").symlink_to(files.meta.resolve())
        for kind, paths in (("lines", files.lines), ("answers", files.answers)):
            (folder / kind).mkdir()
            for number, path in enumerate(paths):
                (folder / kind / f"{number:08d}.json").symlink_to(path.resolve())
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _read_meta(con: duckdb.DuckDBPyConnection, files: _Files, links: Path) -> list[Fault]:
    """Make the table hl_meta (meta, contexts)."""
    where, remedy = f"snapshot {files.meta.name}", "save the answer as it came"
    if files.meta.stat().st_size > _MAX_BYTES:
        return [Fault(where, "", f"larger than {_MAX_BYTES // 2**20} MiB", remedy)]
    con.execute(
        f"""create temp table hl_meta as
            with answer as (
                select try_cast(try(decode(content)) as json) as j from read_blob({literal(links / "meta.json")})
            )
            select
                if(json_type(j) = 'ARRAY', json_extract(j, '$[0]'), j) as meta,
                if(json_type(j) = 'ARRAY', json_extract(j, '$[1]'), null) as contexts
            from answer"""
    )
    row = one_row(con, "select coalesce(json_type(meta, '$.universe'), '') = 'ARRAY' from hl_meta")
    return [] if row[0] else [Fault(where, "universe", "is no JSON with a list of coins", remedy)]


def _read_states(con: duckdb.DuckDBPyConnection, files: _Files, links: Path) -> list[Fault]:
    """Make the table hl_raw (record_no, place, address, state): one row per record of any file."""
    con.execute(
        "create temp sequence hl_number; create temp table hl_raw "
        "(record_no bigint default nextval('hl_number'), place varchar, address varchar, state json)"
    )
    for number, path in enumerate(files.lines):
        place = literal(f"{printable(path.name)} record ")
        try:
            con.execute(
                f"""insert into hl_raw (place, address, state)
                    select {place} || row_number() over (), json ->> '$.user', json -> '$.state'
                    from read_ndjson_objects({literal(links / "lines" / f"{number:08d}.json")}, ignore_errors = true,
                        compression = 'uncompressed', maximum_object_size = {_MAX_BYTES})"""
            )
        except duckdb.Error as error:
            first = str(error).strip().splitlines()[0]
            return [
                Fault("snapshot", path.name, f"cannot be read: {first}", f"write one JSON object a line; {_FORMAT}")
            ]
    if files.answers:
        names = [
            (str(links / "answers" / f"{number:08d}.json"), printable(path.name), path.stem)
            for number, path in enumerate(files.answers)
        ]
        put(con, "hl_answer", {"link": "varchar", "place": "varchar", "address": "varchar"}, names)
        # a file beyond every answer's size is not opened, and is set aside as no JSON
        read = [
            link for (link, _, _), path in zip(names, files.answers, strict=True) if path.stat().st_size <= _MAX_BYTES
        ]
        con.execute(
            f"""insert into hl_raw (place, address, state)
                select a.place, a.address, try_cast(try(decode(b.content)) as json)
                from hl_answer as a
                left join read_blob({list_literal(read or [str(links / "meta.json")])}) as b on a.link = b.filename
                order by a.link"""
        )
    return []


def _put_parameters(con: duckdb.DuckDBPyConnection, model: HyperliquidParameters) -> None:
    """Make the tables of parameters."""
    own = {"max_price_gap": model.max_price_gap, "fund_usd": model.fund.balance_usd}
    put_parameters(con, "hl_parameter", own, model.depth, model.beta)
    tiers = [(asset, tier) for tier in ("major", "mid") for asset in getattr(model.tiers, tier)]
    put(con, "tier_asset", {"asset": "varchar", "tier": "varchar"}, tiers)
    put(con, "vault", {"address": "varchar"}, [[address.lower()] for address in model.vaults])
    address = model.fund.address
    put(con, "fund_address", {"address": "varchar"}, [] if address is None else [[address.lower()]])
    given = list(model.depth.depth_1pct_usd.items())
    put(con, "depth_given", {"contract": "varchar", "depth_1pct_usd": "double"}, given)


def _meta_faults(con: duckdb.DuckDBPyConnection, name: str) -> list[Fault]:
    """Return what is wrong with the list of coins."""
    rows = con.execute(load_sql("hyperliquid/meta_faults").rstrip().removesuffix(";")).fetchall()
    return [
        Fault(f"snapshot {name}", ", ".join(keys), rule, "save the answer as it came", count)
        for rule, keys, count in rows
    ]


@dataclass(frozen=True)
class _Said:
    """What is told of a snapshot."""

    users: int
    idle: int
    records: int
    breached: int
    depth_assumed: int
    first_ms: int | None
    last_ms: int | None
    quarantined: dict[str, int]


def _said(con: duckdb.DuckDBPyConnection) -> _Said:
    """Count what became of the records."""
    row = one_row(con, load_sql("hyperliquid/said").rstrip().removesuffix(";"))
    reasons = con.execute(
        "select reason, count(*) as n from hl_record where reason is not null group by reason order by n desc, reason"
    ).fetchall()
    users, idle, records, breached, depth_assumed, first_ms, last_ms = row
    return _Said(users, idle, records, breached, depth_assumed, first_ms, last_ms, dict(reasons))


def _book_faults(con: duckdb.DuckDBPyConnection, model: HyperliquidParameters, said: _Said) -> list[Fault]:
    """Return why the states make no book, or not the one that the parameters ask for."""
    faults = []
    if not said.users:
        reasons = "; ".join(f"{count} x {reason}" for reason, count in list(said.quarantined.items())[:_REASONS_SHOWN])
        rule = f"none of {said.records} records holds positions that can be used"
        faults.append(Fault("snapshot", "", f"{rule} ({reasons or 'users without positions'})", _FORMAT))
    strange = con.execute(
        "select 'fund.address' from fund_address where address not in (select address from hl_record where reason is null) "
        "union all select 'vaults ' || address from vault where address not in (select address from hl_account) "
        "union all select 'depth.depth_1pct_usd.' || contract from depth_given "
        "where contract not in (select contract from hl_coin) order by all"
    ).fetchall()
    faults += [
        Fault("parameters", place, "the snapshot has nothing of this name", "correct or remove it")
        for (place,) in strange
    ]
    return faults


def _origin(source: Path, files: _Files, said: _Said, model: HyperliquidParameters) -> str:
    """Return where the book comes from, in words."""
    times = " to ".join(
        f"{datetime.fromtimestamp(ms / 1000, UTC):%Y-%m-%d %H:%M:%S} UTC"
        for ms in dict.fromkeys((said.first_ms, said.last_ms))
        if ms is not None
    )
    return (
        f"account states of Hyperliquid in {printable(source.name)} with {files.meta.name}, {times or 'of no stated time'}: "
        f"{said.users} users with positions, {said.idle} without, {sum(said.quarantined.values())} records set aside; "
        f"depth of {said.depth_assumed} contracts assumed from open interest; "
        f"parameters {json.dumps(model.model_dump(), sort_keys=True)}"
    )
