"""Land the sample: every file goes where the venue's own files will go, with a manifest that calls it synthetic."""

import json
import re
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from pathlib import Path

from dagster_project.lib.errors import DataError
from dagster_project.lib.home import Home
from dagster_project.lib.landing import Arrival, Landing, remove_tree
from dagster_project.sources import files
from dagster_project.sources.demo import generate_sample

LICENCE = "synthetic, made by Delever (Apache-2.0)"
SPECS = Path(__file__).parent / "specs"

YEAR = (date(2025, 1, 1), date(2025, 12, 31))
EVENT = (date(2025, 10, 10), date(2025, 10, 11))

ARCHIVES = {"klines": "klines", "indexPriceKlines": "index_klines", "bookDepth": "book_depth"}
"""Folder in Binance's archive: dataset in landing."""

PAGES = {
    "binance/fapi/openInterestHist": ("binance", "open_interest"),
    "binance/fapi/fundingRate": ("binance", "funding"),
    "bybit/v5/market/kline": ("bybit", "klines"),
    "bybit/v5/market/index-price-kline": ("bybit", "index_klines"),
    "bybit/v5/market/open-interest": ("bybit", "open_interest"),
    "bybit/v5/market/funding/history": ("bybit", "funding"),
}
"""Folder of REST pages: source and dataset in landing."""

STREAMS = {
    "binance/stream/forceOrder": ("binance", "liquidations"),
    "bybit/stream/allLiquidation": ("bybit", "liquidations"),
}
"""Folder of recorded messages, one file a day."""

_FINE = re.compile(r"-(?:5m|5min|1)-\d+\.json$")
_DAY = re.compile(r"(\d{4}-\d{2}-\d{2})")


@dataclass(frozen=True)
class Landed:
    """What landing the sample came to."""

    files: int
    changed: int
    bytes: int


def land_sample(home: Home) -> Landed:
    """Generate the sample and land it.

    The sample is made anew each time, so that a second run proves that it is the same to the byte.
    """
    made = home.scratch / "sample"
    remove_tree(made)
    home.scratch.mkdir(parents=True, exist_ok=True)
    generate_sample(made)
    try:
        landing = Landing(home.landing)
        batches: dict[tuple[str, str, str], list[Arrival]] = defaultdict(list)
        for place, arrival in _arrivals(made):
            batches[place].append(arrival)
        total = sum(len(batch) for batch in batches.values())
        size = sum(arrival.local.stat().st_size for batch in batches.values() for arrival in batch)
        changed = sum(landing.land(*place, batch, move=True) for place, batch in batches.items())
    finally:
        remove_tree(made)
    return Landed(files=total, changed=changed, bytes=size)


def _arrivals(made: Path) -> Iterator[tuple[tuple[str, str, str], Arrival]]:
    archive = made / "binance/data/futures/um/daily"
    for folder, dataset in ARCHIVES.items():
        for path in sorted((archive / folder).rglob("*.zip")):
            day = _day(path)
            upstream = path.with_name(path.name + ".CHECKSUM").read_text().split()[0]
            yield (
                ("binance", dataset, day.isoformat()),
                _arrival(path, made, (day, day), "complete", upstream_sha256=upstream),
            )
    for folder, (source, dataset) in PAGES.items():
        for path in sorted((made / folder).glob("*.json")):
            period = EVENT if _FINE.search(path.name) else YEAR
            yield (source, dataset, "2025"), _arrival(path, made, period, "complete")
    for folder, (source, dataset) in STREAMS.items():
        for path in sorted((made / folder).glob("*.jsonl")):
            day = _day(path)
            yield (source, dataset, day.isoformat()), _arrival(path, made, (day, day), "complete")
    yield from _declared(made / "declared")
    described = json.loads((made / "SAMPLE.json").read_text())
    edition = f"seed-{described['seed']}-v{described['generator_version']}"
    for path in sorted([*(made / "book").iterdir(), made / "SAMPLE.json"]):
        yield ("sample", "book", edition), _arrival(path, made, (EVENT[0], EVENT[0]), "complete")


def _declared(folder: Path) -> Iterator[tuple[tuple[str, str, str], Arrival]]:
    for spec in sorted(SPECS.glob(f"*{files.SUFFIX}")):
        (folder / spec.name).write_text(spec.read_text())
    for dataset, arrival in files.arrivals(folder):
        described = arrival.model_copy(update={"origin": f"sample:declared/{arrival.origin}"})
        yield ("declared", dataset, "files"), described


def _arrival(
    path: Path, made: Path, period: tuple[date, date], completeness: str, upstream_sha256: str | None = None
) -> Arrival:
    return Arrival(
        local=path,
        name=path.name,
        origin=f"sample:{path.relative_to(made).as_posix()}",
        licence=LICENCE,
        source_class="synthetic",
        completeness=completeness,
        period_start=period[0],
        period_end=period[1],
        upstream_sha256=upstream_sha256,
    )


def _day(path: Path) -> date:
    found = _DAY.search(path.name)
    if found is None:
        raise DataError(f"{path.name} has no date in its name.")
    return date.fromisoformat(found[1])
