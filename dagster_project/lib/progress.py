"""What a run is doing, told to whoever watches: a Dagster logger whose handler passes step events on."""

import logging
from collections.abc import Callable

import dagster as dg

Listener = Callable[[dg.DagsterEvent], None]

_LISTENERS: list[Listener] = []
_WATCHERS: list[Callable[[str], None]] = []


class _Relay(logging.Handler):
    """Pass Dagster's structured events on, and drop its prose: the run's pages keep that."""

    def emit(self, record: logging.LogRecord) -> None:
        meta = getattr(record, "dagster_meta", None) or {}
        event = meta.get("dagster_event")
        if event is not None:
            for listener in _LISTENERS:
                listener(event)


@dg.logger(None, description="Passes step events to the command line's progress display.")
def progress_logger(_: dg.InitLoggerContext) -> logging.Logger:
    """A logger that prints nothing itself."""
    made = logging.Logger("delever.progress")
    made.setLevel(logging.DEBUG)
    made.addHandler(_Relay())
    return made


def note(text: str) -> None:
    """Say how far the step at work has come."""
    for watcher in _WATCHERS:
        watcher(text)


def watch(watcher: Callable[[str], None]) -> Callable[[], None]:
    """Register for notes.

    Returns:
        A function that takes the registration away again.
    """
    _WATCHERS.append(watcher)
    return lambda: _WATCHERS.remove(watcher)


def listen(listener: Listener) -> Callable[[], None]:
    """Register a listener.

    Returns:
        A function that takes it away again.
    """
    _LISTENERS.append(listener)
    return lambda: _LISTENERS.remove(listener)
