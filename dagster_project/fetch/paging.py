"""Ways in which venues cut a range into pages. Each yields the pages of one range, asks no page twice and always ends.

All times are milliseconds since 1970 and ranges are inclusive at both ends. Rows beyond the range are harmless (raw keeps the
days that were asked for) and repeated rows too (staging keeps one of each natural key); a row lost is not, so edges overlap.
"""

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any

from dagster_project.fetch.client import Page
from dagster_project.lib.errors import DataError

MAX_PAGES = 20_000
"""A range of one contract has far fewer; more means that a venue ignores its paging parameters."""

Rows = Sequence[Any]


def forward(
    ask: Callable[[int, int], Page],
    rows_of: Callable[[Page], Rows],
    time_of: Callable[[Any], int],
    start: int,
    end: int,
) -> Iterator[Page]:
    """Pages from old to new: each request starts at the newest time seen.

    Args:
        ask: Asks for rows from a time to ``end``.
        rows_of: The rows of a page.
        time_of: A row's time.
        start: First time wanted.
        end: Last time wanted.
    """
    cursor = start
    for _ in range(MAX_PAGES):
        page = _not_empty_by_accident(partial(ask, cursor, end), rows_of)
        yield page
        times = _times(page, rows_of, time_of)
        if not times or max(times) >= end:
            return
        if max(times) < cursor:
            raise _stuck(page, f"answers rows before {cursor}, from which it was asked")
        # The newest row again, since several rows may share its time; a page of that row alone is the end.
        following = max(times) if max(times) > cursor else cursor + 1
        if len(set(times)) == 1 and max(times) == cursor:
            return
        cursor = following
    raise DataError("Paging did not end.")


def backward(
    ask: Callable[[int, int], Page],
    rows_of: Callable[[Page], Rows],
    time_of: Callable[[Any], int],
    start: int,
    end: int,
) -> Iterator[Page]:
    """Pages from new to old: each request ends at the oldest time seen.

    Args:
        ask: Asks for the newest rows of ``start`` to a time, both included (an exclusive venue is asked for one more).
        rows_of: The rows of a page.
        time_of: A row's time.
        start: First time wanted.
        end: Last time wanted.
    """
    cursor = end
    for _ in range(MAX_PAGES):
        page = _not_empty_by_accident(partial(ask, start, cursor), rows_of)
        yield page
        times = _times(page, rows_of, time_of)
        if not times or min(times) <= start:
            return
        if min(times) > cursor:
            raise _stuck(page, f"answers rows after {cursor}, to which it was asked")
        if len(set(times)) == 1 and min(times) == cursor:
            return
        cursor = min(times) if min(times) < cursor else cursor - 1
    raise DataError("Paging did not end.")


def windows(
    ask: Callable[[int, int], Page],
    rows_of: Callable[[Page], Rows],
    start: int,
    end: int,
    length: int,
    most: int,
) -> Iterator[Page]:
    """Pages of equal stretches, each too short to fill a page: for venues that cut a longer answer at an end of their choice.

    Args:
        ask: Asks for the rows of a stretch, both ends included.
        rows_of: The rows of a page.
        start: First time wanted.
        end: Last time wanted.
        length: Of a stretch.
        most: Rows that the venue gives at once; a page with so many different ones may lack some, and is refused.
    """
    for first in range(start, end + 1, length):
        page = _not_empty_by_accident(partial(ask, first, min(first + length - 1, end)), rows_of)
        if len({repr(row) for row in _rows(page, rows_of)}) >= most:
            raise DataError(f"{page.url}: {most} rows or more where fewer fit; the page may be cut short.")
        yield page


def by_cursor(
    ask: Callable[[str | None], Page],
    cursor_of: Callable[[Page], str | None],
) -> Iterator[Page]:
    """Pages that name the next one.

    Args:
        ask: Asks for the first page (None) or the one that a cursor names.
        cursor_of: The next cursor; None or empty at the end.
    """
    cursor: str | None = None
    seen: set[str] = set()
    for _ in range(MAX_PAGES):
        (page,) = whole(partial(ask, cursor))
        yield page
        cursor = cursor_of(page)
        if not cursor:
            return
        if cursor in seen:
            raise _stuck(page, "names a next page that was read already")
        seen.add(cursor)
    raise DataError("Paging did not end.")


def by_number(
    ask: Callable[[int], Page],
    rows_of: Callable[[Page], Rows],
    is_last: Callable[[Rows], bool],
    first: int = 1,
) -> Iterator[Page]:
    """Numbered pages, until one is empty or ``is_last`` says that the range is covered."""
    for number in range(first, first + MAX_PAGES):
        page = _not_empty_by_accident(partial(ask, number), rows_of)
        yield page
        rows = rows_of(page)
        try:
            ends = not rows or is_last(rows)
        except (KeyError, IndexError, TypeError, ValueError) as error:
            raise DataError(f"{page.url}: a row has no time where it is documented ({error!r}).") from error
        if ends:
            return
    raise DataError("Paging did not end.")


def whole(ask: Callable[[], Page]) -> Iterator[Page]:
    """An answer that is all there is; an empty one only when it is empty twice."""
    page = ask()
    yield ask() if _is_bare(page.document) else page


def _not_empty_by_accident(ask: Callable[[], Page], rows_of: Callable[[Page], Rows]) -> Page:
    """A page; an empty one only when it is empty twice, since venues under load answer empty lists."""
    page = ask()
    return page if _rows(page, rows_of) else _checked(ask(), rows_of)


def _is_bare(document: Any) -> bool:  # noqa: ANN401 - any JSON
    """There are lists, and nothing in any of them."""
    found = [document]
    lists = 0
    while found:
        value = found.pop()
        if isinstance(value, list):
            if value:
                return False
            lists += 1
        elif isinstance(value, dict):
            found.extend(value.values())
    return lists > 0


def _checked(page: Page, rows_of: Callable[[Page], Rows]) -> Page:
    _rows(page, rows_of)
    return page


def _rows(page: Page, rows_of: Callable[[Page], Rows]) -> Rows:
    try:
        rows = rows_of(page)
    except (KeyError, IndexError, TypeError, AttributeError) as error:
        raise DataError(f"{page.url}: the answer has another shape than documented ({error!r}).") from error
    if not isinstance(rows, list):
        raise DataError(f"{page.url}: {type(rows).__name__} where a list of rows is documented.")
    return rows


def _times(page: Page, rows_of: Callable[[Page], Rows], time_of: Callable[[Any], int]) -> list[int]:
    try:
        return [time_of(row) for row in rows_of(page)]
    except (KeyError, IndexError, TypeError, ValueError) as error:
        raise DataError(f"{page.url}: a row has no time where it is documented ({error!r}).") from error


def _stuck(page: Page, reason: str) -> DataError:
    return DataError(f"{page.url}: paging does not advance, the venue {reason}.")
