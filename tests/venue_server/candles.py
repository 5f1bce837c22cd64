"""Pages of bars as text, cached by stretches of two days, because making a bar costs far more than sending it."""

from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass

from venue_server.contracts import Contract
from venue_server.text import MINUTE
from venue_server.world import CHUNK, Bars, Kind, World

Format = Callable[[Contract, Bars, int, bool], list[str]]
"""Makes each bar's text from (contract, bars, interval in ms, whether the bars are closed)."""
MOST_ROWS = 6_000_000


@dataclass(frozen=True)
class Series:
    """Which bars: of a contract, a kind of price and an interval in ms, and how they are written.

    ``anchor`` shifts the grid: bars open at whole multiples of the interval plus the anchor, in ms.
    """

    contract: Contract
    kind: Kind
    interval: int
    write: Format
    anchor: int = 0

    @property
    def per_chunk(self) -> int:
        """Bars of one stretch."""
        return CHUNK * MINUTE // self.interval


class Pages:
    """Bars of a world as venues write them; closed bars are kept, the open one is made anew."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._chunks: OrderedDict[tuple[Series, int], list[str]] = OrderedDict()
        self._rows = 0

    def page(self, series: Series, span: tuple[int | None, int | None], limit: int, *, newest: bool) -> list[str]:
        """Bars that open within ``span`` (both inclusive), oldest first: at most ``limit``, from the newest end or the oldest."""
        now, contract, interval, anchor = self._world.now, series.contract, series.interval, series.anchor
        low = max(contract.listed, span[0] if span[0] is not None else 0)
        high = min(now, span[1] if span[1] is not None else now, (contract.delisted or now + 1) - 1)
        first = -(-(low - anchor) // interval)
        last = (high - anchor) // interval
        if last < first or limit < 1:
            return []
        if last - first >= limit:
            first, last = (last - limit + 1, last) if newest else (first, first + limit - 1)
        if (last + 1) * interval + anchor <= now:
            return self._closed(series, first, last)
        return self._closed(series, first, last - 1) + self._open(series, last * interval + anchor)

    def _closed(self, series: Series, first: int, last: int) -> list[str]:
        """Bars by number, both ends inclusive."""
        rows: list[str] = []
        while first <= last:
            chunk, offset = divmod(first, series.per_chunk)
            part = self._chunk(series, chunk)[offset : offset + last - first + 1]
            rows = rows + part if rows else part
            first += len(part)
        return rows

    def _chunk(self, series: Series, chunk: int) -> list[str]:
        found = self._chunks.get((series, chunk))
        if found is not None:
            self._chunks.move_to_end((series, chunk))
            return found
        start = chunk * CHUNK * MINUTE + series.anchor
        bars = self._world.bars(series.contract, series.kind, series.interval, start, series.per_chunk)
        rows = series.write(series.contract, bars, series.interval, True)
        self._chunks[series, chunk] = rows
        self._rows += len(rows)
        while self._rows > MOST_ROWS:
            self._rows -= len(self._chunks.popitem(last=False)[1])
        return rows

    def _open(self, series: Series, start: int) -> list[str]:
        """The bar that is not over yet: the minutes that have begun."""
        so_far = ((self._world.now - start) // MINUTE + 1) * MINUTE
        bars = self._world.bars(series.contract, series.kind, so_far, start, 1)
        return series.write(series.contract, bars, series.interval, False)
