"""A raw layer made by hand and a real dbt run over it: what the tests of the dbt project share."""

import hashlib
import json
import os
import shutil
import subprocess
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

import dbt_process
import duckdb
import pytest

from schemas.raw import DECLARED, ENTITIES, OPERATIONS, model_of

REPOSITORY = Path(__file__).resolve().parents[2]
PROJECT = REPOSITORY / "dbt"
PARTITION_KEYS = {"quarantine": ("dataset", "date"), "intake": ("dataset", "date")}
"""Hive keys of the datasets that are not laid out by venue and day."""
ORIGIN = {
    "source": "'fixture'",
    "source_class": "'measured'",
    "completeness": "'complete'",
    "ingested_at": "timestamptz '2026-11-01 00:00:00+00'",
    "landing_path": "'fixture/page-1'",
}


def raw_columns(dataset: str) -> dict[str, str]:
    """DuckDB types of a raw dataset's columns, in the order of its pandera model."""
    schema = (OPERATIONS[dataset] if dataset in OPERATIONS else model_of(dataset)).to_schema()
    types = {
        "String": "varchar",
        "Date": "date",
        "Float64": "double",
        "Int64": "bigint",
        "Boolean": "boolean",
        "Timestamp": "timestamptz",
    }
    return {name: types[type(column.dtype.type).__name__] for name, column in schema.columns.items()}


def partition_keys(dataset: str) -> tuple[str, str]:
    """Hive keys of a raw dataset."""
    return PARTITION_KEYS.get(dataset, ("venue", "date"))


@dataclass
class RawWorld:
    """A raw layer in a temporary directory; every dataset begins with its zero-row schema file."""

    root: Path

    def __post_init__(self) -> None:
        """Write the schema files."""
        for dataset in (*(f"none__{entity}" for entity in ENTITIES), *DECLARED, *OPERATIONS):
            columns = [(n, t) for n, t in raw_columns(dataset).items() if n not in partition_keys(dataset)]
            fields = ", ".join(f"cast(null as {kind}) as {name}" for name, kind in columns)
            self._copy(f"select {fields} where false", dataset, "_schema", date(1970, 1, 1))

    def add(self, dataset: str, rows: Sequence[Mapping[str, Any]], **defaults: Any) -> None:
        """Write rows given as DuckDB expressions (text) or plain numbers; the hive keys name the partition.

        Rows of a feed's dataset (``<feed>__<entity>``) carry the feed, which is also the venue unless they say otherwise.
        """
        keys = partition_keys(dataset)
        feed = dataset.partition("__")[0]
        own = {"venue": feed, "feed": f"'{feed}'"} if "__" in dataset else {}
        origin = {} if dataset in OPERATIONS else ORIGIN
        partitions: dict[tuple[str, date], list[Mapping[str, Any]]] = {}
        for row in rows:
            merged = {**origin, **own, **defaults, **row}
            partitions.setdefault((merged[keys[0]], merged["date"]), []).append(merged)
        columns = {n: t for n, t in raw_columns(dataset).items() if n not in keys}
        for (first, day), members in partitions.items():
            selects = []
            for member in members:
                unknown = set(member) - set(columns) - set(keys)
                assert not unknown, f"{dataset} has no column {sorted(unknown)}"
                fields = [f"cast({_sql(member.get(name))} as {kind}) as {name}" for name, kind in columns.items()]
                selects.append("select " + ", ".join(fields))
            self._copy(" union all ".join(selects), dataset, first, day)

    def add_query(self, dataset: str, query: str) -> None:
        """Write the result of a DuckDB query that has every raw column, partitioned as the pipeline does."""
        names = ", ".join(raw_columns(dataset))
        target = self.root / dataset
        with duckdb.connect() as connection:
            connection.execute("set TimeZone = 'UTC'")
            connection.execute(
                f"copy (select {names} from ({query})) to '{target}' "
                f"(format parquet, partition_by ({', '.join(partition_keys(dataset))}), overwrite_or_ignore, "
                "filename_pattern 'rows_{uuid}')"
            )

    def add_some(self, dataset: str, query: str) -> None:
        """Like ``add_query``; raw columns that the query has not are null."""
        with duckdb.connect() as connection:
            connection.execute("set TimeZone = 'UTC'")
            held = {row[0] for row in connection.execute(f"describe {query}").fetchall()}
        columns = raw_columns(dataset).items()
        fields = (f"cast({name if name in held else 'null'} as {kind}) as {name}" for name, kind in columns)
        self.add_query(dataset, f"select {', '.join(fields)} from ({query})")

    def _copy(self, query: str, dataset: str, first: str, day: date) -> None:
        folder = self.root / dataset / f"{partition_keys(dataset)[0]}={first}" / f"date={day}"
        folder.mkdir(parents=True, exist_ok=True)
        target = folder / f"part{len(list(folder.iterdir())) or ''}.parquet"
        with duckdb.connect() as connection:
            connection.execute("set TimeZone = 'UTC'")
            connection.execute(f"copy ({query}) to '{target}' (format parquet)")


def _sql(value: Any) -> str:
    return "null" if value is None else str(value)


@dataclass
class Warehouse:
    """A warehouse file built by dbt, with what dbt reported."""

    path: Path
    results: list[dict[str, Any]]
    log: str

    def rows(self, query: str) -> list[dict[str, Any]]:
        """Rows of a query as dictionaries."""
        with duckdb.connect(str(self.path), read_only=True) as connection:
            connection.execute("set TimeZone = 'UTC'")
            cursor = connection.execute(query)
            names = [item[0] for item in cursor.description]
            return [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]

    def row(self, query: str) -> dict[str, Any]:
        """The only row of a query."""
        (row,) = self.rows(query)
        return row

    def mart_hashes(self) -> dict[str, str]:
        """A hash over the rows of each mart, independent of their order, exact in every bit of every column."""
        hashes = {}
        with duckdb.connect(str(self.path), read_only=True) as connection:
            connection.execute("set TimeZone = 'UTC'")
            tables = connection.execute(
                "select table_name from information_schema.tables where table_schema = 'marts' order by 1"
            ).fetchall()
            for (table,) in tables:
                lines = sorted(repr(row) for row in connection.execute(f"select * from marts.{table}").fetchall())
                hashes[table] = hashlib.sha256("\n".join(lines).encode()).hexdigest()
        return hashes


@pytest.fixture(scope="session")
def run_dbt(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., subprocess.CompletedProcess[str]]:
    """Run the dbt command line over a raw directory, with everything it writes below ``work``."""
    parsed: list[Path] = []
    # dbt parses the whole project again where a variable changed, and parsing is the largest part of a small run: so the
    # variables name two links, which change.
    links = tmp_path_factory.mktemp("dbt_links")

    def run(
        raw: Path, work: Path, *arguments: str, threads: int = 2, digest: str = ""
    ) -> subprocess.CompletedProcess[str]:
        for name, place in (("raw", raw), ("work", work)):
            (links / name).unlink(missing_ok=True)
            (links / name).symlink_to(place)
        environment = {
            **os.environ,
            "DELEVER_RAW": str(links / "raw"),
            "DELEVER_WAREHOUSE": str(links / "work" / "warehouse.duckdb"),
            "DELEVER_DBT_THREADS": str(threads),
            "DELEVER_MODELS_DIGEST": digest,
            "NO_COLOR": "1",
        }
        (work / "target").mkdir(parents=True, exist_ok=True)
        if parsed and parsed[0].parent.parent != work:
            shutil.copy(parsed[0], work / "target" / "partial_parse.msgpack")
        paths = ["--project-dir", PROJECT, "--profiles-dir", PROJECT]
        paths += ["--target-path", work / "target", "--log-path", work / "logs"]
        done = dbt_process.run([str(part) for part in (*arguments, *paths)], environment, work)
        if not parsed and (work / "target" / "partial_parse.msgpack").exists():
            parsed.append(work / "target" / "partial_parse.msgpack")
        return done

    return run


@pytest.fixture(scope="session")
def build_warehouse(run_dbt: Callable[..., subprocess.CompletedProcess[str]]) -> Callable[..., Warehouse]:
    """Build everything, with the data tests unless skipped; a warning fails like an error."""

    def build(raw: Path, work: Path, *, threads: int = 2, skip: tuple[str, ...] = ("unit_test",)) -> Warehouse:
        options = [part for kind in skip for part in ("--exclude-resource-type", kind)]
        done = run_dbt(raw, work, "--warn-error", "build", "--no-use-colors", *options, threads=threads)
        assert done.returncode == 0, done.stdout[-6000:] + done.stderr[-2000:]
        results = json.loads((work / "target" / "run_results.json").read_text())["results"]
        return Warehouse(work / "warehouse.duckdb", results, done.stdout)

    return build


@pytest.fixture(scope="session")
def build_staging(run_dbt: Callable[..., subprocess.CompletedProcess[str]]) -> Callable[..., Warehouse]:
    """Build the seeds and the staging layer alone, without any tests."""

    def build(raw: Path, work: Path) -> Warehouse:
        options = ("--exclude-resource-type", "test", "unit_test", "--select", "+path:models/staging")
        done = run_dbt(raw, work, "--warn-error", "build", "--no-use-colors", *options)
        assert done.returncode == 0, done.stdout[-6000:] + done.stderr[-2000:]
        results = json.loads((work / "target" / "run_results.json").read_text())["results"]
        return Warehouse(work / "warehouse.duckdb", results, done.stdout)

    return build


@pytest.fixture(scope="session")
def raw_world() -> type[RawWorld]:
    """The builder of raw layers."""
    return RawWorld
