"""A made-up market in which every number follows from (contract, time) by integer arithmetic.

Nothing is stored and nothing is random, so a test asks the world for the row that it expects from a connector. Prices of one
asset move together on all venues. A minute has four trades: first, high and low in either order, last. Longer bars add minutes
up, and a venue's trade archive holds those very trades. Units are those of ``contracts``; rates count 1e-8.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from venue_server import contracts as listing
from venue_server.contracts import Contract
from venue_server.text import DAY, HOUR, MINUTE, at

Kind = Literal["trade", "mark", "index", "premium"]
Ints = NDArray[np.int64]

DEFAULT_NOW = at("2026-11-15T12:34:56.789")
CHUNK = 2_880
"""Minutes of one stretch of cached prices: two days, which every interval up to a day divides."""
RATE_DECIMALS = 8
TRADE_OFFSETS = (5_250, 20_100, 35_730, 50_001)
"""When in its minute each of the four trades happens, in ms."""
_MILLION = 1_000_000
_MIX = (np.uint64(0x9E3779B97F4A7C15), np.uint64(29), np.uint64(0xBF58476D1CE4E5B9), np.uint64(33))
# (period in minutes, height in millionths) of the waves that make up a price path.
_WAVES = ((129_600, 150_000), (10_080, 30_000), (1_511, 9_000), (173, 2_500), (37, 600))


def noise(seed: int, x: Ints) -> Ints:
    """31 bits that look random but follow from ``seed`` and ``x``: two rounds of multiply and shift, modulo 2**64."""
    z = x.view(np.uint64) * _MIX[0]
    z += np.uint64(seed * 0x632BE59BD9B4E019 % 2**64)
    z ^= z >> _MIX[1]
    z *= _MIX[2]
    z >>= _MIX[3]
    return z.view(np.int64)


def draw(seed: int, x: int) -> int:
    """``noise`` of one number."""
    return int(noise(seed, np.array([x], dtype=np.int64))[0])


@lru_cache(maxsize=8192)
def _walk(asset: str, chunk: int) -> NDArray[np.int32]:
    """How far an asset's price is from its base in each minute of a chunk and the one after, in millionths."""
    minute = np.arange(chunk * CHUNK, (chunk + 1) * CHUNK + 1, dtype=np.int64)
    shift = sum(map(ord, asset)) * 7_919
    total = noise(shift, minute) % 201 - 100
    for period, height in _WAVES:
        phase = (minute + shift) % period
        total += height - 2 * height * np.abs(2 * phase - period) // period
    return total.astype(np.int32)


def _walks(asset: str, first: int, count: int) -> Ints:
    """The walk of ``count`` minutes and the one after, from any first minute."""
    parts, minute, end = [], first, first + count
    while minute <= end:
        chunk, offset = divmod(minute, CHUNK)
        stop = min(CHUNK, offset + end - minute + 1)
        parts.append(_walk(asset, chunk)[offset:stop])
        minute += stop - offset
    return np.concatenate(parts).astype(np.int64)


@dataclass(frozen=True)
class Bars:
    """Bars in order of time.

    ``value`` is the sum of ticks x lots, ``coin`` of the base asset in 1e-8 (inverse contracts), ``taker_*`` what takers bought.
    """

    time: Ints
    open: Ints
    high: Ints
    low: Ints
    close: Ints
    lots: Ints
    value: Ints
    coin: Ints
    taker_lots: Ints
    taker_value: Ints
    taker_coin: Ints
    trades: Ints


class Bar(NamedTuple):
    """One bar; the fields of ``Bars``."""

    time: int
    open: int
    high: int
    low: int
    close: int
    lots: int
    value: int
    coin: int
    taker_lots: int
    taker_value: int
    taker_coin: int
    trades: int


class Trade(NamedTuple):
    """A trade: time in ms, price in ticks, lots, whether the taker bought, and a number of its own."""

    time: int
    ticks: int
    lots: int
    bought: bool
    number: int


class Liquidation(NamedTuple):
    """A liquidation: time in ms, side of the position that was closed, lots, bankruptcy price and fill price in ticks."""

    time: int
    position: Literal["long", "short"]
    lots: int
    ticks: int
    fill_ticks: int
    number: int


class Tier(NamedTuple):
    """A leverage tier: bounds of position value, maintenance rate in 1e-4, most leverage, deduction in 1e-4 of the bounds' unit.

    Bounds count the quote asset, of inverse contracts the base asset.
    """

    number: int
    floor: int
    cap: int
    maintenance: int
    leverage: int
    deduction_e4: int


class World:
    """The market and its clock.

    Args:
        symbols: Linear contracts per venue, 1 to 200.
        now: Time of the clock in ms, or an ISO text.
        delisted: Whether each venue also has one contract that is gone.
    """

    def __init__(self, symbols: int = 3, now: int | str = DEFAULT_NOW, *, delisted: bool = True) -> None:
        self.symbols = symbols
        self.now = at(now) if isinstance(now, str) else now
        self._listed = {venue: listing.listed(venue, symbols, delisted=delisted) for venue in listing.PRODUCTS}
        self._by_symbol = {
            (venue, contract.product, contract.symbol): contract
            for venue, listed in self._listed.items()
            for contract in listed
        }

    # --- contracts ---

    def contracts(self, venue: str, product: str | None = None) -> list[Contract]:
        """Contracts of a venue (of one product) that have been listed by now, the gone one included."""
        return [
            contract
            for contract in self._listed[venue]
            if product in (None, contract.product) and contract.listed <= self.now
        ]

    def trading(self, venue: str, product: str | None = None) -> list[Contract]:
        """Contracts of a venue (of one product) that trade now."""
        return [contract for contract in self.contracts(venue, product) if contract.trades_at(self.now)]

    def find(self, venue: str, product: str, symbol: str) -> Contract | None:
        """The contract of that name, if it has been listed by now."""
        contract = self._by_symbol.get((venue, product, symbol))
        return contract if contract is not None and contract.listed <= self.now else None

    def contract(self, venue: str, product: str, symbol: str) -> Contract:
        """The contract of that name.

        Raises:
            KeyError: None has it.
        """
        return self._by_symbol[venue, product, symbol]

    # --- prices ---

    def ticks(self, contract: Contract, first_minute: int, count: int) -> Ints:
        """Last prices at the start of ``count`` minutes and of the one after, in ticks."""
        minute = np.arange(first_minute, first_minute + count + 1, dtype=np.int64)
        path = _walks(contract.asset, first_minute, count) + noise(contract.seed, minute) % 201 - 100
        return contract.base_ticks * (_MILLION + path) // _MILLION

    def reference_ticks(self, contract: Contract, kind: Kind, first_minute: int, count: int) -> Ints:
        """Mark or index prices at the start of ``count`` minutes and of the one after, in ticks."""
        minute = np.arange(first_minute, first_minute + count + 1, dtype=np.int64)
        spread = max(1, contract.base_ticks // 20_000)
        away = noise(contract.seed + (1 if kind == "mark" else 2), minute) % 7 - 3
        return self.ticks(contract, first_minute, count) + away * spread

    def premium(self, contract: Contract, first_minute: int, count: int) -> Ints:
        """(mark - index) / index at the start of ``count`` minutes and of the one after, in 1e-8."""
        index = self.reference_ticks(contract, "index", first_minute, count)
        return (self.reference_ticks(contract, "mark", first_minute, count) - index) * 10**RATE_DECIMALS // index

    def last_price(self, contract: Contract, at_ms: int) -> int:
        """Last price in ticks at the minute of a time."""
        return int(self.ticks(contract, at_ms // MINUTE, 0)[0])

    def mark_price(self, contract: Contract, at_ms: int) -> int:
        """Mark price in ticks at the minute of a time."""
        return int(self.reference_ticks(contract, "mark", at_ms // MINUTE, 0)[0])

    def index_price(self, contract: Contract, at_ms: int) -> int:
        """Index price in ticks at the minute of a time."""
        return int(self.reference_ticks(contract, "index", at_ms // MINUTE, 0)[0])

    # --- trades and bars ---

    def _minute_trades(self, contract: Contract, first: int, count: int) -> tuple[list[Ints], list[Ints], list[Ints]]:
        """Prices, lots and bought (0 or 1) of the four trades of each minute."""
        minute = np.arange(first, first + count, dtype=np.int64)
        path = self.ticks(contract, first, count)
        opens, closes = path[:-1], path[1:]
        sizes = noise(contract.seed + 3, minute)
        bits = noise(contract.seed + 4, minute)
        reach = max(1, contract.base_ticks // 100_000)
        high = np.maximum(opens, closes) + (bits & 63) * reach
        low = np.minimum(opens, closes) - ((bits >> 6) & 63) * reach
        up = (bits >> 12) & 1 == 1
        prices = [opens, np.where(up, high, low), np.where(up, low, high), closes]
        lots = [(1 + ((sizes >> (7 * i)) & 127)) * contract.unit for i in range(4)]
        return prices, lots, [(bits >> (13 + i)) & 1 for i in range(4)]

    def trades(self, contract: Contract, start_ms: int, end_ms: int) -> list[Trade]:
        """Trades from ``start_ms`` (inclusive) to ``end_ms`` (exclusive), oldest first."""
        first, last = start_ms // MINUTE, -(-end_ms // MINUTE)
        prices, lots, bought = self._minute_trades(contract, first, last - first)
        columns = [[series.tolist() for series in part] for part in (prices, lots, bought)]
        made = [
            Trade((first + row) * MINUTE + offset, ticks, size, bool(side), (first + row) * 4 + part)
            for part, offset in enumerate(TRADE_OFFSETS)
            for row, (ticks, size, side) in enumerate(zip(*(column[part] for column in columns), strict=True))
        ]
        return sorted(trade for trade in made if start_ms <= trade.time < end_ms)

    def bars(self, contract: Contract, kind: Kind, interval_ms: int, start_ms: int, count: int) -> Bars:
        """``count`` whole bars from a start that the caller has aligned; no regard to listing or the clock."""
        first, minutes = start_ms // MINUTE, interval_ms // MINUTE
        time = start_ms + np.arange(count, dtype=np.int64) * interval_ms
        if kind != "trade":
            return _reference_bars(time, *self._reference_minutes(contract, kind, first, count * minutes), minutes)
        prices, lots, bought = self._minute_trades(contract, first, count * minutes)
        values = [ticks * size for ticks, size in zip(prices, lots, strict=True)]
        if contract.inverse:
            scale = _coin_scale(contract)
            coins = [size * scale // ticks for ticks, size in zip(prices, lots, strict=True)]
        else:
            coins = [np.zeros_like(lots[0])] * 4

        def total(parts: Sequence[Ints]) -> Ints:
            return sum(parts[1:], start=parts[0]).reshape(count, minutes).sum(axis=1)

        def taken(parts: Sequence[Ints]) -> Ints:
            return total([part * side for part, side in zip(parts, bought, strict=True)])

        high = np.maximum(prices[1], prices[2]).reshape(count, minutes).max(axis=1)
        low = np.minimum(prices[1], prices[2]).reshape(count, minutes).min(axis=1)
        opens = prices[0].reshape(count, minutes)[:, 0]
        closes = prices[3].reshape(count, minutes)[:, -1]
        return Bars(
            time, opens, high, low, closes, total(lots), total(values), total(coins),
            taken(lots), taken(values), taken(coins), np.full(count, 4 * minutes, dtype=np.int64),
        )  # fmt: skip

    def _reference_minutes(self, contract: Contract, kind: Kind, first: int, count: int) -> tuple[Ints, Ints]:
        """Path at minute starts (one more than ``count``) and how far each minute reaches beyond it."""
        minute = np.arange(first, first + count, dtype=np.int64)
        if kind == "premium":
            return self.premium(contract, first, count), (noise(contract.seed + 7, minute) & 15) * 10
        path = self.reference_ticks(contract, kind, first, count)
        reach = max(1, contract.base_ticks // 200_000)
        return path, (noise(contract.seed + (5 if kind == "mark" else 6), minute) & 15) * reach

    def candle(self, contract: Contract, open_ms: int, interval_ms: int, kind: Kind = "trade") -> Bar:
        """The whole bar that opens at a time (the caller aligns it)."""
        bars = self.bars(contract, kind, interval_ms, open_ms, 1)
        return Bar(*(int(getattr(bars, name)[0]) for name in Bar._fields))

    def candles(
        self, contract: Contract, start_ms: int, end_ms: int, interval_ms: int, kind: Kind = "trade"
    ) -> list[Bar]:
        """Whole bars that open from ``start_ms`` to ``end_ms`` (exclusive) while listed and are closed by now, in order."""
        first = -(-max(start_ms, contract.listed) // interval_ms) * interval_ms
        end = min(end_ms, self.now - interval_ms + 1, contract.delisted or end_ms)
        count = max(0, -(-(end - first) // interval_ms))
        if not count:
            return []
        bars = self.bars(contract, kind, interval_ms, first, count)
        return [Bar(*row) for row in zip(*(getattr(bars, name).tolist() for name in Bar._fields), strict=True)]

    def turnover(self, contract: Contract, bar: Bar, *, taker: bool = False) -> tuple[int, int]:
        """What a bar traded in its settlement asset as (integer, decimals): quote if linear, base asset if inverse."""
        if contract.inverse:
            return (bar.taker_coin if taker else bar.coin), RATE_DECIMALS
        value = (bar.taker_value if taker else bar.value) * contract.contract_num * contract.contract_multiplier
        return value, contract.quantity_decimals + contract.contract_decimals + contract.price_decimals

    def base_volume(self, contract: Contract, bar: Bar) -> tuple[int, int]:
        """What a bar traded in the base asset code as (integer, decimals)."""
        if contract.inverse:
            return bar.coin, RATE_DECIMALS
        lots = bar.lots * contract.contract_num * contract.contract_multiplier
        return lots, contract.quantity_decimals + contract.contract_decimals

    def day_bar(self, contract: Contract, at_ms: int) -> Bar:
        """The 24 hours up to the minute of a time as one bar."""
        start = at_ms // MINUTE * MINUTE - DAY
        hours = self.bars(contract, "trade", HOUR, start, DAY // HOUR)
        # Added up as Python's integers: a day's value in ticks x lots of the smallest coins does not fit into 64 bits.
        sums = {name: sum(getattr(hours, name).tolist()) for name in Bar._fields[5:]}
        return Bar(start, int(hours.open[0]), int(hours.high.max()), int(hours.low.min()), int(hours.close[-1]), **sums)

    # --- funding, open interest and other series ---

    def funding_times(self, contract: Contract, start_ms: int, end_ms: int) -> list[int]:
        """Times of funding from ``start_ms`` to ``end_ms``, both inclusive, up to now, while listed; in ms, oldest first."""
        hour = -(-max(start_ms, contract.listed + HOUR) // HOUR)
        last = min(end_ms, self.now, (contract.delisted or end_ms)) // HOUR
        return [h * HOUR for h in range(hour, last + 1) if h % contract.funding_hours(h * HOUR) == 0]

    def funding_rate(self, contract: Contract, funding_ms: int) -> int:
        """Settled rate of one interval in 1e-8."""
        return draw(contract.seed + 8, funding_ms // HOUR) % 40_001 - 10_000

    def next_funding(self, contract: Contract, at_ms: int) -> int:
        """First time of funding after a time, in ms."""
        hour = at_ms // HOUR + 1
        while hour % contract.funding_hours(hour * HOUR):
            hour += 1
        return hour * HOUR

    def open_interest(self, contract: Contract, at_ms: int) -> int:
        """One-sided open interest in lots, of the five minutes that a time lies in."""
        slot = at_ms // (5 * MINUTE)
        wave = abs(slot % 4_032 - 2_016) * 100
        return contract.unit * (400_000 + wave + draw(contract.seed + 9, slot) % 20_001)

    def open_interest_base(self, contract: Contract, at_ms: int) -> tuple[int, int]:
        """One-sided open interest in the base asset code as (integer, decimals)."""
        lots = self.open_interest(contract, at_ms)
        if contract.inverse:
            return lots * _coin_scale(contract) // self.mark_price(contract, at_ms), RATE_DECIMALS
        value = lots * contract.contract_num * contract.contract_multiplier
        return value, contract.quantity_decimals + contract.contract_decimals

    def open_interest_usd(self, contract: Contract, at_ms: int) -> tuple[int, int]:
        """One-sided open interest in USD (the quote asset) at mark as (integer, decimals)."""
        lots = self.open_interest(contract, at_ms) * contract.contract_num * contract.contract_multiplier
        decimals = contract.quantity_decimals + contract.contract_decimals
        if contract.inverse:
            return lots, decimals
        return lots * self.mark_price(contract, at_ms), decimals + contract.price_decimals

    def long_share(self, contract: Contract, at_ms: int, population: str = "accounts") -> int:
        """Share of longs in a population, in 1e-4, between 0.35 and 0.75."""
        salt = 20 + sum(map(ord, population))
        return 3_500 + draw(contract.seed + salt, at_ms // (5 * MINUTE)) % 4_001

    def liquidations(self, contract: Contract, start_ms: int, end_ms: int) -> list[Liquidation]:
        """Liquidations from ``start_ms`` (inclusive) to ``end_ms`` (exclusive) while listed, oldest first."""
        start, end = max(start_ms, contract.listed), min(end_ms, contract.delisted or end_ms)
        slot = 10 * MINUTE
        made = []
        for number in range(start // slot, -(-end // slot)):
            bits = draw(contract.seed + 10, number)
            words = sorted(
                (draw(contract.seed + 11 + part, number) for part in range(bits & 3)), key=lambda w: w % slot
            )
            for part, word in enumerate(words):
                time = number * slot + word % slot
                if not start <= time < end:
                    continue
                position: Literal["long", "short"] = "short" if (bits >> (4 + part)) & 1 else "long"
                ticks = self.last_price(contract, time)
                worse = ticks // 500 if position == "long" else -(ticks // 500)
                lots = (1 + (word >> 20) % 500) * contract.unit
                made.append(Liquidation(time, position, lots, ticks - worse, ticks, number * 4 + part))
        return made

    def depth(self, contract: Contract, at_ms: int, levels: int) -> tuple[list[tuple[int, int]], list[tuple[int, int]]]:
        """Bids and asks as (ticks, lots), best first, at the minute of a time; a level is 0.01 % of the price wide."""
        mid = self.last_price(contract, at_ms)
        step = max(1, mid // 10_000)
        sizes = noise(contract.seed + 15, np.arange(2 * levels, dtype=np.int64) + at_ms // MINUTE * 4_096).tolist()
        bids = [(mid - 1 - step * i, (1 + sizes[2 * i] % 300) * contract.unit) for i in range(levels)]
        asks = [(mid + 1 + step * i, (1 + sizes[2 * i + 1] % 300) * contract.unit) for i in range(levels)]
        return bids, asks

    def tiers(self, contract: Contract) -> list[Tier]:
        """Leverage tiers of a contract; the deduction makes the maintenance margin continuous."""
        scale = 10 if contract.inverse else 50_000 if contract.rank < 2 else 5_000
        steps = ((1, 40, 125), (5, 50, 100), (20, 100, 50), (100, 250, 20), (200, 500, 10), (1_000, 1_250, 4))
        made: list[Tier] = []
        floor = deduction = before = 0
        for number, (cap, rate, leverage) in enumerate(steps, start=1):
            deduction += floor * (rate - before) if number > 1 else 0
            made.append(Tier(number, floor, cap * scale, rate, leverage, deduction))
            floor, before = cap * scale, rate
        return made

    def band_depths(self, contract: Contract, start_ms: int, count: int, basis_points: int) -> Ints:
        """Lots that rest within so many basis points of mid on one side (negative: bids), in ``count`` half minutes."""
        slots = (start_ms // (MINUTE // 2) + np.arange(count, dtype=np.int64)) * 2 + (basis_points < 0)
        return contract.unit * (abs(basis_points) * 40 + noise(contract.seed + 16, slots) % 30)

    def insurance(self, venue: str, asset: str, at_ms: int) -> int:
        """Balance of a venue's insurance pool in an asset, in 1e-2; it changes each day."""
        return 10_000_000_000 + draw(listing.seed_of(f"{venue}/insurance/{asset}"), at_ms // DAY) % 1_000_000_000


def _coin_scale(contract: Contract) -> int:
    """Lots x this // ticks is the base asset in 1e-8, for an inverse contract."""
    worth = contract.contract_num * contract.contract_multiplier
    shift = RATE_DECIMALS + contract.price_decimals - contract.quantity_decimals - contract.contract_decimals
    return worth * 10**shift


def _reference_bars(time: Ints, path: Ints, reach: Ints, minutes: int) -> Bars:
    opens, closes = path[:-1], path[1:]
    shape = (len(time), minutes)
    zero = np.zeros(len(time), dtype=np.int64)
    return Bars(
        time, opens.reshape(shape)[:, 0], (np.maximum(opens, closes) + reach).reshape(shape).max(axis=1),
        (np.minimum(opens, closes) - reach).reshape(shape).min(axis=1), closes.reshape(shape)[:, -1],
        zero, zero, zero, zero, zero, zero, np.full(len(time), minutes, dtype=np.int64),
    )  # fmt: skip
