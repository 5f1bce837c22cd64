"""Thirty days of hourly candles of 5 venues x 200 contracts, from the local server, by the command that users run.

Measured: rows a second and the largest process. Then the same with the command killed (SIGKILL) at random moments, which must
end with the same rows.
"""

import hashlib
import os
import random
import resource
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import duckdb

ROOT = Path(__file__).resolve().parents[1]
VENUES = ("binance", "bybit", "okx", "bitget", "hyperliquid")
CONTRACTS = 200
FIRST, LAST = "2026-10-15", "2026-11-13"
HOSTS = (
    "BINANCE_UM",
    "BINANCE_CM",
    "BINANCE_ARCHIVE",
    "BYBIT",
    "BYBIT_ARCHIVE",
    "OKX",
    "OKX_ARCHIVE",
    "BITGET",
    "HYPERLIQUID",
)
HOURS = 30 * 24
KILLS = 10
SEED = 20251010


@dataclass(frozen=True)
class Backfill:
    """What one backfill came to."""

    seconds: float
    rows: int
    largest_mb: float
    digest: str
    kills: int


@contextmanager
def _server() -> Iterator[dict[str, str]]:
    """The local server in a process of its own, with warm answers; its environment for connectors."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [sys.executable, "-m", "venue_server", "--port", str(port), "--symbols", str(CONTRACTS), "--warm", "1000"]
    environment = os.environ | {"PYTHONPATH": str(ROOT / "tests")}
    with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True) as process:
        try:
            for _ in range(600):
                try:
                    with urllib.request.urlopen(f"http://127.0.0.1:{port}/_control/health", timeout=60):
                        break
                except OSError:
                    time.sleep(0.2)
            # The documented limits would be what is measured: Hyperliquid's alone makes this five minutes.
            yield {f"DELEVER_URL_{name}": f"http://127.0.0.1:{port}/{name.lower()}" for name in HOSTS} | {
                f"DELEVER_RATE_{name}": "1000000/1" for name in HOSTS
            }
        finally:
            process.send_signal(signal.SIGINT)


def _command(venue: str) -> list[str]:
    wanted = ["--entity", "klines", "--from", FIRST, "--to", LAST, "--bases", "*", "--origin", "rest"]
    return [str(Path(sys.executable).with_name("delever")), "ingest", venue, *wanted]


def backfill(environment: dict[str, str], kills: int = 0) -> Backfill:
    """Run the command for every venue in a fresh home; ``kills`` times in all it is killed and begun again."""
    folder = Path(tempfile.mkdtemp(prefix="delever-backfill-"))
    child = os.environ | environment | {"DELEVER_HOME": str(folder / "home"), "DELEVER_LIMITS": str(folder / "limits")}
    choice = random.Random(SEED)
    moments = {venue: kills // len(VENUES) for venue in VENUES}
    started, killed = time.monotonic(), 0
    try:
        for venue in VENUES:
            left = moments[venue]
            while True:
                process = subprocess.Popen(
                    _command(venue), env=child, cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE
                )
                if left:
                    left -= 1
                    try:
                        # From the imports to the end of a run at full speed.
                        process.wait(choice.uniform(1.0, 16.0))
                    except subprocess.TimeoutExpired:
                        process.kill()
                        process.wait()
                        killed += 1
                        continue
                _, said = process.communicate()
                if process.returncode:
                    raise RuntimeError(f"{venue}: {said.decode()[-2000:]}")
                break
        seconds = time.monotonic() - started
        largest = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024
        rows, digest = _digest(folder / "home" / "raw")
        return Backfill(seconds, rows, largest, digest, killed)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _digest(raw: Path) -> tuple[int, str]:
    """Rows of the candles of all venues, and a hash of what they say of the market."""
    with duckdb.connect() as connection:
        connection.execute("SET TimeZone = 'UTC'")
        connection.execute(
            "CREATE VIEW rows AS SELECT * EXCLUDE (ingested_at, landing_path) FROM "
            f"read_parquet('{raw}/*__klines/*/*/*.parquet', "
            "hive_partitioning=true)"
        )
        count = connection.execute("SELECT count(*) FROM rows").fetchone()
        parts = connection.execute(
            "SELECT md5(string_agg(hash(rows)::VARCHAR, ',' ORDER BY hash(rows))) FROM (SELECT DISTINCT * FROM rows) AS rows "
            "GROUP BY venue ORDER BY venue"
        ).fetchall()
    return (count[0] if count else 0), hashlib.sha256(repr(parts).encode()).hexdigest()[:16]


def report() -> list[str]:
    """Run both backfills and describe them."""
    with _server() as environment:
        whole = backfill(environment)
        killed = backfill(environment, KILLS)
    same = "the same rows" if killed.digest == whole.digest else "OTHER ROWS"
    return [
        "## Backfill of hourly candles",
        "",
        f"{len(VENUES)} venues x {CONTRACTS} contracts x {HOURS} hours from the local server (which shares the two cores), by "
        "`delever ingest`, one command a venue: requests, landing, raw, structure check, start-up of five processes included. "
        "Limits are lifted: at their documented rates the venues, not this code, would be measured. Both runs in fresh homes.",
        "",
        "| run | rows | s | rows a second | largest process MB | ends with |",
        "|---|---|---|---|---|---|",
        f"| undisturbed | {whole.rows:,} | {whole.seconds:.0f} | {whole.rows / whole.seconds:,.0f} | {whole.largest_mb:.0f} | "
        f"digest {whole.digest} |",
        f"| killed {killed.kills} times | {killed.rows:,} | {killed.seconds:.0f} | | | {same} |",
        "",
    ]


if __name__ == "__main__":
    print("\n".join(report()))
