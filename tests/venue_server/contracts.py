"""Which contracts each venue of the made-up market lists, with the names, units and dates that venues give them.

Everything is an integer: a price is counted in ticks of 10**-``price_decimals``, a quantity in 10**-``quantity_decimals``
contracts. What one contract is worth is ``contract_value`` = ``contract_num`` / 10**``contract_decimals`` units of the base
asset code (linear) or US dollars (inverse).
"""

import zlib
from dataclasses import dataclass
from decimal import Decimal
from functools import lru_cache

from venue_server.text import at

PRODUCTS: dict[str, tuple[str, ...]] = {
    "binance": ("um", "cm"),
    "bybit": ("linear", "inverse"),
    "okx": ("swap",),
    "bitget": ("usdt_futures", "coin_futures", "usdc_futures"),
    "hyperliquid": ("perp", "perp_xyz"),
}

MOST_SYMBOLS = 200
_NANO = 10**9
# (asset, price in 1e-9 USD, day of listing). The third has so small a price that venues quote it in thousands.
_NAMED: tuple[tuple[str, int, str], ...] = (
    ("BTC", 67_000 * _NANO, "2019-12-31"),
    ("ETH", 3_500 * _NANO, "2019-12-31"),
    ("PEPE", 12_345, "2023-05-05"),
    ("SOL", 170 * _NANO, "2020-09-14"),
    ("1INCH", 350_000_000, "2020-12-25"),
    ("DOGE", 160_000_000, "2020-07-10"),
    ("XRP", 620_000_000, "2020-01-06"),
    ("HYPE", 35 * _NANO, "2025-05-30"),
)
GONE = "OLDX"
"""The asset whose contracts were listed in 2021 and delisted at ``GONE_AT``."""
GONE_AT = at("2026-03-02")
FUNDING_CHANGE = at("2026-02-01")
"""From here on the third asset is funded every 4 hours instead of every 8."""
HIP3 = (("XYZ100", 24_500 * _NANO, "2025-10-13"), ("TSLA", 430 * _NANO, "2025-11-04"))
HIP3_DEX = "xyz"


@dataclass(frozen=True)
class Contract:
    """A listed contract and everything constant about it; times in ms, ``delisted`` None while it trades."""

    venue: str
    product: str
    symbol: str
    pair: str
    asset: str
    code: str
    multiplier: int
    quote: str
    settle: str
    inverse: bool
    contract_num: int
    contract_decimals: int
    contract_multiplier: int
    price_decimals: int
    quantity_decimals: int
    base_ticks: int
    unit: int
    rank: int
    listed: int
    delisted: int | None

    def __hash__(self) -> int:
        return self.seed

    @property
    def seed(self) -> int:
        """A number of this contract alone, from which its noise is made."""
        return seed_of(f"{self.venue}/{self.product}/{self.symbol}")

    @property
    def contract_value(self) -> Decimal:
        """Base units (linear) or USD (inverse) per contract, the contract multiplier included."""
        return Decimal(self.contract_num * self.contract_multiplier).scaleb(-self.contract_decimals)

    def price(self, ticks: int) -> Decimal:
        """Ticks as a price in the quote asset."""
        return Decimal(ticks).scaleb(-self.price_decimals)

    def quantity(self, lots: int) -> Decimal:
        """Lots as contracts."""
        return Decimal(lots).scaleb(-self.quantity_decimals)

    def base(self, lots: int) -> Decimal:
        """Lots of a linear contract in units of the base asset code.

        Raises:
            ValueError: An inverse contract, whose base amount depends on the price.
        """
        if self.inverse:
            raise ValueError(f"{self.symbol} is inverse: its base amount depends on the price")
        return self.quantity(lots) * self.contract_value

    def notional(self, lots: int, ticks: int) -> Decimal:
        """Value of lots at a price, in the quote asset (USD for inverse)."""
        value = self.quantity(lots) * self.contract_value
        return value if self.inverse else value * self.price(ticks)

    def funding_hours(self, at_ms: int) -> int:
        """Hours between two fundings around a time: 1 on Hyperliquid, else 8, or 4 for each third contract."""
        if self.venue == "hyperliquid":
            return 1
        if self.asset == "PEPE":
            return 8 if at_ms < FUNDING_CHANGE else 4
        return 4 if self.rank % 3 == 2 else 8

    def trades_at(self, at_ms: int) -> bool:
        """Whether the contract is listed at a time."""
        return self.listed <= at_ms and (self.delisted is None or at_ms < self.delisted)


@lru_cache(maxsize=65_536)
def seed_of(text: str) -> int:
    """A number of a text alone."""
    return zlib.crc32(text.encode())


def assets(symbols: int) -> list[tuple[str, int, str]]:
    """The first ``symbols`` assets as (asset, price in 1e-9 USD, day of listing).

    Raises:
        ValueError: None, or more than ``MOST_SYMBOLS``.
    """
    if not 1 <= symbols <= MOST_SYMBOLS:
        raise ValueError(f"the number of symbols is {symbols}; it can be 1 to {MOST_SYMBOLS}")
    made = list(_NAMED[:symbols])
    for number in range(len(made) + 1, symbols + 1):
        price = (1 + number * 7919 % 9973) * 10_000_000
        made.append((f"ALT{number:03d}", price, f"2024-{1 + number % 12:02d}-{1 + number % 28:02d}"))
    return made


def _decimals(nano: int) -> int:
    """Decimals of a price so that it counts at least 100,000 ticks."""
    decimals = 0
    while nano * 10**decimals < 100_000 * _NANO:
        decimals += 1
    return decimals


def _contract(names: tuple[str, str, str, str, str], asset: tuple[str, int, str], rank: int, **terms: int) -> Contract:
    """A contract from (venue, product, symbol, pair, quote) and its terms; ``inverse`` if the quote is USD."""
    venue, product, symbol, pair, quote = names
    name, nano, listed = asset
    multiplier = terms.get("multiplier", 1)
    inverse = quote == "USD" and venue != "hyperliquid"
    decimals = _decimals(nano * multiplier)
    base_ticks = nano * multiplier * 10**decimals // _NANO
    num, fraction, extra = terms.get("num", 1), terms.get("fraction", 0), terms.get("extra", 1)
    lots = 0 if inverse else terms.get("lots", _lot_decimals(nano * multiplier))
    # A trade moves some 4,000 USD times 1 to 128, less for contracts further down the list.
    target = 4_000 // (1 + rank // 10)
    worth = num * extra * _NANO if inverse else num * extra * nano * multiplier
    unit = max(1, target * _NANO * 10 ** (lots + fraction) // worth)
    prefix = "k" if venue == "hyperliquid" else "1000"
    return Contract(
        venue, product, symbol, pair, name, (prefix if multiplier == 1000 else "") + name, multiplier, quote,
        name if inverse else quote, inverse, num, fraction, extra, decimals, lots, base_ticks, unit, rank,
        at(listed), GONE_AT if name == GONE else None,
    )  # fmt: skip


def _lot_decimals(nano: int) -> int:
    if nano >= 1000 * _NANO:
        return 3
    return 1 if nano >= _NANO else 0


# Value of one OKX contract: (number, decimals, ctMult). PEPE tells its size in two parts, which must be multiplied.
_OKX = {"BTC": (1, 2, 1), "ETH": (1, 1, 1), "PEPE": (1_000_000, 0, 10), "SOL": (1, 0, 1)}


def listed(venue: str, symbols: int, *, delisted: bool = True) -> tuple[Contract, ...]:
    """All contracts of a venue: ``symbols`` linear ones, two inverse ones, and one that is gone.

    Raises:
        KeyError: No such venue.
    """
    every = assets(symbols)
    if delisted:
        every.append((GONE, 800_000_000, "2021-03-01"))
    makers = {
        "binance": _binance, "bybit": _bybit, "okx": _okx, "bitget": _bitget, "hyperliquid": _hyperliquid,
    }  # fmt: skip
    maker = makers[venue]
    return tuple(contract for rank, asset in enumerate(every) for contract in maker(asset, rank)) + (
        tuple(_hip3(asset, rank) for rank, asset in enumerate(HIP3)) if venue == "hyperliquid" else ()
    )


def _binance(asset: tuple[str, int, str], rank: int) -> list[Contract]:
    name = asset[0]
    code = "1000PEPE" if name == "PEPE" else name
    pair = f"{code}USDT"
    made = [_contract(("binance", "um", pair, pair, "USDT"), asset, rank, multiplier=1000 if name == "PEPE" else 1)]
    if name in {"BTC", "ETH"}:
        num = 100 if name == "BTC" else 10
        made.append(_contract(("binance", "cm", f"{name}USD_PERP", f"{name}USD", "USD"), asset, rank, num=num))
    return made


def _bybit(asset: tuple[str, int, str], rank: int) -> list[Contract]:
    name = asset[0]
    code = "1000PEPE" if name == "PEPE" else name
    pair = f"{code}USDT"
    made = [_contract(("bybit", "linear", pair, pair, "USDT"), asset, rank, multiplier=1000 if name == "PEPE" else 1)]
    if name in {"BTC", "ETH"}:
        made.append(_contract(("bybit", "inverse", f"{name}USD", f"{name}USD", "USD"), asset, rank))
    return made


def _okx(asset: tuple[str, int, str], rank: int) -> list[Contract]:
    name = asset[0]
    num, fraction, extra = _OKX.get(name, (10, 0, 1))
    names = ("okx", "swap", f"{name}-USDT-SWAP", f"{name}-USDT", "USDT")
    made = [_contract(names, asset, rank, num=num, fraction=fraction, extra=extra, lots=2 if name == "BTC" else 1)]
    if name in {"BTC", "ETH"}:
        names = ("okx", "swap", f"{name}-USD-SWAP", f"{name}-USD", "USD")
        made.append(_contract(names, asset, rank, num=100 if name == "BTC" else 10))
    return made


def _bitget(asset: tuple[str, int, str], rank: int) -> list[Contract]:
    name = asset[0]
    made = [_contract(("bitget", "usdt_futures", f"{name}USDT", f"{name}USDT", "USDT"), asset, rank)]
    if name in {"BTC", "ETH"}:
        made.append(_contract(("bitget", "coin_futures", f"{name}USD", f"{name}USD", "USD"), asset, rank))
        made.append(_contract(("bitget", "usdc_futures", f"{name}PERP", f"{name}USDC", "USDC"), asset, rank))
    return made


def _hyperliquid(asset: tuple[str, int, str], rank: int) -> list[Contract]:
    name = "kPEPE" if asset[0] == "PEPE" else asset[0]
    names = ("hyperliquid", "perp", name, name, "USD")
    return [_contract(names, (asset[0], asset[1], max(asset[2], "2023-05-20")), rank,
                      multiplier=1000 if asset[0] == "PEPE" else 1)]  # fmt: skip


def _hip3(asset: tuple[str, int, str], rank: int) -> Contract:
    symbol = f"{HIP3_DEX}:{asset[0]}"
    return _contract(("hyperliquid", f"perp_{HIP3_DEX}", symbol, symbol, "USD"), asset, rank)
