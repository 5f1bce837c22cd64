"""Assembling the sample: build the market once, write every tree beside the target, then rename."""

import hashlib
import json
import shutil
import tempfile
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import duckdb

from dagster_project.sources.demo import market
from dagster_project.sources.demo.aggregator_files import write_aggregators
from dagster_project.sources.demo.binance_files import write_binance
from dagster_project.sources.demo.binance_more_files import write_binance_more
from dagster_project.sources.demo.bitget_files import write_bitget
from dagster_project.sources.demo.book import write_book
from dagster_project.sources.demo.bybit_files import write_bybit
from dagster_project.sources.demo.bybit_more_files import write_bybit_more
from dagster_project.sources.demo.contracts import load_contracts
from dagster_project.sources.demo.declared_files import write_declared
from dagster_project.sources.demo.derived import build_derived
from dagster_project.sources.demo.faulty_files import write_faulty
from dagster_project.sources.demo.hyperliquid_files import write_hyperliquid
from dagster_project.sources.demo.okx_files import write_okx
from dagster_project.sources.demo.split import split_market
from dagster_project.sources.demo.universe import VENUES, load_universe

GENERATOR_VERSION = 2
"""Raise it with any change that alters a byte of the sample; it is written to SAMPLE.json."""


DELIBERATE = {
    "faulty/bybit/v5/market/kline/ETHUSDT-D-cut.json": "cut short; its bars stand in bybit/v5/market/kline/ETHUSDT-D-1.json",
    "faulty/bybit/v5/market/kline/ETHUSDT-D-swapped.json": "high and low of one bar exchanged; the bar stands in the same page",
    "binance/data/futures/cm/daily/liquidationSnapshot": "every row is written twice, as in the real archive",
    "okx/api/v5/market/history-candles": "the newest bar of every page is still open (confirm 0)",
}
"""Faults and repeats that were put in for the pipeline to find."""


@dataclass(frozen=True)
class Calibration:
    """One figure that the sample was made to show.

    Attributes:
        figure: What it is, with its unit.
        target: The published (or assumed, where ``basis`` says so) value.
        achieved: The value of the generated rows, after rounding to the files' decimals.
        basis: ``published`` (see ``docs/demo_sample.md``) or ``assumed``.
    """

    figure: str
    target: float
    achieved: float
    basis: str


@dataclass(frozen=True)
class SampleSummary:
    """What ``generate_sample`` wrote.

    Attributes:
        path: The sample's root.
        seed: The seed that made it.
        files: Number of files.
        size_bytes: Sum of their sizes.
        calibrations: Targets and what was achieved; the same list is in SAMPLE.json.
    """

    path: Path
    seed: int
    files: int
    size_bytes: int
    calibrations: tuple[Calibration, ...]


_PRE = f"select coin_id, venue_id, o as p from minute where t = {market.PRE_EVENT_MINUTE}"

_FIGURES: tuple[tuple[str, float, str, str], ...] = (
    ("volume 2025, USD", 85.70e12, "published", "select sum(quote::decimal(18, 2)) from candle_day"),
    *(
        (
            f"volume 2025 {v.name}, USD",
            v.year_volume,
            "published" if i < 4 else "assumed",
            f"select sum(quote::decimal(18, 2)) from candle_day where venue_id = {i}",
        )
        for i, v in enumerate(VENUES)
    ),
    (
        "volume 2025-10-10 (peak day), USD",
        market.PEAK_DAY_VOLUME,
        "published",
        "select max(v) from (select sum(quote::decimal(18, 2)) as v from candle_day group by k)",
    ),
    ("liquidated 2025, USD", market.TOTAL_LIQUIDATED, "published", "select sum(usd::decimal(18, 4)) from liquidation"),
    (
        "liquidated in the event, USD",
        market.EVENT_LIQUIDATED,
        "published",
        "select sum(usd::decimal(18, 4)) from liquidation where is_event",
    ),
    (
        "long share of the event",
        0.870,
        "published",
        "select sum(usd::decimal(18, 4)) filter (side = 0) / sum(usd::decimal(18, 4)) from liquidation where is_event",
    ),
    *(
        (
            f"liquidated in the event {v.name}, USD",
            v.event_liquidated,
            "published" if v.event_liquidated >= 0.2e9 else "assumed",
            f"select sum(usd::decimal(18, 4)) from liquidation where is_event and venue_id = {i}",
        )
        for i, v in enumerate(VENUES)
    ),
    *(
        (
            f"liquidated in the event {coin}, USD",
            usd,
            "published",
            f"""select sum(usd::decimal(18, 4)) from liquidation join coin using (coin_id)
            where is_event and base_asset = '{coin}'""",
        )
        for coin, usd in (("BTC", 5.39e9), ("ETH", 4.45e9), ("SOL", 2.02e9))
    ),
    (
        "share of the event liquidated 20:50 to 21:30",
        6.93 / 9.89,
        "published",
        f"""select sum(usd::decimal(18, 4)) filter ((ms_of_year // 60000) - {market.EVENT_DAY * 1440} < 1290)
            / sum(usd::decimal(18, 4)) from liquidation where is_event""",
    ),
    (
        "share of the event liquidated in minute 21:15",
        0.25,
        "assumed",
        f"""select sum(usd::decimal(18, 4)) filter ((ms_of_year // 60000) - {market.EVENT_DAY * 1440} = 1275)
            / sum(usd::decimal(18, 4)) from liquidation where is_event""",
    ),
    ("ADL on Hyperliquid, USD", market.ADL_TOTAL, "published", "select sum(usd::decimal(18, 2)) from adl"),
    (
        "open interest, lowest of Q1, USD",
        87e9,
        "published",
        """select min(v) from (select sum(usd::decimal(18, 2)) as v from oi
            where is_daily and minute_of_year < 90 * 1440 group by minute_of_year)""",
    ),
    (
        "open interest 2025-10-07, USD",
        235.9e9,
        "published",
        "select max(v) from (select sum(usd::decimal(18, 2)) as v from oi where is_daily group by minute_of_year)",
    ),
    (
        "open interest 2025-10-10 20:50, USD",
        217e9,
        "published",
        f"select sum(usd::decimal(18, 2)) from oi where minute_of_year = {market.EVENT_DAY * 1440 + 1250}",
    ),
    (
        "open interest 2025-10-10 22:30, USD",
        123e9,
        "published",
        f"select sum(usd::decimal(18, 2)) from oi where minute_of_year = {market.EVENT_DAY * 1440 + 1350}",
    ),
    (
        "open interest 2025-12-31, USD",
        145.1e9,
        "published",
        "select sum(usd::decimal(18, 2)) from oi where minute_of_year = 364 * 1440",
    ),
    ("BTC high 2025, USD", 126200.0, "published", "select max(hi) from candle_day where coin_id = 0 and venue_id = 0"),
    (
        "BTC low 2025-10-10, USD",
        104800.0,
        "published",
        f"select lo from candle_day where coin_id = 0 and venue_id = 0 and k = {market.EVENT_DAY}",
    ),
    (
        "ETH low 2025-10-10, USD",
        3480.0,
        "published",
        f"select lo from candle_day where coin_id = 1 and venue_id = 0 and k = {market.EVENT_DAY}",
    ),
    (
        "tail: median of lows against 20:50",
        -0.55,
        "published",
        f"""select median(x) from (select min(lo) / any_value(p) - 1 as x from minute
            join ({_PRE}) using (coin_id, venue_id)
            join coin using (coin_id) where tier = 'tail' group by coin_id, venue_id)""",
    ),
    (
        "BTC depth within 1 % on Binance 20:50, USD",
        20e6,
        "published",
        f"""select sum(usd::decimal(18, 2)) from depth
            where coin_id = 0 and venue_id = 0 and band = 1 and t = {market.PRE_EVENT_MINUTE}""",
    ),
)


def _calibrations(con: duckdb.DuckDBPyConnection) -> tuple[Calibration, ...]:
    """Evaluate every figure; six significant digits, so that a last bit cannot change SAMPLE.json."""
    achieved = []
    for figure, target, basis, query in _FIGURES:
        row = con.execute(query).fetchone()
        value = float(row[0]) if row else float("nan")
        achieved.append(Calibration(figure, float(f"{target:.6g}"), float(f"{value:.6g}"), basis))
    return tuple(achieved)


def _size(root: Path) -> tuple[int, int]:
    """Return the number and the total size in bytes of the files under ``root``."""
    sizes = [path.stat().st_size for path in root.rglob("*") if path.is_file()]
    return len(sizes), sum(sizes)


def generate_sample(out: Path, *, seed: int = 20251010, threads: int = 2) -> SampleSummary:
    """Write the synthetic sample to ``out``; an existing sample there is replaced.

    The tree is written into a temporary folder beside ``out`` and renamed at the end, so ``out`` is never half-written.
    The bytes depend on ``seed`` only, not on ``threads``, the clock or the host.

    Args:
        out: Folder to create.
        seed: Any integer.
        threads: DuckDB threads.

    Returns:
        Where it is, how large it is and how well it meets its calibration targets.

    Raises:
        FileExistsError: ``out`` exists and is not a sample (it has no SAMPLE.json).
        duckdb.Error: The generation itself failed; nothing is left behind.
    """
    out = Path(out)
    if out.exists() and not (out / "SAMPLE.json").is_file() and (not out.is_dir() or any(out.iterdir())):
        raise FileExistsError(f"{out} exists and is not a sample; choose another folder or remove it.")
    out.parent.mkdir(parents=True, exist_ok=True)
    work = Path(tempfile.mkdtemp(prefix=f".{out.name}.", dir=out.parent))
    try:
        calibrations = _write(work, seed, threads)
        files, size = _size(work)
        work.chmod(0o755)
        if out.exists():
            replaced = Path(tempfile.mkdtemp(prefix=f".{out.name}.old.", dir=out.parent))
            out.rename(replaced / out.name)
            work.rename(out)
            shutil.rmtree(replaced)
        else:
            work.rename(out)
    except BaseException:
        shutil.rmtree(work, ignore_errors=True)
        raise
    return SampleSummary(out, seed, files, size, calibrations)


def _write(work: Path, seed: int, threads: int) -> tuple[Calibration, ...]:
    """Build the market and write all trees and SAMPLE.json into ``work``."""
    with duckdb.connect(config={"threads": threads}) as con:
        con.execute("set timezone = 'UTC'")
        load_universe(con)
        market.build_market(con, seed)
        load_contracts(con)
        split_market(con)
        build_derived(con)

        def run(writers: tuple[Callable[[duckdb.DuckDBPyConnection, Path], int], ...]) -> None:
            with con.cursor() as cursor:
                cursor.execute("set timezone = 'UTC'")
                for write in writers:
                    write(cursor, work)

        # Binance's 15,000 archives wait for the file system most of the time; the rest is computed meanwhile.
        with ThreadPoolExecutor(2) as pool:
            more = (write_binance_more, write_bybit_more, write_okx, write_bitget, write_hyperliquid, write_aggregators)
            shares = ((write_binance,), (write_declared, write_bybit, write_book, *more, write_faulty))
            for future in [pool.submit(run, share) for share in shares]:
                future.result()
        calibrations = _calibrations(con)
    text = json.dumps(
        {
            "source_class": "synthetic",
            "warning": "Every row is generated. Calibrated totals repeat published figures and prove nothing.",
            "generator": "dagster_project.sources.demo",
            "generator_version": GENERATOR_VERSION,
            "seed": seed,
            "deliberate": DELIBERATE,
            "calibrations": [
                {"figure": c.figure, "target": c.target, "achieved": c.achieved, "basis": c.basis} for c in calibrations
            ],
        },
        indent=1,
    )
    (work / "SAMPLE.json").write_text(text + "\n", encoding="utf-8", newline="\n")
    return calibrations


def tree_sha256(root: Path) -> str:
    """Return one SHA-256 over the relative names and bytes of every file under ``root``, in name order."""
    digest = hashlib.sha256()
    for path in sorted((p for p in root.rglob("*") if p.is_file()), key=lambda p: p.relative_to(root).as_posix()):
        body = path.read_bytes()
        digest.update(f"{path.relative_to(root).as_posix()}\0{len(body)}\0".encode())
        digest.update(body)
    return digest.hexdigest()
