"""Tasks: the units in which bytes are fetched and landed.

A task is landed whole or not at all, so a killed run goes on where it
was.
"""

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from datetime import date
from itertools import islice
from pathlib import Path

from dagster_project.fetch.client import Client, NotThereError, StoppedError
from dagster_project.fetch.secrets import redact
from dagster_project.lib.errors import DataError
from dagster_project.lib.home import Home
from dagster_project.lib.landing import Arrival, Landing, remove_tree

WORKERS = 4
"""Requests under way at once to one host: enough to hide its latency, few enough to be polite."""

LAND_EVERY_TASKS = 50
LAND_EVERY_SECONDS = 2.0
"""Finished tasks are landed in groups, since each group writes its batch's manifest anew."""


@dataclass(frozen=True)
class Piece:
    """One file of a task, as received.

    Args:
        name: File name in the batch.
        origin: Where it came from, without secrets.
        body: The bytes, or None when ``file`` has them.
        file: A finished download.
        upstream_sha256: As the origin states it.
    """

    name: str
    origin: str
    body: bytes | None = None
    file: Path | None = None
    upstream_sha256: str | None = None


@dataclass(frozen=True)
class Task:
    """What one worker fetches at a time: the pages of a contract's range, or a file.

    Args:
        name: Unique in the batch; the same question has the same name in every run.
        start: First UTC day that rows in it can have.
        end: Last such day.
        reader: Which of the feed's readers understands its files.
        context: What the files do not say of themselves (product, venue_symbol, interval_seconds, ...).
        pieces: Fetches. ``scratch`` is a folder of the task's own that stays when it is interrupted.
        is_final: What is fetched now will not change: it is not asked for again.
    """

    name: str
    start: date
    end: date
    reader: str
    context: dict[str, str]
    pieces: Callable[[Client, Path], Iterator[Piece]]
    is_final: bool = True


@dataclass(frozen=True)
class Terms:
    """What is known of all files of a feed.

    Args:
        source: First folder in landing: the feed.
        dataset: Second folder: the entity.
        batch: Third folder.
        licence: Under which the origin gives its data.
        completeness: As in ``schemas.raw.COMPLETENESS``.
        source_class: As in ``schemas.raw.SOURCE_CLASSES``.
    """

    source: str
    dataset: str
    batch: str
    licence: str
    completeness: str = "complete"
    source_class: str = "measured"


@dataclass
class Fetched:
    """What a run of tasks came to."""

    tasks: int = 0
    skipped: int = 0
    files: int = 0
    changed: int = 0
    bytes: int = 0
    republished: list[str] = field(default_factory=list)
    missing: list[str] = field(default_factory=list)


Progress = Callable[[int, int, int], None]
"""Told tasks done, tasks in all, and bytes so far."""


@dataclass
class _Lander:
    """Lands finished tasks in groups."""

    home: Home
    terms: Terms
    scratch: Path
    done: Fetched
    waiting: list[tuple[Task, list[Piece]]] = field(default_factory=list)
    landed_at: float = field(default_factory=time.monotonic)

    @property
    def is_due(self) -> bool:
        return len(self.waiting) >= LAND_EVERY_TASKS or time.monotonic() - self.landed_at > LAND_EVERY_SECONDS

    def land(self) -> None:
        terms, done = self.terms, self.done
        if self.waiting:
            arrivals = [_arrival(terms, task, piece, self.scratch) for task, pieces in self.waiting for piece in pieces]
            done.files += len(arrivals)
            done.bytes += sum(arrival.local.stat().st_size for arrival in arrivals)
            report = Landing(self.home.landing).land(terms.source, terms.dataset, terms.batch, arrivals, move=True)
            done.changed += report.changed
            done.republished += report.superseded
            for task, _ in self.waiting:
                remove_tree(self.scratch / task.name)
        self.waiting.clear()
        self.landed_at = time.monotonic()


def fetch(
    home: Home,
    terms: Terms,
    tasks: Iterable[Task],
    client: Client,
    progress: Progress | None = None,
    *,
    again: bool = False,
) -> Fetched:
    """Fetch and land tasks, several at a time.

    Args:
        home: Where landing is.
        terms: Common to the files.
        tasks: What to fetch.
        client: For requests.
        progress: Told now and then.
        again: Ask also for what has landed and is final.

    Returns:
        Counts.

    Raises:
        StoppedError: The venue refused; what came before is landed.
        DataError: Tasks that got no usable answer, each with its reason; all others are landed.
    """
    asked = list(tasks)
    known = set() if again else Landing(home.landing).final_tasks(terms.source, terms.dataset, terms.batch)
    todo = [task for task in asked if task.name not in known]
    done = Fetched(tasks=len(asked), skipped=len(asked) - len(todo))
    lander = _Lander(home, terms, home.scratch / f"fetch-{terms.source}-{terms.dataset}-{terms.batch}", done)
    faults: list[str] = []
    try:
        for count, (task, outcome) in enumerate(_in_parallel(client, todo, lander.scratch), start=1):
            if isinstance(outcome, NotThereError):
                done.missing.append(task.name)
            elif isinstance(outcome, DataError):
                faults.append(redact(f"  {task.name}: {outcome}"))
            else:
                lander.waiting.append((task, outcome))
            if lander.is_due:
                lander.land()
                _tell(progress, done.skipped + count, len(asked), done.bytes)
    finally:
        lander.land()
        _remove_empty(lander.scratch)
    _tell(progress, len(asked) - len(faults), len(asked), done.bytes)
    if faults:
        shown = "\n".join(faults[:12]) + (f"\n  ... and {len(faults) - 12} more" if len(faults) > 12 else "")
        raise DataError(
            f"{terms.source} {terms.dataset}: {len(faults)} of {len(asked)} pieces could not be fetched; the others have "
            f"landed. Run it again to fetch these alone:\n{shown}"
        )
    return done


def _tell(progress: Progress | None, done: int, total: int, size: int) -> None:
    if progress is not None:
        progress(done, total, size)


def _in_parallel(
    client: Client, tasks: Sequence[Task], scratch: Path
) -> Iterator[tuple[Task, list[Piece] | DataError | NotThereError]]:
    """Outcomes as they come; a few tasks at a time, so that memory does not grow with the list.

    Raises:
        StoppedError: A task was refused; those under way are waited for and their outcomes given first.
    """
    remaining = iter(tasks)
    stopped: StoppedError | None = None
    with ThreadPoolExecutor(WORKERS, thread_name_prefix="fetch") as pool:

        def submit(task: Task) -> Future[list[Piece]]:
            return pool.submit(_run, client, task, scratch)

        under_way = {submit(task): task for task in islice(remaining, 2 * WORKERS)}
        while under_way:
            finished, _ = wait(under_way, return_when=FIRST_COMPLETED)
            for future in finished:
                task = under_way.pop(future)
                try:
                    yield task, future.result()
                except StoppedError as error:
                    stopped = stopped or error
                except (DataError, NotThereError) as error:
                    yield task, error
                if stopped is None:
                    under_way |= {submit(following): following for following in islice(remaining, 1)}
    if stopped is not None:
        raise StoppedError(redact(str(stopped)))


def _run(client: Client, task: Task, scratch: Path) -> list[Piece]:
    folder = scratch / task.name
    folder.mkdir(parents=True, exist_ok=True)
    pieces = []
    for piece in task.pieces(client, folder):
        if piece.body is not None:
            # On disk at once: pages of a long task are not held in memory.
            (folder / piece.name).write_bytes(piece.body)
            pieces.append(Piece(piece.name, piece.origin, None, folder / piece.name, piece.upstream_sha256))
        else:
            pieces.append(piece)
    return pieces


def _arrival(terms: Terms, task: Task, piece: Piece, scratch: Path) -> Arrival:
    return Arrival(
        local=piece.file or scratch / task.name / piece.name,
        name=piece.name,
        origin=piece.origin,
        licence=terms.licence,
        source_class=terms.source_class,
        completeness=terms.completeness,
        period_start=task.start,
        period_end=task.end,
        upstream_sha256=piece.upstream_sha256,
        reader=task.reader,
        context=task.context,
        task=task.name,
        is_final=task.is_final,
    )


def _remove_empty(scratch: Path) -> None:
    """Leave only what an interrupted download can go on from."""
    if scratch.is_dir() and not any(path.name.endswith(".partial") for path in scratch.rglob("*")):
        remove_tree(scratch)
