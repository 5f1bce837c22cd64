"""Names of files that say something: ``{venue_symbol}-{interval}-{date}.csv``.

A template is literal text and placeholders, never a regular expression: whoever wrote the spec may be a stranger, and a
regular expression from a stranger can be made to run for years.
"""

import re
from dataclasses import dataclass
from functools import cache

from dagster_project.lib.errors import DataError
from dagster_project.sources.files.intervals import seconds_of
from dagster_project.sources.files.text import quoted

MAX_PLACEHOLDERS = 12
MAX_NAME = 1024
IGNORED = "_"
"""``{_}`` stands for text that is of no interest."""

_PLACEHOLDER = re.compile(r"\{([a-z_][a-z0-9_]{0,63})\}")
_DATE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}|[0-9]{8}")


@dataclass(frozen=True)
class Template:
    """A parsed template: literal texts (str) and placeholders (tuples of one name), in order."""

    parts: tuple[str | tuple[str], ...]

    @property
    def names(self) -> tuple[str, ...]:
        """Placeholders, without those that are ignored."""
        return tuple(part[0] for part in self.parts if isinstance(part, tuple) and part[0] != IGNORED)

    def match(self, path: str) -> dict[str, str] | None:
        """What a file's name says.

        Args:
            path: With forward slashes. As many of its last parts are compared as the template has.

        Returns:
            Text of each placeholder; None where the name is of another form.

        Raises:
            DataError: The name fits in more than one way.
        """
        depth = 1 + sum(part.count("/") for part in self.parts if isinstance(part, str))
        name = "/".join(path.split("/")[-depth:])
        if len(name) > MAX_NAME:
            return None
        ways = _ways(self.parts, name)
        if len(ways) > 1:
            first, second = (", ".join(f"{key} {quoted(value)}" for key, value in way) for way in ways[:2])
            raise DataError(
                f"the name {quoted(name)} fits 'filename' in more than one way ({first}; or {second}): make the literal text "
                "between the placeholders longer"
            )
        return dict(ways[0]) if ways else None


def parse(text: str) -> Template:
    """Read a template.

    Raises:
        ValueError: Braces that are no placeholder, a name twice, placeholders without text between them, or too many.
    """
    pieces = _PLACEHOLDER.split(text)
    parts: list[str | tuple[str]] = []
    for number, piece in enumerate(pieces):
        if number % 2:
            parts.append((piece,))
        elif piece:
            if "{" in piece or "}" in piece:
                raise ValueError("a placeholder is written {name}: lower case letters, digits and _")
            parts.append(piece)
        elif 0 < number < len(pieces) - 1:
            raise ValueError("between two placeholders there must be text that tells where one ends")
    template = Template(tuple(parts))
    if len(template.names) != len(set(template.names)):
        raise ValueError("a placeholder occurs twice")
    if not 0 < len(pieces) // 2 <= MAX_PLACEHOLDERS:
        raise ValueError(f"give one to {MAX_PLACEHOLDERS} placeholders")
    return template


Way = tuple[tuple[str, str], ...]


def _ways(parts: tuple[str | tuple[str], ...], name: str) -> list[Way]:
    """The first two different ways in which a name fits; the memory makes the search quadratic, whatever the template."""

    @cache
    def rest(index: int, at: int) -> tuple[Way, ...]:
        if index == len(parts):
            return ((),) if at == len(name) else ()
        part = parts[index]
        if isinstance(part, str):
            return rest(index + 1, at + len(part)) if name.startswith(part, at) else ()
        found: dict[Way, None] = {}
        for end in range(at + 1, len(name) + 1):
            if name[end - 1] == "/":
                break
            if not _may_be(part[0], name[at:end]):
                continue
            for way in rest(index + 1, end):
                found[way if part[0] == IGNORED else ((part[0], name[at:end]), *way)] = None
            if len(found) > 1:
                break
        return tuple(found)[:2]

    return list(rest(0, 0))


def _may_be(placeholder: str, text: str) -> bool:
    if placeholder == "date":
        return _DATE.fullmatch(text) is not None
    if placeholder == "interval":
        # A bare number in a name is more often a year or a count.
        return len(text) <= 16 and not text.isdigit() and seconds_of(text) is not None
    return True
