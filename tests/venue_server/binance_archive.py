"""data.binance.vision (``binance_archive``): zips of one CSV, each with a ``.CHECKSUM``, as binance/binance-public-data tells.

Kept as they are there: klines without a header before 2022-05-01 (issue 246), monthly klines that lack a day that the daily file
has (issues 297, 346), COIN-M liquidations written twice (issue 259), metrics out of order whose USD-M labels were the end of
the period and are its start from 2026-06-25 on, so that 00:00 of that day comes twice (issue 491).
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime

import numpy as np

from venue_server import binance
from venue_server.archive import Shelf, checksum, table, zipped
from venue_server.contracts import Contract
from venue_server.text import DAY, HOUR, MINUTE, at, column, fixed
from venue_server.wire import Reply, Request, file_reply
from venue_server.world import RATE_DECIMALS, World, draw

HEADER_SINCE = at("2022-05-01")
LABEL_FLIP = at("2026-06-25")
STARTS = {"metrics": at("2021-12-01"), "bookDepth": at("2023-01-01"), "liquidationSnapshot": at("2023-06-25")}
LIQUIDATIONS_END = at("2024-10-15")
NARROW_BANDS_SINCE = at("2026-01-01")
"""From here on bookDepth also has +/-0.2 % and writes percentages with two decimals (the real day is not documented)."""
PUBLISHED_AFTER = 8 * HOUR
"""How long after its end a file is there."""
SHORT_MONTHS = ("2022-04", "2022-05", "2022-06", "2022-08")
"""Months whose kline file lacks the 15th, though the daily file of that day exists."""
METRICS_GAP = (at("2023-09-18T13:00"), at("2023-09-19"))
KLINES = (
    "open_time,open,high,low,close,volume,close_time,quote_volume,count,taker_buy_volume,taker_buy_quote_volume,ignore"
)
METRICS = (
    "create_time,symbol,sum_open_interest,sum_open_interest_value,count_toptrader_long_short_ratio,"
    "sum_toptrader_long_short_ratio,count_long_short_ratio,sum_taker_long_short_vol_ratio"
)
LIQUIDATIONS = (
    "time,side,order_type,time_in_force,original_quantity,price,average_price,order_status,"
    "last_fill_quantity,accumulated_fill_quantity"
)
_PATH = re.compile(
    r"/data/futures/(?P<product>um|cm)/(?P<span>daily|monthly)/(?P<kind>\w+)/(?P<symbol>[A-Z0-9_]+)/"
    r"(?:(?P<interval>\d+[mhd])/)?(?P<name>[A-Z0-9_]+-[A-Za-z0-9]+-(?P<date>\d{4}-\d{2}(?:-\d{2})?))\.zip(?P<sum>\.CHECKSUM)?"
)


@dataclass(frozen=True)
class _Wanted:
    """What a path asks for: a contract, its kind of data, and a span of time in ms (end exclusive)."""

    contract: Contract
    kind: str
    interval: str | None
    start: int
    end: int
    monthly: bool
    date: str


class BinanceArchive:
    """Answers of the archive."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._shelf = Shelf()
        self._makers: dict[str, Callable[[_Wanted], bytes | None]] = {
            **dict.fromkeys(binance.KINDS, self._klines),
            "metrics": self._metrics,
            "fundingRate": self._funding,
            "bookDepth": self._book_depth,
            "liquidationSnapshot": self._liquidations,
        }

    def __call__(self, request: Request) -> Reply:
        """The answer to a request: a zip or its checksum, or 404 as S3 words it."""
        match = _PATH.fullmatch(request.path)
        wanted = self._wanted(match) if match else None
        if match is None or wanted is None:
            return not_found(request.path)
        name = match["name"]
        body = self._shelf.take(request.path.removesuffix(".CHECKSUM"), lambda: self._file(wanted, name))
        if not body:
            return not_found(request.path)
        if match["sum"]:
            return file_reply(request, checksum(f"{name}.zip", body), "binary/octet-stream", wanted.end)
        return file_reply(request, body, "application/zip", wanted.end)

    def _file(self, wanted: _Wanted, name: str) -> bytes:
        body = self._makers[wanted.kind](wanted)
        return zipped(f"{name}.csv", body) if body else b""

    def _wanted(self, match: re.Match[str]) -> _Wanted | None:
        """What a path asks for, if the archive has it by now."""
        kind, interval, date = match["kind"], match["interval"], match["date"]
        monthly = match["span"] == "monthly"
        bars = kind in binance.KINDS
        # Funding comes by month only, all but bars and funding by day only.
        fits = kind in self._makers and monthly is (len(date) == 7) and bars is (interval is not None)
        fits = fits and (bars or monthly is (kind == "fundingRate")) and (not bars or interval in binance.INTERVALS)
        contract = self._named(match["product"], kind, match["symbol"]) if fits else None
        if contract is None or not match["name"].startswith(f"{match['symbol']}-{interval or kind}-"):
            return None
        start, end = month_span(date) if monthly else (at(date), at(date) + DAY)
        listed_until = contract.delisted if contract.delisted is not None else end
        if self._world.now < end + PUBLISHED_AFTER or end <= contract.listed or start >= listed_until:
            return None
        if start < STARTS.get(kind, 0):
            return None
        return _Wanted(contract, kind, interval, start, end, monthly, date)

    def _named(self, product: str, kind: str, symbol: str) -> Contract | None:
        """The contract that a folder is about; COIN-M's index is filed under the pair."""
        for contract in self._world.contracts("binance", product):
            if symbol == (contract.pair if kind == "indexPriceKlines" else contract.symbol):
                return contract
        return None

    # --- contents ---

    def _klines(self, wanted: _Wanted) -> bytes | None:
        contract = wanted.contract
        kind = binance.KINDS[wanted.kind]
        step = binance.INTERVALS[wanted.interval or ""] * MINUTE
        start = max(wanted.start, contract.listed)
        end = min(wanted.end, contract.delisted or wanted.end)
        bars = self._world.bars(contract, kind, step, start, (end - start) // step)
        rows = [row[1:-1].replace('"', "") for row in binance.WRITERS[kind](contract, bars, step, True)]
        if wanted.monthly and wanted.date in SHORT_MONTHS:
            lacking = at(f"{wanted.date}-15")
            rows = [row for row in rows if not lacking <= int(row.partition(",")[0]) < lacking + DAY]
        return table(KLINES if wanted.start >= HEADER_SINCE else "", rows)

    def _metrics(self, wanted: _Wanted) -> bytes | None:
        """Per five minutes; the value is that of the period, wherever its label stands."""
        contract, step = wanted.contract, 5 * MINUTE
        label = step if contract.product == "um" and wanted.start < LABEL_FLIP else 0
        bars = self._world.bars(contract, "trade", step, wanted.start, DAY // step)
        taker = zip(bars.time.tolist(), bars.taker_lots.tolist(), bars.lots.tolist(), strict=True)
        rows = [
            self._metrics_row(contract, start, start + label, bought * 10**8 // max(1, lots - bought))
            for start, bought, lots in taker
            if contract.trades_at(start) and not METRICS_GAP[0] <= start < METRICS_GAP[1]
        ]
        # Out of order, as the real files are.
        rows.sort(key=lambda row: draw(contract.seed, sum(map(ord, row))))
        return table(METRICS, rows) if rows else None

    def _metrics_row(self, contract: Contract, start: int, label: int, taker: int) -> str:
        world = self._world
        value = (
            world.open_interest_base(contract, start) if contract.inverse else world.open_interest_usd(contract, start)
        )
        shares = (world.long_share(contract, start, who) for who in ("top_accounts", "top_positions", "accounts"))
        ratios = [fixed(share * 10**8 // (10_000 - share), 8) for share in shares]
        quantity = fixed(world.open_interest(contract, start), contract.quantity_decimals)
        return ",".join([moment(label), contract.symbol, quantity, fixed(*value), *ratios, fixed(taker, 8)])

    def _funding(self, wanted: _Wanted) -> bytes | None:
        contract = wanted.contract
        rows = [
            f"{time + binance.funding_jitter(contract, time)},{contract.funding_hours(time)},"
            f"{fixed(self._world.funding_rate(contract, time), RATE_DECIMALS)}"
            for time in self._world.funding_times(contract, wanted.start, wanted.end - 1)
        ]
        return table("calc_time,funding_interval_hours,last_funding_rate", rows) if rows else None

    def _book_depth(self, wanted: _Wanted) -> bytes | None:
        """Cumulative depth by band, about every 30 seconds."""
        narrow = wanted.start >= NARROW_BANDS_SINCE
        points = (100, 200, 300, 400, 500)
        bands = sorted([*points, *(-p for p in points), *((20, -20) if narrow else ())])
        count = DAY // (MINUTE // 2)
        stamps = [moment(wanted.start + number * (MINUTE // 2) + 7_000) for number in range(count)]
        columns = [
            [
                f"{stamp},{fixed(band, 2) if narrow else band // 100},{depth},{notional}"
                for stamp, depth, notional in zip(
                    stamps, *band_texts(self._world, wanted.contract, wanted.start, count, band), strict=True
                )
            ]
            for band in bands
        ]
        rows = [row for snapshot in zip(*columns, strict=True) for row in snapshot]
        return table("timestamp,percentage,depth,notional", rows)

    def _liquidations(self, wanted: _Wanted) -> bytes | None:
        """COIN-M only; at most one order a second, and each row is there twice."""
        contract = wanted.contract
        if contract.product != "cm" or wanted.start >= LIQUIDATIONS_END:
            return None
        rows: list[str] = []
        for event in self._world.liquidations(contract, wanted.start, wanted.end):
            side = "SELL" if event.position == "long" else "BUY"
            lots = fixed(event.lots, contract.quantity_decimals)
            price, average = (fixed(ticks, contract.price_decimals) for ticks in (event.ticks, event.fill_ticks))
            row = f"{event.time},{side},LIMIT,IOC,{lots},{price},{average},FILLED,{lots},{lots}"
            if not rows or int(rows[-1].partition(",")[0]) // 1000 != event.time // 1000:
                rows += [row, row]
        return table(LIQUIDATIONS, rows) if rows else None


def band_texts(world: World, contract: Contract, start: int, count: int, band: int) -> tuple[list[str], list[str]]:
    """Depth and notional of a band (basis points, negative: bids) in ``count`` half minutes, as bookDepth writes them.

    USD-M: base units and quote. COIN-M: contracts and base coin, which is a guess, for no document says.
    """
    lots = world.band_depths(contract, start, count, band)
    prices = np.repeat(world.ticks(contract, start // MINUTE, count // 2 - 1), 2)
    depth = column(lots, contract.quantity_decimals)
    if contract.inverse:
        coin = lots * (contract.contract_num * 10 ** (RATE_DECIMALS + contract.price_decimals)) // prices
        return depth, column(coin, RATE_DECIMALS)
    # What rests within the band rests on average half way into it.
    average = prices * (20_000 + band) // 20_000
    return depth, column(lots * average, contract.quantity_decimals + contract.price_decimals)


def moment(ms: int) -> str:
    """A time as ``2026-11-01 00:05:00``."""
    return datetime.fromtimestamp(ms // 1000, tz=UTC).strftime("%Y-%m-%d %H:%M:%S")


def month_span(month: str) -> tuple[int, int]:
    """First ms of a month ``2026-11`` and of the next."""
    year, number = int(month[:4]), int(month[5:])
    following = f"{year + number // 12}-{number % 12 + 1:02d}-01"
    return at(f"{month}-01"), at(following)


def not_found(path: str) -> Reply:
    """S3's answer for a key that is not there."""
    body = f'<?xml version="1.0" encoding="UTF-8"?>\n<Error><Code>NoSuchKey</Code><Key>{path.lstrip("/")}</Key></Error>'
    return Reply(404, body.encode(), {"content-type": "application/xml"})
