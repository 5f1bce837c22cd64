"""The book: reading its tables into DuckDB and refusing it as a whole, with every fault listed.

Files of a book come from strangers. They are read only through bound paths (symbolic links with names of our own, so no
character of a path is taken as a pattern), cast column by column, and checked before anything is computed.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import duckdb

from dagster_project.lib.duck import identifier, literal
from dagster_project.replay.faults import Fault, printable
from dagster_project.replay.sqlfiles import book_rules, one_row
from dagster_project.replay.yaml_input import YamlRefused, read_yaml

SOURCE_CLASSES = ("measured", "estimated", "synthetic")
_SHOWN_KEYS = 3


@dataclass(frozen=True)
class Column:
    """One column of a book table.

    Attributes:
        name: column name, exact.
        kind: ``text`` or ``number`` (read as DOUBLE).
        is_required: the column must exist; without it the default is taken.
        is_nullable: empty cells are allowed.
        check: SQL condition on ``{x}`` that every value must meet, or None.
        says: the condition in words.
        values: accepted texts, or None.
        default: value of an absent column or an empty cell.
    """

    name: str
    kind: Literal["text", "number"] = "text"
    is_required: bool = True
    is_nullable: bool = False
    check: str | None = None
    says: str = ""
    values: tuple[str, ...] | None = None
    default: str | None = None


def _positive(name: str) -> Column:
    return Column(name, "number", check="{x} > 0", says="must be > 0")


def _not_negative(name: str) -> Column:
    return Column(name, "number", check="{x} >= 0", says="must be >= 0")


def _share(name: str) -> Column:
    return Column(name, "number", check="{x} between 0 and 1", says="must be between 0 and 1")


TABLES: dict[str, tuple[Column, ...]] = {
    "contract": (
        Column("venue"),
        Column("contract"),
        Column("base_asset"),
        Column("contract_type", is_required=False, is_nullable=True, values=("linear", "inverse"), default="linear"),
        Column("contract_value", "number", is_required=False, is_nullable=True),
        Column("tier", values=("major", "mid", "tail")),
        _positive("lot_size"),
        _positive("index_price"),
        Column("beta", "number", check="abs({x}) <= 100", says="must be within +-100"),
    ),
    "account": (
        Column("account_id"),
        Column("owner_id"),
        Column("venue"),
        Column("kind", values=("trader", "maker", "vault")),
        Column("margin_mode", values=("cross", "isolated")),
    ),
    "collateral": (
        Column("account_id"),
        Column("asset"),
        Column("amount", "number"),
        _positive("price"),
        Column("contract", is_required=False, is_nullable=True),
    ),
    "position": (
        Column("account_id"),
        Column("venue"),
        Column("contract"),
        Column("quantity", "number"),
        _positive("entry_price"),
    ),
    "margin_tier": (
        Column("venue"),
        Column("contract"),
        _not_negative("notional_floor"),
        Column("notional_cap", "number", is_nullable=True, check="{x} > 0", says="must be > 0"),
        Column("maintenance_rate", "number", check="{x} >= 0 and {x} < 1", says="must be >= 0 and < 1"),
        Column("maintenance_amount", "number"),
    ),
    "depth": (
        Column("venue"),
        Column("contract"),
        Column("depth", "number", check="{x} >= 0.01 and {x} <= 1e18", says="must be >= 0.01 and <= 1e18 USD"),
        _not_negative("recovery"),
        _share("floor"),
    ),
    "fund": (
        Column("venue"),
        Column("pool"),
        Column("contract", is_nullable=True),
        Column("balance", "number", check="{x} between 0 and 1e15", says="must be >= 0 and <= 1e15 USD"),
        Column("mode", values=("cash_pool", "vault")),
    ),
    "index_weight": (
        Column("base_asset"),
        Column("venue"),
        _share("weight"),
    ),
}
MAY_BE_EMPTY = frozenset({"fund", "index_weight"})


@dataclass(frozen=True)
class BookInfo:
    """What is known of a checked book.

    Attributes:
        digest: SHA-256 (hex) of the content, the same for any row order, file format and number of files.
        source_class: measured, estimated or synthetic.
        origin: where the book comes from, in the words of its author.
    """

    digest: str
    source_class: str
    origin: str


def _first_line(error: Exception) -> str:
    return printable(str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__, 200)


def _find_files(folder: Path) -> tuple[dict[str, Path], list[Fault]]:
    """Locate one file per table."""
    faults: list[Fault] = []
    found: dict[str, Path] = {}
    try:
        if not folder.is_dir():
            rule = "is not a folder" if folder.exists() else "no such folder"
            return {}, [Fault("book", str(folder), rule, "give the folder that holds the book's tables")]
        for table in TABLES:
            paths = [path for suffix in ("parquet", "csv") if (path := folder / f"{table}.{suffix}").exists()]
            if len(paths) == 2:
                faults.append(
                    Fault(table, f"{table}.parquet, {table}.csv", "both files are present", "keep one of the two")
                )
            elif not paths:
                faults.append(
                    Fault(table, "", "the table is missing", f"add {table}.parquet or {table}.csv to the folder")
                )
            elif not paths[0].is_file():
                faults.append(Fault(table, paths[0].name, "is not a regular file", "replace it with the table"))
            else:
                found[table] = paths[0]
    except (OSError, ValueError) as error:
        return {}, [Fault("book", str(folder), f"cannot be read: {error}", "check the path and its permissions")]
    return found, faults


@dataclass(frozen=True)
class _Database:
    """A DuckDB file that holds the book's tables in one of its schemas."""

    file: Path
    schema: str


def _database_of(book: Path) -> _Database | None:
    """Return the database that a book's path names: ``FILE.duckdb``, or ``FILE.duckdb/SCHEMA``; None if it names a folder."""
    for file, schema in ((book, "main"), (book.parent, book.name)):
        try:
            if file.suffix == ".duckdb" and file.is_file():
                return _Database(file, schema)
        except OSError:  # a name that is too long, say: told as a folder that cannot be read
            return None
    return None


def _take_out(con: duckdb.DuckDBPyConnection, database: _Database, into: Path) -> tuple[dict[str, Path], list[Fault]]:
    """Write a database's tables of a book to files. Views are not taken: what they would do is not known."""
    found: dict[str, Path] = {}
    place = f"{database.file.name}/{database.schema}"
    try:
        con.execute(f"attach {literal(database.file.resolve())} as given (read_only)")
        try:
            held = con.execute(
                "select table_name from duckdb_tables() where database_name = 'given' and schema_name = ?",
                [database.schema],
            ).fetchall()
            for table in TABLES.keys() & {str(row[0]) for row in held}:
                path = into / f"{table}.parquet"
                con.execute(
                    f"copy (from given.{identifier(database.schema)}.{table}) to {literal(path)} (format parquet)"
                )
                found[table] = path
        finally:
            con.execute("detach given")
    except duckdb.Error as error:
        rule = f"cannot be read: {_first_line(error)}"
        return {}, [Fault("book", place, rule, "give a DuckDB file that no other process has open for writing")]
    missing = [table for table in TABLES if table not in found]
    return found, [Fault(table, "", "the table is missing", f"add the table {table} to {place}") for table in missing]


def real_folders(book: Path) -> list[Path]:
    """Return the folders that hold a book's files once links are followed; DuckDB must be allowed to read them."""
    try:
        if database := _database_of(book):
            return [database.file.resolve().parent]
        found, _ = _find_files(book)
        return sorted({path.resolve().parent for path in found.values()})
    except (OSError, RuntimeError):
        return []


# Whole numbers may be ids; fractions may not.
_WHOLE = frozenset(
    {"TINYINT", "SMALLINT", "INTEGER", "BIGINT", "HUGEINT", "UTINYINT", "USMALLINT", "UINTEGER", "UBIGINT", "UHUGEINT"}
)
_REMEDY = "write it as a plain table of numbers and texts"


def _is_readable(kind: str, column: Column) -> bool:
    """Return whether a file's column type can be cast to what the book needs."""
    if kind == "VARCHAR" or kind.startswith("ENUM") or kind in ('"NULL"', "NULL") or kind in _WHOLE:
        return True
    return column.kind == "number" and (kind in ("FLOAT", "DOUBLE") or kind.startswith("DECIMAL"))


def _column_faults(table: str, types: dict[str, str]) -> list[Fault]:
    """Check names and types of the columns of a file."""
    faults = []
    for column in TABLES[table]:
        kind = types.get(column.name)
        if kind is None and column.is_required:
            near = next((name for name in types if name.strip().lower() == column.name), None)
            hint = f"rename `{near}`" if near else "add the column"
            faults.append(Fault(table, column.name, "the column is missing", hint))
        elif kind is not None and not _is_readable(kind, column):
            faults.append(Fault(table, column.name, f"the column has type {kind}, not {column.kind}", _REMEDY))
    return faults


def _cast(column: Column) -> str:
    """Return the SELECT items that cast a raw column, for a number with a flag of what is no number."""
    name, raw = column.name, f"{column.name}_raw"
    value = f"nullif(cast({raw} as varchar), '')" if column.kind == "text" else f"try_cast({raw} as double)"
    if column.default is not None:
        value = f"coalesce({value}, '{column.default}')"
    if column.kind == "text":
        return f"{value} as {name}"
    # text that is no number must not pass as an empty cell
    return f"{value} as {name}, ({raw} is not null and {value} is null) as {name}_bad"


def _load_table(con: duckdb.DuckDBPyConnection, table: str, path: Path, links: Path) -> list[Fault]:
    """Read one file into the table ``book_<table>`` with cast columns; return its faults.

    The table is created only when all its required columns exist.
    """
    link = links / f"{table}{path.suffix}"
    link.symlink_to(path.resolve())
    if path.suffix == ".parquet":
        reader = "read_parquet(?, hive_partitioning = false, union_by_name = false, filename = false)"
    else:
        reader = (
            "read_csv(?, header = true, all_varchar = true, delim = ',', quote = '\"', escape = '\"', "
            "hive_partitioning = false, compression = 'none', nullstr = '', strict_mode = true)"
        )
    try:
        described = con.execute(f"describe select * from {reader}", [str(link)]).fetchall()
        types = {str(row[0]): str(row[1]) for row in described}
        if faults := _column_faults(table, types):
            return faults
        raw = ", ".join(
            f'"{column.name}" as {column.name}_raw' if column.name in types else f"null as {column.name}_raw"
            for column in TABLES[table]
        )
        values = ", ".join(_cast(column) for column in TABLES[table])
        con.execute(
            f"create or replace table book_{table} as select {values} from (select {raw} from {reader})",
            [str(link)],
        )
    except duckdb.Error as error:
        return [Fault(table, path.name, f"cannot be read: {_first_line(error)}", _REMEDY)]
    return _value_faults(con, table)


def _value_faults(con: duckdb.DuckDBPyConnection, table: str) -> list[Fault]:
    """Check every cell of one loaded table in one scan; keys are looked up only for rules that are broken."""
    keys = [column.name for column in TABLES[table] if column.kind == "text"][:3]
    checks: list[tuple[str, str, str, str]] = []
    for column in TABLES[table]:
        name = column.name
        if column.kind == "number":
            checks.append((name, f"{name}_bad", "is not a number", "correct the cell"))
            checks.append((name, f"not isfinite({name})", "is NaN or infinite", "correct the cell"))
        if not column.is_nullable:
            bad = f"{name} is null" + (f" and not {name}_bad" if column.kind == "number" else "")
            checks.append((name, bad, "is empty", "fill the cell"))
        if column.check is not None:
            checks.append(
                (name, f"isfinite({name}) and not ({column.check.format(x=name)})", column.says, "correct the cell")
            )
        if column.values is not None:
            accepted = ", ".join(f"'{value}'" for value in column.values)
            checks.append((name, f"{name} not in ({accepted})", f"must be one of {accepted}", "correct the cell"))
    counts = ", ".join(f"count(*) filter (where {condition})" for _, condition, _, _ in checks)
    row = one_row(con, f"select count(*), {counts} from book_{table}")
    faults = []
    if row[0] == 0 and table not in MAY_BE_EMPTY:
        faults.append(Fault(table, "", "the table has no rows", "fill the table"))
    key = " || ' ' || ".join(f"coalesce({name}, '(empty)')" for name in keys)
    for (name, condition, rule, remedy), count in zip(checks, row[1:], strict=True):
        if count:
            shown = one_row(
                con,
                f"select min(key, {_SHOWN_KEYS}) from (select {key} as key from book_{table} where {condition})",
            )
            faults.append(Fault(table, f"{name}: {_keys(shown[0], count)}", rule, remedy, count))
    return faults


def _keys(shown: list[str], count: int) -> str:
    """Return the first keys of a rule on one line."""
    text = ", ".join(printable(key, 60) for key in shown)
    return text + (", ..." if count > len(shown) else "")


def _rule_faults(con: duckdb.DuckDBPyConnection, loaded: set[str]) -> list[Fault]:
    """Run every relational rule whose tables could be read."""
    faults = []
    for rule in book_rules():
        if not rule.needs <= loaded:
            continue
        try:
            row = one_row(con, f"select count(*), min(key, {_SHOWN_KEYS}) from ({rule.query})")
        except (duckdb.ConversionException, duckdb.OutOfRangeException):
            continue  # a value that its own table already reports as out of range
        if row[0]:
            faults.append(Fault(rule.table, _keys(row[1] or [], row[0]), rule.rule, rule.remedy, row[0]))
    return faults


def _read_origin(path: Path) -> tuple[str, str, list[Fault]]:
    """Return source class, origin and faults of the optional ``book.yaml``."""
    if not path.exists():
        return "estimated", "", []
    remedy = "write source_class: measured, estimated or synthetic, and origin: a text"
    try:
        raw = read_yaml(path)
    except YamlRefused as refused:
        return "estimated", "", [Fault("book.yaml", "", str(refused), remedy)]
    if not isinstance(raw, dict):
        return "estimated", "", [Fault("book.yaml", "", "not a mapping of keys to values", remedy)]
    faults = [
        Fault("book.yaml", str(key), "unknown key", remedy) for key in raw if key not in ("source_class", "origin")
    ]
    source_class, origin = raw.get("source_class", "estimated"), raw.get("origin", "")
    if source_class not in SOURCE_CLASSES:
        faults.append(Fault("book.yaml", "source_class", f"must be one of {', '.join(SOURCE_CLASSES)}", remedy))
    if not isinstance(origin, str):
        faults.append(Fault("book.yaml", "origin", "must be a text", remedy))
    return str(source_class), str(origin), faults


def _digest(con: duckdb.DuckDBPyConnection, source_class: str) -> str:
    """Return the hash of the loaded tables: a sum of row hashes per table, so that row order does not matter."""
    parts = [source_class]
    for table, columns in TABLES.items():
        row_text = ", ".join(f"coalesce(cast({column.name} as varchar), chr(0))" for column in columns)
        row = one_row(
            con,
            f"select count(*), coalesce(sum(md5_number_lower(concat_ws(chr(31), {row_text}))), 0) from book_{table}",
        )
        parts.append(f"{table} {row[0]} {row[1]}")
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()


def load_book(con: duckdb.DuckDBPyConnection, book: Path, links: Path) -> tuple[BookInfo | None, list[Fault]]:
    """Read and check a book into the tables ``book_<table>``, which every cursor of the connection sees.

    Args:
        con: connection that may read `links` and `book`.
        book: a folder, one file ``<table>.parquet`` or ``<table>.csv`` per table of `TABLES`; or ``FILE.duckdb`` (schema
            main) or ``FILE.duckdb/SCHEMA`` with tables of these names, and ``FILE.yaml`` beside it for ``book.yaml``.
        links: an empty private folder for links to the files.

    Returns:
        What is known of the book (None if it is refused) and every fault found.
    """
    database = _database_of(book)
    if database is None:
        found, faults = _find_files(book)
    else:
        taken = links / "taken"
        taken.mkdir()
        found, faults = _take_out(con, database, taken)
    if not found and faults and faults[0].where == "book":
        return None, faults
    loaded: set[str] = set()
    for table, path in found.items():
        faults += _load_table(con, table, path, links)
        exists = con.execute("select count(*) from duckdb_tables() where table_name = ?", [f"book_{table}"]).fetchone()
        if exists and exists[0]:
            loaded.add(table)
    faults += _rule_faults(con, loaded)
    said = book / "book.yaml" if database is None else database.file.with_suffix(".yaml")
    source_class, origin, origin_faults = _read_origin(said)
    faults += origin_faults
    if faults:
        return None, faults
    return BookInfo(_digest(con, source_class), source_class, origin), []
