"""Names of periods: ``1m``, ``4h``, ``1D``, ``60``."""

import re
from typing import Literal

Numbers = Literal["seconds", "minutes"]

_SECONDS = {
    "s": 1,
    "sec": 1,
    "second": 1,
    "seconds": 1,
    "m": 60,
    "min": 60,
    "minute": 60,
    "minutes": 60,
    "h": 3600,
    "hr": 3600,
    "hour": 3600,
    "hours": 3600,
    "d": 86_400,
    "day": 86_400,
    "days": 86_400,
    "w": 604_800,
    "week": 604_800,
    "weeks": 604_800,
}
"""Case does not matter, but for ``M``: venues write a month so, and a month has no fixed length."""

_FORM = re.compile(r"([0-9]{0,9}) ?([A-Za-z]{0,8})")
_PLAIN = {"seconds": 1, "minutes": 60}


def seconds_of(text: str, numbers: Numbers = "seconds") -> int | None:
    """Length of a named period in seconds.

    Args:
        text: A number with a unit, either of them alone, e.g. ``4h``, ``D``, ``60``.
        numbers: What a number without unit counts.

    Returns:
        Seconds; None where the text names no fixed period.
    """
    found = _FORM.fullmatch(text.strip())
    if found is None or not text.strip() or found[2] == "M":
        return None
    unit = _SECONDS.get(found[2].lower()) if found[2] else _PLAIN[numbers]
    seconds = int(found[1] or 1) * unit if unit else 0
    return seconds or None


def seconds_sql(text: str, numbers: Numbers) -> str:
    """``seconds_of`` as SQL of a text expression."""
    form = "'^([0-9]{0,9}) ?([A-Za-z]{0,8})$'"
    number, unit = (f"regexp_extract(trim({text}), {form}, {group})" for group in (1, 2))
    lengths = " ".join(f"WHEN '{name}' THEN {length}" for name, length in _SECONDS.items())
    length = f"CASE lower({unit}) WHEN '' THEN {_PLAIN[numbers]} {lengths} END"
    named = f"{unit} <> 'M' AND {number} || {unit} <> ''"
    count = f"TRY_CAST(CASE {number} WHEN '' THEN '1' ELSE {number} END AS BIGINT)"
    return f"CASE WHEN {named} THEN nullif({count} * {length}, 0) END"
