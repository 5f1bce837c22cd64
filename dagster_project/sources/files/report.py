"""What a spec makes of its files, column by column: for whoever writes the spec, before anything is landed."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

import duckdb

from dagster_project.lib.duck import identifier
from dagster_project.lib.errors import DataError, UsageError
from dagster_project.sources.files.canonical import NATURAL_KEYS, targets
from dagster_project.sources.files.examination import (
    Examination,
    Violation,
    Workplace,
    hint_for,
    look,
    rules_of,
    workplace,
)
from dagster_project.sources.files.folder import (
    SUFFIX,
    DeclaredFile,
    declared_by,
    shipped_for,
    spec_paths,
)
from dagster_project.sources.files.rows import Rows, origins
from dagster_project.sources.files.text import shown

_EXAMPLES = 3
_SERIES = {
    "klines": ("venue, venue_symbol, price_kind, interval_seconds", "interval_seconds"),
    "liquidations": ("venue, venue_symbol, liquidated_side, period_seconds", "period_seconds"),
    "open_interest": ("venue, venue_symbol", None),
    "funding": ("venue, venue_symbol", None),
    "depth": ("venue, venue_symbol", None),
}
"""What makes a series in time, and the column of its step; None where the step is what is usual in the series."""


@dataclass(frozen=True)
class ColumnReport:
    """One canonical column of one file.

    Args:
        name: Canonical name.
        origin: Where the spec takes it from.
        type: Type in the file, as its format has it; None for constants.
        usable: Rows with a value that the model takes.
        unusable: Rows with a text that is no such value, or without a value that must be there.
        empty: Rows without a value that may be missing.
        examples: Record and text of the first unusable ones.
        reasons: Rules of the model about this column that rows break, each with their number.
        values: Smallest and largest number or time, or some of the words, as text.
        hint: What may make the unusable ones usable.
    """

    name: str
    origin: str
    type: str | None
    usable: int
    unusable: int
    empty: int
    examples: tuple[tuple[int, str], ...]
    reasons: tuple[tuple[str, int], ...]
    values: str
    hint: str | None


@dataclass
class FileReport:
    """One file, read by one spec.

    Args:
        name: Relative to the folder.
        spec_name: File name of the spec.
        dataset: What a row is.
        read_as: Format, packing and form, in words.
        columns: The canonical columns, in the model's order, after time and venue.
        unused: Columns of the file that the spec does not read.
        not_given: Canonical columns that may be missing and are not given.
        not_taken: Members of the zip that are left out.
        rows: Canonical rows, those of unreadable records included.
        usable: How many of them raw will take.
        broken: Record and reason of the first records that cannot be read.
        broken_count: How many there are.
        first: First time among usable rows, UTC.
        last: Last one.
        time_unit: Of counted times, as the spec says or the file shows.
        venues: Usable rows by venue, the most first.
        series: How regular the times are, in words.
        duplicates: Usable rows beyond the first of each natural key; of these, staging keeps one.
        violations: Rules of the model about several columns that rows break, e.g. low above open.
        faults: Why the spec does not fit; none if it does.
    """

    name: str
    spec_name: str
    dataset: str
    read_as: str = ""
    columns: list[ColumnReport] = field(default_factory=list)
    unused: list[str] = field(default_factory=list)
    not_given: list[str] = field(default_factory=list)
    not_taken: list[str] = field(default_factory=list)
    rows: int = 0
    usable: int = 0
    broken: list[tuple[int, str]] = field(default_factory=list)
    broken_count: int = 0
    first: datetime | None = None
    last: datetime | None = None
    time_unit: str | None = None
    venues: dict[str, int] = field(default_factory=dict)
    series: list[str] = field(default_factory=list)
    duplicates: int = 0
    violations: list[Violation] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)

    @property
    def fits(self) -> bool:
        """Whether the file would be taken in."""
        return not self.faults


@dataclass
class Report:
    """What the specs of a folder, or one spec, make of their files.

    Args:
        place: The folder or the spec.
        specs: How many specs were read.
        spec_faults: Specs that are none, or name no file; each text has all faults of one.
        files: The files of the others.
        undeclared: Files of the folder that no spec declares.
    """

    place: Path
    specs: int = 0
    spec_faults: list[str] = field(default_factory=list)
    files: list[FileReport] = field(default_factory=list)
    undeclared: list[str] = field(default_factory=list)

    @property
    def fits(self) -> bool:
        """Whether everything that is declared would be taken in."""
        return not self.spec_faults and all(file.fits for file in self.files)

    def require_fit(self) -> None:
        """Raise what is to be the command's outcome.

        Raises:
            DataError: A spec is none, or does not fit.
        """
        unfit = sum(not file.fits for file in self.files)
        if self.spec_faults or unfit:
            parts = [f"{len(self.spec_faults)} of {self.specs} specs cannot be used"] if self.spec_faults else []
            parts += [f"{unfit} of {len(self.files)} files do not fit"] if unfit else []
            raise DataError(f"{self.place}: {' and '.join(parts)}. What does not fit is said above.")


def explain(place: Path) -> Report:
    """Read every file that a spec declares, and say what fits and what does not.

    Args:
        place: A spec, or a folder with specs in it or below it.

    Raises:
        UsageError: There is no spec there.
    """
    if place.is_dir():
        folder, paths = place, spec_paths(place)
    elif place.is_file() and place.name.endswith(SUFFIX):
        folder, paths = place.parent, [place]
    else:
        raise UsageError(f"{place} is neither a folder nor a spec (*{SUFFIX}).")
    report = Report(place, specs=len(paths))
    declared: list[DeclaredFile] = []
    for path in paths:
        try:
            declared += declared_by(path, folder)
        except DataError as error:
            report.spec_faults.append(str(error))
    if place.is_dir():
        shipped = list(shipped_for(folder, declared))
        report.specs += len({item.spec_path for item in shipped})
        declared += shipped
        report.undeclared = _undeclared(folder, declared)
    if not report.specs:
        raise UsageError(f"There is no *{SUFFIX} in {place}; docs/files_source.md says how one is written.")
    with workplace() as where:
        report.files = [explain_file(where, item) for item in declared]
    return report


def explain_file(where: Workplace, declared: DeclaredFile) -> FileReport:
    """Read one declared file and describe what its spec makes of it."""
    with where.scratch() as scratch:
        found = look(where.connection, declared, scratch)
    report = FileReport(
        name=declared.relative,
        spec_name=declared.spec_path.name,
        dataset=declared.spec.dataset,
        read_as=_read_as(found),
        unused=_unused(found),
        rows=found.total,
        usable=found.usable,
        broken_count=found.form.broken,
        first=found.first,
        last=found.last,
        violations=[violation for violation in found.violations if violation.column is None],
        faults=found.faults,
    )
    if found.unpacked:
        report.not_taken = list(found.unpacked.not_taken)
    if found.rows is not None:
        _describe_rows(where.connection, found, found.rows, report)
    return report


def _describe_rows(connection: duckdb.DuckDBPyConnection, found: Examination, rows: Rows, report: FileReport) -> None:
    spec = found.declared.spec
    given = dict(origins(spec))
    report.not_given = [name for name in targets(spec.dataset) if name not in given]
    report.time_unit = None if rows.time_unit == "timestamp" else rows.time_unit
    report.columns = list(_columns(connection, found, rows, given))
    report.broken = connection.execute(
        f"SELECT record, reason FROM file_broken ORDER BY record LIMIT {_EXAMPLES}"
    ).fetchall()
    report.venues = dict(
        connection.execute("SELECT venue, count(*) FROM probe WHERE is_usable GROUP BY 1 ORDER BY 2 DESC, 1").fetchall()
    )
    report.series = list(_series(connection, spec.dataset))
    report.duplicates = _duplicates(connection, spec.dataset)


def _read_as(found: Examination) -> str:
    spec = found.declared.spec
    # A form begins with the format's name, where it says anything.
    words: list[str] = [] if spec.format != "csv" and found.form.words else [spec.format]
    words += found.form.words
    if found.unpacked and found.unpacked.packing != "plain":
        members = f" of {len(found.unpacked.pieces)} members" if found.unpacked.packing == "zip" else ""
        words.append(f"{found.unpacked.packing}{members}")
    return ", ".join(words)


def _unused(found: Examination) -> list[str]:
    used = set(found.declared.spec.file_columns())
    return [name for name in found.form.columns if name not in used]


def _columns(
    connection: duckdb.DuckDBPyConnection, found: Examination, rows: Rows, given: dict[str, str]
) -> Iterator[ColumnReport]:
    spec = found.declared.spec
    columns = {name: "event_at" if name == spec.time_column else name for name in given}
    raws = {name: rows.raw(column) for name, column in columns.items()}
    bad = _bad_conditions(spec.dataset, columns, raws)
    # Once, for the many questions that follow.
    connection.execute(
        f"CREATE OR REPLACE TEMP TABLE probe_cells AS SELECT * FROM probe JOIN ({rows.values.source()}) USING (record)"
    )
    counts = connection.execute(
        "SELECT "
        + ", ".join(
            f"count(*) FILTER (NOT {bad[name]} AND {identifier(column)} IS NOT NULL), count(*) FILTER ({bad[name]}), "
            f"count(*) FILTER (NOT {bad[name]} AND {identifier(column)} IS NULL)"
            for name, column in columns.items()
        )
        + " FROM probe_cells"
    ).fetchone() or (0,) * 3 * len(columns)
    for index, (name, column) in enumerate(columns.items()):
        usable, unusable, empty = counts[3 * index : 3 * index + 3]
        file_column = _file_column(found, column)
        raw = raws[name]
        if any(part in found.missing for part in spec.sources_of(column)):
            yield ColumnReport(name, given[name], "not in the file", 0, 0, 0, (), (), "", None)
            continue
        yield ColumnReport(
            name=name,
            origin=given[name],
            type=found.form.columns.get(file_column) if file_column else None,
            usable=usable,
            unusable=unusable,
            empty=empty,
            examples=tuple(_bad_texts(connection, raw, bad[name])) if raw and unusable else (),
            reasons=tuple((item.reason, item.rows) for item in found.violations if item.column == column),
            values=_values(connection, spec.dataset, column),
            hint=_hint(connection, found, column) if unusable else None,
        )


def _bad_conditions(dataset: str, columns: dict[str, str], raws: dict[str, str | None]) -> dict[str, str]:
    rules: dict[str, list[str]] = {}
    for _, about, condition in rules_of(dataset):
        if about is not None:
            rules.setdefault(about, []).append(f"coalesce({condition}, false)")
    bad = {}
    for name, column in columns.items():
        breaks = f"NOT ({' AND '.join(rules.get(column, ['true']))})"
        # An optional value that cannot be read leaves its row usable, and is lost all the same.
        lost = f" OR ({identifier(column)} IS NULL AND {raws[name]} IS NOT NULL)" if raws[name] else ""
        bad[name] = f"({breaks}{lost})"
    return bad


def _bad_texts(connection: duckdb.DuckDBPyConnection, raw: str, bad: str) -> list[tuple[int, str]]:
    return connection.execute(
        f"SELECT DISTINCT record, coalesce({raw}, '(empty)') FROM probe_cells WHERE {bad} ORDER BY 1, 2 LIMIT {_EXAMPLES}"
    ).fetchall()


def _hint(connection: duckdb.DuckDBPyConnection, found: Examination, column: str) -> str | None:
    for violation in found.violations:
        if violation.column == column and (hint := hint_for(connection, found, violation)):
            return hint
    return None


def _file_column(found: Examination, column: str) -> str | None:
    return next(iter(found.declared.spec.sources_of(column)), None)


def _values(connection: duckdb.DuckDBPyConnection, dataset: str, column: str) -> str:
    name = identifier(column)
    if column == "venue" or (column != "event_at" and targets(dataset)[column].kind == "text"):
        row = connection.execute(
            f"SELECT count(*), list({name} ORDER BY n DESC, {name})[1:4] "
            f"FROM (SELECT {name}, count(*) AS n FROM probe WHERE {name} IS NOT NULL GROUP BY 1)"
        ).fetchone() or (0, [])
        more = f" and {row[0] - 4} more" if row[0] > 4 else ""
        return ", ".join(shown(value, 40) for value in row[1] or []) + more
    bounds = connection.execute(f"SELECT min({name}), max({name}) FROM probe").fetchone()
    if bounds is None or bounds[0] is None:
        return ""
    if column == "event_at":
        return f"{moment(bounds[0])} to {moment(bounds[1])} UTC"
    low, high = (f"{value:.10g}" for value in bounds)
    return low if low == high else f"{low} to {high}"


def moment(value: datetime) -> str:
    """A UTC time without what is zero at its end."""
    text = value.strftime("%Y-%m-%d %H:%M:%S.%f").rstrip("0").removesuffix(".")
    return text.removesuffix(":00")


def _series(connection: duckdb.DuckDBPyConnection, dataset: str) -> Iterator[str]:
    if dataset not in _SERIES:
        return
    keys, step_column = _SERIES[dataset]
    time = "open_time" if dataset == "klines" else "event_at"
    where = f"is_usable AND {step_column} > 0" if step_column else "is_usable"
    usual = step_column or "mode(round(step)) OVER (PARTITION BY ALL_KEYS)".replace("ALL_KEYS", keys)
    row = connection.execute(
        f"WITH stamps AS (SELECT DISTINCT {keys}, {time} AS stamp FROM probe WHERE {where}), "
        f"steps AS (SELECT *, lag(stamp) OVER (PARTITION BY {keys} ORDER BY stamp) AS before, "
        "date_diff('microsecond', before, stamp) / 1e6 AS step FROM stamps), "
        f"measured AS (SELECT *, {usual} AS usual FROM steps WHERE step IS NOT NULL) "
        "SELECT min(usual), max(usual), count(*) FILTER (step >= 1.5 * usual), "
        "sum(greatest(round(step / usual) - 1, 0))::BIGINT, count(*) FILTER (step % usual <> 0), "
        "arg_max(before, step / usual), arg_max(stamp, step / usual) FROM measured WHERE usual > 0"
    ).fetchone()
    if row is None or row[0] is None:
        return
    shortest, longest, breaks, missing, off, start, end = row
    steps = f"{shortest:g} s" if shortest == longest else f"{shortest:g} to {longest:g} s"
    if step_column is None:
        yield f"usual step {steps}" + (
            f"; {breaks} longer, the longest {moment(start)} to {moment(end)}" if breaks else ""
        )
        return
    gap = f"{missing} missing (gaps: {breaks}, the longest {moment(start)} to {moment(end)})" if breaks else "no gap"
    yield f"grid of {steps}: {gap}" + (f"; {off} times are off the grid" if off else "")


def _duplicates(connection: duckdb.DuckDBPyConnection, dataset: str) -> int:
    keys = ", ".join(NATURAL_KEYS[dataset])
    # Of single liquidations every one is kept: two of equal value are two.
    where = "is_usable AND period_seconds > 0" if dataset == "liquidations" else "is_usable"
    row = connection.execute(
        f"SELECT coalesce(sum(n - 1), 0)::BIGINT FROM (SELECT count(*) AS n FROM probe WHERE {where} GROUP BY {keys})"
    ).fetchone()
    return int(row[0]) if row else 0


def _undeclared(folder: Path, declared: list[DeclaredFile]) -> list[str]:
    taken = {item.path for item in declared}
    files = (path for path in sorted(folder.rglob("*")) if path.is_file() and not path.name.startswith("."))
    return [
        path.relative_to(folder).as_posix() for path in files if path not in taken and not path.name.endswith(SUFFIX)
    ]
