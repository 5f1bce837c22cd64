"""Hyperliquid's two S3 buckets (``hyperliquid_s3``), path-style and requester-pays: without that header every answer is 403.

``hl-mainnet-node-data/node_fills_by_block/hourly/YYYYMMDD/H.lz4`` holds a JSON line per block, with every fill twice, once for
each user. ``hyperliquid-archive/asset_ctxs/YYYYMMDD.csv.lz4`` holds the context of every coin in every minute of a day.
"""

import re
from collections.abc import Callable
from typing import Any
from xml.sax.saxutils import escape

import numpy as np

from venue_server.archive import Shelf, lz4_frame, table
from venue_server.contracts import Contract
from venue_server.text import DAY, HOUR, MINUTE, at, dumps, fixed, iso, trimmed
from venue_server.wire import Reply, Request, file_reply
from venue_server.world import RATE_DECIMALS, Liquidation, World

FILLS_BUCKET, CONTEXT_BUCKET = "hl-mainnet-node-data", "hyperliquid-archive"
FILLS_SINCE = at("2025-07-27T08:00")
CONTEXTS_SINCE = at("2023-05-20")
FILLS_AFTER, CONTEXTS_AFTER = HOUR, 30 * DAY
"""How long after its end a file is there; contexts come about once a month."""
CONTEXT_HEADER = (
    "time,coin,funding,open_interest,prev_day_px,day_ntl_vlm,premium,oracle_px,mark_px,mid_px,"
    "impact_bid_px,impact_ask_px"
)
BACKSTOP = "0x" + "f0" * 20
"""The account of the liquidator vault."""
MOST_KEYS = 1000
WEIGHED_KEYS = 48
"""A list of up to so many objects tells their true sizes."""
_FILLS = re.compile(r"node_fills_by_block/hourly/(?P<day>\d{8})/(?P<hour>\d{1,2})\.lz4")
_CONTEXTS = re.compile(r"asset_ctxs/(?P<day>\d{8})\.csv\.lz4")


class HyperliquidS3:
    """Answers of the buckets: GET and HEAD of an object, and ListObjectsV2."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._shelf = Shelf()

    def __call__(self, request: Request) -> Reply:
        """The answer to a request."""
        if request.headers.get("x-amz-request-payer") != "requester":
            return _error(403, "AccessDenied", "Access Denied")
        _, bucket, *rest = request.path.split("/", 2)
        key = rest[0] if rest else ""
        if bucket not in {FILLS_BUCKET, CONTEXT_BUCKET}:
            return _error(404, "NoSuchBucket", "The specified bucket does not exist")
        if not key:
            return self._list(request, bucket)
        made = self._maker(bucket, key)
        if made is None:
            return _error(404, "NoSuchKey", "The specified key does not exist.")
        start, make = made
        body = self._shelf.take(request.path, make)
        reply = file_reply(request, body, "binary/octet-stream", start + DAY)
        reply.headers["x-amz-request-charged"] = "requester"
        return reply

    def _maker(self, bucket: str, key: str) -> tuple[int, Callable[[], bytes]] | None:
        """Start of a file's span and what makes it, if the bucket has it by now."""
        if bucket == FILLS_BUCKET:
            found = _FILLS.fullmatch(key)
            if found is None or int(found["hour"]) > 23 or found["hour"] != str(int(found["hour"])):
                return None
            start = _day(found["day"]) + int(found["hour"]) * HOUR
            there = start >= FILLS_SINCE and self._world.now >= start + HOUR + FILLS_AFTER
            return (start, lambda: lz4_frame(fills_file(self._world, start))) if there else None
        found = _CONTEXTS.fullmatch(key)
        if found is None:
            return None
        start = _day(found["day"])
        there = start >= CONTEXTS_SINCE and self._world.now >= start + DAY + CONTEXTS_AFTER
        return (start, lambda: lz4_frame(contexts_file(self._world, start))) if there else None

    def _keys(self, bucket: str) -> list[str]:
        if bucket == CONTEXT_BUCKET:
            days = range(CONTEXTS_SINCE // DAY, (self._world.now - CONTEXTS_AFTER) // DAY)
            return [f"asset_ctxs/{iso(day * DAY)[:10].replace('-', '')}.csv.lz4" for day in days]
        hours = range(FILLS_SINCE // HOUR, (self._world.now - FILLS_AFTER) // HOUR)
        return sorted(f"node_fills_by_block/hourly/{iso(h * HOUR)[:10].replace('-', '')}/{h % 24}.lz4" for h in hours)

    def _list(self, request: Request, bucket: str) -> Reply:
        """ListObjectsV2: at most 1,000 entries, then a continuation token; folders with ``delimiter=/``."""
        prefix, delimiter = request.query.get("prefix", ""), request.query.get("delimiter", "")
        after = request.query.get("continuation-token") or request.query.get("start-after", "")
        most = min(MOST_KEYS, request.number("max-keys", MOST_KEYS) or 0)
        entries: list[str] = []
        for key in self._keys(bucket):
            if not key.startswith(prefix):
                continue
            cut = key.find(delimiter, len(prefix)) if delimiter else -1
            entry = key if cut < 0 else key[: cut + 1]
            if entry > after and (not entries or entries[-1] != entry):
                entries.append(entry)
        page, more = entries[:most], len(entries) > most
        parts = [self._entry(bucket, entry, weigh=len(page) <= WEIGHED_KEYS) for entry in page]
        token = f"<NextContinuationToken>{escape(page[-1])}</NextContinuationToken>" if more else ""
        body = (
            '<?xml version="1.0" encoding="UTF-8"?>\n<ListBucketResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/">'
            f"<Name>{bucket}</Name><Prefix>{escape(prefix)}</Prefix><KeyCount>{len(page)}</KeyCount><MaxKeys>{most}</MaxKeys>"
            f"<IsTruncated>{str(more).lower()}</IsTruncated>{''.join(parts)}{token}</ListBucketResult>"
        )
        return Reply(200, body.encode(), {"content-type": "application/xml"})

    def _entry(self, bucket: str, entry: str, *, weigh: bool) -> str:
        """XML of a folder or of an object; its size is 0 in a long list, for to know it is to make the file."""
        made = self._maker(bucket, entry)
        if made is None:
            return f"<CommonPrefixes><Prefix>{escape(entry)}</Prefix></CommonPrefixes>"
        start, make = made
        size = len(self._shelf.take(f"/{bucket}/{entry}", make)) if weigh else self._shelf.size(f"/{bucket}/{entry}")
        changed = iso(start + DAY)[:19]
        return (
            f"<Contents><Key>{escape(entry)}</Key><LastModified>{changed}.000Z</LastModified><Size>{size}</Size>"
            "<StorageClass>STANDARD</StorageClass></Contents>"
        )


def _day(text: str) -> int:
    try:
        return at(f"{text[:4]}-{text[4:6]}-{text[6:]}")
    except ValueError:
        return 0


def _error(status: int, code: str, message: str) -> Reply:
    body = f'<?xml version="1.0" encoding="UTF-8"?>\n<Error><Code>{code}</Code><Message>{message}</Message></Error>'
    return Reply(status, body.encode(), {"content-type": "application/xml"})


# --- fills ---


def liquidation_kind(event: Liquidation) -> str:
    """What became of a liquidation: ``adl`` (each 7th number), ``backstop`` (each 5th), else ``market``."""
    if event.number % 7 == 0:
        return "adl"
    return "backstop" if event.number % 5 == 0 else "market"


def account(contract: Contract, number: int, role: str) -> str:
    """Address of a user in a role of an event."""
    word = (contract.seed * 1_000_003 + number * 31 + sum(map(ord, role))) % 2**64
    return f"0x{word:040x}"


def _fill(contract: Contract, time: int, ticks: int, lots: int, **more: Any) -> dict[str, Any]:
    return {
        "coin": contract.symbol,
        "px": fixed(ticks, contract.price_decimals),
        "sz": fixed(lots, contract.quantity_decimals),
        "side": more["side"],
        "time": time,
        "startPosition": fixed(more["start"], contract.quantity_decimals),
        "dir": more["dir"],
        "closedPnl": more.get("pnl", "0.0"),
        "hash": f"0x{more['tid']:064x}",
        "oid": more["tid"] * 2 + (more["side"] == "A"),
        "crossed": more["crossed"],
        "fee": "0.0",
        "tid": more["tid"],
        "feeToken": "USDC",
        "twapId": None,
    }


def trade_id(contract: Contract, number: int, *, forced: bool) -> int:
    """Number of a trade, the same in both of its fills."""
    return (contract.seed % 2**20) * 2**32 + number * 2 + forced


def liquidation_events(world: World, contract: Contract, event: Liquidation) -> list[list[Any]]:
    """Both fills of a liquidation as [user, fill]; the liquidation is told in both."""
    kind = liquidation_kind(event)
    long = event.position == "long"
    sign = 1 if long else -1
    loser = account(contract, event.number, "loser")
    other = BACKSTOP if kind == "backstop" else account(contract, event.number, "other")
    tid = trade_id(contract, event.number, forced=True)
    mark = world.mark_price(contract, event.time)
    ticks = mark if kind == "adl" else event.fill_ticks
    told = {
        "liquidatedUser": loser,
        "markPx": fixed(mark, contract.price_decimals),
        "method": "backstop" if kind == "backstop" else "market",
    }
    closing = "Close Long" if long else "Close Short"
    # Backstop and auto-deleveraging take the whole position without an order.
    direction = closing if kind == "market" else f"Liquidated Cross {'Long' if long else 'Short'}"
    lost = _fill(contract, event.time, ticks, event.lots, side="A" if long else "B", start=sign * event.lots,
                 dir=direction, tid=tid, crossed=True, pnl=f"-{fixed(event.lots * 3, contract.quantity_decimals)}")  # fmt: skip
    start = -sign * event.lots if kind == "adl" else 0
    gain = fixed(event.lots * 2, contract.quantity_decimals) if kind == "adl" else "0.0"
    opening = "Open Long" if long else "Open Short"
    won = _fill(contract, event.time, ticks, event.lots, side="B" if long else "A", start=start,
                dir="Auto-Deleveraging" if kind == "adl" else opening, tid=tid, crossed=False, pnl=gain)  # fmt: skip
    return [[loser, {**lost, "liquidation": told}], [other, {**won, "liquidation": told}]]


def _trade_events(world: World, contract: Contract, start: int) -> list[tuple[int, list[list[Any]]]]:
    made = []
    for trade in world.trades(contract, start, start + HOUR):
        if trade.number % 4:
            continue
        tid = trade_id(contract, trade.number, forced=False)
        pair = [
            [
                account(contract, trade.number, role),
                _fill(contract, trade.time, trade.ticks, trade.lots, side=side, start=0, dir=direction, tid=tid,
                      crossed=(side == "B") is trade.bought),
            ]
            for role, side, direction in (("buyer", "B", "Open Long"), ("seller", "A", "Open Short"))
        ]  # fmt: skip
        made.append((trade.time, pair))
    return made


def fills_file(world: World, start: int) -> bytes:
    """The lines of an hour, a block each, in order of time."""
    blocks: list[tuple[int, list[list[Any]]]] = []
    for contract in world.contracts("hyperliquid"):
        if contract.trades_at(start):
            blocks += _trade_events(world, contract, start)
            blocks += [
                (event.time, liquidation_events(world, contract, event))
                for event in world.liquidations(contract, start, start + HOUR)
            ]
    blocks.sort(key=lambda block: block[0])
    lines = [
        dumps(
            {
                "local_time": iso(time + 90)[:23] + "000000",
                "block_time": iso(time).replace("+00:00", "")[:23] + "000000",
                "block_number": 600_000_000 + time // 100,
                "events": events,
            }
        )
        for time, events in blocks
    ]
    return b"\n".join(lines) + b"\n"


# --- contexts ---


def contexts_file(world: World, start: int) -> bytes:
    """A day's contexts: each minute, each coin."""
    columns = [_context_rows(world, contract, start) for contract in world.contracts("hyperliquid", "perp")
               if contract.trades_at(start)]  # fmt: skip
    return table(CONTEXT_HEADER, [row for minute in zip(*columns, strict=True) for row in minute])


def _context_rows(world: World, contract: Contract, start: int) -> list[str]:
    first, count, pd, qd = start // MINUTE, DAY // MINUTE, contract.price_decimals, contract.quantity_decimals
    day = DAY // MINUTE
    values = world.bars(contract, "trade", MINUTE, start - DAY, 2 * day).value
    total = np.concatenate([np.zeros(1, dtype=np.int64), np.cumsum(values)])
    volume = (total[day:-1] - total[:day]).tolist()
    last = world.ticks(contract, first, count - 1).tolist()
    before = world.ticks(contract, first - day, count - 1).tolist()
    mark = world.reference_ticks(contract, "mark", first, count - 1).tolist()
    index = world.reference_ticks(contract, "index", first, count - 1).tolist()
    premium = world.premium(contract, first, count - 1).tolist()
    rows = []
    for number in range(count):
        time = start + number * MINUTE
        funding = world.funding_rate(contract, world.next_funding(contract, time))
        rows.append(
            f"{iso(time)[:19]}Z,{contract.symbol},{trimmed(funding, RATE_DECIMALS)},"
            f"{fixed(world.open_interest(contract, time), qd)},{fixed(before[number], pd)},{fixed(volume[number], pd + qd)},"
            f"{trimmed(premium[number], RATE_DECIMALS)},{fixed(index[number], pd)},{fixed(mark[number], pd)},"
            f"{fixed(last[number], pd)},{fixed(last[number] - 1, pd)},{fixed(last[number] + 1, pd)}"
        )
    return rows
