"""Measure and write ``bench/RESULTS.md``: ``python -m bench [fixpoint|replay|backfill|marts ...]``, all without a name.

Sections that are not measured stay as they are, each with the day on which it was.
"""

import os
import platform
import sys
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

from bench import backfill, fixpoint, marts, replay

SECTIONS: Mapping[str, Callable[[], list[str]]] = {
    "fixpoint": fixpoint.report,
    "replay": replay.report,
    "backfill": backfill.report,
    "marts": marts.report,
}
RESULTS = Path(__file__).parent / "RESULTS.md"


def main(names: list[str]) -> None:
    """Measure sections and write them beside this file, in place of what was measured of them before."""
    if unknown := [name for name in names if name not in SECTIONS]:
        sys.exit(f"no benchmark is called {', '.join(unknown)}; there are {', '.join(SECTIONS)}")
    # A section is what follows its heading, "## Title".
    _, *parts = RESULTS.read_text().split("\n## ") if RESULTS.exists() else [""]
    kept = {part.partition("\n")[0]: f"## {part}".rstrip() for part in parts}
    for name, report in SECTIONS.items():
        if not names or name in names:
            heading, *lines = report()
            measured = f"Measured on {datetime.now(UTC):%Y-%m-%d}, {_machine()}."
            kept[heading.removeprefix("## ")] = "\n".join([heading, "", measured, *lines]).rstrip()
    head = "# Results\n\nWritten by `make bench`. The machine is shared and noisy: read the ratios, not the seconds."
    text = "\n\n".join([head, *kept.values()]) + "\n"
    RESULTS.write_text(text)
    print(text)


def _machine() -> str:
    versions = ", ".join(f"{name} {version(name)}" for name in ("duckdb", "numba", "numpy", "polars"))
    return f"{os.cpu_count()} cores, {platform.machine()}, Python {platform.python_version()}, {versions}"


if __name__ == "__main__":
    main(sys.argv[1:])
