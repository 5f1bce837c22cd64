"""Landing keeps bytes as received: nothing is lost, nothing is changed, nothing leaves its folder."""

import hashlib
from datetime import date
from pathlib import Path

import pytest

from dagster_project.lib.errors import DataError
from dagster_project.lib.landing import MANIFEST, Arrival, Landing

DAY = date(2025, 10, 10)


def arrival(path: Path, content: bytes, name: str = "a.csv", **more: object) -> Arrival:
    path.write_bytes(content)
    described = {
        "local": path,
        "name": name,
        "origin": f"test:{name}",
        "licence": "CC0",
        "source_class": "synthetic",
        "completeness": "complete",
        "period_start": DAY,
        "period_end": DAY,
    }
    return Arrival.model_validate(described | more)


@pytest.fixture
def landing(tmp_path: Path) -> Landing:
    return Landing(tmp_path / "landing")


def test_manifest_says_what_was_received(landing: Landing, tmp_path: Path) -> None:
    content = b"open_time,open\n1,2\n"
    assert landing.land("binance", "klines", "2025-10-10", [arrival(tmp_path / "a", content)]).changed == 1
    (entry,) = landing.files("binance", "klines")
    assert landing.local(entry).read_bytes() == content
    assert (entry.bytes, entry.sha256) == (len(content), hashlib.sha256(content).hexdigest())
    assert (entry.origin, entry.licence) == ("test:a.csv", "CC0")
    assert entry.fetched_at.utcoffset() is not None
    assert landing.verify(entry) is None


def test_same_bytes_again_change_nothing(landing: Landing, tmp_path: Path) -> None:
    landing.land("binance", "klines", "d", [arrival(tmp_path / "a", b"x")])
    before = (landing.root / "binance/klines/d" / MANIFEST).read_bytes()
    assert landing.land("binance", "klines", "d", [arrival(tmp_path / "b", b"x")]).changed == 0
    assert (landing.root / "binance/klines/d" / MANIFEST).read_bytes() == before


def test_republished_file_is_kept_beside_the_first(landing: Landing, tmp_path: Path) -> None:
    for content in (b"first", b"second", b"first"):
        landing.land("binance", "klines", "d", [arrival(tmp_path / "a", content)])
    (head,) = landing.files("binance", "klines")
    assert landing.local(head).read_bytes() == b"first"
    held = sorted(landing.local(entry).read_bytes() for entry in landing.all_files())
    assert held == [b"first", b"first", b"second"]
    assert sum(entry.superseded_by is None for entry in landing.all_files()) == 1


def test_new_description_of_same_bytes_replaces_the_entry(landing: Landing, tmp_path: Path) -> None:
    landing.land("s", "d", "b", [arrival(tmp_path / "a", b"x")])
    landing.land("s", "d", "b", [arrival(tmp_path / "a", b"x", completeness="partial")])
    (entry,) = landing.files("s", "d")
    assert entry.completeness == "partial"
    assert len(landing.all_files()) == 1


@pytest.mark.parametrize("name", ["../x.csv", "a/b.csv", "", "..", MANIFEST, "/etc/passwd"])
def test_name_that_leaves_the_folder_is_refused(landing: Landing, tmp_path: Path, name: str) -> None:
    with pytest.raises(DataError, match="not a plain file name"):
        landing.land("s", "d", "b", [arrival(tmp_path / "a", b"x", name=name)])
    assert landing.all_files() == []


def test_wrong_checksum_is_refused_with_both_sums(landing: Landing, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="its checksum file says dead"):
        landing.land("s", "d", "b", [arrival(tmp_path / "a", b"x", upstream_sha256="dead")])
    assert landing.all_files() == []


def test_changed_or_missing_bytes_are_noticed(landing: Landing, tmp_path: Path) -> None:
    landing.land("s", "d", "b", [arrival(tmp_path / "a", b"x")])
    (entry,) = landing.files("s", "d")
    landing.local(entry).chmod(0o644)
    landing.local(entry).write_bytes(b"y")
    assert "has changed" in (landing.verify(entry) or "")
    landing.local(entry).unlink()
    assert "is missing" in (landing.verify(entry) or "")


def test_only_files_of_the_period_are_named(landing: Landing, tmp_path: Path) -> None:
    for day in (9, 10, 11):
        when = date(2025, 10, day)
        made = arrival(tmp_path / "a", b"%d" % day, name=f"{day}.csv", period_start=when, period_end=when)
        landing.land("s", "d", str(day), [made])
    found = landing.files("s", "d", date(2025, 10, 10), date(2025, 10, 11))
    assert [entry.period_start.day for entry in found] == [10, 11]


def test_broken_manifest_says_what_to_do(landing: Landing, tmp_path: Path) -> None:
    landing.land("s", "d", "b", [arrival(tmp_path / "a", b"x")])
    (landing.root / "s/d/b" / MANIFEST).write_text("[{")
    with pytest.raises(DataError, match="Restore it, or remove its folder"):
        landing.files("s", "d")
