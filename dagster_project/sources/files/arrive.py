"""Declared files on their way into landing."""

import hashlib
from collections.abc import Iterator
from datetime import date
from pathlib import Path

from dagster_project.lib.errors import DataError, UsageError
from dagster_project.lib.landing import Arrival
from dagster_project.sources.files.examination import Checked, examine, workplace
from dagster_project.sources.files.folder import SUFFIX, DeclaredFile, declared_files

_MAX_NAME = 180
"""Bytes of a landed file's name; file systems take 255, and landing adds a digest and a suffix."""

_SHOWN_FAULTS = 20


def check(declared: DeclaredFile) -> tuple[date, date]:
    """Read a declared file through its spec.

    Returns:
        First and last UTC day of its usable rows.

    Raises:
        DataError: The spec does not fit the file: file, columns and reasons.
    """
    checked = examine(declared)
    return checked.first, checked.last


def arrivals(folder: Path) -> Iterator[tuple[str, Arrival]]:
    """Check every declared file of a folder and describe it for landing.

    Yields:
        Dataset, and the arrival; nothing before all files are checked.

    Raises:
        UsageError: No such folder, or nothing in it is declared.
        DataError: Specs that do not fit; the text has all of them.
    """
    found = list(declared_files(folder))
    if not found:
        raise UsageError(
            f"Nothing in {folder} is declared: put a *{SUFFIX} beside your files (see docs/files_source.md)."
        )
    ready: list[tuple[str, Arrival]] = []
    faults: list[str] = []
    with workplace() as place:
        for declared in found:
            try:
                ready.append((declared.spec.dataset, _arrival(declared, examine(declared, place))))
            except DataError as error:
                faults.append(str(error))
    if faults:
        rest = [f"and {len(faults) - _SHOWN_FAULTS} more files"] if len(faults) > _SHOWN_FAULTS else []
        raise DataError("\n".join([*faults[:_SHOWN_FAULTS], *rest]))
    _refuse_one_place_for_two(ready)
    yield from ready


def _arrival(declared: DeclaredFile, checked: Checked) -> Arrival:
    spec = declared.spec
    return Arrival(
        local=declared.path,
        name=_landed_name(declared),
        origin=declared.relative,
        licence=spec.licence,
        source_class=spec.source_class,
        completeness=spec.completeness,
        period_start=checked.first,
        period_end=checked.last,
        spec=spec.model_dump(mode="json"),
    )


def _landed_name(declared: DeclaredFile) -> str:
    """Two files of one name from two folders stay apart, and so do two specs of one file."""
    flat = declared.relative.replace("/", "__")
    name = f"{declared.spec_path.name.removesuffix(SUFFIX)}__{flat}"
    if len(name.encode()) <= _MAX_NAME and "__" not in declared.relative and "\\" not in name:
        return name
    # `a__b.csv` and `a/b.csv` would be one name.
    digest = hashlib.sha256(f"{declared.spec_path.name}/{declared.relative}".encode()).hexdigest()[:16]
    kept = "".join(sign for sign in name if sign.isascii() and (sign.isalnum() or sign in "._-"))
    return f"{digest}__{kept[-100:]}"


def _refuse_one_place_for_two(ready: list[tuple[str, Arrival]]) -> None:
    places: dict[tuple[str, str], Arrival] = {}
    for dataset, arrival in ready:
        other = places.setdefault((dataset, arrival.name), arrival)
        if other is not arrival:
            raise DataError(
                f"{arrival.origin}: two specs of one name declare it for {dataset}; rename one of them, or remove it."
            )
