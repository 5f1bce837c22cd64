"""Canonical rows of a declared file as one SELECT over its records.

A value that cannot be read becomes NULL, never an error: what then lacks a required value is counted by the check and set aside
by the reader of raw. Ranges are not looked at here.
"""

import re
from collections.abc import Iterable, Iterator, Sequence

from dagster_project.lib.duck import identifier, literal
from dagster_project.lib.errors import DataError
from dagster_project.sources.files import template
from dagster_project.sources.files.canonical import PERIOD_COLUMNS, SQL_TYPES, Target, targets, units_of
from dagster_project.sources.files.form import Form
from dagster_project.sources.files.intervals import seconds_sql
from dagster_project.sources.files.spec import Column, FileSpec, capture_of
from dagster_project.sources.files.text import quoted
from dagster_project.sources.files.values import Values

FIRST_MOMENT = "2009-01-03 00:00:00+00"
"""Bitcoin's first block; a stamp before it is of another unit, or none."""
END_OF_TIME = "2100-01-01 00:00:00+00"

TIME_UNITS = ("s", "ms", "us", "ns")
_SECONDS = (1.2e9, 4.2e9)
"""Epoch seconds between 2008 and 2103: the windows of the four units do not touch."""
_TO_MICROSECONDS = {"s": "* 1000000", "ms": "* 1000", "us": "* 1"}

_DAY = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
_SIGNED = "[+-]?"


class Rows:
    """How the records of one file become canonical rows.

    Args:
        spec: The spec.
        form: How the records were read.
        names: For each piece of the file, the names that may say something: a zip's member, then the file's own path.
        time_unit: Of counted times, where the spec leaves it to the file.

    Raises:
        DataError: The file's name is not of the form that the spec's ``filename`` gives.
    """

    def __init__(
        self, spec: FileSpec, form: Form, names: Sequence[Sequence[str]], time_unit: str | None = None
    ) -> None:
        self.spec = spec
        self.targets = targets(spec.dataset)
        self.values = Values(spec, form)
        self.captures = _captures(spec, names)
        self.days = _days(names) if spec.time.filename_date else []
        self.time_unit = time_unit or spec.time.unit

    def select(self) -> str:
        """A SELECT of ``record``, ``venue``, ``source``, ``completeness``, ``event_at`` and the canonical columns."""
        spec = self.spec
        values = {name: self.value(name) for name in self.targets}
        stamp, venue = self.moment(), self.venue()
        sides: Iterable[tuple[str | None, Column | None]] = [(None, None)]
        if spec.unpivot:
            sides = list(spec.unpivot.columns.items())
        parts = []
        for side, column in sides:
            if spec.unpivot and side is not None and column is not None:
                values |= {
                    spec.unpivot.key: literal(side),
                    spec.unpivot.value: self._mapped(spec.unpivot.value, column),
                }
            body = ", ".join(
                f"CAST({values[name]} AS {SQL_TYPES[target.kind]}) AS {identifier(name)}"
                for name, target in self.targets.items()
            )
            parts.append(f"SELECT record, {venue} AS venue, {stamp} AS stamp, {body} FROM valued")
        event = "stamp"
        if spec.period_label == "end":
            event = f"stamp - to_seconds({identifier(PERIOD_COLUMNS[spec.dataset])})"
        own_time = f", {event} AS {identifier(spec.time_column)}" if spec.time_column != "event_at" else ""
        # Materialised: a filter on the venue would otherwise take every JSON record apart a second time.
        how = "MATERIALIZED " if spec.format == "json" else ""
        return (
            f"WITH valued AS {how}({self.values.source()}), named AS ({' UNION ALL '.join(parts)})\n"
            f"SELECT record, venue, {literal(spec.source)} AS source, {self._completeness()} AS completeness, {event} AS event_at"
            f"{own_time}, {', '.join(identifier(name) for name in self.targets)}\nFROM named{self._chosen()}"
        )

    def value(self, name: str) -> str:
        """SQL of one canonical column; NULL where the spec does not give it."""
        spec = self.spec
        if name in spec.columns:
            return self._mapped(name, spec.columns[name])
        if name in spec.constants:
            return literal(spec.constants[name])
        if name == PERIOD_COLUMNS.get(spec.dataset) and spec.period is not None:
            if spec.period.column is None:
                return literal(spec.period.seconds)
            return seconds_sql(self.text(spec.period.column), spec.period.numbers)
        return "NULL"

    def raw(self, name: str) -> str | None:
        """SQL of the file's own text for a canonical column (or ``event_at``, ``venue``); None where it is a constant.

        Of an unpivoted value it depends on the row's side, so it is asked beside the canonical row.
        """
        spec = self.spec
        if spec.unpivot and name == spec.unpivot.value:
            cases = [f"WHEN {literal(key)} THEN {self.text(item.column)}" for key, item in spec.unpivot.columns.items()]
            return f"CASE {identifier(spec.unpivot.key)} {' '.join(cases)} END"
        texts = [self.text(column) for column in spec.sources_of(name)]
        return f"nullif(concat_ws(' ', {', '.join(texts)}), '')" if texts else None

    def text(self, column: str) -> str:
        """SQL of a column's text without blanks around it; NULL where there is none."""
        capture = capture_of(column)
        if capture is not None:
            return _of_piece([found[capture] for found in self.captures])
        value = f"nullif(trim({self.values.text(column)}, E' \\t\\r\\n'), '')"
        nulls = ", ".join(literal(text.strip()) for text in self.spec.csv.null_values)
        return f"CASE WHEN {value} NOT IN ({nulls}) THEN {value} END" if nulls else value

    def number(self, text: str) -> str:
        """SQL of a text as a number is written in SQL; NULL where the separators say that it is none."""
        decimal, thousands = self.spec.csv.decimal_separator, self.spec.csv.thousands_separator
        if thousands is None and decimal == ".":
            return text
        mark, point = re.escape(thousands or ""), re.escape(decimal)
        # `1.234` is not read as 1234 unless its groups are of three: a separator in the wrong place is a wrong separator.
        grouped = f"|{_SIGNED}[0-9]{{1,3}}({mark}[0-9]{{3}})+({point}[0-9]*)?" if thousands else ""
        form = f"({_SIGNED}[0-9]*({point}[0-9]*)?([eE]{_SIGNED}[0-9]+)?{grouped})"
        bare = f"replace({text}, {literal(thousands)}, '')" if thousands else text
        return f"CASE WHEN regexp_full_match({text}, {literal(form)}) THEN replace({bare}, {literal(decimal)}, '.') END"

    def venue(self) -> str:
        """SQL of the venue."""
        venue = self.spec.venue
        if venue.column is None:
            return literal(venue.value)
        text = f"lower({self.text(venue.column)})"
        if not venue.map:
            return text
        cases = " ".join(
            f"WHEN lower({literal(key.strip())}) THEN {literal(value)}" for key, value in venue.map.items()
        )
        return f"CASE {text} {cases} ELSE {text} END"

    def moment(self) -> str:
        """SQL of the row's time (TIMESTAMPTZ); NULL where it is none, or outside the years that data can be of."""
        is_counted = self.spec.time.unit != "timestamp"
        moment = _counted_moment(self._count(), self.time_unit) if is_counted else self._text_moment()
        return (
            f"CASE WHEN {moment} >= TIMESTAMPTZ {literal(FIRST_MOMENT)} AND {moment} < TIMESTAMPTZ {literal(END_OF_TIME)} "
            f"THEN {moment} END"
        )

    def unit_counts(self) -> str:
        """A SELECT of the number of times that fit each unit's size, and of the first record of each."""
        value = f"TRY_CAST({self._count()} AS DOUBLE)"
        columns = ", ".join(
            f"count(*) FILTER ({_in_window('value', unit)}), min(record) FILTER ({_in_window('value', unit)})"
            for unit in TIME_UNITS
        )
        return f"SELECT {columns} FROM (SELECT record, {value} AS value FROM ({self.values.source()}))"

    def _count(self) -> str:
        column = self.spec.time.column or ""
        return self.values.number(column) or self.number(self.text(column))

    def _mapped(self, name: str, item: Column) -> str:
        target = self.targets[name]
        stored = self.values.number(item.column)
        if stored and target.kind != "text" and item.unit is None and item.before is None and item.after is None:
            return _number(stored, name, item, target)
        text = _cut(self.text(item.column), item)
        if target.kind == "text":
            return _mapped_text(text, item)
        if item.unit == "percent":
            text = f"rtrim({text}, '% ')"
        return _number(self.number(text), name, item, target)

    def _text_moment(self) -> str:
        time = self.spec.time
        text = _of_piece(self.days) if time.filename_date else self.text(time.column or "")
        if time.clock:
            text = f"({text} || ' ' || {self.text(time.clock)})"
        zone = literal(time.zone)
        if time.column and time.clock is None and time.format is None:
            # A column of moments is read as it is, without a detour through text.
            if zoned := self.values.zoned_time(time.column):
                return zoned
            if local := self.values.local_time(time.column):
                return f"({local} AT TIME ZONE {zone})"
        if time.format is not None:
            parsed = f"try_strptime({text}, {literal(time.format)})"
            is_zoned = re.search(r"%[zZ]", time.format.replace("%%", "")) is not None
            return f"({parsed})" if is_zoned else f"({parsed} AT TIME ZONE {zone})"
        # A text with a zone keeps it; one without is read in the declared zone. A bare day may end in two digits after a
        # dash, which are no offset.
        has_zone = f"regexp_matches({text}, '(Z|z| ?UTC| ?GMT|[+-][0-9]{{2}}(:?[0-9]{{2}})?)$') AND length({text}) > 10"
        return (
            f"(CASE WHEN {has_zone} THEN TRY_CAST({text} AS TIMESTAMPTZ) "
            f"ELSE TRY_CAST({text} AS TIMESTAMP) AT TIME ZONE {zone} END)"
        )

    def _completeness(self) -> str:
        spec = self.spec
        cases = " ".join(
            f"WHEN {literal(key.lower())} THEN {literal(value)}" for key, value in spec.venue.completeness.items()
        )
        return f"CASE venue {cases} ELSE {literal(spec.completeness)} END" if cases else literal(spec.completeness)

    def _chosen(self) -> str:
        venue = self.spec.venue
        names = ", ".join(literal(name.lower()) for name in (venue.only or venue.without))
        if not names:
            return ""
        # A row without a venue is nobody's: it stays, and is counted as unusable.
        return f"\nWHERE venue IS NULL OR venue {'IN' if venue.only else 'NOT IN'} ({names})"


def _captures(spec: FileSpec, names: Sequence[Sequence[str]]) -> list[dict[str, str]]:
    if spec.filename is None:
        return []
    parsed = template.parse(spec.filename)
    captures = []
    for own in names:
        found = next((match for name in own if (match := parsed.match(name)) is not None), None)
        if found is None:
            raise DataError(
                f"the name {quoted(own[0].rsplit('/', 1)[-1])} is not of the form {quoted(spec.filename, 300)}"
            )
        captures.append({key: _dashed(text) if key == "date" else text for key, text in found.items()})
    return captures


def _dashed(day: str) -> str:
    return f"{day[:4]}-{day[4:6]}-{day[6:]}" if len(day) == 8 else day


def _days(names: Sequence[Sequence[str]]) -> list[str]:
    found = []
    for own in names:
        day = next((match[0] for name in own if (match := _DAY.search(name)) is not None), None)
        if day is None:
            raise DataError(f"the name {quoted(own[0])} has no date YYYY-MM-DD, which 'filename_date' asks for")
        found.append(day)
    return found


def _of_piece(values: Sequence[str]) -> str:
    """SQL of a text that depends on the piece of the file."""
    if len(set(values)) == 1:
        return literal(values[0])
    return f"([{', '.join(literal(value) for value in values)}])[piece + 1]"


def _mapped_text(value: str, item: Column) -> str:
    if item.lower or item.upper:
        value = f"{'lower' if item.lower else 'upper'}({value})"
    if item.map:
        cases = " ".join(f"WHEN {literal(key)} THEN {literal(word)}" for key, word in item.map.items())
        value = f"CASE {value} {cases} ELSE {value} END"
    return value


def _cut(text: str, item: Column) -> str:
    if item.before is not None:
        text = f"split_part({text}, {literal(item.before)}, 1)"
    if item.after is not None:
        text = f"CASE WHEN contains({text}, {literal(item.after)}) THEN {_behind(text, item.after)} END"
    return f"nullif(trim({text}), '')" if item.before is not None or item.after is not None else text


def _behind(text: str, sign: str) -> str:
    return f"substr({text}, strpos({text}, {literal(sign)}) + {len(sign)})"


def _number(text: str, name: str, item: Column, target: Target) -> str:
    value = f"TRY_CAST({text} AS DOUBLE)"
    if item.scale is not None:
        value = f"({value} * {literal(float(item.scale))})"
    if item.unit is not None:
        value = _shifted(text, units_of(name, target.kind)[item.unit])
    if target.kind == "integer":
        return f"CASE WHEN {value} = trunc({value}) THEN TRY_CAST({value} AS BIGINT) END"
    return f"CASE WHEN isfinite({value}) THEN {value} END"


def _shifted(text: str, power: int) -> str:
    """SQL of a number times a power of ten, to its last digit: 0.07 % is 0.0007, and 0.07 * 0.01 is 0.0007000000000000001.

    DuckDB turns a division by a constant into a multiplication, so the point is moved in the text.
    """
    mantissa, exponent = (f"split_part(lower({text}), 'e', {part})" for part in (1, 2))
    moved = f"{mantissa} || 'e' || (coalesce(TRY_CAST(nullif({exponent}, '') AS INTEGER), 0) + {power})"
    return f"CASE WHEN TRY_CAST({text} AS DOUBLE) IS NOT NULL THEN TRY_CAST({moved} AS DOUBLE) END"


def _in_window(value: str, unit: str) -> str:
    times = 1000 ** TIME_UNITS.index(unit)
    return f"{value} >= {_SECONDS[0] * times!r} AND {value} < {_SECONDS[1] * times!r}"


def _counted_moment(text: str, unit: str) -> str:
    # Outside its unit's window a number is no time, and the exact arithmetic below might overflow.
    inside = _in_window(f"TRY_CAST({text} AS DOUBLE)", unit)
    # DuckDB takes 20 microseconds to read one text as a decimal of more than 18 digits, and a whole number is read at once.
    whole = f"TRY_CAST({text} AS BIGINT)"
    exact = f"TRY_CAST({text} AS DECIMAL(28, 9))"
    # Microseconds are what is kept: nanoseconds are cut, fractions of seconds (floats, mostly) rounded.
    if unit == "ns":
        of_whole, of_exact = f"{whole} // 1000", f"CAST({exact} AS BIGINT) // 1000"
    else:
        of_whole = f"{whole} {_TO_MICROSECONDS[unit]}"
        of_exact = f"CAST(round({exact} {_TO_MICROSECONDS[unit]}, 0) AS BIGINT)"
    is_whole = f"CAST({whole} AS VARCHAR) = CAST({text} AS VARCHAR)"
    return f"make_timestamptz(CASE WHEN {inside} THEN CASE WHEN {is_whole} THEN {of_whole} ELSE {of_exact} END END)"


def origins(spec: FileSpec) -> Iterator[tuple[str, str]]:
    """Every canonical column that a spec gives, with words for where it comes from."""
    time = spec.time
    day = "date in the file's name" if time.filename_date else quoted(time.column)
    yield spec.time_column, f"{day} and {quoted(time.clock)}" if time.clock else day
    yield "venue", quoted(spec.venue.column) if spec.venue.column else f"always {spec.venue.value}"
    for name in targets(spec.dataset):
        if name in spec.columns:
            yield name, _origin_words(spec.columns[name])
        elif name in spec.constants:
            yield name, f"always {spec.constants[name]}"
        elif spec.unpivot and name == spec.unpivot.key:
            yield name, f"each of {', '.join(spec.unpivot.columns)}"
        elif spec.unpivot and name == spec.unpivot.value:
            yield name, ", ".join(quoted(item.column) for item in spec.unpivot.columns.values())
        elif name == PERIOD_COLUMNS.get(spec.dataset) and spec.period is not None:
            yield name, quoted(spec.period.column) if spec.period.column else f"always {spec.period.seconds}"


def _origin_words(item: Column) -> str:
    words = quoted(item.column)
    if item.scale is not None:
        words += f" times {item.scale:g}"
    return f"{words}, {item.unit}" if item.unit else words
