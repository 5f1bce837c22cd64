"""Writing the sample's files so that their bytes depend on nothing but their content.

What belongs here: containers (zip, checksum, text, Parquet) without clock, host or library influence.
What does not: what the files say (``*_files.py``).
"""

import hashlib
import io
import zipfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import duckdb

_EPOCH = (1980, 1, 1, 0, 0, 0)
_WRITERS = 2
_BATCH = 2000


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


def _write(path: str, body: bytes) -> None:
    Path(path).write_bytes(body)


def _write_item(path: str, text: str) -> None:
    if not path.endswith(".zip"):
        _write(path, text.encode())
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
            ``<stem>.csv`` and a ``.CHECKSUM`` beside it.
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
