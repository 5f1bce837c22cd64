"""What aggregators add up from the venues: open interest as bars, liquidations as sums, funding as bars, all over a period."""

from decimal import Decimal
from typing import NamedTuple

from venue_server.contracts import Contract
from venue_server.world import World


class Four(NamedTuple):
    """Open, high, low and close of a period."""

    open: Decimal
    high: Decimal
    low: Decimal
    close: Decimal


class Forced(NamedTuple):
    """Liquidated longs and shorts of a period."""

    long: Decimal
    short: Decimal


def open_interest(world: World, contract: Contract, start: int, step: int, *, usd: bool) -> Four:
    """One-sided open interest at the start and the end of a period, in USD or base units."""
    value = world.open_interest_usd if usd else world.open_interest_base
    ends = [
        Decimal(number).scaleb(-decimals)
        for number, decimals in (value(contract, start), value(contract, start + step))
    ]
    return Four(ends[0], max(ends), min(ends), ends[1])


def funding_percent(world: World, contract: Contract, start: int, step: int) -> Four:
    """The rate of the running interval in percent at the start and the end of a period."""
    ends = [
        Decimal(world.funding_rate(contract, world.next_funding(contract, time))).scaleb(-6)
        for time in (start, start + step)
    ]
    return Four(ends[0], max(ends), min(ends), ends[1])


def liquidations(world: World, contract: Contract, start: int, step: int, *, usd: bool = True) -> Forced:
    """Liquidations of a period at their bankruptcy prices, in USD, or in contracts' base units (inverse: USD all the same)."""
    found = {"long": Decimal(0), "short": Decimal(0)}
    for event in world.liquidations(contract, start, min(start + step, world.now + 1)):
        plain = usd or contract.inverse
        amount = contract.notional(event.lots, event.ticks) if plain else contract.base(event.lots)
        found[event.position] += amount
    return Forced(found["long"], found["short"])


def plain(number: Decimal, places: int = 4) -> str:
    """A decimal with so many places."""
    return str(number.quantize(Decimal(1).scaleb(-places)))


def grid(world: World, step: int, span: tuple[int | None, int | None], limit: int) -> list[int]:
    """Starts of periods within a span in ms (both inclusive), of which at most the newest ``limit``, oldest first."""
    now = world.now
    last = min(now, span[1] if span[1] is not None else now) // step
    first = -(-span[0] // step) if span[0] is not None else last - limit + 1
    return [slot * step for slot in range(max(first, last - limit + 1), last + 1)]
