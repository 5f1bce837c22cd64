"""The isolated one-sided fixpoint: the replay's own SQL against NumPy and polars on the same thresholds."""

import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass

import duckdb
import numpy as np
import polars as pl

from dagster_project.replay.sqlfiles import load_sql

TICKS = 1e12
DEPTH_MICRO = 40_000_000_000_000_000
SHOCK = 0.06
SIZES = (500_000, 5_000_000)
RUNS = 5


@dataclass(frozen=True)
class Timing:
    """Seconds of one contender over all runs, and where it found the cascade to stop."""

    name: str
    seconds: tuple[float, ...]
    fallen: int

    @property
    def median(self) -> float:
        """Median seconds."""
        return statistics.median(self.seconds)


def measure(positions: int, seed: int = 1) -> list[Timing]:
    """Time all contenders on one random book.

    Args:
        positions: Number of isolated longs in one contract.
        seed: Of the book.

    Returns:
        DuckDB first, then its peers; all agree on how many positions fall.
    """
    random = np.random.default_rng(seed)
    ticks = (random.uniform(0.03, 0.5, positions) * TICKS).astype(np.int64)
    notional = random.integers(1_000_000, 15_000_000_000, positions)
    connection = duckdb.connect()
    connection.execute("SET threads = 2")
    _fill(connection, ticks, notional)
    frame = pl.DataFrame({"tick": ticks, "notional": notional})
    contenders: dict[str, Callable[[], int]] = {
        "Delever (DuckDB SQL)": lambda: _sql(connection, ticks),
        "NumPy argsort + cumsum": lambda: _numpy(ticks, notional),
        "polars sort + cum_sum": lambda: _polars(frame),
    }
    seconds: dict[str, list[float]] = {name: [] for name in contenders}
    fallen: dict[str, int] = {}
    # Rounds over all contenders, so that a slow moment of the machine does not fall on one of them.
    for _ in range(RUNS + 1):
        for name, contender in contenders.items():
            began = time.perf_counter()
            fallen[name] = contender()
            seconds[name].append(time.perf_counter() - began)
    if len(set(fallen.values())) != 1:
        raise AssertionError(f"the contenders disagree: {fallen}")
    # The first round warms caches and is not counted.
    return [Timing(name, tuple(values[1:]), fallen[name]) for name, values in seconds.items()]


def report() -> list[str]:
    """Measure and return the section of `RESULTS.md`."""
    rows = []
    for size in SIZES:
        timings = measure(size)
        peer = next(timing for timing in timings if timing.name.startswith("NumPy")).median
        rows += [_row(size, timing, peer) for timing in timings]
    return [
        "## Isolated one-sided fixpoint",
        "",
        "One contract, longs with thresholds uniform on [0.03, 0.5] log units and notional up to 15,000 USD, shock 0.06, depth "
        f"{DEPTH_MICRO / 1e15:.0f} B USD a log unit. All contenders find the same number of fallen positions; the SQL is the "
        f"replay's own `50_stop.sql`. Median of {RUNS} interleaved runs after a warm-up.",
        "",
        "| positions | fallen | contender | median s | least s | largest s | ratio to NumPy |",
        "|---|---|---|---|---|---|---|",
        *rows,
    ]


def _row(size: int, timing: Timing, peer: float) -> str:
    return (
        f"| {size:,} | {timing.fallen:,} | {timing.name} | {timing.median:.3f} | {min(timing.seconds):.3f} | "
        f"{max(timing.seconds):.3f} | {timing.median / peer:.2f} |"
    )


def _fill(connection: duckdb.DuckDBPyConnection, ticks: np.ndarray, notional: np.ndarray) -> None:
    connection.register("book", pl.DataFrame({"tick": ticks, "notional": notional}).to_arrow())
    connection.execute(load_sql("05_macros"))
    connection.execute(
        "CREATE TEMP TABLE replay_position AS SELECT 1::BIGINT AS contract_no, 1::BIGINT AS side, tick AS threshold_tick, "
        "notional AS reference_micro FROM book"
    )
    connection.execute(
        f"CREATE TEMP TABLE replay_driven AS SELECT 1::BIGINT AS contract_no, 1::BIGINT AS side, {int(SHOCK * TICKS)}::BIGINT "
        f"AS shock_tick, 'linear' AS law, {DEPTH_MICRO}::BIGINT AS depth_micro, NULL::DOUBLE AS coefficient, "
        f"{int(SHOCK * TICKS)}::BIGINT + (sum(notional)::HUGEINT * {int(TICKS)} // {DEPTH_MICRO})::BIGINT AS reach_limit_tick "
        "FROM book"
    )


def _sql(connection: duckdb.DuckDBPyConnection, ticks: np.ndarray) -> int:
    connection.execute(load_sql("one_pass/50_stop"))
    row = connection.execute("SELECT stop_tick FROM replay_stop").fetchone()
    if row is None:
        raise AssertionError("no stop")
    return int((ticks < row[0]).sum())


def _numpy(ticks: np.ndarray, notional: np.ndarray) -> int:
    order = np.argsort(ticks, kind="stable")
    before = np.cumsum(notional[order]) - notional[order]
    stops = np.nonzero(SHOCK * TICKS + before / DEPTH_MICRO * TICKS < ticks[order])[0]
    return int(stops[0]) if stops.size else len(ticks)


def _polars(frame: pl.DataFrame) -> int:
    judged = frame.sort("tick").with_columns(before=pl.col("notional").cum_sum() - pl.col("notional"))
    stops = judged.select(
        (SHOCK * TICKS + pl.col("before") / DEPTH_MICRO * TICKS < pl.col("tick")).arg_true()
    ).to_series()
    return int(stops[0]) if len(stops) else len(frame)
