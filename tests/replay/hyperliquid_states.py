"""Account states as Hyperliquid's info endpoint answers them, computed in plain Python from the venue's documentation.

Maintenance is half of the initial margin at the highest leverage of the position's tier, less the tier's deduction; the
liquidation price is price - side * margin available / size / (1 - l * side), l the maintenance rate.
"""

from __future__ import annotations

import json
import random
from dataclasses import dataclass
from pathlib import Path
from typing import Any

Tiers = list[tuple[float, int]]
"""Lower bound (USD) and highest leverage."""


@dataclass(frozen=True)
class Coin:
    """One coin of the universe."""

    name: str
    mark: float
    decimals: int
    tiers: Tiers
    open_interest: float = 0.0


COINS = [
    Coin("BTC", 122600.0, 5, [(0.0, 40), (150e6, 20)], 31000.0),
    Coin("ETH", 4360.0, 4, [(0.0, 25), (100e6, 15)], 650000.0),
    Coin("kPEPE", 0.0098, 0, [(0.0, 10)], 4e9),
    Coin("TINY", 0.5, 1, [(0.0, 10), (20_000.0, 5), (60_000.0, 3)], 9e6),
]


def maintenance(coin: Coin, notional: float) -> tuple[float, float]:
    """Rate and maintenance margin (USD) of a position."""
    margin, below = 0.0, 0.0
    rate = 0.0
    for index, (floor, leverage) in enumerate(coin.tiers):
        if notional < floor and index:
            break
        rate = 1 / leverage / 2
        upper = coin.tiers[index + 1][0] if index + 1 < len(coin.tiers) else float("inf")
        below = min(notional, upper) - floor
        margin += below * rate
    return rate, margin


def meta(coins: list[Coin] = COINS) -> list[Any]:
    """The answer of metaAndAssetCtxs."""
    universe = [
        {"name": coin.name, "szDecimals": coin.decimals, "maxLeverage": coin.tiers[0][1], "marginTableId": place}
        for place, coin in enumerate(coins)
    ]
    tables = [
        [
            place,
            {"description": "", "marginTiers": [{"lowerBound": str(f), "maxLeverage": lev} for f, lev in coin.tiers]},
        ]
        for place, coin in enumerate(coins)
        if len(coin.tiers) > 1
    ]
    contexts = [
        {"markPx": str(coin.mark), "oraclePx": str(coin.mark), "openInterest": str(coin.open_interest)}
        for coin in coins
    ]
    return [{"universe": universe, "marginTables": tables}, contexts]


def state(cross_raw: float, positions: list[dict[str, Any]], coins: list[Coin] = COINS) -> dict[str, Any]:
    """The answer of clearinghouseState.

    Args:
        cross_raw: USD of the cross account beside its positions (negative where longs were bought on margin).
        positions: coin, szi, entry, and raw where it is isolated.
        coins: the universe.
    """
    by_name = {coin.name: coin for coin in coins}
    value = {id(p): p["szi"] * by_name[p["coin"]].mark for p in positions}
    cross = [p for p in positions if "raw" not in p]
    cross_value = cross_raw + sum(value[id(p)] for p in cross)
    cross_need = sum(maintenance(by_name[p["coin"]], abs(value[id(p)]))[1] for p in cross)
    answers = []
    for p in positions:
        coin = by_name[p["coin"]]
        side = 1 if p["szi"] > 0 else -1
        notional = abs(value[id(p)])
        rate, need = maintenance(coin, notional)
        available = p["raw"] + value[id(p)] - need if "raw" in p else cross_value - cross_need
        level = coin.mark - side * available / abs(p["szi"]) / (1 - rate * side)
        leverage: dict[str, Any] = {"type": "isolated" if "raw" in p else "cross", "value": 5}
        if "raw" in p:
            leverage["rawUsd"] = f"{p['raw']:.6f}"
        answers.append(
            {
                "type": "oneWay",
                "position": {
                    "coin": p["coin"],
                    "szi": f"{p['szi']:.{coin.decimals}f}",
                    "entryPx": repr(p["entry"]),
                    "leverage": leverage,
                    "liquidationPx": repr(level) if level > 0 else None,
                    "marginUsed": "0",
                    "maxLeverage": coin.tiers[0][1],
                    "positionValue": f"{notional:.6f}",
                    "unrealizedPnl": f"{p['szi'] * (coin.mark - p['entry']):.6f}",
                },
            }
        )
    isolated = [p for p in positions if "raw" in p]
    total_raw = cross_raw + sum(p["raw"] for p in isolated)
    total_value = cross_value + sum(p["raw"] + value[id(p)] for p in isolated)
    return {
        "assetPositions": answers,
        "marginSummary": _summary(total_value, sum(map(abs, value.values())), total_raw),
        "crossMarginSummary": _summary(cross_value, sum(abs(value[id(p)]) for p in cross), cross_raw),
        "crossMaintenanceMarginUsed": f"{cross_need:.6f}",
        "withdrawable": "0",
        "time": 1760129400000,
    }


def _summary(value: float, notional: float, raw: float) -> dict[str, str]:
    return {
        "accountValue": f"{value:.6f}",
        "totalNtlPos": f"{notional:.6f}",
        "totalRawUsd": f"{raw:.6f}",
        "totalMarginUsed": "0",
    }


def address(number: int) -> str:
    """A user."""
    return f"0x{number:040x}"


def random_positions(draw: random.Random) -> list[dict[str, Any]]:
    """Up to three positions in different coins, some isolated, none in breach by itself."""
    positions = []
    for coin in draw.sample(COINS, draw.randint(1, 3)):
        size = draw.choice([-1, 1]) * round(draw.uniform(1_000, 90_000) / coin.mark, coin.decimals)
        if not size:
            continue
        position: dict[str, Any] = {
            "coin": coin.name,
            "szi": size,
            "entry": float(f"{coin.mark * draw.uniform(0.8, 1.2):.5g}"),
        }
        if draw.random() < 0.3:
            need = maintenance(coin, abs(size * coin.mark))[1]
            position["raw"] = round(need * draw.uniform(1.5, 4) - size * coin.mark, 6)
        positions.append(position)
    return positions


def random_state(draw: random.Random) -> dict[str, Any]:
    """A solvent user."""
    positions = random_positions(draw)
    by_name = {coin.name: coin for coin in COINS}
    cross = [p for p in positions if "raw" not in p]
    need = sum(maintenance(by_name[p["coin"]], abs(p["szi"] * by_name[p["coin"]].mark))[1] for p in cross)
    value = sum(p["szi"] * by_name[p["coin"]].mark for p in cross)
    return state(round(need * draw.uniform(1.2, 5) + draw.uniform(10, 1000) - value, 6), positions)


def write(folder: Path, states: dict[str, Any], answer: Any = None) -> Path:
    """Write a snapshot and return the file of states."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "metaAndAssetCtxs.json").write_text(json.dumps(meta() if answer is None else answer))
    lines = [json.dumps({"user": user, "state": one}) for user, one in states.items()]
    target = folder / "states.jsonl"
    target.write_text("\n".join(lines) + "\n")
    return target
