"""Dagster's SQLite event log, with events of one batch stored in one transaction.

A run over a year of days logs an event a day and asset when it plans, and one when it has materialised. Dagster hands them
over in batches (``DAGSTER_EVENT_BATCH_SIZE``), but its SQLite storage opens connections and commits several times for each
event: a year of seven raw assets did not get past its plan in ten minutes. Here a batch is one transaction, and a plan of
many days is one event (docs/adr/0004).
"""

import os
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, Self

from dagster import AssetKey, DagsterEventType, EventLogEntry
from dagster._core.events import AssetMaterializationPlannedData
from dagster._core.storage.event_log import SqliteEventLogStorage
from dagster._core.storage.event_log.sqlite.sqlite_event_log import INDEX_SHARD_NAME
from dagster._serdes import ConfigurableClassData
from sqlalchemy.engine import Connection

BATCH_SIZE = 5_000

# Dagster reads it wherever events are logged; without it, batches are taken apart before they get here.
os.environ.setdefault("DAGSTER_EVENT_BATCH_SIZE", str(BATCH_SIZE))


class BatchingSqliteEventLogStorage(SqliteEventLogStorage):
    """SQLite event log whose batches are one transaction a database file."""

    def __init__(self, base_dir: str, inst_data: ConfigurableClassData | None = None) -> None:
        self._held = threading.local()
        self._tables: set[str] = set()
        super().__init__(base_dir, inst_data)
        # A batch holds the lock while single events inside it take it again.
        self._db_lock = threading.RLock()  # type: ignore[assignment]  # Dagster declares a plain Lock

    @classmethod
    def config_type(cls) -> Any:  # noqa: ANN401 - Dagster's protocol
        """No settings: the log lies where Dagster's own would."""
        return {}

    @classmethod
    def from_config_value(cls, inst_data: ConfigurableClassData | None, config_value: Mapping[str, Any]) -> Self:
        """The log under ``$DAGSTER_HOME/history``, which is Dagster's own place for it."""
        return cls(str(Path(os.environ["DAGSTER_HOME"]) / "history" / "runs"), inst_data)

    @property
    def supports_partition_subset_in_asset_materialization_planned_events(self) -> bool:
        """A plan is one event with all its days, not one event a day (of unpartitioned assets too)."""
        return True

    def has_table(self, table_name: str) -> bool:
        """Whether the log has a table; Dagster asks for every event, and no table of an open log goes away."""
        if table_name not in self._tables and super().has_table(table_name):
            self._tables.add(table_name)
        return table_name in self._tables

    def store_event(self, event: EventLogEntry) -> None:
        """Store one event; the plan of a single day is kept as such, so that the UI can show that day as failed."""
        planned = event.dagster_event
        if planned is not None and planned.event_type is DagsterEventType.ASSET_MATERIALIZATION_PLANNED:
            data = planned.asset_materialization_planned_data
            keys = list(data.partitions_subset.get_partition_keys()) if data.partitions_subset else []
            if len(keys) == 1:
                single = AssetMaterializationPlannedData(data.asset_key, partition=keys[0], partitions_subset=None)
                event = event._replace(dagster_event=planned._replace(event_specific_data=single))
        super().store_event(event)

    def store_event_batch(self, events: Sequence[EventLogEntry]) -> None:
        """Store events of one run, all or none."""
        shards = sorted({event.run_id for event in events} | {INDEX_SHARD_NAME})
        with self._db_lock, ExitStack() as stack:
            opened = {shard: stack.enter_context(self._connect(shard)) for shard in shards}
            self._held.connections = opened
            self._held.last = {_asset_of(event): event for event in events if _is_materialization(event)}
            # Pushed last, so that it runs before the connections commit and close.
            stack.callback(self._held.__dict__.clear)
            for event in events:
                self.store_event(event)

    def _store_asset_event(self, conn: Connection, event: EventLogEntry, event_id: int) -> None:
        """Note an asset's newest event, over which a batch's later materialization of the asset would write."""
        newest = getattr(self._held, "last", {}).get(_asset_of(event))
        if newest is None or newest is event or not _is_materialization(event):
            super()._store_asset_event(conn, event, event_id)

    @contextmanager
    def _connect(self, shard: str) -> Iterator[Connection]:
        """The batch's connection to a database file, or one of its own for a single event."""
        held = getattr(self._held, "connections", {}).get(shard)
        if held is not None:
            yield held
            return
        with super()._connect(shard) as connection:
            yield connection


def _is_materialization(event: EventLogEntry) -> bool:
    return event.dagster_event_type is DagsterEventType.ASSET_MATERIALIZATION


def _asset_of(event: EventLogEntry) -> AssetKey | None:
    return event.dagster_event.asset_key if event.dagster_event else None
