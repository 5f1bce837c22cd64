"""The published snapshot: what readers see, swapped in whole.

A snapshot is a folder ``snapshots/<digest>/`` with ``marts.duckdb``, one Parquet file a table and ``snapshot.json``;
``published`` is a link to the newest one. The digest is made of the tables' rows, so publishing the same rows twice is no
change, and readers of an older snapshot keep it open until they are done.
"""

import hashlib
import json
import uuid
from datetime import UTC, datetime
from pathlib import Path

import duckdb
from pydantic import BaseModel, ConfigDict

from dagster_project.lib.duck import connect, identifier, literal, table_digest
from dagster_project.lib.errors import UsageError
from dagster_project.lib.home import Home
from dagster_project.lib.landing import remove_tree

PUBLISHED_SCHEMAS = ("marts", "stress")
SNAPSHOTS_KEPT = 2
"""The newest and the one that a reader may still have open."""


class PublishedTable(BaseModel):
    """One published table: its place, size and a hash of its rows that no order changes."""

    model_config = ConfigDict(frozen=True)

    schema_name: str
    name: str
    rows: int
    digest: str
    source_classes: list[str]
    completeness: list[str]


class Snapshot(BaseModel):
    """What a published snapshot holds."""

    model_config = ConfigDict(frozen=True)

    digest: str
    published_at: datetime
    tables: list[PublishedTable]


def publish(home: Home) -> tuple[Snapshot, bool]:
    """Copy marts and stress tables out of the warehouse and swap them in.

    Returns:
        The snapshot that is published now, and whether it differs from the one before.

    Raises:
        UsageError: There is no warehouse, or it has no marts.
    """
    if not home.warehouse.exists():
        raise UsageError(f"{home.warehouse} does not exist yet: nothing to publish. Run `delever run` first.")
    staged = home.root / "snapshots" / f".{uuid.uuid4().hex}"
    (staged / "parquet").mkdir(parents=True)
    try:
        tables = _copy(home.warehouse, staged)
        if not tables:
            raise UsageError(f"{home.warehouse} has no marts yet: nothing to publish. Run `delever run` first.")
        digest = hashlib.sha256("".join(f"{t.schema_name}.{t.name}:{t.digest}" for t in tables).encode()).hexdigest()[
            :16
        ]
        current = read_snapshot(home)
        if current is not None and current.digest == digest:
            return current, False
        snapshot = Snapshot(digest=digest, published_at=datetime.now(UTC), tables=tables)
        (staged / "snapshot.json").write_text(snapshot.model_dump_json(indent=1) + "\n")
        _swap(home, staged, digest)
    finally:
        remove_tree(staged)
    return snapshot, True


def read_snapshot(home: Home) -> Snapshot | None:
    """The published snapshot's description, or None when nothing is published."""
    described = home.published / "snapshot.json"
    if not described.exists():
        return None
    return Snapshot.model_validate(json.loads(described.read_text()))


def need_snapshot(home: Home) -> Snapshot:
    """The published snapshot's description.

    Raises:
        UsageError: Nothing is published.
    """
    snapshot = read_snapshot(home)
    if snapshot is None or not home.published_marts.exists():
        raise UsageError(
            f"Nothing is published in {home.root} yet. Run `make demo` or `delever run`, or set DELEVER_HOME to a home that has."
        )
    return snapshot


def _copy(warehouse: Path, staged: Path) -> list[PublishedTable]:
    tables = []
    with connect() as connection:
        connection.execute(f"ATTACH {literal(warehouse)} AS warehouse (READ_ONLY)")
        connection.execute(f"ATTACH {literal(staged / 'marts.duckdb')} AS published")
        for schema in PUBLISHED_SCHEMAS:
            connection.execute(f"CREATE SCHEMA published.{identifier(schema)}")
        listed = connection.execute(
            "SELECT schema_name, table_name FROM duckdb_tables() WHERE database_name = 'warehouse' "
            "AND list_contains($1, schema_name) ORDER BY ALL",
            [list(PUBLISHED_SCHEMAS)],
        ).fetchall()
        for schema, name in listed:
            table = f"{identifier(schema)}.{identifier(name)}"
            connection.execute(f"CREATE TABLE published.{table} AS SELECT * FROM warehouse.{table} ORDER BY ALL")
            _copy_comments(connection, schema, name)
            file = staged / "parquet" / f"{name}.parquet"
            connection.execute(f"COPY published.{table} TO {literal(file)} (FORMAT parquet, COMPRESSION zstd)")
            rows, digest = table_digest(connection, f"published.{table}")
            tables.append(
                PublishedTable(
                    schema_name=schema,
                    name=name,
                    rows=rows,
                    digest=digest,
                    source_classes=_values(connection, table, "source_class"),
                    completeness=_values(connection, table, "completeness"),
                )
            )
        connection.execute("CHECKPOINT published")
    return tables


def _copy_comments(connection: duckdb.DuckDBPyConnection, schema: str, name: str) -> None:
    """Keep the descriptions: they tell a reader grain and unit where the query is written."""
    table = f"published.{identifier(schema)}.{identifier(name)}"
    found = connection.execute(
        "SELECT NULL AS column_name, comment FROM duckdb_tables() WHERE database_name = 'warehouse' AND schema_name = $1 "
        "AND table_name = $2 UNION ALL SELECT column_name, comment FROM duckdb_columns() "
        "WHERE database_name = 'warehouse' AND schema_name = $1 AND table_name = $2",
        [schema, name],
    ).fetchall()
    for column, comment in found:
        if comment:
            target = f"COLUMN {table}.{identifier(column)}" if column else f"TABLE {table}"
            connection.execute(f"COMMENT ON {target} IS {literal(comment)}")


def _values(connection: duckdb.DuckDBPyConnection, table: str, column: str) -> list[str]:
    columns = {row[0] for row in connection.execute(f"DESCRIBE published.{table}").fetchall()}
    if column not in columns:
        return []
    query = (
        f"SELECT DISTINCT {identifier(column)} FROM published.{table} WHERE {identifier(column)} IS NOT NULL ORDER BY 1"
    )
    return [row[0] for row in connection.execute(query).fetchall()]


def _swap(home: Home, staged: Path, digest: str) -> None:
    target = home.root / "snapshots" / digest
    remove_tree(target)
    staged.rename(target)
    link = home.root / f".published-{uuid.uuid4().hex}"
    link.symlink_to(Path("snapshots") / digest, target_is_directory=True)
    link.replace(home.published)
    others = sorted(
        (path for path in (home.root / "snapshots").iterdir() if path != target and not path.name.startswith(".")),
        key=lambda path: path.stat().st_mtime,
    )
    for old in others[: max(0, len(others) - SNAPSHOTS_KEPT + 1)]:
        remove_tree(old)
