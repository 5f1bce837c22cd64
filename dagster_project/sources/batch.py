"""Landed files on their way to rows: whatever their form, they become tables of text records in DuckDB.

A record that cannot be read is set aside with its reason and the others go on; so is a file that cannot be read at all. Nothing
is converted here: readers do that with TRY_CAST, and what then breaks the model is set aside by ``sources.dataset``.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import duckdb
import pyarrow as pa

from dagster_project.lib.archives import MAX_MEMBER_BYTES, text_parts, unpack_text
from dagster_project.lib.duck import identifier, list_literal, literal
from dagster_project.lib.errors import DataError
from dagster_project.lib.landing import LandedFile

CONTEXT_KEYS = (
    "product",
    "venue_symbol",
    "interval_seconds",
    "period_seconds",
    "price_kind",
    "population",
    "asked_at_ms",
    "venue",
)
"""What a manifest may say of a file beyond its bytes; columns of the table ``landed``, text, null where not said."""


@dataclass(frozen=True)
class Refused:
    """A record, or a whole file (``record`` None), that could not be read."""

    file_number: int
    record: int | None
    reason: str
    payload: str | None


@dataclass
class Batch:
    """Files that one reader understands.

    Args:
        connection: Holds the table ``landed`` (file_number, file, landing_path, ingested_at, ..., and CONTEXT_KEYS).
        entries: The files.
        paths: Where they lie, in the same order.
        scratch: A folder of this batch's own.
        first_number: ``file_number`` of the first file; the others follow.
        table: Where the readers below put the records.
        refused: Filled by the readers below.
    """

    connection: duckdb.DuckDBPyConnection
    entries: Sequence[LandedFile]
    paths: Sequence[Path]
    scratch: Path
    first_number: int = 0
    table: str = "records"
    refused: list[Refused] = field(default_factory=list)

    def csv(self, columns: Sequence[str], suffix: str = ".csv", *, optional: int = 0, is_named: bool = False) -> str:
        """Read CSV out of zip, gzip or LZ4, or as it is, with or without a header line.

        Args:
            columns: Names in the files' order. A header starts with a letter and is left out.
            suffix: Ending of a zip's one member.
            optional: How many of the last columns older files do not have.
            is_named: Rows may start with a letter too, so the first line must be the names of ``columns``; a file that begins
                otherwise is set aside.

        Returns:
            A table with ``file_number``, ``record`` and the columns as text.
        """
        merged = self.scratch / "merged.csv"
        starts: dict[int, int] = {}
        lines = 0
        with merged.open("wb") as out:
            for number, path in enumerate(self.paths, start=self.first_number):
                try:
                    body = unpack_text(path, suffix).replace(b"\r\n", b"\n").strip(b"\n")
                except DataError as error:
                    self.refused.append(Refused(number, None, str(error), None))
                    continue
                body = body.removeprefix(b"\xef\xbb\xbf")
                if is_named or body[:1].isalpha():
                    header, _, body = body.partition(b"\n")
                    names = header.decode("utf-8", "replace").strip()
                    if is_named and names.split(",") != list(columns):
                        reason = f"columns are {names[:200]}, not {','.join(columns)}"
                        self.refused.append(Refused(number, None, reason, None))
                        continue
                if body:
                    starts[number] = lines
                    lines += body.count(b"\n") + 1
                    lead = b"%d," % number
                    out.write(lead + body.replace(b"\n", b"\n" + lead) + b"\n")
        shape = ", ".join(f"{literal(name)}: 'VARCHAR'" for name in columns)
        if merged.stat().st_size == 0:
            nulls = ", ".join(f"NULL::VARCHAR AS {identifier(name)}" for name in columns)
            return self._records(f"SELECT NULL::BIGINT AS file_number, {nulls} WHERE false")
        # Older files lack the last columns; with padding alone, a line cut short would pass for an old one.
        needed = identifier(columns[len(columns) - optional - 1])
        table = self._records(
            f"SELECT * FROM read_csv({literal(merged)}, header=false, auto_detect=false, delim=',', quote='\"', "
            f"columns={{'file_number': 'BIGINT', {shape}}}, null_padding={'true' if optional else 'false'}, "
            "store_rejects=true, parallel=false)"
        )
        self._take_rejects(starts)
        if optional:
            self._take_short(table, needed)
        return table

    def json(self, path: str, item: str, *, required: bool = True) -> str:
        """Read the items of the list at a JSON path of each file.

        Args:
            path: DuckDB's JSON path, ``$`` for a file that is the list.
            item: Structure of an item as DuckDB's ``from_json`` takes it, e.g. ``["VARCHAR"]`` or ``{"a": "VARCHAR"}``, or
                ``"JSON"`` where names differ in case alone.
            required: A file without a list there is set aside; otherwise it has no items.

        Returns:
            A table with ``file_number``, ``record`` and ``item``.
        """
        self._read_text()
        at = f"json_extract(content, {literal(path)})"
        valid = "json_valid(content)"
        bad = f"NOT {valid}" + (
            f" OR coalesce(json_type(CASE WHEN {valid} THEN content END, {literal(path)}), '') <> 'ARRAY'"
            if required
            else ""
        )
        for number, is_json, start in self.connection.execute(
            f"SELECT file_number, {valid}, content[1:200] FROM page_text WHERE {bad} ORDER BY 1"
        ).fetchall():
            reason = f"no list at {path}" if is_json else "no JSON, or cut short"
            self.refused.append(Refused(number, None, reason, start))
        return self._records(
            f"SELECT file_number, unnest(from_json({at}, {literal('[' + item + ']')})) AS item FROM page_text "
            f"WHERE NOT ({bad})"
        )

    def json_whole(self) -> str:
        """Read each file as one JSON document.

        Returns:
            A table with ``file_number``, ``record`` (1) and ``item``.
        """
        self._read_text()
        for (number,) in self.connection.execute(
            "SELECT file_number FROM page_text WHERE NOT json_valid(content) ORDER BY 1"
        ).fetchall():
            self.refused.append(Refused(number, None, "no JSON, or cut short", None))
        return self._records("SELECT file_number, content::JSON AS item FROM page_text WHERE json_valid(content)")

    def json_lines(self, suffix: str = ".json", limit: int = MAX_MEMBER_BYTES) -> str:
        """Read one JSON value a line, also out of zip, gzip or LZ4.

        Args:
            suffix: Ending of a zip's one member.
            limit: Most bytes of a file's text.

        Returns:
            A table with ``file_number``, ``record`` and ``item`` (JSON).
        """
        merged = self.scratch / "merged.jsonl"
        with merged.open("wb") as out:
            for number, path in enumerate(self.paths, start=self.first_number):
                begins = out.tell()
                try:
                    for lines in _whole_lines(text_parts(path, suffix, limit)):
                        lead = b"%d\x1f" % number
                        out.write(lead + lines.replace(b"\n", b"\n" + lead) + b"\n")
                except DataError as error:
                    # What came of it before it broke off is no part of what can be read.
                    out.seek(begins)
                    out.truncate()
                    self.refused.append(Refused(number, None, str(error), None))
        if merged.stat().st_size == 0:
            return self._records("SELECT NULL::BIGINT AS file_number, NULL::JSON AS item WHERE false")
        texts = self._records(
            f"SELECT file_number, line FROM read_csv({literal(merged)}, header=false, auto_detect=false, delim='\x1f', "
            "quote='', escape='', columns={'file_number': 'BIGINT', 'line': 'VARCHAR'}, max_line_size=67108864, parallel=false)"
        )
        self.connection.execute(
            "CREATE OR REPLACE TEMP TABLE json_records AS SELECT file_number, record, "
            f"CASE WHEN json_valid(line) THEN line::JSON END AS item, line FROM {texts}"
        )
        for number, record, line in self.connection.execute(
            "SELECT file_number, record, line[1:2000] FROM json_records WHERE item IS NULL ORDER BY 1, 2"
        ).fetchall():
            self.refused.append(Refused(number, record, "no JSON, or cut short", line))
        self.connection.execute("DELETE FROM json_records WHERE item IS NULL")
        self.connection.execute("ALTER TABLE json_records DROP line")
        self.table = "json_records"
        return self.table

    def parquet(self, columns: dict[str, str]) -> str:
        """Read Parquet files of ours.

        Args:
            columns: Names and types.

        Returns:
            A table with ``file_number``, ``record`` and the columns.
        """
        readable = []
        for number, path in enumerate(self.paths, start=self.first_number):
            try:
                self.connection.execute(f"SELECT count(*) FROM read_parquet({literal(path)})")
                readable.append(str(path))
            except duckdb.Error as error:
                self.refused.append(Refused(number, None, f"no Parquet: {first_line(error)}", None))
        chosen = ", ".join(
            f"TRY_CAST({identifier(name)} AS {kind}) AS {identifier(name)}" for name, kind in columns.items()
        )
        if not readable:
            nulls = ", ".join(f"NULL::{kind} AS {identifier(name)}" for name, kind in columns.items())
            return self._records(f"SELECT NULL::BIGINT AS file_number, {nulls} WHERE false")
        return self._records(
            f"SELECT landed.file_number, {chosen} FROM read_parquet({list_literal(readable)}, filename=true) AS page "
            "JOIN landed ON landed.file = page.filename"
        )

    def derive(self, select: str) -> str:
        """Make records of the records read so far, such as the items of a list in each; what is set aside then shows these.

        Args:
            select: SELECT with ``file_number`` and columns of its own, in the records' order.

        Returns:
            A table with ``file_number``, ``record`` (numbered anew) and the columns.
        """
        self.table = self._records(select)
        return self.table

    def refuse_file(self, number: int, reason: str) -> None:
        """Set a file aside as a whole; the reader leaves its records out."""
        self.refused.append(Refused(number, None, reason, None))

    def refuse_mixed_units(self, table: str, stamp: str) -> None:
        """Set files aside whose times are in several units: which rows are meant how cannot be known.

        Args:
            table: As a reader above returned it.
            stamp: SQL of the time as text.
        """
        mixed = self.connection.execute(
            f"SELECT file_number, min({stamp}), max({stamp}) FROM {table} WHERE TRY_CAST({stamp} AS DOUBLE) IS NOT NULL "
            f"GROUP BY file_number HAVING count(DISTINCT {epoch_unit(stamp)}) > 1 ORDER BY 1"
        ).fetchall()
        for number, low, high in mixed:
            self.refused.append(Refused(number, None, f"times in several units, e.g. {low} and {high}", None))
        if mixed:
            numbers = ", ".join(str(number) for number, _, _ in mixed)
            self.connection.execute(f"DELETE FROM {table} WHERE file_number IN ({numbers})")

    def _read_text(self) -> None:
        files = list_literal([str(path) for path in self.paths])
        self.connection.execute(
            "CREATE OR REPLACE TEMP TABLE page_text AS SELECT landed.file_number, page.content "
            f"FROM read_blob({files}) AS blob JOIN landed ON landed.file = blob.filename, "
            "LATERAL (SELECT TRY(decode(blob.content)) AS content) AS page"
        )
        for (number,) in self.connection.execute("SELECT file_number FROM page_text WHERE content IS NULL").fetchall():
            self.refused.append(Refused(number, None, "not UTF-8 text", None))
        self.connection.execute("DELETE FROM page_text WHERE content IS NULL")

    def _records(self, select: str) -> str:
        """Number the records of each file, in the file's order, which a sequential scan keeps."""
        self.connection.execute(f"CREATE OR REPLACE TEMP TABLE read_records AS {select}")
        self.connection.execute(
            "CREATE OR REPLACE TEMP TABLE records AS SELECT read_records.*, read_records.rowid - first_row + 1 AS record "
            "FROM read_records JOIN (SELECT file_number, min(rowid) AS first_row FROM read_records GROUP BY file_number) "
            "USING (file_number)"
        )
        self.connection.execute("DROP TABLE read_records")
        return "records"

    def _take_rejects(self, starts: dict[int, int]) -> None:
        rejects = self.connection.execute(
            "SELECT line, any_value(csv_line), string_agg(DISTINCT error_message, '; ') FROM reject_errors "
            "GROUP BY line ORDER BY 1"
        ).fetchall()
        for line, text, reason in rejects:
            number, _, payload = (text or "").partition(",")
            if number.isdigit() and int(number) in starts:
                place = line - starts[int(number)]
                self.refused.append(Refused(int(number), place, first_line(reason), payload[:2000]))
        self.connection.execute("DELETE FROM reject_errors")

    def _take_short(self, table: str, needed: str) -> None:
        short = self.connection.execute(
            f"SELECT file_number, record, to_json({table})::VARCHAR FROM {table} WHERE {needed} IS NULL"
        ).fetchall()
        self.refused.extend(
            Refused(number, record, "a line with too few columns", line) for number, record, line in short
        )
        self.connection.execute(f"DELETE FROM {table} WHERE {needed} IS NULL")


def _whole_lines(parts: Iterable[bytes]) -> Iterator[bytes]:
    """Parts of a text cut at the ends of lines, with none at their own ends; empty lines at both ends are left out."""
    rest = b""
    for part in parts:
        lines, newline, rest = (rest + part).rpartition(b"\n")
        if newline and (whole := lines.replace(b"\r\n", b"\n").strip(b"\r\n")):
            yield whole
    if last := rest.replace(b"\r\n", b"\n").strip(b"\r\n"):
        yield last


def epoch_unit(stamp: str) -> str:
    """SQL of the unit of an epoch stamp, by magnitude: s, ms, us or ns between the years 2001 and 2286."""
    value = f"abs(TRY_CAST({stamp} AS DOUBLE))"
    return (
        f"CASE WHEN {value} < 1e11 THEN 's' WHEN {value} < 1e14 THEN 'ms' WHEN {value} < 1e17 THEN 'us' ELSE 'ns' END"
    )


def epoch(stamp: str) -> str:
    """SQL of the moment (TIMESTAMPTZ, microseconds) that an epoch stamp in any unit means; null when it is none."""
    # DuckDB takes 20 microseconds to read one text as a decimal of more than 18 digits, and a whole number is read at once.
    whole, exact = f"TRY_CAST({stamp} AS BIGINT)", f"TRY_CAST({stamp} AS DECIMAL(28, 9))"
    return (
        f"make_timestamptz(TRY_CAST(CASE WHEN CAST({whole} AS VARCHAR) = CAST({stamp} AS VARCHAR) "
        f"THEN {_microseconds(stamp, whole)} ELSE {_microseconds(stamp, exact)} END AS BIGINT))"
    )


def _microseconds(stamp: str, value: str) -> str:
    return (
        f"CASE {epoch_unit(stamp)} WHEN 's' THEN {value} * 1000000 WHEN 'ms' THEN {value} * 1000 "
        f"WHEN 'us' THEN {value} ELSE {value} / 1000 END"
    )


def number(text: str) -> str:
    """SQL of a number: null where nothing is written, NaN (which every rule refuses) where something else is."""
    return f"CASE WHEN nullif({text}, '') IS NOT NULL THEN coalesce(TRY_CAST({text} AS DOUBLE), 'NaN'::DOUBLE) END"


def first_line(error: object) -> str:
    """The first line of an error's text, which is the part written for people."""
    return str(error).strip().split("\n", 1)[0]


def manifest_table(entries: Sequence[LandedFile], paths: Sequence[Path]) -> pa.Table:
    """The table ``landed`` of some files, numbered from 0."""
    context = {name: pa.array([entry.context.get(name) for entry in entries], pa.string()) for name in CONTEXT_KEYS}
    return pa.table(
        {
            "file_number": pa.array(range(len(entries)), pa.int64()),
            "file": [str(path) for path in paths],
            "landing_path": [entry.path for entry in entries],
            "origin": [entry.origin for entry in entries],
            "source_class": [entry.source_class for entry in entries],
            "completeness": [entry.completeness for entry in entries],
            "ingested_at": pa.array([entry.fetched_at for entry in entries], pa.timestamp("us", "UTC")),
            "period_start": pa.array([entry.period_start for entry in entries], pa.date32()),
            "landed_venue": pa.array([entry.context.get("venue") for entry in entries], pa.string()),
            **{name: column for name, column in context.items() if name != "venue"},
        }
    )
