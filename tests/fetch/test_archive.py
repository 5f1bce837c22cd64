"""Archive files: resumed, bounded, verified, and never taken when they are not what their origin says."""

import hashlib
from pathlib import Path

import pytest

from dagster_project.fetch.archive import checksum, download, verified
from dagster_project.fetch.client import Client, NotThereError
from dagster_project.fetch.hosts import Host
from dagster_project.lib.errors import DataError
from venue_server import Server

DAY = "/data/futures/um/daily/klines/BTCUSDT/1h/BTCUSDT-1h-2026-11-10.zip"


@pytest.fixture
def archive(server: Server) -> Host:
    return Host("binance_archive_test", server.base("binance_archive"), ((100_000, 1.0),))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "download"
    made.mkdir()
    return made


def test_the_file_is_the_one_that_the_checksum_states(archive: Host, client: Client, folder: Path) -> None:
    (piece,) = verified(client, archive, DAY, folder)
    assert piece.file is not None
    assert (
        hashlib.sha256(piece.file.read_bytes()).hexdigest() == piece.upstream_sha256 == checksum(client, archive, DAY)
    )
    assert [path.name for path in folder.iterdir()] == [piece.name]


def test_a_file_that_has_landed_is_not_fetched_again(
    server: Server, archive: Host, client: Client, folder: Path
) -> None:
    known = checksum(client, archive, DAY)
    assert list(verified(client, archive, DAY, folder, known)) == []
    assert server.requests.count("binance_archive" + DAY + ".CHECKSUM") == 2
    assert server.requests.count("binance_archive") == 2


def test_a_republished_file_is_fetched(server: Server, archive: Host, client: Client, folder: Path) -> None:
    known = checksum(client, archive, DAY)
    server.faults.put("republished", "binance_archive" + DAY + "*")
    (piece,) = verified(client, archive, DAY, folder, known)
    assert piece.upstream_sha256 != known


def test_a_wrong_checksum_is_tried_once_more_and_then_refused(
    server: Server, archive: Host, client: Client, folder: Path
) -> None:
    server.faults.put("wrong_checksum", "binance_archive" + DAY + ".CHECKSUM")
    with pytest.raises(DataError, match=r"sha256 is .*checksum file says .*twice"):
        list(verified(client, archive, DAY, folder))
    assert server.requests.count("binance_archive" + DAY) == 3
    assert list(folder.iterdir()) == []


def test_a_byte_that_flipped_once_is_mended_by_the_second_download(
    server: Server, archive: Host, client: Client, folder: Path
) -> None:
    server.faults.put("flipped_byte", "binance_archive" + DAY, on=1)
    (piece,) = verified(client, archive, DAY, folder)
    assert piece.file is not None
    assert hashlib.sha256(piece.file.read_bytes()).hexdigest() == checksum(client, archive, DAY)


def test_a_broken_download_goes_on_where_it_broke_off(
    server: Server, archive: Host, client: Client, folder: Path
) -> None:
    server.faults.put("truncated", "binance_archive" + DAY, on=(1, 2))
    (piece,) = verified(client, archive, DAY, folder)
    assert piece.file is not None
    statuses = [
        seen.status for seen in server.requests.all("binance_archive" + DAY) if not seen.path.endswith("CHECKSUM")
    ]
    assert statuses == [200, 206, 206]


def test_a_killed_process_s_beginning_is_used_only_while_it_is_the_same_file(
    server: Server, archive: Host, client: Client, folder: Path
) -> None:
    other = folder / "other"
    other.mkdir()
    (whole,) = verified(client, archive, DAY, other)
    assert whole.file is not None
    name = DAY.rsplit("/", 1)[-1]
    (folder / f"{name}.partial").write_bytes(b"of another file")
    (folder / f"{name}.partial.etag").write_text('"an old tag"')
    (piece,) = verified(client, archive, DAY, folder)
    assert piece.file is not None
    assert piece.file.read_bytes() == whole.file.read_bytes()


def test_a_file_that_is_not_published_is_told_apart(archive: Host, client: Client, folder: Path) -> None:
    with pytest.raises(NotThereError):
        list(verified(client, archive, DAY.replace("BTCUSDT", "NOSUCH"), folder))


def test_ten_declared_gigabytes_are_not_read(server: Server, archive: Host, client: Client, folder: Path) -> None:
    server.faults.put("huge_length", "binance_archive" + DAY)
    with pytest.raises(DataError, match="declares 10000000000 bytes"):
        list(verified(client, archive, DAY, folder))


@pytest.mark.parametrize("name", ["..", "a b.zip", ".hidden", "x" * 300, "a%2f..%2fb"])
def test_a_name_that_is_no_plain_file_name_is_not_fetched(
    name: str, archive: Host, client: Client, folder: Path
) -> None:
    with pytest.raises(DataError, match="not a plain file name"):
        download(client, archive, f"/data/{name}", folder)
