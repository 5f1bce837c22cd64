"""What a raw dataset is, and how its landed files become raw rows.

Every record read ends in one of three places, and the intake counts them: raw, quarantine (it breaks the model, or cannot be
read), or excluded (documented: a bar still open, a special rate). A file that cannot be read is in quarantine as a whole.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path

import duckdb
import pyarrow as pa

from dagster_project.lib.duck import connect, identifier, literal
from dagster_project.lib.errors import DataError
from dagster_project.lib.home import Home
from dagster_project.lib.landing import LandedFile, Landing, remove_tree
from dagster_project.lib.raw import PartitionCount, RawStore, columns_of
from dagster_project.sources.batch import Batch, first_line, manifest_table
from schemas.raw import model_of, row_rules

CHUNK_BYTES = 96 * 1024**2
"""Landed bytes read at a time: text in DuckDB takes several times as much memory."""

Reader = Callable[[Batch], str]
"""Makes a SELECT with ``file_number``, ``record``, ``event_at`` (the time that decides the day), the model's columns without the
provenance, and where a record is left out by rule, ``excluded`` with the reason. ``venue`` and ``source`` may be among them."""


@dataclass(frozen=True)
class Dataset:
    """One raw dataset and the readers of its landed files.

    Args:
        name: ``<feed>__<entity>``, or a key of ``schemas.raw.DECLARED``.
        source: First folder in landing.
        landed_as: Second folder in landing.
        readers: By the name in the manifest.
        venue: The venue, where rows do not say.
        label: Value of the column ``source``, where rows do not say.
        description: What one row is, shown in the UI.
        event_at: Column whose time decides the day.
    """

    name: str
    source: str
    landed_as: str
    readers: Mapping[str, Reader]
    venue: str | None
    label: str | None
    description: str
    labels: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Intake:
    """What reading some days came to.

    Args:
        counts: Rows of each raw file written.
        records: Records read, those in quarantine included.
        quarantined: Records and whole files set aside.
        excluded: Records left out by rule.
        reasons: The most frequent reasons of quarantine.
    """

    counts: list[PartitionCount]
    records: int
    quarantined: int
    excluded: int
    reasons: dict[str, int]


def build_raw(dataset: Dataset, home: Home, start: date, end: date) -> Intake:
    """Make the raw files of a dataset for the days ``start`` to ``end`` (inclusive) from landing.

    Returns:
        What was read, kept and set aside; all zero when landing holds nothing for these days.

    Raises:
        DataError: A file was landed for a reader that the dataset does not have.
    """
    landing = Landing(home.landing)
    raw = RawStore(home.raw, home.scratch)
    entries = landing.files(dataset.source, dataset.landed_as, start, end)
    unknown = sorted({entry.reader for entry in entries} - dataset.readers.keys())
    if unknown:
        raise DataError(f"{dataset.name}: files were landed for unknown readers {unknown}; fetch them again.")
    entries.sort(key=lambda entry: (entry.reader, entry.path))
    home.scratch.mkdir(parents=True, exist_ok=True)
    scratch = home.scratch / f"read-{dataset.name}-{start}-{end}"
    remove_tree(scratch)
    scratch.mkdir()
    try:
        with connect() as connection:
            # A spilled sort is slower and a full memory fatal; two cores share a machine with other work.
            connection.execute(f"SET temp_directory = {literal(scratch)}")
            _prepare(connection, dataset, entries, [landing.local(entry) for entry in entries])
            for reader, first, last in _chunks(entries):
                paths = [landing.local(entry) for entry in entries[first:last]]
                batch = Batch(connection, entries[first:last], paths, scratch, first)
                _read(connection, dataset, batch, dataset.readers[reader])
            return _settle(connection, dataset, raw, start, end)
    finally:
        remove_tree(scratch)


def _chunks(entries: Sequence[LandedFile]) -> Iterator[tuple[str, int, int]]:
    """Runs of files of one reader, each of bounded size: reader, first, and the one after the last."""
    first, size = 0, 0
    for index, entry in enumerate(entries):
        if index > first and (entry.reader != entries[first].reader or size + entry.bytes > CHUNK_BYTES):
            yield entries[first].reader, first, index
            first, size = index, 0
        size += entry.bytes
    if entries:
        yield entries[first].reader, first, len(entries)


def _prepare(
    connection: duckdb.DuckDBPyConnection, dataset: Dataset, entries: Sequence[LandedFile], paths: Sequence[Path]
) -> None:
    connection.register("manifest", manifest_table(entries, paths))
    connection.execute("CREATE TABLE landed AS SELECT * FROM manifest")
    columns = ", ".join(
        f"{identifier(name)} {duckdb_type(kind)}" for name, kind in columns_of(model_of(dataset.name)).items()
    )
    connection.execute(f"CREATE TABLE ready ({columns})")
    connection.execute(
        "CREATE TABLE set_aside (file_number BIGINT, record BIGINT, venue VARCHAR, date DATE, reason VARCHAR, payload VARCHAR)"
    )
    connection.execute("CREATE TABLE left_out (venue VARCHAR, date DATE, reason VARCHAR, records BIGINT)")
    connection.execute("CREATE TABLE seen (venue VARCHAR, date DATE, records BIGINT)")


def _read(connection: duckdb.DuckDBPyConnection, dataset: Dataset, batch: Batch, reader: Reader) -> None:
    """Read some files of one reader into ``ready``, ``set_aside`` and ``left_out``."""
    select = reader(batch)
    held = [row[0] for row in connection.execute(f"DESCRIBE {select}").fetchall()]
    columns = ",\n  ".join(_columns(dataset, batch, set(held)))
    excluded = "CAST(rows.excluded AS VARCHAR)" if "excluded" in held else "NULL::VARCHAR"
    rules = " ".join(
        f"WHEN NOT coalesce({rule}, false) THEN {literal(reason)}" for reason, rule in row_rules(dataset.name)
    )
    connection.execute(
        f"CREATE OR REPLACE TEMP TABLE parsed AS SELECT rows.file_number, rows.record, {excluded} AS excluded, "
        # A day that has not come is nobody's day: what is dated so is set aside on its file's first.
        "coalesce(CAST(CASE WHEN rows.event_at <= landed.ingested_at + INTERVAL 5 SECONDS THEN rows.event_at END AS DATE), "
        f"landed.period_start) AS day, rows.event_at AS event_moment,\n  {columns}\n"
        f"FROM ({select}) AS rows JOIN landed USING (file_number)"
    )
    # Counted here, before rows part ways: that they all arrive is then a statement that can be wrong.
    connection.execute("INSERT INTO seen SELECT venue, day, count(*) FROM parsed GROUP BY ALL")
    connection.execute("ALTER TABLE parsed ADD COLUMN reason VARCHAR")
    # A bar that lies in the future is not an open one: its clock or its unit is wrong.
    connection.execute("UPDATE parsed SET excluded = NULL WHERE event_moment > ingested_at + INTERVAL 5 SECONDS")
    connection.execute(
        "UPDATE parsed SET reason = CASE WHEN event_moment IS NULL THEN 'no usable time' "
        "WHEN event_moment > ingested_at + INTERVAL 5 SECONDS THEN 'dated after its receipt' "
        f"{rules} END WHERE excluded IS NULL"
    )
    model = ", ".join(identifier(name) for name in columns_of(model_of(dataset.name)))
    connection.execute(f"INSERT INTO ready SELECT {model} FROM parsed WHERE reason IS NULL AND excluded IS NULL")
    connection.execute(
        "INSERT INTO left_out SELECT venue, day, excluded, count(*) FROM parsed WHERE excluded IS NOT NULL GROUP BY ALL"
    )
    if dataset.source == "declared":
        _set_aside_rows(connection, "declared_records", "payload")
    else:
        # A patch with nulls takes keys out: the batch's own numbers are no part of what was landed.
        own = '{"file_number": null, "record": null}'
        _set_aside_rows(connection, batch.table, f"json_merge_patch(to_json({batch.table}), {literal(own)})::VARCHAR")
    _set_aside_files(connection, batch)


def _columns(dataset: Dataset, batch: Batch, held: set[str]) -> Iterator[str]:
    label = literal(dataset.labels.get(batch.entries[0].reader, dataset.label))
    own = {
        "venue": literal(dataset.venue)
        if dataset.venue
        else "coalesce(rows.venue, landed.landed_venue)"
        if "venue" in held
        else "landed.landed_venue",
        "source": "rows.source" if "source" in held else label,
        "feed": literal(dataset.source),
        "product": "coalesce(rows.product, landed.product)" if "product" in held else "landed.product",
        "venue_symbol": "rows.venue_symbol" if "venue_symbol" in held else "landed.venue_symbol",
        "date": "CAST(rows.event_at AS DATE)",
        "source_class": "landed.source_class",
        "completeness": "coalesce(rows.completeness, landed.completeness)"
        if "completeness" in held
        else "landed.completeness",
        "ingested_at": "landed.ingested_at",
        "landing_path": "landed.landing_path",
    }
    for name, kind in columns_of(model_of(dataset.name)).items():
        value = own.get(name) or (f"rows.{identifier(name)}" if name in held else "NULL")
        yield f"TRY_CAST({value} AS {duckdb_type(kind)}) AS {identifier(name)}"


def _set_aside_rows(connection: duckdb.DuckDBPyConnection, source: str, payload: str) -> None:
    # Payloads are made for these rows alone; several rows may come of one record.
    connection.execute(
        "INSERT INTO set_aside SELECT parsed.file_number, parsed.record, parsed.venue, parsed.day, parsed.reason, origin.payload "
        f"FROM parsed LEFT JOIN (SELECT file_number, record, {payload} AS payload FROM {source} "
        "WHERE (file_number, record) IN (SELECT (file_number, record) FROM parsed WHERE reason IS NOT NULL)) AS origin "
        "USING (file_number, record) WHERE parsed.reason IS NOT NULL"
    )


def _set_aside_files(connection: duckdb.DuckDBPyConnection, batch: Batch) -> None:
    if not batch.refused:
        return
    table = pa.table(
        {
            "file_number": [item.file_number for item in batch.refused],
            "record": pa.array([item.record for item in batch.refused], pa.int64()),
            "reason": [item.reason for item in batch.refused],
            "payload": pa.array([item.payload for item in batch.refused], pa.string()),
        }
    )
    connection.register("refused", table)
    connection.execute(
        "INSERT INTO set_aside SELECT file_number, record, landed_venue, period_start, reason, payload "
        "FROM refused JOIN landed USING (file_number)"
    )
    connection.execute(
        "INSERT INTO seen SELECT landed_venue, period_start, count(*) FROM refused JOIN landed USING (file_number) GROUP BY ALL"
    )
    connection.unregister("refused")


def _settle(connection: duckdb.DuckDBPyConnection, dataset: Dataset, raw: RawStore, start: date, end: date) -> Intake:
    """Keep the days asked for, write them and their quarantine, and count."""
    between = f"BETWEEN {literal(start.isoformat())} AND {literal(end.isoformat())}"
    venue = literal(dataset.venue or dataset.source)
    entity = dataset.name.partition("__")[2] or dataset.landed_as
    connection.execute(f"DELETE FROM ready WHERE NOT coalesce(date {between}, false)")
    connection.execute(
        f"CREATE TABLE quarantine AS SELECT {literal(dataset.name)} AS dataset, set_aside.date, "
        f"coalesce(set_aside.venue, {venue}) AS venue, {literal(dataset.source)} AS feed, {literal(entity)} AS entity, "
        "landed.landing_path, set_aside.record, "
        "set_aside.reason, set_aside.payload, landed.source_class, landed.ingested_at "
        f"FROM set_aside JOIN landed USING (file_number) WHERE set_aside.date {between}"
    )
    connection.execute(
        f"""CREATE TABLE intake AS
        WITH met AS (SELECT coalesce(venue, {venue}) AS venue, date, sum(records) AS records
            FROM seen WHERE date {between} GROUP BY ALL),
        kept AS (SELECT venue, date, count(*) AS rows FROM ready GROUP BY ALL),
        aside AS (SELECT venue, date, count(*) AS rows FROM quarantine GROUP BY ALL),
        ruled AS (SELECT coalesce(venue, {venue}) AS venue, date, sum(records) AS rows,
            string_agg(DISTINCT reason, '; ' ORDER BY reason) AS reasons
            FROM left_out WHERE date {between} GROUP BY ALL)
        SELECT {literal(dataset.name)} AS dataset, date, venue, coalesce(met.records, 0)::BIGINT AS records_read,
          coalesce(kept.rows, 0)::BIGINT AS rows_kept, coalesce(aside.rows, 0)::BIGINT AS rows_quarantined,
          coalesce(ruled.rows, 0)::BIGINT AS rows_excluded, ruled.reasons AS excluded_reasons
        FROM met FULL JOIN kept USING (venue, date) FULL JOIN aside USING (venue, date) FULL JOIN ruled USING (venue, date)"""
    )
    reasons = dict(
        connection.execute("SELECT reason, count(*) FROM quarantine GROUP BY 1 ORDER BY 2 DESC, 1 LIMIT 8").fetchall()
    )
    totals = connection.execute(
        "SELECT coalesce(sum(records_read), 0)::BIGINT, coalesce(sum(rows_quarantined), 0)::BIGINT, "
        "coalesce(sum(rows_excluded), 0)::BIGINT FROM intake"
    ).fetchone()
    records, quarantined, excluded = totals or (0, 0, 0)
    # Raw first: a crash in between leaves counts that the accounting check finds wrong, never rows unaccounted for.
    counts = raw.replace(connection, dataset.name, "ready", start, end)
    raw.replace_operations(connection, "quarantine", dataset.name, "quarantine", (start, end))
    raw.replace_operations(connection, "intake", dataset.name, "intake", (start, end))
    return Intake(counts, records, quarantined, excluded, reasons)


def duckdb_type(kind: object) -> str:
    """DuckDB's name of a model's type."""
    names = {"string": "VARCHAR", "float64": "DOUBLE", "int64": "BIGINT", "date": "DATE", "boolean": "BOOLEAN"}
    text = str(kind).removeprefix("!")
    return names.get(text, "TIMESTAMPTZ" if text.startswith("timestamp") else text)


__all__ = ["Batch", "Dataset", "Intake", "Reader", "build_raw", "duckdb_type", "first_line"]
