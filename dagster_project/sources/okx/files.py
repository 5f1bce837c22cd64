"""OKX's dated files: ``market-data-history`` says where they are, static.okx.com has them.

Module 2 is one-minute candles, a file a contract and day; module 3 funding, by day one file of all swaps (other families are
given by month alone). A day begins at midnight of UTC+8, 16:00 UTC of the day before, and its file comes two days later.
Documentation: okx.com/docs-v5, "Get historical market data".
"""

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path
from threading import Lock
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from dagster_project.fetch.archive import download
from dagster_project.fetch.client import Client, NotThereError, StoppedError
from dagster_project.fetch.hosts import Host
from dagster_project.fetch.tasks import Piece, Task
from dagster_project.lib.errors import DataError
from dagster_project.sources.feed import Ask
from dagster_project.sources.okx import api
from dagster_project.sources.okx.tasks import chunks

FAMILIES_AT_ONCE = 10
DAYS_AT_ONCE = 10
"""Most families and days of one question; twenty days are documented of late."""

_FILE = re.compile(r".+-(candlesticks|fundingrates)-\d{4}-\d{2}-\d{2}\.zip")
_DAY = slice(-len("YYYY-MM-DD.zip"), -len(".zip"))
_PATH = re.compile(r"(/[A-Za-z0-9_\-][A-Za-z0-9._\-]*)+")


@dataclass
class _Index:
    """Where the files of some families and days are: asked once, by whichever of their tasks comes first.

    Args:
        module: OKX's number of the kind of file.
        families: Instrument families, or ``ANY``.
        days: Days of UTC+8, in order.
    """

    module: str
    families: Sequence[str]
    days: Sequence[date]
    _urls: dict[str, str] | None = None
    _lock: Lock = field(default_factory=Lock)

    def url(self, client: Client, name: str, family: str, day: date) -> str:
        """Where a file is.

        Raises:
            NotThereError: It is not published (yet).
            DataError: The index names files in another way than documented.
        """
        with self._lock:
            if self._urls is None:
                self._urls = self._ask(client, self.families, self.days)
        found = self._urls.get(name)
        if found is None and day.isoformat() < min((one[_DAY] for one in self._urls), default=""):
            # A question that exceeds a limit is answered for its last days alone.
            found = self._ask(client, [family], [day]).get(name)
        if found is None:
            raise NotThereError(f"{name} is not published.")
        return found

    def _ask(self, client: Client, families: Sequence[str], days: Sequence[date]) -> dict[str, str]:
        page = client.get(
            api.RATIOS,
            "/api/v5/public/market-data-history",
            {
                "module": self.module,
                "instType": "SWAP",
                "instFamilyList": ",".join(families),
                "dateAggrType": "daily",
                "begin": _noon_ms(days[0]),
                "end": _noon_ms(days[-1]),
            },
        )
        try:
            entries = [entry for part in api.data(page) for group in part["details"] for entry in group["groupDetails"]]
            urls = {entry["filename"]: entry["url"] for entry in entries}
        except (KeyError, TypeError) as error:
            raise DataError(f"{page.url}: the answer has another shape than documented ({error!r}).") from error
        strange = next((name for name in urls if not _FILE.fullmatch(name)), None)
        if strange is not None:
            raise DataError(f"{page.url}: names a file '{strange}', from which its contract and day cannot be told.")
        return urls


def _noon_ms(day: date) -> int:
    """A time of a day of UTC+8 that lies in the UTC day of the same date too: only the date is looked at."""
    return int(datetime.combine(day, time(4), UTC).timestamp() * 1000)


def path_below(host: Host, url: str) -> tuple[str, dict[str, str]]:
    """Path and query of an address that a venue named, below the base URL of a host.

    Raises:
        StoppedError: It lies elsewhere: no other address is followed, whoever names it.
        DataError: Its path is not plain.
    """
    base, named = urlsplit(host.base()), urlsplit(url)
    is_below = (named.scheme.lower(), named.netloc.lower()) == (base.scheme, base.netloc.lower())
    if not is_below or not named.path.startswith(base.path + "/"):
        raise StoppedError(
            f"OKX names a file at '{url[:200]}', which does not lie below {host.base()}; it is not fetched. If OKX has moved "
            "its files, set DELEVER_URL_OKX_ARCHIVE."
        )
    path = named.path[len(base.path) :]
    if not _PATH.fullmatch(path):
        raise DataError(f"OKX names a file at '{url[:200]}', whose path is not plain; it is not fetched.")
    return path, dict(parse_qsl(named.query))


def candles(ask: Ask) -> Iterable[Task]:
    """One-minute candles of the swaps, a file each contract and day of UTC+8."""
    swaps = {api.family(one): one for one in ask.contracts if one.product == "swap"}
    for days in _day_chunks(ask):
        for families in chunks(list(swaps), FAMILIES_AT_ONCE):
            index = _Index("2", families, days)
            for name in families:
                contract = swaps[name]
                context = api.named(contract) | {"interval_seconds": 60}
                for day in days:
                    # A file lies in two UTC days; what was landed for the one is there for the other.
                    task = f"candles-{contract.venue_symbol}-{day}"
                    file = f"{contract.venue_symbol}-candlesticks-{day}.zip"
                    if task not in ask.landed:
                        yield _task(task, "archive_candles", context, file, (index, name, day))


def funding(ask: Ask) -> Iterable[Task]:
    """Funding of all swaps, a file a day of UTC+8."""
    for days in _day_chunks(ask):
        index = _Index("3", ["ANY"], days)
        for day in days:
            file = f"allswap-fundingrates-{day}.zip"
            if f"funding-{day}" not in ask.landed:
                yield _task(f"funding-{day}", "archive_funding", {"product": "swap"}, file, (index, "ANY", day))


def _day_chunks(ask: Ask) -> Iterator[Sequence[date]]:
    """The days of UTC+8 that the days asked for lie in: the last one ends with the file of the day after."""
    days = [*ask.days, ask.end + timedelta(days=1)]
    for first in range(0, len(days), DAYS_AT_ONCE):
        yield days[first : first + DAYS_AT_ONCE]


def _task(name: str, reader: str, context: dict[str, Any], file: str, place: tuple[_Index, str, date]) -> Task:
    index, family, day = place

    def pieces(client: Client, scratch: Path) -> Iterator[Piece]:
        path, params = path_below(api.ARCHIVE, index.url(client, file, family, day))
        yield download(client, api.ARCHIVE, path, scratch, params=params)

    return Task(
        name=name,
        # From 16:00 UTC of the day before.
        start=day - timedelta(days=1),
        end=day,
        reader=reader,
        context={key: str(value) for key, value in context.items()},
        pieces=pieces,
    )
