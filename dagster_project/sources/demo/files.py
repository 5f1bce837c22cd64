"""Writing the sample's files so that their bytes depend on nothing but their content.

What belongs here: containers (zip, checksum, text, Parquet) without clock, host or library influence.
What does not: what the files say (``*_files.py``).
"""

import hashlib
import io
import struct
import zipfile
import zlib
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import duckdb

_EPOCH = (1980, 1, 1, 0, 0, 0)
_WRITERS = 2
_BATCH = 2000
_LZ4_BLOCK = 4 * 1024 * 1024
_STORED_BLOCK = 0xFFFF


def zip_bytes(member: str, text: str) -> bytes:
    """Return a zip archive with one member.

    The member is stored, not deflated: the compressed bytes would depend on the zlib at hand (zlib, zlib-ng).
    """
    info = zipfile.ZipInfo(member, _EPOCH)
    info.create_system = 3
    info.external_attr = 0o100644 << 16
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_STORED) as archive:
        archive.writestr(info, text)
    return buffer.getvalue()


def lz4_bytes(text: str) -> bytes:
    """Return an LZ4 frame whose blocks are stored, not compressed: the library at hand would decide the compressed bytes.

    Format: github.com/lz4/lz4, doc/lz4_Frame_format.md (independent blocks of at most 4 MiB, no checksums).
    """
    body = text.encode()
    blocks = [body[start : start + _LZ4_BLOCK] for start in range(0, len(body), _LZ4_BLOCK)]
    parts = [(len(block) | 0x80000000).to_bytes(4, "little") + block for block in blocks]
    return b"\x04\x22\x4d\x18\x60\x70\x73" + b"".join(parts) + b"\0\0\0\0"


def gzip_bytes(text: str) -> bytes:
    """Return a gzip member whose deflate blocks are stored, for the same reason (RFC 1951, 1952)."""
    body = text.encode()
    starts = list(range(0, max(len(body), 1), _STORED_BLOCK))
    parts = []
    for start in starts:
        block = body[start : start + _STORED_BLOCK]
        size = len(block)
        parts.append(struct.pack("<BHH", start == starts[-1], size, 0xFFFF - size) + block)
    head = b"\x1f\x8b\x08\0\0\0\0\0\0\xff"
    return head + b"".join(parts) + struct.pack("<II", zlib.crc32(body), len(body) % 2**32)


def _write(path: str, body: bytes) -> None:
    Path(path).write_bytes(body)


_PACKERS = {"lz4": lz4_bytes, "gz": gzip_bytes}


def _write_item(path: str, text: str) -> None:
    if not path.endswith(".zip"):
        packed = _PACKERS.get(path.rpartition(".")[2])
        _write(path, packed(text) if packed else text.encode())
        return
    name = path.rpartition("/")[2]
    body = zip_bytes(f"{name[:-4]}.csv", text)
    _write(path, body)
    # As `sha256sum` prints it and as data.binance.vision serves it: two blanks, the bare file name, a line feed.
    _write(f"{path}.CHECKSUM", f"{hashlib.sha256(body).hexdigest()}  {name}\n".encode("ascii"))


def _write_items(items: list[tuple[str, str]]) -> None:
    for path, text in items:
        _write_item(path, text)


def write_files(con: duckdb.DuckDBPyConnection, root: Path, query: str) -> int:
    """Write one file per row of ``query`` and return how many.

    Args:
        con: Connection that holds the market tables.
        root: Folder under which the relative paths are created.
        query: SQL returning (relative path, text); a path that ends in ``.zip`` becomes an archive with one member
            ``<stem>.csv`` and a ``.CHECKSUM`` beside it, one in ``.lz4`` a frame and one in ``.gz`` a gzip member.
    """
    cursor = con.execute(query)
    known: set[str] = set()
    base = root.as_posix()
    count = 0
    with ThreadPoolExecutor(_WRITERS) as pool:
        while rows := cursor.fetchmany(_BATCH):
            items = [(f"{base}/{path}", text) for path, text in rows]
            for parent in {path.rpartition("/")[0] for path, _ in items} - known:
                Path(parent).mkdir(parents=True, exist_ok=True)
                known.add(parent)
            halves = [items[i::_WRITERS] for i in range(_WRITERS)]
            list(pool.map(_write_items, halves))
            count += sum(2 if path.endswith(".zip") else 1 for path, _ in items)
    return count


def write_parquet(con: duckdb.DuckDBPyConnection, path: Path, query: str) -> int:
    """Write ``query``, which must end in a total ORDER BY, as one zstd Parquet file; return the number of files (1)."""
    path.parent.mkdir(parents=True, exist_ok=True)
    target = str(path).replace("'", "''")
    con.execute(f"copy ({query}) to '{target}' (format parquet, compression zstd, row_group_size 122880)")
    return 1
