"""Any folder of CSV, JSON or Parquet as a source, declared by small YAML files (``*.delever.yaml``).

A spec names columns and constants, never SQL, so a spec from a stranger can name a wrong column but do nothing else. It is
checked against its file before anything is landed: a spec that does not fit is refused with file, column and reason.
"""

import re
from collections.abc import Iterator, Mapping
from datetime import date
from pathlib import Path, PurePosixPath
from typing import Literal

import duckdb
import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from dagster_project.lib.duck import connect, identifier, list_literal, literal
from dagster_project.lib.errors import DataError, UsageError
from dagster_project.lib.landing import Arrival
from dagster_project.sources.dataset import Batch, Dataset, first_line
from schemas.raw import RAW_MODELS

SUFFIX = ".delever.yaml"
SHIPPED_SPECS = Path(__file__).parent / "specs"
MAX_SPEC_BYTES = 64 * 1024

ENTITIES = tuple(name.removeprefix("files_") for name in RAW_MODELS if name.startswith("files_"))
_PROVIDED = {"venue", "date", "source", "source_class", "completeness", "ingested_at", "landing_path"}
_TIME_COLUMN = {"klines": "open_time"}
_OPTIONAL = {
    "klines": {"base_quantity", "notional_usd"},
    "open_interest": {"base_quantity"},
    "liquidations": {"base_quantity", "price_basis"},
    "adl": {"adl_usd", "haircut_usd", "deficit_usd"},
    "leverage_tiers": {"max_leverage"},
}


class Column(BaseModel):
    """Where one canonical column comes from."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    column: str = Field(min_length=1, description="column of the file; dots reach into structs")
    scale: float | None = Field(default=None, description="the file's number times this is the canonical one")
    before: str | None = Field(default=None, min_length=1, description="keep the text before the first of these")
    lower: bool = Field(default=False, description="fold the text to lower case")


class Time(BaseModel):
    """The time of a row, from a column or from the file's name."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    column: str | None = None
    unit: Literal["timestamp", "s", "ms", "us", "ns"] = "timestamp"
    zone: str = Field(
        default="UTC", pattern=r"^[A-Za-z0-9_+\-/]{1,64}$", description="for texts and stamps without zone"
    )
    filename_date: bool = Field(default=False, description="the date YYYY-MM-DD in the file's name")

    @model_validator(mode="after")
    def one_origin(self) -> "Time":
        """Exactly one of the two origins is named."""
        if (self.column is None) == (not self.filename_date):
            raise ValueError("name either 'column' or 'filename_date: true'")
        return self


class Unpivot(BaseModel):
    """One file row with a value a side becomes one canonical row a side."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    key: str = Field(description="canonical column that tells the rows apart, e.g. liquidated_side")
    value: str = Field(description="canonical column of the values, e.g. notional_usd")
    columns: dict[str, str] = Field(min_length=1, description="value of the key: column of the file")


class Venue(BaseModel):
    """The venue of a row, and how complete that venue's rows are in this file."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    column: str | None = None
    value: str | None = Field(default=None, pattern=r"^[a-z0-9_]+$")
    completeness: dict[str, Literal["complete", "sampled", "polled_window", "partial"]] = Field(default_factory=dict)
    only: list[str] = Field(default_factory=list, description="with 'column': rows of these venues alone")
    without: list[str] = Field(default_factory=list, description="with 'column': rows of all venues but these")

    @model_validator(mode="after")
    def one_origin(self) -> "Venue":
        """Exactly one of column and value; a choice of venues needs a column to choose by."""
        if (self.column is None) == (self.value is None):
            raise ValueError("name either 'column' or 'value'")
        if self.only and self.without:
            raise ValueError("name either 'only' or 'without'")
        if (self.only or self.without) and self.column is None:
            raise ValueError("'only' and 'without' go with 'column'")
        return self


class FileSpec(BaseModel):
    """A declared file or set of files of one dataset."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    dataset: str
    path: str = Field(description="file or glob below the folder, with forward slashes")
    format: Literal["parquet", "csv", "json"]
    layout: Literal["rows", "map_of_lists"] = "rows"
    venue: Venue
    time: Time
    columns: dict[str, Column]
    constants: dict[str, str | int | float] = Field(default_factory=dict)
    unpivot: Unpivot | None = None
    interval_seconds: int | None = Field(default=None, gt=0)
    completeness: Literal["complete", "sampled", "polled_window", "partial"] = "partial"
    source_class: Literal["measured", "published", "estimated", "synthetic"]
    source: str = Field(pattern=r"^[A-Za-z0-9 _.\-]{1,64}$", description="name of the origin, shown with every number")
    licence: str = Field(min_length=1)

    @field_validator("columns", mode="before")
    @classmethod
    def shorthand(cls, value: object) -> object:
        """Allow ``open: o`` for ``open: {column: o}``."""
        if isinstance(value, Mapping):
            return {key: {"column": item} if isinstance(item, str) else item for key, item in value.items()}
        return value

    @field_validator("path")
    @classmethod
    def stays_below(cls, value: str) -> str:
        """A path that leaves its folder is refused."""
        path = PurePosixPath(value)
        if path.is_absolute() or ".." in path.parts or not path.parts:
            raise ValueError("the path must stay below the folder")
        return value

    @model_validator(mode="after")
    def fits_dataset(self) -> "FileSpec":
        """Every canonical column is provided once, and no other."""
        if self.dataset not in ENTITIES:
            raise ValueError(f"unknown dataset '{self.dataset}'; one of {', '.join(ENTITIES)}")
        wanted = set(RAW_MODELS[f"files_{self.dataset}"].to_schema().columns) - _PROVIDED - {self.time_column}
        given = [*self.columns, *self.constants]
        given += ["interval_seconds"] if self.interval_seconds else []
        given += [self.unpivot.key, self.unpivot.value] if self.unpivot else []
        twice = sorted({name for name in given if given.count(name) > 1})
        unknown = sorted(set(given) - wanted)
        missing = sorted(wanted - set(given) - _OPTIONAL.get(self.dataset, set()))
        faults = [f"'{name}' is given twice" for name in twice]
        faults += [f"'{name}' is not a column of {self.dataset}" for name in unknown]
        faults += [f"'{name}' is missing (under columns, constants or unpivot)" for name in missing]
        if faults:
            raise ValueError("; ".join(faults))
        return self

    @property
    def time_column(self) -> str:
        """The canonical column that holds the row's time."""
        return _TIME_COLUMN.get(self.dataset, "event_at")


class DeclaredFile(BaseModel):
    """A file of a folder with the spec that declares it."""

    model_config = ConfigDict(frozen=True)

    path: Path
    relative: str
    spec: FileSpec
    spec_path: Path


def load_spec(path: Path) -> FileSpec:
    """Read one spec.

    Raises:
        DataError: Not YAML, too large, or not a spec; the text lists every fault with its key.
    """
    if path.stat().st_size > MAX_SPEC_BYTES:
        raise DataError(f"{path}: larger than {MAX_SPEC_BYTES} bytes, which no spec is.")
    try:
        text = path.read_text(encoding="utf-8")
        if re.search(r"(^|\s)[&*][A-Za-z0-9]", text):
            raise DataError(f"{path}: YAML anchors and aliases are not accepted in a spec; write the value out.")
        content = yaml.safe_load(text)
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise DataError(f"{path} is not YAML: {first_line(error)}") from error
    try:
        return FileSpec.model_validate(content)
    except ValidationError as error:
        faults = "\n".join(
            f"  {'.'.join(map(str, fault['loc'])) or '(whole file)'}: {fault['msg']}" for fault in error.errors()
        )
        raise DataError(f"{path} does not declare a file:\n{faults}") from error


def declared_files(folder: Path) -> Iterator[DeclaredFile]:
    """The declared files of a folder: by the specs in it, and by the specs that Delever ships where none lies beside.

    Raises:
        UsageError: No such folder.
        DataError: A spec that is no spec, or that names no file.
    """
    if not folder.is_dir():
        raise UsageError(f"{folder} is not a folder. Give the folder that holds your files and their *{SUFFIX} specs.")
    # A file with a spec of its own is read by that one; of the shipped specs, several may take parts of one file.
    claimed: set[tuple[Path, str]] = set()
    for spec_path in sorted(folder.rglob(f"*{SUFFIX}")):
        spec = load_spec(spec_path)
        matches = _matches(spec_path.parent, spec.path)
        if not matches:
            raise DataError(f"{spec_path}: no file matches path '{spec.path}' below {spec_path.parent}.")
        for match in matches:
            claimed.add((match, spec.dataset))
            yield DeclaredFile(
                path=match, relative=match.relative_to(folder).as_posix(), spec=spec, spec_path=spec_path
            )
    for spec_path in sorted(SHIPPED_SPECS.glob(f"*{SUFFIX}")):
        spec = load_spec(spec_path)
        for match in _matches(folder, spec.path):
            if (match, spec.dataset) not in claimed:
                yield DeclaredFile(
                    path=match, relative=match.relative_to(folder).as_posix(), spec=spec, spec_path=spec_path
                )


def _matches(folder: Path, pattern: str) -> list[Path]:
    root = folder.resolve()
    # A link inside the folder may point anywhere; what it points at is not in the folder that the user declared.
    return sorted(path for path in folder.glob(pattern) if path.is_file() and path.resolve().is_relative_to(root))


def check(declared: DeclaredFile) -> tuple[date, date]:
    """Read a declared file through its spec.

    Returns:
        First and last UTC day in it.

    Raises:
        DataError: The spec does not fit the file: file, column and reason.
    """
    with connect() as connection:
        select = _select(declared.spec, [declared.path], {str(declared.path): declared.relative})
        try:
            connection.execute(f"CREATE TABLE probe AS {select}")
        except duckdb.Error as error:
            raise DataError(
                f"{declared.spec_path.name} does not fit {declared.relative}: {_explain(connection, declared, error)}"
            ) from error
        _refuse_lost_values(connection, declared)
        row = connection.execute("SELECT min(event_at)::DATE, max(event_at)::DATE, count(*) FROM probe").fetchone()
    if row is None or row[2] == 0:
        raise DataError(f"{declared.relative} holds no rows.")
    return row[0], row[1]


def _refuse_lost_values(connection: duckdb.DuckDBPyConnection, declared: DeclaredFile) -> None:
    """A cell that has text but no value of its column's type is a fault of the file, named with its column."""
    names = [row[0] for row in connection.execute("DESCRIBE probe").fetchall()]
    required = [
        name
        for name in names
        if name in {"venue", "event_at", *declared.spec.columns} - _OPTIONAL.get(declared.spec.dataset, set())
    ]
    counts = connection.execute(
        "SELECT " + ", ".join(f"count(*) FILTER ({identifier(name)} IS NULL)" for name in required) + " FROM probe"
    ).fetchone()
    faults = [
        f"{_origin(declared.spec, name)} has {count} rows without a usable value (for '{name}')"
        for name, count in zip(required, counts or (), strict=True)
        if count
    ]
    if faults:
        raise DataError(f"{declared.relative} does not fit {declared.spec_path.name}: " + "; ".join(faults))


def _origin(spec: FileSpec, name: str) -> str:
    if name == "event_at":
        return f"column '{spec.time.column}'" if spec.time.column else "the file name"
    if name == "venue":
        return f"column '{spec.venue.column}'"
    return f"column '{spec.columns[name].column}'"


def _explain(connection: duckdb.DuckDBPyConnection, declared: DeclaredFile, error: duckdb.Error) -> str:
    try:
        reader = _reader(declared.spec, [declared.path])
        held = {row[0] for row in connection.execute(f"DESCRIBE SELECT * FROM {reader}").fetchall()}
    except duckdb.Error as unreadable:
        return f"it cannot be read as {declared.spec.format}: {first_line(unreadable)}"
    spec = declared.spec
    used = {item.column for item in spec.columns.values()}
    used |= {spec.time.column} if spec.time.column else set()
    used |= {spec.venue.column} if spec.venue.column else set()
    used |= set(spec.unpivot.columns.values()) if spec.unpivot else set()
    missing = sorted(name for name in used if name.split(".")[0] not in held and spec.layout == "rows")
    if missing:
        names = ", ".join(f"'{name}'" for name in missing)
        return f"column {names} is not in the file, which has {', '.join(sorted(held))}"
    return first_line(error)


def arrivals(folder: Path) -> Iterator[tuple[str, Arrival]]:
    """Check every declared file of a folder and describe it for landing.

    Yields:
        Dataset, and the arrival.

    Raises:
        UsageError: No such folder, or nothing in it is declared.
        DataError: A spec that does not fit.
    """
    found = list(declared_files(folder))
    if not found:
        raise UsageError(
            f"Nothing in {folder} is declared: put a *{SUFFIX} beside your files (see docs/files_source.md)."
        )
    for declared in found:
        first, last = check(declared)
        spec = declared.spec
        yield (
            spec.dataset,
            Arrival(
                local=declared.path,
                # Two files of one name from two folders stay apart, and so do two specs of one file.
                name=f"{declared.spec_path.name.removesuffix(SUFFIX)}__{declared.relative.replace('/', '__')}",
                origin=declared.relative,
                licence=spec.licence,
                source_class=spec.source_class,
                completeness=spec.completeness,
                period_start=first,
                period_end=last,
                spec=spec.model_dump(mode="json"),
            ),
        )


def read_declared(batch: Batch) -> str:
    """Raw rows of landed declared files, each read by the spec that was landed with it."""
    parts = []
    for number, (entry, path) in enumerate(zip(batch.entries, batch.paths, strict=True)):
        if entry.spec is None:
            raise DataError(f"{entry.path} was landed without a spec; land its folder again.")
        spec = FileSpec.model_validate(entry.spec)
        parts.append(f"SELECT {number} AS file_number, * FROM ({_select(spec, [path], {str(path): entry.origin})})")
    try:
        # One table for all files keeps their types apart from the reader's guesses.
        batch.connection.execute("CREATE TEMP TABLE declared AS " + "\nUNION ALL BY NAME\n".join(parts))
    except duckdb.Error as error:
        raise DataError(f"A declared file cannot be read: {first_line(error)}") from error
    return "SELECT * FROM declared"


def _select(spec: FileSpec, paths: list[Path], names: Mapping[str, str]) -> str:
    """The SELECT that turns a file into canonical columns, each cast to its type."""
    model = RAW_MODELS[f"files_{spec.dataset}"]
    types = {name: str(column.dtype.type).removeprefix("!") for name, column in model.to_schema().columns.items()}
    columns = {name: _column(item) for name, item in spec.columns.items()}
    columns |= {name: literal(value) for name, value in spec.constants.items()}
    if spec.interval_seconds:
        columns["interval_seconds"] = literal(spec.interval_seconds)
    if spec.unpivot:
        columns |= {spec.unpivot.key: "side_name", spec.unpivot.value: "side_value"}
    name_of_file = " ".join(f"WHEN {literal(path)} THEN {literal(name)}" for path, name in names.items())
    time = _time(spec.time, f"CASE filename {name_of_file} END")
    venue = f"lower({_path(spec.venue.column)}::VARCHAR)" if spec.venue.column else literal(spec.venue.value)
    cases = " ".join(f"WHEN {literal(key)} THEN {literal(value)}" for key, value in spec.venue.completeness.items())
    completeness = (
        f"CASE {venue} {cases} ELSE {literal(spec.completeness)} END" if cases else literal(spec.completeness)
    )
    wanted = [name for name in types if name not in _PROVIDED]
    body = ",\n  ".join(
        f"TRY_CAST({columns.get(name, 'NULL')} AS {_SQL_TYPES[types[name]]}) AS {identifier(name)}"
        for name in wanted
        if name not in {spec.time_column, "event_at"}
    )
    stamps = f"{time} AS event_at" + (f", {time} AS {spec.time_column}" if spec.time_column != "event_at" else "")
    chosen = f"\nWHERE {venue} IN {_tuple(spec.venue.only)}" if spec.venue.only else ""
    chosen += f"\nWHERE {venue} NOT IN {_tuple(spec.venue.without)}" if spec.venue.without else ""
    return (
        f"SELECT {venue} AS venue, {literal(spec.source)} AS source, {completeness} AS completeness, {stamps},\n"
        f"  {body}\nFROM {_unpivoted(spec, _reader(spec, paths))} AS file_row{chosen}"
    )


def _tuple(values: list[str]) -> str:
    return "(" + ", ".join(literal(value) for value in values) + ")"


_SQL_TYPES = {"string": "VARCHAR", "float64": "DOUBLE", "int64": "BIGINT"}


def _reader(spec: FileSpec, paths: list[Path]) -> str:
    files = list_literal([str(path) for path in paths])
    if spec.format == "parquet":
        return f"read_parquet({files}, filename=true)"
    if spec.format == "csv":
        return f"read_csv({files}, filename=true, sample_size=-1)"
    if spec.layout == "map_of_lists":
        item = "MAP(VARCHAR, JSON[])"
        # The object's keys are data (symbols), so it is read as one value and taken apart here.
        return (
            f"(SELECT entry.key AS key, unnest(entry.value) AS item, filename FROM (SELECT filename, "
            f"unnest(map_entries(CAST(content AS JSON)::{item})) AS entry FROM read_text({files})))"
        )
    return f"read_json({files}, filename=true, maximum_object_size=268435456)"


def _unpivoted(spec: FileSpec, reader: str) -> str:
    if spec.unpivot is None:
        return reader
    return (
        "("
        + " UNION ALL ".join(
            f"SELECT *, {literal(name)} AS side_name, {_path(column)} AS side_value FROM {reader}"
            for name, column in spec.unpivot.columns.items()
        )
        + ")"
    )


def _path(column: str) -> str:
    first, *rest = column.split(".")
    if first == "item" and rest:
        return f"(item->>{literal('$.' + '.'.join(rest))})"
    return ".".join(identifier(part) for part in (first, *rest))


def _column(item: Column) -> str:
    value = _path(item.column)
    if item.before is not None:
        value = f"split_part({value}::VARCHAR, {literal(item.before)}, 1)"
    if item.lower:
        value = f"lower({value}::VARCHAR)"
    if item.scale is not None:
        value = f"(TRY_CAST({value} AS DOUBLE) * {literal(item.scale)})"
    return value


def _time(time: Time, filename: str) -> str:
    if time.filename_date:
        found = f"regexp_extract({filename}, '[0-9]{{4}}-[0-9]{{2}}-[0-9]{{2}}')"
        return f"(TRY_CAST({found} AS TIMESTAMP) AT TIME ZONE {literal(time.zone)})"
    column = _path(time.column or "")
    if time.unit == "timestamp":
        # A stamp with a zone keeps it; one without is read in the declared zone.
        return (
            f"CASE WHEN typeof({column}) = 'TIMESTAMP WITH TIME ZONE' THEN TRY_CAST({column}::VARCHAR AS TIMESTAMPTZ) "
            f"WHEN regexp_matches({column}::VARCHAR, '(Z|[+-][0-9]{{2}}(:?[0-9]{{2}})?)$') "
            f"AND length({column}::VARCHAR) > 10 THEN TRY_CAST({column}::VARCHAR AS TIMESTAMPTZ) "
            f"ELSE TRY_CAST({column}::VARCHAR AS TIMESTAMP) AT TIME ZONE {literal(time.zone)} END"
        )
    to_us = {"s": "* 1000000", "ms": "* 1000", "us": "", "ns": "// 1000"}[time.unit]
    return f"make_timestamptz((TRY_CAST({column} AS BIGINT) {to_us})::BIGINT)"


DATASETS = tuple(
    Dataset(
        name=f"files_{entity}",
        source="declared",
        landed_as=entity,
        read=read_declared,
        venue=None,
        label=None,
        description=(RAW_MODELS[f"files_{entity}"].__doc__ or "").strip().split("\n")[0],
    )
    for entity in ENTITIES
)
