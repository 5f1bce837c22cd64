"""Records of CSV in any dialect: what the spec does not say, DuckDB's sniffer finds, and the spec's own names help it."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import duckdb

from dagster_project.lib.duck import literal
from dagster_project.lib.errors import DataError
from dagster_project.sources.files.form import Form, add_columns, offset
from dagster_project.sources.files.spec import FileSpec
from dagster_project.sources.files.text import quoted
from dagster_project.sources.files.unpack import Piece

MAX_BROKEN = 1_000_000

_PROBED_HEADERS = 100
_PROBED_BYTES = 256 * 1024
_NONE = "(empty)"
"""How DuckDB's sniffer writes a sign that it did not find."""


@dataclass(frozen=True)
class _Dialect:
    delimiter: str
    quote: str
    escape: str
    comment: str
    skip: int
    has_header: bool
    names: tuple[str, ...]
    types: tuple[str, ...]

    def options(self) -> dict[str, str]:
        signs = {"delim": self.delimiter, "quote": self.quote, "escape": self.escape, "comment": self.comment}
        return {name: literal(sign) for name, sign in signs.items()} | {
            "skip": str(self.skip),
            "header": str(self.has_header).lower(),
        }


def read_csv(connection: duckdb.DuckDBPyConnection, spec: FileSpec, piece: Piece, number: int, form: Form) -> None:
    """Add the records of one CSV file to the tables of ``form``; every value stays the text that it is."""
    if piece.path.stat().st_size == 0:
        return
    dialect = _sniff(connection, spec, piece)
    for name, kind in zip(dialect.names, dialect.types, strict=True):
        form.columns.setdefault(name, kind.lower())
    form.say(_words(dialect, piece))
    shape = ", ".join(f"'c{index}': 'VARCHAR'" for index in range(len(dialect.names)))
    options = dialect.options() | {
        "columns": f"{{{shape}}}",
        "store_rejects": "true",
        "rejects_table": "'declared_rejects'",
        "rejects_scan": "'declared_scans'",
        "rejects_limit": str(MAX_BROKEN),
        "compression": "'none'",
    }
    places = add_columns(connection, form, dialect.names)
    for table in ("declared_rejects", "declared_scans"):
        connection.execute(f"DROP TABLE IF EXISTS {table}")
    before = offset(connection)
    connection.execute(
        f"INSERT INTO file_records (record, piece, {', '.join(places)}) SELECT {before} + row_number() OVER (), {number}, * "
        f"FROM read_csv({literal(piece.path)}, auto_detect=false, {_options(options)})"
    )
    _take_broken(connection, before, number, dialect)


def _take_broken(connection: duckdb.DuckDBPyConnection, before: int, number: int, dialect: _Dialect) -> None:
    """Put lines that cannot be read into ``file_broken``, and number the others as if these stood among them."""
    # The reader says of a broken line which one it is, and counts the others as if it were not there.
    connection.execute(
        "CREATE OR REPLACE TEMP TABLE piece_broken AS "
        f"SELECT *, row_number() OVER (ORDER BY place) AS nth, {before} + place - nth + 1 AS next_record FROM ("
        f"SELECT line - {dialect.skip + dialect.has_header} AS place, "
        "string_agg(DISTINCT lower(error_type::VARCHAR), ', ') AS kinds, trim(any_value(csv_line), E'\\r\\n') AS text "
        "FROM declared_rejects GROUP BY line)"
    )
    if not connection.execute("SELECT 1 FROM piece_broken LIMIT 1").fetchone():
        return
    connection.execute(
        "UPDATE file_records SET record = file_records.record + ranked.before FROM "
        "(SELECT record, broken.before FROM file_records ASOF JOIN "
        "(SELECT next_record, max(nth) AS before FROM piece_broken GROUP BY next_record) AS broken "
        f"ON file_records.record >= broken.next_record WHERE piece = {number}) AS ranked "
        f"WHERE file_records.record = ranked.record AND file_records.piece = {number}"
    )
    # An open quote swallows lines, which are lost like the one that it stands on.
    connection.execute(
        f"INSERT INTO file_broken SELECT {before} + place, 'a line with ' || kinds, json_object('line', text[1:2000])::VARCHAR, "
        "1 + length(text) - length(replace(text, E'\\n', '')) FROM piece_broken"
    )


def _sniff(connection: duckdb.DuckDBPyConnection, spec: FileSpec, piece: Piece) -> _Dialect:
    csv = spec.csv
    given = {"delim": csv.delimiter, "quote": csv.quote, "escape": csv.escape, "comment": csv.comment}
    options = {name: literal(sign) for name, sign in given.items() if sign is not None}
    if csv.header is not None:
        options["header"] = str(csv.header).lower()
    if csv.skip is not None:
        options["skip"] = str(csv.skip)
    wanted = set(spec.file_columns()) if csv.columns is None else set()
    found = _sniffed(connection, piece.path, options)
    if found is None or len(found.names) == 1 or not wanted <= set(found.names):
        # One broken line is enough to make the strict sniffer doubt a delimiter, and lines above the header to make it
        # doubt both. The spec's own names tell where the header is.
        tries = [options | {"ignore_errors": "true"}, options | _header_at(piece.path, wanted, options)]
        others = [other for other in (_sniffed(connection, piece.path, item) for item in tries) if other is not None]
        ranked = [found, *others] if found is not None else others
        found = max(ranked, key=lambda item: (len(wanted & set(item.names)), len(item.names) > 1), default=None)
    if found is None:
        raise DataError(
            "it cannot be read as csv: no delimiter and quote fit its lines. Say what they are under 'csv' "
            "(delimiter, quote, header, skip, encoding)"
        )
    signs = {
        "quote": csv.quote if csv.quote is not None else found.quote or '"',
        "escape": csv.escape if csv.escape is not None else found.escape,
        "comment": csv.comment if csv.comment is not None else found.comment,
    }
    # A quote that the first lines do not have may come later, and is doubled inside itself unless an escape was seen.
    if not signs["escape"]:
        signs["escape"] = signs["quote"]
    distinct = [sign for sign in (found.delimiter, signs["quote"], signs["comment"]) if sign]
    if len(distinct) != len(set(distinct)) or signs["escape"] == found.delimiter:
        raise DataError(
            f"one sign cannot be delimiter, quote, escape and comment: say under 'csv' what {quoted(found.delimiter)} is"
        )
    names = found.names
    if csv.columns is not None:
        if len(csv.columns) != len(names):
            raise DataError(f"'csv.columns' has {len(csv.columns)} names, the file has {len(names)} columns")
        names = tuple(csv.columns)
    return _Dialect(
        found.delimiter, **signs, skip=found.skip, has_header=found.has_header, names=names, types=found.types
    )


def _header_at(path: Path, wanted: set[str], options: dict[str, str]) -> dict[str, str]:
    """Options that make the line with most of the wanted names the header."""
    best: tuple[int, int, str] = (0, 0, ",")
    signs = (",", ";", "\t", "|") if "delim" not in options else ()
    with path.open(encoding="utf-8", errors="replace") as stream:
        for number, line in enumerate(stream.readlines(_PROBED_BYTES)[:_PROBED_HEADERS]):
            for sign in signs:
                names = {name.strip().strip("\"'") for name in line.split(sign)}
                best = max(best, (len(wanted & names), -number, sign))
    hits, number, sign = best
    if not hits:
        return {"ignore_errors": "true"}
    header = {"ignore_errors": "true", "delim": literal(sign), "header": "true"}
    return header if "skip" in options else header | {"skip": str(-number)}


def _sniffed(connection: duckdb.DuckDBPyConnection, path: Path, options: dict[str, str]) -> _Dialect | None:
    extra = f", {_options(options)}" if options else ""
    try:
        row = connection.execute(
            f"SELECT Delimiter, Quote, Escape, Comment, SkipRows, HasHeader, Columns FROM sniff_csv({literal(path)}{extra})"
        ).fetchone()
    except duckdb.Error:
        return None
    if row is None:
        return None
    delimiter, quote, escape, comment = ("" if sign in {_NONE, None} else sign for sign in row[:4])
    names = _unique(column["name"].strip() for column in row[6])
    return _Dialect(delimiter or ",", quote, escape, comment, row[4], row[5], names, tuple(c["type"] for c in row[6]))


def _unique(names: Iterator[str]) -> tuple[str, ...]:
    found: dict[str, None] = {}
    for position, name in enumerate(names):
        free = name or f"column{position}"
        while free in found:
            free += "_1"
        found[free] = None
    return tuple(found)


def _words(dialect: _Dialect, piece: Piece) -> str:
    named = {"\t": "tab", " ": "blank"}.get(dialect.delimiter)
    words = [f"delimiter {named or quoted(dialect.delimiter)}"]
    words.append("header" if dialect.has_header else "no header (column0, column1, ...)")
    words += [f"quote {quoted(dialect.quote)}"] if dialect.quote not in {'"', ""} else []
    words += [f"comments {quoted(dialect.comment)}"] if dialect.comment else []
    words += [f"{dialect.skip} lines skipped"] if dialect.skip else []
    return ", ".join([*words, piece.encoding])


def _options(options: dict[str, str]) -> str:
    return ", ".join(f"{name}={value}" for name, value in options.items())
