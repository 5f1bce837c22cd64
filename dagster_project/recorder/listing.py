"""Which contracts Bybit's stream is asked for, and how they are spread over connections."""

from collections.abc import Callable, Sequence

from dagster_project.fetch.client import Client
from dagster_project.fetch.hosts import Host, Refusal
from dagster_project.lib.errors import DataError, UsageError

# Name and rate of the connector's host, so that both share its count: the venue counts by address.
BYBIT = Host(
    "bybit",
    "https://api.bybit.com",
    ((300, 5.0),),
    lambda page: (
        None
        if isinstance(page, dict) and page.get("retCode") == 0
        else Refusal(
            "retry", f"retCode {page.get('retCode')} {page.get('retMsg')}" if isinstance(page, dict) else "no object"
        )
    ),
)

CATEGORIES = ("linear", "inverse")

ARGS_CHARACTERS = 18_000
"""Topics of one connection, quotes and commas included. The documented limit is 21,000 characters of ``args`` a connection."""

_TOPIC_CHARACTERS = len('"allLiquidation.", ')
_MOST_PAGES = 50


class Listing:
    """Contracts by category, in groups that one connection can subscribe.

    A contract stays in its group for as long as it is listed, so a new listing makes one connection subscribe anew and not all.

    Args:
        symbols: Contracts to listen to; None: all that the venue lists.
        ask: Gives the contracts of a category.
    """

    def __init__(self, symbols: Sequence[str] | None, ask: Callable[[str], list[str]]) -> None:
        self.symbols = None if symbols is None else frozenset(symbols)
        self.chunks: dict[str, list[list[str]]] = {category: [] for category in CATEGORIES}
        self._ask = ask

    def refresh(self) -> None:
        """Ask the venue what it lists.

        Raises:
            UsageError: A contract that was named is not listed.
            DataError: The venue gives no usable list.
        """
        listed = {category: self._ask(category) for category in CATEGORIES}
        if self.symbols is not None:
            missing = self.symbols - {symbol for symbols in listed.values() for symbol in symbols}
            if missing:
                raise UsageError(f"--symbols: Bybit lists no contract {', '.join(sorted(missing))}.")
        for category, found in listed.items():
            wanted = sorted(set(found) if self.symbols is None else self.symbols & set(found))
            self.chunks[category] = spread(self.chunks[category], wanted)


def spread(chunks: Sequence[Sequence[str]], wanted: Sequence[str]) -> list[list[str]]:
    """Put contracts into groups: those that have a group stay there, others go to the first that has room.

    Args:
        chunks: The groups so far.
        wanted: All contracts that are to be in a group.

    Returns:
        The groups; an empty one is kept, so that the others keep their numbers.
    """
    keep = set(wanted)
    made = [[symbol for symbol in chunk if symbol in keep] for chunk in chunks]
    placed = {symbol for chunk in made for symbol in chunk}
    sizes = [sum(_size(symbol) for symbol in chunk) for chunk in made]
    for symbol in wanted:
        if symbol in placed:
            continue
        at = next((at for at, size in enumerate(sizes) if size + _size(symbol) <= ARGS_CHARACTERS), None)
        if at is None:
            made.append([])
            sizes.append(0)
            at = len(made) - 1
        made[at].append(symbol)
        sizes[at] += _size(symbol)
    return [sorted(chunk) for chunk in made]


def bybit_symbols(category: str) -> list[str]:
    """The contracts of a category that trade now (GET /v5/market/instruments-info).

    Raises:
        DataError: No usable answer.
        StoppedError: Bybit refuses this address.
    """
    symbols: list[str] = []
    cursor: str | None = None
    with Client() as client:
        for _ in range(_MOST_PAGES):
            params = {"category": category, "limit": 1000, "cursor": cursor}
            result = client.get(BYBIT, "/v5/market/instruments-info", params).document.get("result")
            page = result.get("list") if isinstance(result, dict) else None
            if not isinstance(page, list):
                raise DataError(f"Bybit's list of {category} contracts has another form than documented.")
            symbols += [
                item["symbol"] for item in page if isinstance(item, dict) and isinstance(item.get("symbol"), str)
            ]
            cursor = result.get("nextPageCursor") or None
            if cursor is None or not page:
                break
    if not symbols:
        raise DataError(f"Bybit lists no {category} contracts.")
    return symbols


def _size(symbol: str) -> int:
    return _TOPIC_CHARACTERS + len(symbol)
