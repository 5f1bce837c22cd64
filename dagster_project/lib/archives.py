"""Zip archives from outside: opened only when they hold what they should, and no more than that."""

import zipfile
from collections.abc import Sequence
from pathlib import Path, PurePosixPath

from dagster_project.lib.errors import DataError

MAX_MEMBER_BYTES = 2 * 1024**3
"""A day of one contract's trades is far below this; a bomb is far above."""

MAX_RATIO = 200
"""CSV of prices compresses about tenfold; a bomb compresses a thousandfold."""


def read_single_csv(archive: Path) -> bytes:
    """The one CSV member of a zip, without its header line if it has one.

    Venues wrote files without header before 2022 and with header since; the first byte tells (a header starts with a letter).

    Raises:
        DataError: Not a zip, several members, a member that leaves the folder, or a size that cannot be right.
    """
    try:
        with zipfile.ZipFile(archive) as opened:
            members = opened.infolist()
            if len(members) != 1:
                raise DataError(f"{archive.name}: {len(members)} members where one CSV is expected.")
            member = members[0]
            if PurePosixPath(member.filename).name != member.filename or not member.filename.endswith(".csv"):
                raise DataError(f"{archive.name}: member '{member.filename}' is not a plain CSV name; not unpacked.")
            if member.file_size > MAX_MEMBER_BYTES or member.file_size > MAX_RATIO * max(member.compress_size, 1024):
                raise DataError(
                    f"{archive.name}: '{member.filename}' would unpack to {member.file_size} bytes; not unpacked."
                )
            body = opened.read(member)
    except (zipfile.BadZipFile, EOFError, NotImplementedError, RuntimeError) as error:
        raise DataError(
            f"{archive.name} is not a readable zip ({error}). Remove it from landing and ingest again."
        ) from error
    if body[:1].isalpha():
        _, _, body = body.partition(b"\n")
    return body


def concatenate_csv(archives: Sequence[Path], target: Path) -> None:
    """Write the CSV rows of many zips into one file, each line led by the position of its archive in ``archives``.

    One file is parsed many times faster than thousands, and the leading number keeps each row's origin.
    """
    with target.open("wb") as out:
        for number, archive in enumerate(archives):
            body = read_single_csv(archive).replace(b"\r\n", b"\n").strip(b"\n")
            if body:
                lead = b"%d," % number
                out.write(lead + body.replace(b"\n", b"\n" + lead) + b"\n")
