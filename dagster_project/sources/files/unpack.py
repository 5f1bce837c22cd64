"""A declared file as plain files that DuckDB can read: unpacked, of bounded size, and text as UTF-8.

An archive from outside is hostile until checked. What is unpacked goes into a scratch folder under names made here, so neither a
member's name nor a file's own is ever a path, nor a pattern that DuckDB would expand.
"""

import codecs
import gzip
import shutil
import stat
import zipfile
import zlib
from collections import Counter
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path, PurePosixPath
from typing import Literal, Protocol

import pyarrow as pa

from dagster_project.lib.archives import MAX_MEMBER_BYTES, MAX_RATIO
from dagster_project.lib.errors import DataError
from dagster_project.sources.files.spec import FileSpec
from dagster_project.sources.files.text import listed, quoted

MAX_MEMBERS = 10_000

_CHUNK = 4 * 1024 * 1024
_ENDINGS = {
    "csv": (".csv", ".tsv", ".txt"),
    "json": (".json", ".jsonl", ".ndjson"),
    "parquet": (".parquet", ".pq"),
}

Packing = Literal["plain", "zip", "gzip", "zstd", "lz4"]
_MAGIC: tuple[tuple[bytes, Packing], ...] = (
    (b"PK\x03\x04", "zip"),
    (b"PK\x05\x06", "zip"),
    (b"\x1f\x8b", "gzip"),
    (b"\x28\xb5\x2f\xfd", "zstd"),
    (b"\x04\x22\x4d\x18", "lz4"),
)
_FOREIGN = {
    b"BZh": "bzip2",
    b"\xfd7zXZ\x00": "xz",
    b"7z\xbc\xaf\x27\x1c": "7-Zip",
    b"Rar!\x1a\x07": "RAR",
    b"\xd0\xcf\x11\xe0": "an old Office file",
}
_MARKS = ((codecs.BOM_UTF8, "utf-8-sig"), (codecs.BOM_UTF16_LE, "utf-16"), (codecs.BOM_UTF16_BE, "utf-16"))


class _Readable(Protocol):
    def read(self, size: int, /) -> bytes: ...


@dataclass(frozen=True)
class Piece:
    """One plain file to read.

    Args:
        path: In the scratch folder, with a name made here.
        member: Name inside the zip; None where the file is no zip.
        encoding: Of the text as it came.
    """

    path: Path
    member: str | None
    encoding: str


@dataclass(frozen=True)
class Unpacked:
    """What a declared file consists of.

    Args:
        pieces: The plain files, in the order of their names.
        packing: How they were packed.
        not_taken: Members of a zip that are left out.
    """

    pieces: tuple[Piece, ...]
    packing: Packing
    not_taken: tuple[str, ...] = ()


def unpack(spec: FileSpec, path: Path, scratch: Path) -> Unpacked:
    """Make the plain files of a declared file.

    Args:
        spec: Its format, members and encoding.
        path: The file as received.
        scratch: An existing folder; what is made in it is the caller's to remove.

    Raises:
        DataError: Packed in a form that is not read, encrypted, damaged, too large, or with members that are refused. The
            text does not name the file.
    """
    packing = _packing(path)
    if packing == "zip":
        members, not_taken = _unpack_zip(spec, path, scratch)
    else:
        plain = scratch / "piece-0"
        if packing == "plain":
            plain.symlink_to(path.resolve())
        else:
            _unpack_stream(path, packing, plain)
        members, not_taken = [(None, plain)], ()
    pieces = []
    for name, plain in members:
        if packing != "plain":
            _refuse_nested(plain, name)
        pieces.append(_as_text(spec, plain, name) if spec.format != "parquet" else Piece(plain, name, "binary"))
    return Unpacked(tuple(pieces), packing, not_taken)


def _packing(path: Path) -> Packing:
    start = _start(path)
    for magic, name in _FOREIGN.items():
        if start.startswith(magic):
            raise DataError(f"it is packed as {name}, which is not read here; unpack it first")
    return next((packing for magic, packing in _MAGIC if start.startswith(magic)), "plain")


def _start(path: Path) -> bytes:
    with path.open("rb") as stream:
        return stream.read(8)


def _refuse_nested(path: Path, member: str | None) -> None:
    what = f"member {quoted(member)}" if member else "it"
    start = _start(path)
    for magic, name in (*_MAGIC, *_FOREIGN.items()):
        if start.startswith(magic):
            raise DataError(f"{what} holds another archive ({name}); unpack it first")


def _unpack_stream(path: Path, packing: Packing, target: Path) -> None:
    limit = min(MAX_MEMBER_BYTES, MAX_RATIO * max(path.stat().st_size, 1024))
    try:
        if packing == "gzip":
            with gzip.open(path) as unpacked:
                _copy(unpacked, target, limit)
        else:
            with pa.input_stream(str(path), compression="zstd" if packing == "zstd" else "lz4") as stream:
                _copy(stream, target, limit)
    except (OSError, EOFError, zlib.error, pa.ArrowException) as error:
        raise DataError(f"it is damaged or cut short ({packing}: {quoted(error)})") from error


def _copy(stream: _Readable, target: Path, limit: int) -> int:
    size = 0
    with target.open("wb") as out:
        while part := stream.read(_CHUNK):
            size += len(part)
            if size > limit:
                raise DataError(f"it unpacks to more than {limit} bytes; not unpacked")
            try:
                out.write(part)
            except OSError as error:
                raise DataError(f"it cannot be unpacked into {target.parent}: {error.strerror}") from error
    return size


def _unpack_zip(spec: FileSpec, path: Path, scratch: Path) -> tuple[list[tuple[str | None, Path]], tuple[str, ...]]:
    try:
        with zipfile.ZipFile(path) as archive:
            inside = [info for info in archive.infolist() if not info.is_dir()]
            _refuse_members(inside, path.stat().st_size)
            chosen = _chosen(spec, [info.filename for info in inside])
            made: list[tuple[str | None, Path]] = []
            left = MAX_MEMBER_BYTES
            for number, info in enumerate(
                sorted((i for i in inside if i.filename in chosen), key=lambda i: i.filename)
            ):
                target = scratch / f"piece-{number}"
                with archive.open(info) as stream:
                    left -= _copy(stream, target, min(info.file_size, left))
                made.append((info.filename, target))
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError, OSError, ValueError) as error:
        raise DataError(f"it is not a readable zip ({quoted(error)})") from error
    return made, tuple(info.filename for info in inside if info.filename not in chosen)


def _refuse_members(inside: list[zipfile.ZipInfo], archive_bytes: int) -> None:
    if len(inside) > MAX_MEMBERS:
        raise DataError(f"it has {len(inside)} members, more than {MAX_MEMBERS}; not unpacked")
    commonest = Counter(info.filename for info in inside).most_common(1)
    if commonest and commonest[0][1] > 1:
        raise DataError(f"it has member {quoted(commonest[0][0])} twice; not unpacked")
    for info in inside:
        name = info.filename
        parts = PurePosixPath(name).parts
        if name.startswith("/") or ".." in parts or "\\" in name or ":" in name or "\x00" in name:
            raise DataError(f"its member {quoted(name)} leaves the folder; not unpacked")
        if info.flag_bits & 0x1:
            raise DataError(f"its member {quoted(name)} is encrypted; unpack it first")
        if stat.S_ISLNK(info.external_attr >> 16):
            raise DataError(f"its member {quoted(name)} is a link; not unpacked")
    # Against the archive and not the member: overlapping members share their packed bytes.
    total = sum(info.file_size for info in inside)
    if total > MAX_MEMBER_BYTES or total > MAX_RATIO * max(archive_bytes, 1024):
        raise DataError(f"it would unpack to {total} bytes; not unpacked")


def _chosen(spec: FileSpec, names: list[str]) -> set[str]:
    own = [name for name in names if not name.startswith("__MACOSX/") and not PurePosixPath(name).name.startswith(".")]
    if spec.member is not None:
        found = {
            name for name in own if fnmatchcase(name, spec.member) or fnmatchcase(PurePosixPath(name).name, spec.member)
        }
        if not found:
            raise DataError(f"no member matches {quoted(spec.member)}; it holds {listed(names) or 'nothing'}")
        return found
    found = set(own) if len(own) == 1 else {name for name in own if name.lower().endswith(_ENDINGS[spec.format])}
    if not found and "xl/workbook.xml" in names:
        raise DataError("it is an Excel workbook, which is not read here; save its sheet as CSV")
    if not found:
        raise DataError(
            f"none of its members is {spec.format} by its name; give 'member'. It holds {listed(names) or 'nothing'}"
        )
    return found


def _as_text(spec: FileSpec, path: Path, member: str | None) -> Piece:
    """Turn text into UTF-8 without a byte-order mark, if it is something else."""
    wanted = spec.csv.encoding if spec.format == "csv" else "auto"
    mark = next((name for sign, name in _MARKS if _start(path).startswith(sign)), None)
    encoding = (mark or "utf-8") if wanted == "auto" else wanted
    if encoding.startswith("utf-8"):
        plain = _without_mark(path) if mark == "utf-8-sig" else path
        return Piece(_one_line_end(plain), member, "utf-8")
    target = path.with_name(path.name + "-text")
    decoder = codecs.getincrementaldecoder(encoding)()
    try:
        with path.open("rb") as stream, target.open("w", encoding="utf-8", newline="") as out:
            # Of the UTF-16 decoders, those that are told the byte order leave the mark in the text.
            out.write(decoder.decode(stream.read(_CHUNK)).removeprefix("\ufeff"))
            while part := stream.read(_CHUNK):
                out.write(decoder.decode(part))
            out.write(decoder.decode(b"", final=True))
    except UnicodeError as error:
        # Not the decoder's own text of a decoding error, which repeats the bytes.
        reason = error.reason if isinstance(error, UnicodeDecodeError) else str(error)
        raise DataError(f"it is not {encoding} text ({reason}); csv.encoding says how a file is written") from error
    return Piece(_one_line_end(target), member, encoding)


def _without_mark(path: Path) -> Path:
    """A copy without the byte-order mark, which JSON does not allow."""
    target = path.with_name(path.name + "-text")
    with path.open("rb") as stream, target.open("wb") as out:
        stream.seek(len(codecs.BOM_UTF8))
        shutil.copyfileobj(stream, out, _CHUNK)
    return target


def _one_line_end(path: Path) -> Path:
    """The file, or a copy whose lines all end in one way: DuckDB's strict reader stops where the ends change."""
    lines = windows = 0
    before = b""
    with path.open("rb") as stream:
        while part := stream.read(_CHUNK):
            lines += part.count(b"\n")
            windows += part.count(b"\r\n") + (before == b"\r" and part[:1] == b"\n")
            before = part[-1:]
            if 0 < windows < lines:
                break
    if not 0 < windows < lines:
        return path
    target = path.with_name(path.name + "-lines")
    kept = b""
    with path.open("rb") as stream, target.open("wb") as out:
        while part := stream.read(_CHUNK):
            # A line's end may fall between two parts.
            text = (kept + part).replace(b"\r\n", b"\n")
            kept = b"\r" if text.endswith(b"\r") else b""
            out.write(text[: len(text) - len(kept)])
        out.write(kept)
    return target
