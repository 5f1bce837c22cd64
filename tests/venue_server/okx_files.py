"""OKX's historical files: the index ``market-data-history`` and the zips that it points to (``okx_archive``).

A file's day or month begins at midnight of UTC+8, 16:00 UTC of the day before. Module 2 is one-minute candles, module 3 funding;
funding by day is one file of all swaps, asked for with ``instFamilyList=ANY``.
"""

import re
from typing import Any

from venue_server.archive import Shelf, table, zipped
from venue_server.binance_archive import month_span, not_found
from venue_server.contracts import Contract
from venue_server.text import DAY, HOUR, MINUTE, at, day_text, fixed
from venue_server.wire import Reply, Request, file_reply, json_reply
from venue_server.world import RATE_DECIMALS, World

SHIFT = 8 * HOUR
PUBLISHED_AFTER = 2 * DAY
FUNDING_SINCE = at("2022-01-17") - SHIFT
CANDLES = "instrument_name,open,high,low,close,vol,vol_ccy,vol_quote,open_time,confirm"
FUNDING = "instrument_name,funding_rate,funding_time"
MOST_FAMILIES = 10
MOST_SPANS = 10
_FOLDERS = {"candlesticks": "candlesticks", "fundingrates": "swaprates"}
_PATH = re.compile(
    r"/cdn/okex/traderecords/(?P<folder>candlesticks|swaprates)/(?P<span>daily|monthly)/(?P<compact>\d{6,8})/"
    r"(?P<symbol>allswap|[A-Z0-9-]+-SWAP)-(?P<kind>candlesticks|fundingrates)-(?P<date>\d{4}-\d{2}(?:-\d{2})?)\.zip"
)


def _refuse(code: str, message: str, status: int = 200) -> Reply:
    return json_reply({"code": code, "msg": message, "data": []}, status)


def market_data_history(world: World, request: Request) -> Reply:
    """Where the files of a span are; both ends of the span name a day or month of UTC+8 and are inclusive."""
    for name in ("module", "instType", "dateAggrType", "begin", "end"):
        if not request.query.get(name):
            return _refuse("50014", f"Parameter {name} can not be empty", 400)
    kind = {"2": "candlesticks", "3": "fundingrates"}.get(request.query["module"])
    families = [part for part in request.query.get("instFamilyList", "").split(",") if part]
    monthly = request.query["dateAggrType"] == "monthly"
    begin, end = request.number("begin") or 0, request.number("end") or 0
    spans = _spans(begin, end, monthly=monthly)
    if kind is None or not families or request.query["dateAggrType"] not in {"daily", "monthly"} or begin > end:
        return _refuse("51000", "Parameter error")
    if len(families) > MOST_FAMILIES or len(spans) > MOST_SPANS:
        return _refuse("51000", "Parameter error: at most 10 instFamily and 10 days or months")
    swap = request.query["instType"] == "SWAP"
    details = [entry for family in families if (entry := _family(world, request, family, kind, spans))] if swap else []
    return json_reply(
        {
            "code": "0",
            "msg": "",
            "data": [
                {
                    "dateAggrType": request.query["dateAggrType"],
                    "details": details,
                    "totalSizeMB": "0.1",
                    "ts": str(world.now),
                }
            ],
        }
    )


def _spans(begin: int, end: int, *, monthly: bool) -> list[str]:
    """Days or months of UTC+8 from the one that ``begin`` lies in to that of ``end``."""
    days = [day_text(day * DAY) for day in range((begin + SHIFT) // DAY, min((end + SHIFT) // DAY, 40_000) + 1)]
    return list(dict.fromkeys(day[:7] for day in days)) if monthly else days


def _bounds(date: str) -> tuple[int, int]:
    start, end = month_span(date) if len(date) == 7 else (at(date), at(date) + DAY)
    return start - SHIFT, end - SHIFT


def _family(world: World, request: Request, family: str, kind: str, spans: list[str]) -> dict[str, Any] | None:
    """A family's entry of the index, with the files that exist by now."""
    if family == "ANY":
        if kind != "fundingrates" or len(spans[0]) == 7:
            return None
        symbol = "allswap"
    else:
        found = [c for c in world.contracts("okx", "swap") if c.pair == family]
        # Funding by day comes for all swaps at once only.
        if not found or (kind == "fundingrates" and len(spans[0]) == 10):
            return None
        symbol = found[0].symbol
    files = []
    for date in spans:
        if not _exists(world, symbol, kind, date):
            continue
        name = f"{symbol}-{kind}-{date}.zip"
        length = "monthly" if len(date) == 7 else "daily"
        path = f"/cdn/okex/traderecords/{_FOLDERS[kind]}/{length}/{date.replace('-', '')}/{name}"
        files.append(
            {
                "dateTs": str(_bounds(date)[0]),
                "filename": name,
                "sizeMB": "0.05",
                "url": f"{request.base}/okx_archive{path}" if request.base else f"https://static.okx.com{path}",
            }
        )
    if not files:
        return None
    return {
        "dateRangeStart": files[0]["dateTs"],
        "dateRangeEnd": files[-1]["dateTs"],
        "groupDetails": files,
        "groupSizeMB": "0.05",
        "instFamily": "" if family == "ANY" else family,
        "instId": "",
        "instType": "SWAP",
    }


def _exists(world: World, symbol: str, kind: str, date: str) -> bool:
    start, end = _bounds(date)
    if world.now < end + PUBLISHED_AFTER or (kind == "fundingrates" and start < FUNDING_SINCE):
        return False
    if symbol == "allswap":
        return True
    contract = world.find("okx", "swap", symbol)
    return contract is not None and end > contract.listed and (contract.delisted is None or start < contract.delisted)


class OkxArchive:
    """Answers of static.okx.com."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._shelf = Shelf()

    def __call__(self, request: Request) -> Reply:
        """A zip, or 404."""
        match = _PATH.fullmatch(request.path)
        if match is None or not self._fits(match):
            return not_found(request.path)
        start, end = _bounds(match["date"])
        name = f"{match['symbol']}-{match['kind']}-{match['date']}.csv"
        body = self._shelf.take(
            request.path, lambda: zipped(name, self._csv(match["symbol"], match["kind"], start, end))
        )
        return file_reply(request, body, "application/zip", end)

    def _fits(self, match: re.Match[str]) -> bool:
        date, kind = match["date"], match["kind"]
        return (
            match["folder"] == _FOLDERS[kind]
            and match["compact"] == date.replace("-", "")
            and (match["span"] == "monthly") is (len(date) == 7)
            and _exists(self._world, match["symbol"], kind, date)
        )

    def _csv(self, symbol: str, kind: str, start: int, end: int) -> bytes:
        if kind == "fundingrates":
            chosen = [c for c in self._world.contracts("okx", "swap") if symbol in {"allswap", c.symbol}]
            rows = [row for contract in chosen for row in self._funding_rows(contract, start, end)]
            return table(FUNDING, rows)
        contract = self._world.contract("okx", "swap", symbol)
        return table(CANDLES, self._candle_rows(contract, start, end))

    def _funding_rows(self, contract: Contract, start: int, end: int) -> list[str]:
        return [
            f"{contract.symbol},{fixed(self._world.funding_rate(contract, time), RATE_DECIMALS)},{time}"
            for time in self._world.funding_times(contract, start, end - 1)
        ]

    def _candle_rows(self, contract: Contract, start: int, end: int) -> list[str]:
        rows = []
        pd = contract.price_decimals
        for bar in self._world.candles(contract, start, end, MINUTE):
            value, decimals = self._world.turnover(contract, bar)
            worth = contract.contract_num * contract.contract_multiplier
            quote = fixed(bar.lots * worth, contract.contract_decimals) if contract.inverse else fixed(value, decimals)
            prices = ",".join(fixed(ticks, pd) for ticks in (bar.open, bar.high, bar.low, bar.close))
            volume = fixed(bar.lots, contract.quantity_decimals)
            rows.append(
                f"{contract.symbol},{prices},{volume},{fixed(*self._world.base_volume(contract, bar))},{quote},{bar.time},1"
            )
        return rows
