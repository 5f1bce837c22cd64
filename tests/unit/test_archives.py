"""Zips from outside are hostile until checked."""

import io
import zipfile
from pathlib import Path

import pytest

from dagster_project.lib.archives import concatenate_csv, read_single_csv
from dagster_project.lib.errors import DataError


def make(path: Path, members: dict[str, bytes], method: int = zipfile.ZIP_DEFLATED) -> Path:
    with zipfile.ZipFile(path, "w", method) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return path


def test_header_is_dropped_and_headerless_is_kept(tmp_path: Path) -> None:
    assert read_single_csv(make(tmp_path / "a.zip", {"a.csv": b"open_time,open\n1,2\n"})) == b"1,2\n"
    assert read_single_csv(make(tmp_path / "b.zip", {"b.csv": b"1,2\n3,4\n"})) == b"1,2\n3,4\n"


@pytest.mark.parametrize("name", ["../x.csv", "/x.csv", "a/x.csv", "x.txt"])
def test_member_that_is_not_a_plain_csv_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(DataError, match="not a plain CSV name"):
        read_single_csv(make(tmp_path / "a.zip", {name: b"1,2\n"}))
    assert not (tmp_path.parent / "x.csv").exists()


def test_several_members_are_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="2 members"):
        read_single_csv(make(tmp_path / "a.zip", {"a.csv": b"1", "b.csv": b"2"}))


def test_bomb_is_refused_without_unpacking(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="would unpack to 50000000 bytes"):
        read_single_csv(make(tmp_path / "a.zip", {"a.csv": b"0" * 50_000_000}))


@pytest.mark.parametrize("content", [b"", b"<html>Not found</html>", b"PK\x03\x04 cut"])
def test_not_a_zip_says_so(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "a.zip").write_bytes(content)
    with pytest.raises(DataError, match="is not a readable zip"):
        read_single_csv(tmp_path / "a.zip")


def test_truncated_zip_says_so(tmp_path: Path) -> None:
    whole = io.BytesIO()
    with zipfile.ZipFile(whole, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a.csv", b"1,2\n" * 10_000)
    (tmp_path / "a.zip").write_bytes(whole.getvalue()[:-100])
    with pytest.raises(DataError, match="is not a readable zip"):
        read_single_csv(tmp_path / "a.zip")


def test_lines_carry_their_archive(tmp_path: Path) -> None:
    archives = [
        make(tmp_path / "a.zip", {"a.csv": b"h,h\r\n1,2\r\n3,4\r\n"}),
        make(tmp_path / "b.zip", {"b.csv": b""}),
        make(tmp_path / "c.zip", {"c.csv": b"5,6"}),
    ]
    concatenate_csv(archives, tmp_path / "all.csv")
    assert (tmp_path / "all.csv").read_text() == "0,1,2\n0,3,4\n2,5,6\n"
