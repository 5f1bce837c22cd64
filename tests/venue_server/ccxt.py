"""Where the answers of ccxt's static response tests come from: which endpoint of a venue a method of ccxt asks.

Those files give no URL: an entry is a method and the arguments it was called with (``input``). ``TABLE`` says, for each exchange
and method, which host of this server answers it, at which path, and what a request must ask to get it. It has the endpoints
that connectors ask and no others; what it lacks (orders, balances, spot) cannot be served.

Texts in braces are filled in by ``_NAMES``: the venue's name of the symbol, of the market it is on, and of the length of a bar.
"""

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal

Kind = Literal["linear", "inverse"]


@dataclass(frozen=True)
class Pages:
    """How an endpoint cuts what it has into pages.

    Attributes:
        time: A row's time in ms, by index or name; None where rows have none.
        first: Parameter for the oldest time wanted.
        last: Parameter for the newest time wanted.
        last_is_out: A row of just that newest time is not among the answer's.
        limit: Parameter for the most rows of a page.
        keeps: Which rows a page holds that has no room for all.
        newest_first: Order of rows.
        following: Parameters that ask for a later page, and their value on the first one.
        cursor: Member of the answer that names the next page.
    """

    time: int | str | None = None
    first: str = ""
    last: str = ""
    last_is_out: bool = False
    limit: str = ""
    keeps: Literal["oldest", "newest"] = "newest"
    newest_first: bool = False
    following: dict[str, str] = field(default_factory=dict)
    cursor: str = ""

    @property
    def is_cut(self) -> bool:
        """Whether there are pages at all."""
        return bool(self.first or self.last or self.following)

    def time_of(self, row: Any) -> int:
        """A row's time.

        Raises:
            KeyError, IndexError, TypeError, ValueError: It has none.
        """
        return int(row[self.time])

    def of(self, rows: list[Any], asked: dict[str, str]) -> list[Any]:
        """The rows that a request asks for."""
        if self.is_later(asked):
            return []
        first, last = asked.get(self.first), asked.get(self.last)
        if first:
            rows = [row for row in rows if self.time_of(row) >= int(first)]
        if last:
            rows = [row for row in rows if self.time_of(row) < int(last) + (not self.last_is_out)]
        room = asked.get(self.limit)
        if not room or len(rows) <= int(room):
            return rows
        by_time = sorted(range(len(rows)), key=lambda i: self.time_of(rows[i]), reverse=self.keeps == "newest")
        return [rows[i] for i in sorted(by_time[: int(room)])]

    def is_later(self, asked: dict[str, str]) -> bool:
        """Whether a request asks for a page after the first."""
        return any(asked.get(name) not in {None, value} for name, value in self.following.items())

    def together(self, some: list[Any], more: list[Any]) -> list[Any]:
        """Rows of two answers to one question, one of each time."""
        known = {self.time_of(row) for row in some}
        every = some + [row for row in more if self.time_of(row) not in known]
        return sorted(every, key=self.time_of, reverse=self.newest_first)


_ONE_PAGE = Pages()


@dataclass(frozen=True)
class Place:
    """An endpoint that a method asks.

    Attributes:
        host: Of this server.
        path: Below the host.
        asks: What a request must have in its query, or its JSON body (``req.coin``: a member of a member). None stands for
            what it must not have; a name that ends in ``[]`` for a list with commas that has the value.
        pages: How the endpoint pages.
        kind: Of contracts; None for both.
        unnamed: The kind of contracts that ccxt asks for without a symbol.
        timeframe: The one that ccxt takes when it is given none.
        verb: Of HTTP.
    """

    host: str
    path: str
    asks: Mapping[str, str | None]
    pages: Pages = _ONE_PAGE
    kind: Kind | None = None
    unnamed: Kind | None = None
    timeframe: str = "1m"
    verb: str = "GET"


# --- Binance: USD-M bars and funding come from old to new, the rest is the newest of what was asked for ---

_BINANCE_PAGES = Pages(first="startTime", last="endTime", limit="limit")


def _binance(endpoint: str, time: int | str, *, by: str = "symbol", **asks: str) -> tuple[Place, ...]:
    wanted, pages = {by: f"{{{by}}}", **asks}, replace(_BINANCE_PAGES, time=time)
    return (
        Place("binance_um", f"/fapi/v1/{endpoint}", wanted, replace(pages, keeps="oldest"), "linear"),
        Place("binance_cm", f"/dapi/v1/{endpoint}", wanted, pages, "inverse"),
    )


def _binance_data(endpoint: str, timeframe: str) -> tuple[Place, ...]:
    path, pages = f"/futures/data/{endpoint}", replace(_BINANCE_PAGES, time="timestamp")
    um, cm = {"symbol": "{symbol}", "period": "{period}"}, {"pair": "{pair}", "period": "{period}"}
    return (
        Place("binance_um", path, um, pages, "linear", timeframe=timeframe),
        Place("binance_cm", path, cm, pages, "inverse", timeframe=timeframe),
    )


def _binance_now(um: str, cm: str, asks: Mapping[str, str | None], unnamed: Kind | None = None) -> tuple[Place, ...]:
    return (
        Place("binance_um", um, asks, kind="linear", unnamed=unnamed),
        Place("binance_cm", cm, asks, kind="inverse", unnamed=unnamed),
    )


_BINANCE_TICKERS = _binance_now("/fapi/v1/ticker/24hr", "/dapi/v1/ticker/24hr", {"symbol": None})
_BINANCE_TIERS = _binance_now("/fapi/v1/leverageBracket", "/dapi/v2/leverageBracket", {"symbol": None}, "linear")

_BINANCE = {
    "fetchOHLCV": _binance("klines", 0, interval="{bar}"),
    "fetchMarkOHLCV": _binance("markPriceKlines", 0, interval="{bar}"),
    "fetchIndexOHLCV": _binance("indexPriceKlines", 0, by="pair", interval="{bar}"),
    "fetchPremiumIndexOHLCV": _binance("premiumIndexKlines", 0, interval="{bar}"),
    "fetchFundingRateHistory": _binance("fundingRate", "fundingTime"),
    "fetchOpenInterestHistory": _binance_data("openInterestHist", "5m"),
    "fetchLongShortRatioHistory": _binance_data("globalLongShortAccountRatio", "1d"),
    "fetchTicker": _BINANCE_TICKERS,
    "fetchTickers": _BINANCE_TICKERS,
    "fetchOrderBook": _binance_now("/fapi/v1/depth", "/dapi/v1/depth", {"symbol": "{symbol}"}),
    "fetchMarkets": _binance_now("/fapi/v1/exchangeInfo", "/dapi/v1/exchangeInfo", {}),
    "fetchLeverageTiers": _BINANCE_TIERS,
    "fetchMarketLeverageTiers": _BINANCE_TIERS,
}

# --- Bybit: newest first ---


def _bybit(endpoint: str, pages: Pages = _ONE_PAGE, **asks: str | None) -> Place:
    return Place("bybit", f"/v5/market/{endpoint}", {"category": "{category}", **asks}, pages)


def _bybit_bars(endpoint: str) -> tuple[Place, ...]:
    pages = Pages(0, "start", "end", limit="limit", newest_first=True)
    return (_bybit(endpoint, pages, symbol="{symbol}", interval="{bar}"),)


def _bybit_statistics(endpoint: str, period: str, timeframe: str) -> tuple[Place, ...]:
    pages = Pages(
        "timestamp", "startTime", "endTime", newest_first=True, following={"cursor": ""}, cursor="nextPageCursor"
    )
    return (replace(_bybit(endpoint, pages, symbol="{symbol}", **{period: "{period}"}), timeframe=timeframe),)


_BYBIT_FUNDING = Pages("fundingRateTimestamp", "startTime", "endTime", limit="limit", newest_first=True)
_BYBIT_TICKERS = (_bybit("tickers", symbol=None),)
_BYBIT_LISTS = Pages(following={"cursor": ""}, cursor="nextPageCursor")
_BYBIT_TIERS = (replace(_bybit("risk-limit", _BYBIT_LISTS, symbol=None), unnamed="linear"),)

_BYBIT = {
    "fetchOHLCV": _bybit_bars("kline"),
    "fetchMarkOHLCV": _bybit_bars("mark-price-kline"),
    "fetchIndexOHLCV": _bybit_bars("index-price-kline"),
    "fetchPremiumIndexOHLCV": _bybit_bars("premium-index-price-kline"),
    "fetchFundingRateHistory": (_bybit("funding/history", _BYBIT_FUNDING, symbol="{symbol}"),),
    "fetchOpenInterest": _bybit_statistics("open-interest", "intervalTime", "1h"),
    "fetchOpenInterestHistory": _bybit_statistics("open-interest", "intervalTime", "1h"),
    "fetchLongShortRatioHistory": _bybit_statistics("account-ratio", "period", "1d"),
    "fetchTicker": _BYBIT_TICKERS,
    "fetchTickers": _BYBIT_TICKERS,
    "fetchFundingRate": _BYBIT_TICKERS,
    "fetchFundingRates": _BYBIT_TICKERS,
    "fetchOrderBook": (_bybit("orderbook", symbol="{symbol}"),),
    "fetchMarkets": (_bybit("instruments-info", _BYBIT_LISTS, symbol=None),),
    "fetchLeverageTiers": _BYBIT_TIERS,
    "fetchMarketLeverageTiers": _BYBIT_TIERS,
}

# --- OKX: newest first, strictly older than one edge ---

_OKX_PAGES = Pages(last="after", last_is_out=True, limit="limit", newest_first=True)


def _okx_bars(endpoint: str, name: str = "{symbol}") -> tuple[Place, ...]:
    asks = {"instId": name, "bar": "{bar}"}
    return (Place("okx", f"/api/v5/market/{endpoint}", asks, replace(_OKX_PAGES, time=0)),)


def _okx_now(path: str) -> tuple[Place, ...]:
    return (Place("okx", path, {"instType": "{type}", "instId": None}),)


_OKX_RATIOS = "/api/v5/rubik/stat/contracts/long-short-account-ratio-contract"
_OKX_TIERS: Mapping[str, str | None] = {"instType": "SWAP", "tdMode": "cross", "instFamily[]": "{pair}"}

_OKX = {
    "fetchOHLCV": _okx_bars("history-candles"),
    "fetchMarkOHLCV": _okx_bars("history-mark-price-candles"),
    "fetchIndexOHLCV": _okx_bars("history-index-candles", "{pair}"),
    "fetchFundingRateHistory": (
        Place("okx", "/api/v5/public/funding-rate-history", {"instId": "{symbol}"},
              replace(_OKX_PAGES, time="fundingTime")),
    ),
    "fetchLongShortRatioHistory": (
        Place("okx", _OKX_RATIOS, {"instId": "{symbol}", "period": "{period}"},
              replace(_OKX_PAGES, time=0, last="end"), timeframe="5m"),
    ),
    "fetchOpenInterest": _okx_now("/api/v5/public/open-interest"),
    "fetchOpenInterests": _okx_now("/api/v5/public/open-interest"),
    "fetchTicker": _okx_now("/api/v5/market/tickers"),
    "fetchTickers": _okx_now("/api/v5/market/tickers"),
    "fetchOrderBook": (Place("okx", "/api/v5/market/books", {"instId": "{symbol}"}),),
    "fetchMarkets": _okx_now("/api/v5/public/instruments"),
    "fetchMarketLeverageTiers": (Place("okx", "/api/v5/public/position-tiers", _OKX_TIERS),),
}  # fmt: skip

# --- Bitget: version 2; what ccxt asks with {"uta": true} is version 3, which no connector asks ---


def _bitget(endpoint: str, pages: Pages = _ONE_PAGE, **asks: str | None) -> tuple[Place, ...]:
    return (Place("bitget", f"/api/v2/mix/market/{endpoint}", {"productType": "{product}", **asks}, pages),)


def _bitget_bars(endpoint: str) -> tuple[Place, ...]:
    pages = Pages(0, "startTime", "endTime", last_is_out=True, limit="limit")
    return _bitget(endpoint, pages, symbol="{symbol}", granularity="{bar}")


_BITGET_FUNDING = Pages("fundingTime", newest_first=True, following={"pageNo": "1"})
_BITGET_RATIOS = "/api/v2/mix/market/account-long-short"

_BITGET = {
    "fetchOHLCV": _bitget_bars("history-candles"),
    "fetchMarkOHLCV": _bitget_bars("history-mark-candles"),
    "fetchIndexOHLCV": _bitget_bars("history-index-candles"),
    "fetchFundingRateHistory": _bitget("history-fund-rate", _BITGET_FUNDING, symbol="{symbol}"),
    "fetchLongShortRatioHistory": (
        Place("bitget", _BITGET_RATIOS, {"symbol": "{symbol}", "period": "{period}"}, kind="linear", timeframe="5m"),
    ),
    "fetchOpenInterest": _bitget("open-interest", symbol="{symbol}"),
    "fetchTicker": _bitget("tickers", symbol=None),
    "fetchTickers": _bitget("tickers", symbol=None),
    "fetchFundingRates": _bitget("tickers", symbol=None),
    "fetchOrderBook": _bitget("merge-depth", symbol="{symbol}"),
    "fetchMarkets": _bitget("contracts", symbol=None),
    "fetchMarketLeverageTiers": _bitget("query-position-lever", symbol="{symbol}"),
}

# --- Hyperliquid: one path, and a body that says what is asked; oldest first ---


def _info(pages: Pages = _ONE_PAGE, **asks: str | None) -> tuple[Place, ...]:
    return (Place("hyperliquid", "/info", asks, pages, "linear", "linear", verb="POST"),)


_HYPERLIQUID_BARS: Mapping[str, str | None] = {
    "type": "candleSnapshot",
    "req.coin": "{symbol}",
    "req.interval": "{bar}",
}
_HYPERLIQUID_CONTEXTS = _info(type="metaAndAssetCtxs", dex=None)

_HYPERLIQUID = {
    "fetchOHLCV": _info(Pages("t", "req.startTime", "req.endTime"), **_HYPERLIQUID_BARS),
    "fetchFundingRateHistory": _info(Pages("time", "startTime", "endTime"), type="fundingHistory", coin="{symbol}"),
    "fetchOrderBook": _info(type="l2Book", coin="{symbol}"),
    "fetchTicker": _HYPERLIQUID_CONTEXTS,
    "fetchTickers": _HYPERLIQUID_CONTEXTS,
    "fetchFundingRate": _HYPERLIQUID_CONTEXTS,
    "fetchFundingRates": _HYPERLIQUID_CONTEXTS,
    "fetchOpenInterest": _HYPERLIQUID_CONTEXTS,
    "fetchOpenInterests": _HYPERLIQUID_CONTEXTS,
}

TABLE: dict[str, dict[str, tuple[Place, ...]]] = {
    "binance": _BINANCE,
    "bybit": _BYBIT,
    "okx": _OKX,
    "bitget": _BITGET,
    "hyperliquid": _HYPERLIQUID,
}
"""By ccxt's name of the exchange and of the method."""

NUMBERS: dict[str, tuple[str, ...]] = {"bybit": ("retCode", "time"), "bitget": ("requestTime",)}
"""Members of an answer that the venue writes as numbers. ccxt recorded many of them as text, and the code of an answer has to
be what the venue sends, or each answer is an error."""

# --- names ---

_BYBIT_BARS = {"1m": "1", "3m": "3", "5m": "5", "15m": "15", "30m": "30", "1h": "60", "4h": "240", "1d": "D"}
_BYBIT_PERIODS = {"5m": "5min", "15m": "15min", "30m": "30min", "1h": "1h", "4h": "4h", "1d": "1d"}
_OKX_BARS = {"1m": "1m", "3m": "3m", "5m": "5m", "15m": "15m", "30m": "30m", "1h": "1H", "2h": "2H", "4h": "4H",
             "6h": "6Hutc", "12h": "12Hutc", "1d": "1Dutc"}  # fmt: skip
_BITGET_BARS = {"1m": "1m", "3m": "3m", "5m": "5m", "15m": "15m", "30m": "30m", "1h": "1H", "4h": "4H", "6h": "6Hutc",
                "12h": "12Hutc", "1d": "1Dutc"}  # fmt: skip
_BARS = {"bybit": _BYBIT_BARS, "okx": _OKX_BARS, "bitget": _BITGET_BARS}
_PERIODS = {"bybit": _BYBIT_PERIODS, "okx": _OKX_BARS}
"""Lengths of bars, and periods of statistics, by ccxt's name; venues that are not here write them as ccxt does."""

_SYMBOL = re.compile(r"(?P<base>[^/]+)/(?P<quote>[^:]+):(?P<settle>[^-]+)(?:-(?P<expiry>\d{6}))?")
_THOUSANDS = frozenset({"KPEPE", "KSHIB", "KBONK", "KFLOKI", "KLUNC", "KDOGS", "KNEIRO"})
"""Hyperliquid's coins that count thousands begin with a small k, which ccxt makes a big one."""


class NotServedError(Exception):
    """Why an entry cannot be served."""


@dataclass(frozen=True)
class _Symbol:
    base: str
    quote: str
    settle: str
    expiry: str

    @classmethod
    def of(cls, text: str) -> "_Symbol":
        found = _SYMBOL.fullmatch(text)
        if found is None or found["settle"] not in {found["base"], found["quote"]}:
            raise NotServedError(f"{text} is neither a linear nor an inverse contract")
        return cls(found["base"], found["quote"], found["settle"], found["expiry"] or "")

    @property
    def kind(self) -> Kind:
        return "linear" if self.settle == self.quote else "inverse"

    @property
    def perpetual(self) -> "_Symbol":
        """Itself.

        Raises:
            NotServedError: It is dated, and the venue's name of it does not follow from ccxt's.
        """
        if self.expiry:
            raise NotServedError("the venue's name of a dated contract is not known")
        return self


def _binance_names(symbol: _Symbol) -> dict[str, str]:
    pair = symbol.base + symbol.quote
    suffix = symbol.expiry or ("" if symbol.kind == "linear" else "PERP")
    return {"symbol": f"{pair}_{suffix}" if suffix else pair, "pair": pair}


def _bybit_names(symbol: _Symbol) -> dict[str, str]:
    one = symbol.perpetual
    return {"symbol": one.base + ("PERP" if one.quote == "USDC" else one.quote)}


def _okx_names(symbol: _Symbol) -> dict[str, str]:
    pair = f"{symbol.base}-{symbol.quote}"
    return {"symbol": f"{pair}-{symbol.expiry or 'SWAP'}", "pair": pair, "type": "FUTURES" if symbol.expiry else "SWAP"}


def _bitget_names(symbol: _Symbol) -> dict[str, str]:
    one = symbol.perpetual
    product = {"USDT": "USDT-FUTURES", "USDC": "USDC-FUTURES"}.get(one.quote, "COIN-FUTURES")
    return {"symbol": one.base + ("PERP" if one.quote == "USDC" else one.quote), "product": product}


def _hyperliquid_names(symbol: _Symbol) -> dict[str, str]:
    base = symbol.perpetual.base
    exchange, dash, coin = base.partition("-")
    if dash:
        return {"symbol": f"{exchange.lower()}:{coin}"}
    return {"symbol": "k" + base[1:] if base in _THOUSANDS else base}


_NAMES: dict[str, Callable[[_Symbol], dict[str, str]]] = {
    "binance": _binance_names,
    "bybit": _bybit_names,
    "okx": _okx_names,
    "bitget": _bitget_names,
    "hyperliquid": _hyperliquid_names,
}
_PRODUCTS = {"linear": "USDT-FUTURES", "inverse": "COIN-FUTURES"}

# --- what an entry asks ---

_PRICES = {"mark": "fetchMarkOHLCV", "index": "fetchIndexOHLCV", "premiumIndex": "fetchPremiumIndexOHLCV"}
_HARMLESS = {"price", "type", "subType", "until"}
"""Parameters of ccxt that do not change who is asked, or that are looked at here."""


@dataclass(frozen=True)
class _Call:
    """The arguments of a method: symbols first, then a timeframe where it has one, parameters at the end."""

    method: str
    symbols: list[_Symbol]
    timeframe: str | None
    kind: Kind | None

    @classmethod
    def of(cls, method: str, given: list[Any]) -> "_Call":
        params = given[-1] if given and isinstance(given[-1], dict) else {}
        unknown = {name: value for name, value in params.items() if name not in _HARMLESS}
        if unknown:
            raise NotServedError(f"asked with {json.dumps(unknown)}")
        if params.get("type", "swap") not in {"swap", "future"}:
            raise NotServedError(f"asked for {params['type']}")
        first = given[0] if given else None
        texts = [first] if isinstance(first, str) else first if isinstance(first, list) else []
        symbols = [_Symbol.of(text) for text in texts]
        kinds = {symbol.kind for symbol in symbols} or set(filter(None, [params.get("subType")]))
        if len(kinds) > 1 or not kinds <= {"linear", "inverse"}:
            raise NotServedError(f"asked for {' and '.join(sorted(kinds))} contracts at once")
        timeframe = given[1] if len(given) > 1 and isinstance(given[1], str) else None
        kind = kinds.pop() if kinds else "linear" if "type" in params else None
        return cls(_PRICES.get(str(params.get("price")), method), symbols, timeframe, kind)


def place_of(exchange: str, method: str, given: list[Any]) -> Place:
    """The endpoint that a call of ccxt's asks, with its texts filled in.

    Raises:
        NotServedError: None that the table has.
    """
    if exchange not in TABLE:
        raise NotServedError(f"{exchange} is not in the table")
    if method not in TABLE[exchange]:
        raise NotServedError("no connector asks for it")
    call = _Call.of(method, given)
    for place in TABLE[exchange].get(call.method, ()):
        kind = call.kind or place.unnamed
        if kind is None:
            raise NotServedError("names neither a symbol nor a market")
        if place.kind in {None, kind}:
            return _filled(place, exchange, call, kind)
    raise NotServedError("no connector asks for it")


def _filled(place: Place, exchange: str, call: _Call, kind: Kind) -> Place:
    timeframe = call.timeframe or place.timeframe
    names = {"category": kind, "product": _PRODUCTS[kind], "type": "SWAP"}
    names |= _NAMES[exchange](call.symbols[0]) if call.symbols else {}
    for name, known in (("bar", _BARS), ("period", _PERIODS)):
        if exchange not in known or timeframe in known[exchange]:
            names[name] = known.get(exchange, {}).get(timeframe, timeframe)
    try:
        asks = {name: value and value.format_map(names) for name, value in place.asks.items()}
    except KeyError as error:
        is_length = error.args[0] in {"bar", "period"}
        raise NotServedError(f"no connector asks for {timeframe}" if is_length else "names no symbol") from error
    return replace(place, asks=asks, kind=kind)
