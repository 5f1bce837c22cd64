"""A generated year of hourly candles, built into the marts by dbt, and the same aggregates in polars."""

from datetime import date, timedelta
from pathlib import Path

import duckdb

from dagster_project.lib.raw import RawStore

PRODUCTS = {"binance": "um", "bybit": "linear", "okx": "swap", "bitget": "usdt_futures", "hyperliquid": "perp"}
YEAR_START = date(2025, 1, 1)
DAYS = 365
ORIGIN = """'bench' AS source, 'synthetic' AS source_class, 'complete' AS completeness,
    TIMESTAMPTZ '2026-02-01 00:00:00+00' AS ingested_at, 'bench' AS landing_path"""


def generate(raw: Path, contracts: int, *, days: int = DAYS, first: date = YEAR_START, only: date | None = None) -> int:
    """Write a raw layer of the five venues: hourly candles, daily open interest, two liquidations a contract and day.

    Args:
        raw: Root of the raw store.
        contracts: Linear contracts of each venue; the first is the largest, by Zipf's law.
        days: Length.
        first: First day.
        only: Write this one day's candles alone, with other numbers: a day that was ingested again.

    Returns:
        Candles written.
    """
    RawStore(raw, raw.parent / "tmp").prepare()
    written = 0
    for feed, product in PRODUCTS.items():
        with duckdb.connect() as connection:
            connection.execute("SET TimeZone = 'UTC'; SET threads = 1; SET memory_limit = '2GB'")
            connection.execute(_market(feed, product, contracts, first, days))
            if only is None:
                _write(connection, raw, f"{feed}__instruments", _INSTRUMENTS)
                _write(connection, raw, f"{feed}__open_interest", _OPEN_INTEREST)
                _write(connection, raw, f"{feed}__liquidations", _LIQUIDATIONS)
            for month in range(12):
                begin = (date(first.year, month + 1, 1) - first).days
                end = (date(first.year, month + 2, 1) - first).days if month < 11 else 366  # noqa: PLR2004 - months
                where = f"day >= {begin} AND day < {end}"
                if only is not None:
                    where += f" AND day = {(only - first).days}"
                scale = 1 if only is None else 2
                written += _write(connection, raw, f"{feed}__klines", _KLINES.format(where=where, scale=scale))
    return written


def _market(feed: str, product: str, contracts: int, first: date, days: int) -> str:
    """Contracts and days, from which every table is made."""
    return f"""
        CREATE TABLE contract AS SELECT '{feed}' AS venue, '{feed}' AS feed, '{product}' AS product, number,
          'C' || lpad(number::VARCHAR, 4, '0') AS base, base || 'USDT' AS venue_symbol, 5000.0 / number AS level
          FROM range(1, {contracts + 1}) AS numbers(number);
        CREATE TABLE day AS SELECT day, DATE '{first}' + day::INTEGER AS date FROM range({days}) AS days(day);"""


_KEYS = f"venue, feed, product, venue_symbol, {ORIGIN}"
# Prices and volumes swing smoothly, with noise from a hash: nothing here looks like a market, but no two bars are equal.
_KLINES = f"""SELECT {_KEYS}, date, date + to_hours(hour) AS open_time, 3600 AS interval_seconds,
    mid AS open, mid * 1.01 AS high, mid * 0.99 AS low, mid * (1 + noise / 200) AS close,
    {{scale}} * level * (1 + noise) AS volume, NULL AS base_volume, volume * mid AS turnover, 10 AS trade_count,
    NULL AS taker_buy_volume, NULL AS taker_buy_turnover
    FROM (SELECT *, level * (2 + sin((day * 24 + hour) / 100.0 + number)) AS mid,
            (hash(number, day, hour, venue) % 1000) / 1000.0 AS noise
          FROM contract, day, range(24) AS hours(hour)) AS bar WHERE {{where}}"""
_INSTRUMENTS = f"""SELECT {_KEYS}, DATE '2025-01-01' AS date, TIMESTAMPTZ '2025-01-01 00:00:00+00' AS event_at, base AS base_code,
    'USDT' AS quote_code, 'USDT' AS settle_code, 'linear' AS contract_type, true AS is_perpetual, 1.0 AS contract_value,
    NULL AS tick_size, NULL AS quantity_step, NULL AS max_leverage, NULL AS funding_interval_seconds, NULL AS status,
    NULL AS listed_at, NULL AS delisted_at FROM contract"""
_OPEN_INTEREST = f"""SELECT {_KEYS}, date, date + INTERVAL 23 HOURS AS observed_at, 3600 AS period_seconds,
    level * 50 * (2 + cos(day / 30.0 + number)) AS open_interest, NULL AS open_interest_base,
    open_interest * level * (2 + sin((day * 24 + 23) / 100.0 + number)) AS open_interest_value, NULL AS single_open_interest FROM contract, day"""
_LIQUIDATIONS = f"""SELECT {_KEYS}, date, date + to_hours(7 * side) AS event_time, NULL AS order_id,
    CASE side WHEN 1 THEN 'buy' ELSE 'sell' END AS side, level * (1 + hash(number, day, side) % 100) / 50 AS quantity,
    level * (2 + sin((day * 24 + 7 * side) / 100.0 + number)) AS price FROM contract, day, range(1, 3) AS sides(side)"""


def _write(connection: duckdb.DuckDBPyConnection, raw: Path, dataset: str, select: str) -> int:
    from dagster_project.lib.raw import columns_of
    from dagster_project.sources.dataset import duckdb_type
    from schemas.raw import model_of

    columns = columns_of(model_of(dataset))
    held = {row[0] for row in connection.execute(f"DESCRIBE {select}").fetchall()}
    casts = ", ".join(
        f"CAST({name if name in held else 'NULL'} AS {duckdb_type(kind)}) AS {name}" for name, kind in columns.items()
    )
    done = connection.execute(
        f"COPY (SELECT {casts} FROM ({select}) AS rows) TO '{raw}/{dataset}' (FORMAT parquet, COMPRESSION zstd, "
        "PARTITION_BY (venue, date), OVERWRITE_OR_IGNORE, FILENAME_PATTERN 'part')"
    ).fetchone()
    return done[0] if done else 0
