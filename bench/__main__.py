"""Measure and write ``bench/RESULTS.md``."""

import os
import platform
from importlib.metadata import version
from pathlib import Path

from bench import backfill, marts, replay
from bench.fixpoint import DEPTH_MICRO, RUNS, Timing, measure

SIZES = (500_000, 5_000_000)


def main() -> None:
    """Run every benchmark and write the results beside this file."""
    lines = [
        "# Results",
        "",
        f"Written by `make bench`. {os.cpu_count()} cores, {platform.machine()}, Python {platform.python_version()}, "
        + ", ".join(f"{name} {version(name)}" for name in ("duckdb", "numba", "numpy", "polars"))
        + ". The machine is shared and noisy: read the ratios, not the seconds.",
        "",
        "## Isolated one-sided fixpoint",
        "",
        "One contract, longs with thresholds uniform on [0.03, 0.5] log units and notional up to 15,000 USD, shock 0.06, depth "
        f"{DEPTH_MICRO / 1e15:.0f} B USD a log unit. All contenders find the same number of fallen positions; the SQL is the "
        f"replay's own `50_stop.sql`. Median of {RUNS} interleaved runs after a warm-up.",
        "",
        "| positions | fallen | contender | median s | least s | largest s | ratio to NumPy |",
        "|---|---|---|---|---|---|---|",
    ]
    for size in SIZES:
        timings = measure(size)
        peer = next(timing for timing in timings if timing.name.startswith("NumPy")).median
        lines += [_row(size, timing, peer) for timing in timings]
    lines += ["", *replay.report(), "", *backfill.report(), *marts.report()]
    text = "\n".join(lines).rstrip() + "\n"
    (Path(__file__).parent / "RESULTS.md").write_text(text)
    print(text)


def _row(size: int, timing: Timing, peer: float) -> str:
    return (
        f"| {size:,} | {timing.fallen:,} | {timing.name} | {timing.median:.3f} | {min(timing.seconds):.3f} | "
        f"{max(timing.seconds):.3f} | {timing.median / peer:.2f} |"
    )


if __name__ == "__main__":
    main()
