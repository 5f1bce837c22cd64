"""What is wrong with an input, said once for all inputs, and the errors that carry it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from dagster_project.lib.errors import DeleverError, UsageError

_SCREEN_LINES = 36
_CELL = 160


def printable(text: object, limit: int = _CELL) -> str:
    """Return `text` on one line without control characters, cut to `limit` characters.

    Names in a book or a scenario are foreign text: shown raw they could move a terminal's cursor.
    """
    line = "".join(char if char.isprintable() else "?" for char in str(text))
    return line if len(line) <= limit else line[: limit - 3] + "..."


@dataclass(frozen=True)
class Fault:
    """One broken rule of an input.

    Attributes:
        where: the book table or the file, for example ``position`` or ``scenario smallest.yaml``.
        place: the key, column or dotted scenario key; for many rows the first few of them.
        rule: what must hold and does not.
        remedy: what the user can do about it.
        count: rows that break the rule.
    """

    where: str
    place: str
    rule: str
    remedy: str
    count: int = 1

    def __str__(self) -> str:
        """Return the fault as one line."""
        many = f" ({self.count} rows)" if self.count > 1 else ""
        place = f" [{printable(self.place)}]" if self.place else ""
        return f"{printable(self.where)}{place}: {printable(self.rule, 300)}{many}; {printable(self.remedy, 300)}"


class ReplayError(DeleverError):
    """Any failure of a replay that the user should read, without a traceback."""


class ReplayInputError(ReplayError):
    """The book, the scenario or the output folder is refused; nothing ran or was written.

    Attributes:
        faults: every fault found, in the order of the files.
    """

    exit_code = UsageError.exit_code
    heading = "The replay refuses its input"

    def __init__(self, faults: Sequence[Fault]) -> None:
        self.faults: list[Fault] = list(faults)
        super().__init__(self.__str__())

    def __str__(self) -> str:
        """Return all faults on one screen (the list stays whole in `faults`)."""
        total = len(self.faults)
        lines = [f"{self.heading}: {total} fault{'s' if total != 1 else ''}. Nothing was written."]
        lines += [f"  {fault}" for fault in self.faults[:_SCREEN_LINES]]
        if total > _SCREEN_LINES:
            lines.append(f"  ... and {total - _SCREEN_LINES} more faults")
        return "\n".join(lines)


class ReplayInvariantError(ReplayError):
    """A conservation law of the replay does not hold: a defect of the engine, not of the input; nothing was written.

    Attributes:
        residuals: invariant name to residual (integer; micro-USD, lots or a count), 0 where it holds.
    """

    def __init__(self, residuals: Mapping[str, int]) -> None:
        self.residuals: dict[str, int] = dict(residuals)
        broken = ", ".join(f"{name} = {value}" for name, value in self.residuals.items() if value)
        super().__init__(
            f"The replay broke an invariant ({broken}; 0 is required). Nothing was written. "
            "This is a defect of the engine: keep the book and the scenario and report them."
        )


class ReplayOutputError(ReplayError):
    """The results could not be written to the output folder."""
