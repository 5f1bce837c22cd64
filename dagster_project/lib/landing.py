"""The landing store: bytes as received, never changed, with a manifest that says where each file came from.

Layout: ``landing/<source>/<dataset>/<batch>/`` with the files and one ``_manifest.json``. A file that arrives again with the
same bytes changes nothing; one that arrives with other bytes is kept beside the first, which is then marked superseded.
"""

import hashlib
import json
import os
import shutil
from collections.abc import Iterable
from contextlib import suppress
from datetime import UTC, date, datetime
from pathlib import Path, PurePosixPath
from typing import Any, NamedTuple

from filelock import FileLock
from pydantic import BaseModel, ConfigDict, Field

from dagster_project.lib.errors import DataError

MANIFEST = "_manifest.json"


class LandedFile(BaseModel):
    """One file of the landing store.

    ``period_start`` and ``period_end`` (inclusive UTC days) bound the rows in it, so that a partition reads only its files.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    path: str = Field(description="relative to the landing root, with forward slashes")
    origin: str = Field(description="URL, or file name at the place it was taken from")
    bytes: int
    sha256: str
    fetched_at: datetime
    licence: str
    source_class: str
    completeness: str
    period_start: date
    period_end: date
    upstream_sha256: str | None = Field(default=None, description="as the origin states it, verified")
    superseded_by: str | None = None
    spec: dict[str, Any] | None = Field(default=None, description="how a declared file is to be read")
    reader: str = Field(default="", description="which of the feed's readers understands it")
    context: dict[str, str] = Field(default_factory=dict, description="what the file does not say of itself")
    task: str | None = Field(default=None, description="the question that it answers")
    is_final: bool = Field(default=True, description="fetched when it could no longer change")


class Arrival(BaseModel):
    """A file about to be landed: the local copy, and what is known of it."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    local: Path
    name: str
    origin: str
    licence: str
    source_class: str
    completeness: str
    period_start: date
    period_end: date
    upstream_sha256: str | None = None
    spec: dict[str, Any] | None = None
    reader: str = ""
    context: dict[str, str] = Field(default_factory=dict)
    task: str | None = None
    is_final: bool = True


class LandReport(NamedTuple):
    """What landing some files came to.

    Args:
        changed: Files that were new or whose bytes or description changed.
        superseded: Paths of files whose place was taken by other bytes of the same name.
    """

    changed: int
    superseded: list[str]


class Landing:
    """The store under one root folder.

    Args:
        root: ``Home.landing``.
    """

    def __init__(self, root: Path) -> None:
        self.root = root

    def land(
        self, source: str, dataset: str, batch: str, arrivals: Iterable[Arrival], *, move: bool = False
    ) -> LandReport:
        """Take files into one batch.

        Args:
            source: First folder, e.g. ``binance``.
            dataset: Second folder, e.g. ``klines``.
            batch: Third folder, e.g. a day.
            arrivals: The files.
            move: Move the local copies instead of copying them (for files made for this purpose).

        Returns:
            What was new or changed.

        Raises:
            DataError: A name that leaves the folder, or a checksum that does not fit.
        """
        folder = self.root / source / dataset / batch
        folder.mkdir(parents=True, exist_ok=True)
        # The recorder and a poll may land in one batch at the same time.
        with FileLock(folder / f"{MANIFEST}.lock"):
            known = {entry.path: entry for entry in self._read(folder / MANIFEST)}
            superseded_before = {path for path, entry in known.items() if entry.superseded_by}
            changed = sum(self._land_one(folder, known, arrival, move=move) for arrival in arrivals)
            if changed:
                self._write(folder / MANIFEST, known.values())
        superseded = {path for path, entry in known.items() if entry.superseded_by} - superseded_before
        return LandReport(changed, sorted(superseded))

    def final_tasks(self, source: str, dataset: str, batch: str) -> set[str]:
        """Questions of a batch that were answered when the answer could no longer change."""
        entries = self._read(self.root / source / dataset / batch / MANIFEST)
        return {entry.task for entry in entries if entry.task and entry.is_final and entry.superseded_by is None}

    def upstream_sha256(self, source: str, dataset: str, batch: str) -> dict[str, str]:
        """Checksums that the origins stated for a batch's files, by task."""
        entries = self._read(self.root / source / dataset / batch / MANIFEST)
        return {
            entry.task: entry.upstream_sha256
            for entry in entries
            if entry.task and entry.upstream_sha256 and entry.superseded_by is None
        }

    def files(self, source: str, dataset: str, start: date | None = None, end: date | None = None) -> list[LandedFile]:
        """Files of a dataset that are not superseded and may hold rows of the days ``start`` to ``end`` (inclusive)."""
        found = [
            entry
            for manifest in sorted((self.root / source / dataset).glob(f"*/{MANIFEST}"))
            for entry in self._read(manifest)
            if entry.superseded_by is None
        ]
        return [
            entry
            for entry in found
            if (end is None or entry.period_start <= end) and (start is None or entry.period_end >= start)
        ]

    def all_files(self) -> list[LandedFile]:
        """Every file of the store, superseded ones included."""
        return [entry for manifest in sorted(self.root.glob(f"*/*/*/{MANIFEST}")) for entry in self._read(manifest)]

    def local(self, entry: LandedFile) -> Path:
        """Where a landed file lies."""
        return self.root / entry.path

    def verify(self, entry: LandedFile) -> str | None:
        """Compare a landed file with its manifest.

        Returns:
            What is wrong, or None.
        """
        path = self.local(entry)
        if not path.is_file():
            return f"{entry.path} is missing"
        if sha256_of(path) != entry.sha256:
            return f"{entry.path} has changed since it was landed"
        return None

    def _land_one(self, folder: Path, known: dict[str, LandedFile], arrival: Arrival, *, move: bool) -> int:
        if PurePosixPath(arrival.name).name != arrival.name or arrival.name in {"", ".", "..", MANIFEST}:
            raise DataError(f"{arrival.origin}: '{arrival.name}' is not a plain file name; the file is not taken in.")
        digest = sha256_of(arrival.local)
        if arrival.upstream_sha256 is not None and arrival.upstream_sha256.lower() != digest:
            raise DataError(
                f"{arrival.origin}: sha256 is {digest}, its checksum file says {arrival.upstream_sha256}. "
                "Fetch it again; if that does not help, the origin has republished it in part."
            )
        relative = (folder / arrival.name).relative_to(self.root).as_posix()
        current = self._head(known, relative)
        if current is not None and current.sha256 == digest and self._describes(current, arrival):
            return 0
        if current is not None and current.sha256 == digest:
            # The bytes are known, what is said of them is new: the file stays, its entry is replaced.
            known[current.path] = self._entry(arrival, current.path, digest, current.bytes, current.fetched_at)
            return 1
        if current is not None:
            stem, dot, suffix = arrival.name.partition(".")
            relative = (folder / f"{stem}.{digest[:12]}{dot}{suffix}").relative_to(self.root).as_posix()
            known[current.path] = current.model_copy(update={"superseded_by": relative})
        target = self.root / relative
        size = arrival.local.stat().st_size
        if move:
            arrival.local.replace(target)
        else:
            staged = target.with_name(target.name + ".part")
            shutil.copyfile(arrival.local, staged)
            staged.replace(target)
        target.chmod(0o444)
        known[relative] = self._entry(arrival, relative, digest, size, datetime.now(UTC))
        return 1

    @staticmethod
    def _entry(arrival: Arrival, path: str, digest: str, size: int, fetched_at: datetime) -> LandedFile:
        described = arrival.model_dump(exclude={"local", "name"})
        return LandedFile(path=path, bytes=size, sha256=digest, fetched_at=fetched_at, **described)

    @staticmethod
    def _describes(entry: LandedFile, arrival: Arrival) -> bool:
        described = arrival.model_dump(exclude={"local", "name"})
        return all(getattr(entry, key) == value for key, value in described.items())

    @staticmethod
    def _head(known: dict[str, LandedFile], path: str) -> LandedFile | None:
        entry = known.get(path)
        while entry is not None and entry.superseded_by is not None:
            entry = known.get(entry.superseded_by)
        return entry

    @staticmethod
    def _read(manifest: Path) -> list[LandedFile]:
        if not manifest.exists():
            return []
        try:
            return [LandedFile.model_validate(entry) for entry in json.loads(manifest.read_text())]
        except ValueError as error:
            raise DataError(
                f"The manifest {manifest} cannot be read ({error}). Restore it, or remove its folder and ingest again."
            ) from error

    @staticmethod
    def _write(manifest: Path, entries: Iterable[LandedFile]) -> None:
        staged = manifest.with_suffix(".part")
        ordered = sorted(entries, key=lambda entry: entry.path)
        staged.write_text(json.dumps([entry.model_dump(mode="json") for entry in ordered], indent=1) + "\n")
        staged.replace(manifest)


def sha256_of(path: Path) -> str:
    """The sha256 of a file in hexadecimal."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def remove_tree(folder: Path) -> None:
    """Remove a scratch folder; read-only files in it are no obstacle, and a missing folder is no error."""

    def make_writable(function: Any, path: str, _: Any) -> None:  # noqa: ANN401 - shutil's protocol
        with suppress(OSError):
            os.chmod(path, 0o700)  # noqa: PTH101
            function(path)

    shutil.rmtree(folder, onerror=make_writable)
