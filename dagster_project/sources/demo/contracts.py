"""The contracts that files in a venue's own format speak of, with the units in which those files count.

``own_contract`` has one row per contract of the five venues whose formats the sample imitates. Beside the 200 linear ones of
the universe there are four that are settled in their coin: they are a part of their venue's market in that coin, so they take
their volume, open interest and liquidations from the linear contract and add nothing (``split``).
"""

import math

import duckdb

FOCUS = ("BTC", "ETH", "SOL", "PEPE")
"""Coins that the new parts speak of; PEPE for its multipliers (1000PEPEUSDT, kPEPE, 10,000,000 PEPE a contract)."""

PRODUCTS = {"binance": "um", "bybit": "linear", "okx": "swap", "bitget": "usdt_futures", "hyperliquid": "perp"}
"""Venues with files of their own format, and the name that each has for its linear contracts."""

INVERSE = (
    ("binance", "cm", "BTC", "BTCUSD_PERP", 100),
    ("binance", "cm", "ETH", "ETHUSD_PERP", 10),
    ("bybit", "inverse", "BTC", "BTCUSD", 1),
    ("bybit", "inverse", "ETH", "ETHUSD", 1),
)
"""Venue, product, coin, symbol and USD of a contract."""

INVERSE_SHARE = 0.04
"""Part of the venue's market in the coin that the inverse contract has (assumed)."""

OWN_LIQUIDATIONS = {"okx": (282, 283), "hyperliquid": (282, 283), "bitget": (362, 364)}
"""Days of the year (0 = 1 January) on which the liquidations of the coins in focus come in the venue's own format and not in the
declared file: the two days, and for Bitget, which tells the last three days alone, the last three of the year."""

_OKX_CONTRACT_VALUE = {"BTC": 0.01, "ETH": 0.1, "SOL": 1.0, "PEPE": 10_000_000.0}
"""Base units of a contract, as OKX lists them; the other coins' are assumed: a power of ten worth 10 to 100 USD."""


def _contract_value(venue: str, coin: str, price: float) -> float:
    if venue != "okx":
        return 1.0
    known = _OKX_CONTRACT_VALUE.get(coin)
    return known if known is not None else float(10.0 ** (1 - math.floor(math.log10(price))))


def load_contracts(con: duckdb.DuckDBPyConnection) -> None:
    """Create ``own_contract``; the tables of ``load_universe`` must exist.

    ``scale`` is how many units of the market's tables one unit of the file has (1000 for kPEPE, whose rows there are per PEPE),
    ``contract_value`` base units (linear) or USD (inverse) of a contract; ``price_decimals`` and ``base_decimals`` are those of
    prices and of quantities in units of the file, ``contract_decimals`` those of quantities counted in contracts.
    """
    coins = con.execute("select coin_id, base_asset, price_start from coin order by 1").fetchall()
    values = ", ".join(
        f"('{venue}', {coin_id}, '{product}', {_contract_value(venue, coin, price)!r})"
        for venue, product in PRODUCTS.items()
        for coin_id, coin, price in coins
    )
    inverse = ", ".join(str(row) for row in INVERSE)
    focus = ", ".join(f"'{coin}'" for coin in FOCUS)
    con.execute(f"""
        create table own_contract as
        with linear as (
            select i.venue_id, i.venue, i.coin_id, i.base_asset, i.tier, t.product, i.venue_symbol as symbol,
                case when i.multiplier = 1000 then '1000' || i.base_asset
                    when i.venue = 'hyperliquid' then i.venue_symbol else i.base_asset end as code,
                v.quote_asset as quote_code, v.quote_asset as settle_code, false as is_inverse, t.contract_value,
                case when i.venue_symbol = 'kPEPE' then 1000.0 else 1.0 end as scale, i.multiplier,
                i.price_decimals - case when i.venue_symbol = 'kPEPE' then 3 else 0 end as price_decimals,
                i.quantity_decimals + case when i.venue_symbol = 'kPEPE' then 3 else 0 end as base_decimals
            from instrument i
            join venue v using (venue_id)
            join (values {values}) t(venue, coin_id, product, contract_value)
                on t.venue = i.venue and t.coin_id = i.coin_id
        ),
        inverse as (
            select l.* replace (x.product as product, x.symbol as symbol, 'USD' as quote_code, l.base_asset as settle_code,
                true as is_inverse, x.contract_value::double as contract_value)
            from linear l
            join (values {inverse}) x(venue, product, base_asset, symbol, contract_value) using (venue, base_asset)
        )
        select *, base_asset in ({focus}) as is_focus,
            greatest(0, base_decimals + case when is_inverse then 0 else log10(contract_value)::integer end)
                as contract_decimals,
            printf('%%.%df', price_decimals) as pf,
            printf('%%.%df', base_decimals) as qf,
            printf('%%.%df', contract_decimals) as cf
        from (select * from linear union all select * from inverse)
    """)
