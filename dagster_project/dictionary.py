"""The data dictionary: docs/data_dictionary.md, written from the descriptions that the tables themselves carry.

Written by ``python -m dagster_project.dictionary``; a test fails while the file differs from what the code would write.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from dagster_project.lib.home import PROJECT_ROOT
from dagster_project.replay.columns import RUN, SEARCH_COLUMNS, STRESS_COLUMNS, head_of
from dagster_project.replay.columns import Column as StressColumn
from dagster_project.replay.output import STRESS_TABLES
from schemas.marts import MART_MODELS

DICTIONARY = PROJECT_ROOT / "docs" / "data_dictionary.md"
MODELS = PROJECT_ROOT / "dbt" / "models"

PREAMBLE = """# Data dictionary

Every published table and column. Written by `python -m dagster_project.dictionary` from the models' YAML, the structure
checks and the replay: change those, not this file. Definitions that span columns: [method.md](method.md); names and
units: [naming.md](naming.md). The same texts are comments in the published DuckDB file.

Two columns are in every mart, and a row takes the weakest of its parts:

| flag | from strong to weak |
|---|---|
| `completeness` | `complete`: all that the source had; `sampled`: the feed drops events by rule; `polled_window`: only a recent \
window can be asked for; `partial`: parts are missing, or nobody knows |
| `source_class` | `measured`: recorded by a venue or a witness; `published`: printed by someone; `estimated`: reconstructed; \
`synthetic`: made up |

Which rows of which table rest on what: `SELECT * FROM coverage_summary`.
"""

HEADER = "| column | type | unit | null | meaning |\n|---|---|---|---|---|"

UNITS = (
    (r"_usd$|_usd_", "USD"),
    (r"_bps$", "basis points"),
    (r"_micro_usd$|_micro$", "millionths of a USD"),
    (r"_seconds$|^seconds$", "seconds"),
    (r"_days$|^days_", "days"),
    (r"_quantity$", "base assets"),
    (r"_price$|^index_close$", "quote currency per base asset"),
    (r"_price_at_", "quote currency per base asset"),
    (r"_percentile$|percentile_", "fraction"),
    (r"(^|_)(share|ratio|rate|move|coverage|drawdown|recovery)(_|$)", "fraction"),
    (r"_covered$|_count$|_unmatched$|^records$|(^|_)rank$|^fills$|^accounts$|_fills$|_accounts$", "count"),
)
"""What a column counts, by its name (docs/naming.md); the first that fits, after what the description says."""

BY_TYPE = {"varchar": "text", "boolean": "true or false", "date": "UTC day", "timestamptz": "UTC"}
"""Types that leave nothing to say."""


@dataclass(frozen=True)
class Column:
    """One line of a table's list."""

    name: str
    kind: str
    unit: str
    nullable: bool
    description: str


def write() -> Path:
    """Write the dictionary, and return where it is."""
    DICTIONARY.write_text(text())
    return DICTIONARY


def text() -> str:
    """The dictionary as it should be."""
    return "\n".join([PREAMBLE, *_marts(), *_stress(), *_metrics()]).rstrip() + "\n"


def _marts() -> Iterator[str]:
    for path in sorted((MODELS / "marts").rglob("*.yml"), key=lambda path: (path.parent.name, path.stem)):
        for model in yaml.safe_load(path.read_text())["models"]:
            yield f"## `{model['name']}`\n\nSubject: {path.parent.name}. {_line(model['description'])}\n"
            yield HEADER
            for column in _columns(model):
                null = "may be" if column.nullable else "never"
                yield f"| `{column.name}` | {column.kind} | {column.unit} | {null} | {column.description} |"
            yield ""


def _columns(model: dict[str, Any]) -> Iterator[Column]:
    structure = MART_MODELS[model["name"]].to_schema().columns
    accepted = _accepted(model)
    for column in model["columns"]:
        name, kind, description = column["name"], column["data_type"], _line(column["description"])
        yield Column(
            name,
            kind,
            _unit(name, kind, description),
            structure[name].nullable,
            _values(accepted.get(name), description),
        )


def _unit(name: str, kind: str, description: str) -> str:
    if "in `unit`" in description:
        return "as in `unit`"
    named = next((unit for pattern, unit in UNITS if re.search(pattern, name)), None)
    if named is None:
        named = next((word for word in ("fraction", "count") if re.search(rf"\b{word}\b", description)), None)
    return BY_TYPE.get(kind) or named or "number"


def _accepted(model: dict[str, Any]) -> dict[str, list[Any]]:
    """Allowed values of a model's columns, as its dbt test `checks` lists them."""
    lists = [test["checks"]["arguments"] for test in model["data_tests"] if "checks" in test]
    return {column: values for rules in lists for column, values in rules.get("accepted", {}).items()}


def _values(values: list[Any] | None, description: str) -> str:
    """The description, with the allowed values unless it names them all."""
    if values is None or all(re.search(rf"\b{re.escape(str(value))}\b", description) for value in values):
        return description
    return f"{description} Values: {', '.join(f'`{value}`' for value in values)}."


def _stress() -> Iterator[str]:
    run = ", ".join(f"`{name}`" for name in RUN)
    yield "## Stress tables\n\nResults of the replay; inputs, columns and limits: [method_replay.md](method_replay.md). Those of"
    yield f"runs begin with {run}.\n"
    yield from _stress_columns(RUN)
    for table in STRESS_TABLES:
        grain, notes = (_line(part) for part in head_of(table))
        yield f"### `{table}`\n\n{grain} Units: {notes}\n"
        yield from _stress_columns(STRESS_COLUMNS[table])
    for table, columns in SEARCH_COLUMNS.items():
        grain, notes = (_line(part) for part in head_of(table))
        yield f"### `{table}`\n\n{grain} Units: {notes}\n"
        yield from _stress_columns(columns)


def _stress_columns(columns: Mapping[str, StressColumn]) -> Iterator[str]:
    yield HEADER
    for name, column in columns.items():
        null = "may be" if column.nullable else "never"
        yield f"| `{name}` | {column.kind} | {column.unit} | {null} | {_line(column.meaning)} |"
    yield ""


def _metrics() -> Iterator[str]:
    yield "## Metrics\n\nNamed aggregates for tools that read dbt's semantic layer (`dbt/models/semantic`). A rate is a sum over"
    yield "a sum of whatever span and group is asked for, never a mean of rates.\n"
    yield "| metric | kind | meaning |\n|---|---|---|"
    for path in sorted((MODELS / "semantic").glob("*.yml")):
        for metric in yaml.safe_load(path.read_text()).get("metrics", []):
            yield f"| `{metric['name']}` | {metric['type']} | {_line(metric['description'])} |"
    yield ""


def _line(words: str) -> str:
    """One line that does not end a cell of a table."""
    return " ".join(words.split()).replace("|", "\\|")


if __name__ == "__main__":
    print(f"Wrote {write()}.")
