"""Text of files and specs on its way to a person: short, printable, and never obeyed by a terminal."""

from collections.abc import Iterable
from difflib import get_close_matches

_SHOWN = 60


def shown(value: object, limit: int = _SHOWN) -> str:
    """A foreign text as it may be printed: control characters escaped, and cut after ``limit`` characters."""
    text = "".join(sign if sign.isprintable() else repr(sign)[1:-1] for sign in str(value)[: limit + 1])
    return text if len(text) <= limit else text[: limit - 1] + "…"


def quoted(value: object, limit: int = _SHOWN) -> str:
    """``shown`` between quotation marks."""
    return f"'{shown(value, limit)}'"


def listed(values: Iterable[object], limit: int = 12) -> str:
    """Foreign texts one after the other, the first ``limit`` of them."""
    texts = [shown(value) for value in values]
    return ", ".join(texts[:limit]) + (f" and {len(texts) - limit} more" if len(texts) > limit else "")


def nearest(name: str, known: Iterable[str]) -> list[str]:
    """Known names that a mistyped one may stand for, the likeliest first; at most three."""
    folded: dict[str, str] = {}
    for item in known:
        folded.setdefault(_folded(item), item)
    wanted = _folded(name)
    close = get_close_matches(wanted, folded, n=3, cutoff=0.6)
    # `timestamp` for `ts`, `open` for `o`: an abbreviation shares too few letters to count as close.
    close += [item for item in folded if item and wanted and item not in close and _abbreviates(item, wanted)]
    return [folded[item] for item in close[:3]]


def suggestion(name: str, known: Iterable[str]) -> str:
    """`` (did you mean ...?)``, or nothing."""
    found = nearest(name, known)
    return f" (did you mean {' or '.join(quoted(item) for item in found)}?)" if found else ""


def first_line(error: object) -> str:
    """The first line of an error's text, which is the part written for people."""
    return shown(str(error).strip().split("\n", 1)[0], 300)


def _folded(name: str) -> str:
    return "".join(sign for sign in name.casefold() if sign.isalnum())


def _abbreviates(one: str, other: str) -> bool:
    short, long = sorted((one, other), key=len)
    return long.startswith(short) or (len(short) > 1 and short[0] == long[0] and _within(short, long))


def _within(short: str, long: str) -> bool:
    rest = iter(long)
    return all(sign in rest for sign in short)
