"""Whether a spec fits its file: the file is read once through it, and everything that does not fit is said at once.

Single bad values do not refuse a file: their rows are counted here and set aside by the reader of raw. A file is refused when its
spec cannot be meant for it: a column is missing, nothing can be read, or more than half of its rows cannot be used.
"""

import re
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory

import duckdb

from dagster_project.lib.duck import connect, identifier, literal
from dagster_project.lib.errors import DataError
from dagster_project.sources.files.canonical import targets
from dagster_project.sources.files.folder import DeclaredFile
from dagster_project.sources.files.form import Form
from dagster_project.sources.files.records import read_records
from dagster_project.sources.files.rows import TIME_UNITS, Rows
from dagster_project.sources.files.spec import FileSpec
from dagster_project.sources.files.text import listed, quoted, shown, suggestion
from dagster_project.sources.files.unpack import Unpacked, unpack
from dagster_project.sources.files.values import Values
from schemas.raw import row_rules

CLOCK_SKEW = timedelta(seconds=5)
"""How far a row may be dated after its receipt."""

_SHOWN_REASONS = 6
_NAMED = re.compile(r'"([a-z_0-9]+)"')


@dataclass(frozen=True)
class Violation:
    """A rule that some rows break.

    Args:
        reason: In words, as quarantine says it.
        column: The canonical column it is about; None where it is about several.
        condition: SQL that holds for good rows.
        rows: How many break it.
        record: The first of them.
    """

    reason: str
    column: str | None
    condition: str
    rows: int
    record: int


@dataclass(frozen=True)
class Checked:
    """What a file that fits holds.

    Args:
        first: First UTC day of its usable rows.
        last: Last one.
        rows: Canonical rows, those of unreadable records included.
        unusable: How many of them will be set aside.
    """

    first: date
    last: date
    rows: int
    unusable: int


@dataclass
class Examination:
    """A file read through its spec; the tables ``file_records``, ``file_broken`` and ``probe`` stay in the connection.

    ``probe`` has the canonical rows with ``record`` and ``is_usable``; it is there when ``rows`` is.
    """

    declared: DeclaredFile
    unpacked: Unpacked | None = None
    form: Form = field(default_factory=Form)
    rows: Rows | None = None
    missing: list[str] = field(default_factory=list)
    total: int = 0
    usable: int = 0
    first: datetime | None = None
    last: datetime | None = None
    violations: list[Violation] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)

    @property
    def checked(self) -> Checked:
        """The outcome.

        Raises:
            DataError: The spec does not fit; the text has every reason.
        """
        name, spec = self.declared.relative, self.declared.spec_path.name
        if self.faults or self.first is None or self.last is None:
            faults = self.faults or ["it has no usable time"]
            raise DataError(
                "\n".join([f"{shown(name, 200)} does not fit {spec}:", *(f"  {fault}" for fault in faults)])
            )
        return Checked(
            self.first.astimezone(UTC).date(), self.last.astimezone(UTC).date(), self.total, self.total - self.usable
        )


@dataclass(frozen=True)
class Workplace:
    """A DuckDB and a folder in which files are looked at, one after the other.

    Args:
        connection: Its tables are made anew for each file.
        folder: For what is unpacked, and for what does not fit into memory.
    """

    connection: duckdb.DuckDBPyConnection
    folder: Path

    @contextmanager
    def scratch(self) -> Iterator[Path]:
        """An empty folder for one file."""
        with TemporaryDirectory(dir=self.folder) as made:
            yield Path(made)


@contextmanager
def workplace() -> Iterator[Workplace]:
    """Open a workplace; opening one takes longer than looking at a small file."""
    with TemporaryDirectory(prefix="delever-") as folder, connect() as connection:
        connection.execute(f"SET temp_directory = {literal(folder)}")
        yield Workplace(connection, Path(folder))


def examine(declared: DeclaredFile, place: Workplace | None = None) -> Checked:
    """Read a declared file through its spec, unless this process has read the same bytes by the same spec before.

    Args:
        declared: File and spec.
        place: Where many files are looked at in a row.

    Raises:
        DataError: The spec does not fit the file; the text has every reason.
    """
    try:
        state = declared.path.stat()
    except OSError as error:
        raise DataError(f"{shown(declared.relative, 200)} cannot be opened: {error.strerror}.") from error
    key = (str(declared.path), state.st_mtime_ns, state.st_size, declared.relative, declared.spec.model_dump_json())
    if key not in _KNOWN:
        # The sensor looks at its folder every half minute, and a run at its days and then at its bytes.
        if len(_KNOWN) > _MAX_KNOWN:
            _KNOWN.clear()
        with nullcontext(place) if place else workplace() as where, where.scratch() as scratch:
            _KNOWN[key] = look(where.connection, declared, scratch).checked
    return _KNOWN[key]


_MAX_KNOWN = 20_000
_KNOWN: dict[tuple[object, ...], Checked] = {}


def look(connection: duckdb.DuckDBPyConnection, declared: DeclaredFile, scratch: Path) -> Examination:
    """Read a declared file through its spec and note everything that does not fit.

    Args:
        connection: For the tables that are left.
        declared: File and spec.
        scratch: An empty folder.
    """
    found = Examination(declared)
    spec = declared.spec
    try:
        found.unpacked = unpack(spec, declared.path, scratch)
        found.form = read_records(connection, spec, found.unpacked)
        names = names_of(found.unpacked, declared.relative)
        found.missing = missing_columns(connection, spec, found.form)
        found.faults += _missing_faults(found)
        rows = Rows(spec, found.form, names)
        unit, fault = time_unit(connection, rows)
        found.faults += [fault] if fault else []
        found.rows = Rows(spec, found.form, names, unit)
    except DataError as error:
        found.faults.append(str(error))
        return found
    except OSError as error:
        found.faults.append(f"it cannot be opened: {error.strerror}")
        return found
    _probe(connection, found, found.rows)
    _judge(connection, found)
    return found


def names_of(unpacked: Unpacked, relative: str) -> list[list[str]]:
    """For each piece of a file, the names that may say something: the zip's member first, then the file's own."""
    return [[piece.member, relative] if piece.member else [relative] for piece in unpacked.pieces]


def missing_columns(connection: duckdb.DuckDBPyConnection, spec: FileSpec, form: Form) -> list[str]:
    """Columns that the spec names and no record of ``file_records`` has."""
    names = [name for name in spec.file_columns() if name not in form.columns]
    if not names or not form.records:
        return []
    values = Values(spec, form)
    checks = ", ".join(f"count({values.is_there(name)})" for name in names)
    counts = connection.execute(f"SELECT {checks} FROM file_records").fetchone() or ()
    return [name for name, count in zip(names, counts, strict=True) if not count]


def time_unit(connection: duckdb.DuckDBPyConnection, rows: Rows) -> tuple[str | None, str | None]:
    """The unit of a file's counted times, where the spec leaves it to the file.

    Returns:
        The unit, None where it is not asked for or cannot be told; and why it cannot.
    """
    if rows.spec.time.unit != "auto":
        return None, None
    row = connection.execute(rows.unit_counts()).fetchone() or ()
    found = {
        unit: (row[2 * index], row[2 * index + 1]) for index, unit in enumerate(TIME_UNITS) if row and row[2 * index]
    }
    column = quoted(rows.spec.time.column)
    if not found:
        return (
            "s",
            f"column {column} has no number of the size of seconds, ms, us or ns since 1970, so its unit cannot be told",
        )
    if len(found) > 1:
        parts = ", ".join(f"{count} of {unit} (first record {record})" for unit, (count, record) in found.items())
        return next(
            iter(found)
        ), f"column {column} has times of several units: {parts}; which are meant cannot be known"
    return next(iter(found)), None


def _missing_faults(found: Examination) -> Iterator[str]:
    if not found.missing:
        return
    held = list(found.form.columns)
    hints = {name: suggestion(name, held) for name in found.missing}
    if len(hints) == 1:
        words = f"column {quoted(found.missing[0])} is not in the file{hints[found.missing[0]]}"
    else:
        words = f"columns {', '.join(f'{quoted(name)}{hint}' for name, hint in hints.items())} are not in the file"
    yield f"{words}; it has {listed(held, 30)}"
    if found.declared.spec.format == "csv":
        yield from _form_hints(found)


def _form_hints(found: Examination) -> Iterator[str]:
    if len(found.form.columns) == 1:
        yield "it was read as one column: say what stands between the values under csv.delimiter"
    elif any("no header" in words for words in found.form.words):
        yield "it was read without a header: name its columns under csv.columns, or say csv.header: true"


def _probe(connection: duckdb.DuckDBPyConnection, found: Examination, rows: Rows) -> None:
    """The table ``probe``: canonical rows with what raw adds to them, and whether raw's rules take them."""
    spec = found.declared.spec
    usable = " AND ".join(f"coalesce({condition}, false)" for _, _, condition in rules_of(spec.dataset))
    connection.execute(f"CREATE OR REPLACE TEMP TABLE probe AS SELECT *, {usable} AS is_usable FROM ({rows.select()})")


def _judge(connection: duckdb.DuckDBPyConnection, found: Examination) -> None:
    row = connection.execute(
        "SELECT count(*), count(*) FILTER (is_usable), min(event_at) FILTER (is_usable), max(event_at) FILTER (is_usable) "
        "FROM probe"
    ).fetchone() or (0, 0, None, None)
    found.total, found.usable = row[0] + found.form.broken, row[1]
    found.first, found.last = row[2], row[3]
    if row[1] < row[0]:
        found.violations = _violations(connection, found.declared.spec.dataset)
    found.faults += _row_faults(connection, found)


def _violations(connection: duckdb.DuckDBPyConnection, dataset: str) -> list[Violation]:
    """The rules that rows break, the one that most break first."""
    rules = list(rules_of(dataset))
    counts = connection.execute(
        "SELECT "
        + ", ".join(
            f"count(*) FILTER (NOT coalesce({condition}, false)), min(record) FILTER (NOT coalesce({condition}, false))"
            for _, _, condition in rules
        )
        + " FROM probe WHERE NOT is_usable"
    ).fetchone()
    if counts is None:
        raise AssertionError("an aggregate returns a row")
    broken = [
        Violation(reason, column, condition, counts[2 * index], counts[2 * index + 1])
        for index, (reason, column, condition) in enumerate(rules)
        if counts[2 * index]
    ]
    return sorted(broken, key=lambda violation: -violation.rows)


def rules_of(dataset: str) -> Iterator[tuple[str, str | None, str]]:
    """What a row must satisfy: reason of a refusal in raw's words, the canonical column it is about, and the condition."""
    yield "no usable time", "event_at", "event_at IS NOT NULL"
    # A row without a time has that fault alone.
    yield (
        "dated after its receipt",
        "event_at",
        f"event_at IS NULL OR event_at <= now() + INTERVAL {CLOCK_SKEW.seconds} SECONDS",
    )
    own = {"venue", *targets(dataset)}
    for reason, condition in row_rules(f"files_{dataset}"):
        named = set(_NAMED.findall(condition))
        # What the spec itself gives was checked with the spec, and the time is the first rule.
        if named <= own:
            if len(named) == 1:
                yield reason, named.pop(), condition
                continue
            # A row that lacks one of the values is counted by that column's own rule, and breaks no order.
            lacks = " OR ".join(f"{identifier(name)} IS NULL" for name in sorted(named))
            yield reason, None, f"{lacks} OR ({condition})"


def _row_faults(connection: duckdb.DuckDBPyConnection, found: Examination) -> Iterator[str]:
    if found.total == 0:
        skipped = found.form.records and (found.declared.spec.venue.only or found.declared.spec.venue.without)
        yield "it holds no rows of the venues that the spec takes" if skipped else "it holds no rows"
        return
    unusable = found.total - found.usable
    # With a column missing, every row lacks it, and saying so once is enough.
    if found.missing or 2 * unusable <= found.total:
        return
    share = "no row is usable" if not found.usable else f"{unusable} of {found.total} rows are unusable, more than half"
    details = [f"{share}:", *describe_violations(connection, found)]
    yield "\n    ".join(details)


def describe_violations(connection: duckdb.DuckDBPyConnection, found: Examination) -> Iterator[str]:
    """The rules that most rows break, with the first value that breaks each and what may mend it."""
    for violation in found.violations[:_SHOWN_REASONS]:
        texts = examples(connection, found, violation, 1)
        place = f"record {violation.record}"
        if texts and violation.column:
            columns = found.declared.spec.sources_of(violation.column)
            named = f"column{'s' if len(columns) > 1 else ''} {', '.join(quoted(name) for name in columns)}"
            place = f"{quoted(texts[0][1])} ({named}, record {texts[0][0]})"
        hint = hint_for(connection, found, violation)
        yield f"{violation.reason}: {violation.rows} rows, first {place}" + (f"; {hint}" if hint else "")
    row = connection.execute("SELECT reason, record FROM file_broken ORDER BY record LIMIT 1").fetchone()
    if row is not None:
        hint = "; csv.encoding says how a file is written" if "encoding" in row[0] else ""
        yield f"records that cannot be read: {found.form.broken}, first {row[1]} ({row[0]}{hint})"


def examples(
    connection: duckdb.DuckDBPyConnection, found: Examination, violation: Violation, limit: int
) -> list[tuple[int, str]]:
    """Records that break a rule, each with the file's own text of the column that the rule is about."""
    if violation.column is None or found.rows is None:
        return []
    raw = found.rows.raw(violation.column)
    if raw is None:
        return []
    return texts_where(connection, found.rows, raw, f"NOT coalesce({violation.condition}, false)", limit)


def texts_where(
    connection: duckdb.DuckDBPyConnection, rows: Rows, raw: str, condition: str, limit: int
) -> list[tuple[int, str]]:
    """The first records whose canonical row satisfies a condition, with the file's own text.

    Args:
        connection: Holds the tables of ``look``.
        rows: How the records become rows.
        raw: SQL of the text, as ``rows.raw`` gives it.
        condition: SQL over ``probe``.
        limit: How many.
    """
    return connection.execute(
        f"SELECT DISTINCT record, coalesce({raw}, '(empty)') FROM (SELECT * FROM probe WHERE {condition}) "
        f"JOIN ({rows.values.source()}) USING (record) ORDER BY 1, 2 LIMIT {limit}"
    ).fetchall()


# --- What may mend it


def hint_for(connection: duckdb.DuckDBPyConnection, found: Examination, violation: Violation) -> str | None:
    """What in the spec would make the values of a broken rule usable, where their form tells."""
    texts = [text for _, text in examples(connection, found, violation, 20)]
    column, spec = violation.column, found.declared.spec
    if not texts or column is None or texts[0] == "(empty)":
        return None
    if column == "event_at":
        return _time_hint(spec, texts)
    if column == "venue":
        return "say which venue is meant under venue.map"
    target = targets(spec.dataset).get(column)
    if target is None:
        return None
    if target.kind == "text":
        return f"say what it stands for under {column}.map: one of {', '.join(target.words)}" if target.words else None
    return _number_hint(spec, column, texts)


def _time_hint(spec: FileSpec, texts: list[str]) -> str | None:
    if all(re.fullmatch(r"20[0-9]{6}", text) for text in texts):
        return "days without dashes: time.format: '%Y%m%d'"
    if all(re.fullmatch(r"[0-9]{9,20}([.,][0-9]+)?([eE]\+?[0-9]+)?", text) for text in texts):
        size = len(texts[0].split(".")[0].split(",")[0])
        unit = {10: "s", 13: "ms", 16: "us", 19: "ns"}.get(size)
        return (
            f"numbers of the size of {unit} since 1970: time.unit: {unit}" if unit and unit != spec.time.unit else None
        )
    if spec.time.unit == "timestamp" and spec.time.format is None and re.search(r"[0-9]", texts[0]):
        return "say how it is written under time.format, e.g. '%d/%m/%Y %H:%M'"
    return None


def _number_hint(spec: FileSpec, column: str, texts: list[str]) -> str | None:
    if all(text.endswith("%") for text in texts):
        return f"{column}: unit: percent"
    if spec.format == "csv" and all(re.fullmatch(r"[+-]?[0-9]+,[0-9]*", text) for text in texts):
        return "csv.decimal_separator: ','"
    if spec.format == "csv" and all(
        re.fullmatch(r"[+-]?[0-9]{1,3}([ ,.'][0-9]{3})+([.,][0-9]*)?", text) for text in texts
    ):
        return "csv.thousands_separator"
    return None
