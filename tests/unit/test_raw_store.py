"""Raw files: a day is replaced, never appended to, and a reader always finds typed columns."""

import fcntl
import threading
from datetime import date

import pytest

from dagster_project.lib.duck import connect
from dagster_project.lib.home import Home
from dagster_project.lib.raw import RawStore, columns_of, locked, reading
from schemas.raw import DECLARED, ENTITIES, model_of

DATASETS = [*(f"binance__{entity}" for entity in ENTITIES), *DECLARED]

ROWS = """
    SELECT {venue} AS venue, DATE '2025-10-10' + i::INT AS date, 'test' AS source, 'synthetic' AS source_class,
      'complete' AS completeness, TIMESTAMPTZ '2025-10-12 00:00:00+00' AS ingested_at, 'p' AS landing_path,
      'BTCUSDT' AS venue_symbol, TIMESTAMPTZ '2025-10-10 00:00:00+00' + to_days(i::INT) AS funding_time,
      {rate}::DOUBLE AS funding_rate, NULL::DOUBLE AS mark_price, 'binance' AS feed, 'um' AS product,
      NULL::BIGINT AS interval_seconds
    FROM range({days}) AS t(i)"""


def write(store: RawStore, days: int, rate: float, venue: str = "'binance'", start: int = 10, end: int = 12) -> int:
    with connect() as connection:
        connection.execute("CREATE TABLE ready AS " + ROWS.format(venue=venue, days=days, rate=rate))
        counts = store.replace(connection, "binance__funding", "ready", date(2025, 10, start), date(2025, 10, end))
    return sum(count.rows for count in counts)


def read(store: RawStore) -> list[tuple[object, ...]]:
    with connect() as connection:
        return connection.execute(
            f"SELECT venue, date::VARCHAR, funding_rate FROM ({store.relation('binance__funding')}) ORDER BY ALL"
        ).fetchall()


@pytest.fixture
def store(home: Home) -> RawStore:
    return RawStore(home.raw, home.scratch)


@pytest.mark.parametrize("dataset", DATASETS)
def test_dataset_without_data_has_its_columns(store: RawStore, dataset: str) -> None:
    with connect() as connection:
        relation = connection.sql(store.relation(dataset))
        assert set(relation.columns) == set(columns_of(model_of(dataset)))
        assert relation.fetchall() == []


def test_day_is_replaced_not_appended(store: RawStore) -> None:
    assert write(store, days=3, rate=0.1) == 3
    assert write(store, days=3, rate=0.2) == 3
    assert [row[2] for row in read(store)] == [0.2, 0.2, 0.2]


def test_day_that_lost_its_rows_loses_its_file(store: RawStore) -> None:
    write(store, days=3, rate=0.1)
    write(store, days=1, rate=0.3)
    assert read(store) == [("binance", "2025-10-10", 0.3)]


def test_days_outside_the_run_are_left_alone(store: RawStore) -> None:
    write(store, days=3, rate=0.1)
    write(store, days=1, rate=0.3, end=10)
    assert [row[2] for row in read(store)] == [0.3, 0.1, 0.1]


def test_venue_that_is_gone_goes(store: RawStore) -> None:
    write(store, days=1, rate=0.1)
    write(store, days=1, rate=0.2, venue="'other'")
    assert read(store) == [("other", "2025-10-10", 0.2)]


def test_same_rows_give_the_same_bytes(store: RawStore) -> None:
    write(store, days=3, rate=0.1)
    before = {path: path.read_bytes() for path in store.root.rglob("part.parquet")}
    write(store, days=3, rate=0.1)
    assert {path: path.read_bytes() for path in store.root.rglob("part.parquet")} == before


def test_zero_row_file_of_an_older_model_is_renewed(store: RawStore) -> None:
    target = store.root / "none__funding/venue=_schema/date=1970-01-01/part.parquet"
    with connect() as connection:
        connection.execute(f"COPY (SELECT 1 AS old WHERE false) TO '{target}' (FORMAT parquet)")
    (store.root / ".shapes").write_text("digest of older models")
    store.prepare()
    assert read(store) == []


def test_zero_row_file_that_went_missing_is_written_again(store: RawStore) -> None:
    target = store.root / "none__funding/venue=_schema/date=1970-01-01/part.parquet"
    target.unlink()
    store.prepare()
    assert read(store) == []


def test_nothing_is_left_in_scratch(store: RawStore) -> None:
    write(store, days=2, rate=0.1)
    assert list(store.scratch.iterdir()) == []


def test_a_file_is_not_replaced_while_it_is_read(store: RawStore) -> None:
    """Without the lock such reads end in ``TProtocolException: Invalid data`` and the like."""

    def rewrite() -> None:
        try:
            for version in range(1, 41):
                with connect() as connection:
                    rows = ROWS.format(venue="'binance'", days=version * 7, rate=version)
                    # One day of ever more rows with ever longer text: no two versions have their columns at one place.
                    rows = rows.replace("+ i::INT AS date", "AS date").replace(
                        "'p'", f"repeat('p', {version} * i::INT)"
                    )
                    connection.execute(f"CREATE TABLE ready AS {rows}")
                    store.replace(connection, "binance__funding", "ready", date(2025, 10, 10), date(2025, 10, 10))
        finally:
            done.set()

    done = threading.Event()
    writer = threading.Thread(target=rewrite)
    write(store, days=1, rate=0)
    writer.start()
    seen = []
    while not done.is_set():
        with reading(store.root), connect() as connection:
            seen.append(
                connection.execute(
                    "SELECT count(*), count(DISTINCT funding_rate), max(funding_rate), max(landing_path) "
                    f"FROM ({store.relation('binance__funding')})"
                ).fetchone()
            )
    writer.join()
    assert read(store)[-1][2] == 40
    versions = [int(row[2]) for row in seen]
    assert versions == sorted(versions)
    assert {row[1] for row in seen} == {1}
    assert all(row[0] == 7 * version for row, version in zip(seen, versions, strict=True) if version)


def test_readers_do_not_wait_for_readers_and_writers_do(store: RawStore) -> None:
    write(store, days=1, rate=0)
    folder = store.root / "binance__funding"
    with (
        reading(store.root),
        reading(store.root),
        pytest.raises(BlockingIOError),
        locked(folder, fcntl.LOCK_EX | fcntl.LOCK_NB),
    ):
        pass
    with locked(folder, fcntl.LOCK_EX | fcntl.LOCK_NB):
        pass
