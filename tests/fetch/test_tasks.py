"""Tasks land whole or not at all, are not asked twice, and one that fails takes no other with it."""

from collections.abc import Iterator
from datetime import date
from pathlib import Path

import pytest

from dagster_project.fetch.client import Client, NotThereError, StoppedError
from dagster_project.fetch.tasks import Piece, Task, Terms, fetch
from dagster_project.lib.errors import DataError
from dagster_project.lib.home import Home
from dagster_project.lib.landing import Landing

DAY = date(2026, 11, 10)
TERMS = Terms("venue", "klines", "2026-11-10_2026-11-10", "terms of the venue")


class Work:
    """Tasks of two pages each; counts who was asked."""

    def __init__(self, **faults: Exception) -> None:
        self.asked: list[str] = []
        self.faults = faults

    def task(self, name: str, *, is_final: bool = True) -> Task:
        def pieces(client: Client, scratch: Path) -> Iterator[Piece]:
            del client, scratch
            self.asked.append(name)
            yield Piece(f"{name}-1.json", "https://venue/1", b"[1]")
            if name in self.faults:
                raise self.faults[name]
            yield Piece(f"{name}-2.json", "https://venue/2", b"[2]")

        return Task(name, DAY, DAY, "klines", {"venue_symbol": name}, pieces, is_final)

    def tasks(self, count: int) -> list[Task]:
        return [self.task(f"t{number}") for number in range(count)]


@pytest.fixture
def client() -> Iterator[Client]:
    with Client() as made:
        yield made


def landed(home: Home) -> set[str]:
    return {Path(entry.path).name for entry in Landing(home.landing).files("venue", "klines")}


def test_everything_is_landed_with_what_is_known_of_it(home: Home, client: Client) -> None:
    done = fetch(home, TERMS, Work().tasks(120), client)
    assert (done.tasks, done.skipped, done.files, done.changed) == (120, 0, 240, 240)
    entries = Landing(home.landing).files("venue", "klines")
    assert len(entries) == 240
    one = next(entry for entry in entries if entry.path.endswith("t7-1.json"))
    assert (one.reader, one.context, one.task, one.origin) == (
        "klines",
        {"venue_symbol": "t7"},
        "t7",
        "https://venue/1",
    )
    assert list(home.scratch.glob("fetch-*")) == []


def test_what_has_landed_is_not_asked_for_again(home: Home, client: Client) -> None:
    fetch(home, TERMS, Work().tasks(5), client)
    work = Work()
    done = fetch(home, TERMS, work.tasks(8), client)
    assert (done.skipped, sorted(work.asked)) == (5, ["t5", "t6", "t7"])


def test_what_could_still_change_is_asked_for_again(home: Home, client: Client) -> None:
    work = Work()
    for _ in range(2):
        fetch(home, TERMS, [work.task("open", is_final=False)], client)
    assert work.asked == ["open", "open"]


def test_a_task_that_fails_leaves_nothing_and_takes_no_other_with_it(home: Home, client: Client) -> None:
    work = Work(t2=DataError("https://venue/2: no usable answer"))
    with pytest.raises(DataError, match=r"1 of 6 pieces(.|\n)*t2: https://venue/2: no usable answer"):
        fetch(home, TERMS, work.tasks(6), client)
    assert landed(home) == {f"t{number}-{page}.json" for number in (0, 1, 3, 4, 5) for page in (1, 2)}
    again = Work()
    fetch(home, TERMS, again.tasks(6), client)
    assert again.asked == ["t2"]


def test_what_is_not_published_is_listed(home: Home, client: Client) -> None:
    done = fetch(home, TERMS, Work(t1=NotThereError("404")).tasks(3), client)
    assert done.missing == ["t1"]
    assert "t1-1.json" not in landed(home)


def test_a_stop_ends_the_run_and_keeps_what_came_before(home: Home, client: Client) -> None:
    work = Work(t3=StoppedError("https://venue: HTTP 418, banned"))
    with pytest.raises(StoppedError, match="418"):
        fetch(home, TERMS, work.tasks(500), client)
    assert len(work.asked) < 40
    done = len(landed(home)) // 2
    assert 0 < done < 40
    again = Work()
    fetch(home, TERMS, again.tasks(500), client)
    assert len(again.asked) == 500 - done


def test_a_republished_file_is_reported_and_the_old_one_kept(home: Home, client: Client) -> None:
    fetch(home, TERMS, Work().tasks(1), client)

    def pieces(client: Client, scratch: Path) -> Iterator[Piece]:
        del client, scratch
        yield Piece("t0-1.json", "https://venue/1", b"[9]")

    changed = Task("t0", DAY, DAY, "klines", {"venue_symbol": "t0"}, pieces)
    done = fetch(home, TERMS, [changed], client, again=True)
    assert [Path(path).name for path in done.republished] == ["t0-1.json"]
    bodies = {path.read_bytes() for path in (home.landing / "venue" / "klines").rglob("t0-1*.json")}
    assert bodies == {b"[1]", b"[9]"}


def test_a_key_in_a_failure_is_masked(home: Home, client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DELEVER_COINGLASS_KEY", "very-secret-key")
    work = Work(t0=DataError("the venue says: key very-secret-key is unknown"))
    with pytest.raises(DataError) as caught:
        fetch(home, TERMS, work.tasks(1), client)
    assert "very-secret-key" not in str(caught.value)
    assert "***" in str(caught.value)
