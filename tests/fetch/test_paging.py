"""Paging against venues made of a list: whatever the page size, order and edges, every row of the range comes, and it ends."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dagster_project.fetch import paging
from dagster_project.fetch.client import Page
from dagster_project.lib.errors import DataError

TIMES = st.lists(st.integers(0, 400), max_size=60).map(sorted)
SIZES = st.integers(2, 9)


def page(rows: list[int]) -> Page:
    return Page(b"", "http://venue/page", rows)


def rows_of(one: Page) -> list[int]:
    return one.document


class Venue:
    """Rows at times, at most ``size`` a page, both edges included; ``descending`` answers the newest of a range."""

    def __init__(self, times: list[int], size: int, *, descending: bool, newest_first: bool) -> None:
        self.times, self.size, self.descending, self.newest_first = times, size, descending, newest_first
        self.asked = 0

    def ask(self, start: int, end: int) -> Page:
        self.asked += 1
        inside = [time for time in self.times if start <= time <= end]
        chosen = inside[-self.size :] if self.descending else inside[: self.size]
        return page(chosen[::-1] if self.newest_first else chosen)


def crowded(times: list[int], size: int) -> bool:
    """More rows share a time than fit a page: no venue documents how to ask for the rest."""
    return any(times.count(time) >= size for time in times)


@given(times=TIMES, size=SIZES, newest_first=st.booleans(), bounds=st.tuples(st.integers(0, 400), st.integers(0, 400)))
def test_forward_brings_every_row_of_the_range(
    times: list[int], size: int, newest_first: bool, bounds: tuple[int, int]
) -> None:
    start, end = sorted(bounds)
    if crowded(times, size):
        return
    venue = Venue(times, size, descending=False, newest_first=newest_first)
    got = [row for one in paging.forward(venue.ask, rows_of, int, start, end) for row in rows_of(one)]
    assert set(got) == {time for time in times if start <= time <= end}
    assert venue.asked <= 2 * len(times) + 4


@given(times=TIMES, size=SIZES, newest_first=st.booleans(), bounds=st.tuples(st.integers(0, 400), st.integers(0, 400)))
def test_backward_brings_every_row_of_the_range(
    times: list[int], size: int, newest_first: bool, bounds: tuple[int, int]
) -> None:
    start, end = sorted(bounds)
    if crowded(times, size):
        return
    venue = Venue(times, size, descending=True, newest_first=newest_first)
    got = [row for one in paging.backward(venue.ask, rows_of, int, start, end) for row in rows_of(one)]
    assert set(got) == {time for time in times if start <= time <= end}
    assert venue.asked <= 2 * len(times) + 4


def test_no_row_is_lost_where_rows_share_the_time_at_a_page_edge() -> None:
    rows = [(1, "a"), (2, "b"), (2, "c"), (3, "d"), (3, "e"), (4, "f")]

    def ask(start: int, end: int) -> Page:
        inside = [row for row in rows if start <= row[0] <= end]
        return page(inside[:3])  # type: ignore[arg-type]

    got = {row for one in paging.forward(ask, rows_of, lambda row: row[0], 1, 4) for row in rows_of(one)}
    assert got == set(rows)


def test_an_empty_page_is_asked_for_again() -> None:
    answers = iter([[], [1, 2, 3]])
    pages = list(paging.forward(lambda start, end: page(next(answers)), rows_of, int, 0, 3))
    assert [rows_of(one) for one in pages] == [[1, 2, 3]]


def test_a_venue_that_ignores_the_start_is_found_out() -> None:
    with pytest.raises(DataError, match="paging does not advance"):
        list(paging.forward(lambda start, end: page([1, 2]), rows_of, int, 5, 9))


def test_a_venue_that_ignores_the_end_is_found_out() -> None:
    with pytest.raises(DataError, match="paging does not advance"):
        list(paging.backward(lambda start, end: page([8, 9]), rows_of, int, 0, 5))


def test_a_cursor_that_comes_back_is_found_out() -> None:
    with pytest.raises(DataError, match="read already"):
        list(paging.by_cursor(lambda cursor: page([1]), lambda one: "same"))


def test_cursors_are_followed_to_the_end() -> None:
    chain = {None: ([1], "b"), "b": ([2], "c"), "c": ([3], "")}
    pages = paging.by_cursor(lambda cursor: Page(b"", "u", chain[cursor]), lambda one: one.document[1])
    assert [one.document[0] for one in pages] == [[1], [2], [3]]


def test_numbered_pages_end_where_the_range_is_covered() -> None:
    pages = paging.by_number(lambda at: page([10 - at]), rows_of, lambda rows: min(rows) <= 7)
    assert [rows_of(one) for one in pages] == [[9], [8], [7]]


@pytest.mark.parametrize("document", [{"result": None}, 3, None, {"list": []}])
def test_another_shape_than_documented_is_an_error_with_its_address(document: object) -> None:
    with pytest.raises(DataError, match="http://venue/page"):
        list(
            paging.forward(
                lambda start, end: Page(b"", "http://venue/page", document),
                lambda one: one.document["result"]["list"],
                int,
                0,
                9,
            )
        )


def test_a_row_without_a_time_is_an_error_with_its_address() -> None:
    with pytest.raises(DataError, match="http://venue/page"):
        list(paging.forward(lambda start, end: page([{}]), rows_of, lambda row: int(row["ts"]), 0, 9))  # type: ignore[list-item]
