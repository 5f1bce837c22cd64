"""The recorder as a process: feeds side by side, stopped by a signal, one per home and feed."""

import asyncio
import fcntl
import os
import signal
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path

from rich.console import Console

from dagster_project.lib.errors import DeleverError, UsageError
from dagster_project.lib.home import Home
from dagster_project.recorder import gaps
from dagster_project.recorder.feed import FeedRecorder
from dagster_project.recorder.listing import bybit_symbols
from dagster_project.recorder.options import Options
from dagster_project.recorder.venues import Binance, Bybit, Okx, Venue

FEEDS = ("binance", "bybit", "okx")


def record(
    home: Home,
    feeds: Sequence[str] = FEEDS,
    symbols: Sequence[str] | None = None,
    *,
    options: Options | None = None,
    console: Console | None = None,
) -> None:
    """Record liquidation streams until SIGTERM or SIGINT, then leave everything received in landing and return.

    Args:
        home: Where to.
        feeds: Some of ``FEEDS``.
        symbols: Contracts to subscribe, for a feed that subscribes contract by contract (Bybit); None: all.
        options: Waits and bounds.
        console: Shows progress: a line that changes on a terminal, otherwise a line about every minute.

    Raises:
        UsageError: Unknown feed or contract, a wrong base URL, or another process records this feed into this home.
        StoppedError: Every feed was refused by its venue in a way that trying again cannot help.
        DeleverError: The disk does not take what is received.
    """
    unknown = sorted(set(feeds) - set(FEEDS))
    if unknown or not feeds:
        raise UsageError(f"--feed: choose of {', '.join(FEEDS)}" + (f", not {', '.join(unknown)}." if unknown else "."))
    if symbols is not None and "bybit" not in feeds:
        raise UsageError("--symbols goes with the feed bybit: the streams of the others always carry all contracts.")
    home.prepare()
    gaps.prepare(home.raw)
    screen = console or Console(stderr=True)
    waits = options or Options()
    chosen = list(dict.fromkeys(feeds))
    with _locks([home.root / "recorder" / feed for feed in chosen]):
        recorders = [FeedRecorder(home, venue_of(feed, symbols), waits, _speaker(screen)) for feed in chosen]
        asyncio.run(_serve(recorders, waits, screen))


def venue_of(feed: str, symbols: Sequence[str] | None) -> Venue:
    """The protocol of a feed."""
    if feed == "bybit":
        return Bybit(symbols, bybit_symbols)
    return Binance() if feed == "binance" else Okx()


async def _serve(recorders: Sequence[FeedRecorder], options: Options, screen: Console) -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        with suppress(
            ValueError, RuntimeError, NotImplementedError
        ):  # not the main thread: the caller stops us otherwise
            loop.add_signal_handler(number, stop.set)
    running: dict[asyncio.Task[None], FeedRecorder] = {}
    for recorder in recorders:
        running[asyncio.create_task(recorder.run())] = recorder
    showing = asyncio.create_task(_show(recorders, options, screen))
    stopping = asyncio.create_task(stop.wait())
    faults: list[DeleverError] = []
    try:
        waiting = set(running)
        while waiting and not stop.is_set():
            await asyncio.wait({*waiting, stopping}, return_when=asyncio.FIRST_COMPLETED)
            for ended in [task for task in waiting if task.done()]:
                waiting.remove(ended)
                faults += _fault(ended, running[ended], screen)
    finally:
        # Before Python 3.12 a wait that ends in the turn of the loop in which it is cancelled can swallow the cancellation
        # (asyncio.wait_for): a recorder then went on for ever. Who has not ended in good time is told again.
        left: set[asyncio.Task[None]] = {*running, showing}
        while left:
            for task in left:
                task.cancel()
            _, left = await asyncio.wait(left, timeout=10)
        stopping.cancel()
        outcomes = await asyncio.gather(*running, showing, stopping, return_exceptions=True)
    for error in outcomes:
        if isinstance(error, Exception) and not isinstance(error, DeleverError):
            raise error
    if faults and not stop.is_set():
        raise faults[0]


def _fault(task: asyncio.Task[None], recorder: FeedRecorder, screen: Console) -> list[DeleverError]:
    """The error that ended a feed. Other feeds go on: a venue's refusal is no reason to miss another's messages."""
    error = task.exception()
    if not isinstance(error, DeleverError):
        if error is not None:
            raise error
        return []
    screen.print(
        f"{recorder.feed} is no longer recorded: {error}", style="red", markup=False, highlight=False, soft_wrap=True
    )
    return [error]


async def _show(recorders: Sequence[FeedRecorder], options: Options, screen: Console) -> None:
    """Keep a line on the terminal up to date, or write one now and then."""
    if not screen.is_terminal:
        while True:
            await asyncio.sleep(options.report_seconds)
            for recorder in recorders:
                _print(screen, recorder.summary())
    with screen.status("connecting") as line:
        while True:
            line.update(" | ".join(recorder.summary() for recorder in recorders))
            await asyncio.sleep(1.0)


def _speaker(screen: Console) -> Callable[[str], None]:
    return lambda text: _print(screen, text)


def _print(screen: Console, text: str) -> None:
    screen.print(f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ} {text}", markup=False, highlight=False, soft_wrap=True)


@contextmanager
def _locks(folders: Sequence[Path]) -> Iterator[None]:
    """Hold the locks of some feeds; the operating system lets go of them however the process ends.

    Raises:
        UsageError: Another process holds one.
    """
    held: list[int] = []
    try:
        for folder in folders:
            folder.mkdir(parents=True, exist_ok=True)
            descriptor = os.open(folder / "lock", os.O_RDWR | os.O_CREAT, 0o644)
            held.append(descriptor)
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError as error:
                owner = os.pread(descriptor, 32, 0).decode("ascii", "replace").strip() or "unknown"
                raise UsageError(
                    f"{folder.name} is already being recorded into this home, by process {owner}. Stop that one first."
                ) from error
            os.ftruncate(descriptor, 0)
            os.pwrite(descriptor, f"{os.getpid()}\n".encode(), 0)
        yield
    finally:
        for descriptor in held:
            os.close(descriptor)
