"""A report on declared files as one screen of text."""

from collections.abc import Iterator

from rich.console import Console
from rich.table import Table
from rich.text import Text

from dagster_project.sources.files.report import ColumnReport, FileReport, Report, moment
from dagster_project.sources.files.text import listed, quoted, shown

_FULL = 3
"""Files of one spec that are described column by column; of the others, those with faults."""


def render(report: Report, console: Console) -> None:
    """Print a report. Nothing from a file or spec is read as markup, or by the terminal."""
    for fault in report.spec_faults:
        _line(console, "\n".join(shown(line, 300) for line in fault.split("\n")), "red")
    seen: dict[str, int] = {}
    plain: list[FileReport] = []
    for file in report.files:
        seen[file.spec_name] = seen.get(file.spec_name, 0) + 1
        if seen[file.spec_name] <= _FULL or not file.fits:
            _file(file, console)
        else:
            plain.append(file)
    if plain:
        rows, usable = sum(file.rows for file in plain), sum(file.usable for file in plain)
        _line(console, f"\n{len(plain)} more files fit: {usable:,} of {rows:,} rows usable.", "green")
    if report.undeclared:
        _line(console, f"\nNo spec declares: {listed(report.undeclared, 20)}", "dim")


def _file(file: FileReport, console: Console) -> None:
    _line(console, f"\n{shown(file.name, 120)}: {file.dataset}, by {shown(file.spec_name, 80)}", "bold")
    if file.read_as:
        _line(console, f"read as {file.read_as}")
    if file.columns:
        console.print(_table(file.columns))
        for column in file.columns:
            if column.unusable:
                _line(console, f"{column.name}: {_why(column)}", "yellow")
    for line in _facts(file):
        _line(console, line)
    for fault in file.faults:
        _line(console, fault, "red")
    _line(console, *_verdict(file))


def _table(columns: list[ColumnReport]) -> Table:
    table = Table(box=None, header_style="dim", pad_edge=False)
    for name in ("column", "from", "type", "usable", "unusable", "values"):
        table.add_column(name, justify="right" if name in {"usable", "unusable"} else "left", overflow="fold")
    for column in columns:
        bad = f"{column.unusable:,}" if column.unusable else ""
        cells = [column.name, column.origin, column.type or "", f"{column.usable:,}", bad, _range(column)]
        table.add_row(*(Text(shown(cell, 200)) for cell in cells), style="yellow" if bad else "")
    return table


def _why(column: ColumnReport) -> str:
    reasons = (
        ", ".join(f"{reason} ({rows:,})" for reason, rows in column.reasons)
        or "its text cannot be read, and is left out"
    )
    examples = ", ".join(f"{quoted(text, 30)} in record {record}" for record, text in column.examples)
    return "; ".join(part for part in (reasons, examples, column.hint) if part)


def _range(column: ColumnReport) -> str:
    return f"{column.values}{', ' if column.values else ''}{column.empty:,} empty" if column.empty else column.values


def _facts(file: FileReport) -> Iterator[str]:
    if file.time_unit:
        yield f"times are counted in {file.time_unit} since 1970"
    if file.venues:
        venues = [f"{venue} {rows:,}" for venue, rows in file.venues.items()]
        yield f"usable rows by venue: {listed(venues, 15)}"
    yield from file.series
    if file.duplicates:
        yield f"rows that repeat the key of another: {file.duplicates:,}; of each key, staging keeps one row"
    for violation in file.violations:
        yield f"rows where {violation.reason}: {violation.rows:,}, first in record {violation.record}"
    for record, reason in file.broken:
        yield f"record {record} cannot be read: {shown(reason, 100)}"
    if file.broken_count > len(file.broken):
        yield f"{file.broken_count:,} records in all cannot be read"
    if file.not_taken:
        yield f"members not taken: {listed(file.not_taken)}"
    if file.unused:
        yield f"columns of the file not used: {listed(file.unused, 30)}"
    if file.not_given:
        yield f"not given: {', '.join(file.not_given)}"


def _verdict(file: FileReport) -> tuple[str, str]:
    if not file.fits:
        return "DOES NOT FIT: the folder would not be taken in", "bold red"
    held = f"{file.usable:,} of {file.rows:,} rows usable"
    if file.first and file.last:
        held += f", {moment(file.first)} to {moment(file.last)} UTC"
    aside = file.rows - file.usable
    return (f"fits: {held}; {aside:,} would be set aside", "bold yellow") if aside else (f"fits: {held}", "bold green")


def _line(console: Console, text: str, style: str = "") -> None:
    console.print(Text(text), style=style, soft_wrap=True)
