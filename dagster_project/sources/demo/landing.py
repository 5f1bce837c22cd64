"""Land the sample: every file goes where the venue's own files will go, with a manifest that calls it synthetic."""

import json
from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from dagster_project.lib.home import Home
from dagster_project.lib.landing import Arrival, Landing, remove_tree
from dagster_project.sources import files
from dagster_project.sources.demo import generate_sample
from dagster_project.sources.demo.places import EVENT, PLACES, Days, Found

LICENCE = "synthetic, made by Delever (Apache-2.0)"
SPECS = Path(__file__).parent / "specs"

SAMPLED: frozenset[tuple[str, str]] = frozenset((place.feed, place.entity) for place in PLACES)
"""Feed and entity of every raw dataset, but the declared ones, that the sample has files of."""


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
        batches: dict[tuple[bool, str, str, str], list[Arrival]] = defaultdict(list)
        for is_last, place, arrival in _arrivals(made):
            batches[is_last, *place].append(arrival)
        total = sum(len(arrivals) for arrivals in batches.values())
        size = sum(arrival.local.stat().st_size for arrivals in batches.values() for arrival in arrivals)
        changed = 0
        # A file that two entities are read from is copied to the first and moved to the last.
        for is_last, feed, entity, batch in sorted(batches):
            arrivals = batches[is_last, feed, entity, batch]
            changed += landing.land(feed, entity, batch, arrivals, move=is_last).changed
    finally:
        remove_tree(made)
    return Landed(files=total, changed=changed, bytes=size)


def _arrivals(made: Path) -> Iterator[tuple[bool, tuple[str, str, str], Arrival]]:
    """Files with where they land, and whether it is the last place to which they do."""
    found = [one for place in PLACES for one in place.files(made)]
    times = Counter(one.path for one in found)
    for one in found:
        times[one.path] -= 1
        yield times[one.path] == 0, (one.place.feed, one.place.entity, one.batch), _arrival(one, made)
    for place, arrival in [*_declared(made / "declared"), *_book(made)]:
        yield True, place, arrival


def _book(made: Path) -> Iterator[tuple[tuple[str, str, str], Arrival]]:
    described = json.loads((made / "SAMPLE.json").read_text())
    edition = f"seed-{described['seed']}-v{described['generator_version']}"
    for path in sorted([*(made / "book").iterdir(), made / "SAMPLE.json"]):
        yield ("sample", "book", edition), _plain(path, made, (EVENT[0], EVENT[0]), "complete")


def _declared(folder: Path) -> Iterator[tuple[tuple[str, str, str], Arrival]]:
    for spec in sorted(SPECS.glob(f"*{files.SUFFIX}")):
        (folder / spec.name).write_text(spec.read_text())
    for dataset, arrival in files.arrivals(folder):
        described = arrival.model_copy(update={"origin": f"sample:declared/{arrival.origin}"})
        yield ("declared", dataset, "files"), described


def _arrival(one: Found, made: Path) -> Arrival:
    plain = _plain(one.path, made, one.days, one.place.completeness)
    checksum = one.path.with_name(one.path.name + ".CHECKSUM")
    upstream = checksum.read_text().split()[0] if one.path.suffix == ".zip" else None
    return plain.model_copy(
        update={"name": one.name, "reader": one.place.reader, "context": one.context, "upstream_sha256": upstream}
    )


def _plain(path: Path, made: Path, days: Days, completeness: str) -> Arrival:
    return Arrival(
        local=path,
        name=path.name,
        origin=f"sample:{path.relative_to(made).as_posix()}",
        licence=LICENCE,
        source_class="synthetic",
        completeness=completeness,
        period_start=days[0],
        period_end=days[1],
    )
