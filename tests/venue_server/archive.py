"""Files as archives hold them: made once, kept by path, packed the same way each time, so that checksums hold."""

import gzip
import io
import zipfile
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import replace
from hashlib import sha256

import lz4.frame

from venue_server.wire import Reply

MOST_BYTES = 256 * 2**20


class Shelf:
    """Files by path; the least recently used ones are dropped once there are too many bytes."""

    def __init__(self) -> None:
        self._files: OrderedDict[str, bytes] = OrderedDict()
        self._bytes = 0

    def take(self, path: str, make: Callable[[], bytes]) -> bytes:
        """The file of a path, made if it is not here."""
        found = self._files.get(path)
        if found is not None:
            self._files.move_to_end(path)
            return found
        made = make()
        self._files[path] = made
        self._bytes += len(made)
        while self._bytes > MOST_BYTES and len(self._files) > 1:
            self._bytes -= len(self._files.popitem(last=False)[1])
        return made

    def size(self, path: str) -> int:
        """Bytes of a file that is here, else 0."""
        return len(self._files.get(path, b""))


def table(header: str, rows: list[str]) -> bytes:
    """CSV text; no header line if ``header`` is empty."""
    return ("\n".join([header, *rows] if header else rows) + "\n").encode()


def zipped(name: str, body: bytes) -> bytes:
    """A zip of one file, whose bytes depend on nothing else."""
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w") as archive:
        entry = zipfile.ZipInfo(name, (2020, 1, 1, 0, 0, 0))
        entry.compress_type = zipfile.ZIP_DEFLATED
        archive.writestr(entry, body)
    return made.getvalue()


def gzipped(body: bytes) -> bytes:
    """A gzip whose bytes depend on nothing else."""
    return gzip.compress(body, compresslevel=6, mtime=0)


def lz4_frame(body: bytes) -> bytes:
    """An LZ4 frame."""
    return bytes(lz4.frame.compress(body))


def checksum(name: str, body: bytes) -> bytes:
    """The text of a ``.CHECKSUM`` file."""
    return f"{sha256(body).hexdigest()}  {name}\n".encode()


def _shorter(text: bytes) -> bytes:
    """Without its last line."""
    return text.rstrip(b"\n").rpartition(b"\n")[0] + b"\n"


def republished(body: bytes) -> bytes:
    """Another edition of a file: the last row is gone. Files of no known kind get a byte more."""
    if body[:2] == b"PK":
        with zipfile.ZipFile(io.BytesIO(body)) as archive:
            name = archive.namelist()[0]
            return zipped(name, _shorter(archive.read(name)))
    if body[:2] == b"\x1f\x8b":
        return gzipped(_shorter(gzip.decompress(body)))
    if body[:4] == b"\x04\x22\x4d\x18":
        return lz4_frame(_shorter(lz4.frame.decompress(body)))
    return body + b"\n"


def with_body(reply: Reply, body: bytes) -> Reply:
    """A file's answer with other bytes, and the ETag that belongs to them."""
    headers = dict(reply.headers)
    if "etag" in headers:
        headers["etag"] = f'"{sha256(body).hexdigest()[:32]}"'
    return replace(reply, body=body, headers=headers)
