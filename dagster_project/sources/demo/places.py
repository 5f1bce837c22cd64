"""Where each file of the sample lands: which feed and entity it belongs to, who reads it, and what it does not say of itself.

One row a folder; the rest of a file's path gives what differs between its files. Names in context are those of
``sources.batch.CONTEXT_KEYS``, readers those of the venues' modules.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

YEAR = (date(2025, 1, 1), date(2025, 12, 31))
EVENT = (date(2025, 10, 10), date(2025, 10, 11))
Days = tuple[date, date]

_SECONDS = {
    "1": 60, "60": 3600, "D": 86400, "1m": 60, "1h": 3600, "1H": 3600, "1d": 86400, "5m": 300, "5min": 300, "8h": 28800,
    "1hour": 3600, "4hour": 14400,
}  # fmt: skip
"""Venues' names of intervals and periods."""

_DAY_SECONDS = 86400

_SYMBOL = r"(?P<symbol>[A-Za-z0-9_-]+?)"
_PAGE = rf"{_SYMBOL}-(?P<every>\w+)-\d+\.json"
_PLAIN_PAGE = rf"{_SYMBOL}-\d+\.json"
_ZIP = rf"(?:{_SYMBOL})/(?:(?P<every>\w+)/)?[^/]+-(?P<day>\d{{4}}-\d{{2}}-\d{{2}})\.zip"
_STAMP = r"(?P<stamp>\d{8}T\d{6}Z)"
_LINES = r"(?P<day>\d{4}-\d{2}-\d{2})\.jsonl"
_OF_SYMBOL = {"venue_symbol": "{symbol}"}


@dataclass(frozen=True)
class Place:
    """Where the files of a folder land.

    Args:
        folder: In the sample.
        pattern: Of the path below it; the groups ``symbol``, ``every``, ``product``, ``stamp`` and ``day`` tell files apart.
        feed: First folder in landing.
        entity: Second folder in landing.
        reader: Of the feed.
        context: What is true of every file; values may name groups of the pattern.
        period: ``interval_seconds`` or ``period_seconds``, if the group ``every`` tells it.
        days: First and last day of the rows, where the name does not tell (or tells another: the moment of asking).
        reaches_over: Days after the one in the name that the last rows may be of.
        completeness: Of what the file holds.
        prefix: Before the file's name in landing, where files of several folders meet.
    """

    folder: str
    pattern: str
    feed: str
    entity: str
    reader: str
    context: Mapping[str, str] = field(default_factory=dict)
    period: str = ""
    days: Days | None = None
    reaches_over: int = 0
    completeness: str = "complete"
    prefix: str = ""

    def files(self, made: Path) -> Iterator["Found"]:
        """The files of the sample that land here, by name."""
        root = made / self.folder
        pattern = re.compile(self.pattern)
        for path in sorted(root.rglob("*")):
            found = pattern.fullmatch(path.relative_to(root).as_posix())
            if found is not None:
                yield self._described(path, {key: text for key, text in found.groupdict().items() if text})

    def _described(self, path: Path, groups: dict[str, str]) -> "Found":
        context = {key: value.format(**groups) for key, value in self.context.items()}
        days, batch = self.days or EVENT, "2025"
        if "every" in groups and self.period:
            seconds = _SECONDS[groups["every"]]
            context[self.period] = str(seconds)
            days = self.days or (YEAR if seconds == _DAY_SECONDS else EVENT)
        if "stamp" in groups:
            moment = datetime.strptime(groups["stamp"], "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)
            context["asked_at_ms"] = str(int(moment.timestamp() * 1000))
            days, batch = self.days or (moment.date(), moment.date()), moment.date().isoformat()
        if "day" in groups:
            day = date.fromisoformat(groups["day"].replace("/", ""))
            days, batch = (day, day + timedelta(days=self.reaches_over)), day.isoformat()
        return Found(path, self, self.prefix + path.name, context, days, batch)


@dataclass(frozen=True)
class Found:
    """A file of the sample and where it lands.

    Args:
        path: In the sample.
        place: The rule that says so.
        name: In landing.
        context: What it does not say of itself.
        days: First and last day of its rows.
        batch: Third folder in landing.
    """

    path: Path
    place: Place
    name: str
    context: dict[str, str]
    days: Days
    batch: str


def _binance() -> Iterator[Place]:
    for product in ("um", "cm"):
        daily = f"binance/data/futures/{product}/daily"
        of_symbol = {"product": product, "venue_symbol": "{symbol}"}
        # COIN-M files its index under the pair.
        of_pair = {"product": product, "venue_symbol": "{symbol}" if product == "um" else "{symbol}_PERP"}
        bars = ("archive_klines", "interval_seconds")
        prefix = "" if product == "um" else "cm-"
        for folder, entity, kind, context, name in (
            ("klines", "klines", "last", of_symbol, ""),
            ("indexPriceKlines", "reference_klines", "index", of_pair, ""),
            ("markPriceKlines", "reference_klines", "mark", of_symbol, "mark-"),
            ("premiumIndexKlines", "premium_klines", "premium", of_symbol, ""),
        ):
            yield Place(
                f"{daily}/{folder}",
                _ZIP,
                "binance",
                entity,
                bars[0],
                context | {"price_kind": kind},
                bars[1],
                prefix=prefix + name,
            )
        yield Place(
            f"{daily}/metrics",
            _ZIP,
            "binance",
            "long_short_ratios",
            "archive_metrics",
            of_symbol | {"period_seconds": "300"},
            # The last label of a day of USD-M is 00:00 of the next.
            reaches_over=1 if product == "um" else 0,
        )
        path = "binance/fapi" if product == "um" else "binance/dapi"
        funding_days = YEAR if product == "um" else EVENT
        yield Place(f"{path}/fundingRate", _PLAIN_PAGE, "binance", "funding", "funding", of_symbol, days=funding_days)
        for name, entity in (
            ("exchangeInfo", "instruments"),
            ("ticker24hr", "tickers"),
            ("symbolAdlRisk", "adl_risk"),
            ("leverageBracket", "leverage_tiers"),
            ("insuranceBalance", "insurance_funds"),
        ):
            yield Place(
                path, rf"{name}-{_STAMP}\.json", "binance", entity, entity, {"product": product}, prefix=f"{product}-"
            )
    um, cm = "binance/data/futures/um/daily", "binance/data/futures/cm/daily"
    of_um, of_cm = {"product": "um"} | _OF_SYMBOL, {"product": "cm"} | _OF_SYMBOL
    yield Place(f"{um}/bookDepth", _ZIP, "binance", "depth", "archive_book_depth", of_um)
    yield Place(f"{cm}/metrics", _ZIP, "binance", "open_interest", "archive_metrics", of_cm | {"period_seconds": "300"})
    yield Place(
        f"{cm}/liquidationSnapshot",
        _ZIP,
        "binance",
        "liquidations",
        "archive_liquidations",
        of_cm,
        completeness="sampled",
    )
    yield Place(
        "binance/fapi/openInterestHist", _PAGE, "binance", "open_interest", "open_interest", of_um, "period_seconds"
    )
    yield Place(
        "binance/stream/forceOrder",
        _LINES,
        "binance",
        "liquidations",
        "messages",
        {"product": "um"},
        completeness="sampled",
    )


def _bybit() -> Iterator[Place]:
    market = "bybit/v5/market"
    for product, below in (("linear", ""), ("inverse", "/inverse")):
        of_symbol = {"product": product} | _OF_SYMBOL
        for path, entity, kind in (
            ("kline", "klines", "last"),
            ("index-price-kline", "reference_klines", "index"),
            ("mark-price-kline", "reference_klines", "mark"),
            ("premium-index-price-kline", "premium_klines", "premium"),
        ):
            yield Place(
                f"{market}/{path}{below}",
                _PAGE,
                "bybit",
                entity,
                entity,
                of_symbol | {"price_kind": kind},
                "interval_seconds",
                prefix="mark-" if kind == "mark" else "",
            )
        yield Place(
            f"{market}/open-interest{below}",
            _PAGE,
            "bybit",
            "open_interest",
            "open_interest",
            of_symbol,
            "period_seconds",
        )
        yield Place(
            f"{market}/funding/history{below}",
            _PLAIN_PAGE,
            "bybit",
            "funding",
            "funding",
            of_symbol,
            days=YEAR if product == "linear" else EVENT,
        )
        yield Place(
            f"bybit/stream/allLiquidation{below}",
            _LINES,
            "bybit",
            "liquidations",
            "messages",
            {"product": product},
            prefix="" if product == "linear" else "inverse-",
        )
    linear = {"product": "linear"} | _OF_SYMBOL
    yield Place(
        f"{market}/account-ratio",
        _PAGE,
        "bybit",
        "long_short_ratios",
        "long_short_ratios",
        linear | {"population": "accounts"},
        "period_seconds",
    )
    yield Place(f"{market}/orderbook", rf"{_SYMBOL}-{_STAMP}\.json", "bybit", "depth", "depth", linear)
    for path, entity in (
        ("instruments-info", "instruments"),
        ("risk-limit", "leverage_tiers"),
        ("tickers", "tickers"),
    ):
        yield Place(
            f"{market}/{path}",
            rf"(?P<product>linear|inverse)-{_STAMP}(?:-\d+)?\.json",
            "bybit",
            entity,
            entity,
            {"product": "{product}"},
        )
    for name, entity in (("insurance", "insurance_funds"), ("adlAlert", "adl_risk")):
        yield Place(market, rf"{name}-{_STAMP}\.json", "bybit", entity, entity, {"product": "all"})
    yield Place(
        "faulty/bybit/v5/market/kline",
        rf"{_SYMBOL}-(?P<every>D)-\w+\.json",
        "bybit",
        "klines",
        "klines",
        linear | {"price_kind": "last"},
        "interval_seconds",
        days=(EVENT[0], EVENT[0]),
        prefix="faulty-",
    )


def _okx() -> Iterator[Place]:
    api = "okx/api/v5"
    swap = {"product": "swap"}
    of_symbol = swap | _OF_SYMBOL
    yield Place(
        f"{api}/market/history-candles",
        _PAGE,
        "okx",
        "klines",
        "klines",
        of_symbol,
        "interval_seconds",
        # The bar that is still open is of the day after.
        days=(EVENT[0], EVENT[1] + timedelta(days=1)),
    )
    for path, kind, symbol in (
        ("history-mark-price-candles", "mark", "{symbol}"),
        ("history-index-candles", "index", "{symbol}-SWAP"),
    ):
        yield Place(
            f"{api}/market/{path}",
            _PAGE,
            "okx",
            "reference_klines",
            "reference_klines",
            swap | {"venue_symbol": symbol, "price_kind": kind},
            "interval_seconds",
            prefix=f"{kind}-",
        )
    yield Place(f"{api}/public/funding-rate-history", _PLAIN_PAGE, "okx", "funding", "funding", of_symbol)
    statistics = f"{api}/rubik/stat/contracts"
    yield Place(
        f"{statistics}/open-interest-history",
        _PAGE,
        "okx",
        "open_interest",
        "open_interest",
        of_symbol,
        "period_seconds",
    )
    for path, who in (
        ("long-short-account-ratio-contract", "accounts"),
        ("long-short-account-ratio-contract-top-trader", "top_accounts"),
        ("long-short-position-ratio-contract-top-trader", "top_positions"),
    ):
        yield Place(
            f"{statistics}/{path}",
            _PAGE,
            "okx",
            "long_short_ratios",
            "long_short_ratios",
            of_symbol | {"population": who},
            "period_seconds",
            prefix=f"{who}-",
        )
    for path, entity in (
        ("public/instruments", "instruments"),
        ("public/position-tiers", "leverage_tiers"),
        ("market/tickers", "tickers"),
    ):
        yield Place(f"{api}/{path}", rf"swap-{_STAMP}\.json", "okx", entity, entity, swap)
    yield Place(f"{api}/public/insurance-fund", _PLAIN_PAGE, "okx", "insurance_funds", "insurance_funds", swap)
    yield Place(f"{api}/market/books", rf"{_SYMBOL}-{_STAMP}\.json", "okx", "depth", "depth", of_symbol)
    yield Place(
        "okx/stream/liquidation-orders", _LINES, "okx", "liquidations", "messages", swap, completeness="sampled"
    )


def _bitget() -> Iterator[Place]:
    market = "bitget/api/v2/mix/market"
    product = {"product": "usdt_futures"}
    of_symbol = product | _OF_SYMBOL
    for path, entity, kind in (
        ("history-candles", "klines", "last"),
        ("history-mark-candles", "reference_klines", "mark"),
        ("history-index-candles", "reference_klines", "index"),
    ):
        yield Place(
            f"{market}/{path}",
            _PAGE,
            "bitget",
            entity,
            entity,
            of_symbol | {"price_kind": kind},
            "interval_seconds",
            prefix="" if kind == "last" else f"{kind}-",
        )
    yield Place(f"{market}/history-fund-rate", _PLAIN_PAGE, "bitget", "funding", "funding", of_symbol)
    for path, entity in (
        ("open-interest", "open_interest"),
        ("query-position-lever", "leverage_tiers"),
        ("merge-depth", "depth"),
    ):
        yield Place(f"{market}/{path}", rf"{_SYMBOL}-{_STAMP}\.json", "bitget", entity, entity, of_symbol)
    yield Place(
        f"{market}/account-long-short",
        rf"{_SYMBOL}-(?P<every>\w+)-{_STAMP}\.json",
        "bitget",
        "long_short_ratios",
        "long_short_ratios",
        of_symbol | {"population": "accounts"},
        "period_seconds",
        days=EVENT,
    )
    for path, entity in ((f"{market}/contracts", "instruments"), (f"{market}/tickers", "tickers")):
        yield Place(path, rf"usdt_futures-{_STAMP}\.json", "bitget", entity, entity, product)
    yield Place(
        "bitget/api/v3/market/risk-reserve-all",
        rf"usdt_futures-{_STAMP}\.json",
        "bitget",
        "insurance_funds",
        "insurance_funds",
        product,
    )
    yield Place(
        "bitget/api/v3/market/liquidations",
        rf"{_SYMBOL}-{_STAMP}-\d+\.json",
        "bitget",
        "liquidations",
        "liquidations",
        of_symbol,
        days=(date(2025, 12, 29), date(2025, 12, 31)),
        completeness="polled_window",
    )


def _hyperliquid() -> Iterator[Place]:
    info = "hyperliquid/info"
    perp = {"product": "perp"}
    of_symbol = perp | _OF_SYMBOL
    yield Place(
        f"{info}/candleSnapshot",
        _PAGE,
        "hyperliquid",
        "klines",
        "klines",
        of_symbol | {"price_kind": "last"},
        "interval_seconds",
    )
    yield Place(f"{info}/fundingHistory", _PLAIN_PAGE, "hyperliquid", "funding", "funding", of_symbol)
    yield Place(f"{info}/l2Book", rf"{_SYMBOL}-{_STAMP}\.json", "hyperliquid", "depth", "depth", of_symbol)
    for name, entity in (("meta", "instruments"), ("meta", "leverage_tiers"), ("metaAndAssetCtxs", "tickers")):
        yield Place(info, rf"{name}-{_STAMP}\.json", "hyperliquid", entity, entity)
    yield Place(
        "hyperliquid/s3/hyperliquid-archive/asset_ctxs",
        r"(?P<day>\d{8})\.csv\.lz4",
        "hyperliquid",
        "open_interest",
        "archive_asset_ctxs",
    )
    fills = "hyperliquid/s3/hl-mainnet-node-data/node_fills_by_block/hourly"
    # Every auto-deleveraging was in one hour: the other files are not landed for it.
    yield Place(fills, r"(?P<day>20251010)/21\.lz4", "hyperliquid", "adl_fills", "archive_node_fills", prefix="fills-")
    yield Place(fills, r"(?P<day>\d{8})/\d+\.lz4", "hyperliquid", "liquidations", "archive_node_fills", prefix="fills-")


def _coinglass() -> Iterator[Place]:
    api = "coinglass/api/futures"
    of_symbol = {"product": "aggregate", "venue": "{venue}"} | _OF_SYMBOL
    page = rf"(?P<venue>[a-z]+)-{_PAGE}"
    for path, entity, completeness in (
        ("open-interest/history", "open_interest", "complete"),
        ("open-interest/aggregated-history", "open_interest", "complete"),
        ("liquidation/aggregated-history", "liquidation_sums", "sampled"),
        ("funding-rate/history", "funding", "complete"),
    ):
        yield Place(
            f"{api}/{path}",
            page,
            "coinglass",
            entity,
            entity,
            of_symbol,
            "period_seconds",
            completeness=completeness,
        )


def _coinalyze() -> Iterator[Place]:
    product = {"product": "aggregate"}
    for path, entity, completeness in (
        ("open-interest-history", "open_interest", "complete"),
        ("liquidation-history", "liquidation_sums", "sampled"),
        ("funding-rate-history", "funding", "complete"),
    ):
        yield Place(
            f"coinalyze/v1/{path}",
            r"(?P<every>\w+)-\d+\.json",
            "coinalyze",
            entity,
            entity,
            product,
            "period_seconds",
            completeness=completeness,
        )
    yield Place("coinalyze/v1", rf"future-markets-{_STAMP}\.json", "coinalyze", "instruments", "instruments", product)


def _defillama() -> Iterator[Place]:
    yield Place(
        "defillama/overview",
        r"open-interest\.json",
        "defillama",
        "open_interest",
        "open_interest",
        {"product": "aggregate", "period_seconds": "86400"},
        completeness="partial",
    )


def _tardis() -> Iterator[Place]:
    context = {"product": "binance_futures", "venue": "binance"} | _OF_SYMBOL
    for kind, entity, completeness in (
        ("liquidations", "liquidations", "sampled"),
        ("derivative_ticker", "open_interest", "complete"),
        ("derivative_ticker", "tickers", "complete"),
    ):
        yield Place(
            f"tardis/v1/binance-futures/{kind}",
            rf"(?P<day>\d{{4}}/\d{{2}}/\d{{2}})/{_SYMBOL}\.csv\.gz",
            "tardis",
            entity,
            f"archive_{kind}",
            context,
            completeness=completeness,
        )


PLACES = (
    *_binance(),
    *_bybit(),
    *_okx(),
    *_bitget(),
    *_hyperliquid(),
    *_coinglass(),
    *_coinalyze(),
    *_defillama(),
    *_tardis(),
)
