"""What OKX's endpoints have in common: hosts and their limits, errors, bar names, and paging from new to old."""

from collections.abc import Callable, Iterator
from typing import Any

from dagster_project.fetch import paging
from dagster_project.fetch.client import Client, Page
from dagster_project.fetch.hosts import Host, Refusal
from dagster_project.lib.errors import UsageError
from dagster_project.sources.feed import Contract

NAME = "okx"
PRODUCTS = {"swap": "SWAP", "futures": "FUTURES"}
"""Our names of OKX's instrument types."""
LICENCE = "OKX terms of service: non-commercial use, no redistribution"

_RATE_CODES = {"50011", "50040", "50061"}
_PASSING_CODES = {"50001", "50004", "50013", "50026"}
"""Service unavailable, endpoint timed out, busy, system error."""
_ABSENT_CODES = {"51001"}
"""No such instrument (any more)."""


def refusal(document: Any) -> Refusal | None:  # noqa: ANN401 - any JSON
    """The error in an answer, if it is one."""
    if not isinstance(document, dict):
        return Refusal("retry", "answered no object")
    code = str(document.get("code"))
    if code == "0":
        return None
    text = f"answered code {code}: {document.get('msg')}"
    if code in _RATE_CODES:
        return Refusal("rate", text)
    if code in _ABSENT_CODES:
        return Refusal("absent", text)
    return Refusal("retry" if code in _PASSING_CODES or code == "None" else "stop", text)


def _host(name: str, seconds: float) -> Host:
    return Host(name, "https://www.okx.com", ((1, seconds),), refusal, shared=NAME)


# Each endpoint has a limit of its own. These take four fifths of it, evenly: bursts run together on their way, and a second
# client of this address has to live too. Where a limit is counted per instrument, the address's count is kept all the same: one
# task asks for one instrument's pages, one after another.
REST = _host("okx", 0.125)
"""Documented 20 requests in 2 s: instruments, tickers, open interest; 40 for order books."""
CANDLES = _host("okx_candles", 0.125)
"""Documented 20 requests in 2 s: candles of traded and mark prices."""
HISTORY = _host("okx_history", 0.25)
"""Documented 10 requests in 2 s: index candles, funding, open interest history, position tiers, insurance fund."""
RATIOS = _host("okx_ratios", 0.5)
"""Documented 5 requests in 2 s: long/short ratios, and the index of the files."""
ARCHIVE = Host("okx_archive", "https://static.okx.com", ((10, 1.0),))

_BARS = {60: "1m", 180: "3m", 300: "5m", 900: "15m", 1800: "30m", 3600: "1H", 7200: "2H", 14400: "4H"}
# Without "utc", bars from six hours on begin by the clock of Hong Kong.
_LONG_BARS = {21600: "6Hutc", 43200: "12Hutc", 86400: "1Dutc"}
BARS = _BARS | _LONG_BARS
PERIODS = {seconds: name for seconds, name in BARS.items() if seconds >= 300}
"""Of the statistics."""


def bar_name(seconds: int) -> str:
    """OKX's name of a bar's length.

    Raises:
        UsageError: It has none.
    """
    if seconds not in BARS:
        raise UsageError(f"OKX has no bars of {seconds} s; it has {', '.join(str(one) for one in BARS)}.")
    return BARS[seconds]


def family(contract: Contract) -> str:
    """Instrument family: the contract's name without its last part (``BTC-USDT`` of ``BTC-USDT-SWAP``)."""
    return contract.venue_symbol.rpartition("-")[0]


def index_name(contract: Contract) -> str:
    """Name of the index that the contract is on, in which ``BTC-USD_UM-SWAP`` shares with ``BTC-USD-SWAP``."""
    return f"{contract.base_code}-{contract.quote_code}"


def named(contract: Contract) -> dict[str, str | int]:
    """Context of a file of one contract."""
    return {"product": contract.product, "venue_symbol": contract.venue_symbol}


def data(page: Page) -> list[Any]:
    """The rows of an answer."""
    rows: list[Any] = page.document["data"]
    return rows


def details(page: Page) -> list[Any]:
    """The rows of an answer whose items hold a list each."""
    return [row for item in data(page) for row in item["details"]]


def backward(  # noqa: PLR0913 - whom, what, and how its pages are cut
    host: Host,
    path: str,
    params: dict[str, Any],
    span: tuple[int, int],
    time_of: Callable[[Any], int],
    *,
    rows_of: Callable[[Page], list[Any]] = data,
    edge: str = "after",
) -> Callable[[Client], Iterator[Page]]:
    """Pages from new to old, each cut at one edge alone: what OKX answers to both edges at once is not documented.

    Args:
        host: Whom to ask.
        path: Endpoint.
        params: Query without the edge.
        span: First and last time wanted, in milliseconds.
        time_of: A row's time.
        rows_of: A page's rows.
        edge: Name of the parameter that asks for rows strictly older.
    """
    start, end = span

    def pages(client: Client) -> Iterator[Page]:
        def ask(_: int, last: int) -> Page:
            return client.get(host, path, params | {edge: last + 1})

        return paging.backward(ask, rows_of, time_of, start, end)

    return pages
