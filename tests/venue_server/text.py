"""How numbers are written: an integer and its count of decimals become the text a venue would send."""

import json
from datetime import UTC, datetime
from typing import Any

import numpy as np
from numpy.typing import NDArray

MINUTE = 60_000
HOUR = 60 * MINUTE
DAY = 24 * HOUR


def fixed(value: int, decimals: int) -> str:
    """``value`` / 10**``decimals`` with all its decimals: ``fixed(1205, 2)`` is ``12.05``."""
    if decimals <= 0:
        return str(value * 10**-decimals)
    sign = "-" if value < 0 else ""
    whole, part = divmod(abs(value), 10**decimals)
    return f"{sign}{whole}.{part:0{decimals}d}"


def trimmed(value: int, decimals: int) -> str:
    """Like ``fixed``, without trailing zeros: ``trimmed(1200, 2)`` is ``12``."""
    text = fixed(value, decimals)
    return text.rstrip("0").rstrip(".") if "." in text else text


def padded(value: int, decimals: int, width: int) -> str:
    """``value`` / 10**``decimals`` written with ``width`` >= ``decimals`` decimals."""
    return fixed(value * 10 ** (width - decimals), width)


def column(values: NDArray[np.int64], decimals: int) -> list[str]:
    """``fixed`` of every number of an array, several times faster."""
    if decimals <= 0:
        scale = 10**-decimals
        return [str(value * scale) for value in values.tolist()]
    if len(values) and int(values.min()) < 0:
        return [fixed(value, decimals) for value in values.tolist()]
    pattern = f"%d.%0{decimals}d"
    whole, part = np.divmod(values, 10**decimals)
    return [pattern % pair for pair in zip(whole.tolist(), part.tolist(), strict=True)]


def dumps(value: Any) -> bytes:
    """JSON without spaces."""
    return json.dumps(value, separators=(",", ":")).encode()


def iso(ms: int) -> str:
    """A time in ms as ``2026-11-20T00:00:00+00:00``."""
    return datetime.fromtimestamp(ms / 1000, tz=UTC).isoformat()


def day_text(ms: int) -> str:
    """The UTC day of a time in ms as ``2026-11-20``."""
    return iso(ms)[:10]


def at(text: str) -> int:
    """The time of an ISO text in ms since 1970; UTC unless it says otherwise.

    Raises:
        ValueError: Not an ISO time.
    """
    moment = datetime.fromisoformat(text)
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    return round(moment.timestamp() * 1000)
