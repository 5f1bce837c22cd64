"""Hosts that answer: their base URL, their limits, and what in a body of theirs is an error."""

import os
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal
from urllib.parse import urlsplit

from dagster_project.lib.errors import UsageError

LOOPBACK = {"127.0.0.1", "localhost", "::1"}


@dataclass(frozen=True)
class Refusal:
    """An error that a venue wrote into a body, whatever the HTTP status was.

    Args:
        kind: ``rate`` waits and asks again; ``retry`` asks again; ``stop`` ends with the venue's words; ``absent`` passes over
            what was asked for, as an address that is not there: a contract that is gone must not end the others.
        text: The venue's code and words.
    """

    kind: Literal["rate", "retry", "stop", "absent"]
    text: str


def accept_all(document: Any) -> Refusal | None:  # noqa: ANN401 - any JSON
    """For venues that say by the HTTP status alone whether they answered."""
    del document
    return None


@dataclass(frozen=True)
class Host:
    """One host of a venue.

    Args:
        name: Key of the environment's overrides: ``DELEVER_URL_<NAME>`` (mirror, test) and ``DELEVER_RATE_<NAME>``.
        url: Base URL of the live host.
        rates: Permits per seconds, as the venue documents; a request takes as many permits as its weight.
        refusal: Finds the venue's own error in a JSON body.
        shared: Key of overrides that this host has in common with others: where a venue limits its endpoints one by one, each
            limit is a host of its own, and one ``DELEVER_URL_<SHARED>`` moves them all.
    """

    name: str
    url: str
    rates: tuple[tuple[int, float], ...]
    refusal: Callable[[Any], Refusal | None] = accept_all
    shared: str = ""

    def base(self) -> str:
        """The base URL in force, without a slash at its end.

        Raises:
            UsageError: The override is no https URL (plain http is for this machine only), or carries a password.
        """
        variable = f"DELEVER_URL_{(self.shared or self.name).upper()}"
        url = (os.environ.get(variable) or self.url).rstrip("/")
        parts = urlsplit(url)
        plain_and_local = parts.scheme in {"http", "ws"} and parts.hostname in LOOPBACK
        if parts.scheme not in {"https", "wss"} and not plain_and_local:
            raise UsageError(
                f"{variable}: give an https URL (http only for this machine), not one of '{parts.scheme}'."
            )
        if parts.username or parts.password or parts.query or parts.fragment:
            raise UsageError(f"{variable}: give scheme, host and path alone; keys have variables of their own.")
        return url

    def limits(self) -> tuple[tuple[int, float], ...]:
        """The rates in force: ``DELEVER_RATE_<NAME>=permits/seconds`` replaces the documented ones.

        One given for ``shared`` is meant for the host as a whole: it can make a limit of its own stricter, not looser, unless
        the address is on this machine.

        Raises:
            UsageError: The override is not written like that.
        """
        variables = [f"DELEVER_RATE_{name.upper()}" for name in (self.name, self.shared) if name]
        variable = next((one for one in variables if os.environ.get(one)), variables[0])
        text = os.environ.get(variable)
        if not text:
            return self.rates
        found = re.fullmatch(r"([1-9][0-9]{0,8})/([0-9]+(?:\.[0-9]+)?)", text.strip())
        if found is None or float(found[2]) <= 0:
            raise UsageError(f"{variable}: write permits/seconds, e.g. 1200/60, not '{text}'.")
        given = (int(found[1]), float(found[2]))
        is_for_all = self.shared and variable == variables[1]
        if is_for_all and urlsplit(self.base()).hostname not in LOOPBACK:
            return min(((given,), self.rates), key=lambda rates: min(permits / seconds for permits, seconds in rates))
        return (given,)
