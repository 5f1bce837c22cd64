"""One rate limiter per host, shared by all processes of this machine.

Venues count requests per address, so two runs, a schedule and the command line must share one count. It lies in a SQLite file
per host under the user's cache folder (``$DELEVER_LIMITS`` overrides it). ``Retry-After`` of one process holds all of them.
"""

import hashlib
import os
import re
import time
import uuid
from collections.abc import Callable
from pathlib import Path
from threading import Lock

from pyrate_limiter import Duration, Limiter, Rate, SQLiteBucket

from dagster_project.fetch.hosts import Host

_LIMITERS: dict[Path, tuple[Limiter, Lock]] = {}
_MAKING = Lock()


def limits_folder() -> Path:
    """Where the counts of all processes of this user lie."""
    if named := os.environ.get("DELEVER_LIMITS"):
        return Path(named)
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "delever" / "limits"


class HostLimit:
    """The limit of one host.

    Args:
        host: Whose limit.
        sleep: Waits for seconds; tests give their own.
    """

    def __init__(self, host: Host, sleep: Callable[[float], None] = time.sleep) -> None:
        rates = host.limits()
        folder = limits_folder()
        folder.mkdir(parents=True, exist_ok=True)
        # A mirror, or another tier's rate, is another count.
        key = hashlib.sha256(f"{host.base()} {rates}".encode()).hexdigest()[:12]
        name = re.sub(r"[^a-z0-9_]", "_", host.name.lower())
        self._pause = folder / f"{name}-{key}.pause"
        self._largest = min(permits for permits, _ in rates)
        self._limiter, self._turn = _limiter(folder / f"{name}-{key}.sqlite", rates)
        self._sleep = sleep

    def wait(self, weight: int = 1) -> None:
        """Wait until a request of this weight may be sent."""
        while (left := self._paused_until() - time.time()) > 0:
            self._sleep(left)
        # Processes take turns by a file that is looked at every 50 ms; threads of one process are woken at once.
        with self._turn:
            self._limiter.try_acquire("host", weight=min(weight, self._largest))

    def pause(self, seconds: float) -> None:
        """Hold every process's requests to this host for this long."""
        until = max(time.time() + seconds, self._paused_until())
        # Several threads may be refused at once.
        staged = self._pause.with_suffix(f".{uuid.uuid4().hex}.part")
        staged.write_text(f"{until:.3f}")
        staged.replace(self._pause)

    def _paused_until(self) -> float:
        try:
            return float(self._pause.read_text())
        except (FileNotFoundError, ValueError):
            return 0.0


def _limiter(file: Path, rates: tuple[tuple[int, float], ...]) -> tuple[Limiter, Lock]:
    with _MAKING:
        if file not in _LIMITERS:
            bucket = SQLiteBucket.init_from_file(
                [Rate(permits, round(seconds * Duration.SECOND)) for permits, seconds in rates],
                db_path=str(file),
                use_file_lock=True,
            )
            _LIMITERS[file] = Limiter(bucket), Lock()
        return _LIMITERS[file]
