"""Zips from outside are hostile until checked."""

import gzip
import io
import zipfile
from pathlib import Path

import lz4.frame
import pytest

from dagster_project.lib.archives import unpack_text
from dagster_project.lib.errors import DataError


def make(path: Path, members: dict[str, bytes], method: int = zipfile.ZIP_DEFLATED) -> Path:
    with zipfile.ZipFile(path, "w", method) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return path


@pytest.mark.parametrize("suffix", [".zip", ".gz", ".lz4", ".csv"])
def test_what_a_venue_compressed_is_told_by_its_first_bytes(tmp_path: Path, suffix: str) -> None:
    body = b"open_time,open\n1,2\n"
    path = tmp_path / f"a{suffix}"
    if suffix == ".zip":
        make(path, {"a.csv": body})
    else:
        path.write_bytes({".gz": gzip.compress, ".lz4": lz4.frame.compress, ".csv": bytes}[suffix](body))
    assert unpack_text(path) == body


@pytest.mark.parametrize("suffix", [".gz", ".lz4"])
def test_a_bomb_is_met_before_it_fills_the_memory(tmp_path: Path, suffix: str) -> None:
    compress = {".gz": gzip.compress, ".lz4": lz4.frame.compress}[suffix]
    (tmp_path / f"a{suffix}").write_bytes(compress(bytes(80_000_000)))
    with pytest.raises(DataError, match="unpacks to more than"):
        unpack_text(tmp_path / f"a{suffix}")


@pytest.mark.parametrize("suffix", [".gz", ".lz4"])
def test_a_stream_that_was_cut_short_says_so(tmp_path: Path, suffix: str) -> None:
    compress = {".gz": gzip.compress, ".lz4": lz4.frame.compress}[suffix]
    (tmp_path / f"a{suffix}").write_bytes(compress(b"".join(b"%d,%d\n" % (n, n * n) for n in range(50_000)))[:-20])
    with pytest.raises(DataError, match="is not a readable"):
        unpack_text(tmp_path / f"a{suffix}")


@pytest.mark.parametrize("suffix", [".zip", ".gz", ".lz4"])
def test_an_error_page_under_an_archive_s_name_is_refused(tmp_path: Path, suffix: str) -> None:
    (tmp_path / f"a{suffix}").write_bytes(b"<html>Not found</html>")
    with pytest.raises(DataError, match="is not what its name says"):
        unpack_text(tmp_path / f"a{suffix}")


@pytest.mark.parametrize("name", ["../x.csv", "/x.csv", "a/x.csv", "x.txt"])
def test_member_that_is_not_a_plain_csv_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(DataError, match=r"not a plain \.csv name"):
        unpack_text(make(tmp_path / "a.zip", {name: b"1,2\n"}))
    assert not (tmp_path.parent / "x.csv").exists()


def test_several_members_are_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="2 members"):
        unpack_text(make(tmp_path / "a.zip", {"a.csv": b"1", "b.csv": b"2"}))


def test_bomb_is_refused_without_unpacking(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="would unpack to 50000000 bytes"):
        unpack_text(make(tmp_path / "a.zip", {"a.csv": b"0" * 50_000_000}))


@pytest.mark.parametrize("content", [b"PK", b"PK\x03\x04 cut"])
def test_not_a_zip_says_so(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "a.zip").write_bytes(content)
    with pytest.raises(DataError, match="is not a readable zip"):
        unpack_text(tmp_path / "a.zip")


def test_truncated_zip_says_so(tmp_path: Path) -> None:
    whole = io.BytesIO()
    with zipfile.ZipFile(whole, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a.csv", b"1,2\n" * 10_000)
    (tmp_path / "a.zip").write_bytes(whole.getvalue()[:-100])
    with pytest.raises(DataError, match="is not a readable zip"):
        unpack_text(tmp_path / "a.zip")
