"""Hyperliquid ``POST /info`` (``hyperliquid``), as hyperliquid.gitbook.io documents it.

Lists are oldest first. A span gives at most its first 500 fundings, so the next page starts after the last one's time; candles
reach back 5,000 bars from now, whatever ``startTime`` says. An unknown type, coin or field is answered with HTTP 422.
"""

import json
from collections.abc import Callable
from typing import Any

from venue_server.candles import Pages, Series
from venue_server.contracts import HIP3_DEX, Contract
from venue_server.text import HOUR, MINUTE, column, fixed, trimmed
from venue_server.wire import Reply, Request, json_reply, raw_json
from venue_server.world import RATE_DECIMALS, Bars, World

INTERVALS = {
    "1m": 1, "3m": 3, "5m": 5, "15m": 15, "30m": 30, "1h": 60, "2h": 120, "4h": 240, "8h": 480, "12h": 720, "1d": 1440,
}  # fmt: skip
MOST_FUNDINGS = 500
MOST_CANDLES = 5_000
Body = dict[str, Any]


class Refusal(Exception):  # noqa: N818 - an answer, not a fault of the server
    """The venue's answer to a body that it cannot read."""


class Hyperliquid:
    """Answers of ``/info``."""

    def __init__(self, world: World, pages: Pages) -> None:
        self._world, self._pages = world, pages
        self._types: dict[str, Callable[[Body], Reply]] = {
            "meta": lambda body: json_reply(self._meta(body)),
            "metaAndAssetCtxs": self._meta_and_contexts,
            "candleSnapshot": self._candles,
            "fundingHistory": self._funding,
            "l2Book": self._book,
            "perpDexs": self._dexs,
            "allMids": self._mids,
        }

    def __call__(self, request: Request) -> Reply:
        """The answer to a request."""
        if request.path != "/info":
            return Reply(404, b"")
        if request.method != "POST":
            return Reply(405, b"")
        try:
            body = json.loads(request.body)
            return self._types[body["type"]](body)
        except (ValueError, KeyError, TypeError, Refusal):
            return Reply(
                422, b"Failed to deserialize the JSON body into the target type", {"content-type": "text/plain"}
            )

    def _dex(self, body: Body) -> list[Contract]:
        """Contracts of the dex that a body names; the first dex has no name. Gone ones stay, so that indexes hold."""
        dex = body.get("dex") or ""
        if dex not in {"", HIP3_DEX}:
            raise Refusal
        return self._world.contracts("hyperliquid", f"perp_{dex}" if dex else "perp")

    def _contract(self, coin: str) -> Contract:
        product = f"perp_{coin.split(':', maxsplit=1)[0]}" if ":" in coin else "perp"
        contract = self._world.find("hyperliquid", product, coin)
        if contract is None:
            raise Refusal
        return contract

    def _meta(self, body: Body) -> Body:
        universe = []
        for contract in self._dex(body):
            entry = {
                "szDecimals": contract.quantity_decimals,
                "name": contract.symbol,
                "maxLeverage": margin_table(contract)[0]["maxLeverage"],
                "marginTableId": table_id(contract),
            }
            if not contract.trades_at(self._world.now):
                entry["isDelisted"] = True
            universe.append(entry)
        tables = [
            [table_id(contract), {"description": "", "marginTiers": margin_table(contract)}]
            for contract in self._dex(body)
        ]
        unique = {table[0]: table for table in tables}
        return {"universe": universe, "marginTables": list(unique.values()), "collateralToken": 0}

    def _meta_and_contexts(self, body: Body) -> Reply:
        return json_reply([self._meta(body), [self._context(contract) for contract in self._dex(body)]])

    def _context(self, contract: Contract) -> Body:
        """What is true now: hourly funding, open interest in base units, one day's volume in USD."""
        return asset_context(self._world, contract, self._world.now)

    def _candles(self, body: Body) -> Reply:
        wanted = body["req"]
        contract = self._contract(wanted["coin"])
        interval = wanted["interval"]
        step = INTERVALS[interval] * MINUTE
        oldest = (self._world.now // step - MOST_CANDLES + 1) * step
        # A bar belongs to the span if it is not over before startTime: its own start may lie earlier.
        span = (max(oldest, int(wanted["startTime"]) // step * step), wanted.get("endTime"))
        series = Series(contract, "trade", step, writer(interval))
        rows = self._pages.page(series, span, MOST_CANDLES, newest=True)
        return raw_json(f"[{','.join(rows)}]")

    def _funding(self, body: Body) -> Reply:
        contract = self._contract(body["coin"])
        end = body.get("endTime")
        start, last = int(body["startTime"]), self._world.now if end is None else int(end)
        rows = []
        for time in self._world.funding_times(contract, start - HOUR, last):
            stamped = time + funding_jitter(contract, time)
            if start <= stamped <= min(last, self._world.now):
                rows.append(
                    {
                        "coin": contract.symbol,
                        "fundingRate": trimmed(self._world.funding_rate(contract, time), RATE_DECIMALS),
                        "premium": trimmed(int(self._world.premium(contract, time // MINUTE, 0)[0]), RATE_DECIMALS),
                        "time": stamped,
                    }
                )
            if len(rows) == MOST_FUNDINGS:
                break
        return json_reply(rows)

    def _book(self, body: Body) -> Reply:
        contract = self._contract(body["coin"])
        bids, asks = self._world.depth(contract, self._world.now, 20)
        levels = [
            [
                {"px": fixed(p, contract.price_decimals), "sz": fixed(q, contract.quantity_decimals), "n": 3}
                for p, q in side
            ]
            for side in (bids, asks)
        ]
        return json_reply({"coin": contract.symbol, "time": self._world.now, "levels": levels})

    def _dexs(self, _: Body) -> Reply:
        """The first entry is null: the venue's own dex."""
        return json_reply(
            [None, {"name": HIP3_DEX, "fullName": "XYZ", "deployer": "0x" + "88" * 20, "oracleUpdater": None}]
        )

    def _mids(self, body: Body) -> Reply:
        now = self._world.now
        return json_reply(
            {
                contract.symbol: fixed(self._world.last_price(contract, now), contract.price_decimals)
                for contract in self._dex(body)
            }
        )


def asset_context(world: World, contract: Contract, at_ms: int) -> Body:
    """A contract's context at a time, as ``metaAndAssetCtxs`` writes it."""
    pd = contract.price_decimals
    bar = world.day_bar(contract, at_ms)
    bids, asks = world.depth(contract, at_ms, 1)
    return {
        "funding": trimmed(world.funding_rate(contract, world.next_funding(contract, at_ms)), RATE_DECIMALS),
        "openInterest": fixed(world.open_interest(contract, at_ms), contract.quantity_decimals),
        "prevDayPx": fixed(bar.open, pd),
        "dayNtlVlm": fixed(bar.value, pd + contract.quantity_decimals),
        "premium": trimmed(int(world.premium(contract, at_ms // MINUTE, 0)[0]), RATE_DECIMALS),
        "oraclePx": fixed(world.index_price(contract, at_ms), pd),
        "markPx": fixed(world.mark_price(contract, at_ms), pd),
        "midPx": fixed(world.last_price(contract, at_ms), pd),
        "impactPxs": [fixed(bids[0][0], pd), fixed(asks[0][0], pd)],
        "dayBaseVlm": fixed(bar.lots, contract.quantity_decimals),
    }


def funding_jitter(contract: Contract, funding_ms: int) -> int:
    """How many ms after the full hour a funding is stamped."""
    return (contract.seed + funding_ms // HOUR) % 90


def table_id(contract: Contract) -> int:
    """Number of a contract's margin table; those up to 50 would be tables of one tier with that leverage."""
    return 51 if contract.rank < 2 else 52


def margin_table(contract: Contract) -> list[Body]:
    """Tiers: a lower bound of notional in USD, and the most leverage from there on."""
    if contract.rank < 2:
        return [{"lowerBound": "0.0", "maxLeverage": 40}, {"lowerBound": "150000000.0", "maxLeverage": 20}]
    return [{"lowerBound": "0.0", "maxLeverage": 10}, {"lowerBound": "3000000.0", "maxLeverage": 5}]


_WRITERS: dict[str, Callable[[Contract, Bars, int, bool], list[str]]] = {}


def writer(name: str) -> Callable[[Contract, Bars, int, bool], list[str]]:
    """Writes candles, which name their interval."""

    def write(contract: Contract, bars: Bars, interval: int, _: bool) -> list[str]:
        prices = [column(ticks, contract.price_decimals) for ticks in (bars.open, bars.high, bars.low, bars.close)]
        lots = column(bars.lots, contract.quantity_decimals)
        return [
            f'{{"t":{t},"T":{t + interval - 1},"s":"{contract.symbol}","i":"{name}","o":"{o}","c":"{c}","h":"{h}","l":"{lo}",'
            f'"v":"{q}","n":{n}}}'
            for t, n, o, h, lo, c, q in zip(bars.time.tolist(), bars.trades.tolist(), *prices, lots, strict=True)
        ]

    return _WRITERS.setdefault(name, write)
