"""Keys: taken from the environment, added to a request at the moment of sending, and taken out of whatever comes back."""

import os
from collections.abc import Callable

SECRET_VARIABLES = (
    "DELEVER_BINANCE_KEY",
    "DELEVER_BINANCE_SECRET",
    "DELEVER_COINGLASS_KEY",
    "DELEVER_COINALYZE_KEY",
    "DELEVER_TARDIS_KEY",
    "AWS_ACCESS_KEY_ID",
    "AWS_SECRET_ACCESS_KEY",
    "AWS_SESSION_TOKEN",
)
"""Every variable whose value is never to be seen: not in logs, metadata, landing, errors."""

MASK = "***"
SHORTEST = 6
"""A shorter value is no key, and masking it would blot out ordinary text."""

Sign = Callable[[dict[str, str], dict[str, str]], tuple[dict[str, str], dict[str, str]]]


class Secret:
    """Adds a key or a signature to a request's query and headers."""

    def __init__(self, sign: Sign) -> None:
        self._sign = sign

    def __repr__(self) -> str:
        return f"Secret({MASK})"

    def apply(self, query: dict[str, str], headers: dict[str, str]) -> tuple[dict[str, str], dict[str, str]]:
        """Query and headers with the key."""
        return self._sign(dict(query), dict(headers))


def header_secret(header: str, variable: str, *, prefix: str = "") -> Secret | None:
    """A key of the environment as a header, or None where the variable is not set."""
    key = os.environ.get(variable)
    if not key:
        return None
    return Secret(lambda query, headers: (query, headers | {header: prefix + key}))


def redact(text: str) -> str:
    """The text with every key of the environment masked: a venue may echo what it was sent."""
    for value in _values():
        text = text.replace(value, MASK)
    return text


def redact_bytes(body: bytes) -> bytes:
    """As ``redact``, for a body about to be kept."""
    for value in _values():
        body = body.replace(value.encode(), MASK.encode())
    return body


def _values() -> list[str]:
    values = [os.environ.get(name, "") for name in SECRET_VARIABLES]
    return sorted((value for value in values if len(value) >= SHORTEST), key=len, reverse=True)
