"""A generated year of hourly candles, built into the marts by dbt: whole, after one day was read again, and beside polars.

Each figure is a process of its own, start-up included. dbt builds all models for all questions; polars computes exchange
shares and the liquidation tax with its baseline from the same files, deduplicated by the same key, and nothing else; that
both give the same numbers is checked.
"""

import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from datetime import date, timedelta
from multiprocessing import get_context
from pathlib import Path

import duckdb
import polars as pl

from dagster_project.lib.raw import RawStore, columns_of
from dagster_project.sources.dataset import duckdb_type
from schemas.raw import model_of

ROOT = Path(__file__).resolve().parents[1]

PRODUCTS = {"binance": "um", "bybit": "linear", "okx": "swap", "bitget": "usdt_futures", "hyperliquid": "perp"}
YEAR_START = date(2025, 1, 1)
DAYS = 365
LAST_DAY = YEAR_START + timedelta(days=DAYS - 1)
STRETCH = 30
CONTRACTS = 500
RUNS = 3
ORIGIN = """'bench' AS source, 'synthetic' AS source_class, 'complete' AS completeness,
    TIMESTAMPTZ '2026-02-01 00:00:00+00' AS ingested_at, 'bench' AS landing_path"""


def generate(raw: Path, contracts: int, *, days: int = DAYS, first: date = YEAR_START) -> int:
    """Write a raw layer of the five venues: hourly candles, daily open interest, two liquidations a contract and day.

    Args:
        raw: Root of the raw store.
        contracts: Linear contracts of each venue; the first is the largest, by Zipf's law.
        days: Length.
        first: First day.

    Returns:
        Candles written.
    """
    RawStore(raw, raw.parent / "tmp").prepare()
    written = 0
    for feed, product in PRODUCTS.items():
        with duckdb.connect() as connection:
            connection.execute("SET TimeZone = 'UTC'; SET threads = 1; SET memory_limit = '2GB'")
            connection.execute(_market(feed, product, contracts, first, days))
            _write(connection, raw, f"{feed}__instruments", _INSTRUMENTS)
            _write(connection, raw, f"{feed}__open_interest", _OPEN_INTEREST)
            _write(connection, raw, f"{feed}__liquidations", _LIQUIDATIONS)
            # By stretches of days: sorting a year of candles into files at once takes more memory than the build.
            for begin in range(0, days, STRETCH):
                where = f"day >= {begin} AND day < {begin + STRETCH}"
                written += _write(connection, raw, f"{feed}__klines", _KLINES.format(where=where))
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
    level * (1 + noise) AS volume, NULL AS base_volume, volume * mid AS turnover, 10 AS trade_count,
    NULL AS taker_buy_volume, NULL AS taker_buy_turnover
    FROM (SELECT *, level * (2 + sin((day * 24 + hour) / 100.0 + number)) AS mid,
            (hash(number, day, hour, venue) % 1000) / 1000.0 AS noise
          FROM contract, day, range(24) AS hours(hour)) AS bar WHERE {{where}}"""
_INSTRUMENTS = f"""SELECT {_KEYS}, DATE '2025-01-01' AS date, TIMESTAMPTZ '2025-01-01 00:00:00+00' AS event_at, base AS base_code,
    'USDT' AS quote_code, 'USDT' AS settle_code, 'linear' AS contract_type, true AS is_perpetual, 1.0 AS contract_value,
    NULL AS tick_size, NULL AS quantity_step, NULL AS max_leverage, NULL AS funding_interval_seconds, NULL AS status,
    NULL AS listed_at, NULL AS delisted_at FROM contract"""
_OPEN_INTEREST = f"""SELECT {_KEYS}, date, date + INTERVAL 23 HOURS AS observed_at, 0 AS period_seconds,
    level * 50 * (2 + cos(day / 30.0 + number)) AS open_interest, NULL AS open_interest_base,
    open_interest * level
      * (2 + sin((day * 24 + 23) / 100.0 + number)) AS open_interest_value,
    NULL AS single_open_interest FROM contract, day"""
_LIQUIDATIONS = f"""SELECT {_KEYS}, date, date + to_hours(7 * side) AS event_time, NULL AS order_id,
    CASE side WHEN 1 THEN 'buy' ELSE 'sell' END AS side, level * (1 + hash(number, day, side) % 100) / 50 AS quantity,
    level * (2 + sin((day * 24 + 7 * side) / 100.0 + number)) AS price FROM contract, day, range(1, 3) AS sides(side)"""


def _write(connection: duckdb.DuckDBPyConnection, raw: Path, dataset: str, select: str) -> int:
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


@dataclass(frozen=True)
class Build:
    """One run over a raw layer."""

    seconds: float
    largest_mb: float


def _measured(command: list[str], environment: dict[str, str]) -> Build:
    """Run a child to its end and measure it alone."""
    started = time.monotonic()
    # As on a user's machine, where Python keeps what it has compiled.
    kept = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    process = subprocess.Popen(
        command, env=kept | environment, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    said = process.stdout.read() if process.stdout else ""
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise RuntimeError(f"{' '.join(command)}\n{said[-4000:]}")
    return Build(time.monotonic() - started, usage.ru_maxrss / 1024)


def dbt(folder: Path, *arguments: str) -> Build:
    """Run dbt over the raw layer and the warehouse of ``folder``, in a process of its own."""
    command = [str(Path(sys.executable).with_name("dbt")), *arguments, "--project-dir", "dbt", "--profiles-dir", "dbt"]
    command += ["--target-path", str(folder / "target"), "--log-path", str(folder / "log")]
    return _measured(
        command,
        {
            "DELEVER_RAW": str(folder / "raw"),
            "DELEVER_WAREHOUSE": str(folder / "warehouse.duckdb"),
            "DELEVER_MODELS_DIGEST": "bench",
        },
    )


def read_again(folder: Path, day: date) -> None:
    """Write the last day's files once more, with larger volumes, as an ingestion of the day would."""
    with duckdb.connect() as connection:
        for file in folder.glob(f"raw/*__klines/*/date={day}/*.parquet"):
            changed = file.with_suffix(".new")
            connection.execute(
                f"COPY (SELECT * REPLACE (1.1 * volume AS volume, 1.1 * turnover AS turnover) "
                f"FROM read_parquet('{file}', hive_partitioning = false)) TO '{changed}' (FORMAT parquet, COMPRESSION zstd)"
            )
            changed.replace(file)
        for file in folder.glob(f"raw/*/*/date={day}/*.parquet"):
            # A day's ingestion touches all its files; what was written just now would be looked at once more.
            os.utime(file, (time.time() - 60, time.time() - 60))


def in_polars(raw: Path) -> dict[str, pl.DataFrame]:
    """Exchange shares by day, month and year, and the daily tax of each venue with its baseline."""
    keys = ["feed", "venue", "venue_symbol", "interval_seconds", "open_time"]
    bars = (
        pl.scan_parquet(f"{raw}/*__klines/venue=[!_]*/*/*.parquet", hive_partitioning=True)
        .select(*keys, "date", "turnover", "ingested_at", "landing_path")
        .sort("ingested_at", "landing_path", descending=True)
        .unique(keys, keep="first", maintain_order=True)
        .group_by("venue", "date", "venue_symbol")
        .agg(pl.col("turnover").sum())
        .collect(engine="streaming")
        .lazy()
    )
    days = bars.group_by("venue", "date").agg(pl.col("turnover").sum().alias("volume_usd"))
    shares = []
    for period in ("1d", "1mo", "1y"):
        sums = days.group_by("venue", pl.col("date").dt.truncate(period)).agg(pl.col("volume_usd").sum())
        shares.append(
            sums.with_columns(share=pl.col("volume_usd") / pl.col("volume_usd").sum().over("date"))
            .with_columns(
                rank=pl.col("share").rank("ordinal", descending=True).over("date"),
                hhi=(pl.col("share") ** 2).sum().over("date"),
                period=pl.lit(period),
            )
            .with_columns(cr4=pl.col("share").filter(pl.col("rank") <= 4).sum().over("date"))
        )
    liquidated = (
        pl.scan_parquet(f"{raw}/*__liquidations/venue=[!_]*/*/*.parquet", hive_partitioning=True)
        .group_by("venue", "date", "venue_symbol")
        .agg(liquidated_usd=(pl.col("quantity") * pl.col("price")).sum())
    )
    tax = (
        liquidated.join(bars, on=["venue", "date", "venue_symbol"])
        .group_by("venue", "date")
        .agg(pl.col("liquidated_usd", "turnover").sum())
        .with_columns(tax_bps=1e4 * pl.col("liquidated_usd") / pl.col("turnover"))
        .sort("venue", "date")
    )
    # Days of one feed are comparable: Bybit's became complete on this day (dbt/seeds/venue_feed_changes.csv).
    tax = tax.with_columns(feed=(pl.col("venue") == "bybit") & (pl.col("date") >= date(2025, 2, 20)))
    past = tax.join(tax.select("venue", "feed", past_date="date", past_tax_bps="tax_bps"), on=["venue", "feed"]).filter(
        (pl.col("past_date") < pl.col("date")) & (pl.col("past_date") >= pl.col("date").dt.offset_by("-30d"))
    )
    median = (
        past.group_by("venue", "date")
        .agg(pl.col("past_tax_bps").median().alias("median"), pl.len().alias("days"))
        .filter(pl.col("days") >= 14)
    )
    mad = (
        past.join(median, on=["venue", "date"])
        .group_by("venue", "date")
        .agg((pl.col("past_tax_bps") - pl.col("median")).abs().median().alias("mad"))
    )
    taxed = tax.join(median, on=["venue", "date"], how="left").join(mad, on=["venue", "date"], how="left")
    return {"share": pl.concat(shares).collect(), "tax": taxed.sort("venue", "date").collect()}


def agrees(folder: Path) -> bool:
    """Whether the marts say what polars says, to 1e-9."""
    found = in_polars(folder / "raw")
    with duckdb.connect(str(folder / "warehouse.duckdb"), read_only=True) as connection:
        connection.register("shares", found["share"].to_arrow())
        connection.register("taxes", found["tax"].to_arrow())
        rows = connection.execute(
            """SELECT count(*), max(abs(mart.share / shares.share - 1)) < 1e-9 AND max(abs(mart.hhi / shares.hhi - 1)) < 1e-9
                 AND max(abs(mart.cr4 / shares.cr4 - 1)) < 1e-9
               FROM shares JOIN marts.fct_exchange_share AS mart ON mart.venue = shares.venue AND mart.period_start = shares.date
                 AND mart.period_type = CASE shares.period WHEN '1d' THEN 'day' WHEN '1mo' THEN 'month' ELSE 'year' END
               UNION ALL
               SELECT count(*), max(abs(mart.tax_bps / taxes.tax_bps - 1)) < 1e-9
                 AND max(abs(mart.routine_tax_bps / taxes.median - 1)) < 1e-9
                 AND max(abs(mart.mad_tax_bps / taxes.mad - 1)) < 1e-9
                 AND count(mart.mad_tax_bps) = count(taxes.mad) AND count(taxes.mad) > 300 * count(DISTINCT taxes.venue)
               FROM taxes JOIN marts.fct_liquidation_tax AS mart ON mart.venue = taxes.venue AND mart.tax_date = taxes.date
                 AND mart.tier = 'all'"""
        ).fetchall()
    return [row[0] for row in rows] == [found["share"].height, found["tax"].height] and all(row[1] for row in rows)


ALL_MODELS = ("build", "--exclude-resource-type", "unit_test", "--exclude-resource-type", "test")
# What polars computes, with all that these two rest on.
SHARE_AND_TAX = (*ALL_MODELS, "--select", "+fct_exchange_share", "+fct_liquidation_tax")


def report() -> list[str]:
    """Build the marts of a generated year, of half of it and after one more day, and polars beside them."""
    rows = []
    whole: dict[int, float] = {}
    # A child's largest size begins with that of the process that it is forked from: what needs memory and is not measured runs
    # elsewhere, so that this process stays small.
    elsewhere = ProcessPoolExecutor(1, get_context("spawn"), max_tasks_per_child=1)
    with tempfile.TemporaryDirectory(prefix="delever-bench-") as name, elsewhere:
        for contracts in (CONTRACTS // 2, CONTRACTS):
            folder = Path(name) / str(contracts)
            (folder / "raw").mkdir(parents=True)
            candles = elsewhere.submit(generate, folder / "raw", contracts).result()
            timed: dict[str, list[Build]] = {}
            agree = True
            for run in range(RUNS):
                peer = _measured([sys.executable, "-m", "bench.marts", str(folder / "raw")], {})
                timed.setdefault("polars: share and tax alone", []).append(peer)
                # Parsing the project is no part of a build: a home keeps it.
                if run == 0:
                    dbt(folder, "parse")
                for label, arguments in (
                    ("models of share and tax, whole", SHARE_AND_TAX),
                    ("all models, whole", ALL_MODELS),
                ):
                    (folder / "warehouse.duckdb").unlink(missing_ok=True)
                    timed.setdefault(label, []).append(dbt(folder, *arguments))
                agree = agree and elsewhere.submit(agrees, folder).result()
                read_again(folder, LAST_DAY)
                timed.setdefault("all models, one day read again", []).append(dbt(folder, *ALL_MODELS))
                agree = agree and elsewhere.submit(agrees, folder).result()
                timed.setdefault("all models, nothing new", []).append(dbt(folder, *ALL_MODELS))
                if run == RUNS - 1:
                    timed.setdefault("all data tests, once", []).append(
                        dbt(folder, "test", "--select", "test_type:data")
                    )
            whole[contracts] = statistics.median(run.seconds for run in timed["all models, whole"])
            rows += [_row(candles, label, runs, whole[contracts]) for label, runs in timed.items()]
            if not agree:
                raise RuntimeError(
                    f"Of {candles:,} candles the marts and polars do not say the same: no figure is written."
                )
            shutil.rmtree(folder)
    return [
        "## Marts of a year",
        "",
        f"Hourly candles of {len(PRODUCTS)} venues x {CONTRACTS // 2} and {CONTRACTS} contracts over {DAYS} days, with daily "
        "open interest and two liquidations a contract and day, generated; read from raw Parquet. Each figure is a process of "
        f"its own, start-up included; median of {RUNS}. polars reads the columns that shares and tax need and computes "
        "these two and no more; their models stage every column, keep each step as a table and know its days, and all models "
        "answer all other questions too. Both agree to 1e-9, before and after the day that was read again.",
        "",
        "| candles | what | median s | least s | largest s | ratio to the whole build | largest process MB |",
        "|---|---|---|---|---|---|---|",
        *rows,
        "",
        f"Twice the rows take {whole[CONTRACTS] / whole[CONTRACTS // 2]:.2f} x the time of the whole build.",
        "",
    ]


def _row(candles: int, label: str, runs: list[Build], whole: float) -> str:
    seconds = [run.seconds for run in runs]
    median = statistics.median(seconds)
    return (
        f"| {candles:,} | {label} | {median:.1f} | {min(seconds):.1f} | {max(seconds):.1f} | {median / whole:.2f} | "
        f"{max(run.largest_mb for run in runs):,.0f} |"
    )


if __name__ == "__main__":
    in_polars(Path(sys.argv[1]))
