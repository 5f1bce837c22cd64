"""Files of data.binance.vision: a zip of one CSV a contract and day (funding: month), with its sha256 beside it.

Layout: github.com/binance/binance-public-data. Daily files, since monthly ones lack days that daily ones have (its issues 192,
297, 346). Files are asked for one by one, since the archive's listing can be months old.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path
from urllib.parse import quote

from dagster_project.fetch.archive import verified
from dagster_project.fetch.client import Client, NotThereError
from dagster_project.fetch.tasks import Piece, Task
from dagster_project.sources.binance.hosts import ARCHIVE
from dagster_project.sources.binance.rest import ENDPOINTS, context_of, interval_of, pair_of, plain
from dagster_project.sources.feed import Ask, Contract

SETTLED = "SETTLED"
"""Added to a USD-M symbol whose contract was settled and whose name was given to a new one: LUNCUSDTSETTLED, BNXUSDTSETTLED."""

LIQUIDATIONS = (date(2023, 6, 25), date(2024, 10, 14))
"""First and last day of liquidationSnapshot; that of USD-M was deleted (issues 337, 361, 420)."""

LABELS_AT_START = date(2026, 6, 25)
"""From here on USD-M metrics are labelled by the start of the period; the last label of an older day is 00:00 of the next one
(issue 491)."""


@dataclass(frozen=True)
class _File:
    """What tells one file of the archive from another.

    Args:
        kind: Folder: ``klines``, ``metrics``.
        contract: Whose.
        filed_as: The symbol or pair under which it lies.
        span: ``daily`` or ``monthly``.
        stamp: The day or month in its name.
        interval: Of bars.
    """

    kind: str
    contract: Contract
    filed_as: str
    span: str
    stamp: str
    interval: str = ""

    def path(self, suffix: str = "") -> str:
        """Below the host; ``suffix`` is added to the symbol."""
        symbol = quote(self.filed_as + suffix)
        folder = f"/data/futures/{self.contract.product}/{self.span}/{self.kind}/{symbol}/"
        return folder + (f"{self.interval}/" if self.interval else "") + f"{symbol}-{self._what}-{self.stamp}.zip"

    @property
    def name(self) -> str:
        """Of the task, and here of the file: the archive's own name is the same for a contract's trades, mark and index."""
        symbol = plain(self.contract.venue_symbol)
        interval = f"-{self.interval}" if self.interval else ""
        return f"{self.contract.product}-{symbol}-{self.kind}{interval}-{self.stamp}"

    @property
    def _what(self) -> str:
        return self.interval or self.kind


def _task(ask: Ask, file: _File, reader: str, span: tuple[date, date], context: dict[str, str | int]) -> Task:
    known = ask.known_sha256.get(file.name)
    can_be_settled = file.contract.product == "um" and file.contract.is_perpetual

    def pieces(client: Client, scratch: Path) -> Iterator[Piece]:
        try:
            yield from verified(client, ARCHIVE, file.path(), scratch, known, f"{file.name}.zip")
        except NotThereError:
            if not can_be_settled:
                raise
            yield from verified(client, ARCHIVE, file.path(SETTLED), scratch, known, f"{file.name}.zip")

    described = {key: str(value) for key, value in (context_of(file.contract) | context).items()}
    return Task(file.name, *span, reader, described, pieces)


def _days(ask: Ask) -> list[date]:
    """Days that are over; a file comes some hours after its day."""
    return [day for day in ask.days if day < ask.now.date()]


def _bars(kind: str, ask: Ask) -> Iterable[Task]:
    for contract in ask.contracts:
        if kind == "premium" and not contract.is_perpetual:
            continue
        # COIN-M keeps the index under the pair; of USD-M perpetuals the pair is the symbol.
        filed_as = pair_of(contract) if kind == "index" else contract.venue_symbol
        for seconds in ask.intervals:
            interval = interval_of(seconds)
            for day in _days(ask):
                file = _File(ENDPOINTS[kind], contract, filed_as, "daily", f"{day}", interval)
                context: dict[str, str | int] = {"interval_seconds": seconds, "price_kind": kind}
                yield _task(ask, file, "archive_klines", (day, day), context)


def klines(ask: Ask) -> Iterable[Task]:
    """Bars of trades."""
    return _bars("last", ask)


def reference_klines(ask: Ask) -> Iterable[Task]:
    """Bars of mark and index prices."""
    yield from _bars("mark", ask)
    yield from _bars("index", ask)


def premium_klines(ask: Ask) -> Iterable[Task]:
    """Bars of the premium index."""
    return _bars("premium", ask)


def metrics(ask: Ask) -> Iterable[Task]:
    """Open interest and four ratios of longs over shorts, each five minutes."""
    for contract in ask.contracts:
        for day in _days(ask):
            file = _File("metrics", contract, contract.venue_symbol, "daily", f"{day}")
            reaches_over = contract.product == "um" and day < LABELS_AT_START
            end = day + timedelta(days=1) if reaches_over else day
            yield _task(ask, file, "archive_metrics", (day, end), {"period_seconds": 300})


def book_depth(ask: Ask) -> Iterable[Task]:
    """Depth in bands around mid, about every 30 seconds."""
    for contract in ask.contracts:
        for day in _days(ask):
            file = _File("bookDepth", contract, contract.venue_symbol, "daily", f"{day}")
            yield _task(ask, file, "archive_book_depth", (day, day), {})


def funding(ask: Ask) -> Iterable[Task]:
    """Settled rates of the months that the range touches, once they are over."""
    months = sorted({day.replace(day=1) for day in ask.days})
    for contract in ask.contracts:
        if not contract.is_perpetual:
            continue
        for first in months:
            following = (first + timedelta(days=31)).replace(day=1)
            if following <= ask.now.date():
                file = _File("fundingRate", contract, contract.venue_symbol, "monthly", f"{first:%Y-%m}")
                yield _task(ask, file, "archive_funding", (first, following - timedelta(days=1)), {})


def liquidations(ask: Ask) -> Iterable[Task]:
    """COIN-M liquidation orders, of the days for which they are kept."""
    for contract in ask.contracts:
        for day in _days(ask):
            if contract.product == "cm" and LIQUIDATIONS[0] <= day <= LIQUIDATIONS[1]:
                file = _File("liquidationSnapshot", contract, contract.venue_symbol, "daily", f"{day}")
                yield _task(ask, file, "archive_liquidations", (day, day), {})
