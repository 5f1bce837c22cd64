"""The spec of a declared file: names, constants and choices, never SQL and never a regular expression.

A spec may come from a stranger. It can name a wrong column, and then the file does not fit; it can do nothing else. Every text of
it enters SQL as a quoted literal, through ``lib.duck.literal``.
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from functools import lru_cache
from pathlib import PurePosixPath
from typing import Annotated, Any, Literal
from zoneinfo import available_timezones

import duckdb
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, field_validator, model_validator

from dagster_project.lib.duck import connect, literal
from dagster_project.sources.files import template
from dagster_project.sources.files.canonical import (
    ENTITIES,
    PERIOD_COLUMNS,
    PROVENANCE,
    Target,
    Unit,
    targets,
    time_column,
    units_of,
)
from dagster_project.sources.files.intervals import Numbers, seconds_of
from dagster_project.sources.files.text import first_line, quoted, suggestion

Completeness = Literal["complete", "sampled", "polled_window", "partial"]
VENUE_NAME = r"^[a-z0-9_]{1,64}$"

_CAPTURE = re.compile(r"\{([a-z_][a-z0-9_]{0,63})\}")
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
_MAX_WHOLE = 2**63 - 1


def _short_column(value: object) -> object:
    """Allow ``open: o`` for ``open: {column: o}``."""
    return {"column": value} if isinstance(value, str) else value


def _short_columns(value: object) -> object:
    return {key: _short_column(item) for key, item in value.items()} if isinstance(value, Mapping) else value


Sign = Annotated[str, Field(max_length=1, pattern=r"^[^\r\n]?$")]
"""One character, or none."""
Name = Annotated[str, Field(min_length=1, max_length=300)]


class Part(BaseModel):
    """A block of a spec: unknown keys are faults, and nothing changes after it was read."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class Column(Part):
    """Where one canonical column comes from."""

    column: Name = Field(description="column of the file; dots reach into nested values; {name}: of the file's name")
    scale: float | None = Field(default=None, description="the file's number times this is the canonical one")
    unit: Unit | None = Field(default=None, description="what the file's number counts, where not the canonical unit")
    before: str | None = Field(
        default=None, min_length=1, max_length=64, description="keep what stands before the first"
    )
    after: str | None = Field(default=None, min_length=1, max_length=64, description="keep what stands after the first")
    lower: bool = Field(default=False, description="fold the text to lower case")
    upper: bool = Field(default=False, description="fold the text to upper case")
    map: dict[Name, Name] = Field(default_factory=dict, max_length=1000, description="other words for the file's own")

    @model_validator(mode="after")
    def one_way(self) -> "Column":
        """One of scale and unit, one of lower and upper, and no factor that wipes all values out."""
        if self.scale is not None and self.unit is not None:
            raise ValueError("give either 'scale' or 'unit'")
        if self.lower and self.upper:
            raise ValueError("give either 'lower' or 'upper'")
        if self.scale == 0:
            raise ValueError("'scale: 0' leaves nothing of the numbers")
        return self


class Time(Part):
    """The time of a row, from columns or from the file's name."""

    column: Name | None = Field(default=None, description="stamp, text, or day")
    clock: Name | None = Field(default=None, description="column of the time of day, where 'column' has the day alone")
    unit: Literal["timestamp", "s", "ms", "us", "ns", "auto"] = "timestamp"
    format: str | None = Field(default=None, min_length=2, max_length=100, description="strptime, e.g. %d/%m/%Y %H:%M")
    zone: str = Field(default="UTC", description="IANA name; for texts and stamps without a zone of their own")
    filename_date: bool = Field(default=False, description="the date YYYY-MM-DD in the file's name")

    @field_validator("zone")
    @classmethod
    def is_known(cls, value: str) -> str:
        """A zone that Python and DuckDB both know."""
        if value not in _zones():
            raise ValueError(f"{quoted(value)} is no IANA time zone{suggestion(value, _zones())}")
        return value

    @field_validator("format")
    @classmethod
    def is_a_format(cls, value: str | None) -> str | None:
        """A format that DuckDB reads, with a year in it."""
        if value is not None:
            _refuse_bad_format(value)
        return value

    @model_validator(mode="after")
    def one_origin(self) -> "Time":
        """Exactly one origin of the day; what goes with texts does not go with counted units."""
        if (self.column is None) == (not self.filename_date):
            raise ValueError("name either 'column' or 'filename_date: true'")
        if self.unit != "timestamp" and (self.format or self.clock or self.filename_date):
            raise ValueError(
                f"'unit: {self.unit}' goes with a column of numbers, not with format, clock or filename_date"
            )
        return self


class Unpivot(Part):
    """One file row with a value a side becomes one canonical row a side."""

    key: str = Field(description="canonical column that tells the rows apart, e.g. liquidated_side")
    value: str = Field(description="canonical column of the values, e.g. notional_usd")
    columns: Annotated[dict[str, Column], BeforeValidator(_short_columns)] = Field(min_length=1, max_length=16)


class Venue(Part):
    """The venue of a row, and how complete that venue's rows are in this file."""

    column: Name | None = None
    value: str | None = Field(default=None, pattern=VENUE_NAME)
    map: dict[Name, Annotated[str, Field(pattern=VENUE_NAME)]] = Field(
        default_factory=dict, max_length=1000, description="the file's word (case does not matter): venue"
    )
    completeness: dict[str, Completeness] = Field(default_factory=dict)
    only: list[str] = Field(
        default_factory=list, max_length=200, description="with 'column': rows of these venues alone"
    )
    without: list[str] = Field(default_factory=list, max_length=200, description="with 'column': all venues but these")

    @model_validator(mode="after")
    def one_origin(self) -> "Venue":
        """Exactly one of column and value; a choice of venues needs a column to choose by."""
        if (self.column is None) == (self.value is None):
            raise ValueError("name either 'column' or 'value'")
        if self.only and self.without:
            raise ValueError("name either 'only' or 'without'")
        if (self.only or self.without or self.map) and self.column is None:
            raise ValueError("'only', 'without' and 'map' go with 'column'")
        return self


class Csv(Part):
    """What is known of a CSV file's form; what is not said is detected."""

    delimiter: Annotated[str, Field(min_length=1, max_length=4)] | None = None
    quote: Sign | None = None
    escape: Sign | None = None
    comment: Sign | None = None
    header: bool | None = None
    skip: int | None = Field(default=None, ge=0, le=100_000, description="lines before the header")
    columns: list[Name] | None = Field(default=None, min_length=1, max_length=2000, description="names by position")
    decimal_separator: Literal[".", ","] = "."
    thousands_separator: Literal[",", ".", " ", "'", "_"] | None = None
    encoding: Literal["auto", "utf-8", "utf-16", "utf-16-le", "utf-16-be", "latin-1", "cp1252"] = "auto"
    null_values: list[Annotated[str, Field(max_length=64)]] = Field(default_factory=list, max_length=32)

    @model_validator(mode="after")
    def signs_differ(self) -> "Csv":
        """Signs of different meaning are different signs."""
        signs = [sign for sign in (self.delimiter, self.quote, self.comment) if sign]
        if len(signs) != len(set(signs)) or (self.delimiter and re.search(r"[\r\n]", self.delimiter)):
            raise ValueError("delimiter, quote and comment must differ, and none of them ends a line")
        if self.decimal_separator == self.thousands_separator:
            raise ValueError("decimal_separator and thousands_separator must differ")
        if self.columns and len({name.casefold() for name in self.columns}) != len(self.columns):
            raise ValueError("a name occurs twice in 'columns'")
        return self


class Interval(Part):
    """The length of a bar, or of the period of a sum."""

    seconds: int | None = Field(default=None, gt=0, le=366 * 86_400)
    column: Name | None = None
    numbers: Numbers = Field(default="seconds", description="what a number without unit counts")

    @model_validator(mode="after")
    def one_origin(self) -> "Interval":
        """Exactly one of a constant and a column."""
        if (self.seconds is None) == (self.column is None):
            raise ValueError("give a period such as 1h, or 'column'")
        return self


def _short_interval(value: object) -> object:
    """Allow ``interval: 1h``."""
    if not isinstance(value, str | int) or isinstance(value, bool):
        return value
    seconds = seconds_of(str(value)[:32])
    if seconds is None:
        raise ValueError(f"{quoted(value)} is no period of fixed length, such as 60, 1m, 4h or 1d")
    return {"seconds": seconds}


class FileSpec(Part):
    """A declared file or set of files of one dataset."""

    dataset: str
    path: str = Field(max_length=500, description="file or glob below the folder, with forward slashes")
    format: Literal["parquet", "csv", "json"]
    member: str | None = Field(default=None, min_length=1, max_length=300, description="zip: which members, a glob")
    layout: Literal["rows", "map_of_lists"] = "rows"
    root: Name | None = Field(default=None, description="JSON: where the list is, e.g. data.list")
    csv: Csv = Csv()
    filename: str | None = Field(default=None, max_length=300, description="what the file's name says, as a template")
    venue: Venue
    time: Time
    columns: Annotated[dict[str, Column], BeforeValidator(_short_columns)] = Field(default_factory=dict)
    constants: dict[str, str | int | float] = Field(default_factory=dict)
    unpivot: Unpivot | None = None
    interval_seconds: int | None = Field(default=None, gt=0, le=366 * 86_400)
    interval: Annotated[Interval, BeforeValidator(_short_interval)] | None = None
    period_label: Literal["start", "end"] = Field(default="start", description="which end of a bar the time is")
    completeness: Completeness = "partial"
    source_class: Literal["measured", "published", "estimated", "synthetic"]
    source: str = Field(pattern=r"^[A-Za-z0-9 _.\-]{1,64}$", description="name of the origin, shown with every number")
    licence: str = Field(min_length=1, max_length=500)

    @model_validator(mode="before")
    @classmethod
    def filled_from_filename(cls, value: object) -> object:
        """What the file's name says and nothing else gives is taken from there."""
        return _with_captures(value) if isinstance(value, Mapping) else value

    @field_validator("path")
    @classmethod
    def stays_below(cls, value: str) -> str:
        """A path that leaves its folder is refused."""
        path = PurePosixPath(value)
        if path.is_absolute() or ".." in path.parts or not path.parts:
            raise ValueError("the path must stay below the folder")
        if _CONTROL.search(value) or "\\" in value:
            raise ValueError("the path has forward slashes and printable characters")
        if any("**" in part and part != "**" for part in path.parts) or path.parts.count("**") > 2:
            raise ValueError("'**' stands for folders, as a whole part, at most twice")
        return value

    @field_validator("filename")
    @classmethod
    def is_a_template(cls, value: str | None) -> str | None:
        """Literal text and placeholders."""
        if value is not None:
            template.parse(value)
        return value

    @model_validator(mode="after")
    def fits_dataset(self) -> "FileSpec":
        """Every canonical column is provided once, no other, and each by something that can hold its values."""
        faults = canonical_faults(self.model_dump())
        faults += self._key_faults() if self.dataset in ENTITIES else []
        if faults:
            raise ValueError("; ".join(faults))
        return self

    @property
    def time_column(self) -> str:
        """The canonical column that holds the row's time."""
        return time_column(self.dataset)

    @property
    def period(self) -> Interval | None:
        """The length of a bar or of a sum's period, however it is written."""
        return Interval(seconds=self.interval_seconds) if self.interval_seconds else self.interval

    @property
    def placeholders(self) -> tuple[str, ...]:
        """What the file's name is to say."""
        return template.parse(self.filename).names if self.filename else ()

    def file_columns(self) -> Iterator[str]:
        """Every column of the file that is read, in the spec's order, without those taken from the file's name."""
        yield from dict.fromkeys(name for name in self._used() if capture_of(name) is None)

    def sources_of(self, column: str) -> list[str]:
        """Columns of the file, or placeholders, that a canonical column (also ``venue``, ``event_at``) is taken from."""
        if column in {"event_at", self.time_column}:
            named = [self.time.column, self.time.clock]
        elif column == "venue":
            named = [self.venue.column]
        elif column in self.columns:
            named = [self.columns[column].column]
        elif self.unpivot and column == self.unpivot.value:
            named = [item.column for item in self.unpivot.columns.values()]
        elif column == PERIOD_COLUMNS.get(self.dataset) and self.period:
            named = [self.period.column]
        else:
            named = []
        return [name for name in named if name]

    def _used(self) -> Iterator[str]:
        named = [self.venue.column, self.time.column, self.time.clock, self.interval.column if self.interval else None]
        named += [item.column for item in self.columns.values()]
        named += [item.column for item in self.unpivot.columns.values()] if self.unpivot else []
        yield from (name for name in named if name)

    def _key_faults(self) -> Iterator[str]:
        if self.format != "csv" and self.csv != Csv():
            yield "'csv' goes with 'format: csv'"
        if self.format != "json" and (self.root or self.layout != "rows"):
            yield "'root' and 'layout' go with 'format: json'"
        if self.period_label == "end" and self.dataset != "klines":
            yield "'period_label: end' goes with klines, whose rows are bars"
        if self.interval and self.interval_seconds:
            yield "give either 'interval' or 'interval_seconds'"
        for name in self._used():
            capture = capture_of(name)
            if capture is not None and capture not in self.placeholders:
                yield f"{quoted(name)} is no placeholder of 'filename'"


def capture_of(column: str) -> str | None:
    """The placeholder that a column ``{name}`` stands for; None for a column of the file."""
    found = _CAPTURE.fullmatch(column)
    return found[1] if found else None


def canonical_faults(content: Mapping[str, Any]) -> list[str]:
    """Canonical columns that a spec gives twice, does not give, gives wrongly, or that do not exist.

    Args:
        content: The spec as read, whose other keys may have faults of their own.
    """
    dataset = content.get("dataset")
    if dataset not in ENTITIES:
        return [f"unknown dataset {quoted(dataset)}{suggestion(str(dataset), ENTITIES)}; one of {', '.join(ENTITIES)}"]
    wanted = targets(dataset)
    columns = _block(content, "columns")
    constants = _block(content, "constants")
    unpivot = _block(content, "unpivot")
    given = [str(name) for block in (columns, constants) for name in block]
    given += [str(unpivot.get(key)) for key in ("key", "value")] if unpivot else []
    if content.get("interval") or content.get("interval_seconds"):
        given.append(PERIOD_COLUMNS.get(dataset, "interval"))
    faults = list(_coverage(dataset, wanted, given))
    constants |= {unpivot.get("key"): key for key in _block(unpivot, "columns")}
    for name, value in constants.items():
        if name in wanted and isinstance(value, str | int | float):
            faults += _constant_fault(name, value, wanted[name])
    for name, item in [
        *columns.items(),
        *((unpivot.get("value"), item) for item in _block(unpivot, "columns").values()),
    ]:
        if name in wanted and (column := _column_or_none(item)) is not None:
            faults += _column_fault(name, column, wanted[name])
    return list(dict.fromkeys(faults))


def _block(content: Mapping[str, Any], key: str) -> dict[Any, Any]:
    block = content.get(key)
    return dict(block) if isinstance(block, Mapping) else {}


def _column_or_none(item: object) -> Column | None:
    try:
        return Column.model_validate(_short_column(item))
    except ValidationError:
        return None


def _coverage(dataset: str, wanted: Mapping[str, Target], given: list[str]) -> Iterator[str]:
    for name in sorted({name for name in given if given.count(name) > 1}):
        yield f"{quoted(name)} is given twice"
    for name in sorted(set(given) - set(wanted)):
        if name in PROVENANCE or name == time_column(dataset):
            yield f"{quoted(name)} is not given here but by the key of its own ('time', 'venue', 'source', ...)"
        else:
            yield f"{quoted(name)} is not a column of {dataset}{suggestion(name, set(wanted) - set(given))}"
    for name, target in wanted.items():
        if target.is_required and name not in given:
            words = f"; one of {', '.join(target.words)}" if target.words else ""
            yield f"'{name}' is missing (under columns, constants or unpivot{words})"


def _constant_fault(name: str, value: str | int | float, target: Target) -> Iterator[str]:
    if target.kind == "text":
        if target.words and value not in target.words:
            yield f"'{name}' cannot be {quoted(value)}: it is one of {', '.join(target.words)}"
        elif not isinstance(value, str) or not value.strip() or len(value) > 300:
            yield f"'{name}' is a text of 1 to 300 characters (in quotes, where it looks like a number)"
    elif isinstance(value, str) or _is_out_of_range(value, target):
        yield f"'{name}' is a {'whole number' if target.kind == 'integer' else 'number'}, not {quoted(value)}"


def _is_out_of_range(value: int | float, target: Target) -> bool:
    return (isinstance(value, int) and abs(value) > _MAX_WHOLE) or (target.kind == "integer" and value != int(value))


def _column_fault(name: str, item: Column, target: Target) -> Iterator[str]:
    if target.kind != "number" and item.scale is not None:
        yield f"'{name}' is no quantity: 'scale' does not go with it"
    units = units_of(name, target.kind)
    if item.unit is not None and item.unit not in units:
        known = f"one of {', '.join(units)}" if units else "it has none"
        yield f"'{name}' cannot be in {item.unit}: {known}"
    if target.kind != "text" and (item.map or item.lower or item.upper):
        yield f"'{name}' is a number: 'map', 'lower' and 'upper' go with texts"
    wrong = sorted({word for word in item.map.values() if target.words and word not in target.words})
    if wrong:
        yield f"'{name}' cannot become {quoted(wrong[0])}: it is one of {', '.join(target.words)}"


def _with_captures(value: Mapping[Any, Any]) -> dict[Any, Any]:
    """A spec's content, where what the file's name says is written out."""
    content = dict(value)
    dataset, text = content.get("dataset"), content.get("filename")
    if dataset not in ENTITIES or not isinstance(text, str):
        return content
    try:
        names = template.parse(text).names
    except ValueError:
        return content
    own = {"venue", "date", "interval"}
    if "venue" in names and "venue" not in content:
        content["venue"] = {"column": "{venue}"}
    if "date" in names and "time" not in content:
        content["time"] = {"column": "{date}"}
    if (
        "interval" in names
        and dataset in PERIOD_COLUMNS
        and not (content.get("interval") or content.get("interval_seconds"))
    ):
        content["interval"] = {"column": "{interval}"}
    return _with_captured_columns(
        content, [name for name in names if name in targets(str(dataset)) and name not in own]
    )


def _with_captured_columns(content: dict[Any, Any], names: Iterable[str]) -> dict[Any, Any]:
    blocks = [content.get(key) or {} for key in ("columns", "constants")]
    if not all(isinstance(block, Mapping) for block in blocks):
        return content
    taken = {str(name) for block in blocks for name in block}
    unpivot = content.get("unpivot")
    taken |= {str(unpivot.get(key)) for key in ("key", "value")} if isinstance(unpivot, Mapping) else set()
    added = {name: {"column": f"{{{name}}}"} for name in names if name not in taken}
    if added:
        content["columns"] = {**blocks[0], **added}
    return content


@lru_cache
def _zones() -> frozenset[str]:
    with connect() as connection:
        known = {row[0] for row in connection.execute("SELECT name FROM pg_timezone_names()").fetchall()}
    # A machine without a zone database of its own has DuckDB's.
    return frozenset(known & available_timezones() or known)


@lru_cache(maxsize=256)
def _refuse_bad_format(value: str) -> None:
    if _CONTROL.search(value) or not re.search(r"%-?[Yy]", value):
        raise ValueError("a format has printable characters and a year (%Y), e.g. %d/%m/%Y %H:%M")
    with connect() as connection:
        try:
            connection.execute(f"SELECT try_strptime('', {literal(value)})")
        except duckdb.Error as error:
            raise ValueError(f"not a format: {first_line(error)}") from error
