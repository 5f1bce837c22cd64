"""A published snapshot made by hand: two venues, one asset in three contracts and another, with every table of a book."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

from dagster_project.lib.duck import connect, literal
from dagster_project.lib.home import Home
from dagster_project.lib.publish import Snapshot

AS_OF = datetime(2025, 10, 10, 20, 50, tzinfo=UTC)
DAY = date(2025, 10, 10)

_COLUMNS = {
    "fct_liquidation_map": "venue varchar, venue_symbol varchar, map_date date, price_bin integer, side varchar, "
    "leverage double, base_asset varchar, contract_type varchar, event_id varchar, as_of_at timestamptz, entry_price double, "
    "liquidation_price double, reference_price double, notional_usd double, open_interest_usd double, completeness varchar, "
    "source_class varchar",
    "dim_contract": "venue varchar, venue_symbol varchar, tier varchar",
    "fct_event_summary": "event_id varchar, scope varchar, venue varchar, venue_symbol varchar, tier varchar",
    "fct_liquidity": "venue varchar, venue_symbol varchar, hour_start_at timestamptz, depth_1pct_usd double, "
    "source_class varchar",
    "fct_insurance_fund": "venue varchar, product varchar, pool varchar, asset varchar, covered_symbols varchar, fund_date date, "
    "observed_at timestamptz, balance_usd double, source_class varchar",
    "dim_event": "event_id varchar, pre_event_at timestamptz, recovery_at timestamptz, window_end_at timestamptz",
    "fct_event_window": "event_id varchar, venue varchar, venue_symbol varchar, base_asset varchar, bar_start_at timestamptz, "
    "interval_seconds integer, close_price double, index_close double, source_class varchar",
}


@dataclass(frozen=True)
class Market:
    """One contract: its price, open interest (USD), margin terms by leverage (rate, amount / value), and shares of entries."""

    venue: str
    contract: str
    asset: str
    price: float
    open_interest: float
    terms: dict[float, tuple[float, float]]
    entries: dict[float, float]
    """Entry over reference price to share of the side."""
    is_inverse: bool = False


MARKETS = [
    Market(
        "alpha",
        "XUSDT",
        "X",
        20.0,
        3_000_000.0,
        {2: (0.04, 0.01), 5: (0.02, 0.0), 20: (0.01, 0.0)},
        {0.9: 0.3, 1.0: 0.5, 1.2: 0.2},
    ),
    Market(
        "alpha",
        "XUSD",
        "X",
        20.05,
        500_000.0,
        {3: (0.02, 0.0), 10: (0.02, 0.002)},
        {1.0: 0.6, 1.05: 0.4},
        is_inverse=True,
    ),
    Market("beta", "X-PERP", "X", 20.1, 1_000_000.0, {5: (0.02, 0.0), 10: (0.02, 0.0)}, {0.97: 0.25, 1.0: 0.75}),
    Market("beta", "TAIL", "TAIL", 0.0123, 77_777.7, {4: (0.05, 0.0)}, {1.0: 1.0}),
]


def level(market: Market, side: str, leverage: float, entry: float) -> float:
    """Liquidation price of an isolated position, as docs/method.md has it."""
    rate, amount = market.terms[leverage]
    sign = -1 if side == "long" else 1
    if market.is_inverse:
        return entry * (1 - sign * rate) / (1 - sign * (1 / leverage + amount))
    return entry * (1 + sign * (1 / leverage + amount)) / (1 + sign * rate)


def map_rows(markets: list[Market], source_class: str = "estimated") -> list[dict[str, Any]]:
    """Rows of fct_liquidation_map; what would be past its level entered at the reference price."""
    found = []
    for market in markets:
        for side in ("long", "short"):
            for leverage in market.terms:
                for place, (ratio, share) in enumerate(market.entries.items()):
                    entry = market.price * ratio
                    at = level(market, side, leverage, entry)
                    if (at >= market.price) == (side == "long"):
                        entry = market.price
                        at = level(market, side, leverage, entry)
                    found.append(
                        {
                            "venue": market.venue,
                            "venue_symbol": market.contract,
                            "map_date": DAY,
                            "price_bin": place,
                            "side": side,
                            "leverage": leverage,
                            "base_asset": market.asset,
                            "contract_type": "inverse" if market.is_inverse else "linear",
                            "event_id": "crash",
                            "as_of_at": AS_OF,
                            "entry_price": entry,
                            "liquidation_price": at,
                            "reference_price": market.price,
                            "notional_usd": round(market.open_interest * share / len(market.terms), 6),
                            "open_interest_usd": market.open_interest,
                            "completeness": "complete",
                            "source_class": source_class,
                        }
                    )
    return found


@dataclass
class World:
    """Rows of the tables of a snapshot."""

    tables: dict[str, list[dict[str, Any]]] = field(default_factory=lambda: {name: [] for name in _COLUMNS})

    def publish(self, root: Path) -> Home:
        """Write a home with this snapshot."""
        home = Home(root)
        home.published.mkdir(parents=True)
        with connect() as con:
            con.execute(f"attach {literal(home.published_marts)} as made; create schema made.marts")
            for name, columns in _COLUMNS.items():
                con.execute(f"create table made.marts.{name} ({columns})")
                for row in self.tables[name]:
                    places = ", ".join(f"${key}" for key in row)
                    con.execute(f"insert into made.marts.{name} ({', '.join(row)}) values ({places})", row)
        snapshot = Snapshot(digest="0123456789abcdef", published_at=AS_OF, tables=[])
        (home.published / "snapshot.json").write_text(snapshot.model_dump_json())
        return home


def small(source_class: str = "estimated", markets: list[Market] | None = None) -> World:
    """The world of `MARKETS`, with depth and funds of some of them."""
    world = World()
    world.tables["fct_liquidation_map"] = map_rows(MARKETS if markets is None else markets, source_class)
    for market in MARKETS:
        world.tables["dim_contract"].append({"venue": market.venue, "venue_symbol": market.contract, "tier": "tail"})
    world.tables["fct_event_summary"].append(
        {"event_id": "crash", "scope": "contract", "venue": "alpha", "venue_symbol": "XUSDT", "tier": "major"}
    )
    for hour, usd in ((18, 3e6), (19, 2e6), (20, 1e3)):
        world.tables["fct_liquidity"].append(
            {
                "venue": "alpha",
                "venue_symbol": "XUSDT",
                "hour_start_at": datetime(2025, 10, 10, hour, tzinfo=UTC),
                "depth_1pct_usd": usd,
                "source_class": "measured",
            }
        )
    for pool, covered, hour, usd in (
        ("shared", "XUSDT,OTHER", 12, 1000.0),
        ("coins", None, 13, 200.0),
        ("single", "XUSD", 13, 50.0),
        ("shared", "XUSDT,OTHER", 22, 7.0),
    ):
        moment = datetime(2025, 10, 9 if hour == 12 else 10, hour, tzinfo=UTC)
        world.tables["fct_insurance_fund"].append(
            {
                "venue": "alpha",
                "product": "um",
                "pool": pool,
                "asset": "USDT",
                "covered_symbols": covered,
                "fund_date": moment.date(),
                "observed_at": moment,
                "balance_usd": usd,
                "source_class": "measured",
            }
        )
    return world
